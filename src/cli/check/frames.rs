//! Findings as a person meets them: with the lines they are about.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level as Title, Origin, Renderer, Snippet};

use super::super::out::{Out, plain};
use super::survey::Survey;
use crate::script::findings::{Finding, Level};

/// Lines longer than this are shown without their text.
const LINE_BYTES_MAX: usize = 4000;

/// The finding as text.
pub fn render(finding: &Finding, survey: &Survey, out: &Out) -> String {
    let level = match finding.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Hint | Level::Off => Title::HELP.with_name("hint"),
    };
    let (code, message, file) = (plain(&finding.code), plain(&finding.message), plain(&finding.file));
    let source = survey
        .texts
        .get(&finding.file)
        .map(|text| shown(text, &finding.file, survey));
    let title = level.primary_title(&message).id(&code);
    let related: Vec<(String, std::ops::Range<usize>)> = finding
        .related
        .iter()
        .filter(|related| related.file == finding.file)
        .map(|related| (plain(&related.message), range(related.region.start, related.region.end)))
        .collect();
    let notes: Vec<String> = finding
        .related
        .iter()
        .filter(|related| related.file != finding.file)
        .map(|related| {
            let place = format!("{}:{}:{}", related.file, related.region.line, related.region.column);
            plain(&format!("{}: {place}", related.message))
        })
        .collect();
    let help = match (&finding.help, finding.fixes.first()) {
        (Some(help), _) => Some(plain(help)),
        // The message says it already.
        (None, Some(fix)) if !finding.message.contains("did you mean") => Some(plain(&fix.title)),
        _ => None,
    };
    let mut group = match (finding.region, &source) {
        (Some(region), Some(source)) if fits(source, region.start as usize) => {
            let mut snippet = Snippet::source(source)
                .path(&file)
                .annotation(AnnotationKind::Primary.span(range(region.start, region.end)));
            for (message, span) in &related {
                let is_apart = span.end <= region.start as usize || span.start >= region.end as usize;
                if is_apart && fits(source, span.start) {
                    snippet = snippet.annotation(AnnotationKind::Context.span(span.clone()).label(message));
                }
            }
            title.element(snippet)
        }
        (region, _) => {
            let origin = Origin::path(&file);
            title.element(match region {
                Some(region) => origin.line(region.line as usize).char_column(region.column as usize),
                None => origin,
            })
        }
    };
    for note in &notes {
        group = group.element(Title::NOTE.message(note));
    }
    if let Some(help) = &help {
        group = group.element(Title::HELP.message(help));
    }
    let renderer = match out.has_color() {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let decor = match out.unicode {
        true => DecorStyle::Unicode,
        false => DecorStyle::Ascii,
    };
    renderer.decor_style(decor).render(&[group])
}

fn range(start: u32, end: u32) -> std::ops::Range<usize> {
    start as usize..end as usize
}

/// Whether the line at `start` is one that people can read.
fn fits(source: &str, start: usize) -> bool {
    let Some((before, after)) = source.split_at_checked(start) else {
        return false;
    };
    let begin = before.rfind('\n').map_or(before.len(), |at| before.len() - at);
    begin + after.find('\n').unwrap_or(after.len()) <= LINE_BYTES_MAX
}

/// The text as it may be shown: nothing in it drives a terminal, and no secret that was found stands in it. Every
/// character keeps its bytes, so that places stay true.
fn shown(text: &str, file: &str, survey: &Survey) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match (letter, letter.len_utf8()) {
            ('\n' | '\t', _) => shown.push(letter),
            ('\r', _) => shown.push(' '),
            _ if plain(letter.encode_utf8(&mut [0; 4])).chars().eq([letter]) => shown.push(letter),
            (_, 1) => shown.push('?'),
            (_, 2) => shown.push('·'),
            (_, 3) => shown.push('\u{fffd}'),
            _ => shown.push_str("\u{fffd}?"),
        }
    }
    let secrets = survey.of_file(file).filter(|finding| finding.code == "LITERAL_SECRET");
    for region in secrets.filter_map(|finding| finding.region) {
        let span = range(region.start, region.end);
        if let Some(secret) = shown.get(span.clone()) {
            let masked: String = secret
                .chars()
                .map(|letter| {
                    if letter == '\n' {
                        "\n".to_owned()
                    } else {
                        "*".repeat(letter.len_utf8())
                    }
                })
                .collect();
            shown.replace_range(span, &masked);
        }
    }
    shown
}
