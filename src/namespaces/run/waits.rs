//! What runs wait for: a time, an event, a person's answer.

use crate::effect::Failure;
use crate::gate::waiting::Watch;
use crate::gate::{Look, Stop, Waiting};
use crate::journal::question::{CHOICES_MAX, Question, TEXT_BYTES_MAX};
use crate::journal::{Awaited, Wake, event};
use crate::store::keys;
use crate::value::{Map, Value};

/// Until so many milliseconds have passed.
pub(super) struct Sleep {
    pub ms: u64,
}

/// Until a moment, in Unix milliseconds.
pub(super) struct SleepUntil {
    pub unix_ms: i64,
}

/// Until an event comes, or the time is over.
pub(super) struct WaitEvent {
    pub name: String,
    pub timeout_ms: Option<u64>,
}

/// Until somebody answers, or the time is over.
pub(super) struct Ask {
    pub text: String,
    pub choices: Vec<String>,
    pub role: Option<String>,
    pub second_person: bool,
    pub timeout_ms: Option<u64>,
}

impl Waiting for Sleep {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        Ok(until(Some(watch.now_ms.saturating_add(self.ms)), Awaited::Time))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        Ok(over_or(wake, watch))
    }
}

impl Waiting for SleepUntil {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        let at_ms = u64::try_from(self.unix_ms - watch.begun.at_ms).unwrap_or(0);
        Ok(until(Some(at_ms), Awaited::Time))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        Ok(over_or(wake, watch))
    }
}

impl Waiting for WaitEvent {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        let name = self.name.clone();
        Ok(until(limit(self.timeout_ms, watch), Awaited::Event { name }))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        let (run, since_ms) = (watch.begun.run, watch.begun.at_ms);
        match event::next(&mut watch.tx, run, &self.name, since_ms)? {
            Some(data) => Ok(Look::Come(Ok(data))),
            None => Ok(over_or(wake, watch)),
        }
    }
}

impl Waiting for Ask {
    fn begin(&self, watch: &mut Watch<'_>) -> Result<Wake, Stop> {
        if self.second_person && watch.begun.by.is_none() {
            let message = "a second person is demanded, and nobody knows who started this run: set HOST_USER";
            return Err(Stop::Failed(Failure::new("ASKER_UNKNOWN", message)));
        }
        let text = self.text.clone();
        Ok(until(limit(self.timeout_ms, watch), Awaited::Question { text }))
    }

    fn look(&self, wake: &Wake, watch: &mut Watch<'_>) -> Result<Look, Stop> {
        let key = keys::question(watch.begun.run, watch.step);
        let row = watch.tx.get(&key)?;
        let given = match &row {
            Some(row) => Question::decode(row)?.given,
            None => None,
        };
        if let Some(given) = given {
            watch.tx.batch.delete(key);
            return Ok(Look::Come(Ok(Value::from([
                ("answer", given.answer.into()),
                ("by", given.by.into()),
                ("at_ms", given.at_ms.into()),
            ]))));
        }
        watch.tx.unchanged(&key, row.as_ref());
        if watch.is_over {
            watch.tx.batch.delete(key);
            return Ok(Look::Come(Ok(Value::Unit)));
        }
        if row.is_none() {
            watch.tx.batch.put(key, self.question(wake, watch).encode());
        }
        Ok(Look::NotYet(wake.clone()))
    }
}

impl Ask {
    fn question(&self, wake: &Wake, watch: &Watch<'_>) -> Question {
        Question {
            playbook: watch.begun.playbook.clone(),
            text: self.text.clone(),
            choices: self.choices.clone(),
            role: self.role.clone(),
            not_by: watch.begun.by.clone().filter(|_| self.second_person),
            asked_ms: watch.tx.now_ms,
            until_ms: wake.at_ms.map(|at_ms| watch.begun.unix_ms(at_ms)),
            given: None,
        }
    }

    /// As the journal keeps it.
    pub fn args(&self) -> Map {
        let mut args = Map::from([("question".to_owned(), self.text.as_str().into())]);
        let mut put = |name: &str, value: Value| drop(args.insert(name.to_owned(), value));
        if !self.choices.is_empty() {
            let choices = self.choices.iter().map(|choice| choice.as_str().into());
            put("choices", Value::List(choices.collect()));
        }
        if let Some(role) = &self.role {
            put("role", role.as_str().into());
        }
        if self.second_person {
            put("second_person", true.into());
        }
        if let Some(timeout_ms) = self.timeout_ms {
            put("timeout_ms", (timeout_ms as i64).into());
        }
        args
    }

    pub fn check(&self) -> Result<(), Failure> {
        let refuse = |message: String| Err(Failure::new("QUESTION_INVALID", message));
        if self.text.is_empty() || self.text.len() > TEXT_BYTES_MAX {
            let bytes = self.text.len();
            return refuse(format!(
                "the question has {bytes} bytes; 1 to {TEXT_BYTES_MAX} are allowed"
            ));
        }
        if self.choices.len() > CHOICES_MAX {
            let count = self.choices.len();
            return refuse(format!(
                "the question has {count} choices; at most {CHOICES_MAX} are allowed"
            ));
        }
        let long = self
            .choices
            .iter()
            .find(|choice| choice.is_empty() || choice.len() > 200);
        match long {
            Some(choice) => refuse(format!("a choice has {} bytes; 1 to 200 are allowed", choice.len())),
            None => Ok(()),
        }
    }
}

fn until(at_ms: Option<u64>, awaited: Awaited) -> Wake {
    Wake { at_ms, awaited }
}

fn limit(timeout_ms: Option<u64>, watch: &Watch<'_>) -> Option<u64> {
    timeout_ms.map(|timeout_ms| watch.now_ms.saturating_add(timeout_ms))
}

/// Nothing, when the time is over; else the same wait once more.
fn over_or(wake: &Wake, watch: &Watch<'_>) -> Look {
    if watch.is_over {
        Look::Come(Ok(Value::Unit))
    } else {
        Look::NotYet(wake.clone())
    }
}
