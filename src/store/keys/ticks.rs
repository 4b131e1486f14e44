//! Keys of schedules: what is planned, when it is due, and what became of each tick.

use std::ops::Bound;

use super::{Parts, Place, Space, prefix_range, read_array, read_text};
use crate::store::KeyRange;

/// What is known of a schedule.
pub fn schedule(playbook: &str, schedule: &str) -> Vec<u8> {
    Parts::of(Space::Schedule).text(playbook).text(schedule).0
}

/// All of [`schedule`], those of one playbook alone when there is one.
pub fn schedules(playbook: Option<&str>) -> KeyRange {
    let all = Parts::of(Space::Schedule);
    prefix_range(playbook.map_or_else(|| all.0.clone(), |playbook| Parts(all.0.clone()).text(playbook).0))
}

/// The tick that is planned for `planned_ms`, in Unix milliseconds.
pub fn tick(playbook: &str, schedule: &str, planned_ms: i64) -> Vec<u8> {
    Parts(ticks_prefix(playbook, schedule)).raw(&moment(planned_ms)).0
}

fn ticks_prefix(playbook: &str, schedule: &str) -> Vec<u8> {
    Parts::of(Space::Tick).text(playbook).text(schedule).0
}

/// The ticks of a schedule that are planned for `from_ms` to `until_ms`, both included.
pub fn ticks(playbook: &str, schedule: &str, from_ms: i64, until_ms: i64) -> KeyRange {
    (
        Bound::Included(tick(playbook, schedule, from_ms)),
        Bound::Included(tick(playbook, schedule, until_ms)),
    )
}

/// Every tick of every schedule.
pub fn all_ticks() -> KeyRange {
    prefix_range(Parts::of(Space::Tick).0)
}

/// Says that a schedule's next tick is due at `due_ms`, in Unix milliseconds.
pub fn due(due_ms: i64, playbook: &str, schedule: &str) -> Vec<u8> {
    Parts::of(Space::Due)
        .raw(&moment(due_ms))
        .text(playbook)
        .text(schedule)
        .0
}

/// All of [`due`], the earliest first.
pub fn all_due() -> KeyRange {
    prefix_range(Parts::of(Space::Due).0)
}

fn moment(unix_ms: i64) -> [u8; 8] {
    unix_ms.max(0).to_be_bytes()
}

pub(super) fn read(space: Space, rest: &mut &[u8]) -> Option<Place> {
    let place = match space {
        Space::Schedule => Place::Schedule {
            playbook: read_text(rest)?,
            schedule: read_text(rest)?,
        },
        Space::Tick => Place::Tick {
            playbook: read_text(rest)?,
            schedule: read_text(rest)?,
            planned_ms: i64::from_be_bytes(read_array(rest)?),
        },
        _ => Place::Due {
            due_ms: i64::from_be_bytes(read_array(rest)?),
            playbook: read_text(rest)?,
            schedule: read_text(rest)?,
        },
    };
    Some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    proptest! {
        #[test]
        fn ticks_sort_by_time_and_keys_say_what_they_name(a in 0..i64::MAX, b in 0..i64::MAX, playbook in "[a\u{0}/]{0,3}", schedule in "[0\u{0}]{0,2}") {
            prop_assert_eq!(tick(&playbook, &schedule, a).cmp(&tick(&playbook, &schedule, b)), a.cmp(&b));
            prop_assert_eq!(due(a, "b", "").cmp(&due(b, "a", "")), (a, "b").cmp(&(b, "a")));
            let place = Place::Tick { playbook: playbook.clone(), schedule: schedule.clone(), planned_ms: a };
            prop_assert_eq!(parse(&tick(&playbook, &schedule, a)), Some(place));
            let place = Place::Due { due_ms: b, playbook: playbook.clone(), schedule: schedule.clone() };
            prop_assert_eq!(parse(&due(b, &playbook, &schedule)), Some(place));
            let place = Place::Schedule { playbook: playbook.clone(), schedule: schedule.clone() };
            prop_assert_eq!(parse(&super::schedule(&playbook, &schedule)), Some(place));
        }
    }
}
