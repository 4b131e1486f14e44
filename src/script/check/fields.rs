//! Fields that a map, text or array certainly has not.

use super::elsewhere::ELSEWHERE;
use super::sheet::{Sheet, listed};
use super::view::View;
use crate::script::error::nearest;
use crate::script::signatures::Kind;
use crate::script::syntax::{Expr, Name, Span};

/// What can be said against `target.name`.
pub fn check(view: &View<'_>, target: &Expr, name: &Name, sheet: &mut Sheet<'_>) {
    match view.kind(target) {
        Kind::Map(_) => key(view, target, &name.text, name.span, sheet),
        kind @ (Kind::Text | Kind::Array(_)) if !view.project.signatures.is_property(&name.text) => {
            let what = kind.name();
            let message = format!("{what} has no property `{}`", name.text);
            let ours = ELSEWHERE
                .iter()
                .find(|(other, ours)| *other == name.text && *ours == "len");
            let is_function = view
                .project
                .signatures
                .own(&name.text)
                .is_some_and(|takes| takes.contains(&1));
            match (ours, is_function) {
                (Some((_, ours)), _) => sheet
                    .say(
                        "UNKNOWN_FIELD",
                        name.span,
                        format!("{message}; did you mean `{ours}()`?"),
                    )
                    .fix(format!("write `{ours}()`"), name.span, format!("{ours}()")),
                (None, true) => sheet
                    .say(
                        "UNKNOWN_FIELD",
                        name.span,
                        format!("{message}; did you mean `{}()`?", name.text),
                    )
                    .fix(
                        format!("write `{}()`", name.text),
                        name.span,
                        format!("{}()", name.text),
                    ),
                (None, false) if matches!(kind, Kind::Array(_)) => sheet
                    .say("UNKNOWN_FIELD", name.span, message)
                    .help("it belongs to the items: take one by its number, `list[0]`, or each with `for`"),
                (None, false) => sheet.say("UNKNOWN_FIELD", name.span, message),
            };
        }
        _ => {}
    }
}

/// A field of a map whose fields are all known: another is always `()`, which is hardly meant.
pub fn key(view: &View<'_>, target: &Expr, key: &str, span: Span, sheet: &mut Sheet<'_>) {
    let Kind::Map(Some(shape)) = view.kind(target) else {
        return;
    };
    if shape.has(key) || view.project.signatures.is_property(key) || is_written(view, span) {
        return;
    }
    let near = nearest(key, shape.fields.keys().chain(shape.also.iter()).map(String::as_str));
    let what = match shape.of.as_str() {
        "" => "this map".to_owned(),
        function => format!("what `{function}` returns"),
    };
    let message = format!("{what} has no `{key}`, so it is always ()");
    match near {
        Some(near) => {
            let new = match view.of(span).starts_with('"') {
                true => format!("{near:?}"),
                false => near.to_owned(),
            };
            sheet
                .say("UNKNOWN_FIELD", span, format!("{message}; did you mean `{near}`?"))
                .proposal(format!("write `{near}`"), span, new);
        }
        None => {
            let fields: Vec<String> = shape.fields.keys().map(|field| format!("`{field}`")).collect();
            let said = sheet.say("UNKNOWN_FIELD", span, message);
            if !fields.is_empty() {
                said.help(format!("it has {}", listed(&fields)));
            }
        }
    }
}

/// Whether the field at `span` is given a value here: then it comes to be.
fn is_written(view: &View<'_>, span: Span) -> bool {
    view.written.contains(&span.start)
}
