//! `media::` — probes, cuts and reframes videos, and takes thumbnails.
//!
//! What is asked becomes a list of ffmpeg's arguments by pure functions, which check it against what the video has;
//! then the door carries it out. The same work on the same file gives the same bytes.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`probe`] | what a video is, out of ffprobe's answer |
//! | [`options`] | what a playbook asks for, as types |
//! | [`arguments`] | that, as ffmpeg's arguments |
//! | [`work`] | carrying it out |
//! | [`fault`] | what can go wrong |

pub mod arguments;
pub mod fault;
pub mod options;
pub mod probe;
pub mod work;

pub use fault::MediaFault;
pub use options::{CutOptions, ReframeOptions, ThumbnailOptions};
pub use probe::MediaInfo;
pub use work::Finished;
