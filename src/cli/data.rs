//! What `host store` and `host kv` share: which realm, one durable change, and values as words of a shell.
//!
//! A value that is printed as part of a command can be typed again as it stands: whatever could drive a terminal is
//! escaped, and what a shell would take apart is quoted.

use super::error::CliError;
use super::out::{Out, plain};
use super::signed;
use crate::app::App;
use crate::config::ConfigError;
use crate::journal::audit::Act;
use crate::store::{Durability, Realm, StoreError, Tx};
use crate::value::{Map, Value};

/// How often a change is made anew because somebody else was quicker.
const CONFLICTS_MAX: u32 = 16;

/// The deepest that a value from the command line nests; playbooks can hold no deeper one.
const DEPTH_MAX: usize = 64;

#[derive(clap::Args)]
pub struct RealmArgs {
    /// Which body of data: that of dry runs or that of live ones. As `DRY_RUN` says when not given.
    #[arg(long, global = true, value_name = "REALM")]
    realm: Option<RealmName>,
    /// The same as --realm live.
    #[arg(long, global = true, conflicts_with = "realm")]
    live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RealmName {
    Live,
    Dry,
}

impl RealmName {
    pub fn realm(self) -> Realm {
        match self {
            RealmName::Live => Realm::Live,
            RealmName::Dry => Realm::Dry,
        }
    }
}

impl RealmArgs {
    pub fn choose(&self, app: &App) -> Result<Realm, ConfigError> {
        match self.realm {
            Some(name) => Ok(name.realm()),
            None if self.live || !app.config.dry_run()? => Ok(Realm::Live),
            None => Ok(Realm::Dry),
        }
    }
}

/// The other body of data.
pub fn other(realm: Realm) -> Realm {
    match realm {
        Realm::Live => Realm::Dry,
        Realm::Dry => Realm::Live,
    }
}

/// `the DRY realm`
pub fn called(realm: Realm) -> String {
    format!("the {} realm", realm.to_string().to_uppercase())
}

/// Reads from the project's store; `None` when there is no store yet.
pub fn look<T>(
    app: &App,
    realm: Realm,
    read: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, CliError> {
    let Some(ground) = app.reader()? else {
        return Ok(None);
    };
    Ok(Some(read(&mut Tx::new(&ground, realm, app.clock.unix_ms()))?))
}

/// Makes `change` in one commit, signed with `act`, and answers when it is on disk.
pub fn change<T>(
    app: &App,
    realm: Realm,
    act: Act,
    change: impl Fn(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, CliError> {
    let ground = signed::writer(app, act.with("realm", realm.to_string()))?;
    let mut conflicts = 0;
    loop {
        let mut tx = Tx::new(&ground, realm, app.clock.unix_ms());
        let result = change(&mut tx)?;
        match ground.store.commit(tx.batch, Durability::Now) {
            Ok(_) => return Ok(result),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A word of the command line as JSON.
pub fn json(what: &str, word: &str) -> Result<Value, CliError> {
    let json: serde_json::Value = serde_json::from_str(word).map_err(|error| {
        let message = format!("{what} is no JSON: {error}");
        CliError::usage("JSON_INVALID", message).help("quote it for the shell: '{\"title\": \"Three habits\"}'")
    })?;
    shallow(what, Value::from_json(json))
}

/// A word of the command line as a map.
pub fn json_map(what: &str, word: &str) -> Result<Map, CliError> {
    match json(what, word)? {
        Value::Map(map) => Ok(map),
        other => {
            let message = format!("{what} must be a map of fields, and this is {}", other.kind());
            Err(CliError::usage("TYPE", message).help("write it in braces: '{\"title\": \"Three habits\"}'"))
        }
    }
}

/// A word of the command line as JSON where it is JSON, and as text otherwise.
pub fn json_or_text(what: &str, word: &str) -> Result<Value, CliError> {
    match serde_json::from_str(word) {
        Ok(json) => shallow(what, Value::from_json(json)),
        Err(_) => Ok(Value::from(word)),
    }
}

fn shallow(what: &str, value: Value) -> Result<Value, CliError> {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::List(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Map(map) => levels > 0 && map.values().all(|value| fits(value, levels - 1)),
            _ => true,
        }
    }
    if fits(&value, DEPTH_MAX) {
        return Ok(value);
    }
    Err(CliError::usage(
        "LIMIT_NESTING",
        format!("{what} nests deeper than {DEPTH_MAX} levels"),
    ))
}

/// The command that makes a change undone. A value that JSON cannot hold would come back as another, and that is said.
pub fn undo(command: &str, names: &[&str], value: Option<&Value>, realm: Realm, out: &mut Out) {
    let mut words: Vec<String> = names.iter().map(|name| shell_word(name)).collect();
    words.extend(value.map(|value| shell_word(&visible_json(value))));
    // A name may look like a flag.
    if names.iter().any(|name| name.starts_with('-')) {
        words.insert(0, "--".to_owned());
    }
    out.line(format!("undo    host {command} --realm {realm} {}", words.join(" ")));
    if value.is_some_and(|value| !is_json(value)) {
        out.line("        it holds bytes or numbers that JSON does not know; they would come back as text or null");
    }
}

/// `value` as JSON in which nothing can drive a terminal, and which still says the same.
pub fn visible_json(value: &Value) -> String {
    let mut shown = String::new();
    for letter in value.to_string().chars() {
        if is_plain(letter) {
            shown.push(letter)
        } else {
            shown.push_str(&format!("\\u{:04x}", letter as u32))
        }
    }
    shown
}

fn is_json(value: &Value) -> bool {
    match value {
        Value::Blob(_) => false,
        Value::Float(number) => number.is_finite(),
        Value::List(items) => items.iter().all(is_json),
        Value::Map(map) => map.values().all(is_json),
        _ => true,
    }
}

fn is_plain(letter: char) -> bool {
    let mut buffer = [0; 4];
    plain(letter.encode_utf8(&mut buffer))
        .chars()
        .eq(std::iter::once(letter))
}

/// `word` as a shell takes it for one word.
pub fn shell_word(word: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_bare) {
        return word.to_owned();
    }
    if word.chars().all(is_plain) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let escaped = word.chars().map(|letter| match letter {
        '\'' | '\\' => format!("\\{letter}"),
        letter if is_plain(letter) => letter.to_string(),
        letter => format!("\\u{:04x}", letter as u32),
    });
    format!("$'{}'", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_printed_word_for_what_it_was() {
        assert_eq!(shell_word("clips/a-1"), "clips/a-1");
        assert_eq!(shell_word("it's {here}"), r"'it'\''s {here}'");
        assert_eq!(shell_word("a\u{1b}[2J'b"), r"$'a\u001b[2J\'b'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn printed_json_says_the_same_and_drives_no_terminal() {
        let value = Value::from([("title", Value::from("a\u{1b}[2J\u{202e}b\u{9b}"))]);
        let shown = visible_json(&value);
        assert!(shown.chars().all(is_plain), "{shown}");
        assert_eq!(Value::from_json(serde_json::from_str(&shown).unwrap()), value);
    }

    #[test]
    fn a_value_deeper_than_playbooks_hold_is_refused() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json("the value", &deep(DEPTH_MAX)).is_ok());
        assert!(json("the value", &deep(DEPTH_MAX + 1)).is_err());
    }
}
