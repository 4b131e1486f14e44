//! The store of a server, through the local socket in the data folder.
//!
//! The store's file belongs to one process. While that is a server, other commands read and write through it: rows
//! alone go over the socket, since large values are files on the same disk.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`wire`] | what is said over the socket |
//! | [`answer`] | the server's side: answers from a store |
//! | [`client`] | the other side: a store |

pub mod answer;
pub mod client;
#[cfg(test)]
pub mod remote_tests;
pub mod wire;

pub use answer::{Written, answer, attend};
pub use client::RemoteStore;
pub use wire::{Hello, Purpose, Server, Welcome};
