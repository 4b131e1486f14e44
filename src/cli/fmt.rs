//! `host fmt`: playbooks in the one style.

use serde_json::json;

use super::check::all;
use super::error::{CliError, OTHER, Shown, USAGE, render};
use super::out::{BAD, CAREFUL, GOOD, Out, plain};
use super::unified;
use crate::app::App;
use crate::io::scripts::{Found, ScriptFault};
use crate::script::Diagnosis;
use crate::script::error::place_at;
use crate::script::format::{Unformatted, format};
use crate::script::source::Text;

#[derive(clap::Args)]
pub struct Args {
    /// Names below playbooks/, or paths of .rhai files; all of playbooks/ when none is given.
    files: Vec<String>,
    /// Change nothing, and fail when something is to be changed.
    #[arg(long)]
    check: bool,
    /// Change nothing, and show what would change.
    #[arg(long)]
    diff: bool,
}

/// What is to be done with one file.
enum Fate {
    Fine,
    Changes(String),
    LeftAlone(Unformatted),
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let is_whole = args.files.is_empty();
    let names = match is_whole {
        true => all(app)?,
        false => args.files,
    };
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for name in &names {
        let found = match is_whole {
            true => app.library.files.listed(name),
            false => app.library.files.playbook(name),
        };
        let found = match found {
            Ok(found) => found,
            // One that cannot be read does not keep the others from being formatted.
            Err(fault @ ScriptFault::Unreadable { .. }) => {
                unread.push(fault);
                continue;
            }
            Err(fault) => return Err(CliError::usage(fault.code(), fault.to_string())),
        };
        let fate = match format(&found.text) {
            Ok(text) if text == found.text => Fate::Fine,
            Ok(text) => Fate::Changes(text),
            Err(why) => Fate::LeftAlone(why),
        };
        files.push((found, fate));
    }
    let is_dry = args.check || args.diff;
    if !is_dry {
        for (found, fate) in &files {
            if let Fate::Changes(text) = fate {
                app.library
                    .files
                    .rewrite(&found.file, &found.text, text)
                    .map_err(|error| {
                        let message = format!("{} cannot be written: {error}", found.file);
                        CliError::new("PLAYBOOK_UNWRITABLE", message, OTHER)
                    })?;
            }
        }
    }
    let changed = files
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Changes(_)))
        .count();
    let left_alone = files
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::LeftAlone(_)))
        .count()
        + unread.len();
    if out.json {
        let of = |wanted: fn(&Fate) -> bool| {
            let files = files.iter().filter(|(_, fate)| wanted(fate));
            files.map(|(found, _)| found.file.as_str()).collect::<Vec<_>>()
        };
        let mut left: Vec<&str> = of(|fate| matches!(fate, Fate::LeftAlone(_)));
        left.extend(unread.iter().map(ScriptFault::file));
        out.json(&json!({
            "ok": left_alone == 0 && (changed == 0 || !is_dry),
            "files": names.len(),
            "written": !is_dry,
            "changed": of(|fate| matches!(fate, Fate::Changes(_))),
            "left_alone": left,
        }));
    } else {
        for (found, fate) in &files {
            show(found, fate, args.diff, is_dry, out);
        }
        for fault in &unread {
            let message = fault.to_string();
            let shown = Shown {
                code: fault.code(),
                message: &message,
                notes: &[],
                help: None,
            };
            let rendered = render(&shown, None, out.has_color(), out.unicode);
            out.line(rendered);
            out.line("");
        }
        conclude(names.len(), changed, left_alone, is_dry, out);
    }
    Ok(if left_alone > 0 || (args.check && changed > 0) {
        USAGE
    } else {
        0
    })
}

fn show(found: &Found, fate: &Fate, with_diff: bool, is_dry: bool, out: &mut Out) {
    match fate {
        Fate::Fine => {}
        Fate::Changes(text) if with_diff => show_diff(found, text, out),
        Fate::Changes(_) => {
            let mark = out.paint(CAREFUL, "~");
            let what = if is_dry { "is to be changed" } else { "changed" };
            out.line(format!("{mark} {}  {what}", plain(&found.file)));
        }
        Fate::LeftAlone(why) => {
            let text = Text::new(found.file.clone(), found.text.as_str());
            let (code, message) = match why {
                Unformatted::Syntax(problem) => ("SYNTAX", problem.message.clone()),
                Unformatted::TooLarge(_) => ("SCRIPT_TOO_LARGE", why.to_string()),
                Unformatted::Defect => ("PANIC", why.to_string()),
            };
            let diagnosis = match why {
                Unformatted::Syntax(problem) => {
                    let place = place_at(&found.text, problem.span.start);
                    Diagnosis::new(code, message.clone(), text).at(place)
                }
                _ => Diagnosis::new(code, message.clone(), text),
            };
            let shown = Shown {
                code,
                message: &message,
                notes: &[],
                help: Some("the file is left as it is; correct this, then format it again"),
            };
            let rendered = render(&shown, Some(&diagnosis), out.has_color(), out.unicode);
            out.line(rendered);
            out.line("");
        }
    }
}

fn show_diff(found: &Found, text: &str, out: &mut Out) {
    let file = found.file.as_str();
    unified::show([file, file], &found.text, text, out);
}

fn conclude(files: usize, changed: usize, left_alone: usize, is_dry: bool, out: &mut Out) {
    let counted = |count: usize| match count {
        1 => "1 playbook".to_owned(),
        count => format!("{count} playbooks"),
    };
    let what = match (changed, is_dry) {
        (0, _) => "nothing to change".to_owned(),
        (changed, true) => format!("{changed} to be changed"),
        (changed, false) => format!("{changed} changed"),
    };
    let left = match left_alone {
        0 => String::new(),
        left => format!(", {left} left alone"),
    };
    let is_fine = left_alone == 0 && (changed == 0 || !is_dry);
    let mark = match is_fine {
        true => out.paint(GOOD, out.symbol("✓")),
        false => out.paint(BAD, out.symbol("✗")),
    };
    out.line(format!("{mark} {} looked at, {what}{left}", counted(files)));
}
