//! The chain under honest use, under many hands, and after somebody has been at its rows.

use std::sync::Arc;

use proptest::prelude::*;

use super::look::Wanted;
use super::verify::{Verdict, verify, verify_lines};
use super::*;
use crate::store::engine::Engine;
use crate::store::{Batch, Durability};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn store() -> Arc<dyn Store> {
    Arc::new(Engine::in_memory().unwrap())
}

fn ann() -> Actor {
    Actor::new("ann", Via::Cli, "c1")
}

fn chain(store: &dyn Store, acts: u64) {
    for number in 1..=acts {
        let act = Act::new("kv.set", format!("key {number}")).with("bytes", number);
        record(store, Durability::Soon, &ann(), &act, number as i64 * 1000).unwrap();
    }
}

fn lines(store: &dyn Store) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    look::lines(store, 0, &mut |line| {
        lines.push(line.to_vec());
        Ok(())
    })
    .unwrap();
    lines
}

fn sound(store: &dyn Store) -> Verdict {
    let verdict = verify(store, None).unwrap();
    assert!(verdict.is_sound(), "{:?}", verdict.faults);
    verdict
}

/// Puts `rows` where the acts of those numbers stand; `None` takes one away.
fn tamper(store: &dyn Store, rows: &[(u64, Option<Vec<u8>>)]) {
    let mut batch = Batch::new();
    for (number, line) in rows {
        match line {
            Some(line) => batch.put(row_key(*number), line.clone()),
            None => batch.delete(row_key(*number)),
        }
    }
    store.commit(batch, Durability::Soon).unwrap();
}

#[test]
fn a_line_holds_the_hash_of_the_one_before_and_is_what_is_stored() {
    let store = store();
    chain(&*store, 3);
    let lines = lines(&*store);
    for pair in lines.windows(2) {
        assert_eq!(look::read(&pair[1]).unwrap().prev, hash(&pair[0]));
    }
    let verdict = sound(&*store);
    assert_eq!((verdict.acts, verdict.first), (3, Some(1)));
    assert_eq!(verdict.head.unwrap().hash, hash(&lines[2]));
    assert!(verify_lines(lines.into_iter(), None).is_sound());
}

#[test]
fn an_act_is_there_exactly_if_its_change_is() {
    let store = store();
    let key = keys::kv(crate::store::Realm::Dry, "a");
    let signed = Signed::new(store.clone(), ann(), Act::new("kv.set", "a"), 5);
    let mut batch = Batch::new();
    batch.require(key.clone(), crate::store::Precondition::At(crate::store::CommitNo(77)));
    batch.put(key.clone(), vec![1]);
    let refused = signed.commit(batch, Durability::Now);
    assert_eq!(refused, Err(StoreError::Conflict { key: key.clone() }));
    assert_eq!(sound(&*store).acts, 0, "what did not happen is in no log");
    for value in [vec![1], vec![2]] {
        let mut batch = Batch::new();
        batch.put(key.clone(), value);
        signed.commit(batch, Durability::Now).unwrap();
    }
    assert_eq!(sound(&*store).acts, 1, "one change of two batches is one act");
    let entry = look::last(&*store, &Wanted::default(), 1, 10).unwrap().remove(0);
    assert_eq!(
        (entry.who.as_str(), entry.what.as_str(), entry.at_ms),
        ("ann", "kv.set", 5)
    );
}

#[test]
fn a_store_that_signs_answers_like_the_one_below() {
    let store = store();
    chain(&*store, 2);
    let signed = Signed::new(store.clone(), ann(), Act::new("kv.set", "a"), 5);
    let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let unsettled = signed.unsettled(everything);
    assert_eq!(unsettled, store.unsettled(everything));
    assert_ne!(
        unsettled,
        crate::store::CommitNo::LAST,
        "else everything it reads waits for the disk"
    );
    assert_eq!(signed.stats(), store.stats());
}

#[test]
fn many_at_once_make_one_chain_without_a_gap() {
    let store = store();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| chain(&*store, 200));
        }
    });
    assert_eq!(sound(&*store).acts, 1600);
}

