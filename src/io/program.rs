//! The door to programs that people are told by: a list of words without a shell, a text on its standard input, an end.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door to programs that tell people something"
)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Variables that a program gets. Secrets are none of its business.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// What of its words is kept.
const SAID_BYTES_MAX: u64 = 4096;

const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// A program that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `None`, when a signal ended it.
    pub code: Option<i32>,
    /// The beginning of what it wrote to standard error.
    pub said: String,
}

/// Why there is no end.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFault {
    #[error("{program:?} cannot be started: {reason}")]
    Start { program: String, reason: String },
    #[error("it took longer than {0:?} and was ended")]
    Late(Duration),
}

/// Starts the program that `words` begin with in `folder`, gives it `input`, and waits for its end; ends it when that takes
/// too long.
pub fn run(words: &[String], folder: &Path, input: &[u8], timeout: Duration) -> Result<Ended, ProgramFault> {
    let Some((program, arguments)) = words.split_first() else {
        let (program, reason) = (String::new(), "there is no program".to_owned());
        return Err(ProgramFault::Start { program, reason });
    };
    let fault = |error: std::io::Error| ProgramFault::Start {
        program: program.clone(),
        reason: error.to_string(),
    };
    let until = Instant::now() + timeout;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear();
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(fault)?;
    // Each on a thread of its own: a program that neither reads nor ends keeps nobody waiting.
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // It may have ended without reading.
        std::thread::spawn(move || pipe.write_all(&input).unwrap_or_default());
    }
    let (tell, told) = std::sync::mpsc::channel();
    if let Some(pipe) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut said = Vec::new();
            let mut pipe = pipe.take(SAID_BYTES_MAX);
            pipe.read_to_end(&mut said).unwrap_or_default();
            // What comes after is taken, so that it does not wait for a reader.
            std::io::copy(&mut pipe.into_inner(), &mut std::io::sink()).unwrap_or_default();
            tell.send(said).unwrap_or_default();
        });
    }
    loop {
        if let Some(status) = child.try_wait().map_err(fault)? {
            // Something that it started may hold its standard error open.
            let said = told.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            let code = status.code();
            return Ok(Ended { code, said });
        }
        if Instant::now() >= until {
            end(&mut child);
            return Err(ProgramFault::Late(timeout));
        }
        std::thread::sleep(LOOKS_EVERY);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself in between.
    child.kill().unwrap_or_default();
    child.wait().map(drop).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_program_gets_its_words_as_they_are_and_no_secrets() {
        let script = "read line; echo \"$line $1 ${CARGO_PKG_NAME:-none}\" >&2; exit 3";
        let ended = run(
            &words(&["sh", "-c", script, "x", "; rm -rf $HOME"]),
            Path::new("/"),
            b"hello\n",
            Duration::from_secs(10),
        );
        let ended = ended.unwrap();
        assert_eq!(
            (ended.code, ended.said.as_str()),
            (Some(3), "hello ; rm -rf $HOME none")
        );
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let begun = Instant::now();
        let late = run(
            &words(&["sleep", "60"]),
            Path::new("/"),
            b"",
            Duration::from_millis(100),
        );
        assert!(matches!(late, Err(ProgramFault::Late(_))));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(matches!(
            run(&words(&["/no/such"]), Path::new("/"), b"", Duration::from_secs(1)),
            Err(ProgramFault::Start { .. })
        ));
    }
}
