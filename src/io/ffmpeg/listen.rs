//! Listening to a running ffmpeg: its words, and how far it is.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;

use ffmpeg_sidecar::event::FfmpegEvent;
use ffmpeg_sidecar::log_parser::FfmpegLogParser;

use super::fault::FfmpegFault;
use super::process::{Process, TICK};
use super::progress::Progress;
use super::words::{ShortLines, Words};

/// What ffmpeg says, line by line, read in a thread of its own that ends with the process or the receiver.
pub(super) fn listen(process: &mut Process) -> Receiver<FfmpegEvent> {
    let (sender, receiver): (SyncSender<FfmpegEvent>, _) = sync_channel(64);
    if let Some(stderr) = process.child.stderr.take() {
        let mut parser = FfmpegLogParser::new(ShortLines::new(stderr));
        thread::spawn(move || {
            loop {
                // An error is a line that the parser did not expect; the next may be better.
                let Ok(event) = parser.parse_next_event() else { continue };
                if event == FfmpegEvent::LogEOF || sender.send(event).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// Follows the events to their end.
pub(super) fn follow(
    events: &Receiver<FfmpegEvent>,
    mut words: Words,
    duration_hint_ms: Option<u64>,
    on_progress: &mut dyn FnMut(Progress),
    watch: &mut dyn FnMut() -> Result<(), FfmpegFault>,
) -> Result<(Words, Progress), FfmpegFault> {
    let mut progress = Progress::default();
    loop {
        match events.recv_timeout(TICK) {
            Ok(FfmpegEvent::Progress(said)) => {
                let next = progress.advance(&said, duration_hint_ms);
                if next != progress {
                    on_progress(next);
                }
                progress = next;
            }
            Ok(FfmpegEvent::Log(_, line) | FfmpegEvent::Error(line)) => words.hear(&line),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok((words, progress)),
        }
        watch()?;
    }
}
