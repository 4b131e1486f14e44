//! `host new NAME`: a playbook out of a template, with its prompts.
//!
//! A template is a folder in `templates/`: `playbook.rhai` becomes playbooks/NAME.rhai, and each other file
//! prompts/NAME/FILE. Words in double underscores stand for what follows from the name; braces are left to the prompts.

use std::path::PathBuf;

use clap_complete::engine::CompletionCandidate;
use include_dir::{Dir, include_dir};
use serde_json::json;

use super::drive::hint_lines;
use super::error::{CliError, OTHER};
use super::out::{FAINT, GOOD, Out, STRONG};
use crate::app::App;
use crate::io::fresh::write_new;
use crate::script::error::nearest;
use crate::script::format;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/templates");

/// What is made when nothing is said.
const PRESET: &str = "empty";

/// The file of a template that becomes the playbook.
const PLAYBOOK: &str = "playbook.rhai";

/// Characters of a name.
const NAME_CHARS_MAX: usize = 80;

/// A template, with a line on what it is for and what to try first.
struct Template {
    name: &'static str,
    about: &'static str,
    /// Words after `host plan NAME`.
    plan_words: &'static str,
}

const TEMPLATES_IN_ORDER: [Template; 8] = [
    Template {
        name: "empty",
        about: "a header, one input and one effect",
        plan_words: "",
    },
    Template {
        name: "schedule",
        about: "a schedule: starts every minute, and counts",
        plan_words: "",
    },
    Template {
        name: "publish",
        about: "a publish loop: pick a topic, write, ask a person, post, remember",
        plan_words: " --answer yes",
    },
    Template {
        name: "ingest",
        about: "ingestion: read a feed page by page, keep each item once, go on where it stopped",
        plan_words: "",
    },
    Template {
        name: "video",
        about: "a weekly video: the newest file as a captioned vertical clip",
        plan_words: "",
    },
    Template {
        name: "http",
        about: "a route: take what whoever may ask sends, keep it once, and answer",
        plan_words: " --topic soups",
    },
    Template {
        name: "webhook",
        about: "a webhook: check what a service sends, once, and tell the team",
        plan_words: "",
    },
    Template {
        name: "report",
        about: "a scheduled report: count what happened, and send the summary",
        plan_words: " --days 30",
    },
];

#[derive(clap::Args)]
pub struct Args {
    /// Its name below playbooks/: lower-case letters, digits, `-` and `_`, with `/` for folders.
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// What it begins as; --list tells of each.
    #[arg(short, long, value_name = "TEMPLATE", default_value = PRESET)]
    template: String,
    /// List the templates.
    #[arg(long, conflicts_with = "template")]
    list: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let (false, Some(name)) = (args.list, args.name) else {
        list(out);
        return Ok(0);
    };
    let template = find(&args.template)?;
    let name = checked(&name)?;
    let root = app.config.project.clone().ok_or_else(|| {
        CliError::usage(
            "NO_PROJECT",
            "this is no project, so there is no playbooks/ to put it into",
        )
        .help("`host init` makes a project here")
    })?;
    let files = files(template, name);
    if let Some((there, _)) = files
        .iter()
        .find(|(path, _)| root.join(path).symlink_metadata().is_ok())
    {
        return Err(exists(there));
    }
    for (path, text) in &files {
        let made = write_new(&root.join(path), text.as_bytes()).map_err(|error| {
            let message = format!("{path} cannot be made: {error}");
            CliError::new("INIT_FILE", message, OTHER).help("see that the project's folder can be written")
        })?;
        if !made {
            return Err(exists(path));
        }
    }
    if out.json {
        let made: Vec<&String> = files.iter().map(|(path, _)| path).collect();
        out.json(&json!({ "playbook": name, "template": template.name, "made": made }));
        return Ok(0);
    }
    show(name, template, &files, out);
    Ok(0)
}

fn exists(path: &str) -> CliError {
    CliError::usage(
        "PLAYBOOK_EXISTS",
        format!("{path} is there already, and nothing is overwritten"),
    )
    .help("choose another name, or remove it first")
}

fn find(name: &str) -> Result<&'static Template, CliError> {
    let known = || TEMPLATES_IN_ORDER.iter();
    known().find(|template| template.name == name).ok_or_else(|| {
        let error = CliError::usage("UNKNOWN_TEMPLATE", format!("there is no template {name:?}"));
        match nearest(name, known().map(|template| template.name)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("`host new --list` tells of all of them"),
        }
    })
}

/// The name, if one can be typed, imported and listed without quoting.
fn checked(name: &str) -> Result<&str, CliError> {
    let name = name.strip_suffix(".rhai").unwrap_or(name);
    let name = name.strip_prefix("playbooks/").unwrap_or(name);
    let wrong = |why: &str| {
        let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
        let error = CliError::usage(
            "PLAYBOOK_NAME",
            format!("{shown:?} cannot be the name of a playbook: {why}"),
        );
        Err(error.help("lower-case letters, digits, `-` and `_`, and `/` for folders: daily/publish"))
    };
    if name.chars().count() > NAME_CHARS_MAX {
        return wrong(&format!("it is longer than {NAME_CHARS_MAX} characters"));
    }
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_';
    for word in name.split('/') {
        match word.chars().next() {
            None => return wrong("a part of it is empty"),
            Some(first) if !first.is_ascii_lowercase() && !first.is_ascii_digit() => {
                return wrong(&format!("{word:?} does not begin with a lower-case letter or a digit"));
            }
            Some(_) => {}
        }
        if let Some(other) = word.chars().find(|letter| !fits(*letter)) {
            return wrong(&format!("{other:?} is not allowed in it"));
        }
    }
    if name.ends_with("_test") {
        return wrong("`_test` is the ending of tests");
    }
    Ok(name)
}

