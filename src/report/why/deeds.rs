//! What a run's effects did to the world: which landed, are in doubt, were simulated, were not begun.

use crate::effect::Class;
use crate::id::StepNo;
use crate::journal::{Answer, Asked, Recorded, Step};
use crate::report::lines::{gist, subject};
use crate::value::Value;

/// One effect that a person would ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// `None` for what was not begun.
    pub step: Option<StepNo>,
    pub name: String,
    /// What it was about: a path, an id, a text.
    pub about: String,
    /// What came of it, or why.
    pub what: String,
}

/// The effects of a run that count: all writes, whatever was simulated, and changes of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    pub landed: Vec<Deed>,
    pub in_doubt: Vec<Deed>,
    /// Writes that certainly did nothing.
    pub not_landed: Vec<Deed>,
    /// Changes of documents and pairs that are in the store.
    pub kept: Vec<Deed>,
    pub simulated: Vec<Deed>,
    /// What usually follows, as an earlier run did it.
    pub not_begun: Vec<Deed>,
}

impl Deeds {
    pub fn of(recorded: &Recorded, before: Option<&Recorded>) -> Deeds {
        let mut deeds = Deeds::default();
        for step in recorded.steps.values() {
            let Some(answer) = answer_of(step) else { continue };
            if let Some((list, what)) = deeds.list_for(&answer) {
                list.push(deed(&answer, what));
            }
        }
        deeds.add_past(recorded);
        if let Some(before) = before {
            deeds.not_begun = usually_follows(recorded, before);
        }
        deeds
    }

    /// What landed before the run was reopened or edited has landed all the same. A step that was kept stands among the
    /// others under its new number.
    fn add_past(&mut self, recorded: &Recorded) {
        let asked_again = |asked: &Asked| {
            let mut all = recorded.steps.values().filter_map(Step::asked);
            all.any(|other| other.name == asked.name && other.args == asked.args)
        };
        for (_, step) in &recorded.past {
            match step.asked() {
                Some(asked) if step.has_landed() && !asked_again(asked) => {}
                _ => continue,
            }
            if let Some(answer) = &step.answer {
                self.landed
                    .push(deed(answer, format!("before it was resumed  {}", gist(answer))));
            }
        }
    }

    /// The list that `answer` belongs on, and what is said of it there.
    fn list_for(&mut self, answer: &Answer) -> Option<(&mut Vec<Deed>, String)> {
        let is_write = answer.asked.class == Class::Write;
        let landed = answer.error.as_ref().map(|error| error.landed);
        Some(match (&answer.simulated, landed) {
            _ if answer.in_doubt => (&mut self.in_doubt, String::new()),
            (Some(why), _) => (&mut self.simulated, why.clone()),
            (None, None) if is_write && is_assumed(answer) => (
                &mut self.landed,
                "assumed: its answer was lost, and nobody can tell".to_owned(),
            ),
            (None, None) if is_write => (&mut self.landed, gist(answer)),
            (None, Some(Some(true))) if is_write => (&mut self.landed, gist(answer)),
            (None, Some(_)) if is_write => (&mut self.not_landed, gist(answer)),
            (None, None) if changes_store(&answer.asked.name) => (&mut self.kept, String::new()),
            _ => return None,
        })
    }
}

/// The answer to a step; to one that has none, that it is in doubt if it may have been sent.
fn answer_of(step: &Step) -> Option<Answer> {
    if let Some(answer) = &step.answer {
        return Some(answer.clone());
    }
    let intent = step.intents.last()?;
    step.is_in_doubt().then(|| Answer {
        asked: intent.asked.clone(),
        at_ms: intent.at_ms,
        in_doubt: true,
        ..Answer::default()
    })
}

fn deed(answer: &Answer, what: String) -> Deed {
    Deed {
        step: Some(answer.asked.step),
        name: answer.asked.name.clone(),
        about: subject(answer),
        what,
    }
}

/// Whether its provider was not asked whether it landed, because it cannot tell.
fn is_assumed(answer: &Answer) -> bool {
    answer.value.get("assumed").and_then(Value::as_bool) == Some(true)
}

/// Whether a local effect of this name leaves something in the store.
fn changes_store(name: &str) -> bool {
    const READS: [&str; 12] = [
        "get",
        "list",
        "count",
        "query",
        "read",
        "collections",
        "peek",
        "exists",
        "scan",
        "size",
        "first",
        "stats",
    ];
    let Some((namespace, verb)) = name.split_once('.') else {
        return false;
    };
    matches!(namespace, "store" | "kv" | "queue") && !READS.contains(&verb)
}

/// What the run `before` did after it had done what `recorded` did, in order of names.
fn usually_follows(recorded: &Recorded, before: &Recorded) -> Vec<Deed> {
    let mut rest = before.steps.values().filter_map(|step| step.answer.as_ref()).peekable();
    // Each effect is looked for from where the one before it was found; one that is not found is passed over.
    for asked in recorded.steps.values().filter_map(Step::asked) {
        let mut ahead = rest.clone();
        if ahead.any(|answer| answer.asked.name == asked.name) {
            rest = ahead;
        }
    }
    let counts = |answer: &&Answer| answer.asked.class == Class::Write || changes_store(&answer.asked.name);
    rest.filter(counts)
        .map(|answer| Deed {
            step: None,
            ..deed(answer, String::new())
        })
        .collect()
}
