//! What can go wrong with ffmpeg and ffprobe.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How to get ffmpeg here.
const INSTALL: &str = if cfg!(target_os = "macos") {
    "brew install ffmpeg"
} else {
    "apt-get install ffmpeg"
};

/// Why a job or a probe has no result.
#[derive(Debug, thiserror::Error)]
pub enum FfmpegFault {
    #[error("no media is worked on here: the run answers from its record")]
    Shut,
    #[error("{tool} was not found on the PATH; install it with `{INSTALL}`")]
    Missing { tool: &'static str },
    #[error("{tool} was not found at {}; correct the path, or leave it out to search the PATH", path.display())]
    MissingAt { tool: &'static str, path: PathBuf },
    #[error("{tool} could not be started: {source}")]
    NotStarted { tool: &'static str, source: io::Error },
    /// The file is none of the media formats that are read, or damaged; in ffprobe's words.
    #[error("{name:?} cannot be read as media: {reason}")]
    Unreadable { name: String, reason: String },
    #[error("ffmpeg failed ({status}): {}", gist(tail))]
    Failed { status: String, tail: Vec<String> },
    #[error("{tool} was stopped after {:.1} s, its time limit; ask for less, or raise the limit", after.as_secs_f64())]
    Timeout { tool: &'static str, after: Duration },
    #[error("ffmpeg was stopped because the run was")]
    Stopped,
    #[error("ffmpeg wrote nothing: the video has no picture in the part asked for")]
    OutputEmpty,
    #[error("ffmpeg was stopped after writing {bytes} bytes; at most {bytes_max} are allowed")]
    OutputTooLarge { bytes: u64, bytes_max: u64 },
    #[error("the disk is full: the output could not be written; free some space and try again")]
    DiskFull,
    #[error("the output could not be written: {0}")]
    Output(io::Error),
}

impl FfmpegFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            FfmpegFault::Shut => "DOOR_SHUT",
            FfmpegFault::Missing { .. } | FfmpegFault::MissingAt { .. } => "FFMPEG_MISSING",
            FfmpegFault::NotStarted { .. } => "FFMPEG_NOT_STARTED",
            FfmpegFault::Unreadable { .. } => "MEDIA_UNREADABLE",
            FfmpegFault::Failed { .. } => "FFMPEG_FAILED",
            FfmpegFault::Timeout { .. } => "FFMPEG_TIMEOUT",
            FfmpegFault::Stopped => "FFMPEG_STOPPED",
            FfmpegFault::OutputEmpty => "OUTPUT_EMPTY",
            FfmpegFault::OutputTooLarge { .. } => "OUTPUT_TOO_LARGE",
            FfmpegFault::DiskFull => "MEDIA_DISK_FULL",
            FfmpegFault::Output(_) => "OUTPUT_NOT_WRITTEN",
        }
    }

    /// What ffmpeg said last, for logs.
    pub fn tail(&self) -> &[String] {
        match self {
            FfmpegFault::Failed { tail, .. } => tail,
            _ => &[],
        }
    }

    pub(super) fn output(source: io::Error) -> FfmpegFault {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                FfmpegFault::DiskFull
            }
            _ => FfmpegFault::Output(source),
        }
    }
}

/// The first error names the cause more often than not, and the last one what it led to.
fn gist(tail: &[String]) -> String {
    let errors = || {
        tail.iter()
            .filter_map(|line| ["[error] ", "[fatal] "].iter().find_map(|mark| line.split_once(mark)))
    };
    let words = |(place, text): (&str, &str)| format!("{place}{text}");
    match (errors().next(), errors().next_back()) {
        (Some(first), Some(last)) if first != last => format!("{}; {}", words(first), words(last)),
        (Some(only), _) => words(only),
        _ => tail.last().cloned().unwrap_or_else(|| "it said nothing".to_owned()),
    }
}
