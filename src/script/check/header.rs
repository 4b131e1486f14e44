//! The header as it is written, each part with its place, and what can be said against it.
//!
//! Whether a header can be used is for [`crate::script::Header`] to say; here every mistake in it is found, not only the
//! first, and has the place of its own word.

use std::collections::BTreeMap;

use super::sheet::Sheet;
use super::view::View;
use crate::script::error::nearest;
use crate::script::header::{CONSTANT, KEYS, TRIGGER_KEYS};
use crate::script::inputs::{self, InputSpec, Inputs};
use crate::script::syntax::tree::Entry;
use crate::script::syntax::{Expr, ExprKind, Name, Span, StmtKind, Tree};
use crate::script::triggers::{self, Complaint, Step};
use crate::value::{Map, Value};

/// The header of a text.
#[derive(Clone, Copy)]
pub struct HeaderView<'t> {
    pub entries: &'t [Entry],
    /// The map with its braces.
    pub span: Span,
}

/// One input that a header declares.
pub struct InputView<'t> {
    pub name: &'t Name,
    pub value: &'t Expr,
    spec: &'t [Entry],
}

impl<'t> HeaderView<'t> {
    pub fn of(tree: &'t Tree) -> Option<HeaderView<'t>> {
        tree.root.stmts.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::Let {
                name,
                value: Some(value),
                ..
            } if name.text == CONSTANT => Some(HeaderView {
                entries: value.as_map()?,
                span: value.span,
            }),
            _ => None,
        })
    }

    pub fn get(&self, key: &str) -> Option<&'t Entry> {
        self.entries.iter().find(|entry| entry.key.text == key)
    }

    pub fn inputs(&self) -> impl Iterator<Item = InputView<'t>> + use<'t> {
        let entries = self.get("inputs").and_then(|entry| entry.value.as_map());
        entries.unwrap_or_default().iter().map(|entry| InputView {
            name: &entry.key,
            value: &entry.value,
            spec: entry.value.as_map().unwrap_or_default(),
        })
    }

    /// The inputs by name, and whether each must be given.
    pub fn wanted(&self) -> BTreeMap<String, bool> {
        let inputs = self.inputs();
        inputs
            .map(|input| (input.name.text.clone(), input.is_required()))
            .collect()
    }

    /// The texts in `uses`, each with its place.
    pub fn uses(&self) -> Vec<(&'t str, &'t Expr)> {
        let Some(entry) = self.get("uses") else {
            return Vec::new();
        };
        let ExprKind::Array(items) = &entry.value.bare().kind else {
            return Vec::new();
        };
        items.iter().filter_map(|item| Some((item.as_str()?, item))).collect()
    }
}

impl InputView<'_> {
    fn get(&self, key: &str) -> Option<&Expr> {
        self.spec
            .iter()
            .find(|entry| entry.key.text == key)
            .map(|entry| entry.value.bare())
    }

    pub fn kind(&self) -> &str {
        self.get("type").and_then(Expr::as_str).unwrap_or("string")
    }

    pub fn is_required(&self) -> bool {
        matches!(
            self.get("required").map(|value| &value.kind),
            Some(ExprKind::Bool(true))
        )
    }

    pub fn is_always_given(&self) -> bool {
        self.is_required() || self.get("preset").is_some()
    }
}

/// What can be said against the header.
pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let Some(header) = &view.header else {
        return;
    };
    for entry in header.entries {
        let key = entry.key.text.as_str();
        match key {
            "timeout" | "deadline" => super::arguments::length(key, &entry.value, false, sheet),
            "uses" => providers(view, header, sheet),
            "inputs" => all_inputs(header, sheet),
            "http" => super::routes::check(header, &entry.value, sheet),
            key if KEYS.contains(&key) || TRIGGER_KEYS.contains(&key) => {}
            _ => {
                let known = KEYS.into_iter().chain(TRIGGER_KEYS);
                unknown_key(&entry.key, &format!("{CONSTANT} has no key `{key}`"), known, sheet);
            }
        }
    }
    triggers(header, sheet);
}

fn unknown_key<'k>(key: &Name, message: &str, known: impl Iterator<Item = &'k str>, sheet: &mut Sheet<'_>) {
    match nearest(&key.text, known) {
        Some(near) => {
            sheet
                .say("HEADER", key.span, format!("{message}; did you mean `{near}`?"))
                .fix(format!("write `{near}`"), key.span, near);
        }
        None => {
            sheet
                .say("HEADER", key.span, message)
                .help("`host explain HEADER` lists what a header may say");
        }
    }
}

fn providers(view: &View<'_>, header: &HeaderView<'_>, sheet: &mut Sheet<'_>) {
    let known = &view.project.providers;
    if known.is_empty() {
        return;
    }
    for (used, value) in header.uses() {
        let name = used.split(':').next().unwrap_or(used);
        if known.contains(name) {
            continue;
        }
        let said = sheet.say(
            "UNKNOWN_PROVIDER",
            value.span,
            format!("`uses` names {name:?}, and no provider has that name"),
        );
        match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => {
                let text = format!("{:?}", format!("{near}{}", &used[name.len()..]));
                said.help(format!("did you mean {near:?}?"))
                    .fix(format!("write {near:?}"), value.span, text)
            }
            None => said.help("`host providers` lists all of them; others are declared in host.toml"),
        };
    }
}

