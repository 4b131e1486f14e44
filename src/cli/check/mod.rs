//! `host check`: mistakes in playbooks and prompts, found without running them.

pub mod frames;
pub mod known;
mod repair;
mod sarif;
pub mod survey;

use serde_json::json;

use self::survey::Survey;
use super::error::{CliError, USAGE};
use super::out::{BAD, GOOD, Out, plain};
use super::progress::Busy;
use crate::app::App;
use crate::script::check::Project;
use crate::script::findings::{Finding, Level};

#[derive(clap::Args)]
pub struct Args {
    /// Names below playbooks/, or paths of .rhai files; all of playbooks/ and prompts/ when none is given.
    playbooks: Vec<String>,
    /// Make the fixes that are certain, and tell what is left.
    #[arg(long)]
    fix: bool,
    /// Fail on warnings, too; as `deny_warnings = true` in [check] of host.toml.
    #[arg(long)]
    deny_warnings: bool,
    /// Show hints, too.
    #[arg(long)]
    hints: bool,
    /// Answer in SARIF 2.1.0, as services that show findings beside code read it.
    #[arg(long, conflicts_with_all = ["json", "fix"])]
    sarif: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let is_whole = args.playbooks.is_empty();
    let names = match is_whole {
        true => all(app)?,
        false => args.playbooks,
    };
    let project = known::project(app);
    let mut survey = look(app, &project, &names, is_whole, out)?;
    let mut repaired = Vec::new();
    if args.fix {
        for (file, text) in &survey.texts {
            if survey
                .of_file(file)
                .any(|finding| finding.fixes.iter().any(|fix| fix.is_safe))
            {
                repaired.extend(repair::repair(app, &project, file, text)?);
            }
        }
        if !repaired.is_empty() {
            survey = look(app, &project, &names, is_whole, out)?;
        }
    }
    if !args.hints {
        survey.findings.retain(|finding| finding.level < Level::Hint);
    }
    let deny = args.deny_warnings || project.settings.deny_warnings;
    let fails = survey.count(Level::Error) > 0 || (deny && survey.count(Level::Warning) > 0);
    if args.sarif {
        out.json(&sarif::log(&survey.findings));
    } else if out.json {
        let problems: Vec<_> = survey.findings.iter().map(to_json).collect();
        let mut answer = json!({ "ok": !fails, "checked": names, "problems": problems });
        if args.fix {
            let fixed = repaired.iter().flat_map(|file| {
                let change =
                    |done: &repair::Done| json!({ "file": file.file, "line": done.line, "code": done.code, "change": done.what });
                file.done.iter().map(change)
            });
            answer["fixed"] = fixed.collect();
        }
        out.json(&answer);
    } else {
        show_repaired(&repaired, out);
        show(&names, is_whole, &survey, fails, out);
    }
    Ok(if fails { USAGE } else { 0 })
}

fn look(app: &App, project: &Project, names: &[String], is_whole: bool, out: &Out) -> Result<Survey, CliError> {
    let busy = Busy::new(out, "checking");
    let mut survey = survey::survey(app, project, names, is_whole, &busy)?;
    // Prompts belong to the project, not to one playbook.
    if is_whole {
        survey::add_prompts(app, &mut survey);
    }
    busy.done();
    Ok(survey)
}

pub(super) fn all(app: &App) -> Result<Vec<String>, CliError> {
    let mut names = app.library.files.list();
    names.extend(app.library.files.tests());
    if !names.is_empty() {
        return Ok(names);
    }
    Err(match app.config.project {
        Some(_) => CliError::usage("NOTHING_TO_CHECK", "playbooks/ holds no playbook")
            .help("add playbooks/NAME.rhai, or name the path of a script"),
        None => CliError::usage("NO_PROJECT", "this is no project, so there is no playbooks/ to check")
            .help("name the path of a script, or make a project with `host init`"),
    })
}

pub fn to_json(finding: &Finding) -> serde_json::Value {
    let region = finding.region;
    let place = |pick: fn(crate::script::findings::Region) -> u32| region.map(pick);
    let related = finding.related.iter().map(|related| {
        json!({
            "message": related.message,
            "file": related.file,
            "line": related.region.line,
            "column": related.region.column,
        })
    });
    let fixes = finding.fixes.iter().map(|fix| {
        let edits = fix.edits.iter().map(
            |edit| json!({ "file": edit.file, "start": edit.span.start, "end": edit.span.end, "text": edit.text }),
        );
        json!({ "title": fix.title, "is_safe": fix.is_safe, "edits": edits.collect::<Vec<_>>() })
    });
    json!({
        "code": finding.code,
        "level": finding.level,
        "message": finding.message,
        "file": finding.file,
        "line": place(|region| region.line),
        "column": place(|region| region.column),
        "end_line": place(|region| region.end_line),
        "end_column": place(|region| region.end_column),
        "help": finding.help,
        "related": related.collect::<Vec<_>>(),
        "fixes": fixes.collect::<Vec<_>>(),
    })
}

fn show_repaired(repaired: &[repair::Repaired], out: &mut Out) {
    for file in repaired {
        let name = plain(&file.file);
        out.line(format!("{name} was changed:"));
        for done in &file.done {
            out.line(format!(
                "  line {}: {} ({})",
                done.line,
                plain(&done.what),
                plain(&done.code)
            ));
        }
        out.line("");
    }
}

fn show(names: &[String], is_whole: bool, survey: &Survey, fails: bool, out: &mut Out) {
    for finding in &survey.findings {
        let text = frames::render(finding, survey, out);
        out.line(text);
        out.line("");
    }
    let playbooks = match names {
        [only] => plain(only),
        names => format!("{} playbooks", names.len()),
    };
    let playbooks = match is_whole {
        true => format!("{playbooks} and the prompts"),
        false => playbooks,
    };
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let said: Vec<String> = [
        counted(survey.count(Level::Error), "mistake", "mistakes"),
        counted(survey.count(Level::Warning), "warning", "warnings"),
        counted(survey.count(Level::Hint), "hint", "hints"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let said = match said.is_empty() {
        true => "nothing wrong".to_owned(),
        false => said.join(", "),
    };
    let mark = match fails {
        true => out.paint(BAD, out.symbol("✗")),
        false => out.paint(GOOD, out.symbol("✓")),
    };
    out.line(format!("{mark} {playbooks} checked, {said}"));
    let fixable = survey
        .findings
        .iter()
        .filter(|finding| finding.fixes.iter().any(|fix| fix.is_safe))
        .count();
    if fixable > 0 {
        out.line(format!(
            "  host check --fix    makes {fixable} of the changes by itself"
        ));
    }
    if !survey.findings.is_empty() {
        out.line("  host explain CODE   tells more of one");
    }
}
