//! `host init`: a project with a demo that needs no keys.
//!
//! Its files are this repository's own, which is a project too: there is one copy of the demo, and the tests run it.
//! Nothing that is there already is touched.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::data::shell_word;
use super::error::{CliError, OTHER};
use super::out::{FAINT, GOOD, Out, bytes_for_people, plain};
use crate::config::FILE_NAME;
use crate::io::fresh::write_new;

/// What becomes part of every project, with a word on each. `host.toml` comes last: with it the folder is a project.
const FILES: [(&str, &[u8], &str); 18] = [
    (
        "playbooks/demo.rhai",
        include_bytes!("../../playbooks/demo.rhai"),
        "from a feed and a video to a captioned clip",
    ),
    (
        "playbooks/learn/store.rhai",
        include_bytes!("../../playbooks/learn/store.rhai"),
        "keep things between runs",
    ),
    (
        "playbooks/learn/errors.rhai",
        include_bytes!("../../playbooks/learn/errors.rhai"),
        "what to do when something fails",
    ),
    (
        "playbooks/learn/incident.rhai",
        include_bytes!("../../playbooks/learn/incident.rhai"),
        "a fault to find, ask about and mend",
    ),
    (
        "playbooks/demo_test.rhai",
        include_bytes!("../../playbooks/demo_test.rhai"),
        "its tests",
    ),
    (
        "playbooks/demo_test.snap",
        include_bytes!("../../playbooks/demo_test.snap"),
        "what its runs were when they were reviewed",
    ),
    (
        "playbooks/learn/store_test.rhai",
        include_bytes!("../../playbooks/learn/store_test.rhai"),
        "its tests",
    ),
    (
        "playbooks/learn/store_test.snap",
        include_bytes!("../../playbooks/learn/store_test.snap"),
        "what its runs were when they were reviewed",
    ),
    (
        "playbooks/learn/errors_test.rhai",
        include_bytes!("../../playbooks/learn/errors_test.rhai"),
        "its tests",
    ),
    (
        "playbooks/learn/errors_test.snap",
        include_bytes!("../../playbooks/learn/errors_test.snap"),
        "what its runs were when they were reviewed",
    ),
    (
        "playbooks/learn/incident_test.rhai",
        include_bytes!("../../playbooks/learn/incident_test.rhai"),
        "its tests",
    ),
    (
        "playbooks/learn/incident_test.snap",
        include_bytes!("../../playbooks/learn/incident_test.snap"),
        "what its runs were when they were reviewed",
    ),
    (
        "prompts/demo/caption.md",
        include_bytes!("../../prompts/demo/caption.md"),
        "the words for the language model",
    ),
    (
        "inbox/feed.json",
        include_bytes!("../../inbox/feed.json"),
        "twelve topics to choose from",
    ),
    (
        "inbox/clip.mp4",
        include_bytes!("../../inbox/clip.mp4"),
        "twelve seconds of video",
    ),
    (
        ".env.example",
        include_bytes!("../../.env.example"),
        "switches, signals and secrets: copy it to .env",
    ),
    (
        ".gitignore",
        b"/data\n/.host\n.env\n",
        "keeps data and secrets out of git",
    ),
    (FILE_NAME, include_bytes!("../../host.toml"), "settings, each explained"),
];

#[derive(clap::Args)]
pub struct Args {
    /// The folder, made if there is none; the current one when not given.
    dir: Option<PathBuf>,
}

pub fn perform(args: Args, folder: &Path, out: &mut Out) -> Result<u8, CliError> {
    let target = args
        .dir
        .as_ref()
        .map_or_else(|| folder.to_owned(), |dir| folder.join(dir));
    let above = target
        .ancestors()
        .skip(1)
        .find(|above| above.join(FILE_NAME).is_file())
        .map(Path::to_owned);
    let mut made = Vec::new();
    let mut kept = Vec::new();
    for file in FILES {
        let path = target.join(file.0);
        let written = write_new(&path, file.1).map_err(|error| {
            let message = format!("{} cannot be made: {error}", path.display());
            let so_far = match made.len() {
                0 => "nothing was made".to_owned(),
                1 => "1 file was made before".to_owned(),
                count => format!("{count} files were made before; `host init` goes on from there"),
            };
            CliError::new("INIT_FILE", message, OTHER)
                .note(so_far)
                .help("name a folder that can be written: `host init DIR`")
        })?;
        if written { made.push(file) } else { kept.push(file) }
    }
    if out.json {
        let names =
            |files: &[(&str, &[u8], &str)]| files.iter().map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>();
        out.json(&json!({ "folder": target.display().to_string(), "made": names(&made), "kept": names(&kept) }));
        return Ok(0);
    }
    show(&target, &made, &kept, out);
    if let Some(above) = above {
        out.line("");
        out.line(format!(
            "note    it lies within another project, {}; commands here speak of the inner one",
            plain(&above.display().to_string())
        ));
    }
    out.line("");
    next(args.dir.as_deref(), out);
    Ok(0)
}

fn show(target: &Path, made: &[(&str, &[u8], &str)], kept: &[(&str, &[u8], &str)], out: &mut Out) {
    let target = plain(&target.display().to_string());
    out.line(match (made.len(), kept.len()) {
        (0, _) => format!("{target} has everything already; nothing was changed"),
        (_, 0) => format!("a new project in {target}"),
        _ => format!("the project in {target}, with what was missing"),
    });
    out.line("");
    for (name, bytes, word) in made {
        let size = bytes_for_people(bytes.len() as u64);
        let line = format!(
            "  {} {name:<34} {size:>9}  {}",
            out.paint(GOOD, "+"),
            out.paint(FAINT, word)
        );
        out.line(line);
    }
    for (name, ..) in kept {
        let line = format!("  = {name:<34} {}", out.paint(FAINT, "was there, left as it is"));
        out.line(line);
    }
}

fn next(dir: Option<&Path>, out: &mut Out) {
    if let Some(dir) = dir {
        out.line(format!("cd {}", shell_word(&dir.display().to_string())));
    }
    let hints = [
        ("host run demo", "runs the demo; nothing leaves this machine"),
        ("host plan demo", "what a run would do, without doing it"),
        ("host test", "tests the playbooks, in worlds of their own"),
        ("host functions", "what playbooks can call"),
    ];
    for (command, word) in hints {
        let word = out.paint(FAINT, word);
        out.line(format!("{command:<20}{word}"));
    }
}
