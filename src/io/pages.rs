//! The door to generated pages: references and manuals, written in place of what was generated before.
#![expect(clippy::disallowed_methods, reason = "this is the door to generated pages")]

use std::path::Path;

/// Writes `text` to `path`, with the folders above it.
pub fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}
