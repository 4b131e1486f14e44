//! Which files can come: a pattern's folder and names, and names that say that somebody is still writing. Pure.

/// Endings of files that somebody is still writing.
const UNFINISHED: [&str; 9] = [
    "~",
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".swp",
    ".swx",
    ".crdownload",
    ".download",
];

/// The folder of a pattern, and what the names in it must fit.
pub fn split(pattern: &str) -> (&str, &str) {
    pattern.rsplit_once('/').unwrap_or((".", pattern))
}

/// Whether nobody says by the name of a file that it is still being written.
pub fn is_finished(path: &str) -> bool {
    let (_, name) = split(path);
    let name = name.to_lowercase();
    !name.starts_with('.') && !name.starts_with('#') && !UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

/// Why no file can ever fit `pattern`, if that is so.
pub(super) fn why_never(pattern: &str) -> Option<&'static str> {
    let (folder, _) = split(pattern);
    if folder.contains(['*', '?']) {
        return Some("only its last part may have `*` or `?`: name one folder, such as \"inbox/*.mp4\"");
    }
    (!is_finished(pattern)).then_some("files that are hidden, or still being written by their name, are left alone")
}
