//! The form of a journal's rows: kept to the bit, readable for good, and harmless when damaged.

use std::collections::BTreeMap;

use host::effect::{Class, Failure, Place, ProviderMode, RunMode};
use host::id::{ContentHash, RunId};
use host::journal::entry::{DecodeError, Ended, decode, encode};
use host::journal::row::{PLAIN, PRESSED, Packed};
use host::journal::{
    Answer, Asked, Attempt, Awaited, Begun, Entry, Intent, Parent, Recorded, RunError, Status, Wake, life,
};
use host::value::{Map, VALUE_DEPTH_MAX, Value, check_depth};
use proptest::prelude::*;

/// A row as the first version of the format has it: `encode(&known())`, written once and for all.
const ROW_OF_VERSION_1: &[u8] = include_bytes!("../data/journal-v1.bin");

/// The same by the second version.
const ROW_OF_VERSION_2: &[u8] = include_bytes!("../data/journal-v2.bin");

/// Entries in both formats.
fn rows_of(entries: &[Entry]) -> [Vec<u8>; 2] {
    let mut packed = Packed::default();
    entries.iter().for_each(|entry| packed.push(entry));
    let pressed = packed.row();
    assert_eq!(pressed[0], PRESSED);
    [encode(entries), pressed]
}

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
                unsigned: Vec::new(),
            },
            input: odd.clone(),
            at_ms: 1_795_262_400_000,
            trigger: "by hand".to_owned(),
            epoch: 1,
            parent: None,
            cause: None,
            retry_of: None,
            corr: None,
            by: None,
            edition: None,
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
            in_doubt: false,
            perhaps_landed: false,
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
            from: None,
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
            cleanup_error: None,
        }),
    ]
}

#[test]
fn rows_written_by_each_version_mean_what_they_meant() {
    assert_eq!(decode(ROW_OF_VERSION_1).expect("it is readable"), known());
    assert_eq!(decode(ROW_OF_VERSION_2).expect("it is readable"), known());
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
    let row = [vec![PLAIN], with_more(tree).to_bytes()].concat();
    assert_eq!(decode(&row).expect("it is readable"), known());
}

#[test]
fn a_row_cut_short_anywhere_is_refused() {
    for row in rows_of(&known()) {
        for len in 0..row.len() {
            let refusal = decode(&row[..len]);
            assert!(matches!(refusal, Err(DecodeError::Corrupt(_))), "{len}: {refusal:?}");
        }
        assert!(matches!(
            decode(&[&row[..], b"x"].concat()),
            Err(DecodeError::Corrupt(_))
        ));
    }
}

#[test]
fn a_row_with_any_byte_changed_is_refused_or_read_but_breaks_nothing() {
    for row in rows_of(&known()) {
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
        cleanup_error: None,
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

/// What happens to the run itself.
fn any_turn() -> impl Strategy<Value = Entry> {
    let awaited = prop_oneof![
        Just(Awaited::Time),
        any::<String>().prop_map(|why| Awaited::Attempt { why }),
        any::<(u32, u64)>().prop_map(|(tries, since_ms)| Awaited::Poll { tries, since_ms }),
        any::<String>().prop_map(|name| Awaited::Event { name }),
        any::<String>().prop_map(|text| Awaited::Question { text }),
        any::<[u8; 16]>().prop_map(|run| Awaited::Children {
            runs: vec![RunId::from_bytes(run)],
            born: None,
        }),
    ];
    let suspended = (any_asked(), awaited, any::<(Option<u64>, u64, u64)>()).prop_map(
        |(asked, awaited, (wake_ms, at_ms, active_ms))| {
            let wake = Wake {
                at_ms: wake_ms,
                awaited,
            };
            Entry::Suspended(Box::new(life::Suspended {
                asked,
                wake,
                at_ms,
                active_ms,
            }))
        },
    );
    let others = (any::<(u32, bool, u64, String)>(), any_value(), any_failure()).prop_map(
        |((step, flag, at_ms, by), value, failure)| {
            let error = RunError {
                failure,
                place: Place::default(),
                step: Some(step),
            };
            match step % 5 {
                0 => Entry::Resumed(life::Resumed {
                    epoch: step,
                    boot: by.clone(),
                    at_ms,
                    by,
                }),
                1 => Entry::Reopened(life::Reopened {
                    step: flag.then_some(step),
                    at_ms,
                    by,
                }),
                2 => Entry::Resolved(Box::new(life::Resolved {
                    step,
                    landed: flag,
                    value,
                    reason: by.clone(),
                    by,
                    at_ms,
                })),
                3 => Entry::Edited(Box::new(life::Edited {
                    file: by.clone(),
                    version: ContentHash::of(by.as_bytes()),
                    modules: BTreeMap::new(),
                    api: step,
                    uses: vec![by.clone()],
                    keep: std::collections::BTreeSet::from([step]),
                    again: std::collections::BTreeSet::new(),
                    input: value,
                    at_ms,
                    by,
                    edition: flag.then_some(at_ms),
                })),
                _ => Entry::Cleanup(Box::new(life::Cleanup {
                    status: Status::Cancelled,
                    error: Some(error),
                    after_step: step,
                    at_ms,
                    operations: at_ms,
                    stopped: flag,
                })),
            }
        },
    );
    prop_oneof![suspended, others]
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
                    unsigned: Vec::new(),
                },
                playbook,
                file,
                api: epoch,
                input,
                at_ms,
                trigger: String::new(),
                epoch,
                parent: live.then_some(Parent {
                    run: RunId::from_bytes(run),
                    step: epoch,
                }),
                cause: None,
                retry_of: live.then_some(RunId::from_bytes(run)),
                corr: None,
                by: live.then(String::new),
                edition: live.then_some(u64::from(epoch)),
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
                in_doubt: step.is_multiple_of(2),
                perhaps_landed: step.is_multiple_of(3),
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
                    from: in_doubt.then_some(attempts),
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
                cleanup_error: None,
            })
        });
    prop_oneof![begun, intent, attempt, answer, ended, any_turn()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn entries_survive_the_way_to_disk_and_back(entries in proptest::collection::vec(any_entry(), 0..4)) {
        prop_assert_eq!(decode(&encode(&entries)).expect("decodes"), entries);
    }

    #[test]
    fn bytes_that_are_no_row_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [PLAIN, PRESSED] {
            if let Some(first) = bytes.first_mut() {
                *first = format;
            }
            if let Ok(entries) = decode(&bytes) {
                prop_assert!(entries.is_empty(), "chance wrote {:?}", entries);
            }
        }
    }

    /// Whoever forged a bundle chose the order and the numbers.
    #[test]
    fn entries_in_any_order_are_a_record_or_refused(entries in proptest::collection::vec(any_entry(), 1..12)) {
        let run = RunId::from_bytes([1; 16]);
        let first = entries.iter().find(|entry| matches!(entry, Entry::Begun(_))).cloned();
        let others = entries.into_iter().filter(|entry| !matches!(entry, Entry::Begun(_)));
        let entries = first.into_iter().chain(others).collect();
        if let Ok(recorded) = Recorded::from_entries(run, entries) {
            recorded.keepable();
            recorded.waiting();
        }
    }
}
