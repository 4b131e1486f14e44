//! `host store copy`: what one realm holds, carried over to the other.
//!
//! The original stays as it is, and what the other realm has already stays, too, unless a copy is to replace it: then
//! documents and pairs are; queues and metrics never, of which two cannot be made one. Many small commits: a copy that
//! breaks off is made whole by the next.

use serde_json::json;

use crate::app::App;
use crate::cli::data::{RealmName, called, other};
use crate::cli::error::CliError;
use crate::cli::out::{CAREFUL, GOOD, Out, plain};
use crate::cli::progress::Busy;
use crate::cli::signed;
use crate::journal::audit::Act;
use crate::store::documents::{self, Page, Query};
use crate::store::keys::{self, QueueRow};
use crate::store::queue::copy as queues;
use crate::store::tx::Ground;
use crate::store::{Durability, Realm, StoreError, Tx, kv, metrics, metrics_copy, queue};

/// Rows of one commit.
const ROWS_AT_ONCE: usize = 500;

/// Jobs of one commit: as long as all of a queue is copied in one, whoever pushes into it meanwhile meets none of it or all.
const JOBS_AT_ONCE: usize = 20_000;

#[derive(clap::Args)]
pub struct Args {
    /// The realm that is read. What it holds goes to the other.
    from: RealmName,
    /// Only these; all of them when not given.
    #[arg(long, value_name = "KIND")]
    only: Vec<Kind>,
    /// Put documents and pairs in place of those that the other realm has.
    #[arg(long)]
    replace: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Documents,
    Pairs,
    Queues,
    Metrics,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Documents, Kind::Pairs, Kind::Queues, Kind::Metrics];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Documents => "documents",
            Kind::Pairs => "pairs",
            Kind::Queues => "queues",
            Kind::Metrics => "metrics",
        }
    }
}

/// What became of one collection, queue or metric, or of all pairs.
struct Row {
    kind: Kind,
    name: String,
    copied: u64,
    /// Already there, and left as it is.
    kept: u64,
}

struct Copy<'a> {
    app: &'a App,
    ground: Ground,
    from: Realm,
    to: Realm,
    replaces: bool,
    rows: Vec<Row>,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    let from = args.from.realm();
    let busy = Busy::new(out, "copying");
    let kinds: Vec<&str> = args.only.iter().map(|kind| kind.as_str()).collect();
    let act = Act::new("store.copy", from.to_string())
        .with("to", other(from).to_string())
        .with("only", kinds)
        .with("replace", args.replace);
    let mut copy = Copy {
        app,
        ground: signed::writer(app, act)?,
        from,
        to: other(from),
        replaces: args.replace,
        rows: Vec::new(),
    };
    for kind in Kind::ALL {
        if args.only.is_empty() || args.only.contains(&kind) {
            match kind {
                Kind::Documents => copy.documents()?,
                Kind::Pairs => copy.pairs()?,
                Kind::Queues => copy.queues()?,
                Kind::Metrics => copy.metrics()?,
            }
        }
    }
    busy.done();
    show(&copy, out);
    Ok(0)
}

