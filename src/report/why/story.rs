//! What happened, in a few sentences.

use super::deeds::Deeds;
use super::next::{Cause, cause};
use crate::duration::for_people;
use crate::effect::Class;
use crate::id::StepNo;
use crate::journal::{Recorded, RunError, RunRecord, Status, Step};
use crate::report::lines::subject;

/// Moments that are told one by one.
const MOMENTS_MAX: usize = 4;
/// The longest subject of an effect in a sentence.
const ABOUT_CHARS_MAX: usize = 80;

/// The paragraph.
pub(super) fn tell(record: &RunRecord, recorded: &Recorded, deeds: &Deeds) -> String {
    let mut sentences = match record.status {
        Status::Succeeded => succeeded(record, recorded),
        Status::Running => running(recorded),
        Status::Queued => vec!["It is waiting for a thread; nothing of it was done yet.".to_owned()],
        Status::Suspended => vec![suspended(record, recorded)],
        Status::Cancelled => vec![format!(
            "It was cancelled {}.",
            after_last(recorded).trim_end_matches(',')
        )],
        Status::NeedsAttention => needs_attention(record, recorded),
        Status::Failed => failed(record, recorded),
    };
    if record.status != Status::Succeeded && !recorded.steps.is_empty() {
        sentences.extend(so_far(record, deeds));
    }
    if deeds.landed.is_empty() && deeds.in_doubt.is_empty() && !deeds.simulated.is_empty() && !record.live {
        sentences.push("It was a dry run: nothing has left this machine.".to_owned());
    }
    sentences.join(" ")
}

