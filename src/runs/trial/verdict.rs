//! What came of a case.

use std::time::Duration;

use super::snapshot::Taken;
use crate::namespaces::test::played::Played;
use crate::script::Diagnosis;
use crate::value::Value;

/// A case that was run.
#[derive(Clone)]
pub struct CaseResult {
    /// `playbooks/daily/publish_test.rhai`.
    pub file: String,
    /// The function.
    pub case: String,
    pub took: Duration,
    pub verdict: Verdict,
    /// What it compared with what is kept, or would keep.
    pub taken: Vec<Taken>,
    /// The runs that it played.
    pub played: Vec<Played>,
    /// What it printed and logged, each on a line.
    pub said: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Verdict {
    Passed,
    Failed(Box<Complaint>),
    /// It was not run, because another had failed.
    Skipped,
}

/// Why a case failed.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// What and where, in the test or in the playbook.
    pub diagnosis: Diagnosis,
    pub notes: Vec<String>,
    /// What there is and what should be, when both are known.
    pub difference: Option<Difference>,
}

/// Two texts that should be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub expected: String,
    pub actual: String,
}

impl Complaint {
    pub fn new(diagnosis: Diagnosis) -> Complaint {
        Complaint {
            diagnosis,
            notes: Vec::new(),
            difference: None,
        }
    }

    pub fn note(mut self, note: impl Into<String>) -> Complaint {
        self.notes.push(note.into());
        self
    }
}

impl Difference {
    /// What an expectation left beside its failure.
    pub fn of_details(details: &Value) -> Option<Difference> {
        let shown = |name: &str| {
            let value = details.get(name)?;
            Some(match value {
                Value::Text(text) if text.is_empty() || text.contains('\n') => text.clone(),
                value => serde_json::to_string_pretty(&value.to_json()).expect("values are plain data"),
            })
        };
        let (expected, actual) = (shown("expected")?, shown("actual")?);
        // On one line each, the message quotes both.
        let is_short = |text: &str| !text.contains('\n') && text.chars().count() <= 60;
        (!is_short(&expected) || !is_short(&actual)).then_some(Difference { expected, actual })
    }
}

impl CaseResult {
    pub fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::Passed)
    }

    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }
}
