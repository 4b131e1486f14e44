//! A real editor. It is not on every machine, so this runs only where `HOST_TEST_NVIM` names a Neovim of 0.9 or later:
//! `HOST_TEST_NVIM=nvim cargo test --test lsp editor -- --nocapture`.

use std::process::Command;

use tempfile::TempDir;

#[test]
fn neovim_shows_findings_completes_hovers_renames_and_formats() {
    let Some(nvim) = std::env::var_os("HOST_TEST_NVIM") else {
        // Said aloud: this has tested nothing.
        eprintln!("HOST_TEST_NVIM is not set: no editor was driven");
        return;
    };
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("playbooks")).expect("a new folder");
    std::fs::write(folder.path().join("host.toml"), "").expect("a new file");
    let text = "const PLAYBOOK = #{ title: \"From an editor\" };\nlet speed=kv::gett(\"speed\");\nlog::info(`${speed}`);\n";
    std::fs::write(folder.path().join("playbooks/a.rhai"), text).expect("a new file");
    let output = Command::new(nvim)
        .args(["--headless", "-u", "NONE", "-i", "NONE", "-l"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lsp/nvim.lua"))
        .env("HOST_BINARY", env!("CARGO_BIN_EXE_host"))
        .current_dir(folder.path())
        .output()
        .expect("the editor starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success() && said.contains("all seen"), "{said}");
}
