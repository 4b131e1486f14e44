//! A row as the engine keeps it: who wrote it, a checksum, the value.
//!
//! The checksum covers key, version and value. The engine underneath trusts its pages once a file was closed cleanly;
//! a journal that answers for the past must not, so an altered row is an error and never a different value.

use super::{CommitNo, Row};

const VERSION_BYTES: usize = 8;
const FRAME_BYTES: usize = VERSION_BYTES + 4;
/// Room for version and key of most rows.
const HEAD_BYTES: usize = 96;

/// Writes the stored form of `value` to `out`, in place of what was there.
pub(super) fn write_row(out: &mut Vec<u8>, key: &[u8], version: CommitNo, value: &[u8]) {
    let version = version.0.to_be_bytes();
    out.clear();
    out.reserve(FRAME_BYTES + value.len());
    out.extend(version);
    out.extend(checksum(key, &version, value).to_be_bytes());
    out.extend(value);
}

/// Reads what [`write_row`] wrote; `None` when it was altered since.
pub(super) fn read_row(key: &[u8], stored: &[u8]) -> Option<Row> {
    let (version, value) = check_row(key, stored)?;
    Some(Row {
        value: value.to_vec(),
        version,
    })
}

/// As [`read_row`], without the value.
pub(super) fn read_version(key: &[u8], stored: &[u8]) -> Option<CommitNo> {
    check_row(key, stored).map(|(version, _)| version)
}

/// As [`read_row`], with the value only lent.
pub(super) fn check_row<'a>(key: &[u8], stored: &'a [u8]) -> Option<(CommitNo, &'a [u8])> {
    let (version, rest) = stored.split_first_chunk::<VERSION_BYTES>()?;
    let (sum, value) = rest.split_first_chunk::<4>()?;
    let intact = u32::from_be_bytes(*sum) == checksum(key, version, value);
    intact.then_some((CommitNo(u64::from_be_bytes(*version)), value))
}

fn checksum(key: &[u8], version: &[u8; VERSION_BYTES], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // Without its length, a byte could move from the key to the value unnoticed.
    let length = (key.len() as u64).to_be_bytes();
    let mut head = [0; HEAD_BYTES];
    let end = VERSION_BYTES + length.len() + key.len();
    if end <= HEAD_BYTES {
        // The same bytes at once: each call has a price of its own.
        head[..VERSION_BYTES].copy_from_slice(version);
        head[VERSION_BYTES..end - key.len()].copy_from_slice(&length);
        head[end - key.len()..end].copy_from_slice(key);
        hasher.update(&head[..end]);
    } else {
        hasher.update(version);
        hasher.update(&length);
        hasher.update(key);
    }
    hasher.update(value);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form on disk: keys of every length are covered alike.
    #[test]
    fn a_checksum_is_that_of_version_length_key_and_value() {
        for length in [0, 1, 79, 80, 81, 200] {
            let key = vec![7; length];
            let mut plain = 9u64.to_be_bytes().to_vec();
            plain.extend((length as u64).to_be_bytes());
            plain.extend(&key);
            plain.extend(b"value");
            assert_eq!(
                checksum(&key, &9u64.to_be_bytes(), b"value"),
                crc32fast::hash(&plain),
                "{length}"
            );
        }
    }

    #[test]
    fn a_row_with_any_bit_flipped_is_refused() {
        let mut stored = Vec::new();
        write_row(&mut stored, b"key", CommitNo(7), b"value");
        assert_eq!(
            read_row(b"key", &stored),
            Some(Row {
                value: b"value".to_vec(),
                version: CommitNo(7)
            })
        );
        assert_eq!(read_row(b"kex", &stored), None);
        for bit in 0..stored.len() * 8 {
            let mut altered = stored.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_row(b"key", &altered), None, "bit {bit}");
        }
        assert_eq!(read_row(b"key", &stored[..11]), None);
    }
}
