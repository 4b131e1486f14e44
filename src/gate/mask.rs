//! Which parts of an outcome must nobody see?
//!
//! Every text and blob that enters the gate is searched for the secrets of this process, in the disguises in which
//! they usually travel: as they are, URL-encoded, JSON-escaped, as hexadecimal digits, and as base64 in each of the
//! three alignments, standard and URL-safe. What is found is replaced by `[masked:NAME]`.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Position, Url};

use crate::effect::Failure;
use crate::io::secrets::Secrets;
use crate::value::Value;

/// Secrets shorter than this cannot be told from ordinary text, and are not masked; `host config` warns of them.
pub const SECRET_CHARS_MIN: usize = 6;

/// Disguises shorter than this are left out for the same reason.
const DISGUISE_CHARS_MIN: usize = 8;

/// Knows every secret and its disguises.
pub struct Masks {
    search: Option<AhoCorasick>,
    /// The replacement for each pattern of `search`.
    replacements: Vec<String>,
}

impl Masks {
    pub fn new(secrets: &Secrets) -> Masks {
        let mut patterns = Vec::new();
        let mut replacements = Vec::new();
        for (name, secret) in secrets.iter() {
            for pattern in disguises(secret.reveal()) {
                patterns.push(pattern);
                replacements.push(format!("[masked:{name}]"));
            }
        }
        if patterns.is_empty() {
            return Masks {
                search: None,
                replacements,
            };
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns);
        Masks {
            search: Some(search.expect("secrets are far from the limits of the search")),
            replacements,
        }
    }

    /// The value with every secret in it masked, in texts, blobs and field names.
    pub fn mask(&self, value: Value) -> Value {
        let Some(search) = &self.search else {
            return value;
        };
        self.mask_blobs(search, value)
            .map_texts(&mut |text| self.mask_text(text))
    }

    pub fn mask_text(&self, text: String) -> String {
        match &self.search {
            Some(search) if search.is_match(&text) => search.replace_all(&text, &self.replacements),
            _ => text,
        }
    }

    pub fn mask_failure(&self, failure: Failure) -> Failure {
        let details = self.mask(failure.details.clone());
        Failure {
            details,
            ..failure.map_texts(&mut |text| self.mask_text(text))
        }
    }

    fn mask_blobs(&self, search: &AhoCorasick, value: Value) -> Value {
        match value {
            Value::Blob(bytes) if search.is_match(&bytes) => {
                Value::Blob(search.replace_all_bytes(&bytes, &self.replacements))
            }
            Value::List(items) => Value::List(items.into_iter().map(|item| self.mask_blobs(search, item)).collect()),
            Value::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(name, value)| (name, self.mask_blobs(search, value)))
                    .collect(),
            ),
            other => other,
        }
    }
}

/// A secret as it is, and as it looks on the way.
fn disguises(secret: &str) -> Vec<String> {
    if secret.len() < SECRET_CHARS_MIN {
        return Vec::new();
    }
    let mut found = disguises_of(secret);
    // A web hook's address is a secret as a whole, but whoever answers it quotes the path alone.
    if let Ok(url) = Url::parse(secret)
        && url.has_host()
    {
        let path = url[Position::BeforePath..Position::AfterQuery].trim_start_matches('/');
        if path.len() >= DISGUISE_CHARS_MIN {
            found.extend(disguises_of(path));
            found.push(path.to_owned());
        }
    }
    found.retain(|disguise| disguise.len() >= DISGUISE_CHARS_MIN);
    found.push(secret.to_owned());
    found.sort();
    found.dedup();
    found
}

fn disguises_of(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let unreserved = percent
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
        .replace("%7E", "~");
    let mut found = vec![
        json[1..json.len() - 1].to_owned(),
        percent.to_ascii_lowercase(),
        unreserved.replace("%20", "+"),
        unreserved,
        percent,
        hex::encode(secret),
        hex::encode_upper(secret),
    ];
    for offset in 0..3 {
        found.push(base64_at(&STANDARD_NO_PAD, secret, offset));
        found.push(base64_at(&URL_SAFE_NO_PAD, secret, offset));
    }
    found
}

/// The part of the base64 of any text that is the same wherever `secret` stands `offset` bytes (modulo 3) into it.
fn base64_at(engine: &impl base64::Engine, secret: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend(secret.as_bytes());
    let encoded = engine.encode(&bytes);
    // The first characters also depend on what stands before, the last one on what follows.
    let first = (offset * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    encoded[first..last].to_owned()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::*;

    fn masks(secret: &str) -> Masks {
        Masks::new(&Secrets::new([("API_KEY".to_owned(), secret.to_owned())]))
    }

    proptest! {
        #[test]
        fn no_disguise_of_a_secret_passes(
            secret in "[a-zA-Z0-9+/=_\\-\"\\\\ é]{12,40}",
            before in "[a-z ]{0,9}",
            after in "[a-z ]{0,9}",
        ) {
            let masks = masks(&secret);
            let whole = format!("{before}{secret}{after}");
            let shown = [
                whole.clone(),
                serde_json::Value::from(whole.as_str()).to_string(),
                utf8_percent_encode(&whole, NON_ALPHANUMERIC).to_string(),
                hex::encode(&whole),
                STANDARD_NO_PAD.encode(&whole),
                URL_SAFE_NO_PAD.encode(&whole),
            ];
            for text in shown {
                let masked = masks.mask_text(text.clone());
                prop_assert!(masked.contains("[masked:API_KEY]"), "{text} became {masked}");
            }
        }
    }

    #[test]
    fn blobs_field_names_and_errors_are_masked_too() {
        let masks = masks("sk-live-123456");
        let value = Value::from([("sk-live-123456", Value::Blob(b"x sk-live-123456 y".to_vec()))]);
        let shown = masks.mask(value);
        let blob = shown.get("[masked:API_KEY]").expect("the name is masked");
        assert_eq!(blob, &Value::Blob(b"x [masked:API_KEY] y".to_vec()));
        let failure = Failure::new("HTTP_STATUS", "GET /?key=sk-live-123456").details("sk%2Dlive%2D123456");
        let shown = masks.mask_failure(failure);
        assert_eq!(shown.message, "GET /?key=[masked:API_KEY]");
        assert_eq!(shown.details, Value::from("[masked:API_KEY]"));
    }

    #[test]
    fn the_path_of_a_secret_address_is_masked_on_its_own() {
        assert_eq!(masks("https://example.com/").mask_text("see /a".to_owned()), "see /a");
        let masks = masks("https://hooks.example.com/services/T0/B0/abcdef");
        let shown = masks.mask_text("no service at /services/T0/B0/abcdef on hooks.example.com".to_owned());
        assert_eq!(shown, "no service at /[masked:API_KEY] on hooks.example.com");
        assert_eq!(
            masks.mask_text("services%2FT0%2FB0%2Fabcdef".to_owned()),
            "[masked:API_KEY]"
        );
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        assert_eq!(
            masks("sk-live-123456").mask_text("a clip about skiing".to_owned()),
            "a clip about skiing"
        );
    }
}
