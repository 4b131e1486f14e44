//! A store was restored from a backup: what its runs may have sent after that backup is asked for before it is sent.

use std::time::Duration;

use host::effect::{Declaration, Failure, Fault, OnUnknown};
use host::gate::Sighting;
use host::journal::Status;
use host::journal::epoch::{Epoch, Origin};
use host::runs::resolve::{Decision, resolve};
use host::store::{Batch, Durability};
use host::testing::TestHost;
use host::value::Value;

use super::ledger::words;
use super::provider::{Provider, done, failure};
use super::write;

const SCRIPT: &str = "kv::put(\"begun\", 1); run::sleep(\"1h\"); acme::send(1)";

/// The store of `host` is one that was backed up now, and restored after so long.
fn restored(host: &TestHost, after: Duration) {
    let backup_ms = host.gate().world.clock.unix_ms();
    host.clock.advance(after);
    let epoch = Epoch {
        number: 2,
        began_ms: host.gate().world.clock.unix_ms(),
        origin: Some(Origin {
            at_ms: backup_ms,
            epoch: 1,
            ..Origin::default()
        }),
        ..Epoch::default()
    };
    let mut batch = Batch::new();
    epoch.put(&mut batch, None);
    host.ground
        .store
        .commit(batch, Durability::Now)
        .expect("it is committed");
}

#[test]
fn a_write_that_was_sent_after_the_backup_is_found_and_not_sent_again() {
    let provider = Provider::new(write()).sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, ledger) = provider.host();
    let run = host.start(SCRIPT);
    assert_eq!(run.outcome().status, Status::Suspended);
    restored(&host, Duration::from_secs(7200));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("seen"));
    assert!(provider.sent_at().is_empty(), "only asked");
    let on_disk = words(&ledger.on_disk(run.id()));
    assert!(
        on_disk.contains(&"intent 3.0".to_owned()),
        "the doubt is on record: {on_disk:?}"
    );
}

#[test]
fn a_write_that_is_not_there_is_sent_once_after_the_provider_was_asked() {
    for declaration in [write(), write().attempts(1)] {
        let provider = Provider::new(declaration)
            .sightings([Ok(Sighting::NotThere)])
            .answers([done()]);
        let (host, _) = provider.host();
        let run = host.start(SCRIPT);
        restored(&host, Duration::from_secs(7200));
        let run = host.resume(run.id()).expect("it goes on");
        assert_eq!(run.value(), &Value::from("done"));
        let calls = provider.calls();
        assert!(calls[0].is_question, "it is asked first");
        assert_eq!(provider.sent_at().len(), 1);
    }
}

#[test]
fn where_nobody_can_tell_whether_it_was_sent_a_person_must_and_is_believed() {
    let provider = Provider::new(write())
        .sightings([Ok(Sighting::CannotTell)])
        .answers([done()]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(7200));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.outcome().status, Status::NeedsAttention);
    assert_eq!(run.failure().code, "RESTORED");
    assert!(provider.sent_at().is_empty());
    let decision = Decision {
        step: 3,
        landed: false,
        value: Value::Unit,
        reason: "looked at the page".to_owned(),
        by: "anna".to_owned(),
    };
    resolve(&host.gate(), run.id(), decision).expect("it is in doubt");
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(
        provider.sent_at().len(),
        1,
        "what a person has settled is not asked again"
    );
}

#[test]
fn a_write_under_a_key_that_the_provider_still_remembers_is_repeated_under_it() {
    let keyed = || write().key_lifetime(Some(Duration::from_secs(24 * 3600)));
    let provider = Provider::new(keyed()).answers([done()]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(7200));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!(provider.calls().len(), 1, "nobody was asked");

    let provider = Provider::new(keyed()).sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(30 * 3600));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(
        run.value(),
        &Value::from("seen"),
        "it has forgotten the key, and is asked"
    );
    assert!(provider.sent_at().is_empty());
}

#[test]
fn an_attempt_after_the_backup_is_looked_for_also_where_earlier_ones_are_on_record() {
    // Long enough to be waited for without a thread.
    let later = Err(Fault::passing(Failure {
        retry_after_ms: Some(20_000),
        ..failure("HTTP_429")
    }));
    let provider = Provider::new(write())
        .answers([later])
        .sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, _) = provider.host();
    let run = host.start("acme::send(1)");
    let sent = provider.sent_at().len();
    assert_eq!(run.outcome().status, Status::Suspended, "it waits for its next attempt");
    restored(&host, Duration::from_secs(7200));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("seen"));
    assert_eq!(provider.sent_at().len(), sent);
}

#[test]
fn a_run_that_began_after_the_restore_and_a_store_that_was_never_restored_ask_nobody() {
    let provider = Provider::new(write().on_unknown(OnUnknown::Ask)).answers([done(), done()]);
    let (host, _) = provider.host();
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"));
    restored(&host, Duration::from_secs(60));
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(host.run("acme::send(1)").value(), &Value::from("done"));
    assert!(provider.calls().iter().all(|call| !call.is_question));
    let reads = Provider::new(Declaration::read("acme.get"));
    let (host, _) = reads.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(7200));
    host.resume(run.id()).expect("it goes on");
    assert_eq!(reads.calls().len(), 1, "a read is asked for like any other");
}

