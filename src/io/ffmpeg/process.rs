//! A child that is killed when dropped, and waited for, so that none is left behind in any state.
#![expect(clippy::disallowed_methods, reason = "this is the door to ffmpeg")]

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::fault::FfmpegFault;

/// How often a silent process is looked at.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What of the host's environment a process sees: where its own libraries and settings are, and nothing secret.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR"];

/// A running process that ends with its owner.
pub(super) struct Process {
    pub child: Child,
}

impl Process {
    /// Starts `command` with nothing to read.
    pub fn start(tool: &'static str, mut command: Command) -> Result<Process, FfmpegFault> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|source| FfmpegFault::NotStarted { tool, source })?;
        Ok(Process { child })
    }

    /// Waits for the end, asking `watch` in between.
    pub fn wait(
        &mut self,
        tool: &'static str,
        watch: &mut dyn FnMut() -> Result<(), FfmpegFault>,
    ) -> Result<ExitStatus, FfmpegFault> {
        let mut pause = Duration::from_millis(1);
        loop {
            let status = self
                .child
                .try_wait()
                .map_err(|source| FfmpegFault::NotStarted { tool, source })?;
            if let Some(status) = status {
                return Ok(status);
            }
            watch()?;
            thread::sleep(pause);
            pause = (pause * 2).min(TICK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child has ended and was waited for already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A command for `program` with next to no environment.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("LC_ALL", "C").env("AV_LOG_FORCE_NOCOLOR", "1");
    command
}

/// A moment after which a process has had its time.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    tool: &'static str,
    begun: Instant,
    timeout: Duration,
}

impl Deadline {
    pub fn after(tool: &'static str, timeout: Duration) -> Deadline {
        Deadline {
            tool,
            begun: Instant::now(),
            timeout,
        }
    }

    pub fn check(&self) -> Result<(), FfmpegFault> {
        if self.begun.elapsed() < self.timeout {
            return Ok(());
        }
        Err(FfmpegFault::Timeout {
            tool: self.tool,
            after: self.timeout,
        })
    }
}
