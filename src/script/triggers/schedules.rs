//! `schedule`, `every`, and what says how they are meant.

use std::time::Duration;

use chrono_tz::Tz;

use super::complaint::Reader;
use super::{Missed, Scheduled, When};
use crate::duration;
use crate::script::error::nearest;
use crate::script::schedule::{Schedule, zones};
use crate::value::{Map, Value};

/// More of them one playbook cannot have.
const SCHEDULES_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 64;
const EVERY_MS_MIN: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const YEAR_MS: u64 = 366 * DAY_MS;
const KEYS: [&str; 8] = [
    "cron", "every", "name", "timezone", "missed", "horizon", "jitter", "inputs",
];

/// How the schedule is called that `every` at the top of a header makes.
const EVERY: &str = "every";

/// What holds where a schedule does not say otherwise.
struct Preset {
    zone: Tz,
    missed: Missed,
    horizon: Duration,
    jitter: Duration,
}

impl Scheduled {
    /// The schedule that was once written so, and stands in no header any more: when it fires, and nothing else.
    pub fn read_again(written: &str, zone: &str) -> Option<Scheduled> {
        let when = match written.strip_prefix("every ") {
            Some(length) => When::Every(duration::parse(length).ok()?),
            None => When::Cron(Schedule::parse(written).ok()?),
        };
        let preset = Preset {
            zone: zone.parse().ok()?,
            missed: Missed::None,
            horizon: Duration::ZERO,
            jitter: Duration::ZERO,
        };
        Some(preset.scheduled(String::new(), when, written.to_owned(), Map::new()))
    }
}

/// All schedules of a header.
pub(super) fn read(reader: &mut Reader<'_>, header: &Map) -> Vec<Scheduled> {
    let preset = Preset {
        zone: Tz::UTC,
        missed: Missed::default(),
        horizon: Duration::from_millis(DAY_MS),
        jitter: Duration::ZERO,
    };
    let preset = manner(reader, header, &preset);
    let mut schedules = Vec::new();
    if let Some(listed) = header.get("schedule") {
        let listed = reader.at(header, "schedule", |reader, _| {
            Some(reader.each(listed, SCHEDULES_MAX, |reader, at, value| {
                one(reader, at, value, &preset)
            }))
        });
        schedules.extend(listed.unwrap_or_default());
    }
    let every = reader.at(header, EVERY, |reader, value| every(reader, value));
    if let Some((when, written)) = every {
        schedules.push(preset.scheduled(EVERY.to_owned(), when, written, Map::new()));
    }
    if !header.contains_key("schedule") && !header.contains_key(EVERY) {
        for (key, what) in [
            ("timezone", "says where a schedule's clock stands"),
            ("missed", "says what becomes of a schedule's missed ticks"),
            ("horizon", "says how far back a schedule's missed ticks are caught up"),
            ("jitter", "spreads the ticks of a schedule"),
        ] {
            if header.contains_key(key) {
                let message = format!("`{key}` {what}, and there is no `schedule`");
                let help = format!("add `schedule: \"0 7 * * *\"`, or take `{key}` away");
                reader.say_of_key(key, "SCHEDULE_INVALID", message).mild().help(help);
            }
        }
    }
    for (at, schedule) in schedules.iter().enumerate() {
        if schedules[..at].iter().any(|other| other.key == schedule.key) {
            let message = format!("two schedules are named {:?}", schedule.key);
            reader
                .say_of_key("schedule", "SCHEDULE_INVALID", message)
                .help("their names tell their ticks apart");
        }
    }
    schedules
}

impl Preset {
    fn scheduled(&self, key: String, when: When, written: String, input: Map) -> Scheduled {
        Scheduled {
            key,
            when,
            written,
            zone: self.zone,
            missed: self.missed,
            horizon: self.horizon,
            jitter: self.jitter,
            input,
        }
    }
}

/// What `map` says of how schedules are meant, over `preset`.
fn manner(reader: &mut Reader<'_>, map: &Map, preset: &Preset) -> Preset {
    const MISSED: [(&str, Missed); 3] = [("all", Missed::All), ("latest", Missed::Latest), ("none", Missed::None)];
    let zone = reader.at(map, "timezone", zone);
    let missed = reader.at(map, "missed", |reader, value| reader.word(value, &MISSED));
    let horizon = reader.at(map, "horizon", |reader, value| reader.duration(value, 1000, YEAR_MS));
    let jitter = reader.at(map, "jitter", |reader, value| reader.duration(value, 0, DAY_MS));
    Preset {
        zone: zone.unwrap_or(preset.zone),
        missed: missed.unwrap_or(preset.missed),
        horizon: horizon.unwrap_or(preset.horizon),
        jitter: jitter.unwrap_or(preset.jitter),
    }
}