#[test]
fn nothing_is_published_while_the_store_is_frozen() {
    let provider = Provider::new(write()).answers([done()]);
    let (host, _) = provider.host();
    let host = host.approved();
    restored(&host, Duration::from_secs(60));
    let store = &*host.ground.store;
    let (epoch, version) = Epoch::read_at(store).expect("it is there");
    let mut batch = Batch::new();
    Epoch {
        frozen: true,
        ..epoch.clone()
    }
    .put(&mut batch, version);
    store.commit(batch, Durability::Now).expect("it is committed");
    host.clock.advance(Duration::from_secs(1));
    let run =
        host.run("let said = \"\"; try { acme::publish_strictly(1) } catch (error) { said = error.message } said");
    let said = run.value().to_string();
    assert!(
        said.contains("publishing is frozen since the store was restored"),
        "{said}"
    );
    assert!(provider.calls().is_empty());
    let (_, version) = Epoch::read_at(store).expect("it is there");
    let mut batch = Batch::new();
    epoch.put(&mut batch, version);
    store.commit(batch, Durability::Now).expect("it is committed");
    assert_eq!(host.run("acme::publish_strictly(1)").value(), &Value::from("done"));
}

#[test]
fn a_run_that_is_made_anew_under_the_same_name_counts_the_age_of_its_key_from_the_backup() {
    let keyed = || write().key_lifetime(Some(Duration::from_secs(24 * 3600)));
    let provider = Provider::new(keyed()).sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, _) = provider.host();
    restored(&host, Duration::from_secs(30 * 3600));
    // Born in the moment of the restore, as the run of a tick between is.
    let run = host.run("acme::send(1)");
    assert_eq!(run.value(), &Value::from("seen"), "the provider has forgotten the key");
    assert!(provider.sent_at().is_empty());
}

#[test]
fn what_was_looked_up_once_after_a_restore_is_not_looked_up_at_each_later_attempt() {
    let later = || {
        Err(Fault::passing(Failure {
            retry_after_ms: Some(20_000),
            ..failure("HTTP_429")
        }))
    };
    let provider = Provider::new(write().attempts(4))
        .sightings([Ok(Sighting::NotThere)])
        .answers([later(), later(), done()]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(7200));
    let mut run = host.resume(run.id()).expect("it goes on");
    let questions = || provider.calls().iter().filter(|call| call.is_question).count();
    let asked = questions();
    assert!(asked > 0, "until its answer is certain");
    for _ in 0..2 {
        assert_eq!(run.outcome().status, Status::Suspended, "it waits for its next attempt");
        host.clock.advance(Duration::from_secs(30));
        run = host.resume(run.id()).expect("it goes on");
    }
    assert_eq!(run.value(), &Value::from("done"));
    assert_eq!((questions(), provider.sent_at().len()), (asked, 3));
}

#[test]
fn what_may_have_been_sent_before_an_earlier_restore_is_as_old_as_its_backup() {
    let keyed = || write().key_lifetime(Some(Duration::from_secs(24 * 3600)));
    let provider = Provider::new(keyed()).sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    restored(&host, Duration::from_secs(20 * 3600));
    host.clock.advance(Duration::from_secs(3600));
    let store = &*host.ground.store;
    let (before, version) = Epoch::read_at(store).expect("it is there");
    let backup_ms = host.gate().world.clock.unix_ms();
    host.clock.advance(Duration::from_secs(5 * 3600));
    let second = Epoch {
        number: 3,
        began_ms: host.gate().world.clock.unix_ms(),
        lost: before.all_lost(),
        origin: Some(Origin {
            at_ms: backup_ms,
            epoch: 2,
            ..Origin::default()
        }),
        ..Epoch::default()
    };
    let mut batch = Batch::new();
    second.put(&mut batch, version);
    store.commit(batch, Durability::Now).expect("it is committed");
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("seen"), "26 hours after the first backup");
    assert!(provider.sent_at().is_empty());
}

#[test]
fn a_clock_that_stands_before_the_backup_makes_no_run_younger_than_the_restore() {
    let provider = Provider::new(write()).sightings([Ok(Sighting::Landed(Value::from("seen")))]);
    let (host, _) = provider.host();
    let run = host.start(SCRIPT);
    let store = &*host.ground.store;
    let epoch = Epoch {
        number: 2,
        began_ms: 5,
        origin: Some(Origin {
            at_ms: 1,
            epoch: 1,
            last_commit: store.stats().last_commit.0,
            ..Origin::default()
        }),
        ..Epoch::default()
    };
    let mut batch = Batch::new();
    epoch.put(&mut batch, None);
    store.commit(batch, Durability::Now).expect("it is committed");
    host.clock.advance(Duration::from_secs(7200));
    let run = host.resume(run.id()).expect("it goes on");
    assert_eq!(run.value(), &Value::from("seen"));
    assert!(provider.sent_at().is_empty());
    assert_eq!(
        host.run("acme::send(1)").value(),
        &Value::from("done"),
        "a later one asks nobody"
    );
}
