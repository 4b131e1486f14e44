//! Texts as the editor has them, which is what counts while they are open: not what is on disk.
//!
//! Edits say which version of the text they make. One that is not newer than what is here came out of order, and one
//! whose range ends before it begins was not made on this text: from then on nobody knows what the editor shows, so the
//! document is out of step. It says so, answers nothing, and is taken up again with the next whole text: a save, a
//! whole edit, or opening it again.

use std::collections::BTreeMap;

use lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::positions::{Encoding, Positions};

/// The longest text that is kept at all. Scripts may be much shorter; an editor may open anything.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Documents open at once.
const DOCUMENTS_MAX: usize = 1000;

/// One open text.
#[derive(Clone, Debug)]
pub struct Document {
    pub uri: Uri,
    pub version: i32,
    pub text: String,
    pub positions: Positions,
    /// Why what is here is not what the editor shows.
    pub out_of_step: Option<String>,
    /// Counts what happened to it, so that what was computed can be told from what must be.
    pub generation: u64,
}

/// Every open text by its address.
#[derive(Debug, Default)]
pub struct Documents {
    pub encoding: Encoding,
    open: BTreeMap<String, Document>,
    generations: u64,
}

/// Why an edit was not made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("{0} is not open")]
    NotOpen(String),
    #[error("more than {DOCUMENTS_MAX} documents are open; close some")]
    TooMany,
    /// It stays open, and waits for a whole text.
    #[error("{0}")]
    OutOfStep(String),
}

impl Documents {
    pub fn get(&self, uri: &Uri) -> Option<&Document> {
        self.open.get(uri.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.open.values()
    }

    pub fn open(&mut self, uri: Uri, version: i32, text: String) -> Result<(), Refused> {
        if self.open.len() >= DOCUMENTS_MAX && !self.open.contains_key(uri.as_str()) {
            return Err(Refused::TooMany);
        }
        let generation = self.next_generation();
        let mut document = Document {
            positions: Positions::of("", self.encoding),
            uri: uri.clone(),
            version,
            text: String::new(),
            out_of_step: None,
            generation,
        };
        let whole = document.replace(text, self.encoding);
        self.open.insert(uri.as_str().to_owned(), document);
        whole
    }

    pub fn close(&mut self, uri: &Uri) -> bool {
        self.open.remove(uri.as_str()).is_some()
    }

    /// Makes the edits of one notification, in their order.
    pub fn change(
        &mut self,
        uri: &Uri,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
    ) -> Result<(), Refused> {
        let encoding = self.encoding;
        let generation = self.next_generation();
        let not_open = || Refused::NotOpen(uri.as_str().to_owned());
        let document = self.open.get_mut(uri.as_str()).ok_or_else(not_open)?;
        document.generation = generation;
        let begins_whole = changes.first().is_some_and(|change| change.range.is_none());
        if version <= document.version && document.out_of_step.is_none() && !begins_whole {
            let reason = format!(
                "edits came out of order: version {version} after version {}",
                document.version
            );
            return document.lose_step(reason);
        }
        if document.out_of_step.is_some() && !begins_whole {
            // It was said when it happened.
            return Ok(());
        }
        document.version = version;
        for change in changes {
            document.edit(change, encoding)?;
        }
        Ok(())
    }

    /// What the editor has just saved is what it shows.
    pub fn saved(&mut self, uri: &Uri, text: Option<String>) -> Result<(), Refused> {
        let encoding = self.encoding;
        let generation = self.next_generation();
        let Some(document) = self.open.get_mut(uri.as_str()) else {
            return Err(Refused::NotOpen(uri.as_str().to_owned()));
        };
        document.generation = generation;
        match text {
            Some(text) if text != document.text || document.out_of_step.is_some() => document.replace(text, encoding),
            _ => Ok(()),
        }
    }

    fn next_generation(&mut self) -> u64 {
        self.generations += 1;
        self.generations
    }
}

impl Document {
    fn lose_step(&mut self, reason: String) -> Result<(), Refused> {
        self.out_of_step = Some(reason.clone());
        Err(Refused::OutOfStep(reason))
    }

    fn replace(&mut self, text: String, encoding: Encoding) -> Result<(), Refused> {
        if text.len() > TEXT_BYTES_MAX {
            return self.lose_step(too_long(text.len()));
        }
        self.positions = Positions::of(&text, encoding);
        self.text = text;
        self.out_of_step = None;
        Ok(())
    }

