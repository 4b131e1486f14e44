//! Which lines of playbooks the cases have run: for people, in JSON, and as LCOV.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::cli::out::{BAD, FAINT, GOOD, Out, plain};
use crate::io::scripts::ScriptFiles;
use crate::script::coverage::Coverage;
use crate::script::source::Text;

/// The most stretches of lines that are named of one file.
const STRETCHES_MAX: usize = 12;

/// One file of playbooks.
pub struct Covered {
    file: String,
    /// How often each line was run, of those that can be.
    lines: BTreeMap<u32, u64>,
}

impl Covered {
    fn run(&self) -> usize {
        self.lines.values().filter(|count| **count > 0).count()
    }

    /// The lines that were not run, side by side ones together: `12-14`.
    fn missing(&self) -> Vec<String> {
        let mut stretches: Vec<(u32, u32)> = Vec::new();
        let mut is_open = false;
        for (line, count) in &self.lines {
            match stretches.last_mut() {
                _ if *count > 0 => is_open = false,
                Some((_, end)) if is_open => *end = *line,
                _ => {
                    stretches.push((*line, *line));
                    is_open = true;
                }
            }
        }
        let word = |(first, last): (u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        stretches.into_iter().map(word).collect()
    }
}

/// All playbooks and modules, those too that no case has played.
pub fn of_project(coverage: &Coverage, files: &ScriptFiles) -> Vec<Covered> {
    let found = files.list().into_iter().filter_map(|name| files.playbook(&name).ok());
    found
        .map(|found| {
            if coverage.lines(&found.file).is_empty() {
                coverage.mark(&Text::new(found.file.as_str(), found.text));
            }
            Covered {
                lines: coverage.lines(&found.file),
                file: found.file,
            }
        })
        .collect()
}

pub fn to_json(covered: &[Covered]) -> Json {
    let file = |covered: &Covered| {
        let missing: Vec<u32> = covered
            .lines
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(line, _)| *line)
            .collect();
        json!({ "file": covered.file, "lines": covered.lines.len(), "run": covered.run(), "missing": missing })
    };
    covered.iter().map(file).collect()
}

/// The format of lcov, as editors and build servers read it.
pub fn lcov(covered: &[Covered]) -> String {
    let mut text = String::new();
    for covered in covered {
        text.push_str(&format!("TN:\nSF:{}\n", covered.file));
        for (line, count) in &covered.lines {
            text.push_str(&format!("DA:{line},{count}\n"));
        }
        text.push_str(&format!(
            "LF:{}\nLH:{}\nend_of_record\n",
            covered.lines.len(),
            covered.run()
        ));
    }
    text
}

pub fn show(covered: &[Covered], out: &mut Out) {
    let row = |name: &str, run: usize, all: usize, missing: String| {
        vec![
            format!("  {}", plain(name)),
            format!("{run} of {all}"),
            percent(run, all),
            missing,
        ]
    };
    let mut rows = Vec::new();
    for one in covered {
        let mut missing = one.missing();
        let more = missing.len().saturating_sub(STRETCHES_MAX);
        missing.truncate(STRETCHES_MAX);
        if more > 0 {
            missing.push(format!("and {more} more"));
        }
        rows.push(row(&one.file, one.run(), one.lines.len(), missing.join(", ")));
    }
    let (run, all) = covered
        .iter()
        .fold((0, 0), |(run, all), one| (run + one.run(), all + one.lines.len()));
    if covered.len() > 1 {
        rows.push(row("all", run, all, String::new()));
    }
    for row in &mut rows {
        let style = if row[2] == "100 %" { GOOD } else { BAD };
        row[2] = out.paint(style, &row[2]);
        row[3] = out.paint(FAINT, &row[3]);
    }
    out.line("");
    out.table(&["  lines run", "", "", "not run"], &rows);
}

/// Never 100 while a line is missing.
fn percent(run: usize, all: usize) -> String {
    match all {
        0 => "100 %".to_owned(),
        all => format!("{} %", run * 100 / all),
    }
}
