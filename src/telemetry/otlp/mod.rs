//! Traces and metrics to a collector of OpenTelemetry: OTLP over HTTP, as protobuf or as JSON.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`trace`] | a run as a trace: what is watched of it, as spans |
//! | [`settings`] | where is it sent, how, and as whom? |
//! | [`encode`] | spans and families as OTLP's JSON has them |
//! | [`protobuf`], [`wire`] | the same as protobuf |
//! | [`export`] | the thread that sends them |
//! | [`once`] | the same for a command, without a thread |
//!
//! *Invariant:* nothing waits for a collector. Spans go into a queue with an end; what finds it full is left out and
//! counted. The encoding is written here: the crates of OpenTelemetry bring an SDK and a second set of queues and
//! threads for what is a few hundred lines, and a server's idle memory has 30 MiB in all.

pub mod encode;
pub mod export;
pub mod once;
#[cfg(test)]
mod otlp_tests;
pub mod protobuf;
pub mod settings;
pub mod trace;
mod wire;

pub use export::Exporter;
pub use settings::Settings;
pub use trace::Traces;
