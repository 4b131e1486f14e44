//! Who has an incident in hand, until when, and to whom it goes when nobody solves it in time.
//!
//! An incident rises by itself: when the time that its owner named has passed, or, without one, when it has been at its
//! level, or in one pair of hands, for as long as the ladder allows. Pure: it reads no clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AUTHOR_CHARS_MAX, HOST, Happened, Incident, IncidentError, State};
use crate::id::RunId;

/// How high an incident has risen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    #[default]
    L1,
    L2,
    L3,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::L1, Level::L2, Level::L3];
    pub const HIGHEST: Level = Level::L3;

    fn next(self) -> Option<Level> {
        Level::ALL.into_iter().find(|level| *level > self)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::L1 => "L1",
            Level::L2 => "L2",
            Level::L3 => "L3",
        })
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        let is_it = |level: &Level| level.to_string().eq_ignore_ascii_case(text);
        let found = Level::ALL.into_iter().find(is_it);
        found.ok_or_else(|| format!("{text:?} is no level; there are L1, L2 and L3"))
    }
}

/// Who has an incident in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Duty {
    pub owner: Option<String>,
    pub level: Level,
    /// When it came to this level or owner, in Unix milliseconds.
    pub since_ms: i64,
    /// When its owner expects it to be solved.
    pub eta_ms: Option<i64>,
}

impl Duty {
    pub(super) fn since(at_ms: i64) -> Duty {
        Duty {
            since_ms: at_ms,
            ..Duty::default()
        }
    }
}

/// `[escalation]` in host.toml: who stands on which level, and how long an incident stays there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ladder {
    #[serde(rename = "L1")]
    pub l1: Rung,
    #[serde(rename = "L2")]
    pub l2: Rung,
    #[serde(rename = "L3")]
    pub l3: Rung,
}

/// One level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rung {
    pub title: String,
    /// Who may be asked there.
    pub people: Vec<String>,
    /// How long an incident may stay before it rises by itself; empty: as long as it takes.
    pub within: String,
}

impl Default for Ladder {
    fn default() -> Ladder {
        let rung = |title: &str| Rung {
            title: title.to_owned(),
            ..Rung::default()
        };
        Ladder {
            l1: rung("on-call engineer"),
            l2: rung("automation owner"),
            l3: rung("product and compliance lead"),
        }
    }
}

impl Ladder {
    pub fn rung(&self, level: Level) -> &Rung {
        match level {
            Level::L1 => &self.l1,
            Level::L2 => &self.l2,
            Level::L3 => &self.l3,
        }
    }

    /// Whether an incident can rise by itself at all, but for a time that its owner named.
    pub fn has_timers(&self) -> bool {
        Level::ALL.into_iter().any(|level| self.within_ms(level).is_some())
    }

    fn within_ms(&self, level: Level) -> Option<i64> {
        let within = crate::duration::parse(&self.rung(level).within).ok()?;
        i64::try_from(within.as_millis()).ok()
    }

    /// What is wrong with it, with the key.
    pub fn check(&self) -> Result<(), (String, String)> {
        for level in Level::ALL {
            let within = &self.rung(level).within;
            if !within.is_empty() {
                let wrong =
                    |error: crate::duration::BadDuration| (format!("[escalation] {level} within"), error.to_string());
                crate::duration::parse(within).map_err(wrong)?;
            }
        }
        Ok(())
    }
}

/// When an incident rises by itself, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    pub at_ms: i64,
    pub why: String,
}

impl Incident {
    /// Gives it into the hands of `owner`, who expects it to be solved at `eta_ms`.
    pub fn assign(&mut self, owner: &str, eta_ms: Option<i64>, by: &str, at_ms: i64) -> Result<(), IncidentError> {
        self.must_be_open()?;
        let owner = owner.trim();
        if owner.is_empty() {
            return Err(IncidentError::Empty("the owner"));
        }
        super::within("the owner (in characters)", owner.chars().count(), AUTHOR_CHARS_MAX)?;
        if let Some(eta_ms) = eta_ms.filter(|eta_ms| *eta_ms <= at_ms) {
            let passed = chrono::DateTime::from_timestamp_millis(eta_ms).unwrap_or_default();
            return Err(IncidentError::EtaPassed(
                passed.format("%Y-%m-%d %H:%M UTC").to_string(),
            ));
        }
        self.duty = Duty {
            owner: Some(owner.to_owned()),
            since_ms: at_ms,
            eta_ms,
            ..self.duty
        };
        let owner = owner.to_owned();
        self.happened(Happened::Assigned { owner, eta_ms }, by, at_ms)
    }

    /// Raises it to `to`, or one level: it is nobody's there until somebody takes it.
    pub fn escalate(&mut self, to: Option<Level>, why: &str, by: &str, at_ms: i64) -> Result<Level, IncidentError> {
        self.must_be_open()?;
        super::within("the reason (in bytes)", why.len(), super::NOTE_BYTES_MAX)?;
        let from = self.duty.level;
        let to = to.or(from.next()).filter(|to| *to != from);
        let to = to.ok_or(IncidentError::Level {
            id: self.id,
            level: from,
        })?;
        self.duty = Duty {
            level: to,
            ..Duty::since(at_ms)
        };
        let why = why.trim().to_owned();
        self.happened(Happened::Escalated { from, to, why }, by, at_ms)?;
        Ok(to)
    }

