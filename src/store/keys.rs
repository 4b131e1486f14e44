//! The layout of every key.
//!
//! A key begins with the byte of its space and the version of that space's layout, so that a later layout can live
//! beside an earlier one while rows move over. What follows sorts as its parts do: numbers big-endian, ids of runs as
//! their 16 bytes, texts escaped and ended (see [`order`](super::order)).
//!
//! | space | parts |
//! | --- | --- |
//! | run | run id |
//! | journal | run id, number of the first entry in the row |
//! | version | hash of a script or prompt |
//! | open | run id: of each run that has, or waits for, a thread |
//! | wake | Unix milliseconds, run id: of each suspended run that a time wakes |
//! | child | run id of the parent, run id |
//! | question | run id, step |
//! | incident | incident id |
//! | pin | run id, id of an incident that holds it |
//! | document | realm, collection, id |
//! | index | realm, collection, field, sort key of the value, id |
//! | kv | realm, key |
//! | queue | realm, kind of row, name of the queue, and what the row is about (see [`QueueRow`]) |
//! | metric | realm, kind of row, name of the metric, and what the row is about (see [`MetricRow`]) |
//! | schedule | playbook, schedule |
//! | tick | playbook, schedule, Unix milliseconds for which it is planned |
//! | due | Unix milliseconds, playbook, schedule |
//! | meta, event, waiter, limiter, circuit, claim, pause, cursor, seen, overlap, edition, epoch | names |
//! | user, organisation, token, session, guesses, audit, idempotency, webhook | names |
//!
//! The byte 0 belongs to the engine itself and is refused to everybody else.

mod queues;
mod runs;
mod space;
mod ticks;

use std::fmt;
use std::ops::Bound;

pub use self::queues::*;
pub use self::runs::*;
pub use self::space::Space;
pub use self::ticks::*;
use super::KeyRange;
use super::order::{read_delimited, write_delimited, write_open};
use crate::id::{ContentHash, IncidentId, RunId};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;

/// The version of every space's layout so far.
const LAYOUT: u8 = 1;

/// One of two separate bodies of script-visible data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Realm {
    Live,
    Dry,
}

impl Realm {
    pub const ALL: [Realm; 2] = [Realm::Live, Realm::Dry];

    fn byte(self) -> u8 {
        match self {
            Realm::Live => 1,
            Realm::Dry => 2,
        }
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Realm::Live => "live",
            Realm::Dry => "dry",
        })
    }
}

/// A key as it is written, part after part.
struct Parts(Vec<u8>);

impl Parts {
    fn of(space: Space) -> Parts {
        Parts(vec![space.byte(), LAYOUT])
    }

