//! What lies in a folder: names that fit a pattern, and names near a mistyped one.
#![expect(clippy::disallowed_methods, reason = "this is the door to the project's files")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::fault::FileFault;

/// The most entries of a folder that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// The most files in one listing.
pub(super) const LISTED_MAX: usize = 10_000;
/// The longest pattern: the longest name a file can have.
const PATTERN_BYTES_MAX: usize = 255;
/// How many near names a message offers.
const NEAR_MAX: usize = 3;

/// One file of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Relative to the project.
    pub path: String,
    pub bytes: u64,
    /// Unix milliseconds of the last change.
    pub modified_ms: i64,
}

/// A pattern is for names within one folder.
pub(super) fn check_pattern(pattern: &str) -> Result<(), FileFault> {
    let reason = if pattern.is_empty() {
        "the pattern is empty; `*` fits every name"
    } else if pattern.len() > PATTERN_BYTES_MAX {
        "the pattern is longer than 255 bytes"
    } else if pattern.contains('/') {
        "a pattern is for the names in one folder and has no `/`"
    } else {
        return Ok(());
    };
    Err(FileFault::BadPath {
        path: pattern.to_owned(),
        reason,
    })
}

/// The names in the folder at `absolute` that fit `pattern`, sorted.
pub(super) fn names(folder: &str, absolute: &Path, pattern: &str) -> Result<Vec<String>, FileFault> {
    let unreadable = |source| FileFault::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let too_many = |what, entries_max| FileFault::TooMany {
        path: folder.to_owned(),
        what,
        entries_max,
    };
    let mut names = Vec::new();
    for (count, entry) in fs::read_dir(absolute).map_err(unreadable)?.enumerate() {
        if count == ENTRIES_MAX {
            return Err(too_many("entries", ENTRIES_MAX));
        }
        let Ok(name) = entry.map_err(unreadable)?.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') && !pattern.starts_with('.') || !fits(pattern, &name) {
            continue;
        }
        if names.len() == LISTED_MAX {
            return Err(too_many_files(folder));
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// Said of a folder with more files than are listed.
pub(super) fn too_many_files(folder: &str) -> FileFault {
    FileFault::TooMany {
        path: folder.to_owned(),
        what: "such files",
        entries_max: LISTED_MAX,
    }
}

/// The names in the folder at `absolute` that a person may have meant by `name`, nearest first.
pub(super) fn near(absolute: &Path, name: &str) -> Vec<String> {
    let wanted = name.to_lowercase();
    let distance_max = (wanted.chars().count() / 4).clamp(1, 4);
    let entries = fs::read_dir(absolute).into_iter().flatten().take(LISTED_MAX);
    let names = entries.filter_map(|entry| OsString::into_string(entry.ok()?.file_name()).ok());
    let mut near: Vec<(usize, String)> = names
        .filter(|present| present != name)
        .map(|present| (strsim::damerau_levenshtein(&wanted, &present.to_lowercase()), present))
        .filter(|(distance, _)| *distance <= distance_max)
        .collect();
    near.sort_unstable();
    near.into_iter().take(NEAR_MAX).map(|(_, name)| name).collect()
}

/// Whether `name` fits `pattern`. It goes back to the last `*` only, so the work is bounded by the product of both
/// lengths.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, star_seen)) = star else { return false };
                star = Some((star_at, star_seen + 1));
                at = star_at + 1;
                seen = star_seen + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        for (pattern, name, answer) in [
            ("*", "anything", true),
            ("*.mp4", "clip.mp4", true),
            ("*.mp4", "clip.mp4.part", false),
            ("clip-??.mp4", "clip-07.mp4", true),
            ("clip-??.mp4", "clip-7.mp4", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("?", "ä", true),
            ("exact", "exact", true),
            ("exact", "exact?", false),
            ("**", "", true),
        ] {
            assert_eq!(fits(pattern, name), answer, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_made_to_take_long_does_not() {
        assert!(!fits(&"*a".repeat(120), &"b".repeat(255)));
        assert!(!fits(&format!("{}b", "*a".repeat(120)), &"a".repeat(255)));
    }
}
