//! Secrets that are written out. What is found is never repeated in what is said about it.

use super::sheet::Sheet;
use super::view::View;
use crate::script::syntax::tree::TemplatePart;
use crate::script::syntax::{Expr, ExprKind, Node, Span, StmtKind};
use crate::script::triggers::webhook::is_variable;

/// How the keys of well-known services begin, and how many characters follow at least.
const SHAPES: [(&str, usize, &str); 18] = [
    ("sk-", 20, "a key of OpenAI"),
    ("sk_live_", 16, "a key of Stripe"),
    ("rk_live_", 16, "a key of Stripe"),
    ("xoxb-", 10, "a token of Slack"),
    ("xoxp-", 10, "a token of Slack"),
    ("xapp-", 10, "a token of Slack"),
    (
        "https://hooks.slack.com/services/",
        10,
        "an address of Slack that anybody may post to",
    ),
    ("ghp_", 30, "a token of GitHub"),
    ("github_pat_", 20, "a token of GitHub"),
    ("glpat-", 16, "a token of GitLab"),
    ("AKIA", 16, "a key of AWS"),
    ("AIza", 30, "a key of Google"),
    ("ya29.", 20, "a token of Google"),
    ("SG.", 30, "a key of SendGrid"),
    ("EAA", 60, "a token of Meta"),
    ("act.", 40, "a token of TikTok"),
    ("eyJhbGciOi", 40, "a signed token"),
    ("-----BEGIN ", 10, "a private key"),
];

/// Words beside which a text is a secret.
const WORDS: [&str; 11] = [
    "password",
    "passwd",
    "secret",
    "api_key",
    "apikey",
    "access_token",
    "auth_token",
    "bearer",
    "authorization",
    "private_key",
    "client_secret",
];

/// Words that say that it is none.
const NOT_MEANT: [&str; 8] = ["example", "your", "xxx", "dummy", "changeme", "placeholder", "…", "..."];

pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    view.tree.walk(&mut |node| {
        match node {
            Node::Stmt(stmt) => {
                if let StmtKind::Let {
                    name,
                    value: Some(value),
                    ..
                } = &stmt.kind
                {
                    beside(&name.text, value, sheet);
                }
            }
            Node::Expr(expr) => match &expr.kind {
                ExprKind::Str(Some(text)) => shaped(text, expr.span, sheet),
                ExprKind::Template(parts) => {
                    for part in parts {
                        if let TemplatePart::Text(text) = part {
                            shaped(text, expr.span, sheet);
                        }
                    }
                }
                ExprKind::Map(entries) => {
                    for entry in entries {
                        beside(&entry.key.text, &entry.value, sheet);
                    }
                }
                ExprKind::Assign { target, value, .. } => match &target.kind {
                    ExprKind::Name(name) => beside(name, value, sheet),
                    ExprKind::Field { name, .. } => beside(&name.text, value, sheet),
                    ExprKind::Index { index, .. } => {
                        if let Some(name) = index.as_str() {
                            beside(name, value, sheet);
                        }
                    }
                    _ => {}
                },
                _ => {}
            },
            Node::Block(_) => {}
        }
        true
    });
}

fn shaped(text: &str, span: Span, sheet: &mut Sheet<'_>) {
    if let Some(what) = shape(text) {
        tell(span, &format!("this looks like {what}"), sheet);
    }
}

/// What a text is by its shape.
fn shape(text: &str) -> Option<&'static str> {
    let shape = SHAPES.iter().find(|(begin, least, _)| {
        text.match_indices(begin).any(|(at, _)| {
            let is_start = at == 0 || !text[..at].ends_with(|letter: char| letter.is_alphanumeric());
            let rest = &text[at + begin.len()..];
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_./+=".contains(letter);
            let is_key = begin.starts_with("-----");
            let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            let is_mixed =
                rest[..length].contains(|letter: char| letter.is_ascii_digit() || letter.is_ascii_uppercase());
            is_start
                && (if is_key {
                    rest.contains("PRIVATE KEY-----")
                } else {
                    length >= *least && is_mixed
                })
        })
    });
    shape.filter(|_| !is_not_meant(text)).map(|(_, _, what)| *what)
}

fn beside(name: &str, value: &Expr, sheet: &mut Sheet<'_>) {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    // The name of a variable is where a secret belongs.
    let is_name = |text: &str| is_variable(text) && text.contains('_');
    let Some(text) = value.as_str().filter(|text| shape(text).is_none() && !is_name(text)) else {
        return;
    };
    let ends = |word: &str| lower == word || lower.ends_with(&format!("_{word}"));
    let is_named = WORDS.iter().any(|word| ends(word)) || ends("token") || ends("key");
    let is_weak = ends("token") || ends("key");
    let bare = text.trim_start_matches("Bearer ").trim_start_matches("Basic ");
    let is_word = bare.is_empty() || bare.contains(char::is_whitespace) || is_not_meant(text);
    let is_strong_enough = match is_weak {
        // `key: "last_video"` is the name of something.
        true => bare.len() >= 16 && entropy(bare) >= 3.5 && bare.contains(|letter: char| letter.is_ascii_digit()),
        false => bare.len() >= 6,
    };
    if is_named && !is_word && is_strong_enough {
        tell(value.span, &format!("`{name}` is written out here"), sheet);
    }
}

fn tell(span: Span, message: &str, sheet: &mut Sheet<'_>) {
    if sheet.is_said_within(span) {
        return;
    }
    sheet
        .say(
            "LITERAL_SECRET",
            span,
            format!("{message}: whoever reads the playbook or its journal has it"),
        )
        .help(
            "put it into .env, and name it in host.toml: `[providers.NAME.auth] secret = \"…\"`; playbooks never see \
             it. If it was ever shared, have it replaced",
        );
}

fn is_not_meant(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    NOT_MEANT.iter().any(|word| lower.contains(word)) || lower.starts_with('<') || lower.starts_with('{')
}

/// Bits of chance in each character.
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    for letter in text.chars() {
        *counts.entry(letter).or_insert(0u32) += 1;
    }
    let length = f64::from(text.chars().count() as u32);
    counts
        .values()
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * libm::log2(share)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let mut sheet = Sheet::new("a.rhai", text);
        shaped(text, Span::new(0, text.len()), &mut sheet);
        sheet.findings.len()
    }

    #[test]
    fn keys_of_services_are_known_by_their_shape_and_examples_are_not() {
        for secret in [
            concat!("sk-", "proj-4f9a8b7c6d5e4f3a2b1c0d"),
            concat!("Bearer ", "xoxb-", "1234567890-abcdef"),
            concat!("-----BEGIN RSA ", "PRIVATE KEY-----"),
        ] {
            assert_eq!(found(secret), 1, "{secret}");
        }
        for harmless in [
            "sk-your-key-goes-here-please1",
            "task-force-of-twenty-people-1",
            "sk-short1",
            "-----BEGIN",
        ] {
            assert_eq!(found(harmless), 0, "{harmless}");
        }
    }

    #[test]
    fn a_long_text_of_chance_has_more_of_it_than_words() {
        assert!(entropy("9f86d081884c7d659a2feaa0c55ad015") > 3.5);
        assert!(entropy("aaaaaaaaaaaaaaaaaaaa1") < 1.0);
    }
}
