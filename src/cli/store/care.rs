//! `host store check|compact|stats`: is all of it well, and how much of the disk does it take?

use serde_json::json;

use crate::app::{App, STORE_FILE};
use crate::cli::backup::problems;
use crate::cli::error::{CliError, FAILED};
use crate::cli::keep::keep;
use crate::cli::out::{FAINT, GOOD, Out, bytes_for_people, plain};
use crate::cli::signed;
use crate::journal::audit::Act;
use crate::journal::epoch::{self, Epoch};
use crate::upkeep::check::Checked;
use crate::upkeep::{Chore, Kept};

fn checked(app: &App, out: &Out) -> Result<Checked, CliError> {
    match keep(app, &Chore::Check, out)? {
        Some(Kept::Checked(checked)) => Ok(*checked),
        _ => Err(CliError::usage(
            "STORE_MISSING",
            "there is no store yet: the first run makes it",
        )),
    }
}

pub fn check(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let checked = checked(app, out)?;
    let code = if checked.wrong == 0 { 0 } else { FAILED };
    if out.json {
        out.json(&checked);
        return Ok(code);
    }
    let path = plain(&app.config.data().join(STORE_FILE).display().to_string());
    out.line(format!(
        "{path}: {} rows, {} journals, {} files",
        checked.rows, checked.journals, checked.files
    ));
    problems(&checked, out);
    if code == 0 {
        let mark = out.paint(GOOD, out.symbol("✓"));
        out.line(format!(
            "{mark} each is as it was written, and all that they name is there"
        ));
    }
    Ok(code)
}

pub fn stats(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let checked = checked(app, out)?;
    let path = app.config.data().join(STORE_FILE);
    let file_bytes = crate::io::keeping::bytes(&path).unwrap_or(0);
    if out.json {
        out.json(&json!({
            "store": path,
            "store_bytes": file_bytes,
            "rows": checked.rows,
            "row_bytes": checked.row_bytes,
            "spaces": checked.spaces.iter().map(|(name, (rows, bytes))| {
                (name.clone(), json!({ "rows": rows, "bytes": bytes }))
            }).collect::<serde_json::Map<_, _>>(),
            "files": checked.files,
            "file_bytes": checked.file_bytes,
        }));
        return Ok(0);
    }
    let mut spaces: Vec<(&String, &(u64, u64))> = checked.spaces.iter().collect();
    spaces.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let rows: Vec<Vec<String>> = spaces
        .into_iter()
        .map(|(name, (rows, bytes))| vec![plain(name), rows.to_string(), bytes_for_people(*bytes)])
        .collect();
    out.table(&["rows of", "rows", "bytes"], &rows);
    out.line("");
    out.line(format!(
        "rows     {} in {} of the disk",
        bytes_for_people(checked.row_bytes),
        bytes_for_people(file_bytes)
    ));
    out.line(format!(
        "files    {} in {} files",
        bytes_for_people(checked.file_bytes),
        checked.files
    ));
    if file_bytes > 2 * checked.row_bytes.max(1 << 20) {
        let hint = out.paint(FAINT, "`host store compact` gives back what is not used");
        out.line(hint);
    }
    Ok(0)
}

pub fn compact(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let Some(Kept::Compacted { before, after }) = keep(app, &Chore::Compact, out)? else {
        return Err(CliError::usage(
            "STORE_MISSING",
            "there is no store yet: the first run makes it",
        ));
    };
    if out.json {
        out.json(&json!({ "before": before, "after": after }));
        return Ok(0);
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    out.line(format!(
        "{mark} the store takes {} of the disk; before it took {}",
        bytes_for_people(after),
        bytes_for_people(before)
    ));
    Ok(0)
}

pub fn downgrade(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let missing = || CliError::usage("STORE_MISSING", "there is no store yet: the first run makes it");
    let ground = app.reader()?.ok_or_else(missing)?;
    let is_frozen = Epoch::read(&*ground.store)?.frozen;
    if is_frozen || !epoch::held(&*ground.store)?.is_empty() {
        let message = "a restore holds runs or triggers, and the host before this one would go on with them";
        return Err(
            CliError::usage("RESTORE_HELD", message).help("`host restore` tells what is held, and how it goes on")
        );
    }
    drop(ground);
    let format = signed::alone(app, Act::new("store.downgrade", "store"), || app.downgrade())?;
    if out.json {
        out.json(&json!({ "format": format }));
        return Ok(0);
    }
    let mark = out.paint(GOOD, out.symbol("✓"));
    out.line(format!(
        "{mark} the store has format {format}: start the host before this one; whatever this one opens for writing is brought forward again"
    ));
    Ok(0)
}
