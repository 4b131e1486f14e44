//! The HTTP door: one request when asked, and an exact account of what went wrong.
//!
//! It knows nothing of effects, attempts or providers, and never tries anything twice. What it promises those above:
//!
//! - A request reaches only hosts that [`Reach`] lists, and only public addresses unless an exact entry opens another.
//!   That is checked for the URL, for every address a name resolves to, and again at every redirect.
//! - [`HttpFault::sent`] says `No` only where it is certain that no byte of the request left.
//! - Every request has a time limit and every answer a size limit.
//! - No proxy is taken from the environment, no cookie is kept, and nothing is tried again behind the caller's back.
//! - Making a door costs nothing: runtime, client and TLS roots are made when first needed.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`door`] | may this be asked? then it goes to its transport |
//! | [`network`] | the real transport: sends a request and follows its redirects |
//! | [`request`], [`response`] | what goes out and what comes back |
//! | [`body`] | what goes out with it: bytes, and files read meanwhile |
//! | [`reach`], [`entry`] | may this URL be asked? |
//! | [`address`] | is this address public? |
//! | [`redirect`] | what is asked next after a redirect |
//! | [`client`] | the runtime, the connections and the names' resolution |
//! | [`fault`], [`classify`] | what can go wrong, and whether the request was sent |

pub mod address;
pub mod body;
mod classify;
mod client;
pub mod door;
mod entry;
pub mod fault;
mod network;
pub mod reach;
mod redirect;
pub mod request;
pub mod response;
#[cfg(test)]
mod tests;

pub use body::{Body, SentFile};
pub use door::{HttpDoor, Taking, Transport};
pub use fault::{HttpFault, Sent};
pub use reach::{BadReach, Reach};
pub use request::{Method, Request};
pub use response::Response;
