//! The binary `host`.

fn main() -> std::process::ExitCode {
    host::io::signals::heed_file_size_limit();
    host::cli::main(host::io::env::arguments())
}
