//! `host store`: documents, as playbooks keep them.

mod care;
mod copy;

use serde_json::json;

use super::data::{RealmArgs, called, change, json_map, look, other, undo, visible_json};
use super::error::CliError;
use super::out::{FAINT, GOOD, Out, excerpt, plain};
use super::progress::Busy;
use super::signed;
use crate::app::{App, STORE_FILE};
use crate::journal::audit::Act;
use crate::store::documents::{self, Document, Filter, Page, Query};
use crate::store::{Realm, StoreError, Tx};
use crate::value::{Map, Value};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    realm: RealmArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the collections.
    List,
    /// Show one document.
    Get { collection: String, id: String },
    /// Show the documents that fit, a page at a time.
    Query(QueryArgs),
    /// Count the documents that fit.
    Count {
        collection: String,
        /// Conditions as JSON: '{"state": "new", "score": {"gte": 7}}'.
        #[arg(long = "where", value_name = "JSON")]
        conditions: Option<String>,
    },
    /// Store a document in place of what was there.
    Put {
        collection: String,
        id: String,
        /// Its data, a map: '{"title": "Three habits"}'.
        #[arg(value_name = "JSON")]
        data: String,
    },
    /// Delete a document.
    Delete { collection: String, id: String },
    /// Carry over what one realm holds to the other: documents, pairs, queues and metrics.
    Copy(copy::Args),
    /// Read everything, and tell what is not as it should be. Nothing is changed.
    Check,
    /// Give back what the file holds of the disk and does not use; also while a server uses it.
    Compact,
    /// Show how much of what there is.
    Stats,
    /// Bring the store back to the format of the host before, for that one to open it. A newer host brings it forward again.
    Downgrade,
    /// Check every row, and make good what a host that was killed left behind.
    Repair,
}

#[derive(clap::Args)]
struct QueryArgs {
    collection: String,
    /// Conditions as JSON: '{"state": "new", "score": {"gte": 7}}'. eq, ne, lt, lte, gt, gte, in, contains and exists
    /// are known.
    #[arg(long = "where", value_name = "JSON")]
    conditions: Option<String>,
    /// By which field; with `-` before it, the greatest first. By id when not given.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    order: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Where the page before ended, as it said.
    #[arg(long)]
    cursor: Option<String>,
    /// Show the documents in full.
    #[arg(long)]
    full: bool,
}

pub fn perform(args: Args, app: &App, out: &mut Out) -> Result<u8, CliError> {
    match args.command {
        Command::Repair => return repair(app, out),
        Command::Check => return care::check(app, out),
        Command::Downgrade => return care::downgrade(app, out),
        Command::Compact => return care::compact(app, out),
        Command::Stats => return care::stats(app, out),
        Command::Copy(args) => return copy::perform(args, app, out),
        _ => {}
    }
    let realm = args.realm.choose(app)?;
    match args.command {
        Command::List => list(app, realm, out)?,
        Command::Get { collection, id } => get(app, realm, &collection, &id, out)?,
        Command::Query(args) => query(app, realm, args, out)?,
        Command::Count { collection, conditions } => count(app, realm, &collection, conditions.as_deref(), out)?,
        Command::Put { collection, id, data } => put(app, realm, &collection, &id, &data, out)?,
        Command::Delete { collection, id } => delete(app, realm, &collection, &id, out)?,
        Command::Repair
        | Command::Check
        | Command::Compact
        | Command::Stats
        | Command::Downgrade
        | Command::Copy(_) => {
            unreachable!("they choose no realm and were handled above")
        }
    }
    Ok(0)
}

/// A collection, and how many documents it holds; `None` when they are too many to count.
type Counted = (String, Option<u64>);

