//! The binary `host`.

fn main() -> std::process::ExitCode {
    host::cli::main(host::io::env::arguments())
}
