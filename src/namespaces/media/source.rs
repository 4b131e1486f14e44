//! What is worked on: a file of the project, or one that was made before.

use std::path::PathBuf;

use super::fault::MediaFault;
use crate::gate::Errand;
use crate::id::ContentHash;
use crate::io::workspace::{Workspace, hash_of};
use crate::value::Value;

/// What a playbook named to be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file below the project's folders, with its hash where a probe has told it before.
    Project { path: String, sha256: Option<ContentHash> },
    /// What an earlier function made, kept under its hash.
    Made { name: String, sha256: ContentHash },
}

/// A source that is there.
#[derive(Debug)]
pub struct Opened {
    pub path: PathBuf,
    pub sha256: ContentHash,
}

impl Source {
    /// From a path, or from the map that `media::probe`, `cut`, `reframe` or `thumbnail` returned.
    pub fn read(given: &Value) -> Result<Source, MediaFault> {
        let bad = |problem: String| MediaFault::Source { problem };
        let map = match given {
            Value::Text(path) => {
                return Ok(Source::Project {
                    path: path.clone(),
                    sha256: None,
                });
            }
            Value::Map(map) => map,
            other => return Err(bad(format!("this is {} and no media", other.kind()))),
        };
        let text = |name: &str| map.get(name).and_then(Value::as_str);
        let sha256 = text("sha256").and_then(|digits| digits.parse().ok());
        let sha256 = sha256.ok_or_else(|| bad("the map has no `sha256` of 64 hexadecimal digits".to_owned()))?;
        match (text("path"), text("name")) {
            (Some(path), _) => Ok(Source::Project {
                path: path.to_owned(),
                sha256: Some(sha256),
            }),
            (None, Some(name)) => Ok(Source::Made {
                name: name.to_owned(),
                sha256,
            }),
            (None, None) => Err(bad("the map has neither `path` nor `name`".to_owned())),
        }
    }

    /// As an effect's argument: what tells it from others, and no more.
    pub fn to_value(&self) -> Value {
        match self {
            Source::Project { path, sha256: None } => path.as_str().into(),
            Source::Project {
                path,
                sha256: Some(sha256),
            } => Value::from([("path", path.as_str().into()), ("sha256", sha256.to_string().into())]),
            Source::Made { name, sha256 } => {
                Value::from([("name", name.as_str().into()), ("sha256", sha256.to_string().into())])
            }
        }
    }

    /// The name of its file, without folders.
    pub fn file_name(&self) -> &str {
        match self {
            Source::Project { path, .. } => path.rsplit('/').next().unwrap_or(path),
            Source::Made { name, .. } => name,
        }
    }

    /// Finds the file, and checks that it is the one that was meant.
    pub fn open(&self, errand: &Errand<'_>) -> Result<Opened, MediaFault> {
        match self {
            Source::Project { path, sha256 } => {
                let files = &errand.world.files;
                let checked = files.open(path)?;
                let found = files.hash(&checked)?;
                if sha256.is_some_and(|meant| meant != found) {
                    return Err(MediaFault::Changed { path: path.clone() });
                }
                Ok(Opened {
                    path: checked.absolute().to_owned(),
                    sha256: found,
                })
            }
            Source::Made { name, sha256 } => {
                let kept = errand.kept_file(*sha256);
                let kept = kept.filter(|path| hash_of(path).is_ok_and(|found| found == *sha256));
                let shown = || Workspace::open(errand.workspace()).ok()?.find(name, *sha256);
                let path = kept
                    .or_else(shown)
                    .ok_or_else(|| MediaFault::Missing { name: name.clone() })?;
                Ok(Opened { path, sha256: *sha256 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_or_what_a_media_function_returned() {
        let sha256 = ContentHash::of(b"x");
        let hash = || Value::from(sha256.to_string());
        let made = Value::from([
            ("name", "clip.mp4".into()),
            ("sha256", hash()),
            ("bytes", Value::Int(1)),
        ]);
        let probed = Value::from([
            ("name", "clip.mp4".into()),
            ("path", "inbox/clip.mp4".into()),
            ("sha256", hash()),
        ]);
        let source = Source::read(&made).unwrap();
        assert_eq!(source.to_value().get("bytes"), None);
        assert_eq!(Source::read(&source.to_value()).unwrap(), source);
        let source = Source::read(&probed).unwrap();
        assert_eq!(
            (source.file_name(), Source::read(&source.to_value()).unwrap()),
            ("clip.mp4", source.clone())
        );
        assert_eq!(
            Source::read(&"inbox/clip.mp4".into()).unwrap().to_value(),
            "inbox/clip.mp4".into()
        );
        for (given, said) in [
            (Value::Int(1), "this is int and no media"),
            (Value::from([("sha256", "abc".into())]), "the map has no `sha256`"),
            (
                Value::from([("sha256", hash())]),
                "the map has neither `path` nor `name`",
            ),
        ] {
            let message = Source::read(&given).unwrap_err().to_string();
            assert!(message.starts_with(said), "{message}");
        }
    }
}