fn all_inputs(header: &HeaderView<'_>, sheet: &mut Sheet<'_>) {
    for input in header.inputs() {
        let name = &input.name.text;
        let mut is_known = true;
        for entry in input.spec {
            if !inputs::KEYS.contains(&entry.key.text.as_str()) {
                is_known = false;
                let message = format!("input `{name}` has no key `{}`", entry.key.text);
                // As other languages call it; the word itself is reserved.
                if entry.key.text == "default" {
                    sheet
                        .say("HEADER", entry.key.span, format!("{message}; did you mean `preset`?"))
                        .fix("write `preset`", entry.key.span, "preset");
                } else {
                    unknown_key(&entry.key, &message, inputs::KEYS.into_iter(), sheet);
                }
            }
        }
        if let Some(word) = input.get("type").and_then(Expr::as_str)
            && !inputs::KINDS.iter().any(|(kind, _)| *kind == word)
        {
            is_known = false;
            wrong_type(name, word, input.get("type").expect("it was just read").span, sheet);
        }
        if is_known
            && let Some(value) = literal(input.value)
            && let Err(message) = InputSpec::read(name, &value)
        {
            // The message names the key it is about, where it is about one.
            let key = input.spec.iter().find(|entry| {
                message.contains(&format!("`{}`", entry.key.text))
                    || message.contains(&format!("the {} ", entry.key.text))
            });
            let span = key.map_or(input.name.span, |entry| entry.value.span);
            sheet.say("HEADER", span, message);
        }
    }
}

fn wrong_type(input: &str, word: &str, span: Span, sheet: &mut Sheet<'_>) {
    const ELSEWHERE: [(&str, &str); 9] = [
        ("str", "string"),
        ("text", "string"),
        ("integer", "int"),
        ("number", "float"),
        ("double", "float"),
        ("boolean", "bool"),
        ("list", "array"),
        ("object", "map"),
        ("dict", "map"),
    ];
    let lower = word.to_ascii_lowercase();
    let kinds = || inputs::KINDS.iter().map(|(kind, _)| *kind);
    let near = ELSEWHERE
        .iter()
        .find(|(other, _)| *other == lower)
        .map(|(_, kind)| *kind)
        .or_else(|| nearest(&lower, kinds()));
    let names: Vec<&str> = kinds().collect();
    let message = format!("input `{input}` has no type {word:?}; there are {}", names.join(", "));
    match near {
        Some(near) => {
            sheet
                .say("HEADER", span, message)
                .help(format!("did you mean {near:?}?"))
                .fix(format!("write {near:?}"), span, format!("{near:?}"));
        }
        None => {
            sheet.say("HEADER", span, message);
        }
    }
}

/// What is wrong with what starts the playbook.
fn triggers(header: &HeaderView<'_>, sheet: &mut Sheet<'_>) {
    let keys = || {
        header
            .entries
            .iter()
            .filter(|entry| TRIGGER_KEYS.contains(&entry.key.text.as_str()))
    };
    let written = keys().filter_map(|entry| Some((entry.key.text.clone(), literal(&entry.value)?)));
    let inputs = header.inputs().map(|input| {
        let spec = InputSpec::read(&input.name.text, &literal(input.value)?).ok()?;
        Some((input.name.text.clone(), Box::new(spec)))
    });
    let inputs: Option<Inputs> = inputs.collect();
    let (_, complaints) = triggers::read(&written.collect(), inputs.as_ref());
    for complaint in complaints {
        let span = place_of(header, &complaint);
        let said = sheet
            .say(complaint.code, span, complaint.message)
            .help_if(complaint.help);
        if let Some(text) = complaint.fix {
            said.fix(format!("write {text}"), span, text);
        }
    }
}

fn place_of(header: &HeaderView<'_>, complaint: &Complaint) -> Span {
    let (mut entries, mut items): (&[Entry], &[Expr]) = (header.entries, &[]);
    let mut span = header.span;
    for (depth, step) in complaint.path.iter().enumerate() {
        let is_last = depth + 1 == complaint.path.len();
        let (value, key) = match step {
            Step::Key(name) => match entries.iter().find(|entry| entry.key.text == *name) {
                Some(entry) => (&entry.value, entry.key.span),
                None => return span,
            },
            Step::Index(index) => match items.get(*index) {
                Some(item) => (item, item.span),
                None => return span,
            },
        };
        span = if is_last && complaint.is_about_key {
            key
        } else {
            value.span
        };
        entries = value.as_map().unwrap_or_default();
        items = match &value.bare().kind {
            ExprKind::Array(items) => items,
            _ => &[],
        };
    }
    span
}

/// The value of an expression that is written out; `None` when it must be computed.
pub fn literal(expr: &Expr) -> Option<Value> {
    Some(match &expr.bare().kind {
        ExprKind::Unit => Value::Unit,
        ExprKind::Bool(truth) => Value::Bool(*truth),
        ExprKind::Int(number) => Value::Int((*number)?),
        ExprKind::Float(number) => Value::Float((*number)?),
        ExprKind::Unary { op, operand } if op.text == "-" => match literal(operand)? {
            Value::Int(number) => Value::Int(number.checked_neg()?),
            Value::Float(number) => Value::Float(-number),
            _ => return None,
        },
        ExprKind::Array(items) => Value::List(items.iter().map(literal).collect::<Option<_>>()?),
        ExprKind::Map(entries) => {
            let fields = entries
                .iter()
                .map(|entry| Some((entry.key.text.clone(), literal(&entry.value)?)));
            Value::Map(fields.collect::<Option<Map>>()?)
        }
        _ => expr.as_str()?.into(),
    })
}
