//! A test out of a recorded run: the world as the run found it, and what it did in it.
//!
//! Reads, providers, clock and chance answer from the record; of the store the test gets what the record shows of it.
//! Where that is not enough to do the same again, calls of the store answer from the record, too. Whoever writes a test
//! plays it first ([`differences`]): one that would not do what the run did is not written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::literal::{literal, text};
use crate::effect::{Class, Failure, ProviderMode};
use crate::gate::governance::SIGNAL_NAMES;
use crate::journal::{Answer, Outcome, Recorded, Status, Step};
use crate::namespaces::test::played::Played;
use crate::runs::past;
use crate::store::content::ScratchContent;
use crate::store::{StoreError, Tx, documents, keys, kv};
use crate::value::{Map, Value};

/// The most effects of a run out of which a test is written.
pub const EFFECTS_MAX: usize = 500;

/// The longest test that is written.
pub const BYTES_MAX: usize = 256 << 10;

/// The most documents and pairs that a test puts into the store.
const ROWS_MAX: usize = 2_000;

/// The longest arguments that are expected in the test itself; all stand in its snapshot.
const ARGS_CHARS_MAX: usize = 600;

/// Effects that do the same again by themselves, over the store that the test prepares or by its clock.
const DONE_AGAIN: [&str; 4] = ["kv.", "store.", "run.sleep", "run.note"];

/// A run out of which a test is written.
pub struct Source {
    pub recorded: Recorded,
    pub outcome: Outcome,
    steps: Vec<Step>,
}

impl Source {
    pub fn new(recorded: Recorded) -> Result<Source, Failure> {
        let outcome = recorded.outcome().or_else(|| recorded.waiting());
        let outcome = outcome.ok_or_else(|| {
            let message = "the run has no end on record: it is still running, or its host was stopped";
            Failure::new("RUN_UNFINISHED", message)
        })?;
        let steps: Vec<Step> = recorded
            .steps
            .values()
            .filter(|step| step.answer.is_some())
            .cloned()
            .collect();
        if steps.len() > EFFECTS_MAX {
            let message = format!(
                "the run has {} effects, and a test is written of {EFFECTS_MAX} at most",
                steps.len()
            );
            return Err(Failure::new("TEST_TOO_LARGE", message));
        }
        Ok(Source {
            recorded,
            outcome,
            steps,
        })
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.steps.iter().filter_map(|step| step.answer.as_ref())
    }

    /// The name of the test file: that of the playbook, and the run's.
    pub fn name(&self) -> String {
        let begun = &self.recorded.begun;
        format!("{}_{}_test", begun.playbook, begun.run.short().to_lowercase())
    }

    /// The effects that answer from the record at first: all that the world gave.
    pub fn answered(&self) -> BTreeSet<String> {
        let names = self.answers().map(|answer| &answer.asked.name);
        let is_given = |name: &&String| !DONE_AGAIN.iter().any(|own| name.starts_with(own));
        names.filter(is_given).cloned().collect()
    }

    /// The test, in which the effects in `answered` answer from the record.
    pub fn write(&self, answered: &BTreeSet<String>) -> Result<String, Failure> {
        let begun = &self.recorded.begun;
        let when = moment(begun.at_ms);
        let mut lines = Lines(format!(
            "//! Written by `host test --from-run {}`: {} as it ran on {when}.\n\nfn {}() {{\n",
            begun.run.short(),
            begun.playbook,
            self.case()
        ));
        lines.comment("The world as it was.");
        self.clock(&mut lines);
        self.gate(&mut lines);
        self.store(&mut lines)?;
        self.give(answered, &mut lines)?;
        let input = begun.input.as_map().filter(|input| !input.is_empty());
        let input = match input {
            Some(_) => format!(", {}", written(&begun.input, "the input")?),
            None => String::new(),
        };
        lines.blank();
        lines.say(format!("let run = test::run({}{input});", text(&begun.playbook)));
        lines.blank();
        lines.comment("What the run did, and how it ended. All of it is in the snapshot.");
        self.expect(&mut lines)?;
        lines.say("test::snapshot(run);".to_owned());
        lines.0.push_str("}\n");
        if lines.0.len() > BYTES_MAX {
            let message = format!(
                "the test would have {} KiB, and at most {} KiB are written",
                lines.0.len() >> 10,
                BYTES_MAX >> 10
            );
            return Err(Failure::new("TEST_TOO_LARGE", message));
        }
        Ok(lines.0)
    }