    fn realm(mut self, realm: Realm) -> Parts {
        self.0.push(realm.byte());
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Parts {
        self.0.extend_from_slice(bytes);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Parts {
        write_delimited(&mut self.0, bytes);
        self
    }

    fn text(self, text: &str) -> Parts {
        self.bytes(text.as_bytes())
    }
}

/// The row of a run.
pub fn run(id: RunId) -> Vec<u8> {
    Parts::of(Space::Run).raw(&id.to_bytes()).0
}

/// The rows of all runs between two ids, both included, oldest first.
pub fn runs(first: RunId, last: RunId) -> KeyRange {
    (Bound::Included(run(first)), Bound::Included(run(last)))
}

/// The row of a run's journal that begins with entry number `first`.
pub fn journal(run: RunId, first: u64) -> Vec<u8> {
    Parts::of(Space::Journal)
        .raw(&run.to_bytes())
        .raw(&first.to_be_bytes())
        .0
}

/// All rows of a run's journal.
pub fn journal_of(run: RunId) -> KeyRange {
    prefix_range(Parts::of(Space::Journal).raw(&run.to_bytes()).0)
}

/// Whether `key` is a row of the journal of `run`.
pub fn is_journal_of(key: &[u8], run: RunId) -> bool {
    key.starts_with(&Parts::of(Space::Journal).raw(&run.to_bytes()).0)
}

/// The content of a script or prompt.
pub fn version(hash: &ContentHash) -> Vec<u8> {
    Parts::of(Space::Version).raw(hash.as_bytes()).0
}

/// A document.
pub fn document(realm: Realm, collection: &str, id: &str) -> Vec<u8> {
    Parts(collection_prefix(realm, collection)).text(id).0
}

/// How the keys of all documents of a collection begin.
pub fn collection_prefix(realm: Realm, collection: &str) -> Vec<u8> {
    Parts(documents_prefix(realm)).text(collection).0
}

/// How the keys of all documents of a realm begin.
pub fn documents_prefix(realm: Realm) -> Vec<u8> {
    Parts::of(Space::Document).realm(realm).0
}

/// The entry of document `id` in the index of `field`, under the sort key of its value.
pub fn index_entry(realm: Realm, collection: &str, field: &str, sort_key: &[u8], id: &str) -> Vec<u8> {
    Parts(index_prefix(realm, collection, field)).bytes(sort_key).text(id).0
}

/// How the entries of an index begin.
pub fn index_prefix(realm: Realm, collection: &str, field: &str) -> Vec<u8> {
    Parts::of(Space::Index).realm(realm).text(collection).text(field).0
}

/// The entries of an index whose sort keys lie between `low` and `high`, both included; longer ones that begin with
/// `low` are included too. `high: None` means all that begin with the kind of `low`.
pub fn index_range(realm: Realm, collection: &str, field: &str, low: &[u8], high: Option<&[u8]>) -> KeyRange {
    let prefix = index_prefix(realm, collection, field);
    let mut start = prefix.clone();
    write_open(&mut start, low);
    let end = match high {
        Some(high) => Parts(prefix).bytes(high).0,
        None => Parts(prefix).raw(&low[..low.len().min(1)]).0,
    };
    (Bound::Included(start), prefix_range(end).1)
}

/// A key-value pair.
pub fn kv(realm: Realm, key: &str) -> Vec<u8> {
    Parts::of(Space::Kv).realm(realm).text(key).0
}

/// How the keys of all key-value pairs begin whose key begins with `prefix`.
pub fn kv_prefix(realm: Realm, prefix: &str) -> Vec<u8> {
    let mut key = Parts::of(Space::Kv).realm(realm).0;
    write_open(&mut key, prefix.as_bytes());
    key
}

/// A row of a space whose keys are names.
pub fn named(space: Space, names: &[&str]) -> Vec<u8> {
    names.iter().fold(Parts::of(space), |parts, name| parts.text(name)).0
}

/// All keys that begin with `prefix`.
pub fn prefix_range(prefix: Vec<u8>) -> KeyRange {
    let mut end = prefix.clone();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            return (Bound::Included(prefix), Bound::Excluded(end));
        }
    }
    (Bound::Included(prefix), Bound::Unbounded)
}

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Run(RunId),
    Journal {
        run: RunId,
        first: u64,
    },
    Version(ContentHash),
    Open(RunId),
    Wake {
        at_ms: i64,
        run: RunId,
    },
    Child {
        parent: RunId,
        child: RunId,
    },
    Question {
        run: RunId,
        step: u32,
    },
    Incident(IncidentId),
    Pin {
        run: RunId,
        incident: IncidentId,
    },
    Document {
        realm: Realm,
        collection: String,
        id: String,
    },
    Index {
        realm: Realm,
        collection: String,
        field: String,
        id: String,
    },
    Kv {
        realm: Realm,
        key: String,
    },
    Queue {
        realm: Realm,
        queue: String,
        row: QueueRow,
    },
    Metric {
        realm: Realm,
        metric: String,
        row: MetricRow,
    },
    Schedule {
        playbook: String,
        schedule: String,
    },
    Tick {
        playbook: String,
        schedule: String,
        planned_ms: i64,
    },
    Due {
        due_ms: i64,
        playbook: String,
        schedule: String,
    },
    Named {
        space: Space,
        names: Vec<String>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Run(run) => write!(f, "run {run}"),
            Place::Journal { run, first } => write!(f, "journal of {run} from entry {first}"),
            Place::Version(hash) => write!(f, "version {}", hash.short()),
            Place::Open(run) => write!(f, "open run {run}"),
            Place::Wake { run, .. } => write!(f, "wake of run {run}"),
            Place::Child { parent, child } => write!(f, "run {child} as child of {parent}"),
            Place::Question { run, step } => write!(f, "question of run {run} at step {step}"),
            Place::Incident(id) => write!(f, "incident {id}"),
            Place::Pin { run, incident } => write!(f, "pin of {run} by {incident}"),
            Place::Document { realm, collection, id } => {
                write!(f, "document {collection}/{} ({realm})", id.escape_debug())
            }
            Place::Index {
                realm,
                collection,
                field,
                id,
            } => {
                write!(
                    f,
                    "index {collection}.{} of {} ({realm})",
                    field.escape_debug(),
                    id.escape_debug()
                )
            }
            Place::Kv { realm, key } => write!(f, "kv {} ({realm})", key.escape_debug()),
            Place::Queue { realm, queue, row } => write!(f, "{row} of queue {} ({realm})", queue.escape_debug()),
            Place::Metric { realm, metric, row } => write!(f, "{row} of metric {} ({realm})", metric.escape_debug()),
            Place::Schedule { playbook, schedule } => write!(f, "schedule {schedule} of {}", playbook.escape_debug()),
            Place::Tick {
                playbook, planned_ms, ..
            } => write!(f, "tick of {} planned for {planned_ms}", playbook.escape_debug()),
            Place::Due { playbook, due_ms, .. } => write!(f, "tick of {} due at {due_ms}", playbook.escape_debug()),
            Place::Named { space, names } => write!(f, "{space} {}", names.join("/").escape_debug()),
        }
    }
}

