//! How far a job is, out of ffmpeg's status lines.

use ffmpeg_sidecar::event::FfmpegProgress;
use ffmpeg_sidecar::log_parser::parse_time_str;

/// How far a job is. Neither `fraction` nor `out_ms` ever goes back, and a job that succeeds ends with fraction 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// From 0 to 1, where the length of the output is known beforehand.
    pub fraction: Option<f64>,
    /// How much of the output is made, in its own time.
    pub out_ms: u64,
    /// How many times faster than playing; `None` before ffmpeg knows.
    pub speed: Option<f64>,
    /// About how many bytes are written.
    pub bytes: u64,
}

impl Progress {
    /// After ffmpeg's next status line. ffmpeg may count past the expected end, begin before zero or say `N/A`.
    pub(super) fn advance(self, said: &FfmpegProgress, duration_hint_ms: Option<u64>) -> Progress {
        // As a cast: negative and NaN become 0.
        let out_ms = (parse_time_str(&said.time).unwrap_or(0.0) * 1000.0) as u64;
        let out_ms = out_ms.max(self.out_ms);
        let speed = f64::from(said.speed);
        Progress {
            fraction: duration_hint_ms.map(|whole| (out_ms as f64 / whole.max(1) as f64).min(1.0)),
            out_ms,
            speed: (speed.is_finite() && speed > 0.0).then_some(speed),
            bytes: (u64::from(said.size_kb) * 1024).max(self.bytes),
        }
    }

    /// After the end.
    pub(super) fn complete(self, bytes: u64) -> Progress {
        Progress {
            fraction: Some(1.0),
            bytes,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg_sidecar::log_parser::try_parse_progress;

    use super::*;

    fn said(time: &str, speed: &str) -> FfmpegProgress {
        let line = format!("frame= 25 fps=0.0 q=-1.0 size= 30kB time={time} bitrate= 237.6kbits/s speed={speed}");
        try_parse_progress(&line).unwrap()
    }

    #[test]
    fn progress_never_goes_back_and_never_passes_the_whole() {
        let start = Progress::default().advance(&said("-00:00:00.02", "N/A"), Some(2000));
        assert_eq!((start.fraction, start.out_ms, start.speed), (Some(0.0), 0, None));
        let half = start.advance(&said("00:00:01.00", "2.5x"), Some(2000));
        assert_eq!(
            (half.fraction, half.out_ms, half.speed, half.bytes),
            (Some(0.5), 1000, Some(2.5), 30 * 1024)
        );
        let back = half.advance(&said("N/A", "1x"), Some(2000));
        assert_eq!((back.fraction, back.out_ms), (Some(0.5), 1000));
        let past = back.advance(&said("99:00:00.00", "1x"), Some(2000));
        assert_eq!(past.fraction, Some(1.0));
        assert_eq!(half.advance(&said("00:00:01.50", "1x"), None).fraction, None);
    }
}
