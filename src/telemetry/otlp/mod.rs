//! Traces and metrics to a collector of OpenTelemetry: OTLP over HTTP, in its JSON encoding.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`trace`] | a run as a trace: what is watched of it, as spans |
//! | [`encode`] | spans and families as OTLP writes them |
//! | [`export`] | the thread that sends them |
//!
//! *Invariant:* nothing waits for a collector. Spans go into a queue with an end; what finds it full is left out and
//! counted. The encoding is written here: the crates of OpenTelemetry bring an SDK, protobuf and a second set of queues and
//! threads for what is a few hundred lines, and a server's idle memory has 30 MiB in all.

pub mod encode;
pub mod export;
#[cfg(test)]
mod otlp_tests;
pub mod trace;

pub use export::{Exporter, Settings};
pub use trace::Traces;
