//! `webhook`: the path at which a service starts a playbook with what it sends, and how it signs that.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`read`](self::read) | the header's key |
//! | [`scheme`] | how somebody signs: from a name, the header and `[webhooks]` in host.toml |
//!
//! A secret is never written here: what is written is the name of the variable of the environment that holds it.

pub mod scheme;

use super::complaint::Reader;
use super::http::places;
pub use scheme::{Names, Says, Scheme};

use crate::script::inputs::InputKind;
use crate::value::{Map, Value};

/// The input that takes what was sent, where the playbook declares it.
pub const INPUT: &str = "webhook";

/// Keys of the header alone; [`Says`] has the others.
const OWN_KEYS: [&str; 3] = ["path", "headers", "answer"];

/// Texts of [`Says`], by their key.
const TEXT_KEYS: [&str; 11] = [
    "scheme",
    "verify",
    "header",
    "prefix",
    "encoding",
    "signed",
    "signature_key",
    "time_key",
    "id",
    "time",
    "window",
];

const HEADERS_MAX: usize = 20;
const ANSWER_BYTES_MAX: usize = 1000;
const STATUSES: [i64; 4] = [200, 201, 202, 204];

/// Endings of the names of secrets that nothing else declares.
pub const SECRET_ENDINGS: [&str; 3] = ["_WEBHOOK_SECRET", "_SIGNING_SECRET", "_VERIFY_TOKEN"];

/// What starts a playbook, as its header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Without parameters.
    pub path: String,
    /// What of the signature the header says itself.
    pub says: Says,
    /// Headers that the playbook is told of beside those of the scheme, in small letters.
    pub headers: Vec<String>,
    /// What is answered when it was taken in.
    pub status: u16,
    pub text: String,
}

/// Whether `name` can be that of a variable of the environment.
pub fn is_variable(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    (1..=100).contains(&name.len()) && name.chars().all(is_plain)
}

pub(super) fn read(reader: &mut Reader<'_>, value: &Value) -> Option<Hook> {
    let Some(map) = value.as_map() else {
        let wanted =
            "a map, such as #{ path: \"/hooks/github\", scheme: \"github\", secret: \"GITHUB_WEBHOOK_SECRET\" }";
        reader.wrong_kind(value, wanted);
        return None;
    };
    let keys = OWN_KEYS.iter().chain(&TEXT_KEYS).chain(&["secret", "same_body"]);
    let keys: Vec<&str> = keys.copied().collect();
    reader.known(map, &keys);
    let mut says = says(reader, map);
    says.secret = reader.at(map, "secret", secret);
    says.same_body = reader.at(map, "same_body", |reader, value| {
        if value.as_bool().is_none() {
            reader.wrong_kind(value, "true or false");
        }
        value.as_bool()
    });
    if let Err((key, reason)) = says.check() {
        let name = format!("`{key}` of `webhook`");
        reader.say("HEADER", format!("{name}: {reason}"));
    }
    let headers = reader.at(map, "headers", |reader, value| {
        Some(reader.each(value, HEADERS_MAX, |reader, _, value| header(reader, value)))
    });
    let answer = reader.at(map, "answer", answer);
    let (status, text) = answer.unwrap_or((200, String::new()));
    must_fit(reader);
    if !map.contains_key("path") {
        reader.say("HEADER", "`webhook` has no `path`: nothing would ever come here");
    }
    let path = reader.at(map, "path", path)?;
    Some(Hook {
        path,
        says,
        headers: headers.unwrap_or_default(),
        status,
        text,
    })
}

fn says(reader: &mut Reader<'_>, map: &Map) -> Says {
    let mut text = |key: &str| {
        reader.at(map, key, |reader, value| {
            reader.text(value, "a string").map(str::to_owned)
        })
    };
    Says {
        scheme: text("scheme"),
        verify: text("verify"),
        header: text("header"),
        prefix: text("prefix"),
        encoding: text("encoding"),
        signed: text("signed"),
        signature_key: text("signature_key"),
        time_key: text("time_key"),
        id: text("id"),
        time: text("time"),
        window: text("window"),
        secret: None,
        same_body: None,
    }
}

