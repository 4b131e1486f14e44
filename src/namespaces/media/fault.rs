//! What can go wrong with work on media.

use crate::effect::Failure;
use crate::io::ffmpeg::FfmpegFault;
use crate::io::files::FileFault;
use crate::io::workspace::WorkspaceFault;
use crate::store::StoreError;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum MediaFault {
    /// What was asked for does not fit the video.
    #[error("{problem}")]
    Option { problem: String },
    /// What was given to work on is neither a path nor a media map.
    #[error("{problem}; give a path such as \"inbox/clip.mp4\", or what an earlier media function returned")]
    Source { problem: String },
    #[error("{name:?} is no name for a file: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("{path:?} has changed since it was probed; probe it again")]
    Changed { path: String },
    #[error("{name:?} is not among the kept files any more, or was altered; make it again")]
    Missing { name: String },
    #[error("the file has no video: {reason}")]
    NoVideo { reason: String },
    #[error("the file has no sound; give one that has, or leave this step out")]
    NoSound,
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegFault),
    #[error(transparent)]
    File(#[from] FileFault),
    #[error(transparent)]
    Workspace(#[from] WorkspaceFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MediaFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            MediaFault::Option { .. } => "MEDIA_OPTION_INVALID",
            MediaFault::Source { .. } => "MEDIA_SOURCE_INVALID",
            MediaFault::Name { .. } => "MEDIA_NAME_INVALID",
            MediaFault::Changed { .. } => "MEDIA_CHANGED",
            MediaFault::Missing { .. } => "MEDIA_MISSING",
            MediaFault::NoVideo { .. } => "MEDIA_NO_VIDEO",
            MediaFault::NoSound => "MEDIA_NO_SOUND",
            MediaFault::Ffmpeg(fault) => fault.code(),
            MediaFault::File(fault) => fault.code(),
            MediaFault::Workspace(fault) => fault.code(),
            MediaFault::Store(error) => error.code(),
        }
    }

    pub(super) fn option(problem: impl Into<String>) -> MediaFault {
        MediaFault::Option {
            problem: problem.into(),
        }
    }
}

impl From<MediaFault> for Failure {
    fn from(fault: MediaFault) -> Failure {
        let failure = Failure::new(fault.code(), fault.to_string());
        match fault {
            MediaFault::Ffmpeg(fault) if !fault.tail().is_empty() => {
                let lines: Vec<_> = fault.tail().iter().map(|line| line.as_str().into()).collect();
                failure.details(lines)
            }
            _ => failure,
        }
    }
}
