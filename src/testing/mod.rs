//! What tests stand on: here because unit tests and those in `tests/` share it.

pub mod http_stub;

pub use http_stub::HttpStub;
