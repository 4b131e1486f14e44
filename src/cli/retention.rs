//! `host retention preview|run`: what is old and nobody needs, and its end.

use serde_json::json;

use super::error::CliError;
use super::keep::keep;
use super::out::{FAINT, GOOD, Out, ago, bytes_for_people};
use crate::app::App;
use crate::upkeep::retention::Swept;
use crate::upkeep::{Chore, Kept, RetentionSettings};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Tell what would go, by `[retention]` in host.toml. Nothing is changed.
    Preview,
    /// Have it go now. A server does so by itself every six hours.
    Run,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let preview = matches!(args.command, Command::Preview);
    let kept = keep(app, &Chore::Retain { preview }, out)?;
    let swept = match kept {
        Some(Kept::Retained(swept)) => *swept,
        _ => Swept::default(),
    };
    let settings = &app.config.file.retention;
    if out.json {
        out.json(&json!({ "settings": settings, "swept": swept }));
        return Ok(0);
    }
    if *settings == RetentionSettings::default() {
        let line = out.paint(
            FAINT,
            "[retention] in host.toml says nothing: runs, ticks and events are kept for good",
        );
        out.line(line);
    }
    let now_ms = app.clock.unix_ms();
    let mark = if preview {
        String::new()
    } else {
        format!("{} ", out.paint(GOOD, out.symbol("✓")))
    };
    let verb = if preview { "would go" } else { "gone" };
    let span = match (swept.oldest_ms, swept.latest_ms) {
        (Some(oldest), Some(latest)) if swept.runs > 0 => {
            format!(", ended {} to {}", ago(oldest, now_ms), ago(latest, now_ms))
        }
        _ => String::new(),
    };
    out.line(format!("{mark}runs     {} {verb}{span}", swept.runs));
    out.line(format!("{mark}ticks    {} {verb}", swept.ticks));
    out.line(format!("{mark}events   {} {verb}", swept.events));
    if swept.traces > 0 {
        out.line(format!("{mark}traces   {} {verb}: of runs that are over", swept.traces));
    }
    out.line(format!("{mark}pairs    {} {verb}: they had expired", swept.pairs));
    out.line(format!("{mark}texts    {} {verb}: no row names them", swept.texts));
    out.line(format!(
        "{mark}files    {} {verb}, {}",
        swept.files,
        bytes_for_people(swept.file_bytes)
    ));
    if swept.folders > 0 {
        out.line(format!(
            "{mark}folders  {} {verb}: of runs that are gone",
            swept.folders
        ));
    }
    if swept.kept > 0 {
        out.line(format!(
            "kept     {} runs that are old enough: an incident, a job, a question or another run names them",
            swept.kept
        ));
    }
    if swept.more {
        out.line("more     runs are old enough than are looked at at once: the next time goes on");
    }
    if swept.has_aside {
        out.line("kept     every file, as long as a store lies aside that was replaced by a restore");
    }
    let bytes = bytes_for_people(swept.row_bytes + swept.file_bytes);
    out.line(format!(
        "{bytes} in all; {} are left",
        bytes_for_people(swept.bytes_left)
    ));
    if !preview && swept.row_bytes > 0 {
        let hint = out.paint(FAINT, "`host store compact` gives what rows took back to the disk");
        out.line(hint);
    }
    Ok(0)
}
