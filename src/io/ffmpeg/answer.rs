//! ffprobe from start to end: its answer, or why it has none.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;

use super::door::{FFPROBE, file_argument, name};
use super::ending::ended;
use super::fault::FfmpegFault;
use super::process::{Deadline, Process, TICK};
use super::words::Words;

/// The most bytes that ffprobe may answer with.
const PROBE_BYTES_MAX: u64 = 1 << 20;

/// Runs ffprobe to its end and reads its answer.
pub(super) fn answer(command: Command, path: &Path, deadline: Deadline) -> Result<serde_json::Value, FfmpegFault> {
    let unreadable = |reason: String| FfmpegFault::Unreadable {
        name: name(path),
        reason,
    };
    let mut process = Process::start(FFPROBE, command)?;
    let stdout = read_whole(process.child.stdout.take(), PROBE_BYTES_MAX + 1);
    let stderr = read_whole(process.child.stderr.take(), PROBE_BYTES_MAX);
    let output = await_bytes(&stdout, deadline)?;
    if output.len() as u64 > PROBE_BYTES_MAX {
        return Err(unreadable(format!(
            "its description has more than {PROBE_BYTES_MAX} bytes"
        )));
    }
    let said = await_bytes(&stderr, deadline)?;
    let status = process.wait(FFPROBE, &mut || deadline.check())?;
    if !status.success() {
        let argument = file_argument(path)?.to_string_lossy().into_owned();
        let mut words = Words::new(vec![(format!("{argument}: "), String::new()), (argument, name(path))]);
        String::from_utf8_lossy(&said).lines().for_each(|line| words.hear(line));
        return Err(unreadable(words.into_lines().pop().unwrap_or_else(|| ended(status))));
    }
    serde_json::from_slice(&output).map_err(|error| unreadable(format!("ffprobe's answer is no JSON: {error}")))
}

/// Reads in a thread of its own, since a pipe cannot be waited for with a time limit. The thread ends with the process.
fn read_whole(pipe: Option<impl Read + Send + 'static>, bytes_max: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all that there is.
            pipe.take(bytes_max).read_to_end(&mut bytes).ok();
        }
        sender.send(bytes).ok();
    });
    receiver
}

fn await_bytes(bytes: &Receiver<Vec<u8>>, deadline: Deadline) -> Result<Vec<u8>, FfmpegFault> {
    loop {
        match bytes.recv_timeout(TICK) {
            Ok(bytes) => return Ok(bytes),
            Err(RecvTimeoutError::Timeout) => deadline.check()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
        }
    }
}
