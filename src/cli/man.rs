//! `host man DIR`: manual pages out of the commands' own help, one for each.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::json;

use super::data::shell_word;
use super::error::{CliError, OTHER};
use super::out::{FAINT, Out, plain};
use crate::io::pages;

#[derive(clap::Args)]
pub struct Args {
    /// The folder to write them to, made if there is none.
    dir: PathBuf,
}

pub fn perform(args: Args, folder: &Path, out: &mut Out) -> Result<u8, CliError> {
    let target = folder.join(&args.dir);
    let mut whole = super::Cli::command().disable_help_subcommand(true);
    whole.build();
    let mut made = Vec::new();
    write_pages(&whole, "host", &target, &mut made)?;
    if out.json {
        out.json(&json!({ "folder": target.display().to_string(), "made": made }));
        return Ok(0);
    }
    out.line(format!(
        "{} manual pages in {}",
        made.len(),
        plain(&target.display().to_string())
    ));
    out.line("");
    let word = out.paint(FAINT, "   shows one");
    out.line(format!(
        "man {}{word}",
        shell_word(&args.dir.join("host-run.1").display().to_string())
    ));
    Ok(0)
}

/// The page of `command`, called `name`, and those of its subcommands.
fn write_pages(command: &clap::Command, name: &str, target: &Path, made: &mut Vec<String>) -> Result<(), CliError> {
    let file = format!("{name}.1");
    let failed = |error: std::io::Error| {
        CliError::new("REPORT_UNWRITABLE", format!("{file} cannot be written: {error}"), OTHER)
            .help("name a folder that can be written: `host man DIR`")
    };
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone())
        .title(name)
        .manual("host")
        .source(format!("host {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).map_err(failed)?;
    let page = with_no_date(&String::from_utf8_lossy(&page));
    pages::write(&target.join(&file), page.as_bytes()).map_err(failed)?;
    made.push(file);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, &format!("{name}-{}", below.get_name()), target, made)?;
    }
    Ok(())
}

/// The page's heading has a date, which would say when it was made; and where it is empty, what follows is taken for it.
fn with_no_date(page: &str) -> String {
    let heading = |line: &str| match line.strip_prefix(".TH ") {
        Some(rest) => format!(".TH {}", rest.replacen(" 1  ", " 1 \"\" ", 1)),
        None => line.to_owned(),
    };
    page.lines().map(|line| heading(line) + "\n").collect()
}
