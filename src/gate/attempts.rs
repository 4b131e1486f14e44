//! What comes of sending an effect, and of sending it again.
//!
//! *Output commit:* the intent of a write and everything before it are on disk before its first byte leaves. *Unknown
//! is an outcome:* an attempt of which nobody knows whether it landed is never simply repeated; see [`super::doubt`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::backoff::{self, Next};
use super::doubt::{self, Settled};
use super::errand::{Act, Errand};
use super::governance::Verdict;
use super::history::History;
use super::observer::Notice;
use super::stop::{Halt, Stop};
use super::tape::Tape;
use super::{Gate, circuit, panic, rate, restored};
use crate::effect::{Class, Effect, Failure, Fault, Landed};
use crate::id::ContentHash;
use crate::journal::{Answer, Asked, Attempt, Awaited, Entry, Intent, Wake};
use crate::store::Batch;
use crate::value::Value;

/// A request that has not left this long after its intent is not sent any more.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(10);

/// The longest wait for a place under a rate limit; beyond it the effect fails with `RATE_LIMITED`.
const RATE_WAIT_MAX: Duration = Duration::from_secs(3600);

/// What is waited for longer than this is waited for without a thread.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How soon a wait sees that the run is to stop.
const SEEN_WITHIN: Duration = Duration::from_millis(100);

/// How far the clock on the wall may have been set back unseen while nobody owned the run. Only a key that is
/// remembered for longer than that is trusted by the next owner; with a shorter one, the provider is asked.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(3600);

/// Longer than any provider remembers a key.
const AGES: Duration = Duration::from_secs(u32::MAX as u64);

/// Attempts `effect` until it has an outcome, or until it is worth unwinding the script. A run that is cancelled
/// meanwhile leaves no write behind of which nobody is told that it is in doubt.
pub(super) fn run(
    gate: &Gate,
    tape: &mut Tape,
    effect: &Effect<'_>,
    asked: Asked,
    act: &dyn Act,
    verdict: Option<Verdict>,
) -> Result<Answer, Stop> {
    let span = tracing::error_span!("effect", step = asked.step, effect = asked.name);
    let _entered = span.enter();
    let mut history = History::of(tape, asked.step);
    let key = history.key.take().unwrap_or_else(|| idempotency_key(tape, &asked));
    restored::suspect(gate, tape, effect, &asked, &key, &mut history)?;
    let mut doubt = history.doubt.take();
    let sending = Sending {
        gate,
        effect,
        act,
        key,
        verdict,
    };
    let answer = tape.answer_to(gate, asked);
    match sending.until_over(tape, answer.clone(), history, &mut doubt) {
        Err(Stop::Halted(Halt::Cancelled)) if doubt.is_some() => {
            let (_, failure) = doubt.expect("it was just looked at");
            Ok(leave_open(gate, tape, answer, failure))
        }
        outcome => outcome,
    }
}

/// One effect on its way out: all that stays the same from attempt to attempt.
struct Sending<'a> {
    gate: &'a Gate,
    effect: &'a Effect<'a>,
    act: &'a dyn Act,
    /// The same for every attempt.
    key: String,
    verdict: Option<Verdict>,
}

/// An attempt that gave no value.
struct Attempted {
    /// Of a write.
    intent: Option<Intent>,
    began_ms: u64,
    fault: Fault,
}

