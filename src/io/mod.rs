//! The doors to the outside.

pub mod http;
