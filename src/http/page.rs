//! Lists, a page at a time. Where the next page begins is told as a text that means nothing to others.
//!
//! It holds a place in the order of the list, and a check of the path and the filters that it belongs to: a cursor of
//! another list, or one that somebody has changed, is refused. It is no secret and gives no rights; whoever reads a cursor
//! bounds the place by its own list again.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Refusal};
use super::request::Request;

const PRESET: usize = 50;
pub const MOST: usize = 200;
const CHECK_BYTES: usize = 8;

/// How many items the page has at most.
pub fn limit(request: &Request) -> usize {
    let limit = request.number("limit").and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(PRESET).clamp(1, MOST)
}

/// The place where the page begins, as [`next`] was given it; `None` for the first.
pub fn place(request: &Request) -> Result<Option<String>, Refusal> {
    let Some(cursor) = request.query("cursor") else {
        return Ok(None);
    };
    let refused = || {
        let message = "the cursor is none of this list; take `next` of the page before, with the same filters";
        Refusal::new(400, "CURSOR_INVALID", message)
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let (found, place) = bytes.split_at_checked(CHECK_BYTES).ok_or_else(refused)?;
    let place = std::str::from_utf8(place).map_err(|_| refused())?;
    match found == check(request, place) {
        true => Ok(Some(place.to_owned())),
        false => Err(refused()),
    }
}

/// A page, and where the next begins if there is one.
pub fn answer(request: &Request, items: Vec<Value>, next: Option<String>) -> Answer {
    Answer::data(json!({ "items": items, "next": next.map(|place| cursor(request, &place)) }))
}

/// `items` were read one beyond `limit`: cuts that off. `place` says where the page after an item begins.
pub fn cut<T>(items: &mut Vec<T>, limit: usize, place: impl Fn(&T) -> String) -> Option<String> {
    let is_more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| is_more).map(place)
}

fn cursor(request: &Request, place: &str) -> String {
    let mut bytes = check(request, place).to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn check(request: &Request, place: &str) -> [u8; CHECK_BYTES] {
    debug_assert!(request.method == Method::GET || request.method == Method::HEAD);
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add("host cursor 1");
    add(&request.path);
    let mut filters: Vec<&(String, String)> = request.query.iter().collect();
    filters.retain(|(name, _)| name != "cursor" && name != "limit");
    filters.sort();
    for (name, value) in filters {
        add(name);
        add(value);
    }
    add(place);
    let digest = hash.finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}
