//! Every limit of a script, and the meter that watches what Rhai's own limits do not.
//!
//! Rhai bounds calls, nesting and the sizes of strings, arrays and maps; but a map grown by `m[k] = v` is never
//! measured, native work counts as one operation, Rhai's own count of operations starts again in every closure that a
//! native function calls, and a `try` can swallow a limit's error. So a meter runs at every operation: it counts them,
//! reads this thread's memory counters and the clock, and once a limit is passed or the run is halted it stops the
//! script at its next operation, whatever it catches.
//!
//! Where a limit stopped a run is on its journal as a number of operations. A replay stops there, and nowhere else:
//! neither its clock nor its memory are those of the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rhai::Engine;
use serde::{Deserialize, Serialize};
use tikv_jemalloc_ctl::thread;

use crate::digits::grouped;
use crate::effect::Failure;
use crate::gate::{Halt, ScriptEnd};
use crate::io::clock::Clock;

/// What a script's calls and expressions need of the stack.
const STACK_BYTES_MIN: usize = 64 << 20;

/// Stack per byte of memory that a script may hold. Values are dropped recursively, and a chain of closures, each
/// captured by the next (`let g = f; f = || g.call();`), needs nearly two bytes of stack for each that it holds.
const STACK_PER_BYTE: usize = 4;

/// The longest source text of a script or module.
pub const SOURCE_BYTES_MAX: usize = 512 * 1024;

/// How often the clock is read, in operations. One of them may be native work on a large value.
const CLOCK_EVERY: u64 = 128;

/// What one run may use. `[limits]` in `host.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptLimits {
    /// Steps of the interpreter.
    pub operations: u64,
    /// Memory held by the script's values, in MiB.
    pub memory_mib: u64,
    /// Time the run may be at work, in seconds; a playbook's `timeout` may shorten it.
    pub active_s: u64,
    /// Characters in a string, in bytes.
    pub string_bytes: usize,
    /// Items of an array or a blob.
    pub array_items: usize,
    /// Fields of a map.
    pub map_fields: usize,
    /// Functions calling functions.
    pub call_levels: usize,
}

impl Default for ScriptLimits {
    fn default() -> ScriptLimits {
        ScriptLimits {
            operations: 100_000_000,
            memory_mib: 128,
            active_s: 6 * 3600,
            string_bytes: 4 << 20,
            array_items: 10_000,
            map_fields: 10_000,
            call_levels: 48,
        }
    }
}

impl ScriptLimits {
    /// The stack of a thread that runs a script: address space, which costs nothing until it is used.
    pub fn stack_bytes(&self) -> usize {
        let memory_bytes = usize::try_from(self.memory_mib << 20).unwrap_or(usize::MAX);
        STACK_BYTES_MIN.saturating_add(memory_bytes.saturating_mul(STACK_PER_BYTE))
    }

    /// The sizes that `engine` allows.
    pub(super) fn of(engine: &Engine) -> ScriptLimits {
        ScriptLimits {
            string_bytes: engine.max_string_size(),
            array_items: engine.max_array_size(),
            map_fields: engine.max_map_size(),
            ..ScriptLimits::default()
        }
    }

    /// Sets Rhai's own limits, explicitly: its presets differ between debug and release builds.
    pub fn apply(&self, engine: &mut Engine) {
        engine.set_max_call_levels(self.call_levels);
        engine.set_max_expr_depths(48, 32);
        engine.set_max_string_size(self.string_bytes);
        engine.set_max_array_size(self.array_items);
        engine.set_max_map_size(self.map_fields);
        engine.set_max_variables(1024);
        engine.set_max_functions(1024);
        engine.set_max_modules(64);
        engine.set_max_strings_interned(0);
    }

    /// What to say of something larger than these limits.
    pub(super) fn too_large(&self, what: &str) -> String {
        format!(
            "{what} became too large: at most {} bytes in a string, {} items in an array or blob, {} fields in a map; \
             leave large collections to the host's functions",
            grouped(self.string_bytes as u64),
            grouped(self.array_items as u64),
            grouped(self.map_fields as u64)
        )
    }

    /// The limit behind an error of Rhai's, as a failure that names it.
    pub fn failure(&self, error: &rhai::EvalAltResult) -> Option<Failure> {
        use rhai::EvalAltResult as Rhai;
        let (code, message) = match error {
            Rhai::ErrorTooManyOperations(_) => (
                "LIMIT_OPERATIONS",
                format!(
                    "the script took more than {} steps; is there an endless loop?",
                    grouped(self.operations)
                ),
            ),
            Rhai::ErrorStackOverflow(_) => (
                "LIMIT_CALLS",
                format!(
                    "functions called each other more than {} levels deep; is there an endless recursion?",
                    self.call_levels
                ),
            ),
            Rhai::ErrorDataTooLarge(what, _) => ("LIMIT_SIZE", self.too_large(what)),
            Rhai::ErrorTooManyVariables(_) => (
                "LIMIT_VARIABLES",
                "more than 1024 variables are in use at once".to_owned(),
            ),
            Rhai::ErrorTooManyModules(_) => ("LIMIT_MODULES", "more than 64 modules were imported".to_owned()),
            _ => return None,
        };
        Some(Failure::new(code, message))
    }
}

