//! What the linker is told.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script its target in the environment"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        // The binary's 80,000 relocations take 2 MB, all of it read at each start; packed, they take 50 kB.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
