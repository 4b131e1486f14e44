//! What a change of the clocks does to a tick, in words.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;

use super::next::{Planned, Shift};
use super::zones;
use crate::duration;

/// Ticks further apart than this are not told how far: nobody expects them to the hour.
const APART_MAX: TimeDelta = TimeDelta::days(8);

/// Why `planned` does not come as on other days, if so; `before_ms` is the tick before it.
pub fn explain(planned: &Planned, before_ms: Option<i64>, zone: Tz) -> Option<String> {
    let at = DateTime::from_timestamp_millis(planned.at_ms)?;
    let before = before_ms.and_then(DateTime::from_timestamp_millis);
    let from = before.unwrap_or(at - TimeDelta::days(1)).max(at - APART_MAX);
    let change = zones::changes(from, at, zone).last();
    let goes = change.map(|change| {
        let way = match change.by.cmp(&TimeDelta::zero()) {
            Ordering::Less => "back",
            _ => "forward",
        };
        format!("clocks go {way} at {}", change.from.format("%H:%M"))
    });
    match (planned.shift, goes) {
        (Shift::Moved, Some(goes)) => Some(format!("{goes}; its time does not exist, it runs right after")),
        (Shift::Moved, None) => Some("its time does not exist, it runs right after".to_owned()),
        (Shift::First, _) => Some("its time comes twice as clocks go back; it runs the first time".to_owned()),
        (Shift::Second, Some(goes)) => Some(format!("{goes}; this is its time for the second time")),
        (Shift::Second, None) => Some("its time for the second time, as clocks went back".to_owned()),
        (Shift::None, Some(goes)) => Some(match before.filter(|before| at - *before < APART_MAX) {
            Some(before) => format!("{goes}; this run comes {} after the last", apart(at - before)),
            None => goes,
        }),
        (Shift::None, None) => None,
    }
}

fn apart(length: TimeDelta) -> String {
    let text = duration::for_people(length.num_milliseconds().unsigned_abs());
    let bare = [" 0 min", " 0 h", " 0 s"]
        .iter()
        .find_map(|zero| text.strip_suffix(zero));
    bare.unwrap_or(&text).to_owned()
}
