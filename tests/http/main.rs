//! The HTTP server as those see it who ask: over real sockets, most of it of the real binary.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests are clients: they open sockets, start the binary and write its project"
)]

mod api;
mod asking;
mod binary;
mod client;
mod doors;
mod everybody;
mod hooks;
mod hostile;
mod inside;
mod listing;
mod playbooks;
mod probes;
mod roles;
mod sessions;
mod streams;
mod tls;
