//! `list::` — arrays of maps as a whole: filtered, sorted, grouped, joined, summed. Pure: nothing is journaled.
//!
//! The same questions as `store::` answers of a collection, for what a provider or a file gave. Fields are looked up in
//! the script's own values, so items are neither copied nor converted but for the fields that are asked for.

mod items;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::items::{Fields, sort, unique};
use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::store::documents::{Filter, Grouping};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

/// The most items.
pub(super) const ITEMS_MAX: usize = 1_000_000;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the items that fit all conditions, in their order.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `conditions`: by field, as `where` of `store::query`: `#{ state: "new", "stats.views": #{ gte: 1000 } }`.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA` when a field that is looked at is a function or a range.
    ///
    /// ```rhai
    /// let posts = [#{ id: "a", views: 900 }, #{ id: "b", views: 40 }];
    /// list::filter(posts, #{ views: #{ gte: 100 } }).len() // => 1
    /// ```
    #[rhai_fn(return_raw)]
    pub fn filter(ctx: NativeCallContext, items: Array, conditions: Map) -> ScriptResult {
        let Value::Map(conditions) = ctx.value(&conditions.into())? else {
            return Ok(Dynamic::UNIT);
        };
        let filter = ctx.check(Filter::parse(&conditions).map_err(invalid))?;
        let fields = ctx.check(Fields::new(filter.paths(), &items))?;
        let mut kept = Array::new();
        for (at, item) in items.iter().enumerate() {
            if filter.holds(&ctx.check(fields.find(at))?) {
                kept.push(item.clone());
            }
        }
        Ok(kept.into())
    }

    /// Returns the items sorted by a field; those that are equal keep their order.
    ///
    /// Values are ordered as in `store::query`: `()`, bools, numbers, texts, arrays, maps. A missing field counts as `()`.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `order`: a field, such as `"stats.views"`; with `-` before it the greatest come first.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let posts = [#{ id: "a", views: 40 }, #{ id: "b", views: 900 }];
    /// list::sort_by(posts, "-views")[0].id // => "b"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sort_by(ctx: NativeCallContext, items: Array, order: &str) -> ScriptResult {
        ctx.check(sort(items, &[order.to_owned()])).map(Dynamic::from)
    }

    /// Returns the items sorted by several fields: by the first, among equals by the second, and so on.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `order`: fields as in `sort_by` with one, each with or without `-`; at most 8.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let posts = [#{ platform: "tiktok", views: 1 }, #{ platform: "instagram", views: 2 }, #{ platform: "tiktok", views: 3 }];
    /// list::sort_by(posts, ["platform", "-views"])[1].views // => 3
    /// ```
    #[rhai_fn(name = "sort_by", return_raw)]
    pub fn sort_by_many(ctx: NativeCallContext, items: Array, order: Array) -> ScriptResult {
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        ctx.check(sort(items, &order)).map(Dynamic::from)
    }

    /// Returns the items in groups, with what is computed of each: an array of maps.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `options`: `where`, `by`, `aggregates`, `order_by` and `limit`, as in `store::group`. `first` and `last` go by
    ///   the order of the array.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let posts = [#{ tag: "a", views: 40 }, #{ tag: "b", views: 900 }, #{ tag: "a", views: 60 }];
    /// let groups = list::group(posts, #{ by: "tag", aggregates: #{ views: #{ sum: "views" } } });
    /// groups[0].views // => 100
    /// ```
    #[rhai_fn(return_raw)]
    pub fn group(ctx: NativeCallContext, items: Array, options: Map) -> ScriptResult {
        let Value::Map(options) = ctx.value(&options.into())? else {
            return Ok(Dynamic::UNIT);
        };
        let grouping = ctx.check(Grouping::parse(&options).map_err(invalid))?;
        ctx.check(items::group(&items, &grouping)).map(to_dynamic)
    }

    /// Returns the items of `left`, each with the item of `right` whose field equals its own as one field more.
    ///
    /// - `left`, `right`: maps, at most 1,000,000 each.
    /// - `options`:
    ///   - `on`: the field of a left item, such as `"author_id"`.
    ///   - `key`: the field of a right item that it must equal; the same as `on` when nothing is said.
    ///   - `into`: under which name the right item is put into the left one.
    ///   - `keep`: `"all"` (when nothing is said) puts `()` into items without a partner; `"found"` leaves them out.
    ///   - `many`: `true` puts an array of all that fit instead of the first.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA`, `UNKNOWN_OPTION`, `MISSING_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let posts = [#{ id: 1, author: "anna" }];
    /// let authors = [#{ name: "anna", team: "video" }];
    /// let joined = list::join(posts, authors, #{ on: "author", key: "name", into: "profile" });
    /// joined[0].profile.team // => "video"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn join(ctx: NativeCallContext, left: Array, right: Array, options: Map) -> ScriptResult {
        let options = ctx.check(Options::new("list::join", &options))?;
        let joined = ctx.check(items::join(left, &right, options))?;
        Ok(joined.into())
    }

    /// Returns the items without those whose field has a value that came before; the first of each value stays.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `field`: such as `"id"`. Items without it count as `()`, so one of them stays.
    ///
    /// Errors: `LIST_INVALID`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let found = [#{ id: "a", page: 1 }, #{ id: "b", page: 1 }, #{ id: "a", page: 2 }];
    /// list::unique_by(found, "id").len() // => 2
    /// ```
    #[rhai_fn(return_raw)]
    pub fn unique_by(ctx: NativeCallContext, items: Array, field: &str) -> ScriptResult {
        ctx.check(unique(items, field)).map(Dynamic::from)
    }

    /// Returns the sum of a field of all items: a whole number when all of them are, 0 of nothing.
    ///
    /// Items without the field, or with `()` in it, are left out.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `field`: such as `"stats.views"`.
    ///
    /// Errors: `LIST_INVALID`, also when a value is no number or the sum goes beyond 64 bits.
    ///
    /// ```rhai
    /// list::sum_by([#{ views: 40 }, #{ views: 2 }, #{}], "views") // => 42
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sum_by(ctx: NativeCallContext, items: Array, field: &str) -> ScriptResult {
        let sum = Value::from([("sum", Value::from([("sum", field.into())]))]);
        let options = Value::from([("aggregates", sum)]);
        let grouping = ctx.check(Grouping::parse(options.as_map().unwrap_or(&Default::default())).map_err(invalid))?;
        let groups = ctx.check(items::group(&items, &grouping))?;
        let sum = groups.as_list().and_then(|groups| groups.first()?.get("sum").cloned());
        Ok(to_dynamic(sum.unwrap_or_default()))
    }

    /// Returns a map of the items by a field: `#{ "a": item, … }`. Of several with one value the last stays.
    ///
    /// - `items`: maps, at most 1,000,000.
    /// - `field`: whose values are strings or whole numbers; these numbers are written as in a string.
    ///
    /// Errors: `LIST_INVALID`, also for an item without the field or with another kind of value in it.
    ///
    /// ```rhai
    /// let by_id = list::index_by([#{ id: "a", views: 40 }, #{ id: "b", views: 2 }], "id");
    /// by_id["b"].views // => 2
    /// ```
    #[rhai_fn(return_raw)]
    pub fn index_by(ctx: NativeCallContext, items: Array, field: &str) -> ScriptResult {
        ctx.check(items::index(items, field)).map(Dynamic::from)
    }

    /// Returns the items in arrays of `size`; the last may be shorter.
    ///
    /// - `items`: of any kind.
    /// - `size`: at least 1.
    ///
    /// Errors: `LIST_INVALID`.
    ///
    /// ```rhai
    /// list::chunk([1, 2, 3, 4, 5], 2).len() // => 3
    /// ```
    #[rhai_fn(return_raw)]
    pub fn chunk(ctx: NativeCallContext, items: Array, size: i64) -> ScriptResult {
        let size = usize::try_from(size).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| Failure::new("LIST_INVALID", "the size of a chunk must be at least 1"));
        let size = ctx.check(size)?;
        let chunks = items.chunks(size).map(|chunk| Dynamic::from_array(chunk.to_vec()));
        Ok(chunks.collect::<Array>().into())
    }
}