/// The files of a template under the name `name`: their paths below the project, and their texts.
fn files(template: &Template, name: &str) -> Vec<(String, String)> {
    let folder = TEMPLATES.get_dir(template.name).expect("every template has its folder");
    let stem = name.rsplit('/').next().unwrap_or(name);
    let plain = |separator: &str| name.replace(['/', '-'], separator);
    let words = [
        ("__NAME__", name.to_owned()),
        ("__KEY__", name.replace('/', ".")),
        ("__COLLECTION__", plain("_").chars().take(64).collect()),
        ("__TITLE__", title(stem)),
    ];
    let mut files = Vec::new();
    for file in folder.files() {
        let own = file.path().file_name().map(PathBuf::from).unwrap_or_default();
        let own = own.to_string_lossy();
        let text = file.contents_utf8().expect("templates are text");
        let text = words
            .iter()
            .fold(text.to_owned(), |text, (word, with)| text.replace(word, with));
        let path = match &*own {
            PLAYBOOK => format!("playbooks/{name}.rhai"),
            "playbook_test.rhai" => format!("playbooks/{name}_test.rhai"),
            prompt => format!("prompts/{name}/{prompt}"),
        };
        // A name may be longer or shorter than the word that stands for it.
        let styled = path.ends_with(".rhai").then(|| format::format(&text).ok()).flatten();
        files.push((path, styled.unwrap_or(text)));
    }
    files.sort();
    files
}

/// `weekly-video` as `Weekly video`.
fn title(stem: &str) -> String {
    let words = stem.replace(['-', '_'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

fn list(out: &mut Out) {
    if out.json {
        let row = |template: &Template| json!({ "template": template.name, "about": template.about });
        out.json(&TEMPLATES_IN_ORDER.iter().map(row).collect::<Vec<_>>());
        return;
    }
    for template in &TEMPLATES_IN_ORDER {
        let about = out.paint(FAINT, template.about);
        out.line(format!("  {:<10}{about}", template.name));
    }
    out.line("");
    out.line("host new NAME --template TEMPLATE   makes playbooks/NAME.rhai and its prompts");
}

fn show(name: &str, template: &Template, files: &[(String, String)], out: &mut Out) {
    let shown = out.paint(STRONG, name);
    out.line(format!("a new playbook {shown}, from the template {}", template.name));
    out.line("");
    for (path, text) in files {
        let lines = format!("{} lines", text.lines().count());
        let line = format!("  {} {path:<36} {}", out.paint(GOOD, "+"), out.paint(FAINT, &lines));
        out.line(line);
    }
    let plan = format!("host plan {name}{}", template.plan_words);
    let mut hints = vec![
        (
            format!("host dev {name}"),
            "plans it whenever you save, and tells what changed",
        ),
        (plan, "what a run would do, without doing it"),
        (format!("host check {name}"), "finds mistakes without running it"),
    ];
    if files.iter().any(|(path, _)| path.ends_with("_test.rhai")) {
        hints.push((format!("host test {name}"), "runs its tests"));
    }
    if files.iter().any(|(_, text)| text.contains("\n    schedule: ")) {
        hints.push((format!("host next {name}"), "when it will start"));
        hints.push(("host serve".to_owned(), "starts what is due, as long as it runs"));
    }
    hint_lines(&hints, out);
}

/// For whoever completes the command line.
pub fn template_names(_: &App) -> Vec<CompletionCandidate> {
    let candidate = |template: &Template| CompletionCandidate::new(template.name).help(Some(template.about.into()));
    TEMPLATES_IN_ORDER.iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_a_template_and_every_template_a_folder() {
        let mut folders: Vec<&str> = TEMPLATES.dirs().filter_map(|dir| dir.path().to_str()).collect();
        folders.sort_unstable();
        let mut names = TEMPLATES_IN_ORDER.map(|template| template.name);
        names.sort_unstable();
        assert_eq!(folders, names);
    }

    #[test]
    fn no_word_of_a_template_is_left_unfilled() {
        for template in &TEMPLATES_IN_ORDER {
            for (path, text) in files(template, "daily/my-loop") {
                assert!(!text.contains("__"), "{path}: {text}");
                assert!(path.contains("daily/my-loop"), "{path}");
            }
        }
    }

    #[test]
    fn names_that_could_not_be_typed_or_imported_are_refused() {
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "../a",
            ".a",
            "A",
            "a b",
            "a\u{1b}[2J",
            "-a",
            "a_test",
            "ä",
        ] {
            assert!(checked(name).is_err(), "{name:?}");
        }
        assert!(checked(&"a".repeat(NAME_CHARS_MAX + 1)).is_err());
        for name in ["a", "daily/publish", "a-b_c1", "2026"] {
            assert_eq!(checked(name).expect(name), name);
        }
        assert_eq!(checked("playbooks/a/b.rhai").expect("a path"), "a/b");
    }
}