    /// The name of the case.
    pub fn case(&self) -> String {
        let begun = &self.recorded.begun;
        let word = begun.playbook.rsplit('/').next().unwrap_or_default();
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        let word: String = word.chars().map(plain).collect();
        let date: String = moment(begun.at_ms).chars().take(10).map(plain).collect();
        format!("test_{word}_does_what_it_did_on_{date}")
    }

    /// The run's own id is given where the run has told it to somebody.
    fn clock(&self, lines: &mut Lines) {
        let begun = &self.recorded.begun;
        let id = begun.run.to_string();
        let tells = |answer: &Answer| holds_text(&answer.asked.args, &id) || holds_text(&answer.value, &id);
        if self.answers().any(tells) || holds_text(&self.outcome.value, &id) {
            lines.say(format!("test::id({});", text(&id)));
        } else {
            lines.say(format!("test::at({});", text(&moment(begun.at_ms))));
        }
    }

    /// Which providers were live, and what governance said.
    fn gate(&self, lines: &mut Lines) {
        let is_used = |provider: &str| {
            let prefix = provider.split(['.', '-', '_']).next().unwrap_or(provider);
            self.answers()
                .any(|answer| answer.simulated.is_none() && answer.asked.name.split('.').next() == Some(prefix))
        };
        for (provider, mode) in &self.recorded.begun.mode.providers {
            if *mode == ProviderMode::Live && is_used(provider) {
                lines.say(format!("test::live({});", text(provider)));
            }
        }
        let intents = self.steps.iter().flat_map(|step| &step.intents);
        let decided = intents.filter_map(|intent| intent.decision.as_deref());
        let refused = self.answers().filter_map(|answer| answer.decision.as_deref());
        let decisions: Vec<&str> = decided.chain(refused).collect();
        if decisions.is_empty() {
            return;
        }
        let is_given = |name: &&str| {
            !decisions
                .iter()
                .any(|decision| decision.contains(name) && decision.contains("missing"))
        };
        let given: Vec<String> = SIGNAL_NAMES
            .iter()
            .filter(|name| is_given(name))
            .map(|name| text(name))
            .collect();
        match given.len() {
            0 => {}
            3 => lines.say("test::approve();".to_owned()),
            _ => lines.say(format!("test::approve([{}]);", given.join(", "))),
        }
    }

