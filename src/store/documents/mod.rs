//! Documents.
pub struct Indexes;
