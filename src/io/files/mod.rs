//! The project's files: reading and listing below its declared folders, and nowhere else.
//!
//! A path comes from a script, so it is hostile until [`ProjectFiles::open`] has returned a [`CheckedPath`]: the type
//! is the proof, and what reads takes nothing else. Links are followed, and what they lead to must lie in a declared
//! folder again. Only regular files are ever opened, so that no pipe or device can hold a run. Nothing here writes.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`door`] | checking, reading, hashing |
//! | [`list`] | what lies in a folder, and names near a mistyped one |
//! | [`fault`] | what can be wrong with a path or a file |

pub mod door;
pub mod fault;
pub mod list;

pub use door::{CheckedPath, MEDIA_BYTES_MAX, ProjectFiles, TEXT_BYTES_MAX};
pub use fault::FileFault;
pub use list::FileInfo;
