//! Journals as they lie on disk: kept to the bit, refused when damaged, and never answered from by guesswork.

use std::collections::BTreeMap;
use std::sync::Arc;

use host::effect::{Class, Failure, Place, ProviderMode, RunMode};
use host::gate::{Gate, Silent};
use host::id::{ContentHash, RunId};
use host::journal::entry::{DecodeError, Ended, FORMAT, INLINE_BYTES_MAX, decode, encode};
use host::journal::{Answer, Asked, Attempt, Begun, Entry, Intent, JournalError, Recorded, RunError, Status};
use host::runs::replay::replay;
use host::store::content::{Content, FileContent, ScratchContent};
use host::store::overlay::Overlay;
use host::store::tx::Ground;
use host::store::{Batch, Durability, keys};
use host::testing::TestHost;
use host::value::{Map, VALUE_DEPTH_MAX, Value, check_depth};
use proptest::prelude::*;

use crate::ledger::audit;

/// A row as the first version of the format has it: `encode(&known())`, written once and for all.
const ROW_OF_VERSION_1: &[u8] = include_bytes!("../data/journal-v1.bin");

/// One entry of every kind, with every field set in one and as little as possible in another.
fn known() -> Vec<Entry> {
    let run = RunId::from_bytes(*b"0123456789abcdef");
    let hash = ContentHash::of(b"a playbook");
    let full_asked = Asked {
        step: 2,
        name: "slack.post".to_owned(),
        class: Class::Write,
        args: Value::from([("channel", "#clips".into()), ("blob", Value::Blob(vec![0, 255, 128]))]),
        place: Place {
            line: 3,
            column: 14,
            module: Some("posting".to_owned()),
        },
    };
    let full_failure = Failure {
        code: "SLACK_RATE".to_owned(),
        message: "slow down \u{1f422}".to_owned(),
        provider: Some("slack".to_owned()),
        status: Some(429),
        retry_after_ms: Some(1500),
        landed: Some(false),
        details: Value::from([("limit", Value::Int(i64::MIN))]),
    };
    let odd = Value::List(vec![
        Value::Unit,
        Value::Bool(true),
        Value::Int(i64::MAX),
        Value::Float(f64::NEG_INFINITY),
        Value::Float(-0.0),
        Value::Float(f64::from_bits(0x7ff8_0000_0000_0001)),
        Value::Text("\u{0}\u{202e}é".to_owned()),
        Value::Map(Map::from([(String::new(), Value::List(Vec::new()))])),
    ]);
    vec![
        Entry::Begun(Box::new(Begun {
            run,
            playbook: "clips".to_owned(),
            file: "playbooks/clips.rhai".to_owned(),
            version: hash,
            modules: BTreeMap::from([("posting".to_owned(), ContentHash::of(b"a module"))]),
            api: 1,
            mode: RunMode {
                live: true,
                providers: BTreeMap::from([
                    ("slack".to_owned(), ProviderMode::Live),
                    (
                        "openai".to_owned(),
                        ProviderMode::Simulated {
                            why: "OPENAI_LIVE is off".to_owned(),
                        },
                    ),
                ]),
                uses: vec!["slack".to_owned()],
            },
            input: odd.clone(),
            at_ms: 1_795_262_400_000,
            trigger: "by hand".to_owned(),
            epoch: 1,
        })),
        Entry::Answer(Box::new(Answer {
            asked: Asked {
                step: 1,
                name: "random.int".to_owned(),
                ..Asked::default()
            },
            value: odd,
            ..Answer::default()
        })),
        Entry::Intent(Intent {
            asked: full_asked.clone(),
            attempt: 1,
            key: "0123456789abcdef-2".to_owned(),
            at_ms: 7,
            send_deadline_ms: 30_007,
            epoch: 1,
            decision: Some("all three signals are given".to_owned()),
        }),
        Entry::Attempt(Attempt {
            step: 2,
            attempt: 1,
            error: full_failure.clone(),
            at_ms: 9,
            took_ms: 250,
            wait_ms: 1500,
        }),
        Entry::Answer(Box::new(Answer {
            asked: full_asked,
            value: Value::Unit,
            file: Some(hash),
            error: Some(full_failure.clone()),
            at_ms: 9,
            took_ms: 1750,
            simulated: Some("DRY_RUN is on".to_owned()),
            decision: Some("not approved".to_owned()),
            cost_usd: Some(0.125),
            attempts: 2,
            in_doubt: true,
        })),
        Entry::Ended(Ended {
            status: Status::NeedsAttention,
            value: Value::Unit,
            file: Some(hash),
            error: Some(RunError {
                failure: full_failure,
                place: Place::default(),
                step: Some(2),
            }),
            at_ms: 1800,
            operations: 0,
            stopped: false,
        }),
    ]
}

