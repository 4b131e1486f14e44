//! What a person at the command line could see, with the real binary in folders of their own.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the binary and prepare folders for it"
)]

mod answer;
mod backtest;
mod bench;
mod cancel;
mod check;
mod config;
mod damage;
mod demo;
mod emit;
mod functions;
mod incident;
mod init;
mod kv;
mod plan;
mod project;
mod providers;
mod resolve;
mod resume;
mod resume_with;
mod retry;
mod run;
mod store;
mod terminal;
mod test;
mod whatif;
mod why;
