//! What a panic behind the gate means.
//!
//! It is a defect of whoever carries an effect out, and its outcome all the same: the run goes on to its end with it on
//! the journal, and a write that panicked after its intent is in doubt like one whose answer was lost.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::effect::{Failure, Fault, Landed};

/// What `work` gives, or its panic as a fault after which nobody can tell whether it did its work.
pub(super) fn caught<T, E: From<Fault>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = format!("this is a defect of host, please report it: {}", words_of(&*panic));
        let failure = Failure::new("PANIC", message);
        Err(Fault {
            failure,
            landed: Landed::Unknown,
            passing: false,
            unhealthy: false,
        }
        .into())
    })
}

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it did not say why")
        .to_owned()
}