/// What `key` names, or `None` when this host does not know its layout.
pub fn parse(key: &[u8]) -> Option<Place> {
    let (&[space, layout], mut rest) = key.split_first_chunk::<2>()?;
    if layout != LAYOUT {
        return None;
    }
    let rest = &mut rest;
    let place = match Space::entry(|entry| entry.1 == space)?.0 {
        Space::Run => Place::Run(read_run(rest)?),
        Space::Journal => Place::Journal {
            run: read_run(rest)?,
            first: u64::from_be_bytes(read_array(rest)?),
        },
        Space::Version => Place::Version(ContentHash::from_digest(read_array(rest)?)),
        Space::Open => Place::Open(read_run(rest)?),
        Space::Wake => Place::Wake {
            at_ms: i64::from_be_bytes(read_array(rest)?),
            run: read_run(rest)?,
        },
        Space::Child => Place::Child {
            parent: read_run(rest)?,
            child: read_run(rest)?,
        },
        Space::Question => Place::Question {
            run: read_run(rest)?,
            step: u32::from_be_bytes(read_array(rest)?),
        },
        Space::Incident => Place::Incident(IncidentId::from_bytes(read_array(rest)?)),
        Space::Pin => Place::Pin {
            run: read_run(rest)?,
            incident: IncidentId::from_bytes(read_array(rest)?),
        },
        Space::Document => Place::Document {
            realm: read_realm(rest)?,
            collection: read_text(rest)?,
            id: read_text(rest)?,
        },
        Space::Index => {
            let (realm, collection, field) = (read_realm(rest)?, read_text(rest)?, read_text(rest)?);
            read_delimited(rest)?;
            Place::Index {
                realm,
                collection,
                field,
                id: read_text(rest)?,
            }
        }
        Space::Kv => Place::Kv {
            realm: read_realm(rest)?,
            key: read_text(rest)?,
        },
        Space::Queue => read_queue(rest)?,
        Space::Metric => read_metric(rest)?,
        space @ (Space::Schedule | Space::Tick | Space::Due) => ticks::read(space, rest)?,
        space @ (Space::Meta
        | Space::Event
        | Space::Waiter
        | Space::Limiter
        | Space::Circuit
        | Space::Claim
        | Space::Pause
        | Space::Cursor
        | Space::Seen
        | Space::Overlap
        | Space::Edition
        | Space::Monitor
        | Space::Line
        | Space::Epoch
        | Space::User
        | Space::Organisation
        | Space::Token
        | Space::Session
        | Space::Guess
        | Space::Audit
        | Space::Idempotency
        | Space::Webhook) => {
            let mut names = Vec::new();
            while !rest.is_empty() {
                names.push(read_text(rest)?);
            }
            Place::Named { space, names }
        }
    };
    rest.is_empty().then_some(place)
}

/// The sort key in an entry of an index.
pub(super) fn sort_key_of(index_entry: &[u8]) -> Option<Vec<u8>> {
    let mut rest = index_entry.get(2..)?;
    read_realm(&mut rest)?;
    read_delimited(&mut rest)?;
    read_delimited(&mut rest)?;
    read_delimited(&mut rest)
}

