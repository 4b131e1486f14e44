//! The door to what nobody may see being typed: a line of the terminal without its echo, or of standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 4096;

/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Whether a person sits at standard input, who is to be asked.
pub fn is_asked() -> bool {
    io::stdin().is_terminal()
}

/// A line without its end. A person is asked with `prompt`, on standard error, and sees nothing of the answer.
pub fn line(prompt: &str) -> io::Result<String> {
    if !is_asked() {
        return read();
    }
    let mut shown = io::stderr();
    write!(shown, "{prompt}")?;
    shown.flush()?;
    let quiet = Quiet::new()?;
    let line = read();
    drop(quiet);
    writeln!(shown)?;
    match line? {
        line if line.contains(INTERRUPT as char) => Err(io::ErrorKind::Interrupted.into()),
        line => Ok(line),
    }
}

fn read() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LINE_BYTES_MAX).read_line(&mut line)?;
    let ended = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(ended);
    Ok(line)
}

/// While it lives, the terminal shows nothing of what is typed. Ctrl-C ends the line and not this process, which would
/// leave a terminal behind that stays silent.
struct Quiet(Termios);

impl Quiet {
    fn new() -> io::Result<Quiet> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody to tell that the terminal has gone.
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).unwrap_or_default();
    }
}