fn list(app: &App, realm: Realm, out: &mut Out) -> Result<(), CliError> {
    let busy = Busy::new(out, "counting");
    let counted = |tx: &mut Tx<'_>, name: String| -> Result<Counted, StoreError> {
        match documents::count(tx, &name, &Filter::all()) {
            Ok(count) => Ok((name, Some(count))),
            Err(StoreError::BadQuery { .. }) => Ok((name, None)),
            Err(error) => Err(error),
        }
    };
    let all = |tx: &mut Tx<'_>| -> Result<Vec<Counted>, StoreError> {
        let names = documents::collections(tx)?;
        names.into_iter().map(|name| counted(tx, name)).collect()
    };
    let collections = look(app, realm, all)?.unwrap_or_default();
    busy.done();
    let indexes = |name: &str| {
        app.config
            .file
            .collections
            .get(name)
            .map(|collection| collection.indexes.clone())
            .unwrap_or_default()
    };
    if out.json {
        let shown = collections
            .iter()
            .map(|(name, documents)| json!({ "name": name, "documents": documents, "indexes": indexes(name) }));
        out.json(&json!({ "realm": realm.to_string(), "collections": shown.collect::<Vec<_>>() }));
        return Ok(());
    }
    if collections.is_empty() {
        out.line(format!("{} has no documents yet", called(realm)));
        return Ok(());
    }
    out.line(format!("collections of {}", called(realm)));
    out.line("");
    let rows: Vec<Vec<String>> = collections
        .iter()
        .map(|(name, documents)| {
            let documents = documents.map_or_else(|| "over 1,000,000".to_owned(), |count| count.to_string());
            vec![plain(name), documents, indexes(name).join(", ")]
        })
        .collect();
    out.table(&["collection", "documents", "indexes"], &rows);
    Ok(())
}

fn get(app: &App, realm: Realm, collection: &str, id: &str, out: &mut Out) -> Result<(), CliError> {
    let found = look(app, realm, |tx| documents::get(tx, collection, id))?.flatten();
    let document = match found {
        Some(document) => document,
        None => return Err(not_found(app, realm, collection, id)?),
    };
    if out.json {
        let Document { id, version, data } = document;
        let data = Value::Map(data).to_json();
        out.json(&json!({ "realm": realm.to_string(), "collection": collection, "id": id, "version": version, "data": data }));
        return Ok(());
    }
    let version = out.paint(FAINT, &format!("version {} in {}", document.version, called(realm)));
    out.line(format!("{}/{}  {version}", plain(collection), plain(id)));
    let data = serde_json::to_string_pretty(&Value::Map(document.data).to_json()).expect("a document is plain data");
    for line in data.lines() {
        out.line(plain(line));
    }
    Ok(())
}

/// Says that there is no such document, and where there is one.
fn not_found(app: &App, realm: Realm, collection: &str, id: &str) -> Result<CliError, CliError> {
    let elsewhere = look(app, other(realm), |tx| documents::get(tx, collection, id))?.flatten();
    let message = format!("there is no document {id:?} in {collection:?} of {}", called(realm));
    let error = CliError::usage("STORE_NOT_FOUND", message);
    Ok(match elsewhere {
        Some(_) => error.help(format!(
            "{} has one: add --realm {}",
            called(other(realm)),
            other(realm)
        )),
        None => error.help(format!("`host store query {collection}` shows what is there")),
    })
}

fn query(app: &App, realm: Realm, args: QueryArgs, out: &mut Out) -> Result<(), CliError> {
    let mut options = Map::from([("limit".to_owned(), Value::Int(args.limit.into()))]);
    if let Some(conditions) = &args.conditions {
        options.insert("where".to_owned(), json_map("--where", conditions)?.into());
    }
    options.extend(args.order.clone().map(|order| ("order_by".to_owned(), order.into())));
    options.extend(args.cursor.clone().map(|cursor| ("cursor".to_owned(), cursor.into())));
    let wanted = Query::parse(&options)?;
    let busy = Busy::new(out, "looking");
    let page = look(app, realm, |tx| documents::query(tx, &args.collection, &wanted))?;
    busy.done();
    let Page { documents, next } = page.unwrap_or(Page {
        documents: Vec::new(),
        next: None,
    });
    if out.json {
        let shown = documents.into_iter().map(|document| json!({ "id": document.id, "version": document.version, "data": Value::Map(document.data).to_json() }));
        let shown: Vec<_> = shown.collect();
        out.json(
            &json!({ "realm": realm.to_string(), "collection": args.collection, "documents": shown, "next": next }),
        );
        return Ok(());
    }
    if documents.is_empty() {
        let fit = if args.conditions.is_some() { " that fit" } else { "" };
        out.line(format!(
            "no documents{fit} in {} of {}",
            plain(&args.collection),
            called(realm)
        ));
        return Ok(());
    }
    let ids: Vec<String> = documents.iter().map(|document| excerpt(&document.id, 40)).collect();
    let width = out.rest_of_line(ids.iter().map(|id| id.chars().count()).max().unwrap_or(0) + 8);
    let width = if args.full { usize::MAX } else { width };
    let rows: Vec<Vec<String>> = documents
        .into_iter()
        .zip(ids)
        .map(|(document, id)| {
            vec![
                id,
                format!("v{}", document.version),
                excerpt(&visible_json(&Value::Map(document.data)), width),
            ]
        })
        .collect();
    out.table(
        &["id", "", &format!("{} of {}", plain(&args.collection), called(realm))],
        &rows,
    );
    if let Some(next) = next {
        out.line("");
        out.line(format!("more    the same command with --cursor {next}"));
    }
    Ok(())
}

