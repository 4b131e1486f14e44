//! `host versions diff`: what a version changed, or what differs between two, line by line.

use std::sync::Arc;

use serde_json::json;

use super::super::error::CliError;
use super::super::out::{Out, STRONG};
use super::super::unified;
use super::Which;
use crate::app::App;
use crate::io::pinned;
use crate::journal::edition::{Change, Hashes, Version, changes};
use crate::serve::rollback::parts_of;
use crate::store::Store;
use crate::store::overlay::Overlay;
use crate::store::tx::Ground;

#[derive(clap::Args)]
pub struct Args {
    /// A version, `live` or `disk`. With one alone: what that version changed; with none: what the last one changed.
    a: Option<Which>,
    /// What it is compared with.
    b: Option<Which>,
    /// Only this playbook, with its modules and prompts.
    #[arg(long)]
    playbook: Option<String>,
}

pub fn diff(args: &Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let ground = super::reader(app)?;
    // The texts on the disk are looked at beside those of versions, and kept nowhere.
    let ground = Ground {
        store: Arc::new(Overlay::over(ground.store.clone())),
        ..ground
    };
    let store = &*ground.store;
    let of_version = |number: u64| -> Result<(String, String, Hashes, Hashes), CliError> {
        let version = Version::get(store, number)?;
        let after = Which::Number(number).files(app, &ground)?;
        let before = match version.base {
            Some(base) => Which::Number(base).files(app, &ground)?,
            None => Hashes::new(),
        };
        let base = version
            .base
            .map_or("nothing".to_owned(), |base| format!("version {base}"));
        Ok((base, format!("version {number}"), before, after))
    };
    let (from, to, before, after) = match (args.a, args.b) {
        (Some(a), Some(b)) => (
            a.to_string(),
            b.to_string(),
            a.files(app, &ground)?,
            b.files(app, &ground)?,
        ),
        (Some(Which::Number(number)), None) => of_version(number)?,
        (Some(Which::Live | Which::Disk), None) => {
            let (a, b) = (Which::Live, Which::Disk);
            (
                a.to_string(),
                b.to_string(),
                a.files(app, &ground)?,
                b.files(app, &ground)?,
            )
        }
        (None, _) => of_version(Version::latest(store, 1)?.first().map_or(0, |version| version.number))?,
    };
    let mut changes = changes(&before, &after);
    if let Some(name) = &args.playbook {
        let parts = |files: &Hashes| parts_of(app, &ground, files, name);
        let (then, now) = (parts(&before), parts(&after));
        if then.is_none() && now.is_none() {
            let message = format!("neither {from} nor {to} has a playbook {name:?}");
            return Err(CliError::usage("PLAYBOOK_NOT_FOUND", message));
        }
        let (then, now) = (then.unwrap_or_default(), now.unwrap_or_default());
        changes.retain(|change| then.contains(&change.path) || now.contains(&change.path));
    }
    if out.json {
        let files = changes.iter().map(|change| {
            json!({
                "path": change.path,
                "before": change.before,
                "after": change.after,
                "diff": unified(store, change),
            })
        });
        out.json(&json!({ "from": from, "to": to, "files": files.collect::<Vec<_>>() }));
        return Ok(0);
    }
    out.page();
    let title = out.paint(STRONG, &format!("{from} {} {to}", out.symbol("→")));
    out.line(title);
    if changes.is_empty() {
        out.line("no difference");
    }
    for change in &changes {
        show(store, change, out);
    }
    Ok(0)
}

fn texts(store: &dyn Store, change: &Change) -> [String; 2] {
    [change.before, change.after].map(|hash| match hash {
        Some(hash) => pinned::text(store, &hash).unwrap_or_else(|reason| format!("({reason})\n")),
        None => String::new(),
    })
}

fn unified(store: &dyn Store, change: &Change) -> String {
    let [before, after] = texts(store, change);
    unified::text(&before, &after)
}

fn show(store: &dyn Store, change: &Change, out: &mut Out) {
    let name = |hash: Option<crate::id::ContentHash>, side: &str| match hash {
        Some(_) => format!("{side}/{}", change.path),
        None => "/dev/null".to_owned(),
    };
    out.line("");
    let [before, after] = texts(store, change);
    let names = [name(change.before, "a"), name(change.after, "b")];
    unified::show([&names[0], &names[1]], &before, &after, out);
}
