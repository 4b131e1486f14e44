//! What begins with a colon is no script: `:help`, `:reset`, `:effects`, `:load`, `:quit`.

use super::Repl;
use crate::cli::error::CliError;
use crate::cli::out::{FAINT, Out};
use crate::cli::progress::effect_line;
use crate::io::scripts::read_text;
use crate::script::error::nearest;
use crate::script::limits::SOURCE_BYTES_MAX;

/// The commands, with what each does.
pub const COMMANDS: [(&str, &str); 5] = [
    (":help", "this"),
    (":effects", "what this session has done to its scratch world"),
    (":load FILE", "enters a whole script"),
    (":reset", "forgets variables, functions and everything kept"),
    (":quit", "ends it, as Ctrl-D does"),
];

/// What comes after a command.
pub enum After {
    /// It is done.
    Nothing,
    Quit,
    /// It was none: it is a script.
    Script,
}

pub fn perform(text: &str, repl: &mut Repl<'_>, out: &mut Out) -> After {
    let Some(command) = text.trim().strip_prefix(':') else {
        return After::Script;
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (name, rest.trim()) {
        ("quit" | "q" | "exit", _) => return After::Quit,
        ("help" | "h", _) => help(out),
        ("reset", _) => {
            repl.reset(out);
            note("a new scratch world", out);
        }
        ("effects", _) => effects(repl, out),
        ("load", "") => refuse("`:load` needs a file: `:load playbooks/demo.rhai`", repl, out),
        ("load", file) => load(file, repl, out),
        (other, _) => {
            let names = COMMANDS
                .iter()
                .map(|(name, _)| name.trim_start_matches(':').split(' ').next().unwrap_or(name));
            let message = match nearest(other, names) {
                Some(near) => format!("there is no command `:{other}`; did you mean `:{near}`?"),
                None => format!("there is no command `:{other}`; `:help` lists them"),
            };
            refuse(&message, repl, out);
        }
    }
    After::Nothing
}

/// Enters the script in `file` as a whole.
pub fn load(file: &str, repl: &mut Repl<'_>, out: &mut Out) {
    match read_text(file, SOURCE_BYTES_MAX as u64) {
        Ok(text) => repl.enter(&text, out),
        Err(reason) => {
            let error = CliError::usage("PLAYBOOK_UNREADABLE", format!("{file} cannot be read: {reason}"));
            repl.refuse(&error, out);
        }
    }
}

fn help(out: &mut Out) {
    out.line("Type what a playbook could say; the value of the last expression is shown.");
    out.line("Variables, functions and imports stay. Providers are simulated; what is stored lies in a scratch world.");
    out.line("");
    for (name, what) in COMMANDS {
        let what = out.paint(FAINT, what);
        out.line(format!("  {name:<12} {what}"));
    }
    out.line("");
    out.line(
        "An open bracket goes on on the next line; an empty line ends it all the same. Ctrl-C stops a line that runs.",
    );
    out.line("A line that begins with a blank is not kept in the history.");
}

fn effects(repl: &Repl<'_>, out: &mut Out) {
    let effects = repl.seen.since(0);
    if out.json {
        out.json_line(
            &effects
                .iter()
                .map(|answer| crate::report::entry(answer, None))
                .collect::<Vec<_>>(),
        );
        return;
    }
    for answer in &effects {
        let line = effect_line(answer, out);
        out.line(line);
    }
    note(
        &format!(
            "{} so far",
            match effects.len() {
                1 => "1 effect".to_owned(),
                count => format!("{count} effects"),
            }
        ),
        out,
    );
}

fn refuse(message: &str, repl: &mut Repl<'_>, out: &mut Out) {
    repl.refuse(&CliError::usage("USAGE", message), out);
}

fn note(text: &str, out: &mut Out) {
    if !out.json {
        let text = out.paint(FAINT, text);
        out.line(text);
    }
}