fn count(app: &App, realm: Realm, collection: &str, conditions: Option<&str>, out: &mut Out) -> Result<(), CliError> {
    let filter = match conditions {
        Some(conditions) => Filter::parse(&json_map("--where", conditions)?)?,
        None => Filter::all(),
    };
    let busy = Busy::new(out, "counting");
    let count = look(app, realm, |tx| documents::count(tx, collection, &filter))?.unwrap_or(0);
    busy.done();
    if out.json {
        out.json(&json!({ "realm": realm.to_string(), "collection": collection, "count": count }));
        return Ok(());
    }
    let fit = if conditions.is_some() { " that fit" } else { "" };
    let documents = if count == 1 { "document" } else { "documents" };
    out.line(format!(
        "{count} {documents}{fit} in {} of {}",
        plain(collection),
        called(realm)
    ));
    Ok(())
}

fn put(app: &App, realm: Realm, collection: &str, id: &str, data: &str, out: &mut Out) -> Result<(), CliError> {
    let data = json_map("the document", data)?;
    let act = Act::new("store.put", format!("{collection}/{id}"));
    let (before, version) = change(app, realm, act, |tx| {
        let before = documents::get(tx, collection, id)?;
        Ok((before, documents::put(tx, collection, id, data.clone())?))
    })?;
    let before = before.map(|before| Value::Map(before.data));
    if out.json {
        out.json(&json!({
            "realm": realm.to_string(),
            "collection": collection,
            "id": id,
            "version": version,
            "before": before.map(|before| before.to_json()),
        }));
        return Ok(());
    }
    let mark = out.paint(GOOD, if before.is_some() { "~" } else { "+" });
    let what = if before.is_some() {
        format!("changed, version {version}")
    } else {
        "new".to_owned()
    };
    out.line(format!(
        "{mark} {}/{}  {what}, in {}",
        plain(collection),
        plain(id),
        called(realm)
    ));
    match &before {
        Some(before) => undo("store put", &[collection, id], Some(before), realm, out),
        None => undo("store delete", &[collection, id], None, realm, out),
    }
    Ok(())
}

fn delete(app: &App, realm: Realm, collection: &str, id: &str, out: &mut Out) -> Result<(), CliError> {
    // Nothing is opened for writing, or made, for what is not there.
    if look(app, realm, |tx| documents::get(tx, collection, id))?
        .flatten()
        .is_none()
    {
        return Err(not_found(app, realm, collection, id)?);
    }
    let act = Act::new("store.delete", format!("{collection}/{id}"));
    let before = change(app, realm, act, |tx| {
        let before = documents::get(tx, collection, id)?;
        documents::delete(tx, collection, id, None)?;
        Ok(before)
    })?;
    let before = before.map(|before| Value::Map(before.data));
    if out.json {
        let before = before.map(|before| before.to_json());
        out.json(&json!({ "realm": realm.to_string(), "collection": collection, "id": id, "before": before }));
        return Ok(());
    }
    let mark = out.paint(GOOD, out.symbol("−"));
    out.line(format!(
        "{mark} {}/{}  deleted, in {}",
        plain(collection),
        plain(id),
        called(realm)
    ));
    undo("store put", &[collection, id], before.as_ref(), realm, out);
    Ok(())
}

fn repair(app: &App, out: &mut Out) -> Result<u8, CliError> {
    let busy = Busy::new(out, "checking every row");
    let repaired = app.repair()?;
    busy.done();
    // Not before: nothing could be written.
    let act = Act::new("store.repair", "store").with("was_needed", repaired.was_needed);
    signed::record(app, &*app.writer()?.store, act)?;
    let path = app.config.data().join(STORE_FILE);
    if out.json {
        out.json(&json!({ "store": path, "was_needed": repaired.was_needed, "rows": repaired.rows }));
        return Ok(0);
    }
    let rows = if repaired.rows == 1 {
        "1 row"
    } else {
        &format!("{} rows", repaired.rows)
    };
    let mark = out.paint(GOOD, out.symbol("✓"));
    let path = plain(&path.display().to_string());
    out.line(match repaired.was_needed {
        true => format!("{mark} {path} was not closed cleanly; it is now. {rows} read, each as it was written"),
        false => format!("{mark} {path} was closed cleanly and needs no repair. {rows} read, each as it was written"),
    });
    Ok(0)
}
