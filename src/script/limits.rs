//! Every limit of a script, and the meter that watches what Rhai's own limits do not.
//!
//! Rhai bounds operations, calls, nesting and the sizes of strings, arrays and maps; but a map grown by `m[k] = v` is
//! never measured, native work counts as one operation, and a `try` can swallow a limit's error. So a meter runs at
//! every operation: it reads this thread's memory counters and the clock, and once a limit is passed or the run is
//! halted it stops the script at its next operation, whatever it catches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rhai::Engine;
use serde::{Deserialize, Serialize};
use tikv_jemalloc_ctl::thread;

use crate::digits::grouped;
use crate::effect::Failure;
use crate::io::clock::Clock;

/// The stack of a thread that runs a script, in bytes of address space: deep values are dropped recursively.
pub const STACK_BYTES: usize = 64 << 20;

/// The longest source text of a script or module.
pub const SOURCE_BYTES_MAX: usize = 512 * 1024;

/// How often the clock is read, in operations.
const CLOCK_EVERY: u64 = 1024;

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
            memory_mib: 256,
            active_s: 6 * 3600,
            string_bytes: 4 << 20,
            array_items: 10_000,
            map_fields: 10_000,
            call_levels: 48,
        }
    }
}

impl ScriptLimits {
    /// Sets Rhai's own limits, explicitly: its presets differ between debug and release builds.
    pub fn apply(&self, engine: &mut Engine) {
        engine.set_max_operations(self.operations);
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
            Rhai::ErrorDataTooLarge(what, _) => (
                "LIMIT_SIZE",
                format!(
                    "{what} became too large: at most {} bytes in a string, {} items in an array or blob, {} fields in a map; \
                     leave large collections to the host's functions",
                    grouped(self.string_bytes as u64),
                    grouped(self.array_items as u64),
                    grouped(self.map_fields as u64)
                ),
            ),
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
    memory_bytes_max: u64,
    held_at_start: u64,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    active: Duration,
}

impl Meter {
    /// A meter for the script that runs on this thread from now on, for at most `active`.
    pub fn start(limits: &ScriptLimits, active: Duration, clock: Arc<dyn Clock>, stop: Arc<AtomicBool>) -> Meter {
        Meter {
            stop,
            memory_bytes_max: limits.memory_mib << 20,
            held_at_start: held_bytes(),
            deadline: clock.monotonic() + active,
            active,
            clock,
        }
    }

    /// Called at every operation: the failure of the limit that was passed, if one was.
    pub fn check(&self, operations: u64) -> Result<(), Option<Failure>> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(None);
        }
        let held = held_bytes().wrapping_sub(self.held_at_start);
        // Memory that came from another thread can be freed here, so that less than nothing is held.
        if held as i64 > self.memory_bytes_max as i64 {
            let message = format!(
                "the script holds more than {} MiB of memory; keep large collections in the store and ask for parts of them",
                self.memory_bytes_max >> 20
            );
            return Err(Some(Failure::new("LIMIT_MEMORY", message)));
        }
        if operations.is_multiple_of(CLOCK_EVERY) && self.clock.monotonic() > self.deadline {
            let message = format!(
                "the run has been at work for {} s, its time limit",
                self.active.as_secs()
            );
            return Err(Some(Failure::new("LIMIT_TIME", message)));
        }
        Ok(())
    }
}
