//! Which backups stay, when the next is due, and what becomes of one that comes to nothing.
#![expect(clippy::disallowed_methods, reason = "these tests damage files")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::chore::Place;
use super::rota::{Failed, State, name_of, superfluous, turn};
use super::settings::{BackupSettings, Limits, When};
use crate::io::chance::SeededChance;
use crate::io::clock::SystemClock;
use crate::store::content::FileContent;
use crate::store::documents::Indexes;
use crate::store::engine::Engine;
use crate::store::tx::Ground;

const DAY_MS: i64 = 86_400_000;
/// 21 November 2025, a Friday, at midnight.
const NOW_MS: i64 = 1_763_683_200_000;

const MARK: &str = "0a1b2c3d";

fn name(at_ms: i64) -> String {
    name_of(MARK, at_ms)
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
    let others = [
        "mine.backup",
        "host-old.backup",
        "host-0a1b2c3d-20250101T000000Z.backup.txt",
        "host-20250101T000000Z.backup",
        "host-ffffffff-20251121T000000Z.backup",
        "host-ffffffff-20250101T000000Z.backup",
    ];
    names.extend(others.map(str::to_owned));
    let go: BTreeSet<String> = superfluous(&names, MARK, &settings, NOW_MS).into_iter().collect();
    let stay: BTreeSet<&str> = names
        .iter()
        .filter(|name| !go.contains(*name))
        .map(String::as_str)
        .collect();
    // The latest two; the last of the last three days; of this week and the one before; of this month and the last.
    let stamps = [
        "1121T000000",
        "1120T180000",
        "1119T180000",
        "1116T180000",
        "1031T180000",
    ];
    let expected: BTreeSet<String> = stamps
        .iter()
        .map(|at| format!("host-{MARK}-2025{at}Z.backup"))
        .collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).chain(others).collect();
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
    assert_eq!(superfluous(&names, MARK, &none, NOW_MS), [name(NOW_MS - DAY_MS)]);
    // Made while the clock stood in another century.
    let names = [name(NOW_MS), name(NOW_MS + 9000 * DAY_MS), name(NOW_MS + 9001 * DAY_MS)];
    assert_eq!(
        superfluous(&names, MARK, &none, NOW_MS),
        [""; 0],
        "they take the place of none"
    );
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

fn place(folder: &Path) -> Place {
    let place = Place {
        ground: Ground {
            store: Arc::new(Engine::in_memory().unwrap()),
            content: Arc::new(FileContent::new(folder.join("content"))),
            indexes: Arc::new(Indexes::none()),
        },
        data: folder.to_owned(),
        node: "local".to_owned(),
        needs: Vec::new(),
        variable: Box::new(|_| None),
        limits: Limits::default(),
        clock: Arc::new(SystemClock::new()),
        chance: Arc::new(SeededChance::new(1)),
    };
    // More than a reader takes in at once, and nothing that can be pressed.
    let mut state = 7_u64;
    let mut noise = Vec::new();
    while noise.len() < 3 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.extend(state.to_be_bytes());
    }
    place.ground.content.put(&noise).unwrap();
    place
}

fn files(folder: &Path) -> Vec<String> {
    crate::io::keeping::names(folder).unwrap()
}

#[test]
fn one_that_cannot_be_read_back_is_removed_and_the_one_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (place, kept) = (place(folder.path()), folder.path().join("kept"));
    let (when, settings) = (When::Every { ms: 1 }, BackupSettings::default());
    let made = |now_ms, tell: &mut dyn FnMut(&str)| {
        let tell: &mut super::Tell<'_> = &mut |what, _| {
            tell(what);
            ControlFlow::Continue(())
        };
        turn(&place, &kept, &when, &settings, now_ms, tell)
            .unwrap()
            .made
            .unwrap()
    };
    made(NOW_MS, &mut |_| {}).unwrap();
    let first = files(&kept);
    let damaged = made(NOW_MS + 1000, &mut |what| {
        if what == "reading it back" {
            let newest = files(&kept).into_iter().find(|name| !first.contains(name)).unwrap();
            let file = std::fs::File::options().write(true).open(kept.join(newest)).unwrap();
            file.set_len(1 << 20).unwrap();
        }
    });
    assert_eq!(damaged.unwrap_err().code(), "BACKUP_CUT_OFF");
    assert_eq!(files(&kept), first);
    let state = State::read(&*place.ground.store).unwrap().unwrap();
    assert_eq!(
        state.failed.map(|failed| failed.code).as_deref(),
        Some("BACKUP_CUT_OFF")
    );
    assert_eq!(state.made_ms, Some(NOW_MS));
}

#[test]
fn one_that_the_end_of_the_host_breaks_off_has_not_failed_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (place, kept) = (place(folder.path()), folder.path().join("kept"));
    let (when, settings) = (When::Every { ms: 1 }, BackupSettings::default());
    for moment in ["backing up", "reading it back"] {
        let stop: &mut super::Tell<'_> = &mut |what, _| match what == moment {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let turn = turn(&place, &kept, &when, &settings, NOW_MS, stop).unwrap();
        assert!(turn.made.is_none() && turn.next_ms == Some(NOW_MS), "{moment}");
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0, "{moment}");
        assert_eq!(State::read(&*place.ground.store).unwrap(), None, "{moment}");
    }
}

#[test]
fn a_failure_is_told_since_its_first_time_and_a_clock_that_was_set_back_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (place, kept) = (place(folder.path()), folder.path().join("kept"));
    let (when, settings) = (When::Every { ms: DAY_MS }, BackupSettings::default());
    let go_on: &mut super::Tell<'_> = &mut |_, _| ControlFlow::Continue(());
    std::fs::write(&kept, b"a file where the folder should be").unwrap();
    for number in 0..3 {
        let now_ms = NOW_MS + number * 600_000;
        let turn = turn(&place, &kept, &when, &settings, now_ms, go_on).unwrap();
        assert!(matches!(turn.made, Some(Err(_))), "{turn:?}");
        let failed = State::read(&*place.ground.store).unwrap().unwrap().failed.unwrap();
        assert_eq!(failed.since_ms, NOW_MS);
    }
    std::fs::remove_file(&kept).unwrap();
    let made = turn(&place, &kept, &when, &settings, NOW_MS + DAY_MS, go_on).unwrap();
    made.made.unwrap().unwrap();
    let again = turn(&place, &kept, &when, &settings, NOW_MS + DAY_MS + 1, go_on).unwrap();
    assert!(again.made.is_none(), "it is made once a day");
    let back = turn(&place, &kept, &when, &settings, NOW_MS + 3_600_000, go_on).unwrap();
    back.made.unwrap().unwrap();
    assert_eq!(back.next_ms, Some(NOW_MS + 3_600_000 + DAY_MS));
    assert_eq!(files(&kept).len(), 2);
}
