//! Arguments: their kinds, options by their names, and texts that must be lengths of time or zones.

use super::sheet::Sheet;
use super::view::View;
use crate::duration;
use crate::script::error::nearest;
use crate::script::schedule::zones;
use crate::script::signatures::{Kind, Known, Signature};
use crate::script::syntax::{Expr, ExprKind, Span};

/// Parameters that take options by name.
const OPTIONS: [&str; 2] = ["options", "message"];

/// Parameters and options that are lengths of time, as texts.
const LENGTHS: [&str; 6] = ["ttl", "timeout", "length", "every", "settle", "idempotency_lifetime"];

/// What can be said against the arguments of a call. `ways` are those that take so many.
pub fn check(view: &View<'_>, known: &Known, ways: &[&Signature], args: &[Expr], sheet: &mut Sheet<'_>) {
    let kinds: Vec<Kind> = args.iter().map(|arg| view.kind(arg)).collect();
    let misfit = |way: &&Signature| {
        way.params
            .iter()
            .zip(&kinds)
            .position(|(param, kind)| !kind.fits(&param.kind))
    };
    let misfits: Vec<usize> = ways.iter().filter_map(misfit).collect();
    if misfits.len() == ways.len() {
        // The way that is followed furthest is the one that was meant.
        let (at, way) = misfits
            .iter()
            .zip(ways)
            .max_by_key(|(at, _)| **at)
            .map(|(at, way)| (*at, way))
            .expect("there is a way");
        wrong_kind(known, way, at, &kinds[at], &args[at], sheet);
        return;
    }
    let Some(way) = ways.iter().find(|way| misfit(way).is_none()) else {
        return;
    };
    for (param, arg) in way.params.iter().zip(args) {
        let is_text = matches!(param.kind, Kind::Text);
        if is_text && LENGTHS.contains(&param.name.as_str()) {
            length(&param.name, arg, known.goes_back, sheet);
        }
        if is_text
            && param.name == "zone"
            && let Some(name) = arg.as_str()
        {
            zone(name, arg.span, sheet);
        }
        if OPTIONS.contains(&param.name.as_str()) {
            options(known, arg, sheet);
        }
    }
}

fn wrong_kind(known: &Known, way: &Signature, at: usize, kind: &Kind, arg: &Expr, sheet: &mut Sheet<'_>) {
    let param = &way.params[at];
    let wanted = &param.kind;
    let said = sheet.say(
        "ARGUMENT_TYPE",
        arg.span,
        format!(
            "`{}` of `{}` is {} here; {} is expected",
            param.name,
            known.name,
            kind.name(),
            wanted.name()
        ),
    );
    let end = Span {
        start: arg.span.end,
        end: arg.span.end,
    };
    match (wanted, kind, &arg.bare().kind) {
        (Kind::Float, Kind::Int, ExprKind::Int(_)) => said.fix("write it with a fraction", end, ".0"),
        (Kind::Float, Kind::Int, _) => said.proposal("write `.to_float()`", end, ".to_float()"),
        (Kind::Int, Kind::Float, _) => said.proposal("write `.to_int()`", end, ".to_int()"),
        (Kind::Text, Kind::Int | Kind::Float | Kind::Bool | Kind::Char, ExprKind::Name(_) | ExprKind::Field { .. }) => {
            said.proposal("write `.to_string()`", end, ".to_string()")
        }
        (Kind::Text, Kind::Map(Some(shape)), _) if shape.has("text") => said
            .help("the text of it is its field `text`")
            .proposal("write `.text`", end, ".text"),
        _ => said.help(format!("it is `{}`", way.text)),
    };
}

/// An option that nobody knows would be refused when the call is made.
fn options(known: &Known, arg: &Expr, sheet: &mut Sheet<'_>) {
    let Some(entries) = arg.as_map() else {
        return;
    };
    for entry in entries {
        let name = entry.key.text.as_str();
        if LENGTHS.contains(&name) && known.may_have_option(name) {
            length(name, &entry.value, false, sheet);
        }
        if name.is_empty() || known.may_have_option(name) {
            continue;
        }
        let message = format!("`{}` has no option `{name}`", known.name);
        match nearest(name, known.options.iter().map(String::as_str)) {
            Some(near) => {
                sheet
                    .say(
                        "UNKNOWN_OPTION",
                        entry.key.span,
                        format!("{message}; did you mean `{near}`?"),
                    )
                    .fix(format!("write `{near}`"), entry.key.span, near);
            }
            None => {
                sheet
                    .say("UNKNOWN_OPTION", entry.key.span, message)
                    .help(format!("`host functions {}` lists them", known.name));
            }
        }
    }
}

/// A text that is a length of time, with a minus before it only where `goes_back`.
pub fn length(name: &str, arg: &Expr, goes_back: bool, sheet: &mut Sheet<'_>) {
    let Some(text) = arg.as_str() else { return };
    let unsigned = text.trim().strip_prefix('-');
    if let Err(error) = duration::parse(unsigned.filter(|_| goes_back).unwrap_or(text)) {
        if unsigned.is_some_and(|length| duration::parse(length).is_ok()) {
            let message = format!("`{name}`: {text:?} lies in the past, and only lengths of time from 0 on are taken");
            let meant = unsigned.unwrap_or_default().trim();
            sheet.say("DURATION_INVALID", arg.span, message).proposal(
                format!("write {meant:?}"),
                arg.span,
                format!("{meant:?}"),
            );
            return;
        }
        let said = sheet.say("DURATION_INVALID", arg.span, format!("`{name}`: {error}"));
        if let Some(meant) = length_in_words(text) {
            said.help(format!("did you mean {meant:?}?")).fix(
                format!("write {meant:?}"),
                arg.span,
                format!("{meant:?}"),
            );
        }
    }
}

/// `5 minutes` and `2 hours 30 min` as we write them.
fn length_in_words(text: &str) -> Option<String> {
    const UNITS: [(&str, &str); 5] = [("milli", "ms"), ("sec", "s"), ("min", "m"), ("hour", "h"), ("day", "d")];
    let mut written = String::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty() && *word != "and") {
        let digits = word.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        written.push_str(number);
        if !unit.is_empty() {
            let lower = unit.to_ascii_lowercase();
            let ours = UNITS
                .iter()
                .find(|(word, short)| lower.starts_with(word) || lower == *short);
            written.push_str(ours?.1);
        }
    }
    duration::parse(&written).is_ok().then_some(written)
}

/// The name of a zone.
pub fn zone(name: &str, span: Span, sheet: &mut Sheet<'_>) {
    let Err(near) = zones::parse(name) else {
        return;
    };
    let said = sheet.say("TIME_ZONE", span, format!("{name:?} is no zone"));
    match near {
        Some(near) => {
            said.help(format!("did you mean {near:?}?"))
                .fix(format!("write {near:?}"), span, format!("{near:?}"))
        }
        None => said.help("zones are named like \"America/New_York\" or \"UTC\""),
    };
}
