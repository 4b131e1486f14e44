//! From a store to the parts of a bundle.
//!
//! Everything on a journal was masked when it was written, with the secrets of that day. It is masked once more with
//! those of today, scripts and prompts included: whoever had a key in a script by mistake does not send it along. What
//! becomes another text by this has another hash, and whatever names it is changed with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::form::{Kind, Part, TOTAL_BYTES_MAX, seal};
use super::{BundleError, Settings};
use crate::gate::Masks;
use crate::id::{ContentHash, RunId};
use crate::journal::entry::{self, Entry};
use crate::journal::{Incident, Recorded, RunRecord};
use crate::store::keys;
use crate::store::tx::Ground;
use crate::value::Value;

/// Contents that begin with the few digits that a prompt's version shows.
const VERSIONS_MAX: usize = 16;

/// The bundle of `incident`, made by this version of `host`.
pub fn pack(
    ground: &Ground,
    masks: &Masks,
    incident: &Incident,
    settings: &Settings,
    host: &str,
) -> Result<Vec<u8>, BundleError> {
    let mut packing = Packing {
        ground,
        masks,
        parts: BTreeMap::new(),
        bytes: 0,
        renamed: BTreeMap::new(),
    };
    for run in &incident.runs {
        packing.run(*run)?;
    }
    let row = packing.masked_row(&incident.encode())?;
    packing.add(Kind::Incident, incident.id.to_string(), row)?;
    let settings = serde_json::to_value(settings).expect("settings are plain data");
    let settings = masks.mask(Value::from_json(settings)).to_json();
    let settings = serde_json::to_vec(&settings).expect("settings are plain data");
    packing.add(Kind::Config, String::new(), settings)?;
    let parts = packing
        .parts
        .into_iter()
        .map(|((kind, name), bytes)| Part { kind, name, bytes });
    seal(host, &parts.collect::<Vec<_>>())
}

struct Packing<'a> {
    ground: &'a Ground,
    masks: &'a Masks,
    parts: BTreeMap<(Kind, String), Vec<u8>>,
    bytes: u64,
    /// Hashes of texts that were masked, by what they were.
    renamed: BTreeMap<String, String>,
}

