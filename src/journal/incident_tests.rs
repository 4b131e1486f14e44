//! Incidents in a store: pins, conflicts, and runs that open them.

use std::sync::Arc;

use super::incident::*;
use crate::effect::Failure;
use crate::effect::Place;
use crate::id::{ContentHash, IncidentId, RunId};
use crate::journal::{RunError, RunRecord, Status};
use crate::store::engine::Engine;
use crate::store::{Batch, Durability, Precondition, Store, StoreError, keys};
use crate::testing::TestHost;

fn store() -> Arc<dyn Store> {
    Arc::new(Engine::in_memory().expect("memory holds a store"))
}

fn ended(number: u128, status: Status) -> RunRecord {
    RunRecord {
        run: RunId::new(1_000, number),
        playbook: "weekly".to_owned(),
        file: "weekly.rhai".to_owned(),
        version: ContentHash::of(b"script"),
        status,
        live: true,
        begun_ms: 1_000,
        ended_ms: Some(2_000),
        effects: 1,
        simulated: 0,
        cost_usd: 0.0,
        error: Some(RunError {
            failure: Failure::new("HTTP_CUT", "cut"),
            place: Place::default(),
            step: Some(3),
        }),
        parent: None,
        lease: None,
        waits: None,
        corr: None,
    }
}

/// Ends the run as a tape does.
fn end(store: &dyn Store, record: &RunRecord, opened_by: OpenedBy) {
    let mut batch = Batch::new();
    open_in(&mut batch, store, record, opened_by).unwrap();
    batch.put(keys::run(record.run), record.encode());
    store.commit(batch, Durability::Now).unwrap();
}