#[test]
fn a_row_written_by_the_first_version_means_what_it_meant() {
    assert_eq!(decode(ROW_OF_VERSION_1).expect("it is readable"), known());
}

#[test]
fn fields_of_a_later_host_are_passed_over() {
    fn with_more(value: Value) -> Value {
        match value {
            // An entry is a map with one field, its kind; what is below has fields.
            Value::List(entries) => Value::List(entries.into_iter().map(with_more).collect()),
            Value::Map(entry) => Value::Map(
                entry
                    .into_iter()
                    .map(|(kind, fields)| {
                        let mut fields = fields.as_map().cloned().expect("fields");
                        fields.insert("zz_later".to_owned(), Value::from([("more", Value::Blob(vec![1]))]));
                        fields.insert("_earlier".to_owned(), Value::List(vec![Value::Unit]));
                        (kind, Value::Map(fields))
                    })
                    .collect(),
            ),
            other => other,
        }
    }
    let tree = Value::from_bytes(&encode(&known())[1..]).expect("MessagePack");
    let row = [vec![FORMAT], with_more(tree).to_bytes()].concat();
    assert_eq!(decode(&row).expect("it is readable"), known());
}

#[test]
fn a_row_cut_short_anywhere_is_refused() {
    let row = encode(&known());
    for len in 0..row.len() {
        let refusal = decode(&row[..len]);
        assert!(matches!(refusal, Err(DecodeError::Corrupt(_))), "{len}: {refusal:?}");
    }
    assert!(matches!(
        decode(&[&row[..], b"x"].concat()),
        Err(DecodeError::Corrupt(_))
    ));
}

#[test]
fn a_row_with_any_byte_changed_is_refused_or_read_but_breaks_nothing() {
    let row = encode(&known());
    let mut refused = 0;
    for at in 0..row.len() {
        // Every single bit, and the markers that announce the longest texts, lists and maps.
        let bits = (0..8).map(|bit| row[at] ^ (1 << bit));
        for byte in bits.chain([0x00, 0xc6, 0xdb, 0xdd, 0xdf, 0xff]) {
            let mut changed = row.clone();
            changed[at] = byte;
            match decode(&changed) {
                Err(_) => refused += 1,
                Ok(entries) => drop(encode(&entries)),
            }
        }
    }
    assert!(refused > row.len(), "most changes are noticed: {refused}");
}

#[test]
fn a_row_nested_without_end_is_refused_and_the_stack_holds() {
    let row = encode(&[Entry::Ended(Ended {
        status: Status::Succeeded,
        value: "MARKER".into(),
        file: None,
        error: None,
        at_ms: 0,
        operations: 0,
        stopped: false,
    })]);
    let marker = b"\xa6MARKER";
    let at = row.windows(7).position(|window| window == marker).expect("it is there");
    for nest in [&b"\x91"[..], b"\x81\xa1a"] {
        let nested = [&row[..at], &nest.repeat(100_000), b"\xc0", &row[at + 7..]].concat();
        assert!(matches!(decode(&nested), Err(DecodeError::Corrupt(_))));
        assert!(Value::from_bytes(&nest.repeat(100_000)).is_err());
    }
}

