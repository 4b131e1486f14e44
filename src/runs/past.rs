//! The store as far as a record shows it.
//!
//! Every read of a recorded run tells what was there, and every change tells something of what was there before. From
//! these a store is made that stands below a what-if. It knows what it does not know: asked for a key or a range that
//! the record does not show, it answers as if nothing were there, and raises a flag.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gate::RecordedWrite;
use crate::id::StepNo;
use crate::journal::{Answer, Recorded};
use crate::store::content::Content;
use crate::store::documents::{self, Document, Indexes};
use crate::store::overlay::Overlay;
use crate::store::tx::Ground;
use crate::store::{Batch, CommitNo, Durability, KeyRange, Row, Store, StoreError, StoreStats, Tx, VisitRow, keys, kv};
use crate::value::{Map, Value};

/// What a record shows of its store.
pub(super) struct Remembered {
    /// Never written once it is made.
    pub(super) store: Arc<dyn Store>,
    /// Set when the store was asked for what the record does not show.
    pub(super) blind: Arc<AtomicBool>,
    /// What the recorded run wrote, by step.
    pub(super) writes: BTreeMap<StepNo, RecordedWrite>,
}

/// Reads `recorded`. Large values are kept in `content`.
pub(super) fn remember(recorded: &Recorded, content: &Arc<dyn Content>) -> Result<Remembered, StoreError> {
    let ground = Ground {
        store: Arc::new(Overlay::empty()),
        content: content.clone(),
        indexes: Arc::new(Indexes::none()),
    };
    let mut reading = Reading {
        tx: Tx::new(&ground, recorded.begun.mode.realm(), recorded.begun.at_ms),
        known: BTreeSet::new(),
        partly: BTreeSet::new(),
        whole: Vec::new(),
    };
    let mut writes = BTreeMap::new();
    for (step, answer) in recorded
        .steps
        .iter()
        .filter_map(|(step, taken)| Some((*step, taken.answer.as_ref()?)))
    {
        reading.take(answer)?;
        if answer.error.is_none()
            && let Some(write) = write_of(answer)
        {
            writes.insert(step, write);
        }
    }
    let Reading {
        tx,
        known,
        partly,
        whole,
    } = reading;
    let batch = tx.batch;
    ground.store.commit(batch, Durability::Soon)?;
    let blind = Arc::new(AtomicBool::new(false));
    Ok(Remembered {
        store: Arc::new(Shown {
            rows: ground.store,
            known,
            partly,
            whole,
            blind: blind.clone(),
        }),
        blind,
        writes,
    })
}

/// The rows that a record shows.
struct Shown {
    rows: Arc<dyn Store>,
    /// Keys of which the record tells what they held, or that they held nothing.
    known: BTreeSet<Vec<u8>>,
    /// Of these it only tells that they held something.
    partly: BTreeSet<Vec<u8>>,
    /// Beginnings of keys of which the record tells all.
    whole: Vec<Vec<u8>>,
    blind: Arc<AtomicBool>,
}

impl Shown {
    fn note(&self, is_known: bool) {
        if !is_known {
            self.blind.store(true, Ordering::Relaxed);
        }
    }
}

impl Store for Shown {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let is_known = self.known.contains(key) || self.whole.iter().any(|prefix| key.starts_with(prefix));
        // What is not script's data, such as the state of indexes, is not there in a what-if, and that is known.
        let is_data = matches!(
            keys::parse(key),
            Some(keys::Place::Document { .. } | keys::Place::Kv { .. })
        );
        self.note(!is_data || is_known && !self.partly.contains(key));
        self.rows.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize, reverse: bool) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.note(self.whole.iter().any(|prefix| lies_in(&range, prefix)));
        self.rows.scan(range, limit, reverse)
    }

    fn visit(&self, range: KeyRange, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        self.note(self.whole.iter().any(|prefix| lies_in(&range, prefix)));
        self.rows.visit(range, visit)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<CommitNo, StoreError> {
        self.rows.commit(batch, durability)
    }

    fn wait_durable(&self, commit: CommitNo) -> Result<(), StoreError> {
        self.rows.wait_durable(commit)
    }

    fn stats(&self) -> StoreStats {
        self.rows.stats()
    }
}

