//! ffmpeg and ffprobe: the only place that starts a process.
//!
//! Media is foreign bytes in the hands of a large C program, so each process is kept small: only local files, only
//! formats that cannot name other files, an emptied environment, nothing to read from, a time limit, a limit on what
//! it writes and on how many run at once. Paths are passed as `file:` and absolute, so no name can be an option, an
//! address or a pattern. A process never outlives the call that started it, and a failed one leaves no file.
//!
//! Processes stay in the host's own process group: an interrupt typed at the terminal then ends them with the host.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`door`] | running a job and probing a file |
//! | [`fault`] | what can go wrong |
//! | [`progress`] | how far a job is |
//! | [`unfinished`] | a file being written under a temporary name |
//! | `answer` | ffprobe from start to end |
//! | `listen` | a running ffmpeg's words and progress |
//! | `ending` | what its end means |
//! | `process` | a child that is killed when dropped |
//! | `words` | what ffmpeg says on its error output |
//! | `slots` | how many run at once |

mod answer;
pub mod door;
mod ending;
pub mod fault;
mod listen;
mod process;
pub mod progress;
#[cfg(test)]
pub mod samples;
mod slots;
#[cfg(test)]
mod tests;
pub mod unfinished;
mod words;

pub use door::{FfmpegDoor, FfmpegJob, FfmpegOptions, MoreInput, OUTPUT_BYTES_MAX};
pub use fault::FfmpegFault;
pub use progress::Progress;
pub use unfinished::Unfinished;
