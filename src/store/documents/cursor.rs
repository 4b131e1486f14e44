//! Where the next page begins: after the last document of the one before, by its place in the order.
//!
//! A cursor holds no count, so documents that come or go between two pages shift nothing. It is bound to its query,
//! since it means nothing in another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::ContentHash;
use crate::store::StoreError;
use crate::store::order::{read_delimited, write_delimited};

/// The place of a document in the order of a query: the sort key of the field it is ordered by, then its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) sort_key: Vec<u8>,
    pub(super) id: String,
}

/// What a query is recognised by.
pub(super) type Fingerprint = [u8; 8];

const FORM: u8 = 1;

pub(super) fn fingerprint(query: &[u8]) -> Fingerprint {
    let hash = ContentHash::of(query);
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

pub(super) fn write_cursor(query: Fingerprint, position: &Position) -> String {
    let mut bytes = vec![FORM];
    bytes.extend(query);
    write_delimited(&mut bytes, &position.sort_key);
    bytes.extend(position.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn read_cursor(query: Fingerprint, cursor: &str) -> Result<Position, StoreError> {
    let refuse = |reason: &str| {
        Err(StoreError::BadQuery {
            reason: reason.to_owned(),
        })
    };
    let Some((found, position)) = decode(cursor) else {
        return refuse("the cursor is not one that a query returned as `next`");
    };
    if found != query {
        return refuse("the cursor belongs to another query; use it with the same collection, `where` and `order_by`");
    }
    Ok(position)
}

fn decode(cursor: &str) -> Option<(Fingerprint, Position)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (query, mut rest) = bytes.strip_prefix(&[FORM])?.split_first_chunk()?;
    let sort_key = read_delimited(&mut rest)?;
    let id = String::from_utf8(rest.to_vec()).ok()?;
    Some((*query, Position { sort_key, id }))
}