fn lies_in(range: &KeyRange, prefix: &[u8]) -> bool {
    let (_, end) = keys::prefix_range(prefix.to_vec());
    let begins = match &range.0 {
        Bound::Included(key) | Bound::Excluded(key) => key.as_slice() >= prefix,
        Bound::Unbounded => false,
    };
    let ends = match (&range.1, &end) {
        (_, Bound::Unbounded) => true,
        (Bound::Included(key), Bound::Excluded(end)) => key < end,
        (Bound::Excluded(key), Bound::Excluded(end)) => key <= end,
        _ => false,
    };
    begins && ends
}

/// Goes through the answers in order and keeps what each tells of the time before the run. The first that tells of a
/// key counts: later ones may tell of what the run itself has written.
struct Reading<'a> {
    tx: Tx<'a>,
    known: BTreeSet<Vec<u8>>,
    /// Of these it is only known that they were there.
    partly: BTreeSet<Vec<u8>>,
    whole: Vec<Vec<u8>>,
}

impl Reading<'_> {
    fn take(&mut self, answer: &Answer) -> Result<(), StoreError> {
        let Some(args) = answer.asked.args.as_map() else {
            return Ok(());
        };
        let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
        let failed = answer.error.as_ref().map(|failure| failure.code.as_str());
        let value = &answer.value;
        let (collection, id, key) = (text("collection"), text("id"), text("key"));
        match (answer.asked.name.as_str(), failed) {
            ("kv.get", None) => self.pair(key, Some(value.clone()).filter(|value| !value.is_unit())),
            ("kv.put", None) => self.pair_unknown(key),
            ("kv.remove", None) if value.as_bool() == Some(false) => self.pair(key, None),
            ("kv.remove", None) => self.pair_unknown(key),
            ("kv.increment", None) => {
                let by = args.get("by").and_then(Value::as_int).unwrap_or(0);
                let before = value.as_int().and_then(|sum| sum.checked_sub(by));
                self.pair(key, before.filter(|before| *before != 0).map(Value::Int))
            }
            ("kv.list", None) => self.pairs(text("prefix"), value, args.contains_key("limit")),
            ("store.get", None) => self.document(collection, id, None, value.as_map()),
            ("store.read", None) => self.whole_document(collection, id, value),
            ("store.put" | "store.update", None) => {
                let before = value.as_int().unwrap_or(1) - 1;
                self.document_before(collection, id, u64::try_from(before).unwrap_or(0))
            }
            ("store.update", Some("STORE_NOT_FOUND")) => self.document(collection, id, None, None),
            ("store.delete", None) if value.as_bool() == Some(false) => self.document(collection, id, None, None),
            ("store.delete", None) => self.document_before(collection, id, 1),
            ("store.query", None) => self.page(collection, args, value),
            _ => Ok(()),
        }
    }

    /// Whether nothing has told of `key` yet.
    fn is_first(&mut self, key: &[u8]) -> bool {
        !self.whole.iter().any(|prefix| key.starts_with(prefix)) && self.known.insert(key.to_vec())
    }

    fn pair(&mut self, key: &str, value: Option<Value>) -> Result<(), StoreError> {
        if self.is_first(&keys::kv(self.tx.realm, key))
            && let Some(value) = value
        {
            kv::put(&mut self.tx, key, &value, None)?;
        }
        Ok(())
    }

    fn pair_unknown(&mut self, key: &str) -> Result<(), StoreError> {
        let key = keys::kv(self.tx.realm, key);
        if self.is_first(&key) {
            self.partly.insert(key);
        }
        Ok(())
    }

    fn pairs(&mut self, prefix: &str, value: &Value, is_cut: bool) -> Result<(), StoreError> {
        for pair in value.as_list().unwrap_or_default() {
            if let Some(key) = pair.get("key").and_then(Value::as_str) {
                self.pair(key, pair.get("value").cloned())?;
            }
        }
        if !is_cut {
            self.whole.push(keys::kv_prefix(self.tx.realm, prefix));
        }
        Ok(())
    }

    fn document(
        &mut self,
        collection: &str,
        id: &str,
        version: Option<u64>,
        data: Option<&Map>,
    ) -> Result<(), StoreError> {
        let key = keys::document(self.tx.realm, collection, id);
        if self.is_first(&key)
            && let Some(data) = data
        {
            let document = Document {
                id: id.to_owned(),
                version: version.unwrap_or(1),
                data: data.clone(),
            };
            documents::restore(&mut self.tx, collection, document)?;
        }
        Ok(())
    }

    fn whole_document(&mut self, collection: &str, id: &str, value: &Value) -> Result<(), StoreError> {
        let version = value.get("version").and_then(Value::as_int);
        let version = version.and_then(|version| u64::try_from(version).ok());
        self.document(collection, id, version, value.get("data").and_then(Value::as_map))
    }

    /// A change tells the version before it, and nothing of what it held.
    fn document_before(&mut self, collection: &str, id: &str, version: u64) -> Result<(), StoreError> {
        let key = keys::document(self.tx.realm, collection, id);
        if version == 0 {
            return self.document(collection, id, None, None);
        }
        if !self.is_first(&key) {
            return Ok(());
        }
        self.partly.insert(key);
        let document = Document {
            id: id.to_owned(),
            version,
            data: Map::new(),
        };
        documents::restore(&mut self.tx, collection, document)
    }

    fn page(&mut self, collection: &str, args: &Map, value: &Value) -> Result<(), StoreError> {
        for document in value.get("documents").and_then(Value::as_list).unwrap_or_default() {
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
            self.whole_document(collection, id, document)?;
        }
        let options = args.get("options").and_then(Value::as_map);
        let is_filtered =
            options.is_some_and(|options| options.contains_key("where") || options.contains_key("cursor"));
        if !is_filtered && value.get("next").is_none_or(Value::is_unit) {
            self.whole.push(keys::collection_prefix(self.tx.realm, collection));
        }
        Ok(())
    }
}

