//! The text of a script as a tree that keeps every byte, also while it is being typed.
//!
//! Rhai's own compiler stops at the first mistake and forgets comments; whoever checks, completes, renames or formats
//! needs more. Nothing here can fail: what is missing is [`ExprKind::Missing`], what cannot be read is a [`Problem`].
//! Whether a script *runs* is for Rhai alone to say; a test holds that both agree about what parses.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`token`] | the text in pieces, whitespace and comments among them |
//! | [`tree`] | statements and expressions, each with its place |
//! | `parse` | from tokens to a tree |
//! | [`walk`] | going through a tree; what stands at an offset |
//! | [`scopes`] | which name means what |
//! | [`lines`] | between bytes, lines and columns |

pub mod lines;
mod parse;
pub mod scopes;
pub mod token;
pub mod tree;
pub mod walk;

#[cfg(test)]
mod tests;

pub use lines::Lines;
pub use parse::parse;
pub use scopes::Scopes;
pub use token::{Token, TokenKind};
pub use tree::{Block, Expr, ExprKind, Name, Problem, Span, Stmt, StmtKind, Tree};
pub use walk::Node;
