//! Commands that texts for people name: whether there are such.

use clap::CommandFactory;

/// What of the commands named in the code spans of `text` is none. `whose` says where they stand.
pub fn unknown(whose: &str, text: &str) -> Vec<String> {
    let mut all = super::Cli::command();
    all.build();
    let spans = text.split('`').skip(1).step_by(2);
    let named = spans.filter_map(|span| span.strip_prefix("host "));
    named
        .filter(|named| !is_known(&all, named))
        .map(|named| format!("{whose}: host {named}"))
        .collect()
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
    for word in words {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split(['=', '|']).next().unwrap_or(flag);
            let known = below.get_arguments().any(|known| known.get_long() == Some(flag));
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

/// Whether a word stands for something to be given: `RUN`, `QUEUE`.
fn is_argument(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
