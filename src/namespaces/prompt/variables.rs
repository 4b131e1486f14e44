//! Which variables a prompt speaks of, and which of them it cannot do without. Read off the text; nothing is rendered.
//!
//! A variable is needed when it stands outside every `if`, `for` and macro, and nothing in the prompt says what to do
//! without it (`default`, `is defined`). What a prompt includes counts with it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Environment;

use super::bare;
use crate::script::check::Prompt;

/// How deep prompts may include each other here; deeper ones are refused when they are rendered.
const DEPTH_MAX: usize = 16;

/// The variables of every prompt. `texts` are their texts by name, with their front matter.
pub fn all(texts: &BTreeMap<String, String>) -> BTreeMap<String, Prompt> {
    let of = |(name, text): (&String, &String)| {
        let prompt = Prompt {
            file: format!("prompts/{name}.md"),
            ..of_text(text, texts, 0)
        };
        (name.clone(), prompt)
    };
    texts.iter().map(of).collect()
}

fn of_text(text: &str, texts: &BTreeMap<String, String>, depth: usize) -> Prompt {
    let mut prompt = Prompt::default();
    let template = without_front_matter(text);
    let environment = Environment::new();
    // One that is broken has a finding of its own.
    let Ok(compiled) = environment.template_from_str(template) else {
        prompt.is_open = true;
        return prompt;
    };
    // What the language itself offers is no variable.
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let variables = compiled.undeclared_variables(false).into_iter();
    let mut names: Vec<String> = variables
        .filter(|name| !globals.contains(name.as_str()) && name != "loop")
        .collect();
    names.sort();
    let tags = tags(template);
    for name in names {
        if is_needed(&name, &tags) {
            prompt.required.insert(name.clone());
        }
        prompt.variables.insert(name);
    }
    for tag in &tags {
        include(tag, texts, depth, &mut prompt);
    }
    prompt
}

fn include(tag: &Tag<'_>, texts: &BTreeMap<String, String>, depth: usize, prompt: &mut Prompt) {
    let mut words = tag.body.split_whitespace();
    let Some(verb @ ("include" | "extends")) = words.next() else {
        return;
    };
    let named = words.next().unwrap_or_default();
    let literal = named
        .strip_prefix(['"', '\''])
        .and_then(|rest| rest.strip_suffix(['"', '\'']))
        .and_then(|name| texts.get(bare(name)));
    let Some(text) = literal.filter(|_| depth < DEPTH_MAX) else {
        prompt.is_open = true;
        return;
    };
    let included = of_text(text, texts, depth + 1);
    prompt.is_open |= included.is_open;
    // Blocks of what is extended may be replaced.
    if tag.is_always && verb == "include" {
        prompt.required.extend(included.required);
    }
    prompt.variables.extend(included.variables);
}

fn without_front_matter(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("+++") else {
        return text;
    };
    match rest.find("\n+++") {
        Some(at) => rest[at + "\n+++".len()..].trim_start_matches(['\r', '\n']),
        None => text,
    }
}

/// What stands between `{{ }}` or `{% %}`.
struct Tag<'t> {
    body: &'t str,
    /// It is reached whatever the variables are.
    is_always: bool,
}

fn tags(template: &str) -> Vec<Tag<'_>> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut rest = template;
    while let Some(at) = rest
        .find("{{")
        .into_iter()
        .chain(rest.find("{%"))
        .chain(rest.find("{#"))
        .min()
    {
        let close = match &rest[at..at + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let inner = &rest[at + 2..];
        let Some(end) = inner.find(close) else { break };
        rest = &inner[end + 2..];
        if close == "#}" {
            continue;
        }
        let body = inner[..end].trim_matches(['-', '+']).trim();
        let verb = body.split_whitespace().next().unwrap_or_default();
        let is_code = close == "%}";
        if is_code && verb.starts_with("end") && ["endif", "endfor", "endmacro", "endcall"].contains(&verb) {
            depth = depth.saturating_sub(1);
        }
        let is_raw = is_code && verb == "raw";
        found.push(Tag {
            body,
            is_always: depth == 0,
        });
        if is_code && ["if", "for", "macro", "call"].contains(&verb) {
            depth += 1;
        }
        if is_raw {
            rest = rest.find("endraw").map_or("", |at| &rest[at..]);
        }
    }
    found
}

fn is_needed(name: &str, tags: &[Tag<'_>]) -> bool {
    let mut is_needed = false;
    for tag in tags {
        for (at, _) in tag.body.match_indices(name) {
            let before = &tag.body[..at];
            let after = tag.body[at + name.len()..].trim_start();
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
            let is_word = !before.ends_with(is_part) && !tag.body[at + name.len()..].starts_with(is_part);
            let quotes = before.matches('"').count() % 2 + before.matches('\'').count() % 2;
            if !is_word || before.ends_with('.') || quotes > 0 {
                continue;
            }
            let after_bar = after.strip_prefix('|').map(str::trim_start).unwrap_or_default();
            if after_bar.starts_with("default") || after.starts_with("is ") {
                return false;
            }
            is_needed |= tag.is_always;
        }
    }
    is_needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Vec<String>, Vec<String>) {
        let others = BTreeMap::from([
            ("voice".to_owned(), "Be kind, {{ who }}.".to_owned()),
            ("base".to_owned(), "{% block a %}{{ head }}{% endblock %}".to_owned()),
        ]);
        let prompt = of_text(text, &others, 0);
        let required = prompt.required.iter().cloned().collect();
        let optional = prompt.variables.difference(&prompt.required).cloned().collect();
        (required, optional)
    }

    #[test]
    fn variables_are_needed_unless_the_prompt_says_what_to_do_without_them() {
        let (required, optional) = of(
            "+++\nmodel = \"m {{ none }}\"\n+++\n{{ a.b }} {{ c | default('x') }}{% if d is defined %}{{ d }}{% endif %}\
             {% if e %}{{ f }}{% endif %}{% for g in h %}{{ g }}{{ i }}{% endfor %}{# {{ j }} #}{{ range(3) }}",
        );
        assert_eq!(required, ["a", "e", "h"]);
        assert_eq!(optional, ["c", "d", "f", "i"]);
    }

    #[test]
    fn what_is_included_counts_with_it() {
        assert_eq!(of("{% include 'voice' %}").0, ["who"]);
        assert_eq!(
            of("{% if x %}{% include 'voice' %}{% endif %}"),
            (vec!["x".to_owned()], vec!["who".to_owned()])
        );
        assert_eq!(of("{% extends \"base\" %}").1, ["head"]);
        let others = BTreeMap::new();
        assert!(of_text("{% include name %}", &others, 0).is_open);
        assert!(of_text("{{ broken", &others, 0).is_open);
    }
}
