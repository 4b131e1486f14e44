//! What of the disk has been judged, so that the same is not judged again.

use crate::id::ContentHash;
use crate::io::pinned::{Files, PinnedFile, PinnedFiles};

/// The files, and the hash of `.env`.
pub(super) struct Judged {
    pub files: PinnedFiles,
    pub secrets: Option<ContentHash>,
}

impl Judged {
    pub fn is(&self, files: &Files, secrets: Option<ContentHash>) -> bool {
        self.secrets == secrets && is_same(&self.files.files, files)
    }
}

/// Whether both are of the same paths and texts.
pub(super) fn is_same(a: &Files, b: &Files) -> bool {
    let same = |((path, file), (other_path, other)): ((&String, &PinnedFile), (&String, &PinnedFile))| {
        path == other_path && file.hash == other.hash
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}
