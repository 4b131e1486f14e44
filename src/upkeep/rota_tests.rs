//! Which backups stay, and when the next is due.

use std::collections::BTreeSet;

use super::restore::stamp;
use super::rota::{Failed, State, superfluous};
use super::settings::{BackupSettings, When};

const DAY_MS: i64 = 86_400_000;
/// 21 November 2025, a Friday, at midnight.
const NOW_MS: i64 = 1_763_683_200_000;

fn name(at_ms: i64) -> String {
    format!("host-{}.backup", stamp(at_ms))
}

#[test]
fn the_last_of_each_day_week_and_month_stays_and_files_of_others_are_left_alone() {
    let settings = BackupSettings {
        latest: 2,
        daily: 3,
        weekly: 2,
        monthly: 2,
        ..BackupSettings::default()
    };
    // Four a day, for 100 days.
    let mut names: Vec<String> = (0..400).map(|number| name(NOW_MS - number * DAY_MS / 4)).collect();
    names.extend(["mine.backup", "host-old.backup", "host-20250101T000000Z.backup.txt"].map(str::to_owned));
    let go: BTreeSet<String> = superfluous(&names, &settings).into_iter().collect();
    let stay: BTreeSet<&str> = names
        .iter()
        .filter(|name| !go.contains(*name))
        .map(String::as_str)
        .collect();
    let expected = BTreeSet::from([
        // The latest two; the last of the last three days; of this week and the one before; of this month and the last.
        "host-20251121T000000Z.backup",
        "host-20251120T180000Z.backup",
        "host-20251119T180000Z.backup",
        "host-20251116T180000Z.backup",
        "host-20251031T180000Z.backup",
        "mine.backup",
        "host-old.backup",
        "host-20250101T000000Z.backup.txt",
    ]);
    assert_eq!(stay, expected);
}

#[test]
fn however_few_may_stay_the_latest_does() {
    let none = BackupSettings {
        latest: 0,
        daily: 0,
        weekly: 0,
        monthly: 0,
        ..BackupSettings::default()
    };
    let names = [name(NOW_MS), name(NOW_MS - DAY_MS)];
    assert_eq!(superfluous(&names, &none), [name(NOW_MS - DAY_MS)]);
}

#[test]
fn the_first_is_due_at_once_and_one_that_failed_again_soon() {
    let hourly = When::Every { ms: 3_600_000 };
    assert_eq!(State::due_ms(None, &hourly), Some(i64::MIN));
    let mut state = State {
        tried_ms: NOW_MS,
        made_ms: Some(NOW_MS),
        ..State::default()
    };
    assert_eq!(State::due_ms(Some(&state), &hourly), Some(NOW_MS + 3_600_000));
    state.failed = Some(Failed {
        code: "STORE_FULL".to_owned(),
        message: String::new(),
        since_ms: NOW_MS,
    });
    assert_eq!(State::due_ms(Some(&state), &hourly), Some(NOW_MS + 600_000));
    let often = When::Every { ms: 60_000 };
    assert_eq!(State::due_ms(Some(&state), &often), Some(NOW_MS + 60_000));
}
