//! Commands that texts for people name: whether there are such.

use clap::CommandFactory;

/// What of the commands named in the code spans of `text` is none. `whose` says where they stand.
pub fn unknown(whose: &str, text: &str) -> Vec<String> {
    let mut all = super::Cli::command();
    all.build();
    let spans = text.split('`').skip(1).step_by(2);
    let named = spans.filter_map(|span| span.strip_prefix("host ")?.split(['>', '#']).next());
    named
        .filter(|named| !is_known(&all, named))
        .map(|named| format!("{whose}: host {named}"))
        .collect()
}

/// What of the commands typed on lines of `text` is none: as they stand in blocks, or after a prompt, `sudo` and the like.
pub fn unknown_lines(whose: &str, text: &str) -> Vec<String> {
    const BEFORE: [&str; 5] = [
        "$ ",
        "sudo -u host ",
        "podman exec host ",
        "docker compose exec host ",
        "ExecStart=/usr/local/bin/",
    ];
    let mut all = super::Cli::command();
    all.build();
    let typed = |line: &str| {
        let mut line = line.trim_start();
        for before in BEFORE {
            line = line.strip_prefix(before).unwrap_or(line);
        }
        Some(
            line.strip_prefix("host ")?
                .split("  ")
                .next()?
                .split(['|', '>', '#', ';'])
                .next()?
                .to_owned(),
        )
    };
    let typed = text.lines().filter_map(typed);
    typed
        .filter(|typed| !is_typed_right(&all, typed))
        .map(|typed| format!("{whose}: host {typed}"))
        .collect()
}

/// Commands, subcommands and flags are there; values are anything.
fn is_typed_right(all: &clap::Command, typed: &str) -> bool {
    let mut below = all;
    for word in typed.split_whitespace() {
        let mut known = below.get_arguments().chain(all.get_arguments());
        // The inputs of a playbook are flags, too.
        let takes_any = below.get_arguments().any(|known| known.get_id() == "rest");
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap_or(flag);
            if !takes_any && !known.any(|known| known.get_long() == Some(flag)) {
                return false;
            }
        } else if let Some(found) = below.find_subcommand(word) {
            below = found;
        } else if below.has_subcommands() && below.get_positionals().next().is_none() {
            return false;
        }
    }
    true
}

fn is_known(all: &clap::Command, named: &str) -> bool {
    let mut words = named.split_whitespace();
    let first = words.next().unwrap_or_default();
    // `host …` stands for any command; a flag is of the whole.
    if first.starts_with('-') || first == "…" || first == "COMMAND" {
        return true;
    }
    let Some(mut below) = all.find_subcommand(first) else {
        return false;
    };
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--") {
            let value_follows = !flag.contains('=');
            let flag = flag.split(['=', '|']).next().unwrap_or(flag);
            let found = below.get_arguments().find(|known| known.get_long() == Some(flag));
            if value_follows && found.is_some_and(|found| found.get_action().takes_values()) {
                words.next_if(|value| is_argument(value));
            }
            let known = found.is_some();
            // The inputs of a playbook are flags, too.
            let takes_any = below.get_arguments().any(|known| known.get_id() == "rest");
            if !known && !takes_any {
                return false;
            }
        } else if below.has_subcommands() {
            match below.find_subcommand(word) {
                Some(found) => below = found,
                // What may be given in place of a subcommand.
                None if is_argument(word) && below.get_positionals().next().is_some() => {}
                None => return false,
            }
        } else if below.get_positionals().next().is_none() && is_argument(word) {
            return false;
        }
    }
    true
}

/// Whether a word stands for something to be given: `RUN`, `QUEUE`, `/tmp/FILE`.
fn is_argument(word: &str) -> bool {
    if word.starts_with('/') {
        return true;
    }
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
