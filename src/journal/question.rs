//! Questions that runs ask people.
//!
//! A question is a row beside its run, so that lists need not read journals; what was answered, and by whom, goes onto
//! the journal when the run takes it. Names are what the machine says of who sits there: on a machine that several
//! people share they are a claim, not a proof.

use serde::{Deserialize, Serialize};

use crate::effect::Failure;
use crate::id::{RunId, StepNo};
use crate::store::keys::{self, Place};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Precondition, Row, Store, StoreError};

/// The longest question, and the longest answer.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Answers that a question offers.
pub const CHOICES_MAX: usize = 50;

/// What is asked, and what was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    pub playbook: String,
    pub text: String,
    /// The only answers allowed; any text, when there are none.
    pub choices: Vec<String>,
    /// Who may answer: people who have this role in `[people]` of `host.toml`; anybody, without one.
    pub role: Option<String>,
    /// Who may not: whoever started the run, where a second person is demanded.
    pub not_by: Option<String>,
    /// Unix milliseconds.
    pub asked_ms: i64,
    pub until_ms: Option<i64>,
    pub given: Option<Given>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub answer: String,
    pub by: String,
    pub at_ms: i64,
}

impl Question {
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("a question is plain data")
    }

    pub fn decode(row: &Row) -> Result<Question, StoreError> {
        rmp_serde::from_slice(&row.value).map_err(|error| StoreError::Corrupt {
            path: "a question".into(),
            reason: error.to_string(),
        })
    }

    /// Whether `by`, who has `roles`, may give `answer` now.
    pub fn check(&self, answer: &str, by: &str, roles: &[String], now_ms: i64) -> Result<(), Failure> {
        let refuse = |code: &str, message: String| Err(Failure::new(code, message));
        if let Some(given) = &self.given {
            let message = format!("{} has answered {:?} already", given.by, given.answer);
            return refuse("ANSWERED_ALREADY", message);
        }
        if self.until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            return refuse("ANSWER_TOO_LATE", "the time to answer is over".to_owned());
        }
        if let Some(role) = &self.role
            && !roles.contains(role)
        {
            let message = format!("only people with the role {role:?} may answer, and {by} has it not in [people]");
            return refuse("ANSWER_NOT_ALLOWED", message);
        }
        if self.not_by.as_deref() == Some(by) {
            let message = format!("{by} started the run, and a second person must answer");
            return refuse("ANSWER_NOT_ALLOWED", message);
        }
        if answer.is_empty() || answer.len() > TEXT_BYTES_MAX {
            let message = format!(
                "the answer has {} bytes; 1 to {TEXT_BYTES_MAX} are allowed",
                answer.len()
            );
            return refuse("ANSWER_INVALID", message);
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == answer) {
            let message = format!("{answer:?} is none of the choices: {}", self.choices.join(", "));
            return refuse("ANSWER_INVALID", message);
        }
        Ok(())
    }
}

/// The questions that wait for an answer, oldest run first.
pub fn open(store: &dyn Store, limit: usize) -> Result<Vec<(RunId, StepNo, Question)>, StoreError> {
    let mut found = Vec::new();
    for (key, row) in store.scan(keys::questions(), limit, false)? {
        let question = Question::decode(&row)?;
        if let (Some(Place::Question { run, step }), None) = (keys::parse(&key), &question.given) {
            found.push((run, step, question));
        }
    }
    Ok(found)
}

/// Answers the question of `run` at `step`, and wakes the run. Durable when this returns.
pub fn answer(
    ground: &Ground,
    run: RunId,
    step: StepNo,
    given: Given,
    roles: &[String],
) -> Result<Result<(), Failure>, StoreError> {
    let key = keys::question(run, step);
    let Some(row) = ground.store.get(&key)? else {
        let message = format!(
            "run {} asks nothing at step {step}: `host answer` lists what is asked",
            run.short()
        );
        return Ok(Err(Failure::new("NO_SUCH_QUESTION", message)));
    };
    let mut question = Question::decode(&row)?;
    if let Err(refusal) = question.check(&given.answer, &given.by, roles, given.at_ms) {
        return Ok(Err(refusal));
    }
    question.given = Some(given);
    let mut batch = Batch::new();
    batch.require(key.clone(), Precondition::At(row.version));
    batch.put(key, question.encode());
    batch.put(keys::wake(0, run), Vec::new());
    match ground.store.commit(batch, Durability::Now) {
        Ok(_) => Ok(Ok(())),
        Err(StoreError::Conflict { .. }) => {
            let message = "somebody else answered at the same moment".to_owned();
            Ok(Err(Failure::new("ANSWERED_ALREADY", message)))
        }
        Err(error) => Err(error),
    }
}
