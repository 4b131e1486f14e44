//! Bodies of several parts (RFC 7578), as forms with files are sent.
//!
//! The boundary follows from everything that is sent, so the same call gives the same bytes, and nobody who controls one
//! part can put the boundary into it.

use std::path::Path;

use super::call::BODY_BYTES_MAX;
use crate::effect::{Failure, Fault};
use crate::gate::Errand;
use crate::id::ContentHash;
use crate::namespaces::media::source::Source;
use crate::namespaces::options::{BadOption, Options};
use crate::value::Value;

/// The most parts.
pub const PARTS_MAX: usize = 100;
/// The longest name of a part or file, in bytes.
const NAME_BYTES_MAX: usize = 500;

/// One part.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    name: String,
    what: What,
    filename: Option<String>,
    content_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Bytes(Vec<u8>),
    /// A file of the project, or one that the run has made or downloaded.
    File(Source),
}

impl Part {
    /// From `#{ name, value | blob | path, filename, content_type }`.
    pub fn read(given: &Value, options: &Options) -> Result<Part, BadOption> {
        let bad = |wanted: &str| Err(options.kind("multipart", given, wanted));
        let Some(map) = given.as_map() else {
            return bad("an array of maps, each with `name` and one of `value`, `blob` and `path`,");
        };
        let known = ["name", "value", "blob", "path", "filename", "content_type"];
        if let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) {
            let reason = format!("a part has no {name:?}; it has {}", known.join(", "));
            return Err(options.conflict(reason));
        }
        let text = |name: &str| match map.get(name) {
            None | Some(Value::Unit) => Ok(None),
            Some(Value::Text(text)) if text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control) => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(options.conflict(format!(
                "`{name}` of a part is a string of up to {NAME_BYTES_MAX} bytes without control characters"
            ))),
        };
        let Some(name) = text("name")?.filter(|name| !name.is_empty()) else {
            return Err(options.conflict("each part needs a `name`"));
        };
        let content_type = text("content_type")?;
        let is_type = |kind: &String| kind.is_ascii() && kind.contains('/');
        if content_type.as_ref().is_some_and(|kind| !is_type(kind)) {
            return Err(options.conflict("`content_type` of a part is of the form \"video/mp4\""));
        }
        let present = |name: &str| map.get(name).filter(|value| !value.is_unit());
        let what = match (present("value"), present("blob"), present("path")) {
            (Some(Value::Text(text)), None, None) => What::Bytes(text.clone().into_bytes()),
            (Some(value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_))), None, None) => {
                What::Bytes(value.to_string().into_bytes())
            }
            (Some(value @ (Value::Map(_) | Value::List(_))), None, None) => What::Bytes(value.to_string().into_bytes()),
            (None, Some(Value::Blob(bytes)), None) => What::Bytes(bytes.clone()),
            (None, None, Some(path)) => match Source::read(path) {
                Ok(source) => What::File(source),
                Err(fault) => return Err(options.conflict(format!("`path` of the part {name:?}: {fault}"))),
            },
            _ => {
                return Err(options.conflict(format!(
                    "the part {name:?} needs exactly one of `value` (text, a number, a bool or JSON), `blob` and `path`"
                )));
            }
        };
        Ok(Part {
            filename: text("filename")?,
            name,
            what,
            content_type,
        })
    }

    /// For the simulated answer: texts come back, files do not.
    pub fn field(&self) -> Option<(String, String)> {
        match &self.what {
            What::Bytes(bytes) => {
                let text = String::from_utf8(bytes.clone()).ok()?;
                Some((self.name.clone(), text))
            }
            What::File(_) => None,
        }
    }

    fn load(&self, errand: &Errand<'_>) -> Result<Vec<u8>, Fault> {
        match &self.what {
            What::Bytes(bytes) => Ok(bytes.clone()),
            What::File(source) => {
                let opened = source.open(errand).map_err(|fault| Fault::refused(fault.into()))?;
                read_file(&opened.path, source.file_name())
            }
        }
    }

    fn filename(&self) -> Option<&str> {
        match (&self.filename, &self.what) {
            (Some(name), _) => Some(name),
            (None, What::File(source)) => Some(source.file_name()),
            (None, What::Bytes(_)) => None,
        }
    }

    fn head(&self, boundary: &str) -> Vec<u8> {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&self.name)
        );
        let filename = self.filename();
        if let Some(filename) = filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        let kind = self.content_type.as_deref();
        let kind = kind.or_else(|| filename.map(crate::namespaces::file::media_type::of_name));
        if let Some(kind) = kind {
            head.push_str(&format!("\r\nContent-Type: {kind}"));
        }
        head.push_str("\r\n\r\n");
        head.into_bytes()
    }
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    let read = crate::io::workspace::read_bytes(path, BODY_BYTES_MAX as u64);
    read.map_err(|error| {
        Fault::refused(Failure::new(
            "HTTP_BODY_TOO_LARGE",
            format!("the part {name:?}: {error}"),
        ))
    })
}

