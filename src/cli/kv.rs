//! `host kv`: small values that outlive a run.

use serde_json::json;

use super::data::{RealmArgs, called, change, json_or_text, look, other, undo, visible_json};
use super::error::CliError;
use super::out::{FAINT, GOOD, Out, excerpt, plain};
use crate::app::App;
use crate::duration;
use crate::journal::audit::Act;
use crate::script::error::nearest;
use crate::store::{Realm, kv};
use crate::value::Value;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    realm: RealmArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show the value of a key.
    Get { key: String },
    /// Store a value in place of what was there.
    Set {
        key: String,
        /// JSON where it is JSON, text otherwise: 5, true, '{"a": 1}', hello.
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Take the value as text, whatever it looks like.
        #[arg(long)]
        text: bool,
        /// For how long: 90s, 45m, 2h, 7d. For good when not given.
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
    },
    /// List the keys and their values.
    List {
        /// Only keys that begin so.
        #[arg(default_value = "")]
        prefix: String,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Show the values in full.
        #[arg(long)]
        full: bool,
    },
    /// Forget a key.
    Remove { key: String },
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let realm = args.realm.choose(app)?;
    match args.command {
        Command::Get { key } => get(app, realm, &key, out)?,
        Command::Set {
            key,
            value,
            text,
            lasts,
        } => {
            let value = if text {
                Value::from(value)
            } else {
                json_or_text("the value", &value)?
            };
            set(app, realm, &key, &value, lasts.as_deref(), out)?;
        }
        Command::List { prefix, limit, full } => list(app, realm, &prefix, limit, full, out)?,
        Command::Remove { key } => remove(app, realm, &key, out)?,
    }
    Ok(0)
}

fn get(app: &App, realm: Realm, key: &str, out: &mut Out) -> Result<(), CliError> {
    let found = look(app, realm, |tx| kv::get(tx, key))?.flatten();
    let Some(value) = found else {
        return Err(not_found(app, realm, key)?);
    };
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "key": key, "value": value.to_json() }));
    } else {
        out.line(visible_json(&value));
    }
    Ok(())
}

/// Says that there is no such key, and where there is one, or what it may have been meant to be.
fn not_found(app: &App, realm: Realm, key: &str) -> Result<CliError, CliError> {
    let error = CliError::usage("KV_NOT_FOUND", format!("there is no key {key:?} in {}", called(realm)));
    if look(app, other(realm), |tx| kv::get(tx, key))?.flatten().is_some() {
        return Ok(error.help(format!("{} has it: add --realm {}", called(other(realm)), other(realm))));
    }
    let known = look(app, realm, |tx| kv::list(tx, "", 1000))?.unwrap_or_default();
    Ok(match nearest(key, known.iter().map(|(key, _)| key.as_str())) {
        Some(near) => error.help(format!("did you mean {near:?}?")),
        None => error.help("`host kv list` shows the keys that are there"),
    })
}

fn set(app: &App, realm: Realm, key: &str, value: &Value, lasts: Option<&str>, out: &mut Out) -> Result<(), CliError> {
    let lasts = match lasts {
        Some(lasts) => {
            Some(duration::parse(lasts).map_err(|error| CliError::usage("USAGE", format!("--for: {error}")))?)
        }
        None => None,
    };
    let lasts_ms = lasts.map(|lasts| i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    let act = Act::new("kv.set", key).with("bytes", value.size());
    let before = change(app, realm, act, |tx| {
        let before = kv::get(tx, key)?;
        kv::put(tx, key, value, lasts_ms)?;
        Ok(before)
    })?;
    if out.json {
        out.json(&json!({
            "realm": realm.to_string(),
            "key": key,
            "value": value.to_json(),
            "before": before.map(|before| before.to_json()),
            "expires_in_ms": lasts_ms,
        }));
        return Ok(());
    }
    let mark = out.paint(GOOD, if before.is_some() { "~" } else { "+" });
    let lasting = lasts
        .map(|lasts| format!(", for {}", duration::for_people(lasts.as_millis() as u64)))
        .unwrap_or_default();
    let shown = excerpt(&visible_json(value), 60);
    out.line(format!(
        "{mark} {}  {shown} ({}){lasting}, in {}",
        plain(key),
        value.kind(),
        called(realm)
    ));
    match &before {
        Some(before) => undo("kv set", &[key], Some(before), realm, out),
        None => undo("kv remove", &[key], None, realm, out),
    }
    Ok(())
}

fn list(app: &App, realm: Realm, prefix: &str, limit: u32, full: bool, out: &mut Out) -> Result<(), CliError> {
    // One more than is shown tells whether there are more.
    let asked = (limit as usize + 1).min(kv::KV_LIST_MAX);
    let mut pairs = look(app, realm, |tx| kv::list(tx, prefix, asked))?.unwrap_or_default();
    let more = pairs.len() > limit as usize;
    pairs.truncate(limit as usize);
    if out.json {
        let shown: Vec<_> = pairs
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value.to_json() }))
            .collect();
        out.json(&json!({ "realm": realm.to_string(), "pairs": shown, "more": more }));
        return Ok(());
    }
    if pairs.is_empty() {
        let fitting = if prefix.is_empty() {
            String::new()
        } else {
            format!(" that begin with {prefix:?}")
        };
        out.line(format!("no keys{fitting} in {}", called(realm)));
        return Ok(());
    }
    let keys: Vec<String> = pairs.iter().map(|(key, _)| excerpt(key, 48)).collect();
    let width = out.rest_of_line(keys.iter().map(|key| key.chars().count()).max().unwrap_or(0) + 2);
    let width = if full { usize::MAX } else { width };
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .zip(keys)
        .map(|((_, value), key)| vec![key, excerpt(&visible_json(value), width)])
        .collect();
    out.table(&["key", &format!("value in {}", called(realm))], &rows);
    if more {
        let more = out.paint(FAINT, "there are more: --limit shows more of them, a prefix fewer");
        out.line("");
        out.line(more);
    }
    Ok(())
}

fn remove(app: &App, realm: Realm, key: &str, out: &mut Out) -> Result<(), CliError> {
    // Nothing is opened for writing, or made, for what is not there.
    if look(app, realm, |tx| kv::get(tx, key))?.flatten().is_none() {
        return Err(not_found(app, realm, key)?);
    }
    let before = change(app, realm, Act::new("kv.remove", key), |tx| {
        let before = kv::get(tx, key)?;
        kv::remove(tx, key)?;
        Ok(before)
    })?;
    if out.json {
        let before = before.map(|before| before.to_json());
        out.json(&json!({ "realm": realm.to_string(), "key": key, "before": before }));
        return Ok(());
    }
    let mark = out.paint(GOOD, out.symbol("−"));
    out.line(format!("{mark} {}  forgotten, in {}", plain(key), called(realm)));
    undo("kv set", &[key], before.as_ref(), realm, out);
    Ok(())
}
