//! `hash::` — fingerprints of texts and bytes. Pure: nothing is journaled.
//!
//! Keyed hashes are absent: a key in a script would be a secret in a script.

use rhai::plugin::*;
use sha2::{Digest, Sha256, Sha512};

use crate::effect::Failure;
use crate::script::{ContextExt, ScriptResult};

pub fn module() -> Module {
    exported_module!(functions)
}

/// How many digits `short` gives: 48 bits, of which a collision is likely only among some 20 million.
const SHORT_CHARS: usize = 12;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the SHA-256 of a string or blob, as 64 hexadecimal digits.
    ///
    /// - `data`: a string, taken as UTF-8, or a blob.
    ///
    /// Errors: `TYPE`; turn other data into a string first, with `json::stringify`.
    ///
    /// ```rhai
    /// let key = hash::sha256(json::stringify(#{ model: "m", topic: "ai" }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sha256(ctx: NativeCallContext, data: Dynamic) -> ScriptResult {
        of_bytes(&ctx, "sha256", &data, |bytes| hex::encode(Sha256::digest(bytes)))
    }

    /// Returns the SHA-512 of a string or blob, as 128 hexadecimal digits.
    ///
    /// - `data`: a string, taken as UTF-8, or a blob.
    ///
    /// Errors: `TYPE`.
    ///
    /// ```rhai
    /// let digest = hash::sha512("text");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sha512(ctx: NativeCallContext, data: Dynamic) -> ScriptResult {
        of_bytes(&ctx, "sha512", &data, |bytes| hex::encode(Sha512::digest(bytes)))
    }

    /// Returns the CRC-32 of a string or blob, as 8 hexadecimal digits. It finds accidents, not forgeries.
    ///
    /// - `data`: a string, taken as UTF-8, or a blob.
    ///
    /// Errors: `TYPE`.
    ///
    /// ```rhai
    /// let check = hash::crc32("text");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn crc32(ctx: NativeCallContext, data: Dynamic) -> ScriptResult {
        of_bytes(&ctx, "crc32", &data, |bytes| format!("{:08x}", crc32fast::hash(bytes)))
    }

    /// Returns the first 12 digits of the SHA-256 of a string or blob: short enough for a file's name or an id.
    ///
    /// - `data`: a string, taken as UTF-8, or a blob.
    ///
    /// Errors: `TYPE`.
    ///
    /// ```rhai
    /// for article in file::read_json("inbox/feed.json").items {
    ///     store::put("articles", hash::short(article.url), article);
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn short(ctx: NativeCallContext, data: Dynamic) -> ScriptResult {
        of_bytes(&ctx, "short", &data, |bytes| {
            let mut digits = hex::encode(Sha256::digest(bytes));
            digits.truncate(SHORT_CHARS);
            digits
        })
    }
}

fn of_bytes(ctx: &NativeCallContext<'_>, name: &str, data: &Dynamic, hash: impl Fn(&[u8]) -> String) -> ScriptResult {
    if let Ok(text) = data.as_immutable_string_ref() {
        return Ok(hash(text.as_bytes()).into());
    }
    if let Ok(blob) = data.as_blob_ref() {
        return Ok(hash(&blob).into());
    }
    let kind = ctx.engine().map_type_name(data.type_name());
    let message = format!("`hash::{name}` takes a string or a blob, and this is {kind}; use json::stringify first");
    ctx.check(Err(Failure::new("TYPE", message)))
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn hashes_are_those_of_the_standards() {
        let host = TestHost::default();
        let run = host.run(
            r#"[hash::sha256("abc"), hash::sha512("abc").sub_string(0, 16), hash::crc32("123456789"), hash::short("abc"),
                hash::sha256("abc".to_blob()) == hash::sha256("abc")]"#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","ddaf35a193617aba","cbf43926","ba7816bf8f01",true]"#
        );
        assert_eq!(run.journal(), "");
    }

    #[test]
    fn what_is_neither_text_nor_bytes_is_refused_with_the_way_out() {
        let run = TestHost::default().run("hash::sha256(#{ a: 1 })");
        assert_eq!(
            run.failure().to_string(),
            "TYPE: `hash::sha256` takes a string or a blob, and this is map; use json::stringify first"
        );
        assert_eq!(run.outcome().error.as_ref().expect("failed").place.line, 1);
    }
}
