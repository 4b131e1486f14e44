//! What can go wrong with work on media.

use crate::io::ffmpeg::FfmpegFault;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum MediaFault {
    /// What was asked for does not fit: its type, its range, or the video.
    #[error("{problem}")]
    Option { problem: String },
    #[error("the file has no video: {reason}")]
    NoVideo { reason: String },
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegFault),
}

impl MediaFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            MediaFault::Option { .. } => "MEDIA_OPTION_INVALID",
            MediaFault::NoVideo { .. } => "MEDIA_NO_VIDEO",
            MediaFault::Ffmpeg(fault) => fault.code(),
        }
    }

    pub(super) fn option(problem: impl Into<String>) -> MediaFault {
        MediaFault::Option {
            problem: problem.into(),
        }
    }
}
