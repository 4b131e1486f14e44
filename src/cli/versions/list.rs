//! `host versions list` and `show`.

use serde_json::json;

use super::super::error::{CliError, Shown, render};
use super::super::out::{BAD, CAREFUL, FAINT, GOOD, Out, STRONG, ago, excerpt, moment, plain};
use crate::app::App;
use crate::journal::edition::{LiveSet, State, Version};
use crate::report::entries::timestamp;
use crate::report::versions::version_json;
use crate::serve::versions::{diagnosis, in_words};

#[derive(clap::Args)]
pub struct ListArgs {
    /// How many to show at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

#[derive(clap::Args)]
pub struct ShowArgs {
    /// The number of the version; the last one when none is given.
    version: Option<u64>,
}

pub fn list(args: &ListArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = super::reader(app)?;
    let versions = Version::latest(&*ground.store, args.limit as usize)?;
    let live = LiveSet::get(&*ground.store)?;
    if out.json {
        out.json(&json!({
            "live": live.as_ref().map(|live| live.number),
            "since": live.as_ref().map(|live| timestamp(live.since_ms, 0)),
            "versions": versions.iter().map(version_json).collect::<Vec<_>>(),
        }));
        return Ok(0);
    }
    let now_ms = app.clock.unix_ms();
    let row = |version: &Version| {
        vec![
            out.paint(STRONG, &version.number.to_string()),
            out.paint(style(version.state), &version.state.to_string()),
            ago(version.at_ms, now_ms),
            excerpt(&version.by, 40),
            what(version),
        ]
    };
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    out.page();
    out.table(&["version", "state", "when", "by", "what"], &rows);
    let closer = versions.first().and_then(|last| match last.state {
        State::Held => Some((format!("host versions show {}", last.number), "why it is held")),
        State::Broken => Some((format!("host versions show {}", last.number), "what is wrong with it")),
        _ => None,
    });
    if let Some((command, why)) = closer {
        out.line("");
        out.line(format!("{command}    {}", out.paint(FAINT, why)));
    }
    Ok(0)
}

fn style(state: State) -> anstyle::Style {
    match state {
        State::Live | State::Accepted => GOOD,
        State::Held => CAREFUL,
        State::Broken => BAD,
        _ => FAINT,
    }
}

fn what(version: &Version) -> String {
    match (version.state, version.faults.first(), &version.why) {
        (State::Broken, Some(fault), _) => excerpt(&fault.to_string(), 100),
        (State::Held, _, Some(why)) => excerpt(why, 100),
        _ if version.base.is_none() => format!("{} files", version.changes.len()),
        _ => excerpt(&in_words(&version.changes), 100),
    }
}

pub fn show(args: &ShowArgs, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = super::reader(app)?;
    let store = &*ground.store;
    let number = match args.version {
        Some(number) => number,
        None => Version::latest(store, 1)?.first().map_or(0, |version| version.number),
    };
    let version = Version::get(store, number)?;
    if out.json {
        out.json(&version_json(&version));
        return Ok(0);
    }
    let state = out.paint(style(version.state), &version.state.to_string());
    let title = out.paint(STRONG, &format!("version {number}"));
    out.line(format!(
        "{title}  {state}  {}  {}",
        moment(version.at_ms),
        plain(&version.by)
    ));
    let mut facts = Vec::new();
    if let Some(base) = version.base {
        facts.push(format!("a change of version {base}"));
    }
    if let Some(by) = &version.decided_by {
        let what = match version.state {
            State::Discarded => "discarded",
            State::RolledBack => "taken back",
            _ => "accepted",
        };
        facts.push(format!("{what} by {}", plain(by)));
    }
    if !facts.is_empty() {
        let facts = out.paint(FAINT, &facts.join(", "));
        out.line(facts);
    }
    out.line("");
    show_changes(&version, out);
    if !version.faults.is_empty() {
        out.line("");
    }
    for fault in &version.faults {
        let shown = Shown {
            code: &fault.code,
            message: &fault.message,
            notes: &[],
            help: fault.help.as_deref(),
        };
        let rendered = render(&shown, Some(&diagnosis(store, fault)), out.has_color(), out.unicode);
        out.line(rendered);
    }
    if version.more_faults > 0 {
        out.line(format!("and {} more like these", version.more_faults));
    }
    show_effects(&version, out);
    Ok(0)
}

fn show_changes(version: &Version, out: &mut Out) {
    const SHOWN_MAX: usize = 30;
    for change in version.changes.iter().take(SHOWN_MAX) {
        let (mark, style) = match (change.before, change.after) {
            (None, _) => ("+", GOOD),
            (_, None) => ("−", BAD),
            _ => ("~", CAREFUL),
        };
        let mark = out.paint(style, out.symbol(mark));
        let hashes = [change.before, change.after]
            .into_iter()
            .flatten()
            .map(|hash| hash.short());
        let hashes = hashes.collect::<Vec<_>>().join(&format!(" {} ", out.symbol("→")));
        out.line(format!(
            "  {mark} {}  {}",
            plain(&change.path),
            out.paint(FAINT, &hashes)
        ));
    }
    let left = version.changes.len().saturating_sub(SHOWN_MAX);
    if left > 0 {
        out.line(out.paint(FAINT, &format!("  and {left} more: --json shows them all")));
    }
}

fn show_effects(version: &Version, out: &mut Out) {
    if let Some(why) = &version.why {
        out.line("");
        out.line(format!("held: {}", plain(why)));
    }
    for effect in &version.effects {
        let (symbol, style, what) = match effect.fate.as_str() {
            "outcome_changed" => ("✗", BAD, "would end otherwise"),
            "effects_changed" => ("~", CAREFUL, "would do something else"),
            _ => ("?", CAREFUL, "cannot be answered for"),
        };
        let mark = out.paint(style, out.symbol(symbol));
        let pinned = if effect.is_pinned { ", held by an incident" } else { "" };
        out.line(format!(
            "  {mark} {}  {}  {what}{pinned}",
            effect.run.short(),
            plain(&effect.playbook)
        ));
        let width = out.rest_of_line(15);
        out.line(format!("      before  {}", excerpt(&effect.before, width)));
        out.line(format!("      now     {}", excerpt(&effect.now, width)));
        if let Some(first) = &effect.first {
            out.line(format!("      first   {}", excerpt(first, width)));
        }
    }
    if version.state == State::Held {
        let number = version.number;
        out.line("");
        for (command, what) in [
            ("diff", "what it changes"),
            ("accept", "let it go live"),
            ("discard", "leave what is live"),
        ] {
            let command = format!("{:<28}", format!("host versions {command} {number}"));
            out.line(format!("{command}{}", out.paint(FAINT, what)));
        }
    }
}
