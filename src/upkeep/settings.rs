//! `[backup]` and `[retention]` in host.toml.

use serde::{Deserialize, Serialize};

use crate::script::schedule::{Schedule, zones};

/// What is younger is never removed: providers deliver again for that long, and must be recognised.
pub const YOUNG_MS: i64 = 72 * 3_600_000;

/// The shortest time between two backups.
const EVERY_MS_MIN: i64 = 60_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// Where backups go that the server makes by itself; empty: it makes none.
    pub folder: String,
    /// When, as a crontab line; not together with `every`.
    pub at: String,
    /// The zone of `at`.
    pub zone: String,
    /// How often, as a length of time: "6h".
    pub every: String,
    /// So many of the latest stay,
    pub latest: u32,
    /// and the last of so many days, weeks and months.
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    /// The name of the variable that holds the key they are sealed with; empty: they are not sealed.
    pub key: String,
}

impl Default for BackupSettings {
    fn default() -> BackupSettings {
        BackupSettings {
            folder: String::new(),
            at: String::new(),
            zone: "UTC".to_owned(),
            every: String::new(),
            latest: 3,
            daily: 7,
            weekly: 4,
            monthly: 6,
            key: String::new(),
        }
    }
}

/// When backups are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Every { ms: i64 },
    At { schedule: Schedule, zone: chrono_tz::Tz },
}

impl When {
    /// When the next one is due after one at `last_ms`.
    pub fn next_ms(&self, last_ms: i64) -> Option<i64> {
        match self {
            When::Every { ms } => Some(last_ms.saturating_add(*ms)),
            When::At { schedule, zone } => schedule.next_after(last_ms, *zone).map(|planned| planned.at_ms),
        }
    }
}

impl BackupSettings {
    /// When backups are made by themselves; `None`: never. The error names the key.
    pub fn when(&self) -> Result<Option<When>, (String, String)> {
        let bad = |key: &str, reason: String| Err((format!("[backup] {key}"), reason));
        if self.folder.is_empty() {
            return match self.at.is_empty() && self.every.is_empty() {
                true => Ok(None),
                false => bad(
                    "folder",
                    "it is empty, and backups are to be made: say where they go".to_owned(),
                ),
            };
        }
        if self.latest == 0 {
            return bad("latest", "at least 1 must stay".to_owned());
        }
        match (self.at.as_str(), self.every.as_str()) {
            ("", "") => bad("at", "say when: at = \"30 3 * * *\", or every = \"6h\"".to_owned()),
            ("", every) => match crate::duration::parse(every) {
                Ok(length) if length.as_millis() as i64 >= EVERY_MS_MIN => Ok(Some(When::Every {
                    ms: length.as_millis() as i64,
                })),
                Ok(_) => bad("every", format!("{every:?} is too often; at least 1m is needed")),
                Err(error) => bad("every", error.to_string()),
            },
            (at, "") => {
                let zone = match zones::parse(&self.zone) {
                    Ok(zone) => zone,
                    Err(_) => return bad("zone", format!("{:?} is no zone: Europe/Berlin, UTC", self.zone)),
                };
                match Schedule::parse(at) {
                    Ok(schedule) => Ok(Some(When::At { schedule, zone })),
                    Err(error) => bad("at", error.to_string()),
                }
            }
            _ => bad("at", "there is `every` too; say one of them".to_owned()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// How long runs that are over are kept, with their journals and files: "90d". Empty: for good.
    pub runs: String,
    /// How long ticks that have a fate are kept.
    pub ticks: String,
    /// How long events are kept that came and that nobody may still wait for.
    pub events: String,
    /// What rows and files may have in bytes together: "20GiB". Beyond it the oldest runs go.
    pub size: String,
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub runs_ms: Option<i64>,
    pub ticks_ms: Option<i64>,
    pub events_ms: Option<i64>,
    pub bytes: Option<u64>,
}

impl RetentionSettings {
    /// The error names the key.
    pub fn limits(&self) -> Result<Limits, (String, String)> {
        let age = |key: &str, text: &str| {
            let bad = |reason: String| Err((format!("[retention] {key}"), reason));
            if text.is_empty() {
                return Ok(None);
            }
            match crate::duration::parse(text) {
                Ok(length) if length.as_millis() as i64 >= YOUNG_MS => Ok(Some(length.as_millis() as i64)),
                Ok(_) => bad(format!(
                    "{text:?} is too short; at least 72h are needed: providers deliver again for that long"
                )),
                Err(error) => bad(error.to_string()),
            }
        };
        let bytes = match self.size.as_str() {
            "" => None,
            text => match bytes(text) {
                Some(bytes) if bytes > 0 => Some(bytes),
                _ => {
                    let reason = format!("{text:?} is no number of bytes: 500MiB, 20GiB, 1TiB");
                    return Err(("[retention] size".to_owned(), reason));
                }
            },
        };
        Ok(Limits {
            runs_ms: age("runs", &self.runs)?,
            ticks_ms: age("ticks", &self.ticks)?,
            events_ms: age("events", &self.events)?,
            bytes,
        })
    }
}

/// A whole number and a unit of bytes.
fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_younger_than_providers_deliver_again_cannot_be_removed() {
        let settings = |runs: &str, size: &str| RetentionSettings {
            runs: runs.to_owned(),
            size: size.to_owned(),
            ..RetentionSettings::default()
        };
        let limits = settings("90d", "2GiB").limits().unwrap();
        assert_eq!((limits.runs_ms, limits.bytes), (Some(90 * 86_400_000), Some(2 << 30)));
        assert_eq!(settings("71h", "").limits().unwrap_err().0, "[retention] runs");
        assert!(settings("72h", "").limits().is_ok());
        for size in ["2", "0MiB", "-1MiB", "99999999999TiB"] {
            assert_eq!(settings("", size).limits().unwrap_err().0, "[retention] size", "{size}");
        }
    }

    #[test]
    fn backups_need_a_folder_and_one_way_to_say_when() {
        let settings = |folder: &str, at: &str, every: &str| BackupSettings {
            folder: folder.to_owned(),
            at: at.to_owned(),
            every: every.to_owned(),
            ..BackupSettings::default()
        };
        assert_eq!(BackupSettings::default().when().unwrap(), None);
        assert_eq!(settings("", "", "6h").when().unwrap_err().0, "[backup] folder");
        assert_eq!(settings("b", "", "").when().unwrap_err().0, "[backup] at");
        assert_eq!(settings("b", "0 3 * * *", "6h").when().unwrap_err().0, "[backup] at");
        assert_eq!(settings("b", "0 3 * *", "").when().unwrap_err().0, "[backup] at");
        assert_eq!(settings("b", "", "5s").when().unwrap_err().0, "[backup] every");
        let nightly = settings("b", "30 3 * * *", "").when().unwrap().unwrap();
        assert_eq!(
            nightly.next_ms(1_763_683_200_000),
            Some(1_763_695_800_000),
            "03:30 of that day"
        );
    }
}
