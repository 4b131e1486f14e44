//! What rows name: files, texts and runs.
//!
//! Two ways that must agree. [`contents_of_row`] knows the layouts, and tells what must be there. [`Named`] looks for whatever
//! could be a name in any row, also in those of parts of the host that it knows nothing of; what it finds stays. A hash in
//! hexadecimal digits anywhere counts, and so do its bytes; a number that looks like one keeps a file for nothing, which is
//! the right side to err on.

use std::collections::BTreeSet;

use crate::id::{ContentHash, RunId};
use crate::journal::Entry;
use crate::journal::row::decode;
use crate::store::keys::{Place, QueueRow, Space};
use crate::store::large::content_of;
use crate::store::queue::Job;

/// The bytes before what a document holds: its form and its version.
const DOCUMENT_HEAD_BYTES: usize = 1 + 8;

/// The digits of a hash, and of the id of a run.
const HASH_DIGITS: usize = 64;

/// Texts are named by their first digits too, as people read them: so few at least.
const SHORT_DIGITS: usize = 7;

const RUN_DIGITS: usize = 26;

/// The files that an entry of a journal names.
pub fn contents_of_entry(entry: &Entry) -> Option<ContentHash> {
    match entry {
        Entry::Answer(answer) => answer.file,
        Entry::Ended(ended) => ended.file,
        _ => None,
    }
}

/// The files that a row beside runs and journals names; in words why it cannot be read.
pub fn contents_of_row(place: &Place, value: &[u8]) -> Result<Vec<ContentHash>, String> {
    let held = match place {
        Place::Kv { .. } => value.get(crate::store::kv::HEAD_BYTES..),
        Place::Document { .. } => value.get(DOCUMENT_HEAD_BYTES..),
        Place::Queue {
            row: QueueRow::Job(_), ..
        } => {
            let job = Job::decode(value).map_err(|error| error.to_string())?;
            return Ok(content_of(&job.payload).into_iter().collect());
        }
        Place::Named {
            space: Space::Webhook,
            names,
        } => {
            return Ok(crate::journal::intake::content_of_row(names, value)
                .into_iter()
                .collect());
        }
        _ => return Ok(Vec::new()),
    };
    match held {
        Some(held) => Ok(content_of(held).into_iter().collect()),
        None => Err("it is too short".to_owned()),
    }
}

/// The runs whose ids stand in these letters and digits.
fn runs_of(word: &[u8]) -> impl Iterator<Item = RunId> + '_ {
    let word = if word.len() < HASH_DIGITS { word } else { &[] };
    let ids = word.windows(RUN_DIGITS);
    ids.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
}

/// The runs that `bytes` name.
pub fn runs_in(bytes: &[u8]) -> impl Iterator<Item = RunId> + '_ {
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).flat_map(runs_of)
}

/// Which of the names that are asked about occur.
pub struct Named {
    /// In order.
    known: Vec<ContentHash>,
    seen: Vec<bool>,
    /// The first three bytes of those that are known, as bits: most places in rows are dismissed by this.
    begins: Vec<u64>,
    /// Every run that is named.
    pub runs: BTreeSet<RunId>,
}

impl Named {
    pub fn among(known: impl IntoIterator<Item = ContentHash>) -> Named {
        let mut known: Vec<ContentHash> = known.into_iter().collect();
        known.sort();
        known.dedup();
        let mut begins = vec![0; 1 << 18];
        for hash in &known {
            let bit = first_bits(hash.as_bytes());
            begins[bit >> 6] |= 1 << (bit & 63);
        }
        Named {
            seen: vec![false; known.len()],
            known,
            begins,
            runs: BTreeSet::new(),
        }
    }

    /// Looks at a row, or at what a file holds.
    pub fn look(&mut self, place: Option<&Place>, bytes: &[u8], with_runs: bool) {
        match (place, decode_journal(place, bytes)) {
            (Some(Place::Journal { .. }), Some(plain)) => self.scan(&plain, with_runs),
            _ => self.scan(bytes, with_runs),
        }
    }

    fn scan(&mut self, bytes: &[u8], with_runs: bool) {
        for window in bytes.windows(32) {
            let bit = first_bits(window);
            if self.begins[bit >> 6] & (1 << (bit & 63)) != 0 {
                self.mark(ContentHash::from_digest(window.try_into().expect("32 bytes")));
            }
        }
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric();
        for word in bytes
            .split(|byte| !is_digit(byte))
            .filter(|word| word.len() >= SHORT_DIGITS)
        {
            self.mark_short(word);
            for digits in word.windows(HASH_DIGITS) {
                if let Some(hash) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) {
                    self.mark(hash);
                }
            }
            if with_runs {
                self.runs.extend(runs_of(word));
            }
        }
    }

    /// Marks those that begin with these digits.
    fn mark_short(&mut self, digits: &[u8]) {
        let is_short = (SHORT_DIGITS..HASH_DIGITS).contains(&digits.len());
        if !is_short || !digits.iter().all(u8::is_ascii_hexdigit) {
            return;
        }
        let padded = |digit: &str| {
            let digits = std::str::from_utf8(digits).ok()?;
            format!("{digits}{}", digit.repeat(HASH_DIGITS - digits.len()))
                .parse::<ContentHash>()
                .ok()
        };
        if let (Some(low), Some(high)) = (padded("0"), padded("f")) {
            let from = self.known.partition_point(|hash| *hash < low);
            let until = self.known.partition_point(|hash| *hash <= high);
            self.seen[from..until].fill(true);
        }
    }

    fn mark(&mut self, hash: ContentHash) {
        if let Ok(at) = self.known.binary_search(&hash) {
            self.seen[at] = true;
        }
    }

    pub fn has(&self, hash: &ContentHash) -> bool {
        self.known.binary_search(hash).is_ok_and(|at| self.seen[at])
    }

    /// Those that nothing names.
    pub fn unnamed(&self) -> impl Iterator<Item = ContentHash> + '_ {
        let both = self.known.iter().zip(&self.seen);
        both.filter(|(_, seen)| !**seen).map(|(hash, _)| *hash)
    }
}

fn first_bits(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}

/// The entries of a row of a journal as they are before they are pressed.
fn decode_journal(place: Option<&Place>, row: &[u8]) -> Option<Vec<u8>> {
    let Some(Place::Journal { .. }) = place else {
        return None;
    };
    let entries = decode(row).ok()?;
    rmp_serde::to_vec_named(&entries).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_found_as_bytes_and_as_digits_wherever_it_stands() {
        let (one, two, three) = (ContentHash::of(b"1"), ContentHash::of(b"2"), ContentHash::of(b"3"));
        let mut named = Named::among([one, two, three]);
        named.look(None, &[b"xx".as_slice(), one.as_bytes(), b"y"].concat(), false);
        named.look(None, format!("{{\"clip\":\"{two}\"}}").as_bytes(), false);
        assert!(named.has(&one) && named.has(&two) && !named.has(&three));
        assert_eq!(named.unnamed().collect::<Vec<_>>(), [three]);
        named.look(None, format!("a{three}").as_bytes(), false);
        assert!(named.has(&three), "digits that run on from others");
        let mut named = Named::among([one, two]);
        named.look(None, format!("clip@{}", one.short()).as_bytes(), false);
        assert!(named.has(&one) && !named.has(&two), "the first digits alone");
    }

    #[test]
    fn runs_are_found_where_they_are_asked_for() {
        let run = RunId::new(1_763_683_200_000, 7);
        let mut named = Named::among([]);
        named.look(None, format!("cancelled {run}.").as_bytes(), true);
        assert!(named.runs.contains(&run));
    }
}