fn path(reader: &mut Reader<'_>, value: &Value) -> Option<String> {
    let path = reader.text(value, "a path, such as \"/hooks/github\"")?;
    match places(path) {
        Ok(names) if names.is_empty() => return Some(path.to_owned()),
        Ok(_) => reader.say("HEADER", "the path of `webhook` has no parameters: write it out"),
        Err(reason) => reader.say("HEADER", reason),
    };
    None
}

fn secret(reader: &mut Reader<'_>, value: &Value) -> Option<Names> {
    let names = match value {
        Value::Text(name) => vec![name.clone()],
        other => reader.each(other, scheme::SECRETS_MAX, |reader, _, value| {
            reader
                .text(value, "the name of a variable of the environment")
                .map(str::to_owned)
        }),
    };
    if let Some(wrong) = names.iter().position(|name| !is_variable(name)) {
        // What stands there may be the secret itself.
        let chars = names[wrong].chars().count();
        reader
            .say(
                "HEADER",
                format!("`secret` of `webhook` has {chars} characters that are no name of a variable"),
            )
            .help("name the variable of the environment that holds it, such as \"GITHUB_WEBHOOK_SECRET\"; a secret is never written into a playbook");
        return None;
    }
    (!names.is_empty()).then_some(Names::Many(names))
}

fn header(reader: &mut Reader<'_>, value: &Value) -> Option<String> {
    let name = reader.text(value, "the name of a header")?.to_ascii_lowercase();
    if !scheme::is_header(&name) {
        reader.say(
            "HEADER",
            format!("{:?} is no name of a header", super::complaint::excerpt(&name)),
        );
        return None;
    }
    if scheme::PRIVATE.contains(&name.as_str()) {
        reader.say(
            "HEADER",
            format!("the header `{name}` lets somebody in: it is not told to playbooks"),
        );
        return None;
    }
    Some(name)
}

fn answer(reader: &mut Reader<'_>, value: &Value) -> Option<(u16, String)> {
    let Some(map) = value.as_map() else {
        reader.wrong_kind(value, "a map #{ status: 202, text: \"thanks\" }");
        return None;
    };
    reader.known(map, &["status", "text"]);
    let status = reader.at(map, "status", |reader, value| {
        match value.as_int().filter(|status| STATUSES.contains(status)) {
            Some(status) => Some(status as u16),
            None => {
                let name = reader.name();
                reader.say("HEADER", format!("{name} is {value}; there are 200, 201, 202 and 204"));
                None
            }
        }
    });
    let text = reader.at(map, "text", |reader, value| {
        let text = reader.text(value, "a string")?;
        if text.len() > ANSWER_BYTES_MAX {
            let (name, bytes) = (reader.name(), text.len());
            reader.say(
                "HEADER",
                format!("{name} has {bytes} bytes; at most {ANSWER_BYTES_MAX} are allowed"),
            );
        }
        Some(text.to_owned())
    });
    let status = status.unwrap_or(200);
    if status == 204 && text.as_ref().is_some_and(|text| !text.is_empty()) {
        reader.say("HEADER", "an answer with status 204 has no text");
    }
    Some((status, text.unwrap_or_default()))
}