fn only(store: &dyn Store) -> Incident {
    let mut all = list(store).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_run_that_is_resumed_and_ends_so_again_finds_its_incident_and_opens_it_again() {
    let store = store();
    let record = ended(7, Status::NeedsAttention);
    end(&*store, &record, OpenedBy::InDoubt);
    let first = only(&*store);
    assert_eq!(first.title, "weekly: step 3 is in doubt (HTTP_CUT)");
    assert_eq!(first.id, IncidentId::of_run(record.run));
    let before = load(&*store, first.id).unwrap().unwrap();
    let mut closed = before.incident.clone();
    closed.close("looked", "ada", 3_000).unwrap();
    let mut batch = Batch::new();
    save_in(&mut batch, &*store, Some(&before), &closed).unwrap();
    store.commit(batch, Durability::Now).unwrap();
    assert_eq!(only(&*store).closed_ms(), Some(3_000));

    end(&*store, &record, OpenedBy::InDoubt);
    let again = only(&*store);
    assert_eq!((again.state, again.closed_ms()), (State::Open, None));
    assert!(matches!(again.events.last().unwrap().what, Happened::Again { run, .. } if run == record.run));
}

#[test]
fn a_run_that_somebody_holds_already_is_written_into_that_incident() {
    let store = store();
    let record = ended(7, Status::Failed);
    store.commit(put_run(&record), Durability::Now).unwrap();
    let mut incident = Incident::open(IncidentId::new(1, 1), "by hand", OpenedBy::Hand, "ada", 1).unwrap();
    incident.pin(&[record.run], "ada", 1).unwrap();
    let mut batch = Batch::new();
    save_in(&mut batch, &*store, None, &incident).unwrap();
    store.commit(batch, Durability::Now).unwrap();
    end(&*store, &record, OpenedBy::Rule);
    assert_eq!(only(&*store).id, incident.id);
}

fn put_run(record: &RunRecord) -> Batch {
    let mut batch = Batch::new();
    batch.put(keys::run(record.run), record.encode());
    batch
}

#[test]
fn pins_say_which_runs_are_held_and_go_with_unpinning() {
    let store = store();
    let (one, two) = (ended(1, Status::Failed), ended(2, Status::Failed));
    end(&*store, &one, OpenedBy::Rule);
    end(&*store, &two, OpenedBy::Rule);
    assert!(is_pinned(&*store, one.run).unwrap());
    let before = load(&*store, IncidentId::of_run(one.run)).unwrap().unwrap();
    let mut after = before.incident.clone();
    assert_eq!(after.pin(&[two.run, two.run, one.run], "ada", 5).unwrap(), [two.run]);
    after.unpin(&[one.run], "ada", 6).unwrap();
    assert_eq!(
        after.unpin(&[one.run], "ada", 6).unwrap_err().code(),
        "INCIDENT_NOT_PINNED"
    );
    let mut batch = Batch::new();
    save_in(&mut batch, &*store, Some(&before), &after).unwrap();
    store.commit(batch, Durability::Now).unwrap();
    assert!(!is_pinned(&*store, one.run).unwrap());
    let holds_two = [IncidentId::of_run(one.run), IncidentId::of_run(two.run)];
    assert_eq!(of_run(&*store, two.run).unwrap(), holds_two);
}

#[test]
fn who_writes_under_an_old_version_or_to_a_run_that_is_gone_writes_nothing() {
    let store = store();
    let record = ended(7, Status::Failed);
    end(&*store, &record, OpenedBy::Rule);
    let before = load(&*store, IncidentId::of_run(record.run)).unwrap().unwrap();
    let noted = |text: &str| {
        let mut after = before.incident.clone();
        after.note(text, "ada", 5).unwrap();
        let mut batch = Batch::new();
        save_in(&mut batch, &*store, Some(&before), &after).unwrap();
        store.commit(batch, Durability::Now)
    };
    noted("first").unwrap();
    assert!(matches!(noted("second"), Err(StoreError::Conflict { .. })));
    assert_eq!(only(&*store).notes().count(), 1);

    let mut after = before.incident.clone();
    after.pin(&[RunId::new(9, 9)], "ada", 5).unwrap();
    let error = save_in(&mut Batch::new(), &*store, Some(&before), &after).unwrap_err();
    assert_eq!(error.code(), "RUN_NOT_FOUND");
    // Cleared away between the look and the commit.
    let other = ended(8, Status::Failed);
    store.commit(put_run(&other), Durability::Now).unwrap();
    let incident = {
        let mut incident = Incident::open(IncidentId::new(1, 1), "late", OpenedBy::Hand, "ada", 1).unwrap();
        incident.pin(&[other.run], "ada", 1).unwrap();
        incident
    };
    let mut batch = Batch::new();
    save_in(&mut batch, &*store, None, &incident).unwrap();
    let mut clearing = Batch::new();
    clearing.delete(keys::run(other.run));
    store.commit(clearing, Durability::Now).unwrap();
    assert!(store.commit(batch, Durability::Now).is_err());
    assert!(!is_pinned(&*store, other.run).unwrap());
}

/// The word "needs attention" and its incident are one batch: a crash keeps both or none.
#[test]
fn the_end_of_a_run_and_its_incident_are_one_commit() {
    let host = TestHost::default();
    let header = "const PLAYBOOK = #{ on_failure: \"incident\" };\n";
    let run = host
        .run(&format!(
            "{header}kv::put(\"a\", 1);\nthrow #{{ code: \"NO\", message: \"no\" }};"
        ))
        .id();
    let row = |key: Vec<u8>| host.ground.store.get(&key).unwrap().expect("a row").version;
    let id = IncidentId::of_run(run);
    assert_eq!(row(keys::run(run)), row(keys::incident(id)));
    assert_eq!(row(keys::run(run)), row(keys::pin(run, id)));
    let fine = host.run(&format!("{header}1")).id();
    assert!(!is_pinned(&*host.ground.store, fine).unwrap());
}

#[test]
fn an_incident_that_cannot_be_read_keeps_no_run_from_ending() {
    let store = store();
    let record = ended(7, Status::Failed);
    let id = IncidentId::of_run(record.run);
    let mut batch = Batch::new();
    batch.require(keys::incident(id), Precondition::Absent);
    batch.put(keys::incident(id), vec![9, 9]);
    store.commit(batch, Durability::Now).unwrap();
    end(&*store, &record, OpenedBy::Rule);
    assert_eq!(RunRecord::find(&*store, &record.run.to_string()).unwrap(), record);
    assert_eq!(load(&*store, id).unwrap_err().code(), "INCIDENT_NEWER_FORMAT");
}

#[test]
fn everything_about_an_incident_is_limited() {
    let mut incident = Incident::open(IncidentId::new(1, 1), "a", OpenedBy::Hand, "ada", 1).unwrap();
    let runs: Vec<RunId> = (0..=RUNS_MAX as u128).map(|number| RunId::new(1, number)).collect();
    assert_eq!(incident.pin(&runs, "ada", 1).unwrap_err().code(), "INCIDENT_LIMIT");
    incident.pin(&runs[1..], "ada", 1).unwrap();
    assert_eq!(
        incident
            .note(&"x".repeat(NOTE_BYTES_MAX + 1), "ada", 1)
            .unwrap_err()
            .code(),
        "INCIDENT_LIMIT"
    );
    for _ in incident.events.len()..EVENTS_MAX {
        incident.note("x", "ada", 1).unwrap();
    }
    assert_eq!(incident.note("x", "ada", 1).unwrap_err().code(), "INCIDENT_LIMIT");
    let read = Incident::decode(incident.id, &incident.encode()).unwrap();
    assert_eq!(read, incident);
}
