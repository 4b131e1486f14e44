//! `host explain CODE`: what an error means, and what to do; without a code, a line on each.
//!
//! The pages are docs/errors/, which the binary holds. They need no project, so that what is wrong with a project can
//! be explained, too.

use include_dir::{Dir, include_dir};
use serde_json::json;

use super::error::CliError;
use super::functions::wrapped;
use super::out::{BAD, FAINT, Out, STRONG, excerpt, plain};
use crate::script::error::nearest;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/errors");

#[derive(clap::Args)]
pub struct Args {
    /// The code, as it stands in `error[CODE]`; all of them, with a line each, when not given.
    code: Option<String>,
}

/// The widest line of a paragraph.
const TEXT_WIDTH_MAX: usize = 100;

/// One page.
#[derive(Clone, Debug)]
struct Page {
    code: &'static str,
    text: &'static str,
}

pub fn perform(args: Args, out: &mut Out) -> Result<u8, CliError> {
    match args.code {
        Some(code) => explain(&find(&code)?, out),
        None => list(out),
    }
    Ok(0)
}

/// Every code that has a page, in order.
pub fn codes() -> Vec<&'static str> {
    pages().into_iter().map(|page| page.code).collect()
}

/// The first sentence of the page on `code`.
pub fn in_short(code: &str) -> Option<String> {
    page(code).map(|page| page.in_short())
}

fn pages() -> Vec<Page> {
    let files = PAGES.files().filter_map(|file| {
        let code = file.path().file_stem()?.to_str()?;
        let text = file.contents_utf8()?;
        Some(Page { code, text })
    });
    let mut pages: Vec<Page> = files.collect();
    pages.sort_by_key(|page| page.code);
    pages
}

fn page(code: &str) -> Option<Page> {
    pages().into_iter().find(|page| page.code == code)
}

/// The page on `word`: a code in any letters, or `error[CODE]` as it was printed.
fn find(word: &str) -> Result<Page, CliError> {
    let bare = word
        .trim()
        .trim_start_matches("error")
        .trim_matches(['[', ']', ':', ' ']);
    let code = bare.to_ascii_uppercase().replace('-', "_");
    if let Some(page) = page(&code) {
        return Ok(page);
    }
    let error = CliError::usage("UNKNOWN_CODE", format!("there is no error code {word:?}"));
    let begins = || {
        codes()
            .into_iter()
            .find(|known| code.len() >= 3 && known.contains(&code))
    };
    Err(match nearest(&code, codes().into_iter()).or_else(begins) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`host explain` lists all of them; codes that a playbook throws are its own"),
    })
}

impl Page {
    /// What stands under the heading `title`.
    fn section(&self, title: &str) -> Option<&'static str> {
        let start = self.text.find(&format!("\n## {title}\n"))? + title.len() + 5;
        let rest = &self.text[start..];
        Some(rest[..rest.find("\n## ").unwrap_or(rest.len())].trim())
    }

    fn area(&self) -> &'static str {
        self.section("Area").unwrap_or("Other")
    }

    /// The first sentence of what happened.
    fn in_short(&self) -> String {
        let paragraph = self.text.split("\n\n").nth(1).unwrap_or_default().replace('\n', " ");
        let sentence = paragraph
            .split_once(". ")
            .map_or(paragraph.as_str(), |(first, _)| first);
        sentence.trim_end_matches('.').to_owned()
    }
}