/// As browsers write names: what would end the quotes or the line is written as `%22`, `%0D`, `%0A` (WHATWG HTML).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The whole body, and its content type.
pub fn body(parts: &[Part], errand: &Errand<'_>) -> Result<(Vec<u8>, String), Fault> {
    let mut loaded = Vec::with_capacity(parts.len());
    let mut bytes = 0;
    for part in parts {
        let content = part.load(errand)?;
        bytes += content.len();
        if bytes > BODY_BYTES_MAX {
            let message =
                format!("the parts have more than {BODY_BYTES_MAX} bytes together; at most that many are sent");
            return Err(Fault::refused(Failure::new("HTTP_BODY_TOO_LARGE", message)));
        }
        loaded.push(content);
    }
    Ok(assemble(parts, &loaded))
}

fn assemble(parts: &[Part], loaded: &[Vec<u8>]) -> (Vec<u8>, String) {
    let mut all = Vec::new();
    for (part, content) in parts.iter().zip(loaded) {
        all.extend(part.head(""));
        all.extend(ContentHash::of(content).as_bytes());
    }
    let boundary = format!("host-{}", &ContentHash::of(&all).to_string()[..40]);
    let mut body = Vec::with_capacity(loaded.iter().map(|content| content.len() + 300).sum());
    for (part, content) in parts.iter().zip(loaded) {
        body.extend(part.head(&boundary));
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (body, format!("multipart/form-data; boundary={boundary}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(fields: Value) -> Result<Part, BadOption> {
        Part::read(&fields, &Options::of("http::post", Default::default()))
    }

    #[test]
    fn a_hostile_name_ends_neither_the_quotes_nor_the_line() {
        let hostile = part(Value::from([
            ("name", "a\"; x=\"b".into()),
            ("value", "v".into()),
            ("filename", "ü\".mp4".into()),
        ]));
        let head = String::from_utf8(hostile.unwrap().head("B")).unwrap();
        assert_eq!(
            head,
            "--B\r\nContent-Disposition: form-data; name=\"a%22; x=%22b\"; filename=\"ü%22.mp4\"\r\nContent-Type: video/mp4\r\n\r\n"
        );
        for (field, value) in [
            ("name", "a\r\nX: 1"),
            ("filename", "a\n"),
            ("content_type", "text/plain\r\nX: 1"),
        ] {
            let mut fields = Value::from([("name", "a".into()), ("value", "v".into())])
                .as_map()
                .cloned()
                .unwrap();
            fields.insert(field.to_owned(), value.into());
            assert!(part(Value::Map(fields)).is_err(), "{field}");
        }
    }

    #[test]
    fn the_boundary_follows_from_what_is_sent_and_is_in_no_part() {
        let text = |value: &str| part(Value::from([("name", "a".into()), ("value", value.into())])).unwrap();
        let of = |value: &str| assemble(&[text(value)], &[value.as_bytes().to_vec()]);
        let (body, kind) = of("one");
        assert_eq!((body.clone(), kind.clone()), of("one"));
        let boundary = kind.split_once("boundary=").unwrap().1;
        // Whoever puts it into a part changes it.
        let (other, other_kind) = of(&format!("\r\n--{boundary}--\r\n"));
        assert_ne!(kind, other_kind);
        let other_boundary = other_kind.split_once("boundary=").unwrap().1;
        assert_eq!(String::from_utf8_lossy(&other).matches(other_boundary).count(), 2);
        assert_eq!(String::from_utf8_lossy(&body).matches(boundary).count(), 2);
    }

    #[test]
    fn a_part_has_one_content() {
        for fields in [
            Value::from([("name", "a".into())]),
            Value::from([("name", "a".into()), ("value", "x".into()), ("path", "y".into())]),
            Value::from([("value", "x".into())]),
            Value::from([("name", "a".into()), ("value", "x".into()), ("file", "y".into())]),
            Value::from([("name", "a".into()), ("blob", "x".into())]),
            "a".into(),
        ] {
            assert_eq!(part(fields.clone()).unwrap_err().code(), "BAD_OPTION", "{fields}");
        }
    }
}
