//! Bodies of several parts (RFC 7578), as forms with files are sent.
//!
//! The boundary follows from everything that is sent, so the same call gives the same bytes, and nobody who controls one
//! part can put the boundary into it. Files are not held: they are hashed, and read again while they are sent.

use super::call::BODY_BYTES_MAX;
use crate::effect::{Failure, Fault};
use crate::gate::Errand;
use crate::id::ContentHash;
use crate::io::http::{Body, SentFile};
use crate::namespaces::media::source::Source;
use crate::namespaces::options::{BadOption, Options};
use crate::value::Value;

/// The most parts.
pub const PARTS_MAX: usize = 100;
/// How large all parts may be together, files included: what `media::` makes at most.
pub const PARTS_BYTES_MAX: u64 = 8 << 30;
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

    fn load(&self, errand: &Errand<'_>) -> Result<Loaded, Fault> {
        match &self.what {
            What::Bytes(bytes) => Ok(Loaded {
                sha256: ContentHash::of(bytes),
                content: Content::Bytes(bytes.clone()),
            }),
            What::File(source) => {
                let opened = source.open(errand).map_err(|fault| Fault::refused(fault.into()))?;
                let name = source.file_name();
                let file = SentFile::new(&opened.path, name, opened.sha256).map_err(|error| {
                    Fault::refused(Failure::new("FILE_UNREADABLE", format!("the part {name:?}: {error}")))
                })?;
                Ok(Loaded {
                    sha256: opened.sha256,
                    content: Content::File(file),
                })
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

/// What a part holds, and its hash.
struct Loaded {
    sha256: ContentHash,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    File(SentFile),
}

/// As browsers write names: what would end the quotes or the line is written as `%22`, `%0D`, `%0A` (WHATWG HTML).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The whole body, and its content type.
pub fn body(parts: &[Part], errand: &Errand<'_>) -> Result<(Body, String), Fault> {
    let mut loaded = Vec::with_capacity(parts.len());
    for part in parts {
        loaded.push(part.load(errand)?);
        check_size(&loaded)?;
    }
    Ok(assemble(parts, loaded))
}

fn check_size(loaded: &[Loaded]) -> Result<(), Fault> {
    let (mut held, mut all) = (0, 0);
    for part in loaded {
        match &part.content {
            Content::Bytes(bytes) => held += bytes.len() as u64,
            Content::File(file) => all += file.len(),
        }
    }
    all += held;
    let held_max = BODY_BYTES_MAX as u64;
    let (what, bytes_max) = match () {
        () if held > held_max => ("the parts that are no files", held_max),
        () if all > PARTS_BYTES_MAX => ("the parts", PARTS_BYTES_MAX),
        () => return Ok(()),
    };
    let message = format!("{what} have more than {bytes_max} bytes together; at most that many are sent");
    Err(Fault::refused(Failure::new("HTTP_BODY_TOO_LARGE", message)))
}

fn assemble(parts: &[Part], loaded: Vec<Loaded>) -> (Body, String) {
    let mut all = Vec::new();
    for (part, loaded) in parts.iter().zip(&loaded) {
        all.extend(part.head(""));
        all.extend(loaded.sha256.as_bytes());
    }
    let boundary = format!("host-{}", &ContentHash::of(&all).to_string()[..40]);
    let mut body = Body::default();
    for (part, loaded) in parts.iter().zip(loaded) {
        body.push(part.head(&boundary));
        match loaded.content {
            Content::Bytes(bytes) => body.push(bytes),
            Content::File(file) => body.push_file(file),
        }
        body.push("\r\n");
    }
    body.push(format!("--{boundary}--\r\n"));
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
        let of = |value: &str| {
            let loaded = Loaded {
                sha256: ContentHash::of(value.as_bytes()),
                content: Content::Bytes(value.into()),
            };
            let (body, kind) = assemble(&[text(value)], vec![loaded]);
            (body.at_hand().expect("there is no file in it"), kind)
        };
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
    fn what_is_held_and_what_is_sent_have_limits_of_their_own() {
        let sha256 = ContentHash::of(b"");
        let bytes = |length: usize| Loaded {
            sha256,
            content: Content::Bytes(vec![0; length]),
        };
        let file = |length: u64| {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(length).unwrap();
            Loaded {
                sha256,
                content: Content::File(SentFile::new(file.path(), "long.mp4", sha256).unwrap()),
            }
        };
        assert!(check_size(&[bytes(BODY_BYTES_MAX), file(1 << 30)]).is_ok());
        assert!(check_size(&[file(PARTS_BYTES_MAX)]).is_ok());
        for too_large in [
            vec![bytes(BODY_BYTES_MAX), bytes(1)],
            vec![bytes(1), file(PARTS_BYTES_MAX)],
        ] {
            assert!(check_size(&too_large).is_err());
        }
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
