//! `host functions`: the playbook reference, out of the functions' own doc comments.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`html`] | the whole of it as one page for browsers |

mod html;

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

use super::error::CliError;
use super::out::{FAINT, Out, STRONG, excerpt, plain};
use crate::app::App;
use crate::script::error::nearest;
use crate::script::reference::{Function, functions};

/// Longer signatures push their sentence aside instead of everybody's.
const SIGNATURE_COLUMNS: usize = 34;

#[derive(clap::Args)]
pub struct Args {
    /// A function, `kv::get` or only `get`, a namespace, `kv`, or words to search for; a line on each when not given.
    words: Vec<String>,
    /// Write the whole reference as one HTML page: to this file, or as index.html into this folder.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "words")]
    html: Option<PathBuf>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let all = functions(&app.library.language);
    if let Some(path) = args.html {
        return html::write(&path, &all, app, out);
    }
    let words: Vec<&str> = args.words.iter().flat_map(|words| words.split_whitespace()).collect();
    if words.is_empty() {
        out.page();
        list(&all.iter().collect::<Vec<_>>(), app, out);
        if !out.json {
            out.line("host functions NAME   the whole of one, with examples");
        }
        return Ok(0);
    }
    let found = match words.as_slice() {
        [name] => find(&all, name),
        _ => Vec::new(),
    };
    if found.is_empty() {
        return search(&all, &words, app, out);
    }
    if out.json {
        out.json(&found);
        return Ok(0);
    }
    out.page();
    let mut first = true;
    for function in found {
        if !first {
            out.line("");
        }
        first = false;
        explain(function, out);
    }
    Ok(0)
}

/// The functions whose names or texts hold all `words`.
fn search(all: &[Function], words: &[&str], app: &App, out: &mut Out) -> Result<u8, CliError> {
    // A name with its namespace is meant, and misspelt.
    let is_name = words.iter().any(|word| word.contains("::"));
    let holds = |function: &Function| {
        let text = format!("{} {}", function.signature, function.doc).to_lowercase();
        words.iter().all(|word| text.contains(&word.to_lowercase()))
    };
    let found: Vec<&Function> = all.iter().filter(|function| !is_name && holds(function)).collect();
    if found.is_empty() {
        return Err(unknown(all, &words.join(" ")));
    }
    out.page();
    list(&found, app, out);
    if !out.json {
        let count = match found.len() {
            1 => "1 function speaks".to_owned(),
            several => format!("{several} functions speak"),
        };
        out.line(format!("{count} of {}", plain(&words.join(" "))));
    }
    Ok(0)
}

/// A function by its whole name, all of a namespace, or those of that name in any namespace.
fn find<'f>(all: &'f [Function], name: &str) -> Vec<&'f Function> {
    let name = name.trim_end_matches("()");
    let namespace = name.trim_end_matches("::");
    let picks: [&dyn Fn(&Function) -> bool; 3] = [
        &|function| function.name == name,
        &|function| namespace_of(function) == namespace,
        &|function| function.name.rsplit("::").next() == Some(name),
    ];
    let picked = picks
        .into_iter()
        .map(|pick| all.iter().filter(|function| pick(function)).collect::<Vec<_>>());
    picked.into_iter().find(|picked| !picked.is_empty()).unwrap_or_default()
}

fn unknown(all: &[Function], name: &str) -> CliError {
    let short = |function: &'_ Function| function.name.rsplit("::").next().unwrap_or_default().to_owned();
    let shorts: Vec<String> = all.iter().map(short).collect();
    let names = all.iter().map(|function| function.name.as_str());
    let namespaces = all.iter().map(namespace_of);
    let near = nearest(name, names.chain(namespaces).chain(shorts.iter().map(String::as_str)));
    let error = CliError::usage(
        "UNKNOWN_FUNCTION",
        format!("there is no function or namespace {name:?}, and no text that speaks of it"),
    );
    match near {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`host functions` lists all of them"),
    }
}