#[test]
fn the_deepest_value_that_is_allowed_is_read_back_wherever_it_stands() {
    let nest = |value: Value, level: usize| match level % 2 {
        0 => Value::List(vec![value]),
        _ => Value::from([("a", value)]),
    };
    let deepest = (0..VALUE_DEPTH_MAX).fold(Value::Unit, nest);
    check_depth(&deepest).expect("it is allowed");
    assert_eq!(Value::from_bytes(&deepest.to_bytes()).expect("readable"), deepest);
    let failure = Failure::new("DEEP", "deep").details(deepest.clone());
    let answer = Answer {
        asked: Asked {
            args: Value::from([("value", deepest.clone())]),
            ..Asked::default()
        },
        value: Value::List(vec![deepest]),
        error: Some(failure),
        ..Answer::default()
    };
    let entries = [Entry::Answer(Box::new(answer))];
    assert_eq!(decode(&encode(&entries)).expect("readable"), entries);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Unit),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        "\\PC{0,12}".prop_map(Value::Text),
        any::<String>().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::Map),
        ]
    })
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let known = (any::<Option<u16>>(), any::<Option<u64>>(), any::<Option<bool>>());
    (
        "[A-Z_]{1,9}",
        any::<String>(),
        any::<Option<String>>(),
        known,
        any_value(),
    )
        .prop_map(
            |(code, message, provider, (status, retry_after_ms, landed), details)| Failure {
                code,
                message,
                provider,
                status,
                retry_after_ms,
                landed,
                details,
            },
        )
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let class = prop_oneof![Just(Class::Local), Just(Class::Read), Just(Class::Write)];
    let place = (any::<u32>(), any::<u32>(), any::<Option<String>>());
    // Arguments are always a map.
    let args = proptest::collection::btree_map("[a-z]{1,6}", any_value(), 1..4);
    (any::<u32>(), any::<String>(), class, args, place).prop_map(|(step, name, class, args, place)| Asked {
        step,
        name,
        class,
        args: Value::Map(args),
        place: place.into(),
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let numbers = || any::<(u64, u64, u32)>();
    let texts = || any::<(Option<String>, Option<String>)>();
    let file = || any::<Option<[u8; 32]>>().prop_map(|digest| digest.map(ContentHash::from_digest));
    let error = || proptest::option::of(any_failure());
    // An attempt's and an answer's cost is a number; equality of floats knows no NaN.
    let cost = any::<Option<i32>>().prop_map(|cents| cents.map(|cents| f64::from(cents) / 100.0));
    let begun = (
        any::<[u8; 16]>(),
        any::<(String, String)>(),
        any_value(),
        any::<(i64, bool)>(),
        numbers(),
    )
        .prop_map(|(run, (playbook, file), input, (at_ms, live), (_, _, epoch))| {
            Entry::Begun(Box::new(Begun {
                run: RunId::from_bytes(run),
                version: ContentHash::of(playbook.as_bytes()),
                modules: BTreeMap::from([(file.clone(), ContentHash::of(file.as_bytes()))]),
                mode: RunMode {
                    live,
                    providers: BTreeMap::from([(playbook.clone(), ProviderMode::Simulated { why: file.clone() })]),
                    uses: vec![file.clone()],
                },
                playbook,
                file,
                api: epoch,
                input,
                at_ms,
                trigger: String::new(),
                epoch,
            }))
        });
    let intent =
        (any_asked(), numbers(), texts()).prop_map(|(asked, (at_ms, send_deadline_ms, attempt), (key, decision))| {
            Entry::Intent(Intent {
                asked,
                attempt,
                key: key.unwrap_or_default(),
                at_ms,
                send_deadline_ms,
                epoch: attempt,
                decision,
            })
        });
    let attempt =
        (any_failure(), numbers(), numbers()).prop_map(|(error, (at_ms, took_ms, step), (wait_ms, _, attempt))| {
            Entry::Attempt(Attempt {
                step,
                attempt,
                error,
                at_ms,
                took_ms,
                wait_ms,
            })
        });
    let answer = (
        (any_asked(), any_value(), file(), error()),
        numbers(),
        texts(),
        cost,
        any::<bool>(),
    )
        .prop_map(
            |((asked, value, file, error), (at_ms, took_ms, attempts), (simulated, decision), cost_usd, in_doubt)| {
                Entry::Answer(Box::new(Answer {
                    asked,
                    value,
                    file,
                    error,
                    at_ms,
                    took_ms,
                    simulated,
                    decision,
                    cost_usd,
                    attempts,
                    in_doubt,
                }))
            },
        );
    let status = prop_oneof![
        Just(Status::Succeeded),
        Just(Status::Failed),
        Just(Status::Cancelled),
        Just(Status::NeedsAttention)
    ];
    let ended =
        (status, any_value(), file(), error(), numbers()).prop_map(|(status, value, file, error, (at_ms, _, step))| {
            Entry::Ended(Ended {
                status,
                value,
                file,
                error: error.map(|failure| RunError {
                    failure,
                    place: Place::default(),
                    step: Some(step),
                }),
                at_ms,
                operations: u64::from(step),
                stopped: step.is_multiple_of(2),
            })
        });
    prop_oneof![begun, intent, attempt, answer, ended]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn entries_survive_the_way_to_disk_and_back(entries in proptest::collection::vec(any_entry(), 0..4)) {
        prop_assert_eq!(decode(&encode(&entries)).expect("decodes"), entries);
    }

    #[test]
    fn bytes_that_are_no_row_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() {
            *first = FORMAT;
        }
        if let Ok(entries) = decode(&bytes) {
            prop_assert!(entries.is_empty(), "chance wrote {:?}", entries);
        }
    }
}

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
    let gate = host.gate();
    let shut = Gate {
        world: gate.world.shut(),
        ground: gate.ground.clone(),
        masks: gate.masks.clone(),
        policies: gate.policies.clone(),
    };
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
        assert!(
            error.to_string().contains("format 2, this host knows up to 1"),
            "{error}"
        );
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

