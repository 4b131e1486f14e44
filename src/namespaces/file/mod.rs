//! `file::` — reads and lists text, JSON, CSV and media below the project's declared folders.

pub mod parse;