    fn edit(&mut self, change: TextDocumentContentChangeEvent, encoding: Encoding) -> Result<(), Refused> {
        let Some(range) = change.range else {
            return self.replace(change.text, encoding);
        };
        let start = self.positions.offset(&self.text, range.start) as usize;
        let end = self.positions.offset(&self.text, range.end) as usize;
        if range.start > range.end || start > end {
            return self.lose_step("an edit ends before it begins".to_owned());
        }
        let length = self.text.len() - (end - start) + change.text.len();
        if length > TEXT_BYTES_MAX {
            return self.lose_step(too_long(length));
        }
        self.text.replace_range(start..end, &change.text);
        self.positions = Positions::of(&self.text, encoding);
        Ok(())
    }
}

fn too_long(bytes: usize) -> String {
    format!("it has {bytes} bytes; at most {TEXT_BYTES_MAX} are read")
}

#[cfg(test)]
mod tests {
    use lsp_types::{Position, Range};

    use super::*;

    fn uri() -> Uri {
        "file:///p/a.rhai".parse().expect("an address")
    }

    fn opened(text: &str) -> Documents {
        let mut documents = Documents::default();
        documents.open(uri(), 1, text.to_owned()).expect("it opens");
        documents
    }

    fn at(from: (u32, u32), to: (u32, u32), text: &str) -> TextDocumentContentChangeEvent {
        TextDocumentContentChangeEvent {
            range: Some(Range::new(Position::new(from.0, from.1), Position::new(to.0, to.1))),
            range_length: None,
            text: text.to_owned(),
        }
    }

    fn whole(text: &str) -> TextDocumentContentChangeEvent {
        TextDocumentContentChangeEvent {
            range: None,
            range_length: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn edits_of_one_notification_are_made_one_after_the_other() {
        let mut documents = opened("ab\ncd\n");
        let edits = vec![
            at((0, 1), (1, 1), "X"),
            at((0, 2), (0, 2), "𝄞"),
            at((9, 9), (9, 9), "end"),
        ];
        documents.change(&uri(), 2, edits).expect("they are made");
        assert_eq!(documents.get(&uri()).expect("open").text, "aX𝄞d\nend");
    }

    #[test]
    fn an_edit_out_of_order_puts_the_document_out_of_step_until_a_whole_text_comes() {
        let mut documents = opened("one");
        documents
            .change(&uri(), 5, vec![at((0, 0), (0, 3), "two")])
            .expect("it is made");
        let refused = documents.change(&uri(), 4, vec![at((0, 0), (0, 3), "late")]);
        let expected = "edits came out of order: version 4 after version 5";
        assert_eq!(refused, Err(Refused::OutOfStep(expected.to_owned())));
        documents
            .change(&uri(), 6, vec![at((0, 0), (0, 3), "lost")])
            .expect("it is passed over");
        let document = documents.get(&uri()).expect("open");
        assert_eq!(
            (document.text.as_str(), document.out_of_step.as_deref()),
            ("two", Some(expected))
        );

        documents
            .change(&uri(), 7, vec![whole("three"), at((0, 0), (0, 0), "!")])
            .expect("it is made");
        let document = documents.get(&uri()).expect("open");
        assert_eq!(
            (document.text.as_str(), document.out_of_step.as_deref()),
            ("!three", None)
        );
        documents
            .change(&uri(), 7, vec![at((0, 0), (0, 0), "x")])
            .expect_err("the same version again");
        documents
            .saved(&uri(), Some("saved".to_owned()))
            .expect("it is taken up again");
        assert_eq!(documents.get(&uri()).expect("open").text, "saved");
    }

    #[test]
    fn an_edit_that_ends_before_it_begins_or_grows_without_end_is_refused() {
        let mut documents = opened("abc");
        let refused = documents.change(&uri(), 2, vec![at((0, 2), (0, 1), "x")]);
        assert_eq!(
            refused,
            Err(Refused::OutOfStep("an edit ends before it begins".to_owned()))
        );
        let mut documents = opened("abc");
        let long = "x".repeat(TEXT_BYTES_MAX);
        let refused = documents
            .change(&uri(), 2, vec![at((0, 0), (0, 0), &long)])
            .expect_err("it is too long");
        assert!(refused.to_string().starts_with("it has 4194307 bytes"), "{refused}");
        assert_eq!(documents.get(&uri()).expect("open").text, "abc");
    }
}
