//! Imports: modules that are not there, cannot be read, or import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::Sheet;
use super::view::View;
use crate::script::error::nearest;
use crate::script::syntax::Expr;

/// Modules on the way of one import that are followed.
const DEPTH_MAX: usize = 64;

/// What can be said against one import; `own` is the name of the text that imports.
pub fn check(view: &View<'_>, own: Option<&str>, source: &Expr, sheet: &mut Sheet<'_>) {
    let Some(name) = source.as_str() else {
        sheet
            .say(
                "IMPORT_COMPUTED",
                source.span,
                "the path of an import must be a literal text, so that it is known before the run",
            )
            .help("import each module by its own name, and choose between them with `if`");
        return;
    };
    let summary = match view.project.module(name) {
        Ok(summary) => summary,
        Err(why) => {
            missing(view, name, why, source, sheet);
            return;
        }
    };
    let Some(own) = own else { return };
    let mut path = vec![own.to_owned(), name.to_owned()];
    if name == own || leads_back(view, &summary.imports, own, &mut path, &mut BTreeSet::new()) {
        path.push(own.to_owned());
        path.dedup();
        let circle = path.join(" → ");
        let circle = if name == own {
            format!("{own} → {own}")
        } else {
            circle
        };
        sheet
            .say(
                "IMPORT_CYCLE",
                source.span,
                format!("modules import each other in a circle: {circle}"),
            )
            .help("move what both need into a third module, and import that");
    }
}

fn leads_back(
    view: &View<'_>,
    imports: &BTreeMap<String, String>,
    own: &str,
    path: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    if path.len() > DEPTH_MAX {
        return false;
    }
    for module in imports.values() {
        if module == own {
            return true;
        }
        // One that does not lead back by one way leads back by none.
        if !seen.insert(module.clone()) {
            continue;
        }
        path.push(module.clone());
        if let Ok(summary) = view.project.module(module)
            && leads_back(view, &summary.imports, own, path, seen)
        {
            return true;
        }
        path.pop();
    }
    false
}

fn missing(view: &View<'_>, name: &str, why: String, source: &Expr, sheet: &mut Sheet<'_>) {
    let known = view.project.playbooks.iter().flatten().map(String::as_str);
    let bare = name.trim_start_matches("./").trim_end_matches(".rhai");
    let exact = known.clone().find(|known| *known == bare);
    let near = exact.or_else(|| nearest(bare, known));
    let code = match why.contains("leads out of") {
        true => "IMPORT_OUTSIDE",
        false => "IMPORT_NOT_FOUND",
    };
    match near {
        Some(near) => {
            let message = why.split("; ").next().unwrap_or(&why).to_owned();
            let help = match exact {
                Some(_) => "a module is named by its path below playbooks/, without `./` and `.rhai`".to_owned(),
                None => format!("did you mean {near:?}?"),
            };
            sheet.say(code, source.span, message).help(help).fix(
                format!("write {near:?}"),
                source.span,
                format!("{near:?}"),
            );
        }
        None => {
            sheet.say(code, source.span, why);
        }
    }
}
