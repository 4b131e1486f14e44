//! The audit log is kept: its end is noted where the store's file does not reach, and what is old enough goes.
//!
//! What was noted last is looked up in the chain before more is noted, also after a restart: a chain that does not hold it
//! was cut off or written anew. Nothing here reads a clock.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::io::{keeping, whole};
use crate::journal::audit::noted::{self, Holds, Noted, holds};
use crate::journal::audit::{Actor, AuditError, KEPT_DAYS_MIN, Via, head, prune};
use crate::store::{Store, StoreError};

/// The largest file of noted heads that is read: one an hour makes it in decades.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// How often it is looked for acts that are old enough to go.
const PRUNES_EVERY_MS: i64 = 24 * 3_600_000;

/// The shortest time between two notes.
const EVERY_MS_MIN: i64 = 1000;

/// `[audit]` in host.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// How long acts are kept; empty: for good. Never less than 548 days.
    pub kept: String,
    /// A file, best on another disk or machine, in which the end of the audit log is noted; empty: it is in the log alone.
    pub head_file: String,
    /// How often.
    pub head_every: String,
}

impl Default for AuditSettings {
    fn default() -> AuditSettings {
        AuditSettings {
            kept: format!("{KEPT_DAYS_MIN}d"),
            head_file: String::new(),
            head_every: "1h".to_owned(),
        }
    }
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub kept_days: Option<u32>,
    pub head_file: Option<PathBuf>,
    pub head_every_ms: i64,
}

impl AuditSettings {
    /// The error names the key.
    pub fn rules(&self, root: &Path) -> Result<Rules, (String, String)> {
        let bad = |key: &str, reason: String| (format!("[audit] {key}"), reason);
        let length = |key: &str, text: &str| {
            let length = crate::duration::parse(text).map_err(|error| bad(key, error.to_string()))?;
            Ok::<i64, (String, String)>(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
        };
        let kept_days = match self.kept.is_empty() {
            true => None,
            false => {
                let days = length("kept", &self.kept)? / 86_400_000;
                let days = u32::try_from(days).unwrap_or(u32::MAX);
                if days < KEPT_DAYS_MIN {
                    let reason = format!(
                        "acts are kept for {KEPT_DAYS_MIN} days at least, and it says {}",
                        self.kept
                    );
                    return Err(bad("kept", reason));
                }
                Some(days)
            }
        };
        let head_every_ms = length("head_every", &self.head_every)?;
        if head_every_ms < EVERY_MS_MIN {
            let reason = format!("{:?} is less than a second", self.head_every);
            return Err(bad("head_every", reason));
        }
        Ok(Rules {
            kept_days,
            head_file: (!self.head_file.is_empty()).then(|| root.join(&self.head_file)),
            head_every_ms,
        })
    }
}

/// Why the audit log is not kept as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("{}: {reason}", path.display())]
    HeadFile { path: PathBuf, reason: String },
}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> RecordError {
        RecordError::Audit(error.into())
    }
}

impl RecordError {
    pub fn code(&self) -> &'static str {
        match self {
            RecordError::Audit(error) => error.code(),
            RecordError::HeadFile { .. } => "AUDIT_HEAD_FILE",
        }
    }
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The end of the log is this now.
    Ends(Noted),
    /// What was noted is not in the chain any more; an act says that a restore cut it off, or nothing does.
    Cut {
        noted: Noted,
        restore: Option<u64>,
    },
    Pruned {
        acts: u64,
    },
}

/// What was noted in `file`; nothing where there is none yet.
pub fn noted_in(file: &Path) -> Result<Vec<Noted>, RecordError> {
    let wrong = |reason: String| RecordError::HeadFile {
        path: file.to_owned(),
        reason,
    };
    if !file.exists() {
        return Ok(Vec::new());
    }
    let bytes = whole::read(file, FILE_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| wrong(format!("it has more than {FILE_BYTES_MAX} bytes; begin another one")))?;
    noted::read(&String::from_utf8_lossy(&bytes)).map_err(wrong)
}