fn zone(reader: &mut Reader<'_>, value: &Value) -> Option<Tz> {
    let name = reader.text(value, "the name of a zone, such as \"America/New_York\"")?;
    match zones::parse(name) {
        Ok(zone) => Some(zone),
        Err(near) => {
            let shown = super::complaint::excerpt(name);
            let complaint = reader.say("TIME_ZONE", format!("{shown:?} is no zone"));
            complaint.help = Some(match near {
                Some(near) => format!("did you mean {near:?}?"),
                None => "zones are named like \"America/New_York\" or \"UTC\"".to_owned(),
            });
            complaint.fix = near.map(|near| format!("{near:?}"));
            None
        }
    }
}

/// One schedule: a crontab line, or a map that says more.
fn one(reader: &mut Reader<'_>, at: usize, value: &Value, preset: &Preset) -> Option<Scheduled> {
    let place = (at + 1).to_string();
    let map = match value {
        Value::Text(_) => {
            let (when, written) = cron(reader, value)?;
            return Some(preset.scheduled(place, when, written, Map::new()));
        }
        Value::Map(map) => map,
        other => {
            let wanted =
                "a crontab line, such as \"0 7 * * *\", a map #{ cron: \"…\", timezone: \"…\" } or an array of these";
            reader.wrong_kind(other, wanted);
            return None;
        }
    };
    reader.known(map, &KEYS);
    let name = reader.at(map, "name", |reader, value| {
        let name = reader.plain_name(value, NAME_BYTES_MAX)?;
        if name.starts_with(|letter: char| letter.is_ascii_digit()) || name == EVERY {
            reader.say(
                "HEADER",
                format!("{name:?} cannot be the name of a schedule: it begins with a letter, and is not \"every\""),
            );
            return None;
        }
        Some(name)
    });
    let manner = manner(reader, map, preset);
    let input = reader.at(map, "inputs", inputs).unwrap_or_default();
    let line = reader.at(map, "cron", cron);
    let length = reader.at(map, "every", every);
    match (map.contains_key("cron"), map.contains_key("every")) {
        (false, false) => {
            reader.say(
                "SCHEDULE_INVALID",
                "a schedule needs `cron: \"0 7 * * *\"` or `every: \"15m\"`",
            );
        }
        (true, true) => {
            reader.say(
                "SCHEDULE_INVALID",
                "a schedule has either `cron` or `every`; write two schedules for both",
            );
        }
        _ => {}
    }
    let (when, written) = line.or(length)?;
    Some(manner.scheduled(name.unwrap_or(place), when, written, input))
}

fn cron(reader: &mut Reader<'_>, value: &Value) -> Option<(When, String)> {
    let text = reader.text(value, "a crontab line, such as \"0 7 * * *\"")?;
    match Schedule::parse(text) {
        Ok(schedule) => {
            if !schedule.ever_fires() {
                let message = format!("{text:?} never fires: none of its months has such a day");
                reader
                    .say("SCHEDULE_NEVER", message)
                    .mild()
                    .help("for the end of each month take \"0 7 1 * *\", the first of the next");
            }
            let written = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Some((When::Cron(schedule), written))
        }
        Err(error) => {
            let complaint = reader.say("SCHEDULE_INVALID", error.to_string());
            complaint.help("for instance \"0 7 * * mon-fri\": at 07:00 from Monday to Friday");
            None
        }
    }
}

fn every(reader: &mut Reader<'_>, value: &Value) -> Option<(When, String)> {
    let length = reader.duration(value, EVERY_MS_MIN, YEAR_MS)?;
    let written = format!("every {}", value.as_str().unwrap_or_default().trim());
    Some((When::Every(length), written))
}

/// What a schedule's runs are told.
fn inputs(reader: &mut Reader<'_>, value: &Value) -> Option<Map> {
    let Some(given) = value.as_map() else {
        reader.wrong_kind(value, "a map, such as #{ account: \"main\" }");
        return None;
    };
    let declared = reader.inputs?;
    for (name, value) in given {
        match declared.get(name) {
            Some(spec) => {
                if let Err(failure) = spec.accept(name, value.clone()) {
                    reader.at(given, name, |reader, _| {
                        Some(reader.say("HEADER", failure.message).is_fatal)
                    });
                }
            }
            None => {
                let near = nearest(name, declared.keys().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("the playbook declares no input `{name}`{hint}");
                reader.say_of_key(name, "HEADER", message).fix = near.map(str::to_owned);
            }
        }
    }
    Some(given.clone())
}
