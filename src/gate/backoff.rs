//! May it be tried again, and after how long?

use std::time::Duration;

use crate::effect::{Class, Declaration, Fault, Landed};

/// How attempts are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// The longest pause before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// The longest pause of all, and the longest `Retry-After` that is waited for.
    pub cap: Duration,
    /// Attempts at most, whatever an effect declares.
    pub attempts_max: u32,
}

impl Default for BackoffSettings {
    fn default() -> BackoffSettings {
        BackoffSettings {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            attempts_max: 10,
        }
    }
}

/// What follows an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this pause.
    Again(Duration),
    /// It certainly did nothing, and will not be tried again.
    Fail,
    /// Nobody can tell whether it did its work.
    Doubt,
}

/// Decides what follows `fault` at the given attempt (from 1), `since_first` after the first one was sent.
///
/// A read may always be asked again. A write is sent again only if it certainly did nothing, or under an idempotency
/// key that the provider still remembers.
pub(super) fn after(
    settings: &BackoffSettings,
    declaration: &Declaration,
    fault: &Fault,
    attempt: u32,
    since_first: Duration,
    chance: f64,
) -> Next {
    let pause = pause(settings, fault, attempt, chance);
    let in_doubt = declaration.class == Class::Write && fault.landed == Landed::Unknown;
    let key_holds = declaration.key_lifetime.is_some_and(|lifetime| {
        let pause = pause.unwrap_or(settings.cap);
        since_first + pause + declaration.timeout < lifetime
    });
    let attempts_left = attempt < declaration.attempts_max.min(settings.attempts_max);
    match pause {
        Some(pause) if fault.passing && attempts_left && (!in_doubt || key_holds) => Next::Again(pause),
        _ if in_doubt => Next::Doubt,
        _ => Next::Fail,
    }
}

/// Half of the widening pause for certain and half by chance, but not less than the provider asked for. `None` when
/// the provider asked for more than is waited here.
fn pause(settings: &BackoffSettings, fault: &Fault, attempt: u32, chance: f64) -> Option<Duration> {
    let doublings = attempt.saturating_sub(1).min(20);
    // A provider that says "too many" is left alone twice as long.
    let widen = if fault.failure.status == Some(429) { 2 } else { 1 };
    let widest = settings
        .base
        .saturating_mul((1u32 << doublings) * widen)
        .min(settings.cap);
    let pause = widest.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
    match fault.retry_after() {
        Some(asked) if asked > settings.cap => None,
        Some(asked) => Some(asked.max(pause)),
        None => Some(pause),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::effect::Failure;

    static WRITE: LazyLock<Declaration> = LazyLock::new(|| Declaration::write("test.write").attempts(3));
    static KEYED: LazyLock<Declaration> = LazyLock::new(|| {
        Declaration::write("test.write")
            .attempts(3)
            .key_lifetime(Some(Duration::from_secs(3600)))
    });

    fn next(declaration: &Declaration, fault: &Fault, attempt: u32, since_first_s: u64) -> Next {
        after(
            &BackoffSettings::default(),
            declaration,
            fault,
            attempt,
            Duration::from_secs(since_first_s),
            0.0,
        )
    }

    #[test]
    fn a_write_in_doubt_is_sent_again_only_under_a_key_that_is_still_remembered() {
        let fault = Fault::in_doubt(Failure::new("HTTP_TIMEOUT", "no answer"));
        assert_eq!(next(&WRITE, &fault, 1, 0), Next::Doubt);
        assert!(matches!(next(&KEYED, &fault, 1, 0), Next::Again(_)));
        assert_eq!(
            next(&KEYED, &fault, 1, 3599),
            Next::Doubt,
            "the key may be forgotten by the time it arrives"
        );
        assert_eq!(next(&KEYED, &fault, 3, 0), Next::Doubt, "no attempt is left");
        assert!(matches!(
            next(&Declaration::read("test.read"), &fault, 1, 0),
            Next::Again(_)
        ));
    }

    #[test]
    fn a_write_that_certainly_did_nothing_is_sent_again_until_attempts_run_out() {
        let fault = Fault::passing(Failure::new("HTTP_CONNECT", "refused").status(503));
        assert!(matches!(next(&WRITE, &fault, 2, 0), Next::Again(_)));
        assert_eq!(next(&WRITE, &fault, 3, 0), Next::Fail);
        assert_eq!(
            next(&WRITE, &Fault::refused(Failure::new("HTTP_STATUS", "no")), 1, 0),
            Next::Fail
        );
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_cap() {
        let asked = |ms| {
            Fault::passing(Failure {
                retry_after_ms: Some(ms),
                ..Failure::new("HTTP_STATUS", "slow down").status(429)
            })
        };
        assert_eq!(next(&WRITE, &asked(7_000), 1, 0), Next::Again(Duration::from_secs(7)));
        assert_eq!(next(&WRITE, &asked(31_000), 1, 0), Next::Fail);
    }

    proptest! {
        #[test]
        fn every_pause_lies_between_half_the_widest_and_the_cap(attempt in 1u32..40, chance in 0.0f64..1.0) {
            let settings = BackoffSettings::default();
            let fault = Fault::passing(Failure::new("HTTP_CONNECT", "refused"));
            let pause = pause(&settings, &fault, attempt, chance).expect("nothing was asked");
            prop_assert!(pause >= settings.base / 2 && pause <= settings.cap);
        }
    }
}
