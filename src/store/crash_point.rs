//! Moments between two steps on the disk, at which tests end the process as `kill -9` would.
//!
//! Outside tests of this crate there is nothing of it.

/// Ends the process here, if it is the moment that `HOST_CRASH_AT` names.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test tells its child where to die")]
pub(crate) fn at(moment: &str) {
    if std::env::var("HOST_CRASH_AT").is_ok_and(|at| at == moment) {
        std::process::abort();
    }
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn at(_: &str) {}
