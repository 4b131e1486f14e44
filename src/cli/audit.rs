//! `host audit`: who did what, and whether the record of it is as it was written.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::{CliError, FAILED, OTHER, STORE};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, excerpt, moment, plain};
use super::signed;
use crate::app::App;
use crate::digits::grouped;
use crate::duration;
use crate::io::whole;
use crate::journal::audit::look::Wanted;
use crate::journal::audit::noted::{self, Holds};
use crate::journal::audit::verify::{Verdict, verify, verify_lines};
use crate::journal::audit::{AuditError, Entry, Head, KEPT_DAYS_MIN, head, look, prune};
use crate::store::tx::Ground;
use crate::upkeep::record::{RecordError, noted_in};

/// Acts that are looked through for those that fit.
const LOOKED_MAX: usize = 1_000_000;

/// The longest line of a file that is verified; acts are much shorter.
const LINE_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show the last acts, the latest at the end.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Only what this user did.
        #[arg(long)]
        who: Option<String>,
        /// Only these acts: user.add, or run. for all that is done to runs.
        #[arg(long)]
        what: Option<String>,
        /// Only what was done to this: a run, a playbook, a user.
        #[arg(long)]
        target: Option<String>,
        /// Only since so long: 90m, 7d.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Find acts that were altered, put in, left out or moved.
    Verify {
        /// Demand that the log still hold this head, as an earlier verify showed it.
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<Head>,
        /// Verify an exported file instead.
        #[arg(long)]
        file: Option<String>,
    },
    /// Print every act as a line of JSON, as it is stored.
    Export {
        /// From this act on.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        from: u64,
    },
    /// Take away what is old enough; a checkpoint keeps the rest verifiable.
    Prune {
        /// What is older than this; never less than 548d.
        #[arg(long, value_name = "TIME", default_value = "548d")]
        older_than: String,
        /// Do it, and not only say how many acts they are.
        #[arg(long)]
        yes: bool,
    },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::Tail {
            limit,
            who,
            what,
            target,
            since,
        } => {
            let since_ms = since.map(|since| ago_ms("--since", &since, app)).transpose()?;
            let wanted = Wanted {
                who,
                what,
                target,
                since_ms,
                before: None,
            };
            tail(&wanted, limit as usize, app, out)
        }
        Command::Verify { head, file: None } => {
            let reader = app.reader()?;
            let mut verdict = match &reader {
                Some(ground) => verify(&*ground.store, head)?,
                None => verify_lines(std::iter::empty(), head),
            };
            let noted = noted(app, reader.as_ref(), &mut verdict)?;
            show(&verdict, &noted, out)
        }
        Command::Verify { head, file: Some(file) } => verify_file(&file, head, out),
        Command::Export { from } => export(from, app, out),
        Command::Prune { older_than, yes } => prune_old(&older_than, yes, app, out),
    }
}

/// What the server noted in `[audit] head_file`: so many that the log holds, and those that a restore cut off.
#[derive(Default)]
struct InFile {
    file: Option<PathBuf>,
    held: usize,
    cut: Vec<(u64, u64)>,
}

/// Compares the log with each end of it that was noted in a file.
fn noted(app: &App, reader: Option<&Ground>, verdict: &mut Verdict) -> Result<InFile, CliError> {
    let Some(file) = app.audit_rules()?.head_file.filter(|file| file.exists()) else {
        return Ok(InFile::default());
    };
    let mut found = InFile::default();
    let noted = noted_in(&file)?;
    let holds = match reader {
        Some(ground) => noted::holds_each(&*ground.store, &noted)?,
        None => vec![Holds::No; noted.len()],
    };
    for (noted, holds) in noted.iter().zip(holds) {
        let number = noted.head.number;
        match holds {
            Holds::Yes => found.held += 1,
            Holds::CutByRestore(restore) => found.cut.push((number, restore)),
            Holds::No => verdict.fault(
                number,
                format!("the log does not hold what was noted in {}", file.display()),
            ),
        }
    }
    found.file = Some(file);
    Ok(found)
}

fn ago_ms(flag: &str, word: &str, app: &App) -> Result<i64, CliError> {
    let length = duration::parse(word).map_err(|error| CliError::usage("USAGE", format!("{flag}: {error}")))?;
    Ok(app.clock.unix_ms().saturating_sub(length.as_millis() as i64))
}

fn tail(wanted: &Wanted, limit: usize, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let looked = match app.reader()? {
        Some(ground) => Some(look::last_from(&*ground.store, wanted, limit, LOOKED_MAX)?),
        None => None,
    };
    let stopped_at = looked.as_ref().and_then(|looked| looked.stopped_at);
    let mut entries = looked.map(|looked| looked.entries).unwrap_or_default();
    entries.reverse();
    if out.json {
        out.json(&entries);
        return Ok(0);
    }
    if let Some(number) = stopped_at {
        let line = format!("acts before {number} were not looked through; `host audit export` has them all");
        let line = out.paint(CAREFUL, &line);
        out.line(line);
    } else if entries.is_empty() {
        out.line("no such act is on record");
    }
    if entries.is_empty() {
        return Ok(0);
    }
    out.page();
    let rows: Vec<Vec<String>> = entries.iter().map(|entry| row(entry, out)).collect();
    out.table(&["act", "when", "who", "via", "what", "target", ""], &rows);
    Ok(0)
}