fn explain(page: &Page, out: &mut Out) {
    if out.json {
        out.json(&json!({ "code": page.code, "area": page.area(), "in_short": page.in_short(), "page": page.text }));
        return;
    }
    out.page();
    let head = out.paint(BAD, page.code);
    let area = out.paint(FAINT, page.area());
    out.line(format!("{head}  {area}"));
    let mut in_code = false;
    let body = page.text.split("\n## Area").next().unwrap_or_default();
    let body = body.split_once('\n').map_or("", |(_, body)| body);
    // As it was written, when nobody reads it by eye.
    let lines = match out.width {
        Some(_) => wrapped(body, out.rest_of_line(0).min(TEXT_WIDTH_MAX)),
        None => body.lines().map(str::to_owned).collect(),
    };
    let mut blank = false;
    for line in lines.iter().map(String::as_str) {
        in_code ^= line.starts_with("```");
        if line.starts_with("```") {
            continue;
        }
        if line.is_empty() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            out.line("");
        }
        match line.strip_prefix("## ").filter(|_| !in_code) {
            Some(title) => {
                let title = out.paint(STRONG, title);
                out.line(title);
                blank = false;
            }
            None if in_code => out.line(format!("    {}", plain(line))),
            None => out.line(plain(line)),
        }
    }
}

fn list(out: &mut Out) {
    let pages = pages();
    if out.json {
        let row = |page: &Page| json!({ "code": page.code, "area": page.area(), "in_short": page.in_short() });
        out.json(&pages.iter().map(row).collect::<Vec<_>>());
        return;
    }
    out.page();
    let mut areas: Vec<&str> = pages.iter().map(Page::area).collect();
    areas.sort_unstable();
    areas.dedup();
    let column = pages.iter().map(|page| page.code.len()).max().unwrap_or(0);
    for area in areas {
        let head = out.paint(STRONG, area);
        out.line(head);
        for page in pages.iter().filter(|page| page.area() == area) {
            let sentence = excerpt(&page.in_short(), out.rest_of_line(column + 4));
            let sentence = out.paint(FAINT, &sentence);
            out.line(format!("  {:<column$}  {sentence}", page.code));
        }
        out.line("");
    }
    out.line("host explain CODE   what one means, and what to do");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for word in [
            "HTTP_TIMEOUT",
            "http_timeout",
            "error[HTTP_TIMEOUT]",
            "error[HTTP_TIMEOUT]:",
            "http-timeout",
        ] {
            assert_eq!(find(word).expect(word).code, "HTTP_TIMEOUT");
        }
    }

    #[test]
    fn what_is_no_code_is_told_with_the_nearest() {
        let shown = find("HTTP_TIMEOT").expect_err("no such code").render(false, true);
        assert!(shown.contains("did you mean `HTTP_TIMEOUT`?"), "{shown}");
        let shown = find("timeout").expect_err("no such code").render(false, true);
        assert!(shown.contains("_TIMEOUT`?"), "{shown}");
    }

    #[test]
    fn every_page_has_an_area_and_a_sentence() {
        assert!(pages().len() > 150);
        for page in pages() {
            assert_ne!(page.area(), "Other", "{}", page.code);
            assert!(page.in_short().len() > 10, "{}", page.code);
        }
    }

    #[test]
    fn every_command_that_a_page_or_a_document_names_exists() {
        let mut wrong = Vec::new();
        for page in pages() {
            wrong.extend(super::super::named::unknown(page.code, page.text));
        }
        for (name, text) in [
            ("README.md", include_str!("../../README.md")),
            ("RUNBOOK.md", include_str!("../../RUNBOOK.md")),
            ("docs/schedules.md", include_str!("../../docs/schedules.md")),
            ("docs/queues.md", include_str!("../../docs/queues.md")),
            ("docs/testing.md", include_str!("../../docs/testing.md")),
            ("docs/deploy.md", include_str!("../../docs/deploy.md")),
            ("docs/backup.md", include_str!("../../docs/backup.md")),
            ("docs/identity.md", include_str!("../../docs/identity.md")),
            ("docs/telemetry.md", include_str!("../../docs/telemetry.md")),
            (
                "host.service",
                include_str!("../../examples/deploy/systemd/host.service"),
            ),
            (
                "alert-rules.yml",
                include_str!("../../examples/telemetry/alert-rules.yml"),
            ),
        ] {
            wrong.extend(super::super::named::unknown(name, text));
            wrong.extend(super::super::named::unknown_lines(name, text));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