/// The name of the space whose keys begin with `byte`, in words also when this host does not know it.
pub fn space_name(byte: u8) -> String {
    match Space::entry(|entry| entry.1 == byte) {
        Some((_, _, name)) => (*name).to_owned(),
        None => format!("unknown ({byte:#04x})"),
    }
}

/// Whether keys that begin with `byte` belong to a space that this host knows.
pub fn is_known(byte: u8) -> bool {
    Space::entry(|entry| entry.1 == byte).is_some()
}

/// `key` for people.
pub fn describe(key: &[u8]) -> String {
    match parse(key) {
        Some(place) => place.to_string(),
        None => format!("key {}", hex::encode(&key[..key.len().min(64)])),
    }
}

fn read_array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*array)
}

fn read_run(input: &mut &[u8]) -> Option<RunId> {
    read_array(input).map(RunId::from_bytes)
}

fn read_realm(input: &mut &[u8]) -> Option<Realm> {
    let [byte] = read_array(input)?;
    Realm::ALL.into_iter().find(|realm| realm.byte() == byte)
}

fn read_text(input: &mut &[u8]) -> Option<String> {
    String::from_utf8(read_delimited(input)?).ok()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[\u{0}\u{1}ab\u{10FFFF}]{0,3}"
    }

    proptest! {
        #[test]
        fn documents_sort_by_realm_then_collection_then_id(a in (0usize..2, name(), name()), b in (0usize..2, name(), name())) {
            let key = |(realm, collection, id): &(usize, String, String)| document(Realm::ALL[*realm], collection, id);
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn journal_rows_sort_by_run_then_entry(a in any::<([u8; 16], u64)>(), b in any::<([u8; 16], u64)>()) {
            let key = |(run, first): ([u8; 16], u64)| journal(RunId::from_bytes(run), first);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert!(journal_of(RunId::from_bytes(a.0)).contains(&key(a)));
            prop_assert_eq!(journal_of(RunId::from_bytes(a.0)).contains(&key(b)), a.0 == b.0);
        }

        #[test]
        fn a_prefix_range_holds_exactly_what_begins_so(
            prefix in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xFE), Just(0xFF)], 0..3),
            key in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xFE), Just(0xFF)], 0..4),
        ) {
            prop_assert_eq!(prefix_range(prefix.clone()).contains(&key), key.starts_with(&prefix));
        }

        #[test]
        fn a_text_prefix_finds_its_keys_and_no_others(prefix in name(), key in name()) {
            let range = prefix_range(kv_prefix(Realm::Dry, &prefix));
            prop_assert_eq!(range.contains(&kv(Realm::Dry, &key)), key.starts_with(&prefix));
            prop_assert!(!range.contains(&kv(Realm::Live, &key)));
        }

        #[test]
        fn a_key_says_what_it_names(realm in 0usize..2, collection in name(), field in name(), id in name(), sort_key: Vec<u8>) {
            let realm = Realm::ALL[realm];
            let entry = index_entry(realm, &collection, &field, &sort_key, &id);
            prop_assert_eq!(sort_key_of(&entry), Some(sort_key));
            prop_assert_eq!(parse(&entry), Some(Place::Index { realm, collection: collection.clone(), field, id: id.clone() }));
            prop_assert_eq!(parse(&document(realm, &collection, &id)), Some(Place::Document { realm, collection: collection.clone(), id }));
            let names = [collection.as_str(), "b"];
            let key = named(Space::Claim, &names);
            prop_assert_eq!(parse(&key), Some(Place::Named { space: Space::Claim, names: names.map(str::to_owned).to_vec() }));
        }

        #[test]
        fn foreign_keys_are_described_and_never_panic(key: Vec<u8>) {
            describe(&key);
        }
    }

    #[test]
    fn people_read_keys_without_control_characters() {
        let run = RunId::new(1_763_683_200_000, 7);
        assert_eq!(
            describe(&document(Realm::Live, "videos", "a\u{1b}[2J")),
            r"document videos/a\u{1b}[2J (live)"
        );
        assert_eq!(describe(&journal(run, 3)), format!("journal of {run} from entry 3"));
        assert_eq!(describe(&[7, 7]), "key 0707");
    }
}
