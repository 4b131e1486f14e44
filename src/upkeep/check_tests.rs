//! What a check finds of what can be wrong with rows and with what they name.

use std::ops::ControlFlow;

use super::check::{Checked, check};
use crate::id::RunId;
use crate::journal::RunRecord;
use crate::store::{Batch, Durability, keys};
use crate::testing::TestHost;

fn checked(host: &TestHost) -> Checked {
    check(&host.ground, &mut |_| ControlFlow::Continue(()))
        .unwrap()
        .unwrap()
}

/// What is wrong after `change` to a store with a run.
fn wrong_after(change: impl FnOnce(&TestHost, RunId, &mut Batch)) -> Vec<(String, String)> {
    let host = TestHost::default();
    let run = host.run("kv::put(\"a\", 1)").id();
    assert_eq!(checked(&host).wrong, 0, "it is sound before");
    let mut batch = Batch::new();
    change(&host, run, &mut batch);
    host.ground.store.commit(batch, Durability::Now).unwrap();
    let found = checked(&host);
    assert_eq!(found.wrong, found.problems.len() as u64);
    found
        .problems
        .into_iter()
        .map(|problem| (problem.place, problem.what))
        .collect()
}

#[test]
fn a_text_that_is_missing_or_altered_is_told_with_the_run_that_is_pinned_to_it() {
    let version = |host: &TestHost, run| RunRecord::get(&*host.ground.store, run).unwrap().version;
    let mut pinned = None;
    let missing = wrong_after(|host, run, batch| {
        pinned = Some(run);
        batch.delete(keys::version(&version(host, run)));
    });
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0].0, format!("run {}", pinned.unwrap()));
    assert!(missing[0].1.contains("is missing"), "{missing:?}");
    let altered = wrong_after(|host, run, batch| batch.put(keys::version(&version(host, run)), b"2".to_vec()));
    assert_eq!(altered.len(), 1, "{altered:?}");
    assert!(altered[0].1.contains("does not hold what its name says"), "{altered:?}");
}

#[test]
fn a_record_without_its_journal_and_a_journal_without_its_record_are_told() {
    let journal_gone = wrong_after(|host, run, batch| {
        let rows = host
            .ground
            .store
            .scan(keys::journal_of(run), usize::MAX, false)
            .unwrap();
        rows.into_iter().for_each(|(key, _)| batch.delete(key));
    });
    assert_eq!(journal_gone.len(), 1, "{journal_gone:?}");
    assert!(
        journal_gone[0].1.contains("1 runs have a record and no journal"),
        "{journal_gone:?}"
    );
    let record_gone = wrong_after(|_, run, batch| batch.delete(keys::run(run)));
    assert_eq!(record_gone.len(), 1, "{record_gone:?}");
    assert!(
        record_gone[0].1.contains("there is no record of its run"),
        "{record_gone:?}"
    );
}

#[test]
fn a_row_that_nobody_can_read_is_told_with_its_place() {
    let record = wrong_after(|_, run, batch| batch.put(keys::run(run), b"rubbish".to_vec()));
    assert!(record.iter().any(|(place, _)| place.starts_with("run ")), "{record:?}");
    let journal = wrong_after(|_, run, batch| batch.put(keys::journal(run, 0), b"rubbish".to_vec()));
    assert!(
        journal.iter().any(|(place, _)| place.starts_with("journal of ")),
        "{journal:?}"
    );
}
