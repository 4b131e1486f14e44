//! Questions over whole collections, computed here: groups, joins, loops.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::pages::{Pages, set_iterator};
use super::{fields, whole};
use crate::effect::{Declaration, Failure};
use crate::gate::Local;
use crate::namespaces::options::{BadOption, Options};
use crate::script::{ContextExt, ScriptResult};
use crate::store::StoreError;
use crate::store::documents::{self, FieldPath, Grouping, Query};
use crate::value::{Map as Fields, Value};

static GROUP: Declaration = Declaration::local("store.group").recomputed();
static JOIN: Declaration = Declaration::local("store.join").recomputed();

pub(super) fn add_to(module: &mut Module) {
    combine_with_exported_module!(module, "whole", functions);
    set_iterator(module);
}

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the documents of a collection in groups, with what is computed of each: an array of maps, one for each
    /// group, which hold the fields of `by` and the results of `aggregates`.
    ///
    /// It reads every document once and of it only the fields that are asked for, so 100,000 documents take some
    /// milliseconds. Documents come in the order of their ids. An index on a field of `where` is used.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`, each of which may be left out:
    ///   - `where`: conditions, as in `query`.
    ///   - `by`: a field (`"platform"`), an array of fields, or a map of names to fields (`#{ day: "stats.day" }`);
    ///     at most 8. Without it there is one group. A missing field counts as `()`.
    ///   - `aggregates`: what to compute, by name; at most 32, and `#{ count: "count" }` without it. `"count"` counts
    ///     documents. `#{ count: f }`, `#{ sum: f }`, `#{ mean: f }`, `#{ min: f }`, `#{ max: f }`, `#{ first: f }`,
    ///     `#{ last: f }`, `#{ median: f }`, `#{ percentile: f, p: 95 }` and `#{ distinct: f }` (how many different
    ///     values) look at the field `f`, and leave documents out that do not have it or in which it is `()`. Without
    ///     any, `sum` is 0 and `mean`, `min`, `max`, `first`, `last` and percentiles are `()`.
    ///   - `order_by`: a field of `by` or the name of an aggregate; with `-` before it the greatest come first. Without
    ///     it, by the fields of `by`.
    ///   - `limit`: how many groups, from 1 to 10,000. Without it all of them, which may be at most 10,000.
    ///
    /// Errors: `STORE_BAD_QUERY`, also when a field of `sum`, `mean` or `percentile` is no number, when there are more
    /// than 1,000,000 documents to look at or more than 100,000 groups; `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// store::put("posts", "a", #{ platform: "tiktok", views: 900 });
    /// store::put("posts", "b", #{ platform: "instagram", views: 400 });
    /// store::put("posts", "c", #{ platform: "tiktok", views: 100 });
    /// let groups = store::group("posts", #{
    ///     where: #{ views: #{ gte: 100 } },
    ///     by: "platform",
    ///     aggregates: #{ posts: "count", views: #{ sum: "views" } },
    ///     order_by: "-views",
    /// });
    /// groups[0].views // => 1000
    /// ```
    #[rhai_fn(return_raw)]
    pub fn group(ctx: NativeCallContext, collection: &str, options: Map) -> ScriptResult {
        let options = fields(&ctx, options)?;
        let args = [("collection", collection.into()), ("options", options.clone().into())];
        ctx.local(&GROUP, args, |local| {
            let groups = documents::group(&mut local.tx, collection, &Grouping::parse(&options)?)?;
            Ok(groups.into())
        })
    }

    /// Returns the items of an array, each a map, with the data of the document it names as one field more.
    ///
    /// - `items`: at most 10,000 maps, such as the answer of a provider or `documents` of `query`.
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`:
    ///   - `on`: the field of an item that names a document, such as `"author_id"` or `"data.author_id"`.
    ///   - `into`: under which name the document's data are put into the item.
    ///   - `key`: the field of a document that `on` must equal; `"id"`, its id, when nothing is said. For another, an
    ///     index on it spares reading the whole collection.
    ///   - `keep`: `"all"` (when nothing is said) puts `()` into items that name no document; `"found"` leaves them out.
    ///   - `many`: `true` puts an array of all documents that fit, in the order of their ids, instead of the first.
    ///
    /// Errors: `STORE_BAD_QUERY`, `STORE_BAD_NAME`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA`, `UNKNOWN_OPTION`,
    /// `MISSING_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// store::put("authors", "anna", #{ name: "Anna" });
    /// let posts = [#{ title: "Three habits", author_id: "anna" }, #{ title: "Two apples", author_id: "bert" }];
    /// let posts = store::join(posts, "authors", #{ on: "author_id", into: "author" });
    /// posts[0].author.name // => "Anna"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn join(ctx: NativeCallContext, items: Array, collection: &str, options: Map) -> ScriptResult {
        let items = ctx.value(&items.into())?;
        let mut options = ctx.check(Options::new("store::join", &options))?;
        let given = options.to_value();
        let joining = ctx.check(Joining::parse(&mut options))?;
        ctx.check(options.finish())?;
        let rows = ctx.check(joining.rows(items.clone()))?;
        let args = [("items", items), ("collection", collection.into()), ("options", given)];
        ctx.local(&JOIN, args, |local| joining.join(local, rows.clone(), collection))
    }

    /// Returns documents of the collection `left`, each with the data of the document of `collection` that it names.
    ///
    /// Each is `#{ id, version, data }` as from `query`, with one field more.
    ///
    /// - `left`, `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`: `on`, a field of the data of `left`, `into`, `key`, `keep` and `many`, as for an array of items; and
    ///   `where`, `order_by` and `limit` for the documents of `left`, as in `query`.
    ///
    /// Errors: those of `query`, `UNKNOWN_OPTION`, `MISSING_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// store::put("authors", "anna", #{ name: "Anna" });
    /// store::put("posts", "a", #{ state: "new", author_id: "anna" });
    /// let found = store::join("posts", "authors", #{ on: "author_id", into: "author", where: #{ state: "new" } });
    /// found[0].author.name // => "Anna"
    /// ```
    #[rhai_fn(name = "join", return_raw)]
    pub fn join_collections(ctx: NativeCallContext, left: &str, collection: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("store::join", &options))?;
        let given = options.to_value();
        let joining = ctx.check(Joining::parse(&mut options))?;
        let mut query = Fields::new();
        for name in ["where", "order_by", "limit"] {
            if let Some(value) = options.value(name) {
                query.insert(name.to_owned(), value);
            }
        }
        ctx.check(options.finish())?;
        let args = [
            ("left", left.into()),
            ("collection", collection.into()),
            ("options", given),
        ];
        ctx.local(&JOIN, args, |local| {
            let page = documents::query(&mut local.tx, left, &Query::parse(&query)?)?;
            let row = |document: documents::Document| {
                let name = joining.on.value(&document.data).clone();
                match whole(document) {
                    Value::Map(row) => (name, row),
                    _ => (name, Fields::new()),
                }
            };
            let rows = page.documents.into_iter().map(row).collect();
            joining.join(local, rows, collection)
        })
    }

    /// Returns the documents of a collection for a `for` loop, each as `#{ id, version, data }`.
    ///
    /// The loop reads them in pages as it comes to them, each page a step of the run, so that a collection of any size
    /// can be gone through. A document that comes or goes in between shifts nothing. The value itself is good for
    /// `for` alone.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    ///
    /// Errors: in the loop, those of `query`.
    ///
    /// ```rhai
    /// store::put("clips", "a", #{ seconds: 40 });
    /// store::put("clips", "b", #{ seconds: 2 });
    /// let seconds = 0;
    /// for clip in store::each("clips") { seconds += clip.data.seconds; }
    /// seconds // => 42
    /// ```
    #[rhai_fn(return_raw)]
    pub fn each(ctx: NativeCallContext, collection: &str) -> ScriptResult {
        Ok(Dynamic::from(Pages::new(&ctx, collection, Fields::new(), true)?))
    }

    /// Returns the documents of a collection that fit `options` for a `for` loop, each as `#{ id, version, data }`.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`: `where` and `order_by`, as in `query`; `limit`, how many are read at a time, from 1 to 10,000, and
    ///   100 when nothing is said; `cursor`, where to begin.
    ///
    /// Errors: in the loop, those of `query`.
    ///
    /// ```rhai
    /// store::put("clips", "a", #{ state: "new" });
    /// store::put("clips", "b", #{ state: "posted" });
    /// for clip in store::each("clips", #{ where: #{ state: "new" } }) {
    ///     store::update("clips", clip.id, clip.version, #{ state: "checked" });
    /// }
    /// store::count("clips", #{ state: "checked" }) // => 1
    /// ```
    #[rhai_fn(name = "each", return_raw)]
    pub fn each_where(ctx: NativeCallContext, collection: &str, options: Map) -> ScriptResult {
        let options = fields(&ctx, options)?;
        Ok(Dynamic::from(Pages::new(&ctx, collection, options, true)?))
    }

    /// Returns the documents of a collection that fit `options` for a `for` loop, in arrays of up to `limit`.
    ///
    /// As `each`, for work that is done with many at a time. No array is empty.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`: as in `each`; `#{}` for all documents, 100 at a time.
    ///
    /// Errors: in the loop, those of `query`.
    ///
    /// ```rhai
    /// for n in 0..5 { store::put("clips", `clip-${n}`, #{ n: n }); }
    /// let pages = 0;
    /// for page in store::pages("clips", #{ limit: 2 }) { pages += 1; }
    /// pages // => 3
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pages(ctx: NativeCallContext, collection: &str, options: Map) -> ScriptResult {
        let options = fields(&ctx, options)?;
        Ok(Dynamic::from(Pages::new(&ctx, collection, options, false)?))
    }
}

