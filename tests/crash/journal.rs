//! Journals that were damaged, altered or cut: refused, and never answered from by guesswork.

use std::sync::Arc;

use host::gate::Silent;
use host::id::RunId;
use host::journal::entry::{FORMAT, INLINE_BYTES_MAX, decode, encode};
use host::journal::{Answer, Entry, JournalError, Recorded};
use host::runs::replay::replay;
use host::store::content::{Content, FileContent, ScratchContent};
use host::store::overlay::Overlay;
use host::store::tx::Ground;
use host::store::{Batch, Durability, keys};
use host::testing::TestHost;
use host::value::Value;

/// A run with several rows on its journal.
const SEVERAL_ROWS: &str = r#"
    let a = kv::increment("a");
    let dice = random::int(1, 6);
    kv::put("dice", dice);
    store::put("clips", "one", #{ a: a });
    try { kv::increment("missing", 1); kv::put("text", "x"); kv::increment("text") } catch (error) { }
    kv::get("dice")
"#;

/// A host on the ground of `host`, whose changes do not reach it.
fn beside(host: &TestHost) -> TestHost {
    let mut other = TestHost::default();
    other.ground = Ground {
        store: Arc::new(Overlay::over(host.ground.store.clone())),
        ..host.ground.clone()
    };
    other
}

fn change(ground: &Ground, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    ground.store.commit(batch, Durability::Now).expect("the change is made");
}

/// The rows of a journal: number of the first entry, bytes.
fn rows(ground: &Ground, run: RunId) -> Vec<(u64, Vec<u8>)> {
    let rows = ground.store.scan(keys::journal_of(run), 1000, false).expect("rows");
    let number = |key: &[u8]| match keys::parse(key) {
        Some(keys::Place::Journal { first, .. }) => first,
        other => panic!("{other:?} on a journal"),
    };
    rows.into_iter().map(|(key, row)| (number(&key), row.value)).collect()
}

/// How a journal is made another.
type Edit<T> = fn(&mut T);

/// Puts another journal in the place of `run`'s.
fn rewrite(ground: &Ground, run: RunId, edit: impl FnOnce(&mut Vec<Entry>)) {
    let old = rows(ground, run);
    let mut entries: Vec<Entry> = old.iter().flat_map(|(_, row)| decode(row).expect("readable")).collect();
    edit(&mut entries);
    change(ground, |batch| {
        for (first, _) in &old {
            batch.delete(keys::journal(run, *first));
        }
        batch.put(keys::journal(run, 0), encode(&entries));
    });
}

#[test]
fn a_missing_row_is_told_by_the_entry_that_is_not_there() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS).id();
    let rows = rows(&host.ground, run);
    assert!(rows.len() > 4, "there is a middle");
    for (first, _) in &rows[..rows.len() - 1] {
        let other = beside(&host);
        change(&other.ground, |batch| batch.delete(keys::journal(run, *first)));
        match Recorded::load(&other.ground, run) {
            Err(error @ JournalError::Corrupt { entry, .. }) if entry == *first => {
                assert_eq!(error.code(), "JOURNAL_CORRUPT");
                assert!(error.to_string().contains(&run.to_string()), "{error}");
            }
            other => panic!("without entry {first}: {other:?}"),
        }
    }
    // Without its last row a journal is one of a run that has not ended: that is no damage, and no replay either.
    let other = beside(&host);
    let last = rows.last().expect("a row").0;
    change(&other.ground, |batch| batch.delete(keys::journal(run, last)));
    assert_eq!(Recorded::load(&other.ground, run).expect("readable").ended, None);
    assert_eq!(refusal(&other, run), "RUN_UNFINISHED");
}

/// The code of the error for which `run` cannot be replayed.
fn refusal(host: &TestHost, run: RunId) -> String {
    let shut = host.gate().shut();
    let refused = replay(&host.library(), Arc::new(shut), run, Arc::new(Silent));
    refused.expect_err("it cannot be replayed").code().to_owned()
}

#[test]
fn a_row_of_a_newer_host_is_refused_by_its_version() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS).id();
    for (first, mut row) in rows(&host.ground, run) {
        row[0] = FORMAT + 1;
        let other = beside(&host);
        change(&other.ground, |batch| batch.put(keys::journal(run, first), row));
        let error = Recorded::load(&other.ground, run).expect_err("it is refused");
        assert_eq!(error.code(), "JOURNAL_NEWER_FORMAT");
        let told = format!("format {}, this host knows up to {FORMAT}", FORMAT + 1);
        assert!(error.to_string().contains(&told), "{error}");
        assert_eq!(refusal(&other, run), "JOURNAL_NEWER_FORMAT");
    }
}

