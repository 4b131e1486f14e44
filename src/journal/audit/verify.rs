//! Finds acts that were altered, left out, put in or moved.

use serde::Serialize;

use super::look;
use super::prune::PRUNED;
use super::{AuditError, Checkpoint, GENESIS, Head, checkpoint, hash, head};
use crate::store::Store;

/// Faults that are told of; where so many are, the rest is no news.
const FAULTS_MAX: usize = 20;

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The act, or the place where one is missing.
    pub number: u64,
    pub reason: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub acts: u64,
    /// The number of the first act that is kept.
    pub first: Option<u64>,
    pub head: Option<Head>,
    pub faults: Vec<Fault>,
}

impl Verdict {
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds what is wrong at `number`.
    pub fn fault(&mut self, number: u64, reason: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                number,
                reason: reason.into(),
            });
        }
    }
}

/// Goes along lines, and remembers what the next must hold.
struct Walk {
    verdict: Verdict,
    /// The act before, as it was found: its hash is reckoned from its bytes.
    before: Option<Head>,
    /// What the last pruning says was taken away.
    pruned: Option<Head>,
    /// The line with the number of a head that somebody noted.
    noted: Option<Head>,
    wanted: Option<Head>,
}

impl Walk {
    fn after(before: Option<Head>, wanted: Option<Head>) -> Walk {
        Walk {
            verdict: Verdict::default(),
            before,
            pruned: None,
            noted: None,
            wanted,
        }
    }

    fn step(&mut self, line: &[u8]) {
        self.verdict.acts += 1;
        let entry = match look::read(line) {
            Ok(entry) => entry,
            Err(error) => {
                let number = self.before.as_ref().map_or(1, |before| before.number + 1);
                self.verdict.fault(number, error.to_string());
                // What follows names the hash of what stood here.
                self.before = Some(Head {
                    number,
                    hash: hash(line),
                });
                return;
            }
        };
        self.verdict.first.get_or_insert(entry.number);
        if let Some(before) = &self.before {
            let expected = before.number + 1;
            if entry.number != expected {
                let reason = match entry.number > expected {
                    true => format!("acts {expected} to {} are missing", entry.number - 1),
                    false => format!("act {} stands where {expected} belongs", entry.number),
                };
                self.verdict.fault(expected, reason);
            } else if entry.prev != before.hash {
                let reason = format!(
                    "act {} is not as it was written: act {} names another hash",
                    before.number, entry.number
                );
                self.verdict.fault(before.number, reason);
            }
        }
        if entry.what == PRUNED {
            let text = |name: &str| entry.details.get(name).and_then(serde_json::Value::as_str);
            let number = entry.details.get("up_to").and_then(serde_json::Value::as_u64);
            if let (Some(number), Some(hash)) = (number, text("hash")) {
                self.pruned = Some(Head {
                    number,
                    hash: hash.to_owned(),
                });
            }
        }
        let head = Head {
            number: entry.number,
            hash: hash(line),
        };
        if self.wanted.as_ref().is_some_and(|wanted| wanted.number == head.number) {
            self.noted = Some(head.clone());
        }
        self.before = Some(head);
    }

    /// Compares with a head that was noted elsewhere.
    fn compare(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let number = wanted.number;
        match &self.noted {
            Some(noted) if noted == wanted => {}
            Some(_) => self
                .verdict
                .fault(number, "the act has another hash than the one that was noted"),
            None if self.verdict.first.is_some_and(|first| first > number) => {
                let reason = "the act that was noted is older than what is kept; note a later one";
                self.verdict.fault(number, reason);
            }
            None => self.verdict.fault(number, "the act that was noted is missing"),
        }
    }
}

/// How often it is gone along anew because acts were taken away meanwhile.
const ANEW_MAX: u32 = 3;

/// Verifies the whole chain; with `noted`, also that it still holds that head.
pub fn verify(store: &dyn Store, noted: Option<Head>) -> Result<Verdict, AuditError> {
    let mut anew = 0;
    loop {
        let begin = checkpoint(store)?;
        let verdict = verify_from(store, begin.clone(), noted.clone())?;
        if verdict.is_sound() || anew == ANEW_MAX || checkpoint(store)? == begin {
            return Ok(verdict);
        }
        anew += 1;
    }
}

fn verify_from(store: &dyn Store, begin: Option<Checkpoint>, noted: Option<Head>) -> Result<Verdict, AuditError> {
    let end = head(store)?;
    let before = match &begin {
        Some(Checkpoint { up_to, .. }) => up_to.clone(),
        None => Head {
            number: 0,
            hash: GENESIS.to_owned(),
        },
    };
    let mut walk = Walk::after(Some(before), noted);
    let last = end.as_ref().map_or(0, |end| end.number);
    let mut beyond = false;
    look::lines(store, 0, &mut |line| {
        // What was added since the look at the head is for the next time.
        let number = look::read(line).map(|entry| entry.number);
        if number.is_ok_and(|number| number > last) {
            beyond = true;
        } else {
            walk.step(line);
        }
        Ok(())
    })?;
    let found = walk.before.clone().unwrap_or_else(Head::genesis);
    match &end {
        Some(end) if found.number < end.number => {
            let reason = format!("acts {} to {} are missing", found.number + 1, end.number);
            walk.verdict.fault(found.number + 1, reason);
        }
        Some(end) if found != *end => {
            let reason = format!(
                "act {} is not as it was written: the head names another hash",
                found.number
            );
            walk.verdict.fault(found.number, reason);
        }
        None if walk.verdict.acts > 0 || begin.is_some() => walk.verdict.fault(0, "the head is missing"),
        _ => {}
    }
    if beyond && head(store)? == end {
        walk.verdict.fault(last + 1, "acts stand beyond the head");
    }
    if begin.as_ref().map(|begin| &begin.up_to) != walk.pruned.as_ref() {
        let number = begin.map_or(0, |begin| begin.up_to.number);
        let reason = "the checkpoint is not the one that the last pruning wrote down";
        walk.verdict.fault(number, reason);
    }
    walk.compare();
    walk.verdict.head = end;
    Ok(walk.verdict)
}

/// Verifies exported lines by themselves: that each follows from the one before.
pub fn verify_lines(lines: impl Iterator<Item = Vec<u8>>, noted: Option<Head>) -> Verdict {
    let mut walk = Walk::after(None, noted);
    for line in lines.filter(|line| !line.is_empty()) {
        walk.step(&line);
    }
    walk.compare();
    walk.verdict.head = walk.before;
    walk.verdict
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Head, String> {
        let shown = || text.chars().take(90).collect::<String>();
        let form = || {
            format!(
                "{:?} is no head; it looks like 17:4f2a…, as `host audit verify` shows it",
                shown()
            )
        };
        let (number, hash) = text.split_once(':').ok_or_else(form)?;
        let number = number.parse().map_err(|_| form())?;
        if hash.len() != GENESIS.len() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(form());
        }
        Ok(Head {
            number,
            hash: hash.to_ascii_lowercase(),
        })
    }
}