/// Remembers what was noted last.
#[derive(Default)]
pub struct Recorder {
    noted: Option<Noted>,
    /// Whether the file was read from which `noted` comes.
    read: Option<PathBuf>,
    looked_ms: Option<i64>,
    pruned_ms: Option<i64>,
}

impl Recorder {
    /// Does what is due at `now_ms`; with `is_last` the end is noted in any case.
    pub fn turn(
        &mut self,
        store: &dyn Store,
        rules: &Rules,
        now_ms: i64,
        is_last: bool,
    ) -> Result<Vec<Found>, RecordError> {
        let is_due = |last_ms: Option<i64>, every_ms: i64| {
            last_ms.is_none_or(|last_ms| now_ms < last_ms || now_ms - last_ms >= every_ms)
        };
        let mut found = Vec::new();
        if let Some(days) = rules.kept_days
            && !is_last
            && is_due(self.pruned_ms, PRUNES_EVERY_MS)
        {
            self.pruned_ms = Some(now_ms);
            let actor = Actor::new("(host)", Via::Host, "");
            match prune::prune(store, &actor, days, now_ms)? {
                0 => {}
                acts => found.push(Found::Pruned { acts }),
            }
        }
        if is_last || is_due(self.looked_ms, rules.head_every_ms) {
            self.looked_ms = Some(now_ms);
            self.note(store, rules, now_ms, &mut found)?;
        }
        Ok(found)
    }

    fn note(
        &mut self,
        store: &dyn Store,
        rules: &Rules,
        now_ms: i64,
        found: &mut Vec<Found>,
    ) -> Result<(), RecordError> {
        if let Some(file) = rules.head_file.as_ref().filter(|file| self.read.as_ref() != Some(file)) {
            self.noted = noted_in(file)?.pop().or(self.noted.take());
            self.read = Some(file.clone());
        }
        if let Some(noted) = &self.noted {
            let restore = match holds(store, noted)? {
                Holds::Yes => None,
                Holds::CutByRestore(number) => Some(Some(number)),
                Holds::No => Some(None),
            };
            if let Some(restore) = restore {
                let noted = noted.clone();
                found.push(Found::Cut { noted, restore });
                // Told once; what follows is measured by what is there now.
                self.noted = None;
            }
        }
        let Some(head) = head(store)? else { return Ok(()) };
        if self.noted.as_ref().is_some_and(|noted| noted.head == head) {
            return Ok(());
        }
        let noted = Noted { at_ms: now_ms, head };
        if let Some(file) = &rules.head_file {
            let written = keeping::append_line(file, &noted.to_string(), noted::CUT);
            written.map_err(|error| RecordError::HeadFile {
                path: file.clone(),
                reason: error.to_string(),
            })?;
        }
        self.noted = Some(noted.clone());
        found.push(Found::Ends(noted));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::audit::{Act, record};
    use crate::store::Durability;
    use crate::store::engine::Engine;

    const DAY_MS: i64 = 24 * 3_600_000;

    fn act(store: &dyn Store, at_ms: i64) {
        let ann = Actor::new("ann", Via::Cli, "c");
        record(store, Durability::Soon, &ann, &Act::new("kv.set", "a"), at_ms).unwrap();
    }

    fn rules(file: Option<PathBuf>) -> Rules {
        Rules {
            head_file: file,
            ..AuditSettings::default().rules(Path::new("")).unwrap()
        }
    }

    #[test]
    fn the_end_is_noted_when_it_has_moved_and_not_more_often_than_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heads");
        let store = Engine::in_memory().unwrap();
        let mut recorder = Recorder::default();
        let rules = rules(Some(file.clone()));
        let mut turn = |at_ms: i64| recorder.turn(&store, &rules, at_ms, false).unwrap().len();
        assert_eq!(turn(0), 0, "there is no act yet");
        act(&store, 1);
        assert_eq!(turn(1), 0, "it is not due");
        assert_eq!(turn(3_600_000), 1);
        assert_eq!(turn(7_200_000), 0, "it has not moved");
        act(&store, 2);
        assert_eq!(turn(10_800_000), 1);
        act(&store, 3);
        recorder.turn(&store, &rules, 10_800_001, true).unwrap();
        let numbers: Vec<u64> = noted_in(&file).unwrap().iter().map(|noted| noted.head.number).collect();
        assert_eq!(numbers, [1, 2, 3], "the last one when the host stops");
    }