/// What the rules of the store refuse, in the name of this namespace.
fn invalid(error: crate::store::StoreError) -> Failure {
    Failure::new("LIST_INVALID", error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn items_are_filtered_sorted_grouped_and_joined_by_paths() {
        let run = TestHost::default().run(
            r#"
            let posts = [
                #{ id: 1, stats: #{ views: 5 }, by: "anna" }, #{ id: 2, stats: #{ views: 7.5 }, by: "bert" },
                #{ id: 3, stats: #{ views: 5.0 }, by: "anna" }, #{ id: 4, by: () },
            ];
            let authors = [#{ name: "anna", n: 1 }, #{ name: "anna", n: 2 }];
            [
                list::filter(posts, #{ "stats.views": #{ lt: 6 } }).map(|p| p.id),
                list::sort_by(posts, ["-stats.views", "-id"]).map(|p| p.id),
                list::group(posts, #{ by: "by", aggregates: #{ n: "count", views: #{ sum: "stats.views" }, last: #{ last: "id" } }, order_by: "-n" }),
                list::join(posts, authors, #{ on: "by", key: "name", into: "author", keep: "found" }).map(|p| p.author.n),
                list::join(posts, authors, #{ on: "by", key: "name", into: "authors", many: true }).map(|p| p.authors.len()),
                list::unique_by(posts, "stats.views").map(|p| p.id),
                list::sum_by(posts, "stats.views"),
                list::index_by(posts, "id")["3"].by,
                list::chunk([1, 2, 3], 2),
            ]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            concat!(
                r#"[[1,3],[2,3,1,4],"#,
                r#"[{"by":"anna","last":3,"n":2,"views":10.0},{"by":null,"last":4,"n":1,"views":0},"#,
                r#"{"by":"bert","last":2,"n":1,"views":7.5}],"#,
                r#"[1,1],[2,0,2,0],[1,2,4],17.5,"anna",[[1,2],[3]]]"#
            )
        );
        assert_eq!(run.answers().len(), 0, "pure functions leave no step");
    }

    #[test]
    fn mistakes_are_told_with_the_item() {
        let host = TestHost::default();
        let told = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            told(r#"list::sum_by([#{ views: 1 }, #{ views: "2" }], "views")"#),
            concat!(
                r#"LIST_INVALID: "views" of the item 1 is string, and "sum" needs numbers; "#,
                r##"leave it out with where: #{ "views": #{ gte: 0 } }"##
            )
        );
        assert_eq!(
            told(r#"list::sort_by([#{}, 7], "views")"#),
            "LIST_INVALID: the item 1 is int, not a map"
        );
        assert_eq!(
            told(r#"list::group([], #{ aggregates: #{ views: #{ summ: "views" } } })"#),
            r#"LIST_INVALID: the aggregate "views" has the unknown word "summ"; did you mean "sum"?"#
        );
        assert!(told("list::chunk([1], 0)").starts_with("LIST_INVALID: the size"));
        assert!(told(r#"list::index_by([#{}], "id")"#).starts_with("LIST_INVALID: \"id\" of the item 0 is ()"));
    }
}