/// The change that an answered call made, to be made again.
fn write_of(answer: &Answer) -> Option<RecordedWrite> {
    let args = answer.asked.args.as_map()?.clone();
    let text = |name: &str| args.get(name).and_then(Value::as_str).map(str::to_owned);
    let map = |name: &str| args.get(name).and_then(Value::as_map).cloned();
    Some(match answer.asked.name.as_str() {
        "kv.put" => {
            let (key, value) = (text("key")?, args.get("value")?.clone());
            let lasts_ms = args.get("ttl_ms").and_then(Value::as_int);
            Box::new(move |tx| kv::put(tx, &key, &value, lasts_ms))
        }
        "kv.remove" => {
            let key = text("key")?;
            Box::new(move |tx| kv::remove(tx, &key).map(drop))
        }
        "kv.increment" => {
            let (key, by) = (text("key")?, args.get("by")?.as_int()?);
            Box::new(move |tx| kv::increment(tx, &key, by).map(drop))
        }
        "store.put" => {
            let (collection, id, data) = (text("collection")?, text("id")?, map("data")?);
            Box::new(move |tx| documents::put(tx, &collection, &id, data.clone()).map(drop))
        }
        "store.update" => {
            let (collection, id, fields) = (text("collection")?, text("id")?, map("fields")?);
            Box::new(move |tx| documents::update(tx, &collection, &id, fields.clone(), None).map(drop))
        }
        "store.delete" => {
            let (collection, id) = (text("collection")?, text("id")?);
            Box::new(move |tx| documents::delete(tx, &collection, &id, None).map(drop))
        }
        _ => return None,
    })
}

/// A view of `base` that keeps its own changes, with `content` for large values.
pub(super) fn over(base: &Arc<dyn Store>, content: &Arc<dyn Content>) -> Ground {
    Ground {
        store: Arc::new(Overlay::over(base.clone())),
        content: content.clone(),
        indexes: Arc::new(Indexes::none()),
    }
}
