//! Lenses: above each line that writes to the world, what the gate would do with it now.
//!
//! From the same switches, signals and header as a run that begins now; nothing is asked of anybody.

use lsp_types::{CodeLens, Command};

use super::session::View;
use crate::effect::RunMode;
use crate::gate::governance::SIGNAL_NAMES;
use crate::script::syntax::{ExprKind, Node};

/// Lenses of one answer.
const LENSES_MAX: usize = 500;

pub fn lenses(view: &View<'_>) -> Vec<CodeLens> {
    let app = &view.home.app;
    let uses = view.source.uses();
    let mode = (app.config.dry_run()).and_then(|dry| {
        Ok(RunMode {
            live: !dry,
            providers: app.provider_modes()?,
            uses: uses.clone(),
            unsigned: Vec::new(),
        })
    });
    let mut found = Vec::new();
    view.source.tree.walk(&mut |node| {
        if let Node::Expr(expr) = node
            && let ExprKind::Call { namespaces, name, .. } = &expr.kind
            && let [namespace] = namespaces.as_slice()
            && found.len() < LENSES_MAX
        {
            let called = format!("{}::{}", namespace.text, name.text);
            if let Some(provider) = view.knowledge.writers.get(&called) {
                let title = match &mode {
                    Ok(mode) => title(view, mode, provider, app.publishers.contains(&called)),
                    Err(error) => format!("writes to {provider} — unknown: {error}"),
                };
                found.push(CodeLens {
                    range: view.source.range(namespace.span.to(name.span)),
                    command: Some(Command {
                        title,
                        command: String::new(),
                        arguments: None,
                    }),
                    data: None,
                });
            }
        }
        true
    });
    found
}

/// What becomes of a write to `provider`.
fn title(view: &View<'_>, mode: &RunMode, provider: &str, publishes: bool) -> String {
    let app = &view.home.app;
    let what = if publishes { "publishes to" } else { "writes to" };
    if let Some(why) = mode.why_simulated(provider) {
        return format!("{what} {provider} — simulated: {why}");
    }
    let is_module = view.source.header().is_none();
    if !is_module && !mode.uses(provider) {
        return format!("{what} {provider} — refused: `uses` does not name {provider}");
    }
    let missing: Vec<&str> = SIGNAL_NAMES
        .into_iter()
        .filter(|name| app.config.switch(name, false).is_ok_and(|on| !on))
        .collect();
    if publishes && !missing.is_empty() {
        return format!(
            "{what} {provider} — simulated: the gate is shut, not given: {}",
            missing.join(", ")
        );
    }
    format!("{what} {provider} — LIVE")
}
