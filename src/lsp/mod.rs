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
//! | [`session`], `requests` | what is open, and every request by name |
//! | [`capabilities`] | what is offered, and what the client can do |
//! | [`documents`] | texts as the editor has them |
//! | [`positions`] | between bytes and an editor's lines and columns |
//! | [`workspace`] | which project a file belongs to |
//! | [`knowledge`] | what a project has to offer to scripts |
//! | [`source`], [`cursor`], [`texts`] | one document, read: its tree, what a cursor stands in, what a text names |
//! | [`words`] | what no registry knows: keys of headers, snippets |
//! | [`diagnostics`], [`actions`] | what is wrong, and what to do about it |
//! | [`completion`], [`completing_texts`], [`signature`], [`hover`] | what may stand here, and what stands here |
//! | [`navigate`], [`rename`], [`outline`] | where things are, and by what name |
//! | [`formatting`] | the one style |
//! | [`lenses`], [`hints`], [`recorded`] | what a line would do to the world, and what it did last |

pub mod actions;
pub mod capabilities;
pub mod completing_texts;
pub mod completion;
pub mod cursor;
pub mod diagnostics;
pub mod documents;
pub mod formatting;
pub mod hints;
pub mod hover;
pub mod knowledge;
pub mod lenses;
pub mod navigate;
pub mod outline;
pub mod positions;
pub mod recorded;
pub mod rename;
mod requests;
pub mod server;
pub mod session;
pub mod signature;
pub mod source;
pub mod texts;
pub mod wire;
pub mod words;
pub mod workspace;

pub use server::serve;
