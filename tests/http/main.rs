//! The HTTP server as those see it who ask: over real sockets, most of it of the real binary.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests are clients: they open sockets, start the binary and write its project"
)]

mod api;
mod asking;
mod binary;
mod client;
mod collected;
mod doors;
mod everybody;
mod followed;
mod hostile;
mod inside;
mod listing;
mod planted;
mod playbooks;
mod probes;
mod roles;
mod sessions;
mod streams;
mod tls;
mod watched;
