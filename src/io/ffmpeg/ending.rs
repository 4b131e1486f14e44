//! What the end of ffmpeg means.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::fault::FfmpegFault;
use super::words::Words;

/// Whether an ffmpeg that has ended has done its work.
pub(super) fn judge(status: ExitStatus, words: Words, output_bytes: u64) -> Result<(), FfmpegFault> {
    /// Sent to whoever writes beyond the limit on file sizes (`ulimit -f`).
    const SIGXFSZ: i32 = 25;
    // Also after a success: ffmpeg may only warn when the last bytes cannot be written.
    if words.disk_full || status.signal() == Some(SIGXFSZ) {
        return Err(FfmpegFault::DiskFull);
    }
    if words.output_empty || status.success() && output_bytes == 0 {
        return Err(FfmpegFault::OutputEmpty);
    }
    if status.success() {
        return Ok(());
    }
    Err(FfmpegFault::Failed {
        status: ended(status),
        tail: words.into_lines(),
    })
}

pub(super) fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(9)) => "killed from outside, perhaps because memory ran out".to_owned(),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended without a code".to_owned(),
    }
}
