//! The door through which scripts and prompts are put back as they were.
#![expect(clippy::disallowed_methods, reason = "this is the door to files that are put back")]

use std::path::Path;

/// Puts `text` into the file at `path` below `root`, with the folders above it. Whoever looks sees all of it or what was
/// there before.
pub fn put(root: &Path, path: &str, text: &str) -> std::io::Result<()> {
    let absolute = root.join(path);
    if super::fresh::write_new(&absolute, text.as_bytes())? {
        return Ok(());
    }
    // What a link leads to is rewritten, not the link.
    super::whole::rewrite(&absolute.canonicalize()?, text.as_bytes())
}

/// Takes the file at `path` below `root` away; there may be none.
pub fn take_away(root: &Path, path: &str) -> std::io::Result<()> {
    match std::fs::remove_file(root.join(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
