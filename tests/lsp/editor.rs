//! A real editor: Neovim 0.7 or later, which `make test` installs. `HOST_TEST_NVIM` names another binary than `nvim`.

use std::process::Command;

use tempfile::TempDir;

#[test]
fn neovim_shows_findings_completes_hovers_renames_and_formats() {
    let nvim = std::env::var_os("HOST_TEST_NVIM").unwrap_or_else(|| "nvim".into());
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("playbooks")).expect("a new folder");
    std::fs::write(folder.path().join("host.toml"), "").expect("a new file");
    let text =
        "const PLAYBOOK = #{ title: \"From an editor\" };\nlet speed=kv::gett(\"speed\");\nlog::info(`${speed}`);\n";
    std::fs::write(folder.path().join("playbooks/a.rhai"), text).expect("a new file");
    let output = Command::new(nvim)
        .args(["--headless", "-u", "NONE", "-i", "NONE", "-n", "-S"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lsp/nvim.lua"))
        .env("HOST_BINARY", env!("CARGO_BIN_EXE_host"))
        .current_dir(folder.path())
        .output()
        .expect("the editor starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    assert!(output.status.success() && said.contains("all seen"), "{said}");
}