    #[test]
    fn a_chain_that_was_cut_off_or_written_anew_is_noticed_also_after_a_restart_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules(Some(folder.path().join("heads")));
        let store = Engine::in_memory().unwrap();
        (0..5).for_each(|at_ms| act(&store, at_ms));
        Recorder::default().turn(&store, &rules, 10, false).unwrap();
        let forged = Engine::in_memory().unwrap();
        (0..9).for_each(|at_ms| act(&forged, at_ms + 1));
        let mut recorder = Recorder::default();
        let found = recorder.turn(&forged, &rules, 20, false).unwrap();
        assert!(
            matches!(&found[0], Found::Cut { noted, restore: None } if noted.head.number == 5),
            "{found:?}"
        );
        assert!(matches!(&found[1], Found::Ends(noted) if noted.head.number == 9));
        assert_eq!(recorder.turn(&forged, &rules, 20 + 3_600_000, false).unwrap(), []);
        let empty = Engine::in_memory().unwrap();
        let found = Recorder::default().turn(&empty, &rules, 30, false).unwrap();
        assert!(matches!(found[..], [Found::Cut { .. }]), "{found:?}");
    }

    #[test]
    fn what_is_older_than_eighteen_months_goes_by_itself_once_a_day() {
        let store = Engine::in_memory().unwrap();
        act(&store, 0);
        act(&store, 100 * DAY_MS);
        let mut recorder = Recorder::default();
        let mut turn = |day: i64| recorder.turn(&store, &rules(None), day * DAY_MS, false).unwrap();
        let is_pruned = |found: &[Found]| found.iter().any(|found| matches!(found, Found::Pruned { acts: 1 }));
        assert!(!is_pruned(&turn(548)));
        assert!(is_pruned(&turn(549)));
        assert!(!is_pruned(&turn(549)), "it was looked today");
        assert!(is_pruned(&turn(700)));
        let verdict = crate::journal::audit::verify::verify(&store, None).unwrap();
        assert!(verdict.is_sound(), "{:?}", verdict.faults);
    }

    #[test]
    fn nobody_can_have_acts_go_sooner() {
        let kept = |text: &str| AuditSettings {
            kept: text.to_owned(),
            ..AuditSettings::default()
        };
        assert_eq!(kept("90d").rules(Path::new("")).unwrap_err().0, "[audit] kept");
        assert_eq!(kept("").rules(Path::new("")).unwrap().kept_days, None);
        assert_eq!(kept("1000d").rules(Path::new("")).unwrap().kept_days, Some(1000));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_ended_and_the_next_one_stands_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heads");
        let text_of = |file: &Path| String::from_utf8(whole::read(file, 1 << 20).unwrap().unwrap()).unwrap();
        let rules = rules(Some(file.clone()));
        let store = Engine::in_memory().unwrap();
        for (number, cut_to) in [(1, 0), (2, 30), (3, 90), (4, 91)] {
            act(&store, number);
            Recorder::default().turn(&store, &rules, number, false).unwrap();
            let text = text_of(&file);
            let begins = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
            let cut = if cut_to == 0 { text.len() } else { begins + cut_to };
            whole::write(&file, &text.as_bytes()[..cut], true).unwrap();
        }
        act(&store, 9);
        Recorder::default().turn(&store, &rules, 9, false).unwrap();
        let numbers: Vec<u64> = noted_in(&file).unwrap().iter().map(|noted| noted.head.number).collect();
        assert_eq!(numbers, [1, 5], "{}", text_of(&file));
    }

    #[test]
    fn a_file_that_says_something_else_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heads");
        keeping::append(&file, b"something else\n").unwrap();
        let store = Engine::in_memory().unwrap();
        act(&store, 0);
        let refused = Recorder::default().turn(&store, &rules(Some(file.clone())), 0, false);
        assert_eq!(refused.unwrap_err().code(), "AUDIT_HEAD_FILE");
        assert_eq!(keeping::bytes(&file).unwrap(), 15);
    }
}
