//! A store in one file, to be kept elsewhere: rows of one moment, and the files that they name.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`form`] | the parts of the file, and what can be wrong with them |
//! | [`write`] | writes it, whole or not at all |
//! | [`pour`] | takes its blocks to the disk while the next are made |
//! | [`read`] | reads it, and says where it is not as it was written |
//! | [`unpack`] | makes a store of it, aside |
//! | [`install`] | puts that in the place of the one there was |
//! | [`seal`] | closes its parts to whoever lacks the key |
//!
//! The file begins with `HOSTBAK` and a line feed, the number of its format in two bytes, and a block with its header. Blocks
//! of rows follow, in key order, then blocks of files, then a block that counts them all, and the SHA-256 of everything
//! before it. A block is a byte that says what it is, the length of its body in four bytes, the body, and a CRC-32 of all
//! that. Bodies of rows and files are pressed by LZ4; where there is a key, all but the header are sealed. Numbers are
//! big-endian.
//!
//! Secrets of the environment are never in it; the header names those that the project needs.

pub mod form;
pub mod install;
mod pour;
pub mod read;
pub mod seal;
pub mod unpack;
pub mod write;

#[cfg(test)]
mod backup_tests;

pub use form::{BackupError, Header, Trailer};
pub use install::{Installed, install};
pub use read::{Part, Reader};
pub use seal::Key;
pub use unpack::{Unpacked, unpack};
pub use write::{Made, Progress, Tell, write};