#[test]
fn an_altered_removed_or_swapped_act_is_found_whichever_it_is() {
    for number in 1..=6u64 {
        let altered = |store: &dyn Store| {
            let text = String::from_utf8(lines(store)[number as usize - 1].clone()).unwrap();
            tamper(store, &[(number, Some(text.replace("ann", "eve").into_bytes()))]);
        };
        let removed = |store: &dyn Store| tamper(store, &[(number, None)]);
        let swapped = |store: &dyn Store| {
            let (lines, other) = (lines(store), number % 6 + 1);
            let at = |number: u64| Some(lines[number as usize - 1].clone());
            tamper(store, &[(number, at(other)), (other, at(number))]);
        };
        let broken = |store: &dyn Store| tamper(store, &[(number, Some(b"{}".to_vec()))]);
        type Change<'a> = &'a dyn Fn(&dyn Store);
        let each: [Change<'_>; 4] = [&altered, &removed, &swapped, &broken];
        for (which, change) in each.into_iter().enumerate() {
            let store = store();
            chain(&*store, 6);
            change(&*store);
            let verdict = verify(&*store, None).unwrap();
            assert!(!verdict.is_sound(), "act {number}, change {which}");
        }
    }
}

#[test]
fn a_chain_that_was_cut_or_written_anew_does_not_hold_the_head_that_was_noted() {
    let store = store();
    chain(&*store, 5);
    let noted = head(&*store).unwrap();
    assert!(verify(&*store, noted.clone()).unwrap().is_sound());
    let other = self::store();
    let eve = Actor::new("eve", Via::Cli, "c1");
    for number in 1..=9 {
        record(&*other, Durability::Soon, &eve, &Act::new("kv.set", "a"), number).unwrap();
    }
    assert!(sound(&*other).is_sound(), "in itself it is without fault");
    assert!(!verify(&*other, noted.clone()).unwrap().is_sound());
    let shorter = self::store();
    chain(&*shorter, 4);
    assert!(!verify(&*shorter, noted).unwrap().is_sound());
}

#[test]
fn rows_beyond_the_head_and_a_head_that_is_gone_are_found() {
    let store = store();
    chain(&*store, 3);
    let extra = String::from_utf8(lines(&*store)[2].clone()).unwrap();
    let extra = extra.replace("\"number\":3", "\"number\":4");
    tamper(&*store, &[(4, Some(extra.into_bytes()))]);
    assert!(!verify(&*store, None).unwrap().is_sound());
    tamper(&*store, &[(4, None)]);
    sound(&*store);
    let mut batch = Batch::new();
    batch.delete(head_key());
    store.commit(batch, Durability::Soon).unwrap();
    assert!(!verify(&*store, None).unwrap().is_sound());
}

#[test]
fn what_is_old_goes_and_the_rest_is_verified_from_a_checkpoint() {
    let store = store();
    for day in 0..600 {
        let act = Act::new("kv.set", "a");
        record(&*store, Durability::Soon, &ann(), &act, day * DAY_MS).unwrap();
    }
    let now_ms = 600 * DAY_MS;
    assert!(matches!(
        prune::prune(&*store, &ann(), 547, now_ms),
        Err(AuditError::Kept { .. })
    ));
    let before = head(&*store).unwrap();
    assert_eq!(prune::prunable(&*store, 548, now_ms).unwrap().acts, 52);
    assert_eq!(prune::prune(&*store, &ann(), 548, now_ms).unwrap(), 52);
    assert_eq!(prune::prune(&*store, &ann(), 548, now_ms).unwrap(), 0);
    let verdict = verify(&*store, before).unwrap();
    assert!(verdict.is_sound(), "{:?}", verdict.faults);
    assert_eq!((verdict.acts, verdict.first), (549, Some(53)));
    // More than was said to be taken away is missing.
    tamper(&*store, &[(53, None)]);
    assert!(!verify(&*store, None).unwrap().is_sound());
    // A checkpoint that fits is not the one that the pruning wrote down.
    let forged = Checkpoint {
        up_to: Head {
            number: 53,
            hash: look::read(&lines(&*store)[0]).unwrap().prev,
        },
        at_ms: 0,
    };
    let mut batch = Batch::new();
    batch.put(checkpoint_key(), serde_json::to_vec(&forged).unwrap());
    store.commit(batch, Durability::Soon).unwrap();
    assert!(!verify(&*store, None).unwrap().is_sound());
}

#[test]
fn what_is_too_long_is_cut_and_secrets_are_masked() {
    let store = store();
    let act = Act::new("kv.set", "x".repeat(1000)).with("why", "y".repeat(5000));
    record(&*store, Durability::Soon, &ann(), &act, 0).unwrap();
    let entry = look::last(&*store, &Wanted::default(), 1, 10).unwrap().remove(0);
    assert_eq!(entry.target.len(), TARGET_CHARS_MAX);
    assert_eq!(entry.details["omitted_bytes"], 5010);
    let mask = |text: String| text.replace("hunter2", "[masked]");
    let act = Act::new("run.start", "hunter2").with("in", serde_json::json!({ "a": ["hunter2"] }));
    assert!(!format!("{:?}", act.masked(&mask)).contains("hunter2"));
}

#[test]
fn acts_are_found_by_who_what_and_page() {
    let store = store();
    chain(&*store, 10);
    let act = Act::new("run.cancel", "r1");
    record(&*store, Durability::Soon, &Actor::new("bob", Via::Http, "c"), &act, 0).unwrap();
    chain(&*store, 10);
    let by_bob = Wanted {
        who: Some("bob".to_owned()),
        what: Some("run.".to_owned()),
        ..Wanted::default()
    };
    assert_eq!(look::last(&*store, &by_bob, 5, 100).unwrap().len(), 1);
    assert_eq!(
        look::last(&*store, &by_bob, 5, 10).unwrap().len(),
        0,
        "it looks no further"
    );
    let looked = |looked_max: usize| look::last_from(&*store, &by_bob, 5, looked_max).unwrap().stopped_at;
    assert_eq!(looked(10), Some(12), "and says where it stopped: the act is older");
    assert_eq!((looked(21), looked(100)), (None, None), "there is no older one");
    let page = look::last(&*store, &Wanted::default(), 5, 100).unwrap();
    assert_eq!(
        page.iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [21, 20, 19, 18, 17]
    );
    let next = Wanted {
        before: Some(17),
        ..Wanted::default()
    };
    assert_eq!(look::last(&*store, &next, 1, 100).unwrap()[0].number, 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_flipped_byte_goes_unseen(number in 1u64..=8, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let store = store();
        chain(&*store, 8);
        let mut line = lines(&*store)[number as usize - 1].clone();
        let at = at.index(line.len());
        line[at] ^= 1 << bit;
        tamper(&*store, &[(number, Some(line))]);
        prop_assert!(!verify(&*store, None).unwrap().is_sound());
    }
}

#[test]
fn acts_of_many_at_once_are_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = Engine::open(&path, crate::store::engine::EngineOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    record(&store, Durability::Now, &ann(), &Act::new("kv.set", "a"), 0).unwrap();
                }
            });
        }
    });
    let verdict = verify(&store, None).unwrap();
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!(verdict.acts, 200);
}
