//! Values of any size in a row: small ones inside it, large ones as content files that it names.

use super::content::Content;
use super::{Batch, StoreError};
use crate::id::ContentHash;

/// The most bytes that a row holds itself.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

const INLINE: u8 = 0;
const FILED: u8 = 1;

/// What a row holds for `bytes`. A large value is on disk when this returns, and `batch` knows its hash.
pub fn store_bytes(content: &dyn Content, batch: &mut Batch, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    if bytes.len() <= INLINE_BYTES_MAX {
        return Ok([&[INLINE], bytes].concat());
    }
    let hash = content.put(bytes)?;
    batch.contents.push(hash);
    Ok([&[FILED], hash.as_bytes().as_slice()].concat())
}

/// The bytes of a row that holds them itself.
pub fn inline(held: &[u8]) -> Option<&[u8]> {
    held.strip_prefix(&[INLINE])
}

/// The bytes that [`store_bytes`] made `held` from. `name` tells the row in errors.
pub fn load_bytes(content: &dyn Content, held: &[u8], name: impl FnOnce() -> String) -> Result<Vec<u8>, StoreError> {
    if let Some((&INLINE, bytes)) = held.split_first() {
        return Ok(bytes.to_vec());
    }
    let Some(hash) = content_of(held) else {
        return Err(damaged(name(), "its form is unknown"));
    };
    match content.get(&hash)? {
        Some(bytes) => Ok(bytes),
        None => Err(damaged(name(), &format!("its content {} is missing", hash.short()))),
    }
}

/// The content that `held` names, if it is one of the large.
pub fn content_of(held: &[u8]) -> Option<ContentHash> {
    let (&FILED, digest) = held.split_first()? else {
        return None;
    };
    Some(ContentHash::from_digest(digest.try_into().ok()?))
}

/// A row that passes the engine's checks and yet cannot be read.
pub(super) fn damaged(name: String, reason: &str) -> StoreError {
    StoreError::Corrupt {
        path: name.into(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::content::ScratchContent;

    #[test]
    fn values_around_the_limit_come_back_and_only_large_ones_are_files() {
        let content = ScratchContent::in_memory(None);
        for (bytes_len, filed) in [
            (0, false),
            (1, false),
            (INLINE_BYTES_MAX, false),
            (INLINE_BYTES_MAX + 1, true),
        ] {
            let bytes = vec![1; bytes_len];
            let mut batch = Batch::new();
            let held = store_bytes(&content, &mut batch, &bytes).unwrap();
            assert_eq!(batch.contents.len(), usize::from(filed));
            assert_eq!(content_of(&held).is_some(), filed);
            assert_eq!(load_bytes(&content, &held, String::new).unwrap(), bytes);
        }
    }

    #[test]
    fn a_missing_file_is_told_with_the_name_of_the_row() {
        let mut batch = Batch::new();
        let held = store_bytes(&ScratchContent::in_memory(None), &mut batch, &[1; INLINE_BYTES_MAX + 1]).unwrap();
        let error = load_bytes(&ScratchContent::in_memory(None), &held, || "kv last".to_owned()).unwrap_err();
        let short = batch.contents[0].short();
        assert_eq!(
            error.to_string(),
            format!("kv last is damaged: its content {short} is missing; restore it from a backup")
        );
        assert!(load_bytes(&ScratchContent::in_memory(None), &[9, 9], String::new).is_err());
    }
}
