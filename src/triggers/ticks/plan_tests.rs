//! The pure decision, over ticks of every kind.

use proptest::prelude::*;

use super::plan::{Outstanding, Step, due_ms};
use super::tests::{MINUTE, START, id, listed};
use crate::store::ticks::{Judged, Resumed, Window};

fn window() -> impl Strategy<Value = Option<(i64, Judged)>> {
    let how = prop_oneof![
        Just(Judged::Queued),
        Just(Judged::Paused(Resumed::All)),
        Just(Judged::Paused(Resumed::Latest)),
        Just(Judged::Paused(Resumed::None)),
    ];
    proptest::option::of((0..6000_i64, how))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_tick_that_is_due_is_in_exactly_one_step(
        minutes in 0..6000_i64, window in window(), missed in "all|latest|none", jitter in "0s|90s", horizon in "1m|1h|30d"
    ) {
        let header = serde_json::json!({
            "schedule": "*/2 * * * *", "missed": missed, "jitter": jitter, "horizon": horizon, "overlap": "queue",
        });
        let listed = listed("a", header);
        let scheduled = &listed.triggers.schedules[0];
        let outstanding = Outstanding {
            id: &id("a"),
            scheduled,
            policy: listed.triggers.overlap.policy,
            first_ms: START + 2 * MINUTE,
            first_due_ms: due_ms(&id("a"), scheduled, START + 2 * MINUTE, START),
            anchor_ms: START,
            window: window.map(|(until, how)| Window { until_ms: START + until * MINUTE, how }),
            now_ms: START + minutes * MINUTE,
        };
        let mut next = START + 2 * MINUTE;
        let mut started = 0;
        for step in outstanding.steps() {
            match step {
                Step::Start { planned_ms, .. } => {
                    prop_assert_eq!(planned_ms, next);
                    next += 2 * MINUTE;
                    started += 1;
                }
                Step::Skip { from_ms, until_ms, count, is_exact, .. } => {
                    prop_assert!(is_exact);
                    prop_assert_eq!(from_ms, next);
                    prop_assert_eq!(until_ms, from_ms + (count as i64 - 1) * 2 * MINUTE);
                    next = until_ms + 2 * MINUTE;
                }
            }
        }
        let left = START + minutes * MINUTE - next;
        prop_assert!(left < if jitter == "0s" { 0 } else { 90_001 }, "up to now: {left}");
        prop_assert!(started <= 1100);
        if missed != "all" && window.is_none() {
            prop_assert!(started <= 2, "{started}");
        }
    }
}