thread_local! {
    /// Bytes that this thread has taken and given back, as the allocator counts them.
    static COUNTERS: (thread::ThreadLocal<u64>, thread::ThreadLocal<u64>) = {
        let counters = "jemalloc is this program's allocator and counts by thread";
        (thread::allocatedp::read().expect(counters), thread::deallocatedp::read().expect(counters))
    };
}

/// Bytes that this thread holds; memory that moved between threads counts where it was taken, less where it is freed.
fn held_bytes() -> u64 {
    COUNTERS.with(|(taken, given_back)| taken.get().wrapping_sub(given_back.get()))
}

/// Watches one run on its own thread.
pub struct Meter {
    /// Set when the run must stop; once set, no operation of the script follows.
    stop: Arc<AtomicBool>,
    /// Set when this process lets go of all runs.
    parks: Option<Arc<AtomicBool>>,
    /// The operations that were let through.
    operations: Arc<AtomicU64>,
    operations_max: u64,
    memory_bytes_max: u64,
    held_at_start: u64,
    clock: Arc<dyn Clock>,
    /// `None` in a replay, whose time says nothing about the run's.
    deadline: Option<Duration>,
    active: Duration,
    /// In a replay, what stopped the run after `operations_max`.
    recorded: Option<Halt>,
}

impl Meter {
    /// A meter for the script that runs on this thread from now on, for at most `active` of which some is spent. It counts in `operations`,
    /// and stops the script when `stop` is set.
    pub fn start(
        limits: &ScriptLimits,
        active: Duration,
        spent: Duration,
        clock: Arc<dyn Clock>,
        stop: Arc<AtomicBool>,
        operations: Arc<AtomicU64>,
    ) -> Meter {
        Meter {
            stop,
            parks: None,
            operations,
            operations_max: limits.operations,
            memory_bytes_max: limits.memory_mib << 20,
            held_at_start: held_bytes(),
            deadline: Some(clock.monotonic() + active.saturating_sub(spent)),
            active,
            clock,
            recorded: None,
        }
    }

    /// The same, which also lets go of the run when `parks` is set.
    pub fn parked_by(mut self, parks: Arc<AtomicBool>) -> Meter {
        self.parks = Some(parks);
        self
    }

    /// The same for what follows a script, for at most `active`, with operations of its own.
    pub fn allow(mut self, active: Duration, operations_max: u64) -> Meter {
        self.deadline = Some(self.clock.monotonic() + active);
        self.active = active;
        self.operations_max = operations_max;
        self
    }

    /// The same for the replay of a script that ended with `end`: it stops where the script was stopped. Only what
    /// would take this process down is still watched.
    pub fn replaying(mut self, end: &ScriptEnd) -> Meter {
        self.deadline = None;
        self.memory_bytes_max *= 2;
        match &end.stopped {
            Some(halt) => {
                self.operations_max = end.operations;
                self.recorded = Some(halt.clone());
            }
            None => self.operations_max = self.operations_max.max(end.operations.saturating_mul(2)),
        }
        self
    }

    /// Called at every operation: why it must not take place, if so.
    pub fn check(&self) -> Result<(), Halt> {
        // Whoever set the flag without saying why wants the run to end.
        if self.stop.load(Ordering::Relaxed) {
            return Err(Halt::Cancelled);
        }
        let operations = self.operations.load(Ordering::Relaxed) + 1;
        if operations > self.operations_max {
            let message = format!(
                "the script took more than {} steps; is there an endless loop?",
                grouped(self.operations_max)
            );
            let limit = || Halt::Limit(Failure::new("LIMIT_OPERATIONS", message));
            return Err(self.recorded.clone().unwrap_or_else(limit));
        }
        let held = held_bytes().wrapping_sub(self.held_at_start);
        // Memory that came from another thread can be freed here, so that less than nothing is held.
        if held as i64 > self.memory_bytes_max as i64 {
            let message = format!(
                "the script holds more than {} MiB of memory; keep large collections in the store and ask for parts of them",
                self.memory_bytes_max >> 20
            );
            return Err(Halt::Limit(Failure::new("LIMIT_MEMORY", message)));
        }
        let now_and_then = operations.is_multiple_of(CLOCK_EVERY);
        if now_and_then && self.parks.as_ref().is_some_and(|parks| parks.load(Ordering::Relaxed)) {
            return Err(Halt::Parked);
        }
        if now_and_then && self.deadline.is_some_and(|end| self.clock.monotonic() > end) {
            let message = format!(
                "the run has been at work for {} s, its time limit",
                self.active.as_secs()
            );
            return Err(Halt::Limit(Failure::new("LIMIT_TIME", message)));
        }
        self.operations.store(operations, Ordering::Relaxed);
        Ok(())
    }
}