/// What was sent is one input; others would have nobody to give them.
fn must_fit(reader: &mut Reader<'_>) {
    let Some(inputs) = reader.inputs else { return };
    if inputs.get(INPUT).is_some_and(|spec| spec.kind != InputKind::Map) {
        reader
            .say(
                "HEADER",
                format!("the input `{INPUT}` takes what was sent, and is of another type"),
            )
            .help(format!("write `inputs: #{{ {INPUT}: #{{ type: \"map\" }} }}`"));
    }
    let needed = inputs
        .iter()
        .find(|(name, spec)| name.as_str() != INPUT && spec.required && spec.preset.is_none());
    if let Some((name, _)) = needed {
        reader
            .say(
                "HEADER",
                format!("the input `{name}` is required, and a webhook gives `{INPUT}` alone"),
            )
            .help(format!("give `{name}` a preset, or read it from `input.{INPUT}`"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::triggers::read as read_all;

    fn read_one(json: serde_json::Value) -> (Option<Hook>, Vec<String>) {
        let header = Value::from_json(json!({ "webhook": json }));
        let (triggers, complaints) = read_all(header.as_map().expect("a map"), None);
        let said = complaints.into_iter().map(|complaint| complaint.message);
        (triggers.webhook.map(|hook| *hook), said.collect())
    }

    #[test]
    fn a_hook_is_a_path_a_scheme_and_the_name_of_a_secret() {
        let (hook, said) =
            read_one(json!({ "path": "/hooks/git", "scheme": "github", "secret": "GIT_WEBHOOK_SECRET" }));
        let hook = hook.expect("a hook");
        assert_eq!((hook.status, hook.text.as_str(), said.len()), (200, "", 0));
        let long = json!({
            "path": "/h", "secret": ["A_SIGNING_SECRET", "B_SIGNING_SECRET"], "header": "X-Sig", "window": "10m",
            "headers": ["X-Kind"], "answer": { "status": 202, "text": "ok" }, "same_body": true,
        });
        let (hook, said) = read_one(long);
        let hook = hook.expect("a hook");
        assert_eq!(
            (hook.status, hook.headers.as_slice(), said.len()),
            (202, &["x-kind".to_owned()][..], 0)
        );
        assert_eq!(hook.says.secret.expect("names").list().len(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_and_a_secret_that_was_written_out_is_not_repeated() {
        let (_, said) = read_one(json!({ "path": "/h", "scheme": "github", "secret": "hunter2-hunter2" }));
        assert!(said.len() == 1 && !said[0].contains("hunter2"), "{said:?}");
        for wrong in [
            json!("/h"),
            json!({ "scheme": "github" }),
            json!({ "path": "/api/v1/h" }),
            json!({ "path": "/h/{id}" }),
            json!({ "path": "/h", "scheem": "github" }),
            json!({ "path": "/h", "window": "8d" }),
            json!({ "path": "/h", "window": "soon" }),
            json!({ "path": "/h", "encoding": "utf8" }),
            json!({ "path": "/h", "signed": "{time}" }),
            json!({ "path": "/h", "signed": "{body}{boody}" }),
            json!({ "path": "/h", "header": "x y" }),
            json!({ "path": "/h", "headers": ["Authorization"] }),
            json!({ "path": "/h", "answer": { "status": 500 } }),
            json!({ "path": "/h", "answer": { "status": 204, "text": "x" } }),
        ] {
            assert_eq!(
                read_one(wrong.clone()).1.len(),
                1,
                "{wrong}: {:?}",
                read_one(wrong.clone()).1
            );
        }
    }

    #[test]
    fn inputs_that_nobody_gives_are_told() {
        let read = |inputs: serde_json::Value| {
            let inputs = Value::from_json(inputs);
            let specs = inputs.as_map().expect("a map").iter();
            let specs = specs.map(|(name, spec)| {
                let spec = crate::script::inputs::InputSpec::read(name, spec).expect("an input");
                (name.clone(), Box::new(spec))
            });
            let header = Value::from_json(json!({ "webhook": { "path": "/h" } }));
            read_all(header.as_map().expect("a map"), Some(&specs.collect()))
                .1
                .len()
        };
        assert_eq!(
            read(json!({ "webhook": { "type": "map", "required": true }, "top": { "preset": "x" } })),
            0
        );
        assert_eq!(read(json!({ "webhook": {} })), 1);
        assert_eq!(read(json!({ "top": { "required": true } })), 1);
    }
}