    /// What the record shows of the store before the run.
    fn store(&self, lines: &mut Lines) -> Result<(), Failure> {
        let content: Arc<dyn crate::store::content::Content> = Arc::new(ScratchContent::in_memory(None));
        let failure = |error: StoreError| Failure::new(error.code(), error.to_string());
        let remembered = past::remember(&self.recorded, &content).map_err(failure)?;
        let ground = past::over(&remembered.store, &content);
        let realm = self.recorded.begun.mode.realm();
        let mut tx = Tx::new(&ground, realm, self.recorded.begun.at_ms);
        let mut count = 0;
        for prefix in [keys::kv_prefix(realm, ""), keys::documents_prefix(realm)] {
            let rows = remembered.store.scan(keys::prefix_range(prefix), ROWS_MAX + 1, false);
            for (key, _) in rows.map_err(failure)? {
                count += 1;
                if count > ROWS_MAX {
                    let message = format!("the run read more than {ROWS_MAX} documents and pairs");
                    return Err(Failure::new("TEST_TOO_LARGE", message));
                }
                match keys::parse(&key) {
                    Some(keys::Place::Kv { key, .. }) => {
                        if let Some(value) = kv::get(&mut tx, &key).map_err(failure)? {
                            lines.say(format!("kv::put({}, {});", text(&key), written(&value, &key)?));
                        }
                    }
                    Some(keys::Place::Document { collection, id, .. }) => {
                        let Some(document) = documents::get(&mut tx, &collection, &id).map_err(failure)? else {
                            continue;
                        };
                        let data = written(&Value::Map(document.data), &id)?;
                        let (collection, id) = (text(&collection), text(&id));
                        lines.say(match document.version {
                            1 => format!("store::put({collection}, {id}, {data});"),
                            version => format!("test::document({collection}, {id}, {data}, {version});"),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What the world answered, in turn.
    fn give(&self, answered: &BTreeSet<String>, lines: &mut Lines) -> Result<(), Failure> {
        let mut replies: BTreeMap<&str, Vec<Reply<'_>>> = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        for step in &self.steps {
            let answer = step.answer.as_ref().expect("those without were left out");
            let name = answer.asked.name.as_str();
            if !answered.contains(name) {
                continue;
            }
            if !replies.contains_key(name) {
                order.push(name);
            }
            let replies = replies.entry(name).or_default();
            let attempts = step.attempts.iter().filter(|_| answer.simulated.is_none());
            for attempt in attempts {
                replies.push(Reply::fault(&attempt.error, attempt.in_doubt, true));
            }
            replies.push(match (&answer.error, assumed(answer)) {
                (_, Some(failure)) => Reply::fault(&failure, true, true),
                (Some(error), _) if refused_here(answer, error) => continue,
                (Some(error), _) => Reply::fault(error, answer.in_doubt, false),
                (None, _) => Reply::Value(&answer.value),
            });
        }
        for name in order {
            match replies[name].as_slice() {
                [] => {}
                [one] => lines.say(format!("test::answer({}, {});", text(name), one.written(name, 4)?)),
                several => {
                    let item = |reply: &Reply<'_>| Ok(format!("        {},\n", reply.written(name, 8)?));
                    let items: String = several.iter().map(item).collect::<Result<_, Failure>>()?;
                    lines.say(format!("test::answers({}, [\n{items}    ]);", text(name)));
                }
            }
        }
        Ok(())
    }

    /// What it sent, and how it ended.
    fn expect(&self, lines: &mut Lines) -> Result<(), Failure> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for answer in self.answers() {
            let name = answer.asked.name.as_str();
            let index = counts.entry(name).or_default();
            let at = match *index {
                0 => String::new(),
                index => format!(", {index}"),
            };
            *index += 1;
            let args = &answer.asked.args;
            if answer.asked.class == Class::Write && args.to_string().chars().count() <= ARGS_CHARS_MAX {
                let args = written(args, name)?;
                lines.say(format!("test::equal(run.effect({}{at}).args, {args});", text(name)));
            }
        }
        match (&self.outcome.status, &self.outcome.error) {
            (Status::Succeeded, _) => {
                lines.say(format!(
                    "test::equal(run.value, {});",
                    written(&self.outcome.value, "the result")?
                ));
            }
            (_, Some(error)) => lines.say(format!("test::failed(run, {});", text(&error.failure.code))),
            (status, None) => lines.say(format!("test::equal(run.status, {});", text(status.code()))),
        }
        Ok(())
    }

    /// In what the run that was played differs from the recorded one: a line for each, with the effect it is about.
    pub fn differences(&self, played: &Played) -> Vec<Difference> {
        let mut found = Vec::new();
        let inner = played.get();
        let mut now = inner.effects.iter();
        for then in self.answers() {
            let (step, name) = (then.asked.step, &then.asked.name);
            let Some(now) = now.next() else {
                found.push(Difference::new(
                    then,
                    format!("step {step}, {name}, is not asked for any more"),
                ));
                break;
            };
            if now.asked.name != *name {
                let message = format!("step {step} was {name}, and is {}", now.asked.name);
                found.push(Difference::new(then, message));
                break;
            }
            if now.asked.args != then.asked.args {
                found.push(Difference::new(
                    then,
                    format!("step {step}, {name}, is asked for with other arguments"),
                ));
            }
            let code = |answer: &Answer| answer.error.as_ref().map(|error| error.code.clone());
            if !now.value.means(&then.value) || code(now) != code(then) {
                found.push(Difference::new(
                    then,
                    format!("step {step}, {name}, is answered otherwise"),
                ));
            }
        }
        if let Some(more) = now.next() {
            found.push(Difference::new(more, format!("it goes on with {}", more.asked.name)));
        }
        let code = |outcome: &Outcome| outcome.error.as_ref().map(|error| error.failure.code.clone());
        let (then, now) = (&self.outcome, &inner.outcome);
        if then.status != now.status || code(then) != code(now) || !now.value.means(&then.value) {
            let message = format!("it ended as {}, and now it {}", then.status, played.ending());
            found.push(Difference {
                name: String::new(),
                message,
            });
        }
        found
    }
}

/// In what a run that was played differs.
pub struct Difference {
    /// The effect that it is about, if it is about one.
    pub name: String,
    pub message: String,
}

impl Difference {
    fn new(answer: &Answer, message: String) -> Difference {
        Difference {
            name: answer.asked.name.clone(),
            message,
        }
    }

    /// Whether the record could answer for this effect instead.
    pub fn can_be_answered(&self) -> bool {
        !self.name.is_empty() && self.message.ends_with("is answered otherwise")
    }
}

/// The lines of a test.
struct Lines(String);

impl Lines {
    fn say(&mut self, line: String) {
        self.0.push_str(&format!("    {line}\n"));
    }

    fn comment(&mut self, words: &str) {
        self.say(format!("// {words}"));
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }
}

fn written(value: &Value, whose: &str) -> Result<String, Failure> {
    written_at(value, whose, 4)
}

fn written_at(value: &Value, whose: &str, indent: usize) -> Result<String, Failure> {
    literal(value, indent).ok_or_else(|| {
        let message = format!("{whose} holds bytes, and a test has no way to write them");
        Failure::new("TEST_NOT_REPRODUCED", message)
    })
}

/// One answer of the world.
enum Reply<'a> {
    Value(&'a Value),
    /// What `test::fault` is given.
    Fault(Value),
}

impl<'a> Reply<'a> {
    fn fault(failure: &Failure, in_doubt: bool, passing: bool) -> Reply<'a> {
        let mut map = Map::from([
            ("code".to_owned(), Value::from(failure.code.as_str())),
            ("message".to_owned(), Value::from(failure.message.as_str())),
            ("passing".to_owned(), Value::Bool(passing)),
        ]);
        if let Some(status) = failure.status {
            map.insert("status".to_owned(), Value::Int(i64::from(status)));
        }
        if let Some(ms) = failure.retry_after_ms {
            map.insert("retry_after".to_owned(), Value::from(format!("{ms}ms")));
        }
        if !failure.details.is_unit() {
            map.insert("details".to_owned(), failure.details.clone());
        }
        let landed = match failure.landed {
            _ if in_doubt => Value::from("unknown"),
            Some(landed) => Value::Bool(landed),
            None => Value::Bool(false),
        };
        map.insert("landed".to_owned(), landed);
        Reply::Fault(Value::Map(map))
    }

    fn written(&self, whose: &str, indent: usize) -> Result<String, Failure> {
        match self {
            Reply::Value(value) => written_at(value, whose, indent),
            Reply::Fault(fault) => Ok(format!("test::fault({})", written_at(fault, whose, indent)?)),
        }
    }
}

/// The fault behind an answer that is taken for landed because nobody can tell.
fn assumed(answer: &Answer) -> Option<Failure> {
    if answer.value.get("assumed").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    let reason = answer.value.get("reason").and_then(Value::as_str)?;
    let (code, message) = reason.split_once(": ")?;
    Some(Failure::new(code, message))
}

/// Whether the gate refused it without asking anybody: it does so again.
fn refused_here(answer: &Answer, error: &Failure) -> bool {
    const OWN: [&str; 7] = [
        "NOT_IN_USES",
        "SWITCHED_OFF",
        "PUBLISH_REFUSED",
        "CIRCUIT_OPEN",
        "RATE_LIMITED",
        "GENERATION_IN_PROGRESS",
        "POLL_WRITES",
    ];
    answer.simulated.is_none() && OWN.contains(&error.code.as_str())
}

fn holds_text(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Text(said) => said.contains(wanted),
        Value::List(items) => items.iter().any(|item| holds_text(item, wanted)),
        Value::Map(map) => map
            .iter()
            .any(|(name, value)| name.contains(wanted) || holds_text(value, wanted)),
        _ => false,
    }
}

fn moment(unix_ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