    /// Notes that `playbook` was run to solve it, and holds its run.
    pub fn procedure(&mut self, playbook: &str, run: RunId, by: &str, at_ms: i64) -> Result<(), IncidentError> {
        self.pin(&[run], by, at_ms)?;
        let playbook = playbook.to_owned();
        self.happened(Happened::Procedure { playbook, run }, by, at_ms)
    }

    /// When it rises by itself, if it does.
    pub fn overdue(&self, ladder: &Ladder) -> Option<Overdue> {
        let level = self.duty.level;
        if self.state == State::Closed || level == Level::HIGHEST {
            return None;
        }
        if let Some(eta_ms) = self.duty.eta_ms {
            let owner = self.duty.owner.as_deref().unwrap_or("its owner");
            let why = format!("{owner} expected it to be solved by now");
            return Some(Overdue { at_ms: eta_ms, why });
        }
        let within_ms = ladder.within_ms(level)?;
        let who = self.duty.owner.as_deref().unwrap_or("nobody");
        let for_so_long = crate::duration::for_people(within_ms as u64);
        Some(Overdue {
            // One written before there were levels does not know since when it has been at its own.
            at_ms: self.duty.since_ms.max(self.opened_ms).saturating_add(within_ms),
            why: format!("{who} has solved it at {level} within {for_so_long}"),
        })
    }

    /// Raises it if its time has come; says whether it did.
    pub fn rise(&mut self, ladder: &Ladder, now_ms: i64) -> Result<bool, IncidentError> {
        match self.overdue(ladder) {
            Some(overdue) if overdue.at_ms <= now_ms => {
                self.escalate(None, &overdue.why, HOST, now_ms)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn must_be_open(&self) -> Result<(), IncidentError> {
        match self.state {
            State::Open => Ok(()),
            State::Closed => Err(IncidentError::Closed(self.id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::OpenedBy;
    use super::*;
    use crate::id::IncidentId;

    const MIN: i64 = 60_000;

    fn incident() -> Incident {
        Incident::open(IncidentId::new(0, 1), "posts fail", OpenedBy::Hand, "ada", 0).expect("it is short")
    }

    fn ladder() -> Ladder {
        let mut ladder = Ladder::default();
        ladder.l1.within = "30m".to_owned();
        ladder.l2.within = "2h".to_owned();
        ladder
    }

    #[test]
    fn what_nobody_solves_rises_level_by_level_and_stays_at_the_last() {
        let (mut incident, ladder) = (incident(), ladder());
        assert!(!incident.rise(&ladder, 30 * MIN - 1).expect("it is open"));
        assert!(incident.rise(&ladder, 30 * MIN).expect("it is open"));
        assert_eq!(incident.duty.level, Level::L2);
        assert!(!incident.rise(&ladder, 149 * MIN).expect("it is open"));
        assert!(incident.rise(&ladder, 150 * MIN).expect("it is open"));
        assert_eq!(incident.duty.level, Level::L3);
        assert_eq!(incident.overdue(&ladder), None);
        let raised = |event: &&super::super::Event| matches!(event.what, Happened::Escalated { .. });
        assert_eq!(incident.events.iter().filter(raised).count(), 2);
    }

    #[test]
    fn an_owner_who_names_a_time_is_left_alone_until_then() {
        let (mut incident, ladder) = (incident(), ladder());
        incident
            .assign("ben", Some(300 * MIN), "ada", 10 * MIN)
            .expect("it is open");
        assert!(!incident.rise(&ladder, 299 * MIN).expect("it is open"));
        assert!(incident.rise(&ladder, 300 * MIN).expect("it is open"));
        assert_eq!(
            incident.duty,
            Duty {
                owner: None,
                level: Level::L2,
                since_ms: 300 * MIN,
                eta_ms: None
            }
        );
        let why = incident.events.last().map(|event| event.what.clone());
        assert!(matches!(why, Some(Happened::Escalated { why, .. }) if why.contains("ben expected")));
    }

    #[test]
    fn without_timers_only_people_raise_it_and_not_beyond_the_last_level() {
        let mut incident = incident();
        assert!(!incident.rise(&Ladder::default(), i64::MAX).expect("it is open"));
        assert_eq!(
            incident
                .escalate(Some(Level::L3), "policy", "ada", 1)
                .expect("a level above"),
            Level::L3
        );
        let refused = incident.escalate(None, "", "ada", 2).expect_err("there is none above");
        assert_eq!(refused.code(), "INCIDENT_LEVEL");
        assert!(
            incident.escalate(Some(Level::L1), "it was not that", "ada", 3).is_ok(),
            "and down again"
        );
        incident.close("", "ada", 4).expect("it is open");
        assert_eq!(
            incident.assign("ben", None, "ada", 5).expect_err("it is closed").code(),
            "INCIDENT_CLOSED"
        );
    }

    #[test]
    fn a_time_that_has_passed_and_an_owner_without_a_name_are_refused() {
        let mut incident = incident();
        assert_eq!(
            incident.assign("ben", Some(5), "ada", 5).expect_err("now").code(),
            "INCIDENT_ETA_PASSED"
        );
        assert_eq!(
            incident.assign(" ", None, "ada", 5).expect_err("no name").code(),
            "INCIDENT_EMPTY"
        );
        assert_eq!(incident.events.len(), 1, "nothing of it is written");
    }

    #[test]
    fn an_incident_written_before_there_were_owners_is_read() {
        let incident = incident();
        let mut row = serde_json::to_value(&incident).expect("plain data");
        row.as_object_mut().expect("a map").remove("duty");
        let read: Incident = serde_json::from_value(row).expect("the field has a preset");
        assert_eq!(read.duty, Duty::default());
    }
}
