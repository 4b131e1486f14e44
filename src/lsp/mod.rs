//! The language server: what editors ask about playbooks, answered over standard input and output.
//!
//! It reads, and changes nothing: files are the editor's to write, and the store is opened only to be read, for a
//! moment. Nothing that a client sends ends it but `exit` and the end of its input; a request that cannot be answered
//! is answered with an error, one that panics too. Everything happens on one thread, in the order in which it came.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`wire`] | messages in a stream of bytes |
//! | [`server`] | the life of a connection: begin, answer, rest, end |
//! | [`session`] | what is open, and every request by name |
//! | [`capabilities`] | what is offered, and what the client can do |
//! | [`documents`] | texts as the editor has them |
//! | [`positions`] | between bytes and an editor's lines and columns |
//! | [`workspace`] | which project a file belongs to |
//! | [`knowledge`] | what a project has to offer to scripts |
//! | [`source`] | one document, read: its tree, names and header |

pub mod capabilities;
pub mod documents;
pub mod knowledge;
pub mod positions;
pub mod server;
pub mod session;
pub mod source;
pub mod wire;
pub mod workspace;

pub use server::serve;
