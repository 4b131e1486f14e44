//! Starts `host lsp` in Zed.

use zed_extension_api::{Command, Extension, LanguageServerId, Result, Worktree, register_extension};

struct Host;

impl Extension for Host {
    fn new() -> Host {
        Host
    }

    fn language_server_command(&mut self, _: &LanguageServerId, worktree: &Worktree) -> Result<Command> {
        let command = worktree
            .which("host")
            .ok_or("`host` is not on the PATH: install it with `cargo install --path .`")?;
        Ok(Command {
            command,
            args: vec!["lsp".to_owned()],
            env: worktree.shell_env(),
        })
    }
}

register_extension!(Host);