impl Sending<'_> {
    /// Attempts it, after what earlier owners did, until it has an outcome.
    fn until_over(
        &self,
        tape: &mut Tape,
        mut answer: Answer,
        history: History,
        // The last attempt of which nobody knows whether it landed: later ones that did not say nothing about it.
        doubt: &mut Option<(Intent, Failure)>,
    ) -> Result<Answer, Stop> {
        let Sending { gate, effect, act, .. } = *self;
        let first_ms = history.first_ms.unwrap_or(answer.at_ms);
        // How long ago the first attempt was cannot be told from a clock that was set back: long enough to be forgotten.
        let is_ageless = history.first_ms.is_some() && tape.clock_went_back;
        let age_doubt = history.first_ms.map_or(Duration::ZERO, |_| CLOCK_ERROR_MAX);
        let age_doubt = age_doubt + Duration::from_millis(history.before_ms);
        let left = history.left(answer.at_ms);
        let mut attempt = history.next;
        // Whether an attempt that may have landed was followed by another all the same.
        let mut perhaps_landed = history.perhaps_landed;
        let mut cut_off = history.cut_off;
        match &cut_off {
            Some((intent, _)) => attempt = intent.attempt,
            None if attempt > 1 => pause(
                gate,
                tape,
                &answer.asked,
                left,
                "its next attempt".to_owned(),
                doubt.is_some(),
            )?,
            None => {}
        }
        loop {
            answer.attempts = if attempt > 1 { attempt } else { 0 };
            let Attempted {
                intent,
                began_ms,
                fault,
            } = match cut_off.take() {
                Some((intent, fault)) => Attempted {
                    began_ms: intent.at_ms,
                    intent: Some(intent),
                    fault,
                },
                None => {
                    if let Err(failure) = self.admit(tape, &answer.asked, doubt.is_some())? {
                        let settled = match doubt.take() {
                            Some((intent, cause)) => doubt::settle(gate, tape, effect, act, &intent, &cause)?,
                            None => Settled::NotLanded,
                        };
                        return Ok(match settled {
                            Settled::Landed(value) => finish(gate, tape, answer, Ok(value)),
                            Settled::NotLanded if !perhaps_landed => finish(gate, tape, answer, Err(failure)),
                            Settled::NotLanded | Settled::Repeat => {
                                finish(gate, tape, answer, Err(failure.landed(None)))
                            }
                            Settled::Open => leave_open(gate, tape, answer, failure),
                        });
                    }
                    match self.once(tape, &mut answer, attempt)? {
                        Ok(value) => return Ok(finish(gate, tape, answer, Ok(value))),
                        // It may have been given up for that alone, and nothing landed.
                        Err(_) if effect.declaration.class != Class::Write && gate.parks.load(Ordering::Relaxed) => {
                            return Err(tape.stop(Halt::Parked));
                        }
                        Err(attempted) => attempted,
                    }
                }
            };
            if let (Landed::Unknown, Some(intent)) = (fault.landed, intent) {
                *doubt = Some((intent, fault.failure.clone()));
            }
            let since_first = match is_ageless {
                true => AGES,
                false => Duration::from_millis(tape.elapsed_ms(gate).saturating_sub(first_ms)) + age_doubt,
            };
            let chance = gate.world.chance.fraction();
            let mut next = backoff::after(
                &gate.policies.backoff,
                effect.declaration,
                &fault,
                attempt,
                since_first,
                chance,
            );
            if !matches!(next, Next::Again(_))
                && let Some((intent, cause)) = doubt.take()
            {
                match doubt::settle(gate, tape, effect, act, &intent, &cause)? {
                    Settled::Landed(value) => return Ok(finish(gate, tape, answer, Ok(value))),
                    Settled::NotLanded if next == Next::Doubt => next = not_landed(effect, gate, attempt),
                    Settled::NotLanded => {}
                    Settled::Repeat => {
                        perhaps_landed = true;
                        if next == Next::Doubt {
                            next = Next::Again(Duration::ZERO);
                        }
                    }
                    Settled::Open => return Ok(leave_open(gate, tape, answer, fault.failure)),
                }
            }
            let Next::Again(wait) = next else {
                let landed = match effect.declaration.class {
                    Class::Write if fault.landed == Landed::Yes => Some(true),
                    Class::Write if !perhaps_landed => Some(false),
                    _ => None,
                };
                return Ok(finish(gate, tape, answer, Err(fault.failure.landed(landed))));
            };
            let now_ms = tape.elapsed_ms(gate);
            let failed = Attempt {
                step: answer.asked.step,
                attempt,
                error: fault.failure.clone(),
                at_ms: began_ms,
                took_ms: now_ms.saturating_sub(began_ms),
                wait_ms: wait.as_millis() as u64,
                in_doubt: doubt.is_some() && fault.landed == Landed::Unknown,
                perhaps_landed,
            };
            tape.observer().notice(Notice::Attempted {
                asked: &answer.asked,
                attempt: &failed,
            });
            tape.append(Entry::Attempt(failed));
            let why = fault.failure.to_string();
            pause(gate, tape, &answer.asked, wait, why, doubt.is_some())?;
            attempt += 1;
        }
    }

    /// One attempt. The inner error says why it gave no value.
    fn once(&self, tape: &mut Tape, answer: &mut Answer, attempt: u32) -> Result<Result<Value, Attempted>, Stop> {
        let Sending { gate, effect, act, .. } = *self;
        let intent = match effect.declaration.class {
            Class::Write => Some(self.promise(tape, &answer.asked, attempt)?),
            Class::Local | Class::Read => None,
        };
        let began_ms = tape.elapsed_ms(gate);
        let span = tracing::error_span!("attempt", attempt);
        let _entered = span.enter();
        let mut kept = Kept::default();
        let outcome = match &intent {
            Some(intent) if tape.elapsed_ms(gate) > intent.send_deadline_ms => Err(too_late(intent)),
            _ => with_errand(gate, tape, effect, &self.key, answer.asked.step, &mut kept, |errand| {
                panic::caught(|| act.carry_out(errand))
            }),
        };
        answer.cost_usd = add(answer.cost_usd, kept.cost_usd);
        tape.writer.attach(kept.batch);
        let told = tell_circuit(gate, tape, effect, outcome.as_ref().err());
        let fault = match outcome {
            // Kept whatever became of the circuit: it was done. If that cannot be written, the run is halted by now.
            Ok(value) => {
                tracing::debug!(
                    took_ms = tape.elapsed_ms(gate).saturating_sub(began_ms),
                    "an attempt was answered"
                );
                return Ok(Ok(value));
            }
            Err(fault) => Fault {
                failure: gate.clean(fault.failure),
                ..fault
            },
        };
        let took_ms = tape.elapsed_ms(gate).saturating_sub(began_ms);
        tracing::info!(
            took_ms,
            code = fault.failure.code,
            error = fault.failure.message,
            "an attempt failed"
        );
        told?;
        Ok(Err(Attempted {
            intent,
            began_ms,
            fault,
        }))
    }

    /// The circuit, then the rate limit. The inner error is the effect's outcome.
    fn admit(&self, tape: &mut Tape, asked: &Asked, in_doubt: bool) -> Result<Result<(), Failure>, Stop> {
        let Sending { gate, effect, .. } = *self;
        let Some(provider) = effect.declaration.provider.as_deref() else {
            return Ok(Ok(()));
        };
        let admitted = circuit::admit(gate, provider, effect.declaration.timeout);
        if let Err(failure) = tape.persist(admitted)? {
            return Ok(Err(failure));
        }
        loop {
            let taken = rate::take(gate, provider);
            match tape.persist(taken)? {
                Ok(()) => return Ok(Ok(())),
                Err(wait) if wait <= RATE_WAIT_MAX => {
                    pause(
                        gate,
                        tape,
                        asked,
                        wait,
                        format!("the rate limit of {provider}"),
                        in_doubt,
                    )?;
                }
                Err(pause) => {
                    let message = format!(
                        "{provider} is at its rate limit for another {:.0} s",
                        pause.as_secs_f64().ceil()
                    );
                    let failure = Failure::new("RATE_LIMITED", message)
                        .provider(provider)
                        .landed(Some(false));
                    return Ok(Err(Failure {
                        retry_after_ms: Some(pause.as_millis() as u64),
                        ..failure
                    }));
                }
            }
        }
    }

    /// Writes the intent of an attempt, durably.
    fn promise(&self, tape: &mut Tape, asked: &Asked, attempt: u32) -> Result<Intent, Stop> {
        let Sending { gate, effect, .. } = *self;
        let at_ms = tape.elapsed_ms(gate);
        let intent = Intent {
            asked: asked.clone(),
            attempt,
            key: self.key.clone(),
            at_ms,
            send_deadline_ms: at_ms + SEND_WITHIN.as_millis() as u64,
            epoch: tape.epoch,
            decision: effect
                .publication
                .as_ref()
                .and(self.verdict.as_ref())
                .map(Verdict::recorded),
        };
        tape.promise(gate, Entry::Intent(intent.clone()))?;
        Ok(intent)
    }
}

