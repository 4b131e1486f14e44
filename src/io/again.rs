//! This program, started once more, and killed.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to another process of this program"
)]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A line is no longer than this.
const LINE_BYTES_MAX: u64 = 4096;

/// Another process of this program; it is killed when this is dropped.
#[derive(Debug)]
pub struct Again(Child);

impl Again {
    /// Starts it in `folder`. Its standard input ends when this process does.
    pub fn start(folder: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> std::io::Result<Again> {
        Command::new(std::env::current_exe()?)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map(Again)
    }

    /// Starts it in `folder`; what it says of itself goes to the file `said` there.
    pub fn start_saying(
        folder: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        said: &str,
    ) -> std::io::Result<Again> {
        Command::new(std::env::current_exe()?)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join(said))?)
            .spawn()
            .map(Again)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// The next line that it says. To be asked once: more may be lost with it.
    pub fn line(&mut self) -> std::io::Result<String> {
        let ended = || Error::from(ErrorKind::UnexpectedEof);
        let said = self.0.stdout.as_mut().ok_or_else(ended)?;
        let mut line = String::new();
        BufReader::new(said.take(LINE_BYTES_MAX)).read_line(&mut line)?;
        if line.ends_with('\n') { Ok(line) } else { Err(ended()) }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::debug!(%error, "the other process could not be killed");
        }
    }
}

/// Waits until the process that started this one is gone.
pub fn outlive_parent() -> std::io::Result<()> {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).map(drop)
}