fn list(all: &[&Function], app: &App, out: &mut Out) {
    if out.json {
        out.json(&all);
        return;
    }
    // In the order in which the namespaces are declared, which puts the most used first.
    for (namespace, _) in app.library.language.namespaces() {
        let own: Vec<&&Function> = all
            .iter()
            .filter(|function| namespace_of(function) == namespace)
            .collect();
        if own.is_empty() {
            continue;
        }
        let head = out.paint(STRONG, &format!("{namespace}::"));
        out.line(head);
        let signatures: Vec<String> = own.iter().map(|function| short_signature(function)).collect();
        let fitting = signatures
            .iter()
            .map(String::len)
            .filter(|length| *length <= SIGNATURE_COLUMNS);
        let column = fitting.max().unwrap_or(0);
        for (function, signature) in own.into_iter().zip(signatures) {
            let width = out.rest_of_line(column.max(signature.len()) + 4);
            let sentence = excerpt(&first_sentence(&function.doc), width);
            let sentence = out.paint(FAINT, &sentence);
            out.line(format!("  {signature:<column$}  {sentence}").trim_end());
        }
        out.line("");
    }
}

/// The signature without its types: `get(collection, id)`.
fn short_signature(function: &Function) -> String {
    let call = function
        .signature
        .split_once("::")
        .map_or(function.signature.as_str(), |(_, call)| call);
    let Some((name, parameters)) = call.split_once('(') else {
        return plain(call);
    };
    let names = parameters
        .trim_end_matches(')')
        .split(", ")
        .map(|parameter| parameter.split(':').next().unwrap_or_default());
    format!("{name}({})", names.collect::<Vec<_>>().join(", "))
}

fn explain(function: &Function, out: &mut Out) {
    let signature = out.paint(STRONG, &plain(&function.signature));
    out.line(signature);
    out.line("");
    // As it was written, when nobody reads it by eye.
    let lines = match out.width {
        Some(_) => wrapped(&function.doc, out.rest_of_line(4)),
        None => function.doc.lines().map(str::to_owned).collect(),
    };
    for line in lines {
        let line = plain(&line);
        out.line(if line.is_empty() { line } else { format!("    {line}") });
    }
}

/// A doc comment with its paragraphs broken anew for `width` columns; code stays as it is.
pub fn wrapped(doc: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut in_code = false;
    // Where the words of the paragraph begin; `None` when the next line begins a new one.
    let mut indent: Option<usize> = None;
    for line in doc.lines() {
        let text = line.trim_start();
        let is_fence = text.starts_with("```");
        if in_code || is_fence || text.is_empty() {
            in_code ^= is_fence;
            indent = None;
            lines.push(line.to_owned());
            continue;
        }
        let bullet = if text.starts_with("- ") { 2 } else { 0 };
        if bullet > 0 || indent.is_none() {
            lines.push(" ".repeat(line.len() - text.len()));
            indent = Some(line.len() - text.len() + bullet);
        }
        let indent = " ".repeat(indent.unwrap_or(0));
        for word in text.split(' ') {
            let last = lines.last_mut().expect("the paragraph's first line");
            if last.trim().is_empty() {
                last.push_str(word);
            } else if last.width() + 1 + word.width() <= width {
                last.push(' ');
                last.push_str(word);
            } else {
                lines.push(format!("{indent}{word}"));
            }
        }
    }
    lines
}

fn namespace_of(function: &Function) -> &str {
    function.name.rsplit_once("::").map_or("", |(namespace, _)| namespace)
}

/// The first sentence of a doc comment, on one line.
fn first_sentence(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => sentence.to_owned(),
        None => paragraph.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_anew_and_code_is_not() {
        let doc = "one two three\nfour\n\n- `a`: five six\n  seven\n- eight\n\n```rhai\nlet long = 1 + 2 + 3;\n```";
        assert_eq!(
            wrapped(doc, 12),
            [
                "one two",
                "three four",
                "",
                "- `a`: five",
                "  six seven",
                "- eight",
                "",
                "```rhai",
                "let long = 1 + 2 + 3;",
                "```"
            ]
        );
        assert_eq!(wrapped(doc, usize::MAX)[0], "one two three four");
    }

    #[test]
    fn the_first_sentence_stands_for_the_whole() {
        assert_eq!(
            first_sentence("Returns the value, or\n`()`. Never fails.\n\nMore."),
            "Returns the value, or `()`"
        );
        assert_eq!(first_sentence("One sentence."), "One sentence");
    }
}
