//! Journals as they lie on disk.