impl Packing<'_> {
    fn run(&mut self, run: RunId) -> Result<(), BundleError> {
        let record = RunRecord::find(&*self.ground.store, &run.to_string())?;
        let entries = Recorded::entries_of(self.ground, run)?;
        self.check(run, &entries)?;
        let value = as_value(&entries)?;
        let mut found = Found::default();
        found.walk(&value);
        for hash in found.hashes {
            self.version(&hash)?;
        }
        for digits in found.prompts {
            self.prompt(&digits)?;
        }
        for hash in found.files {
            self.content(&hash)?;
        }
        let mut row = vec![entry::PLAIN];
        row.extend(self.masked(value).to_bytes());
        // What is not read back here would not be read elsewhere.
        entry::decode(&row).map_err(|error| super::broken(format!("the journal of {run}, masked: {error:?}")))?;
        self.add(Kind::Journal, run.to_string(), row)?;
        let row = self.masked_row(&record.encode())?;
        self.add(Kind::Run, run.to_string(), row)
    }

    /// Refuses a run whose script is gone: nobody could replay it.
    fn check(&self, run: RunId, entries: &[Entry]) -> Result<(), BundleError> {
        let recorded = Recorded::from_entries(run, entries.to_vec())?;
        let begun = &recorded.begun;
        for (name, hash) in std::iter::once((&begun.playbook, &begun.version)).chain(&begun.modules) {
            if self.ground.store.get(&keys::version(hash))?.is_none() {
                let what = format!("the text of {}", name.escape_debug());
                return Err(BundleError::Incomplete { run, what });
            }
        }
        for hash in super::large_values(&recorded) {
            if self.ground.content.get(&hash)?.is_none() {
                let what = format!("the large value {}", hash.short());
                return Err(BundleError::Incomplete { run, what });
            }
        }
        Ok(())
    }

    /// The script, module or prompt with this hash, if it is one.
    fn version(&mut self, hash: &ContentHash) -> Result<(), BundleError> {
        if let Some(row) = self.ground.store.get(&keys::version(hash))? {
            let masked = self.masks.mask(Value::Blob(row.value));
            let Value::Blob(bytes) = masked else {
                unreachable!("a masked blob is a blob");
            };
            self.add_named(Kind::Version, hash, bytes)?;
        }
        Ok(())
    }

    /// The prompts whose hashes begin with these digits.
    fn prompt(&mut self, digits: &str) -> Result<(), BundleError> {
        let Some(range) = keys::versions_of(digits) else {
            return Ok(());
        };
        for (key, _) in self.ground.store.scan(range, VERSIONS_MAX, false)? {
            if let Some(keys::Place::Version(hash)) = keys::parse(&key) {
                self.version(&hash)?;
            }
        }
        Ok(())
    }

    /// The large value with this hash, if it is one.
    fn content(&mut self, hash: &ContentHash) -> Result<(), BundleError> {
        let Some(bytes) = self.ground.content.get(hash)? else {
            return Ok(());
        };
        let bytes = match Value::from_bytes(&bytes) {
            Ok(value) => self.masked(value).to_bytes(),
            Err(_) => return Ok(()),
        };
        self.add_named(Kind::Content, hash, bytes)
    }

    /// Adds what was called `before` under the name that its bytes have now.
    fn add_named(&mut self, kind: Kind, before: &ContentHash, bytes: Vec<u8>) -> Result<(), BundleError> {
        let now = ContentHash::of(&bytes);
        if now != *before {
            self.renamed.insert(before.to_string(), now.to_string());
        }
        self.add(kind, now.to_string(), bytes)
    }

    fn add(&mut self, kind: Kind, name: String, bytes: Vec<u8>) -> Result<(), BundleError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > TOTAL_BYTES_MAX {
            return Err(BundleError::TooLarge {
                what: "the bundle, unpacked,".to_owned(),
                found: self.bytes,
                most: TOTAL_BYTES_MAX,
            });
        }
        self.parts.insert((kind, name), bytes);
        Ok(())
    }

    /// A row of a format byte and MessagePack, masked.
    fn masked_row(&self, row: &[u8]) -> Result<Vec<u8>, BundleError> {
        let (format, body) = row.split_first().expect("a row has a format");
        let value = Value::from_bytes(body).map_err(|error| super::broken(error.to_string()))?;
        let mut masked = vec![*format];
        masked.extend(self.masked(value).to_bytes());
        Ok(masked)
    }

    fn masked(&self, value: Value) -> Value {
        let masked = self.masks.mask(value);
        if self.renamed.is_empty() {
            return masked;
        }
        masked.map_texts(&mut |text| self.renamed.get(&text).cloned().unwrap_or(text))
    }
}

/// Plain data as a value, so that every text in it can be walked, whatever entries there are.
fn as_value(entries: &impl Serialize) -> Result<Value, BundleError> {
    let bytes = rmp_serde::to_vec_named(entries).expect("entries are plain data");
    Value::from_bytes(&bytes).map_err(|error| super::broken(error.to_string()))
}

/// What a journal names.
#[derive(Default)]
struct Found {
    /// Anything that is written as a hash.
    hashes: BTreeSet<ContentHash>,
    /// Of these, those that stand where an entry names a file.
    files: BTreeSet<ContentHash>,
    /// The first digits of hashes, as `prompt::render` returns them.
    prompts: BTreeSet<String>,
}

impl Found {
    fn walk(&mut self, value: &Value) {
        const SHORT_DIGITS: usize = 7;
        match value {
            Value::Text(text) => {
                if let Ok(hash) = text.parse() {
                    self.hashes.insert(hash);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Map(map) => {
                if let Some(Ok(hash)) = map.get("file").and_then(Value::as_str).map(str::parse) {
                    self.files.insert(hash);
                }
                let version = map.get("version").and_then(Value::as_str);
                if let Some(digits) = version.filter(|digits| digits.len() == SHORT_DIGITS) {
                    self.prompts.insert(digits.to_owned());
                }
                map.values().for_each(|value| self.walk(value));
            }
            _ => {}
        }
    }
}
