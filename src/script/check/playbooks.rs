//! Playbooks that a playbook runs: whether they are there, and are given what they want.

use super::sheet::{Sheet, listed};
use super::view::{View, named_call};
use crate::script::error::nearest;
use crate::script::syntax::{Expr, ExprKind};

const STARTERS: [&str; 3] = ["run", "start", "map"];

pub fn check(view: &View<'_>, sheet: &mut Sheet<'_>) {
    let Some(known) = &view.project.playbooks else {
        return;
    };
    view.tree.walk(&mut |node| {
        if let Some((name, args, playbook)) = named_call(node, "playbook")
            && STARTERS.contains(&name)
        {
            let first = &args[0];
            let bare = playbook.strip_suffix(".rhai").unwrap_or(playbook);
            if known.contains(bare) {
                match &args.get(1).map(|inputs| &inputs.bare().kind) {
                    Some(ExprKind::Array(each)) if name == "map" => {
                        for inputs in each {
                            self::inputs(view, bare, inputs, sheet);
                        }
                    }
                    Some(_) if name != "map" => self::inputs(view, bare, &args[1], sheet),
                    _ => {}
                }
            } else {
                missing(playbook, first, known.iter().map(String::as_str), sheet);
            }
        }
        true
    });
}

fn missing<'k>(name: &str, place: &Expr, known: impl Iterator<Item = &'k str>, sheet: &mut Sheet<'_>) {
    let said = sheet.say(
        "PLAYBOOK_NOT_FOUND",
        place.span,
        format!("there is no playbook {name:?} below playbooks/"),
    );
    match nearest(name.trim_start_matches("playbooks/"), known) {
        Some(near) => {
            said.help(format!("did you mean {near:?}?"))
                .fix(format!("write {near:?}"), place.span, format!("{near:?}"))
        }
        None => said.help("a playbook is named by its path below playbooks/"),
    };
}

fn inputs(view: &View<'_>, playbook: &str, given: &Expr, sheet: &mut Sheet<'_>) {
    let Some(entries) = given.as_map() else { return };
    let Ok(summary) = view.project.module(playbook) else {
        return;
    };
    let Some(wanted) = summary.inputs.as_ref().filter(|_| summary.is_whole) else {
        return;
    };
    let mut misspelt: Vec<&str> = Vec::new();
    for entry in entries {
        let name = entry.key.text.as_str();
        if wanted.contains_key(name) || name.is_empty() {
            continue;
        }
        let message = format!("the playbook {playbook:?} has no input `{name}`");
        match nearest(name, wanted.keys().map(String::as_str)) {
            Some(near) => {
                misspelt.push(near);
                sheet
                    .say(
                        "INPUT_UNKNOWN",
                        entry.key.span,
                        format!("{message}; did you mean `{near}`?"),
                    )
                    .fix(format!("write `{near}`"), entry.key.span, near);
            }
            None => {
                let names: Vec<String> = wanted.keys().map(|name| format!("`{name}`")).collect();
                let said = sheet.say("INPUT_UNKNOWN", entry.key.span, message);
                if !names.is_empty() {
                    said.help(format!("it has {}", listed(&names)));
                }
            }
        }
    }
    let is_given = |name: &str| entries.iter().any(|entry| entry.key.text == name) || misspelt.contains(&name);
    let missing: Vec<String> = wanted
        .iter()
        .filter(|(name, is_required)| **is_required && !is_given(name))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        sheet.say(
            "INPUT_MISSING",
            given.span,
            format!("the playbook {playbook:?} must be given {}", listed(&missing)),
        );
    }
}
