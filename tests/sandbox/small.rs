//! What the tests of runs share: a host with low limits, and ways to look at what a run said.

use std::sync::{Arc, Mutex};

use host::gate::observer::{Notice, Observer};
use host::script::ScriptLimits;
use host::testing::{TestHost, TestRun};

/// A host whose limits are reached quickly.
pub fn small_host() -> TestHost {
    host_with(small_limits())
}

pub fn host_with(limits: ScriptLimits) -> TestHost {
    let mut host = TestHost::default();
    host.limits = limits;
    host
}

pub fn small_limits() -> ScriptLimits {
    ScriptLimits {
        operations: 100_000,
        memory_mib: 8,
        active_s: 3600,
        string_bytes: 64 << 10,
        array_items: 1_000,
        map_fields: 1_000,
        call_levels: 48,
    }
}

/// Collects the lines that scripts log and print.
#[derive(Default)]
pub struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no test panics here"))
    }
}

impl Observer for Lines {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Log { message, .. } = notice {
            self.0.lock().expect("no test panics here").push(message.to_owned());
        }
    }
}

/// A host that is watched, and the lines it shows.
pub fn watched_host() -> (TestHost, Arc<Lines>) {
    let lines = Arc::new(Lines::default());
    let mut host = small_host();
    host.observer = lines.clone();
    (host, lines)
}

/// How a run that failed is told, in one line: `LIMIT_SIZE 1:25 the array became too large`.
pub fn verdict(run: &TestRun) -> String {
    let error = run.outcome().error.as_ref();
    let error = error.unwrap_or_else(|| panic!("the run succeeded: {}", run.outcome().value));
    let place = &error.place;
    let module = place
        .module
        .as_ref()
        .map(|module| format!("{module}:"))
        .unwrap_or_default();
    format!(
        "{} {module}{}:{} {}",
        error.failure.code, place.line, place.column, error.failure.message
    )
}
