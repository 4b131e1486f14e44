//! What a person at the command line could see, with the real binary in folders of their own.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the binary and prepare folders for it"
)]

mod backtest;
mod bench;
mod check;
mod config;
mod damage;
mod demo;
mod functions;
mod incident;
mod init;
mod kv;
mod plan;
mod project;
mod providers;
mod run;
mod store;
mod terminal;
mod whatif;
mod why;