/// How items and documents go together.
struct Joining {
    on: FieldPath,
    /// `None` is the id.
    key: Option<FieldPath>,
    into: String,
    found_only: bool,
    many: bool,
}

impl Joining {
    fn parse(options: &mut Options) -> Result<Joining, Failure> {
        let path = |path: &str| FieldPath::parse(path).map_err(|error| Failure::new(error.code(), error.to_string()));
        let on = options.string("on")?;
        let on = on.ok_or_else(|| options.missing("on", "the field that names a document"))?;
        let into = options.string("into")?;
        let into =
            into.ok_or_else(|| options.missing("into", "the name of the field that holds the document's data"))?;
        let key = options.string("key")?.filter(|key| key != "id");
        let keep = options.choice("keep", &[("all", false), ("found", true)])?;
        Ok(Joining {
            on: path(&on)?,
            key: key.as_deref().map(path).transpose()?,
            into,
            found_only: keep.unwrap_or(false),
            many: options.bool("many")?.unwrap_or(false),
        })
    }

    /// Each item with what it names.
    fn rows(&self, items: Value) -> Result<Vec<(Value, Fields)>, BadOption> {
        let Value::List(items) = items else {
            return Ok(Vec::new());
        };
        let row = |(at, item): (usize, Value)| match item {
            Value::Map(item) => Ok((self.on.value(&item).clone(), item)),
            other => Err(BadOption::Kind {
                function: "store::join".into(),
                name: "items",
                given: format!("{} at {at}", other.kind()),
                wanted: "a map".to_owned(),
            }),
        };
        items.into_iter().enumerate().map(row).collect()
    }

    fn join(&self, local: &mut Local<'_>, rows: Vec<(Value, Fields)>, collection: &str) -> Result<Value, StoreError> {
        let (wanted, rows): (Vec<Value>, Vec<Fields>) = rows.into_iter().unzip();
        let found = documents::find_each(&mut local.tx, collection, self.key.as_ref(), &wanted)?;
        let joined = |(mut row, found): (Fields, Vec<Fields>)| {
            if self.found_only && found.is_empty() {
                return None;
            }
            let value = if self.many {
                Value::List(found.into_iter().map(Value::Map).collect())
            } else {
                found.into_iter().next().into()
            };
            row.insert(self.into.clone(), value);
            Some(Value::Map(row))
        };
        Ok(Value::List(rows.into_iter().zip(found).filter_map(joined).collect()))
    }
}
