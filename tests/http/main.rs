//! The HTTP server as others meet it: the real binary, asked over a socket.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the binary, speak with it and prepare folders for it"
)]

mod asking;
mod roles;
mod sessions;
