//! What tests stand on: a host in memory whose clock they move, and a server on loopback that fails on request.
//!
//! Part of the library so that unit tests and integration tests use the same; nothing else does.

pub mod clock;
pub mod http_stub;
pub mod test_host;

pub use clock::TestClock;
pub use http_stub::HttpStub;
pub use test_host::{TestHost, TestRun};