#[test]
fn a_journal_that_no_writer_writes_is_refused() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS).id();
    let edits: [(&str, Edit<Vec<Entry>>); 5] = [
        ("it does not start with the beginning of a run", |entries| {
            drop(entries.remove(0))
        }),
        ("the run begins twice", |entries| entries.insert(1, entries[0].clone())),
        ("an effect has two answers", |entries| {
            entries.insert(2, entries[1].clone())
        }),
        ("it goes on after its end", |entries| entries.push(entries[1].clone())),
        ("it goes on after its end", |entries| {
            entries.push(entries[entries.len() - 1].clone())
        }),
    ];
    for (reason, edit) in edits {
        let other = beside(&host);
        rewrite(&other.ground, run, edit);
        let error = Recorded::load(&other.ground, run).expect_err(reason);
        assert_eq!(error.code(), "JOURNAL_CORRUPT");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// The answer on `entries` to the step `number`.
fn answer_to(entries: &mut [Entry], number: u32) -> &mut Answer {
    let answers = entries.iter_mut().filter_map(|entry| match entry {
        Entry::Answer(answer) if answer.asked.step == number => Some(answer),
        _ => None,
    });
    answers.into_iter().next().expect("it was answered")
}

#[test]
fn a_replay_that_asks_for_something_else_than_is_on_record_names_both() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS).id();
    let edits: [(&str, Edit<Answer>); 3] = [
        (r#"kv.put {"key":"dice","value":77}"#, |answer| {
            answer.asked.args = Value::from([("key", "dice".into()), ("value", 77.into())]);
        }),
        (r#"kv.get {"key":"dice""#, |answer| {
            answer.asked.name = "kv.get".to_owned()
        }),
        ("kv.put null", |answer| answer.asked.args = Value::Unit),
    ];
    for (recorded, edit) in edits {
        let other = beside(&host);
        rewrite(&other.ground, run, |entries| edit(answer_to(entries, 3)));
        let replayed = other.replay(run);
        let error = replayed.outcome.error.expect("the replay stops");
        assert_eq!((error.failure.code.as_str(), error.step), ("NONDETERMINISM", Some(3)));
        let message = &error.failure.message;
        assert!(
            message.contains(&format!("step 3 of the journal is {recorded}")),
            "{message}"
        );
        assert!(
            message.contains(r#"the script asked for kv.put {"key":"dice","value":"#),
            "{message}"
        );
        assert!(!replayed.same);
    }
    // Another answer is not another question: the script goes its own way with it, and that is seen.
    let other = beside(&host);
    rewrite(&other.ground, run, |entries| answer_to(entries, 2).value = 99.into());
    let error = other.replay(run).outcome.error.expect("the replay stops");
    assert_eq!((error.failure.code.as_str(), error.step), ("NONDETERMINISM", Some(3)));
}

#[test]
fn a_replay_of_a_journal_cut_short_stops_where_the_record_does() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS);
    let steps = run.answers().len() as u32;
    for kept in 0..steps {
        let other = beside(&host);
        rewrite(&other.ground, run.id(), |entries| {
            entries.retain(|entry| !matches!(entry, Entry::Answer(answer) if answer.asked.step > kept));
        });
        let replayed = other.replay(run.id());
        assert!(!replayed.same, "after {kept} of {steps}");
        let error = replayed.outcome.error.expect("the replay stops");
        assert_eq!(
            (error.failure.code.as_str(), error.step),
            ("NOT_RECORDED", Some(kept + 1))
        );
        assert_eq!(replayed.effects, kept);
    }
}

#[test]
fn a_replay_that_asks_for_less_than_is_on_record_is_not_the_same() {
    let host = TestHost::default();
    let run = host.run(SEVERAL_ROWS);
    let other = beside(&host);
    rewrite(&other.ground, run.id(), |entries| {
        let mut more = answer_to(entries, 1).clone();
        more.asked.step = run.answers().len() as u32 + 1;
        entries.insert(entries.len() - 1, Entry::Answer(Box::new(more)));
    });
    assert!(!other.replay(run.id()).same);
}

#[test]
fn a_large_value_lies_in_a_file_of_its_own_and_is_missed_when_that_is_gone() {
    let mut host = TestHost::default();
    let content: Arc<dyn Content> = Arc::new(FileContent::new(host.folder().join("content")));
    host.ground.content = content.clone();
    let large = "x".repeat(INLINE_BYTES_MAX);
    let run = host.run(
        r#"let large = ""; large.pad(65536, "x"); kv::put("large", large);
           kv::put("small", "s"); kv::get("small"); [kv::get("large"), "and more"]"#,
    );
    let stored: Vec<Entry> = rows(&host.ground, run.id())
        .iter()
        .flat_map(|(_, row)| decode(row).expect("readable"))
        .collect();
    let (mut files, mut inline) = (Vec::new(), 0);
    for entry in &stored {
        let (file, value) = match entry {
            Entry::Answer(answer) => (answer.file, &answer.value),
            Entry::Ended(ended) => (ended.file, &ended.value),
            _ => continue,
        };
        match file {
            Some(hash) => {
                assert!(value.is_unit(), "the value is in one place only");
                files.push(hash);
            }
            None => inline += 1,
        }
    }
    assert_eq!((files.len(), inline), (2, 3), "the large answer and the large result");
    let path = content.path(&files[0]).expect("a file");
    let bytes = std::fs::read(&path).expect("it is there");
    assert_eq!(Value::from_bytes(&bytes).expect("a value"), Value::from(large.as_str()));
    assert_eq!(
        host.replay(run.id()).outcome.value.as_list().expect("a list")[0],
        large.into()
    );

    // Gone: in a ground whose contents are elsewhere.
    let mut other = beside(&host);
    other.ground.content = Arc::new(ScratchContent::in_memory(None));
    let error = Recorded::load(&other.ground, run.id()).expect_err("it is missed");
    assert_eq!(error.code(), "JOURNAL_CORRUPT");
    assert!(error.to_string().contains(&files[0].to_string()), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");

    // Altered.
    std::fs::write(&path, [&bytes[..bytes.len() - 1], b"y"].concat()).expect("written");
    let error = Recorded::load(&host.ground, run.id()).expect_err("it is noticed");
    assert_eq!(error.code(), "STORE_CORRUPT", "{error}");
    std::fs::write(&path, bytes).expect("as it was, for the replay at the end");
}
