//! `store::` — documents in collections, which outlive a run.
//!
//! A document has an id, a version and its data. `get` and `put` speak of the data alone; `read` and `query` give all
//! three, as `#{ id, version, data }`, so that a change can be made on the condition that nobody else was quicker.

mod pages;
mod whole;

use rhai::Map;
use rhai::plugin::*;

use crate::effect::{Declaration, Failure};
use crate::gate::Local;
use crate::script::{ContextExt, ScriptResult};
use crate::store::StoreError;
use crate::store::documents::{self, Document, Filter, Query};
use crate::value::{Map as Fields, Value};

pub fn module() -> Module {
    let mut module = exported_module!(functions);
    whole::add_to(&mut module);
    module
}

static GET: Declaration = Declaration::local("store.get").recomputed();
static READ: Declaration = Declaration::local("store.read").recomputed();
static PUT: Declaration = Declaration::local("store.put").recomputed();
static UPDATE: Declaration = Declaration::local("store.update").recomputed();
static DELETE: Declaration = Declaration::local("store.delete").recomputed();
static QUERY: Declaration = Declaration::local("store.query").recomputed();
static COUNT: Declaration = Declaration::local("store.count").recomputed();
static COLLECTIONS: Declaration = Declaration::local("store.collections").recomputed();

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the data of the document `id`, a map, or `()` when there is none.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `id`: 1 to 512 bytes without control characters.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let clip = store::get("clips", "2026-11-21-a");
    /// if clip != () { log::info(clip.title); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(ctx: NativeCallContext, collection: &str, id: &str) -> ScriptResult {
        ctx.local(&GET, named(collection, id), |local| {
            let found = documents::get(&mut local.tx, collection, id)?;
            Ok(found.map(|document| document.data).into())
        })
    }

    /// Returns the document `id` with its version, as `#{ id, version, data }`, or `()` when there is none.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `id`: 1 to 512 bytes without control characters.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let topic = store::read("topics", "ai");
    /// store::update("topics", topic.id, topic.version, #{ used: topic.data.used + 1 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(ctx: NativeCallContext, collection: &str, id: &str) -> ScriptResult {
        ctx.local(&READ, named(collection, id), |local| {
            Ok(documents::get(&mut local.tx, collection, id)?.map(whole).into())
        })
    }

    /// Stores `data` as the document `id`, in place of what was there; returns its new version.
    ///
    /// A version is 1 when the document is made and one more with every change.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `id`: 1 to 512 bytes without control characters.
    /// - `data`: a map of plain data, up to 8 MiB.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// store::put("clips", "2026-11-21-a", #{ title: "Three habits", seconds: 42 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn put(ctx: NativeCallContext, collection: &str, id: &str, data: Map) -> ScriptResult {
        let data = fields(&ctx, data)?;
        let args = [
            ("collection", collection.into()),
            ("id", id.into()),
            ("data", data.clone().into()),
        ];
        ctx.local(&PUT, args, |local| {
            Ok(number(documents::put(&mut local.tx, collection, id, data.clone())?))
        })
    }

    /// Sets some fields of the document `id` and leaves its others as they are; returns its new version.
    ///
    /// - `collection`, `id`: as in `put`.
    /// - `fields`: the fields to be set.
    ///
    /// Errors: `STORE_NOT_FOUND`, `STORE_BAD_NAME`, `STORE_TOO_LARGE`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// store::update("clips", "2026-11-21-a", #{ state: "posted" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn update(ctx: NativeCallContext, collection: &str, id: &str, fields: Map) -> ScriptResult {
        change(&ctx, collection, id, None, fields)
    }

    /// Sets some fields of the document `id`, but only if it still has the version `version`; returns its new version.
    ///
    /// So of two runs that read a document and change it, the later is refused instead of undoing the earlier.
    ///
    /// - `collection`, `id`: as in `put`.
    /// - `version`: as `read`, `query` or an earlier change returned it.
    /// - `fields`: the fields to be set; the others stay.
    ///
    /// Errors: `STORE_STALE_VERSION` when somebody else was quicker, and those of `update` without a version.
    ///
    /// ```rhai
    /// let clip = store::read("clips", "2026-11-21-a");
    /// try {
    ///     store::update("clips", clip.id, clip.version, #{ owner: "morning" });
    /// } catch (e) {
    ///     if e.code != "STORE_STALE_VERSION" { throw e; }
    ///     log::info("another run has taken it");
    /// }
    /// ```
    #[rhai_fn(name = "update", return_raw)]
    pub fn update_at(ctx: NativeCallContext, collection: &str, id: &str, version: i64, fields: Map) -> ScriptResult {
        change(&ctx, collection, id, Some(version), fields)
    }

    /// Deletes the document `id`; returns whether it was there.
    ///
    /// - `collection`, `id`: as in `put`.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// store::delete("drafts", "2026-11-20-b");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn delete(ctx: NativeCallContext, collection: &str, id: &str) -> ScriptResult {
        ctx.local(&DELETE, named(collection, id), |local| {
            Ok(documents::delete(&mut local.tx, collection, id, None)?.into())
        })
    }

    /// Deletes the document `id`, but only if it still has the version `version`; returns whether it was there.
    ///
    /// - `collection`, `id`: as in `put`.
    /// - `version`: as `read`, `query` or an earlier change returned it.
    ///
    /// Errors: `STORE_STALE_VERSION` when somebody else was quicker, `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let draft = store::read("drafts", "2026-11-20-b");
    /// if draft.data.state == "old" { store::delete("drafts", draft.id, draft.version); }
    /// ```
    #[rhai_fn(name = "delete", return_raw)]
    pub fn delete_at(ctx: NativeCallContext, collection: &str, id: &str, version: i64) -> ScriptResult {
        let expected = ctx.check(checked_version(version))?;
        let args = [
            ("collection", collection.into()),
            ("id", id.into()),
            ("version", version.into()),
        ];
        ctx.local(&DELETE, args, |local| {
            Ok(documents::delete(&mut local.tx, collection, id, Some(expected))?.into())
        })
    }

    /// Returns a page of the documents that fit `options`, as `#{ documents, next }`: an array of
    /// `#{ id, version, data }`, and the `cursor` of the page after this, or `()` when there is none.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `options`, each of which may be left out:
    ///   - `where`: conditions by field, of which all must hold: `#{ state: "new", "stats.views": #{ gte: 1000 } }`.
    ///     Known are `eq`, `ne`, `lt`, `lte`, `gt`, `gte`, `in`, `contains` and `exists`. At most 32.
    ///   - `order_by`: a field, or `id`; with `-` before it the greatest come first. Without it, by id.
    ///   - `limit`: from 1 to 10,000; 100 when nothing is said.
    ///   - `cursor`: the `next` of the page before.
    ///
    /// Errors: `STORE_BAD_QUERY`, also when more than 100,000 documents would have to be looked at;
    /// `STORE_BAD_NAME`, `STORE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let page = store::query("clips", #{ where: #{ state: "ready" }, order_by: "-score", limit: 5 });
    /// for clip in page.documents { log::info(`${clip.id}: ${clip.data.title}`); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn query(ctx: NativeCallContext, collection: &str, options: Map) -> ScriptResult {
        let options = fields(&ctx, options)?;
        let args = [("collection", collection.into()), ("options", options.clone().into())];
        ctx.local(&QUERY, args, |local| queried(local, collection, &options))
    }

    /// Returns how many documents a collection holds.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    ///
    /// Errors: `STORE_BAD_NAME`; `STORE_BAD_QUERY` when there are more than 1,000,000.
    ///
    /// ```rhai
    /// let posts = store::count("posts");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn count(ctx: NativeCallContext, collection: &str) -> ScriptResult {
        ctx.local(&COUNT, [("collection", collection.into())], |local| {
            counted(local, collection, &Fields::new())
        })
    }

    /// Returns how many documents of a collection fit the conditions.
    ///
    /// - `collection`: 1 to 64 letters, digits, `_` or `-`.
    /// - `conditions`: as `where` in `query`.
    ///
    /// Errors: `STORE_BAD_NAME`, `STORE_BAD_QUERY`.
    ///
    /// ```rhai
    /// let waiting = store::count("clips", #{ state: "ready", score: #{ gte: 7 } });
    /// ```
    #[rhai_fn(name = "count", return_raw)]
    pub fn count_where(ctx: NativeCallContext, collection: &str, conditions: Map) -> ScriptResult {
        let conditions = fields(&ctx, conditions)?;
        let args = [("collection", collection.into()), ("where", conditions.clone().into())];
        ctx.local(&COUNT, args, |local| counted(local, collection, &conditions))
    }

    /// Returns the names of all collections that hold a document, in order; at most 10,000.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// for name in store::collections() { log::info(name); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn collections(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&COLLECTIONS, Value::Unit, |local| {
            let names = documents::collections(&mut local.tx)?;
            Ok(names.into_iter().map(Value::from).collect::<Vec<_>>().into())
        })
    }
}

