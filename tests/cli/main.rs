//! What a person at the command line could see, with the real binary in folders of their own.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the binary and prepare folders for it"
)]

mod answer;
mod audit;
mod audit_planted;
mod audit_restored;
mod backtest;
mod bench;
mod cancel;
mod check;
mod complete;
mod config;
mod damage;
mod demo;
mod dev;
mod emit;
mod explain;
mod fmt;
mod frames;
mod functions;
mod incident;
mod init;
mod kv;
mod monitors;
mod new;
mod next;
mod one_fault;
mod plan;
mod project;
mod providers;
mod queue;
mod repl;
mod resolve;
mod resume;
mod resume_with;
mod retry;
mod run;
mod served;
mod store;
mod terminal;
mod test;
mod ticks;
mod today;
mod users;
mod versions;
mod whatif;
mod why;
