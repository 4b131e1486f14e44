//! `host backup [FILE]`: the store in one file, of one moment, while it is used. `host backup verify FILE`: is it whole?

use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::{CliError, FAILED, OTHER};
use super::keep::{keep, watched};
use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, ago, bytes_for_people, moment, plain};
use crate::app::App;
use crate::io::scratch::Scratch;
use crate::store::backup::Header;
use crate::upkeep::check::Checked;
use crate::upkeep::chore::Backed;
use crate::upkeep::restore::{Verified, verify};
use crate::upkeep::{Chore, Kept, rota};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXIT)]
pub struct Args {
    /// The file to write, which is not there yet. Without it: what was backed up last, and when the next one comes.
    file: Option<PathBuf>,
    /// The variable of the environment that holds the key to seal it with.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT: &str = "Exit codes: 0 it is made, or whole; 1 it is not whole, or backups are not made; 2 wrong usage.";

#[derive(clap::Subcommand)]
enum Command {
    /// Restore a backup aside and check all of it: checksums, counts, journals, files. Nothing is changed.
    Verify {
        file: PathBuf,
        /// The variable of the environment that holds its key.
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
    },
}

pub fn perform(args: Args, app: &App, folder: &Path, out: &mut Out) -> Result<u8, CliError> {
    match (args.command, args.file) {
        (Some(Command::Verify { file, key }), _) => check(&folder.join(file), key.as_deref(), app, out),
        (None, Some(file)) => make(&folder.join(file), args.key, app, out),
        (None, None) => show(app, out),
    }
}

fn make(file: &Path, key: Option<String>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let key = key.or_else(|| Some(app.config.file.backup.key.clone()).filter(|key| !key.is_empty()));
    let chore = Chore::Backup {
        path: file.to_owned(),
        key,
    };
    let Some(kept) = keep(app, &chore, out)? else {
        let message = "there is nothing to back up yet: no store was made";
        return Err(CliError::usage("STORE_MISSING", message));
    };
    let Kept::Backup(made) = kept else {
        unreachable!("what was asked for is answered");
    };
    // A service may have a /tmp of its own, which goes when it stops.
    if !made.path.is_file() {
        let message = format!(
            "the server has written {}, and it cannot be seen from here: the server has folders of its own",
            made.path.display()
        );
        let help = "name a folder that both see: the one of `[backup] folder`, for instance";
        return Err(CliError::new("BACKUP_ELSEWHERE", message, OTHER).help(help));
    }
    if out.json {
        out.json(&made);
        return Ok(0);
    }
    let Backed {
        path,
        bytes,
        sealed,
        needs,
        trailer,
        sha256,
        ..
    } = &made;
    let mark = out.paint(GOOD, out.symbol("✓"));
    let sealed = if *sealed { ", sealed" } else { "" };
    out.line(format!(
        "{mark} {}  {}{sealed}: {} rows, {} files",
        plain(&path.display().to_string()),
        bytes_for_people(*bytes),
        trailer.rows,
        trailer.files
    ));
    left_out(&trailer.left_out, out);
    secrets(needs, out);
    let line = out.paint(FAINT, &format!("sha256   {sha256}"));
    out.line(line);
    Ok(0)
}

fn left_out(files: &[String], out: &mut Out) {
    if !files.is_empty() {
        let count = files.len();
        let line =
            format!("left out {count} files that were damaged in the store already: `host store check` names them");
        let line = out.paint(BAD, &line);
        out.line(line);
    }
}

fn secrets(needs: &[String], out: &mut Out) {
    if !needs.is_empty() {
        let needs: Vec<String> = needs.iter().map(|name| plain(name)).collect();
        out.line(format!(
            "needs    {}: their values are not in it, keep them elsewhere",
            needs.join(", ")
        ));
    }
}

fn check(file: &Path, key: Option<&str>, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let key = app.backup_key(key)?;
    // Beside the store where there is one: that disk has room for it.
    let data = app.config.data();
    let scratch = match data.is_dir() {
        true => Scratch::below(&data, &*app.chance),
        false => Scratch::new(&*app.chance),
    };
    let scratch = scratch.map_err(crate::app::AppError::Scratch)?;
    let folder = scratch.path().join("unpacked");
    let options = app.engine_options();
    let verified = watched(out, |tell| Ok(verify(file, key.as_ref(), &folder, options, tell)?))?;
    let code = if verified.checked.wrong == 0 && verified.trailer.left_out.is_empty() {
        0
    } else {
        FAILED
    };
    if out.json {
        out.json(&verified_json(&verified));
        return Ok(code);
    }
    let Verified {
        header,
        trailer,
        checked,
    } = &verified;
    show_header(header, app.clock.unix_ms(), out);
    out.line(format!(
        "holds    {} rows, {} journals, {} files ({})",
        trailer.rows,
        checked.journals,
        trailer.files,
        bytes_for_people(trailer.row_bytes + trailer.file_bytes)
    ));
    left_out(&trailer.left_out, out);
    secrets(&header.needs, out);
    let lacks = app.lacks(&header.needs);
    if !lacks.is_empty() {
        let line = out.paint(CAREFUL, &format!("lacks    {} here", lacks.join(", ")));
        out.line(line);
    }
    problems(checked, out);
    if code == 0 {
        let mark = out.paint(GOOD, out.symbol("✓"));
        out.line(format!(
            "{mark} every part of it is as it was written, and can be restored"
        ));
    }
    Ok(code)
}

fn show_header(header: &Header, now_ms: i64, out: &mut Out) {
    out.line(format!(
        "backup   of {} ({}), by host {}, epoch {} of the store",
        moment(header.at_ms),
        ago(header.at_ms, now_ms),
        plain(&header.host),
        header.epoch
    ));
}

/// What is wrong with a store, and where.
pub fn problems(checked: &Checked, out: &mut Out) {
    for problem in &checked.problems {
        let line = format!("wrong    {}: {}", plain(&problem.place), plain(&problem.what));
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    let told = checked.problems.len() as u64;
    if checked.wrong > told {
        out.line(format!("and {} more", checked.wrong - told));
    }
}

fn verified_json(verified: &Verified) -> serde_json::Value {
    let Verified {
        header,
        trailer,
        checked,
    } = verified;
    json!({
        "at_ms": header.at_ms,
        "epoch": header.epoch,
        "host": header.host,
        "sealed": header.sealed.is_some(),
        "needs": header.needs,
        "trailer": trailer,
        "checked": checked,
    })
}

/// What the server made by itself.
fn show(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let rota = app.rota()?;
    let state = match app.reader()? {
        Some(ground) => rota::State::read(&*ground.store)?,
        None => None,
    };
    let now_ms = app.clock.unix_ms();
    let next_ms = rota
        .as_ref()
        .and_then(|(_, when)| rota::State::due_ms(state.as_ref(), when));
    let next_ms = next_ms.map(|next_ms| next_ms.max(now_ms));
    let folder = rota.as_ref().map(|(folder, _)| folder);
    let has_failed = state.as_ref().is_some_and(|state| state.failed.is_some());
    let code = if has_failed { FAILED } else { 0 };
    if out.json {
        out.json(&json!({ "folder": folder, "state": state, "next_ms": next_ms }));
        return Ok(code);
    }
    let Some(folder) = folder else {
        out.line("no backups are made by themselves: `[backup] folder` in host.toml says where they go");
        out.line("`host backup FILE` makes one now");
        return Ok(code);
    };
    out.line(format!("folder   {}", plain(&folder.display().to_string())));
    match state.as_ref().and_then(|state| Some((state, state.made_ms?))) {
        Some((state, made_ms)) => out.line(format!(
            "last     {}, {}",
            ago(made_ms, now_ms),
            bytes_for_people(state.bytes)
        )),
        None => out.line("last     none yet"),
    }
    if let Some(failed) = state.as_ref().and_then(|state| state.failed.as_ref()) {
        let line = format!(
            "failing  since {}: {}",
            ago(failed.since_ms, now_ms),
            plain(&failed.message)
        );
        let line = out.paint(BAD, &line);
        out.line(line);
    }
    let next = next_ms.map_or("never".to_owned(), moment);
    out.line(format!("next     {next}, while a server runs"));
    Ok(code)
}
