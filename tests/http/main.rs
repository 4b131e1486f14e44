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
mod exercised;
mod fuzzed;
mod hostile;
mod inside;
mod jobs;
mod limits;
mod listing;
mod load;
mod playbooks;
mod probes;
mod proxied;
mod reverse;
mod roles;
mod sessions;
mod streams;
mod tls;
mod wire;