impl Copy<'_> {
    /// Does `step` until it says that it is the last, each time in a commit of its own.
    fn each(
        &self,
        mut step: impl FnMut(&mut Tx<'_>, &mut Tx<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            let now_ms = self.app.clock.unix_ms();
            let mut from = Tx::new(&self.ground, self.from, now_ms);
            let mut to = Tx::new(&self.ground, self.to, now_ms);
            let is_last = step(&mut from, &mut to)?;
            let durability = if is_last { Durability::Now } else { Durability::Soon };
            self.ground.store.commit(to.batch, durability)?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn look<T>(&self, realm: Realm, read: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read(&mut Tx::new(&self.ground, realm, self.app.clock.unix_ms()))
    }

    fn documents(&mut self) -> Result<(), StoreError> {
        for name in self.look(self.from, documents::collections)? {
            let mut row = Row {
                kind: Kind::Documents,
                name,
                copied: 0,
                kept: 0,
            };
            let mut query = Query {
                limit: ROWS_AT_ONCE,
                ..Query::default()
            };
            let replaces = self.replaces;
            self.each(|from, to| {
                let Page { documents, next } = documents::query(from, &row.name, &query)?;
                for document in documents {
                    if !replaces && documents::get(to, &row.name, &document.id)?.is_some() {
                        row.kept += 1;
                        continue;
                    }
                    documents::put(to, &row.name, &document.id, document.data)?;
                    row.copied += 1;
                }
                query.cursor = next;
                Ok(query.cursor.is_none())
            })?;
            self.rows.push(row);
        }
        Ok(())
    }

    fn pairs(&mut self) -> Result<(), StoreError> {
        let mut copying = kv::Copying::default();
        let replaces = self.replaces;
        self.each(|from, to| kv::copy_some(from, to, replaces, ROWS_AT_ONCE, &mut copying))?;
        if copying.copied + copying.kept > 0 {
            self.rows.push(Row {
                kind: Kind::Pairs,
                name: "(all)".to_owned(),
                copied: copying.copied,
                kept: copying.kept,
            });
        }
        Ok(())
    }

    fn queues(&mut self) -> Result<(), StoreError> {
        for name in self.look(self.from, queue::names)? {
            let mut is_known = self.look(self.to, |tx| queues::is_known(tx, &name))?;
            let mut copying = queues::Copying::default();
            if !is_known {
                // A server may push into it meanwhile: then there are two.
                let head = keys::queue(self.to, &name, &QueueRow::Head);
                let copied = self.each(|from, to| {
                    to.unchanged(&head, None);
                    queues::copy_some(from, to, &name, JOBS_AT_ONCE, &mut copying)
                });
                match copied {
                    // Nothing of it was committed.
                    Err(StoreError::Conflict { .. }) if copying.is_first() => {
                        is_known = true;
                        copying = queues::Copying::default();
                    }
                    copied => copied?,
                }
            }
            self.rows.push(Row {
                kind: Kind::Queues,
                copied: copying.jobs(),
                kept: u64::from(is_known),
                name,
            });
        }
        Ok(())
    }

    fn metrics(&mut self) -> Result<(), StoreError> {
        for name in self.look(self.from, metrics::names)? {
            let is_known = self.look(self.to, |tx| metrics_copy::is_known(tx, &name))?;
            let mut copying = metrics_copy::Copying::default();
            if !is_known {
                self.each(|from, to| metrics_copy::copy_some(from, to, &name, ROWS_AT_ONCE, &mut copying))?;
            }
            self.rows.push(Row {
                kind: Kind::Metrics,
                copied: u64::from(!is_known),
                kept: u64::from(is_known),
                name,
            });
        }
        Ok(())
    }
}

fn show(copy: &Copy<'_>, out: &mut Out) {
    if out.json {
        let row =
            |row: &Row| json!({ "kind": row.kind.as_str(), "name": row.name, "copied": row.copied, "kept": row.kept });
        out.json(&json!({
            "from": copy.from.to_string(),
            "to": copy.to.to_string(),
            "rows": copy.rows.iter().map(row).collect::<Vec<_>>(),
        }));
        return;
    }
    if copy.rows.is_empty() {
        out.line(format!("{} holds nothing to copy", called(copy.from)));
        return;
    }
    let rows: Vec<Vec<String>> = (copy.rows.iter())
        .map(|row| {
            let (unit, kept) = match row.kind {
                Kind::Documents => ("documents", format!("{} were there", row.kept)),
                Kind::Pairs => ("pairs", format!("{} were there", row.kept)),
                Kind::Queues => ("jobs", "the queue was there, and stays as it is".to_owned()),
                Kind::Metrics => ("metric", "it was there, and stays as it is".to_owned()),
            };
            let copied = match row.copied {
                0 if row.kept > 0 => "–".to_owned(),
                copied => format!("{copied} {unit}"),
            };
            let kept = match row.kept {
                0 => String::new(),
                _ => kept,
            };
            vec![row.kind.as_str().to_owned(), plain(&row.name), copied, kept]
        })
        .collect();
    out.table(&["", "name", "copied", ""], &rows);
    out.line("");
    let has_kept = copy.rows.iter().any(|row| row.kept > 0);
    let mark = match has_kept {
        true => out.paint(CAREFUL, out.symbol("!")),
        false => out.paint(GOOD, out.symbol("✓")),
    };
    let hint = match has_kept && !copy.replaces {
        true => "; --replace puts documents and pairs in place of what was there",
        false => "",
    };
    out.line(format!(
        "{mark} {} was copied to {}{hint}",
        called(copy.from),
        called(copy.to)
    ));
}
