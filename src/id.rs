//! Names of things: runs, steps, contents.
//!
//! A run's id is 128 bits, written as 26 letters and digits (Crockford's base 32): first the millisecond of its
//! birth, then chance. Ids therefore sort by age, and people may type any unambiguous beginning of one.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// How many characters of a run's id are shown to people: its millisecond, enough to tell runs apart by eye.
pub const SHORT_ID_CHARS: usize = 10;

/// One run of a playbook.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u128);

/// The text is no id of a run.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the id of a run: 26 letters and digits are expected, as `host runs` shows them")]
pub struct BadRunId(String);

impl RunId {
    /// Made from the millisecond of birth and 80 bits of chance.
    pub fn new(born_ms: i64, chance: u128) -> RunId {
        RunId(ulid::Ulid::from_parts(born_ms.max(0) as u64, chance).0)
    }

    /// The run that `parent` starts at a step: the same whenever it is asked. It sorts after its parent, and its short
    /// form is another.
    pub fn child(parent: RunId, step: StepNo, generation: u32, index: u32) -> RunId {
        let name = format!("{parent} {step} {generation} {index}");
        let digest = ContentHash::of(name.as_bytes());
        let chance = digest.as_bytes().first_chunk::<16>().expect("a digest has 32 bytes");
        let after_ms = i64::from(step) * 1024 + i64::from(index) + 1;
        RunId::new(parent.born_ms() + after_ms, u128::from_be_bytes(*chance))
    }

    /// The run that the tick of a schedule starts: the same whenever it is asked, so that no tick starts two.
    pub fn of_tick(playbook: &str, schedule: &str, planned_ms: i64) -> RunId {
        let name = format!("tick\n{playbook}\n{schedule}\n{planned_ms}");
        let digest = ContentHash::of(name.as_bytes());
        let chance = digest.as_bytes().first_chunk::<16>().expect("a digest has 32 bytes");
        RunId::new(planned_ms, u128::from_be_bytes(*chance))
    }

    /// Unix milliseconds at which the run was created.
    pub fn born_ms(self) -> i64 {
        ulid::Ulid(self.0).timestamp_ms() as i64
    }

    /// In byte order, as keys hold it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> RunId {
        RunId(u128::from_be_bytes(bytes))
    }

    /// The greatest id that is less than this one; none before the first.
    pub fn before(self) -> Option<RunId> {
        self.0.checked_sub(1).map(RunId)
    }

    /// The first characters, for people.
    pub fn short(self) -> String {
        self.to_string()[..SHORT_ID_CHARS].to_owned()
    }

    /// The least and the greatest id that begin with `prefix`; `None` when no id can.
    pub fn range_of(prefix: &str) -> Option<(RunId, RunId)> {
        if prefix.is_empty() || prefix.len() > ulid::ULID_LEN || !prefix.is_ascii() {
            return None;
        }
        let prefix = prefix.to_ascii_uppercase();
        let rest = ulid::ULID_LEN - prefix.len();
        let low = format!("{prefix}{}", "0".repeat(rest)).parse().ok()?;
        let high = format!("{prefix}{}", "Z".repeat(rest)).parse().ok()?;
        Some((low, high))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&ulid::Ulid(self.0).to_string())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<RunId, BadRunId> {
        ulid::Ulid::from_string(text)
            .map(|id| RunId(id.0))
            .map_err(|_| BadRunId(text.chars().take(40).collect()))
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RunId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An incident: shown as `I-` and 26 letters and digits.
///
/// One that a run opened by itself bears the letters of that run, so that a run can open one at most; one that was
/// opened by hand has letters of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(RunId);

impl IncidentId {
    const PREFIX: &str = "I-";

    /// Of the incident that `run` opens.
    pub fn of_run(run: RunId) -> IncidentId {
        IncidentId(run)
    }

    /// Made from the millisecond of birth and 80 bits of chance.
    pub fn new(born_ms: i64, chance: u128) -> IncidentId {
        IncidentId(RunId::new(born_ms, chance))
    }

    /// In byte order, as keys hold it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> IncidentId {
        IncidentId(RunId::from_bytes(bytes))
    }

    /// The first characters, for people.
    pub fn short(self) -> String {
        format!("{}{}", IncidentId::PREFIX, self.0.short())
    }

    /// The least and the greatest id that begin with `prefix`, written with `I-` or without; `None` when no id can.
    pub fn range_of(prefix: &str) -> Option<(IncidentId, IncidentId)> {
        let letters = prefix.strip_prefix("I-").or_else(|| prefix.strip_prefix("i-"));
        let (low, high) = RunId::range_of(letters.unwrap_or(prefix))?;
        Some((IncidentId(low), IncidentId(high)))
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", IncidentId::PREFIX, self.0)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncidentId({self})")
    }
}

impl FromStr for IncidentId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<IncidentId, BadRunId> {
        let letters = text.strip_prefix(IncidentId::PREFIX).unwrap_or(text);
        letters.parse().map(IncidentId)
    }
}

impl Serialize for IncidentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IncidentId, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The place of an effect in its run: 1 for the first.
pub type StepNo = u32;

/// The SHA-256 of some bytes: the name of a script's version, a prompt's, a file's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(Sha256::digest(bytes).into())
    }

    /// The hash of what `reader` holds, read piece by piece, and how many bytes that is.
    pub fn read(mut reader: impl io::Read) -> io::Result<(ContentHash, u64)> {
        let mut digest = Sha256::new();
        let mut piece = vec![0; 128 << 10];
        let mut bytes = 0;
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok((ContentHash(digest.finalize().into()), bytes)),
                Ok(length) => {
                    digest.update(&piece[..length]);
                    bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn from_digest(digest: [u8; 32]) -> ContentHash {
        ContentHash(digest)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first seven digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])[..7].to_owned()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.short())
    }
}

impl FromStr for ContentHash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<ContentHash, hex::FromHexError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest)?;
        Ok(ContentHash(digest))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ContentHash, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_exactly_the_ids_that_begin_with_it() {
        let id = RunId::new(1_763_683_200_000, 7);
        let (low, high) = RunId::range_of(&id.short().to_lowercase()).expect("a prefix of an id");
        assert!(low <= id && id <= high);
        let other = RunId::new(1_763_683_200_001, 7);
        assert!(other > high, "the next millisecond begins with other letters");
        assert!(RunId::range_of("not-an-id").is_none());
    }
}
