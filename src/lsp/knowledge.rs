//! What a project has to offer to scripts: its functions with their documentation, providers, words of the language.
//!
//! Made of the same registry that runs scripts, so that nothing is offered that is not there.

use std::collections::{BTreeMap, BTreeSet};

use include_dir::{Dir, include_dir};

use crate::app::App;
use crate::script::Language;
use crate::script::reference::{Function, functions, methods};

/// The pages of the error codes.
static ERRORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/errors");

pub struct Knowledge {
    /// Those of namespaces, sorted by name.
    pub functions: Vec<Function>,
    /// Those of the language itself: `len`, `filter`.
    pub methods: Vec<Function>,
    pub namespaces: Vec<String>,
    pub providers: Vec<String>,
    /// The functions that write, with the provider each writes to.
    pub writers: BTreeMap<String, String>,
}

impl Knowledge {
    /// What scripts of `language` have in the project of `app`.
    pub fn of(app: &App, language: &Language) -> Knowledge {
        Knowledge {
            functions: functions(language),
            methods: methods(language),
            namespaces: language.namespaces().iter().map(|(name, _)| name.clone()).collect(),
            providers: app.providers.iter().map(|spec| spec.name.clone()).collect(),
            writers: app.writers.clone(),
        }
    }

    /// The functions called `name`, with its namespace; fewer parameters first.
    pub fn named(&self, name: &str) -> Vec<&Function> {
        let mut found: Vec<&Function> = self.functions.iter().filter(|function| function.name == name).collect();
        found.sort_by_key(|function| function.parameters);
        found
    }

    /// The language's own functions of that name, each form once.
    pub fn methods_named(&self, name: &str) -> Vec<&Function> {
        let mut seen = BTreeSet::new();
        let found = self.methods.iter().filter(|function| function.name == name);
        found.filter(|function| seen.insert(&function.signature)).collect()
    }

    pub fn is_namespace(&self, name: &str) -> bool {
        self.namespaces.iter().any(|known| known == name)
    }
}

/// Every error code that has a page, sorted.
pub fn error_codes() -> Vec<&'static str> {
    let stems = ERRORS.files().filter_map(|file| file.path().file_stem()?.to_str());
    let mut codes: Vec<&str> = stems.collect();
    codes.sort_unstable();
    codes
}

/// The page of an error code.
pub fn error_page(code: &str) -> Option<&'static str> {
    ERRORS.get_file(format!("{code}.md"))?.contents_utf8()
}

/// The parameters of a signature: `(key: string, by: int)` has two.
pub fn parameters(signature: &str) -> Vec<&str> {
    let Some((_, inner)) = signature.split_once('(') else {
        return Vec::new();
    };
    let inner = inner.rsplit_once(')').map_or(inner, |(inner, _)| inner);
    inner.split(", ").filter(|parameter| !parameter.is_empty()).collect()
}

/// The name of a parameter, without its type.
pub fn parameter_name(parameter: &str) -> &str {
    parameter.split(':').next().unwrap_or(parameter).trim()
}

/// The names of the fields that a function's documentation lists for the parameter `parameter`, with what it says of each.
pub fn documented_fields(doc: &str, parameter: &str) -> Vec<(String, String)> {
    let about = about_parameter(doc, parameter);
    let options = doc
        .lines()
        .filter(|line| parameter == "options" && line.starts_with("Options: "));
    let listed = listed_fields(doc, parameter);
    if !listed.is_empty() {
        return listed;
    }
    let text = about
        .into_iter()
        .chain(options.map(str::to_owned))
        .collect::<Vec<_>>()
        .join(" ");
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    let parts: Vec<&str> = text.split('`').collect();
    for (at, word) in parts.iter().enumerate().skip(1).step_by(2) {
        let is_name = word.starts_with(|letter: char| letter.is_ascii_lowercase())
            && word
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        let is_value = matches!(*word, "true" | "false");
        if is_name && !is_value && *word != parameter && seen.insert(*word) {
            let after = parts.get(at + 1).copied().unwrap_or_default();
            let after = after
                .trim_start_matches([',', ' ', ':', '('])
                .split([';', '`'])
                .next()
                .unwrap_or_default();
            fields.push(((*word).to_owned(), after.trim().trim_end_matches(['(', ',']).to_owned()));
        }
    }
    fields
}

/// The fields that have lines of their own below the parameter: "  - `limit`: how many".
fn listed_fields(doc: &str, parameter: &str) -> Vec<(String, String)> {
    let begins = format!("- `{parameter}`");
    let below = doc.lines().skip_while(|line| !line.starts_with(&begins)).skip(1);
    let mut fields = Vec::new();
    for line in below.take_while(|line| line.starts_with("  ")) {
        let Some((names, about)) = line
            .trim_start()
            .strip_prefix("- ")
            .and_then(|item| item.split_once(':'))
        else {
            continue;
        };
        for name in names.split('`').skip(1).step_by(2) {
            fields.push((name.to_owned(), about.trim().to_owned()));
        }
    }
    fields
}

/// The list item of a doc comment that is about `parameter`.
fn about_parameter(doc: &str, parameter: &str) -> Option<String> {
    let begins = format!("- `{parameter}`:");
    let mut lines = doc.lines().skip_while(|line| !line.starts_with(&begins));
    let first = lines.next()?.strip_prefix(&begins)?;
    let rest = lines.take_while(|line| line.starts_with(' ') && !line.trim().is_empty());
    Some(std::iter::once(first).chain(rest).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_option_map_are_those_that_the_documentation_lists() {
        let doc = "Lists.\n\n- `prefix`: the beginning; `\"\"` fits.\n- `options`: `limit`, how many at most, from 1 to 10; `where`,\n  a filter.\n\nErrors: `UNKNOWN_OPTION`.";
        let fields = documented_fields(doc, "options");
        assert_eq!(
            fields,
            [
                ("limit".to_owned(), "how many at most, from 1 to 10".to_owned()),
                ("where".to_owned(), "a filter.".to_owned())
            ]
        );
        assert!(documented_fields(doc, "other").is_empty());
        let doc = "Cuts.\n\n- `options`, each of which may be left out:\n  - `from`: seconds.\n    More of `it`.\n  - `crf`, `name`: as in `cut`.\n";
        let names: Vec<String> = documented_fields(doc, "options")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["from", "crf", "name"]);
    }

    #[test]
    fn every_error_code_has_a_page_at_hand() {
        let codes = error_codes();
        assert!(codes.contains(&"HTTP_TIMEOUT") && codes.len() > 50);
        assert!(error_page("HTTP_TIMEOUT").is_some_and(|page| page.starts_with("# HTTP_TIMEOUT")));
        assert_eq!(error_page("../../Cargo"), None);
    }
}