fn row(entry: &Entry, out: &Out) -> Vec<String> {
    let details: Vec<String> = entry
        .details
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(
            |(name, value)| match (value.as_str(), name.strip_suffix("_ms"), value.as_i64()) {
                (Some(text), ..) => format!("{name}={text}"),
                (None, Some(name), Some(unix_ms)) => format!("{name}={}", moment(unix_ms)),
                _ => format!("{name}={value}"),
            },
        )
        .collect();
    let details = excerpt(&details.join(" "), out.rest_of_line(100));
    vec![
        entry.number.to_string(),
        moment(entry.at_ms),
        excerpt(&entry.who, 20),
        entry.via.to_string(),
        plain(&entry.what),
        excerpt(&entry.target, 32),
        out.paint(FAINT, &details),
    ]
}

fn verify_file(file: &str, noted: Option<Head>, out: &mut Out) -> Result<u8, CliError> {
    let unreadable = |reason: String| {
        let message = format!("{} cannot be read: {reason}", plain(file));
        CliError::usage("AUDIT_FORM", message)
    };
    let lines = whole::lines(Path::new(file), LINE_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
    let mut cut = None;
    // As many as can be read: a file may be larger than the memory.
    let lines = lines.map_while(|line| line.map_err(|error| cut = Some(error)).ok());
    let verdict = verify_lines(lines, noted);
    if let Some(error) = cut {
        return Err(unreadable(error.to_string()));
    }
    show(&verdict, &InFile::default(), out)
}

fn show(verdict: &Verdict, noted: &InFile, out: &mut Out) -> Result<u8, CliError> {
    let code = if verdict.is_sound() { 0 } else { FAILED };
    if out.json {
        out.json(&json!({
            "sound": verdict.is_sound(),
            "acts": verdict.acts,
            "first": verdict.first,
            "head": verdict.head.as_ref().map(ToString::to_string),
            "faults": verdict.faults,
        }));
        return Ok(code);
    }
    for fault in &verdict.faults {
        let mark = out.paint(BAD, out.symbol("✗"));
        out.line(format!("{mark} act {}: {}", fault.number, plain(&fault.reason)));
    }
    for (number, restore) in &noted.cut {
        let line = format!("act {number}, which was noted, was cut off by the restore of act {restore}");
        let line = out.paint(CAREFUL, &line);
        out.line(line);
    }
    let Some(head) = &verdict.head else {
        out.line("no act is on record yet");
        return Ok(code);
    };
    if verdict.is_sound() {
        let mark = out.paint(GOOD, out.symbol("✓"));
        let first = verdict.first.unwrap_or(head.number);
        let acts = grouped(verdict.acts);
        out.line(format!(
            "{mark} {acts} acts, from {first} to {}: each follows from the one before",
            head.number
        ));
        out.line(format!("head    {head}"));
        if let Some(file) = &noted.file {
            let (held, file) = (grouped(noted.held as u64), plain(&file.display().to_string()));
            out.line(format!("noted   {held} ends of it stand in {file}, and it holds them"));
            return Ok(code);
        }
        let note = "note the head elsewhere: `host audit verify --head` then finds also a log that was written anew";
        let note = out.paint(FAINT, note);
        out.line(note);
    }
    Ok(code)
}

fn export(from: u64, app: &App, out: &mut Out) -> Result<u8, CliError> {
    if let Some(ground) = app.reader()? {
        look::lines(&*ground.store, from, &mut |line| {
            out.line(String::from_utf8_lossy(line));
            Ok(())
        })?;
    }
    Ok(0)
}

fn prune_old(older_than: &str, yes: bool, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let length = duration::parse(older_than);
    let length = length.map_err(|error| CliError::usage("USAGE", format!("--older-than: {error}")))?;
    let days = u32::try_from(length.as_secs() / 86_400).unwrap_or(u32::MAX);
    let now_ms = app.clock.unix_ms();
    let found = match app.reader()? {
        Some(ground) => prune::prunable(&*ground.store, days, now_ms)?,
        None => prune::Prunable::default(),
    };
    let acts = grouped(found.acts);
    let pruned = match (yes, found.acts) {
        (false, 1..) => {
            let message = format!("{acts} acts are older than {days} days and would be taken away");
            let help = "`host audit export` keeps them elsewhere; add --yes to take them away here";
            return Err(CliError::usage("CONFIRM", message).help(help));
        }
        (true, 1..) => prune::prune(&*app.writer()?.store, &signed::actor(app), days, now_ms)?,
        _ => 0,
    };
    if out.json {
        let head = app.reader()?.map(|ground| head(&*ground.store)).transpose()?.flatten();
        out.json(&json!({ "pruned": pruned, "head": head.map(|head| head.to_string()) }));
        return Ok(0);
    }
    match pruned {
        0 => out.line(format!(
            "no act is older than {days} days; they are kept for {KEPT_DAYS_MIN} at least"
        )),
        _ => out.line(format!("{acts} acts taken away; a checkpoint stands in their place")),
    }
    Ok(0)
}

impl From<RecordError> for CliError {
    fn from(error: RecordError) -> CliError {
        match error {
            RecordError::Audit(error) => error.into(),
            RecordError::HeadFile { .. } => CliError::new(error.code(), error.to_string(), OTHER),
        }
    }
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> CliError {
        match error {
            AuditError::Store(error) => error.into(),
            AuditError::Kept { .. } => CliError::usage(error.code(), error.to_string()),
            AuditError::Form(_) => CliError::new(error.code(), error.to_string(), STORE),
        }
    }
}