#[derive(Clone, Debug)]
enum Action {
    Put(u8, i64),
    PutText(u8),
    Get(u8),
    Increment(u8, i64),
    Remove(u8),
    List,
    PutDocument(u8),
    GetDocument(u8),
    DeleteDocument(u8),
    Random,
    Time,
    /// An effect that fails whatever the state.
    Refused,
    Try(Vec<Action>),
    Loop(u8, Vec<Action>),
    OnChance(Vec<Action>),
}

impl Action {
    fn write(&self, script: &mut String) {
        let block = |actions: &[Action]| {
            let mut inner = String::new();
            actions.iter().for_each(|action| action.write(&mut inner));
            inner
        };
        *script += &match self {
            Action::Put(key, value) => format!("kv::put(\"k{key}\", {value});\n"),
            Action::PutText(key) => format!("kv::put(\"k{key}\", `seen ${{seen}}`);\n"),
            Action::Get(key) => format!("seen.push(kv::get(\"k{key}\"));\n"),
            Action::Increment(key, by) => format!("seen.push(kv::increment(\"k{key}\", {by}));\n"),
            Action::Remove(key) => format!("seen.push(kv::remove(\"k{key}\"));\n"),
            Action::List => "seen.push(kv::list(\"k\").len());\n".to_owned(),
            Action::PutDocument(id) => format!("seen.push(store::put(\"c\", \"d{id}\", #{{ n: seen.len() }}));\n"),
            Action::GetDocument(id) => format!("seen.push(store::read(\"c\", \"d{id}\"));\n"),
            Action::DeleteDocument(id) => format!("seen.push(store::delete(\"c\", \"d{id}\"));\n"),
            Action::Random => "seen.push(random::int(0, 1000000)); seen.push(random::float());\n".to_owned(),
            Action::Time => "seen.push(time::now_ms());\n".to_owned(),
            Action::Refused => "kv::get(\"\");\n".to_owned(),
            Action::Try(actions) => {
                format!(
                    "try {{ {} }} catch (error) {{ seen.push(error.code); }}\n",
                    block(actions)
                )
            }
            Action::Loop(times, actions) => format!("for i in 0..{times} {{ {} }}\n", block(actions)),
            Action::OnChance(actions) => format!("if random::int(0, 1) == 1 {{ {} }}\n", block(actions)),
        };
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let key = || 0..4u8;
    let leaf = prop_oneof![
        (key(), -5..5i64).prop_map(|(key, value)| Action::Put(key, value)),
        key().prop_map(Action::PutText),
        key().prop_map(Action::Get),
        (key(), -5..5i64).prop_map(|(key, by)| Action::Increment(key, by)),
        key().prop_map(Action::Remove),
        Just(Action::List),
        key().prop_map(Action::PutDocument),
        key().prop_map(Action::GetDocument),
        key().prop_map(Action::DeleteDocument),
        Just(Action::Random),
        Just(Action::Time),
        Just(Action::Refused),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        let block = proptest::collection::vec(inner, 1..6);
        prop_oneof![
            3 => block.clone().prop_map(Action::Try),
            1 => (1..4u8, block.clone()).prop_map(|(times, actions)| Action::Loop(times, actions)),
            1 => block.prop_map(Action::OnChance),
        ]
    })
}

fn script(actions: &[Action]) -> String {
    let mut script = "let seen = [];\n".to_owned();
    actions.iter().for_each(|action| action.write(&mut script));
    script + "seen.len()"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn whatever_a_playbook_keeps_its_replay_equals_its_run_and_the_store_its_journals(
        scripts in proptest::collection::vec(proptest::collection::vec(any_action(), 1..12), 1..3),
    ) {
        let host = TestHost::default();
        for actions in &scripts {
            host.run(&script(actions));
            host.clock.advance(std::time::Duration::from_secs(1));
        }
        prop_assert_eq!(audit(&host.ground).len(), scripts.len());
        // Replays every run, and panics when one differs.
        drop(host);
    }
}
