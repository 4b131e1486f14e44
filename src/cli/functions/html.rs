//! The reference as one page for browsers: nothing loaded from elsewhere, a box to search it, readable by day and night.
//!
//! Texts of providers that host.toml declares are on it, too: markup in them is shown and not obeyed, and links lead to
//! web pages only.

use std::path::Path;

use minijinja::{AutoEscape, Environment, Value as Shown, context};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};
use serde_json::json;

use super::namespace_of;
use crate::app::App;
use crate::cli::error::{CliError, OTHER};
use crate::cli::explain;
use crate::cli::out::{Out, bytes_for_people, plain};
use crate::io::pages;
use crate::script::reference::Function;

const TEMPLATE: &str = include_str!("reference.html");

/// The page's name in a folder.
const INDEX: &str = "index.html";

/// Writes the page to `path`, a file whose name ends with `.html`, or else into that folder.
pub fn write(path: &Path, all: &[Function], app: &App, out: &mut Out) -> Result<u8, CliError> {
    let is_file = path
        .extension()
        .is_some_and(|ending| ending == "html" || ending == "htm");
    let path = if is_file { path.to_owned() } else { path.join(INDEX) };
    let page = page(all, app);
    pages::write(&path, page.as_bytes()).map_err(|error| {
        let message = format!("{} cannot be written: {error}", path.display());
        CliError::new("REPORT_UNWRITABLE", message, OTHER)
    })?;
    let shown = plain(&path.display().to_string());
    if out.json {
        out.json(&json!({ "file": path.display().to_string(), "functions": all.len(), "bytes": page.len() }));
    } else {
        let size = bytes_for_people(page.len() as u64);
        out.line(format!("{} functions in {shown}, {size}", all.len()));
    }
    Ok(0)
}

fn page(all: &[Function], app: &App) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let template = environment
        .template_from_str(TEMPLATE)
        .expect("the page's template is our own");
    let mut namespaces = Vec::new();
    for (name, _) in app.library.language.namespaces() {
        let own: Vec<&Function> = all.iter().filter(|function| namespace_of(function) == name).collect();
        if !own.is_empty() {
            namespaces.push(context! { name, functions => cards(&own) });
        }
    }
    let errors: Vec<Shown> = explain::codes()
        .into_iter()
        .map(|code| context! { code, in_short => html(&explain::in_short(code).unwrap_or_default()) })
        .collect();
    let shown = template.render(context! {
        version => env!("CARGO_PKG_VERSION"),
        count => all.len(),
        namespaces,
        errors,
    });
    shown.expect("the template names only what it is given")
}

/// One card for all functions of a name.
fn cards(own: &[&Function]) -> Vec<Shown> {
    let mut names: Vec<&str> = own.iter().map(|function| function.name.as_str()).collect();
    names.dedup();
    let card = |name: &str| {
        let forms: Vec<Shown> = own
            .iter()
            .filter(|function| function.name == name)
            .map(|function| {
                context! {
                    signature => &function.signature,
                    doc => Shown::from_safe_string(markdown(&function.doc)),
                }
            })
            .collect();
        context! {
            name,
            bare => name.rsplit("::").next(),
            anchor => name.replace("::", "."),
            forms,
        }
    };
    names.into_iter().map(card).collect()
}

/// One sentence with its code marked as such.
fn html(sentence: &str) -> Shown {
    let whole = markdown(sentence);
    let inner = whole.trim().trim_start_matches("<p>").trim_end_matches("</p>");
    // A link within a link would end the outer one.
    Shown::from_safe_string(unlinked(inner))
}

fn unlinked(html: &str) -> String {
    let mut left = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("<a ").into_iter().chain(rest.find("</a>")).min() {
        left.push_str(&rest[..at]);
        rest = rest[at..].split_once('>').map_or("", |(_, rest)| rest);
    }
    left + rest
}

/// A doc comment as HTML. Error codes lead to what they mean.
fn markdown(doc: &str) -> String {
    let mut dropped = Vec::new();
    let codes = explain::codes();
    let events = Parser::new_ext(doc, Options::empty()).map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Event::Text(markup),
        Event::Code(code) if codes.contains(&code.as_ref()) => Event::InlineHtml(CowStr::from(format!(
            "<a href=\"#error.{code}\"><code>{code}</code></a>"
        ))),
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            let is_page = ["https://", "http://", "#"]
                .iter()
                .any(|start| dest_url.starts_with(start));
            dropped.push(!is_page);
            if is_page { event } else { Event::Text("".into()) }
        }
        Event::End(TagEnd::Link) if dropped.pop() == Some(true) => Event::Text("".into()),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => Event::Text("".into()),
        other => other,
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_from_outside_is_shown_and_not_obeyed() {
        let html = markdown("a <script>alert(1)</script> [b](javascript:alert(1)) ![c](http://x/y.png) <b>d</b>");
        assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");
        assert!(!html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        let link = markdown("[b](https://example.com/)");
        assert!(link.contains("<a href=\"https://example.com/\">b</a>"), "{link}");
    }

    #[test]
    fn error_codes_lead_to_what_they_mean() {
        assert!(markdown("Errors: `HTTP_TIMEOUT`.").contains("href=\"#error.HTTP_TIMEOUT\""));
        assert!(!markdown("`NO_CODE_OF_OURS`").contains("href"));
        assert_eq!(unlinked("a <a href=\"#x\"><code>b</code></a> c"), "a <code>b</code> c");
    }
}
