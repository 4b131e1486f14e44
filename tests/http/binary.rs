//! `host serve` with a door for HTTP, as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::client::{Response, ask};

/// A server at work, killed when dropped.
pub struct Binary {
    pub folder: TempDir,
    pub address: SocketAddr,
    child: Child,
}

impl Binary {
    /// One that everybody may read, with these lines more in `[server]`.
    pub fn start(settings: &str) -> Binary {
        Binary::with(settings, &[])
    }

    pub fn with(settings: &str, files: &[(&str, &str)]) -> Binary {
        let folder = TempDir::new().expect("a folder");
        let text = format!("[server]\nlisten = \"127.0.0.1:0\"\nopen_reads = true\n{settings}\n");
        std::fs::write(folder.path().join("host.toml"), text).expect("a file");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        Binary::again(folder)
    }

    /// A server on what another has left.
    pub fn again(folder: TempDir) -> Binary {
        let mut child = command(&folder, &["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let address = loop {
            let mut line = String::new();
            assert!(told.read_line(&mut line).expect("text") > 0, "it does not serve");
            if let Some((_, url)) = line.trim_end().split_once("://") {
                break url.parse().expect("an address");
            }
        };
        // What it says from now on is taken, so that it can say it.
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        Binary { folder, address, child }
    }

    pub fn get(&self, path: &str) -> Response {
        ask(self.address, "GET", path, &[], "")
    }

    /// A command beside it.
    pub fn host(&self, arguments: &[&str]) -> String {
        let output = command(&self.folder, arguments).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop, as systemd does.
    pub fn term(&self) {
        let sent = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Ends it with SIGKILL; gives what it leaves.
    pub fn killed(mut self) -> TempDir {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
        std::mem::replace(&mut self.folder, TempDir::new().expect("a folder"))
    }

    /// Waits for its end; gives what it leaves.
    pub fn ended(mut self) -> TempDir {
        assert!(self.child.wait().expect("it ends").success());
        std::mem::replace(&mut self.folder, TempDir::new().expect("a folder"))
    }
}

pub fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("USER", "ada")
        .stdin(Stdio::null());
    command
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may be gone already.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}
