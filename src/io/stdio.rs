//! The door to whoever started this process and speaks with it over standard input and output: an editor.

use std::io::{BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What is read ahead of whoever takes it; beyond that the sender waits.
const AHEAD_MAX: usize = 1024;

/// What is written at once.
const READ_BYTES: usize = 64 << 10;

/// Reads standard input on a thread of its own: `next` makes one item of it after the other, `None` at its end.
pub fn incoming<T, F>(mut next: F) -> std::io::Result<Receiver<T>>
where
    T: Send + 'static,
    F: FnMut(&mut BufReader<Box<dyn Read>>) -> Option<T> + Send + 'static,
{
    let (sender, receiver): (SyncSender<T>, _) = sync_channel(AHEAD_MAX);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let input: Box<dyn Read> = Box::new(std::io::stdin());
        let mut input = BufReader::with_capacity(READ_BYTES, input);
        while let Some(item) = next(&mut input) {
            if sender.send(item).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// Standard output, for what must arrive byte for byte.
pub fn outgoing() -> impl Write {
    std::io::stdout()
}
