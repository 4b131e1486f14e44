//! Under which name people find what was made.

use super::fault::MediaFault;

/// The longest name that a playbook gives.
const NAME_BYTES_MAX: usize = 120;

/// How much of a source's name is taken over: a disk takes 255 bytes, and a number may follow.
const STEM_BYTES_MAX: usize = 180;

/// The name of an output in its run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputName {
    pub name: String,
    /// Whether it was not asked for, and so may get a number.
    pub is_preset: bool,
}

impl OutputName {
    /// The name that a playbook `asked` for, or one after the source's: `clip.mp4` and `-9x16` give `clip-9x16.mp4`.
    pub fn new(asked: Option<&str>, source: &str, suffix: &str, ending: &str) -> Result<OutputName, MediaFault> {
        let Some(asked) = asked else {
            let stem = source.rsplit_once('.').map_or(source, |(stem, _)| stem);
            let stem = stem.trim_start_matches('.');
            let ends = stem.char_indices().map(|(at, letter)| at + letter.len_utf8());
            let end = ends.take_while(|end| *end <= STEM_BYTES_MAX).last().unwrap_or(0);
            let stem = &stem[..end];
            let stem = if stem.is_empty() { "media" } else { stem };
            return Ok(OutputName {
                name: format!("{stem}{suffix}.{ending}"),
                is_preset: true,
            });
        };
        let bad = |reason| MediaFault::Name {
            name: asked.chars().take(60).collect(),
            reason,
        };
        let is_allowed = |letter: char| letter.is_alphanumeric() || "-_. ".contains(letter);
        if asked.is_empty() || asked.len() > NAME_BYTES_MAX {
            return Err(bad("it needs 1 to 120 bytes"));
        }
        if asked.starts_with(['.', ' ', '-']) || !asked.chars().all(is_allowed) {
            return Err(bad(
                "it begins with a letter or a digit, and holds only these, spaces, \".\", \"-\" and \"_\"",
            ));
        }
        let has_ending = asked.rsplit_once('.').is_some_and(|(_, given)| given == ending);
        let name = if has_ending {
            asked.to_owned()
        } else {
            format!("{asked}.{ending}")
        };
        Ok(OutputName { name, is_preset: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(asked: Option<&str>, source: &str) -> Result<String, &'static str> {
        OutputName::new(asked, source, "-9x16", "mp4")
            .map(|name| name.name)
            .map_err(|fault| fault.code())
    }

    #[test]
    fn without_a_wish_the_name_follows_the_source() {
        assert_eq!(name(None, "clip.mov").as_deref(), Ok("clip-9x16.mp4"));
        assert_eq!(name(None, "clip").as_deref(), Ok("clip-9x16.mp4"));
        assert_eq!(name(None, ".mp4").as_deref(), Ok("media-9x16.mp4"));
        assert_eq!(name(None, &"🎬".repeat(120)).map(|name| name.len()), Ok(180 + 9));
    }

    #[test]
    fn a_wish_is_a_name_and_never_a_path() {
        assert_eq!(name(Some("teaser"), "clip.mp4").as_deref(), Ok("teaser.mp4"));
        assert_eq!(name(Some("teaser 1.mp4"), "clip.mp4").as_deref(), Ok("teaser 1.mp4"));
        for wish in [
            "",
            "../x",
            "a/b",
            "a\\b",
            ".hidden",
            "-rf",
            "a\nb",
            "a\0",
            &"a".repeat(121),
        ] {
            assert_eq!(name(Some(wish), "clip.mp4"), Err("MEDIA_NAME_INVALID"), "{wish:?}");
        }
    }
}
