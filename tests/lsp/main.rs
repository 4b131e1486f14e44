//! The language server as an editor meets it: the real binary, spoken to over its own input and output.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the binary and prepare folders for it"
)]

mod client;
mod completion;
mod editor;
mod fixes;
mod garbage;
mod lenses;
mod life;
mod navigate;
mod storm;
mod sync;