fn too_late(intent: &Intent) -> Fault {
    let message = format!(
        "the intent took too long to reach the disk: the request was due {} ms into the run and was not sent",
        intent.send_deadline_ms
    );
    Fault {
        unhealthy: false,
        ..Fault::passing(Failure::new("SEND_DEADLINE", message))
    }
}

/// A write of which the provider says that it is not there certainly did nothing.
fn not_landed(effect: &Effect<'_>, gate: &Gate, attempt: u32) -> Next {
    if attempt < effect.declaration.attempts_max.min(gate.policies.backoff.attempts_max) {
        Next::Again(Duration::ZERO)
    } else {
        Next::Fail
    }
}

fn tell_circuit(gate: &Gate, tape: &mut Tape, effect: &Effect<'_>, fault: Option<&Fault>) -> Result<(), Stop> {
    let Some(provider) = effect.declaration.provider.as_deref() else {
        return Ok(());
    };
    // A refusal such as 404 is an answer: the provider is well.
    let told = circuit::tell(gate, provider, fault.is_none_or(|fault| !fault.unhealthy));
    tape.persist(told)
}

/// What an attempt brings back beside its value.
#[derive(Default)]
pub(super) struct Kept {
    batch: Batch,
    cost_usd: Option<f64>,
}

/// Hands the doors to `carry` for one attempt.
pub(super) fn with_errand<T>(
    gate: &Gate,
    tape: &Tape,
    effect: &Effect<'_>,
    key: &str,
    step: u32,
    kept: &mut Kept,
    carry: impl FnOnce(&mut Errand<'_>) -> T,
) -> T {
    let stop = tape.stop_flag();
    let mut errand = Errand {
        world: &gate.world,
        key,
        timeout: effect.declaration.timeout,
        step,
        content: &*gate.ground.content,
        observer: &**tape.observer(),
        workspace: tape.workspace(),
        masks: &gate.masks,
        cost_usd: None,
        kept: Batch::new(),
        stop: &stop,
        // A write under way is waited for: nobody would know what became of it.
        parks: (effect.declaration.class != Class::Write).then_some(&*gate.parks),
    };
    let result = carry(&mut errand);
    *kept = Kept {
        batch: errand.kept,
        cost_usd: errand.cost_usd,
    };
    result
}

/// An outcome that nobody knows: a person must find out.
fn leave_open(gate: &Gate, tape: &Tape, mut answer: Answer, failure: Failure) -> Answer {
    answer.in_doubt = true;
    finish(gate, tape, answer, Err(failure.landed(None)))
}

fn finish(gate: &Gate, tape: &Tape, answer: Answer, outcome: Result<Value, Failure>) -> Answer {
    let took_ms = tape.elapsed_ms(gate).saturating_sub(answer.at_ms);
    Answer {
        took_ms,
        ..gate.settle(answer, outcome)
    }
}

/// Waits before an attempt: on this thread when it is short, else by unwinding the script.
fn pause(
    gate: &Gate,
    tape: &mut Tape,
    asked: &Asked,
    pause: Duration,
    why: String,
    in_doubt: bool,
) -> Result<(), Stop> {
    if pause <= WAIT_MAX || tape.is_cleaning_up {
        // A write in doubt is settled before the run stops, by the caller.
        return match wait(gate, tape, asked.step, pause, why) {
            None => Ok(()),
            Some(Halt::Cancelled) if in_doubt => Err(Stop::Halted(Halt::Cancelled)),
            Some(halt) => Err(tape.stop(halt)),
        };
    }
    let wake = Wake {
        at_ms: Some(tape.elapsed_ms(gate) + pause.as_millis() as u64),
        awaited: Awaited::Attempt { why },
    };
    Err(tape.suspend_for(gate, asked.clone(), wake))
}

/// Waits on this thread; returns why the run is to stop meanwhile, if so.
pub(super) fn wait(gate: &Gate, tape: &Tape, step: u32, pause: Duration, why: String) -> Option<Halt> {
    if !pause.is_zero() {
        tape.observer().notice(Notice::Waiting {
            step,
            why,
            wait_ms: pause.as_millis() as u64,
        });
    }
    let mut left = pause;
    while !left.is_zero() && tape.asked_to_stop(gate).is_none() {
        let slice = left.min(SEEN_WITHIN);
        gate.world.clock.sleep(slice);
        left -= slice;
    }
    tape.asked_to_stop(gate)
}

/// The same for every attempt of a step, and for no other step of any run.
fn idempotency_key(tape: &Tape, asked: &Asked) -> String {
    let mut name = format!("{} {} {}", tape.run, asked.step, asked.name);
    if tape.generation > 0 {
        // The step was asked before, and what became of that is settled.
        name.push_str(&format!(" {}", tape.generation));
    }
    format!("host-{}", &ContentHash::of(name.as_bytes()).to_string()[..32])
}

fn add(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}
