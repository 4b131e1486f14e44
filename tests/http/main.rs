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
mod exercised;
mod followed;
mod fuzzed;
mod hooks;
mod hostile;
mod inside;
mod jobs;
mod limits;
mod listing;
mod load;
mod planted;
mod playbooks;
mod probes;
mod proxied;
mod reverse;
mod revoked;
mod roles;
mod sessions;
mod settled;
mod streams;
mod tls;
mod watched;
mod wire;