fn change(
    ctx: &NativeCallContext<'_>,
    collection: &str,
    id: &str,
    expected: Option<i64>,
    changed: Map,
) -> ScriptResult {
    let changed = fields(ctx, changed)?;
    let mut args = Fields::from([
        ("collection".to_owned(), collection.into()),
        ("id".to_owned(), id.into()),
        ("fields".to_owned(), changed.clone().into()),
    ]);
    if let Some(expected) = expected {
        args.insert("version".to_owned(), expected.into());
    }
    let expected = ctx.check(expected.map(checked_version).transpose())?;
    ctx.local(&UPDATE, args, |local| {
        let version = documents::update(&mut local.tx, collection, id, changed.clone(), expected)?;
        Ok(number(version))
    })
}

fn counted(local: &mut Local<'_>, collection: &str, conditions: &Fields) -> Result<Value, StoreError> {
    let count = documents::count(&mut local.tx, collection, &Filter::parse(conditions)?)?;
    Ok(number(count))
}

/// A page, as scripts see it.
fn queried(local: &mut Local<'_>, collection: &str, options: &Fields) -> Result<Value, StoreError> {
    let page = documents::query(&mut local.tx, collection, &Query::parse(options)?)?;
    let documents: Vec<Value> = page.documents.into_iter().map(whole).collect();
    Ok(Value::from([
        ("documents", documents.into()),
        ("next", page.next.into()),
    ]))
}

