//! Signals: Ctrl-C cancels in order, and a file-size limit is an error like any other.

use std::io::{IsTerminal, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// Sent when a file would grow beyond the process's limit; unheeded, it ends the process. The same number on Linux,
/// the BSDs and macOS.
const SIGXFSZ: i32 = 25;

/// Exit code after a second Ctrl-C: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// Makes a file-size limit an error of the write that meets it.
pub fn heed_file_size_limit() {
    // Whoever cannot register it lives with the signal's own effect.
    flag::register(SIGXFSZ, Arc::default())
        .map_or_else(|error| tracing::debug!(%error, "no handler for SIGXFSZ"), |_| ());
}

/// Sets `stop` at the first Ctrl-C or SIGTERM, and ends the process at the second.
pub fn stop_on_interrupt(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal sets the flag, the second finds it set.
        flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(())
}

/// Sets `flag` at every Ctrl-C or SIGTERM; whoever takes it back sees the next one, too.
pub fn note_interrupts(flag: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, flag.clone())?;
    }
    Ok(())
}

/// Lets Ctrl-C pass without an effect on this process: another program has the terminal.
pub fn heed_interrupt() -> std::io::Result<()> {
    flag::register(SIGINT, Arc::default()).map(drop)
}

/// While it lives, Ctrl-C sets a flag and ends nothing.
pub struct Interruptible(signal_hook::SigId);

impl Interruptible {
    pub fn by(stop: &Arc<AtomicBool>) -> std::io::Result<Interruptible> {
        flag::register(SIGINT, stop.clone()).map(Interruptible)
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.0);
    }
}

/// Calls `told` once, on a thread of its own, at the first Ctrl-C or SIGTERM after which `stop` is set; the second ends
/// the process. A terminal that is closed stops it, too. Without a terminal SIGHUP does nothing: elsewhere it means that
/// files are to be read again, which happens by itself.
pub fn on_stop(stop: &Arc<AtomicBool>, told: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let (mut heard, said) = UnixStream::pair()?;
    stop_on_interrupt(stop)?;
    for signal in [SIGINT, SIGTERM] {
        pipe::register(signal, said.try_clone()?)?;
    }
    if std::io::stdin().is_terminal() {
        flag::register(SIGHUP, stop.clone())?;
        pipe::register(SIGHUP, said.try_clone()?)?;
    } else {
        flag::register(SIGHUP, Arc::default())?;
    }
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut byte = [0];
        // Its other end is never closed: it is the signal handler's.
        if heard.read_exact(&mut byte).is_ok() {
            told();
        }
    })?;
    Ok(())
}