fn succeeded(record: &RunRecord, recorded: &Recorded) -> Vec<String> {
    let took = record
        .ended_ms
        .map(|ended| for_people((ended - record.begun_ms).max(0) as u64));
    let effects = counted(record.effects as usize, "effect");
    let mut sentences = vec![format!(
        "It did all it was to do: {effects} in {}.",
        took.unwrap_or_default()
    )];
    let answers = recorded.steps.values().filter_map(|step| step.answer.as_ref());
    let caught: Vec<String> = answers
        .filter_map(|answer| Some(format!("{} at step {}", answer.error.as_ref()?.code, answer.asked.step)))
        .collect();
    if !caught.is_empty() {
        let more = caught.len().saturating_sub(MOMENTS_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let named = caught[..caught.len().min(MOMENTS_MAX)].join(", ");
        sentences.push(format!(
            "On the way it caught {}: {named}{more}.",
            counted(caught.len(), "error")
        ));
    }
    sentences
}

fn running(recorded: &Recorded) -> Vec<String> {
    let mut sentences = vec![format!(
        "It has no end on record: it is still at work, or its host was stopped {}.",
        after_last(recorded).trim_end_matches(',')
    )];
    let open = recorded.steps.iter().next_back();
    if let Some((step, sent)) = open.filter(|(_, step)| step.is_in_doubt()) {
        sentences.push(format!(
            "{} was begun there, and no answer is on record: whether it landed is looked up when the run is resumed.",
            capital(&named(*step, sent))
        ));
    }
    sentences
}

fn suspended(record: &RunRecord, recorded: &Recorded) -> String {
    let Some(waits) = &record.waits else {
        return "It is suspended, and its record does not say what for.".to_owned();
    };
    let step = recorded.steps.get(&waits.step);
    let step = step.map_or_else(|| format!("step {}", waits.step), |step| named(waits.step, step));
    let until = match waits.until_ms {
        Some(until_ms) => format!(", and goes on at {} UTC whatever comes", moment(until_ms)),
        None => String::new(),
    };
    format!("At {step} it waits for {}{until}.", waits.what)
}

fn moment(unix_ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    moment.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn needs_attention(record: &RunRecord, recorded: &Recorded) -> Vec<String> {
    let Some((error, number, step)) = failing(record, recorded) else {
        return vec!["A write is in doubt, and a person must decide.".to_owned()];
    };
    let mut sentences = vec![format!(
        "{} was sent, and its answer was lost: {}",
        capital(&named(number, step)),
        said(error)
    )];
    sentences.extend(tries(recorded, step));
    let asked_ms = step.answer.as_ref().map_or(0, |answer| answer.took_ms);
    let who = error.failure.provider.as_deref().unwrap_or("the provider");
    if let Some(resolved) = step.resolved.as_ref().filter(|_| !step.is_in_doubt()) {
        let landed = if resolved.landed {
            "it landed"
        } else {
            "it did not land"
        };
        sentences.push(format!(
            "{} has decided that {landed}: {}.",
            resolved.by, resolved.reason
        ));
        return sentences;
    }
    sentences.push(if asked_ms > 1000 {
        format!(
            "After {} {who} could still not tell whether it had done it, so it is in doubt, and was not sent again.",
            for_people(asked_ms)
        )
    } else {
        format!(
            "{} cannot tell whether it has done it, so it is in doubt, and was not sent again.",
            capital(who)
        )
    });
    sentences
}

fn failed(record: &RunRecord, recorded: &Recorded) -> Vec<String> {
    let Some(error) = &record.error else {
        return vec!["It failed, and its record does not say why.".to_owned()];
    };
    match (cause(record, recorded), failing(record, recorded)) {
        (Cause::Effect, Some((error, number, step))) => effect(error, number, step, recorded),
        (Cause::Limit, _) => vec![format!(
            "It was stopped {} by a limit: {}",
            after_last(recorded),
            said(error)
        )],
        (Cause::Host | Cause::Store, _) => vec![format!(
            "The host could not carry it on {}: {}",
            after_last(recorded),
            said(error)
        )],
        _ => vec![format!("The script itself failed{}: {}", at(error), said(error))],
    }
}

fn effect(error: &RunError, number: StepNo, step: &Step, recorded: &Recorded) -> Vec<String> {
    let mut sentences = vec![format!("{} failed: {}", capital(&named(number, step)), said(error))];
    sentences.extend(tries(recorded, step));
    let class = step.asked().map(|asked| asked.class);
    let outcome = match (class, error.failure.landed) {
        (Some(Class::Read), _) => "It is a read, so nothing was changed by it.",
        (Some(Class::Write), Some(true)) => "It did its work all the same: it was answered, but with nothing of use.",
        (Some(Class::Write), _) => "It certainly did nothing.",
        _ => return sentences,
    };
    sentences.push(outcome.to_owned());
    sentences
}

/// When it was tried, if more than once.
fn tries(recorded: &Recorded, step: &Step) -> Option<String> {
    let mut at: Vec<u64> = step.intents.iter().map(|intent| intent.at_ms).collect();
    if at.is_empty() {
        at = step.attempts.iter().map(|attempt| attempt.at_ms).collect();
        at.extend(step.answer.as_ref().map(|answer| answer.at_ms + answer.took_ms));
        at.dedup();
    }
    let count = step
        .answer
        .as_ref()
        .map_or(0, |answer| answer.attempts as usize)
        .max(at.len());
    if count < 2 {
        return None;
    }
    let mut moments: Vec<String> = at
        .iter()
        .map(|at_ms| time_of_day(recorded.begun.at_ms, *at_ms))
        .collect();
    // Several within one second are one moment to a person.
    moments.dedup();
    Some(match moments.as_slice() {
        few if few.len() <= MOMENTS_MAX => format!("It was tried {count} times ({} UTC).", few.join(", ")),
        [first, .., last] => format!("It was tried {count} times, from {first} to {last} UTC."),
        _ => format!("It was tried {count} times."),
    })
}

/// What stands, in numbers.
fn so_far(record: &RunRecord, deeds: &Deeds) -> Option<String> {
    let landed = match deeds.landed.len() {
        0 => None,
        count => Some(format!("{} landed", counted(count, "write"))),
    };
    let kept = match deeds.kept.len() {
        0 => None,
        count => Some(format!(
            "{} kept",
            counted_be(count, "change of the store", "changes of the store")
        )),
    };
    let parts: Vec<String> = landed.into_iter().chain(kept).collect();
    if parts.is_empty() {
        return None;
    }
    let before = if record.status.is_over() {
        "Before that"
    } else {
        "So far"
    };
    Some(format!("{before}, {}.", parts.join(" and ")))
}

/// The effect that ended the run.
fn failing<'a>(record: &'a RunRecord, recorded: &'a Recorded) -> Option<(&'a RunError, StepNo, &'a Step)> {
    let error = record.error.as_ref()?;
    let number = error.step?;
    Some((error, number, recorded.steps.get(&number)?))
}

/// `at step 9 http.post https://…`
fn named(number: StepNo, step: &Step) -> String {
    let Some(asked) = step.asked() else {
        return format!("step {number}");
    };
    let answer = crate::journal::Answer {
        asked: asked.clone(),
        ..Default::default()
    };
    let mut about: String = subject(&answer).chars().take(ABOUT_CHARS_MAX + 1).collect();
    if about.chars().count() > ABOUT_CHARS_MAX {
        about.pop();
        about.push('…');
    }
    let space = if about.is_empty() { "" } else { " " };
    format!("step {number}, {}{space}{about},", asked.name)
}

/// The failure's message, as the end of a sentence.
fn said(error: &RunError) -> String {
    let message = match error.failure.message.trim() {
        "" => &error.failure.code,
        message => message,
    };
    let stop = if message.ends_with(['.', '?', '!', '…']) {
        ""
    } else {
        "."
    };
    format!("{message}{stop}")
}

fn at(error: &RunError) -> String {
    match (error.place.line, &error.place.module) {
        (0, _) => String::new(),
        (line, None) => format!(" at line {line}"),
        (line, Some(module)) => format!(" at line {line} of {module}"),
    }
}

/// `after step 4, kv.put a`
fn after_last(recorded: &Recorded) -> String {
    let answered = |(_, step): &(&StepNo, &Step)| step.answer.is_some();
    match recorded.steps.iter().rev().find(answered) {
        Some((number, step)) => format!("after {}", named(*number, step)),
        None => "before its first step was done".to_owned(),
    }
}

fn time_of_day(begun_ms: i64, at_ms: u64) -> String {
    let moment = begun_ms.saturating_add(i64::try_from(at_ms).unwrap_or(i64::MAX));
    let moment = chrono::DateTime::from_timestamp_millis(moment).unwrap_or_default();
    moment.format("%H:%M:%S").to_string()
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn counted_be(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one} is"),
        _ => format!("{count} {many} are"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
