//! Where the checks of one text write down what they find.

use crate::script::findings::{Edit, Finding, Fix, Level, Region, Related};
use crate::script::syntax::{Lines, Span};

/// Findings of one text that are kept until comments and settings have had their say.
const FINDINGS_MAX: usize = 1000;

/// What is found in one text.
pub struct Sheet<'t> {
    pub file: &'t str,
    pub text: &'t str,
    pub lines: Lines,
    pub findings: Vec<Finding>,
    errors: usize,
    left_out: usize,
    /// Where what is too much is written, and not read.
    spilled: Finding,
}

impl<'t> Sheet<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Sheet<'t> {
        Sheet {
            file,
            text,
            lines: Lines::of(text),
            findings: Vec::new(),
            errors: 0,
            left_out: 0,
            spilled: Finding::new("", "", ""),
        }
    }

    pub fn region(&self, span: Span) -> Region {
        Region::of(self.text, &self.lines, span)
    }

    /// Writes down that `message` is to be said about `span`.
    pub fn say(&mut self, code: &str, span: Span, message: impl Into<String>) -> Said<'_> {
        let finding = Finding::new(code, self.file, message).at(self.region(span));
        self.add(finding)
    }

    /// When there are too many, the first are kept, and of errors at least the last: one must never go unseen.
    pub fn add(&mut self, finding: Finding) -> Said<'_> {
        let is_error = finding.level == Level::Error;
        let is_full = self.is_full();
        self.left_out += usize::from(is_full);
        let finding = if !is_full {
            self.errors += usize::from(is_error);
            self.findings.push(finding);
            self.findings.last_mut()
        } else if is_error && self.errors == 0 {
            self.errors = 1;
            self.findings.pop();
            self.findings.push(finding);
            self.findings.last_mut()
        } else {
            self.spilled = finding;
            None
        };
        Said {
            file: self.file,
            finding: finding.unwrap_or(&mut self.spilled),
        }
    }

    /// Whether nothing more is taken in but a first error.
    pub fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    /// Whether nothing more is taken in at all, so that looking on is in vain.
    pub fn is_closed(&self) -> bool {
        self.is_full() && self.errors > 0
    }

    /// Whether something is said about a place within `span`.
    pub fn is_said_within(&self, span: Span) -> bool {
        let mut regions = self.findings.iter().filter_map(|finding| finding.region);
        regions.any(|region| span.contains(region.span()))
    }

    /// How many findings were too many.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

/// What was just written down, to add to it.
pub struct Said<'s> {
    file: &'s str,
    pub finding: &'s mut Finding,
}

impl Said<'_> {
    pub fn help(self, help: impl Into<String>) -> Self {
        self.finding.help = Some(help.into());
        self
    }

    pub fn help_if(self, help: Option<String>) -> Self {
        if help.is_some() {
            self.finding.help = help;
        }
        self
    }

    pub fn related(self, region: Region, message: impl Into<String>) -> Self {
        self.finding.related.push(Related {
            file: self.file.to_owned(),
            region,
            message: message.into(),
        });
        self
    }

    /// A fix that certainly says what was meant.
    pub fn fix(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        self.fixes(title, vec![(span, text.into())], true)
    }

    /// A fix for a person to choose.
    pub fn proposal(self, title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        self.fixes(title, vec![(span, text.into())], false)
    }

    pub fn fixes(self, title: impl Into<String>, edits: Vec<(Span, String)>, is_safe: bool) -> Self {
        let edits = edits.into_iter().map(|(span, text)| Edit {
            file: self.file.to_owned(),
            span,
            text,
        });
        let edits = edits.collect();
        self.finding.fixes.push(Fix {
            title: title.into(),
            edits,
            is_safe,
        });
        self
    }
}

/// A list as people say it: `a, b and c`.
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