fn named(collection: &str, id: &str) -> [(&'static str, Value); 2] {
    [("collection", collection.into()), ("id", id.into())]
}

fn whole(document: Document) -> Value {
    Value::from([
        ("id", document.id.into()),
        ("version", number(document.version)),
        ("data", document.data.into()),
    ])
}

/// A map of the script's as plain data.
fn fields(ctx: &NativeCallContext<'_>, map: Map) -> ScriptResult<Fields> {
    match ctx.value(&map.into())? {
        Value::Map(fields) => Ok(fields),
        _ => unreachable!("a map is a map as plain data too"),
    }
}

fn checked_version(version: i64) -> Result<u64, Failure> {
    u64::try_from(version).map_err(|_| {
        Failure::new(
            "STORE_BAD_QUERY",
            format!("no document has the version {version}; versions begin at 1"),
        )
    })
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;
    use crate::value::Value;

    #[test]
    fn a_document_is_put_read_changed_found_and_deleted() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            store::put("clips", "a", #{ state: "new", score: 3 });
            store::put("clips", "b", #{ state: "new", score: 5 });
            let a = store::read("clips", "a");
            store::update("clips", "a", a.version, #{ state: "posted" });
            let page = store::query("clips", #{ where: #{ score: #{ gte: 3 } }, order_by: "-score", limit: 1 });
            let rest = store::query("clips", #{ where: #{ score: #{ gte: 3 } }, order_by: "-score", limit: 1, cursor: page.next });
            [store::get("clips", "a"), page.documents[0].id, rest.documents[0].version, rest.next, store::count("clips"),
             store::count("clips", #{ state: "new" }), store::collections(), store::delete("clips", "b"), store::get("clips", "b")]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"[{"score":3,"state":"posted"},"b",2,null,2,1,["clips"],true,null]"#
        );
    }

    #[test]
    fn a_loop_goes_through_a_collection_page_by_page_each_a_step() {
        let host = TestHost::default();
        host.run(r#"for n in 0..5 { store::put("clips", `c${n}`, #{ n: n, odd: n % 2 == 1 }); }"#);
        let run = host.run(
            r#"
            let ids = [];
            for clip in store::each("clips", #{ limit: 2, order_by: "-n" }) { ids.push(clip.id); }
            for page in store::pages("clips", #{ limit: 1, where: #{ odd: true } }) { ids.push(page.len()); }
            for clip in store::each("nothing") { ids.push("never"); }
            for clip in store::each("clips") { if clip.data.n == 1 { break; } ids.push(clip.data.n); }
            ids
            "#,
        );
        assert_eq!(run.value().to_string(), r#"["c4","c3","c2","c1","c0",1,1,0]"#);
        let steps = run.answers().len();
        assert_eq!(steps, 3 + 2 + 1 + 1, "a page a step: {}", run.journal());
        let refused = host.run(r#"for clip in store::each("clips", #{ wher: #{} }) { print(clip); }"#);
        assert_eq!(refused.failure().code, "STORE_BAD_QUERY");
        assert_eq!(refused.outcome().error.as_ref().unwrap().place.line, 1);
        let caught = host.run(r#"let code = (); try { for clip in store::each("my clips") { print(clip); } } catch (e) { code = e.code; } code"#);
        assert_eq!(caught.value().to_string(), r#""STORE_BAD_NAME""#);
        let kept = host.run(r#"kv::put("loop", store::each("clips"))"#);
        assert_eq!(kept.failure().code, "NOT_PLAIN_DATA");
    }

    #[test]
    fn a_what_if_groups_what_the_edited_script_has_written() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            store::put("posts", "a", #{ by: "x", views: 3 });
            store::put("posts", "b", #{ by: "y", views: 4 });
            let joined = store::join("posts", "posts", #{ on: "by", key: "by", into: "self" });
            [store::group("posts", #{ by: "by", aggregates: #{ views: #{ sum: "views" } } }), joined.map(|row| row.self.views)]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"[[{"by":"x","views":3},{"by":"y","views":4}],[3,4]]"#
        );
    }

    #[test]
    fn of_two_changes_of_one_version_the_later_is_refused() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            store::put("clips", "a", #{ n: 1 });
            let read = store::read("clips", "a");
            store::update("clips", "a", #{ n: 2 });
            let caught = try_update(read);
            fn try_update(read) {
                try { store::update("clips", "a", read.version, #{ n: 3 }); } catch (e) { return e.code; }
            }
            [caught, store::get("clips", "a").n]
            "#,
        );
        assert_eq!(run.value().to_string(), r#"["STORE_STALE_VERSION",2]"#);
    }

    #[test]
    fn a_replay_sees_the_documents_of_its_time() {
        let host = TestHost::default();
        host.run(r#"store::put("clips", "a", #{ n: 1 })"#);
        let run = host.run(r#"store::get("clips", "a").n"#);
        host.run(r#"store::delete("clips", "a")"#);
        assert_eq!(host.replay(run.id()).outcome.value, Value::Int(1));
    }

    #[test]
    fn refusals_name_the_value_and_the_way_out() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"store::get("my clips", "a")"#),
            r#"STORE_BAD_NAME: "my clips" is no name of a collection: it needs 1 to 64 letters, digits, "_" or "-""#
        );
        assert_eq!(
            refusal(r#"store::query("clips", #{ wher: #{} })"#),
            r#"STORE_BAD_QUERY: a query has no "wher"; did you mean "where"?"#
        );
        assert_eq!(
            refusal(r#"store::update("clips", "a", #{})"#),
            r#"STORE_NOT_FOUND: there is no document "a" in "clips""#
        );
        assert_eq!(
            refusal(r#"store::delete("clips", "a", -1)"#),
            "STORE_BAD_QUERY: no document has the version -1; versions begin at 1"
        );
    }
}
