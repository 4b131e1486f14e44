//! Groups and joins against what is made by hand, with indexes and without.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{FieldPath, Grouping, Indexes, find_each, group, put};
use crate::store::engine::Engine;
use crate::store::overlay::Overlay;
use crate::store::test_ground::{ground, ground_on, transact};
use crate::store::tx::Ground;
use crate::value::{Map, Value};

fn map<const N: usize>(fields: [(&str, Value); N]) -> Map {
    match Value::from(fields) {
        Value::Map(map) => map,
        _ => unreachable!(),
    }
}

fn asked<const N: usize>(options: [(&str, Value); N]) -> Grouping {
    Grouping::parse(&map(options)).unwrap()
}

fn grouped(ground: &Ground, asked: &Grouping) -> String {
    let groups = transact(ground, 0, |tx| group(tx, "posts", asked)).unwrap();
    Value::List(groups).to_string()
}

fn aggregate(word: &str, field: &str) -> Value {
    Value::from([(word, field.into())])
}

fn filled(ground: &Ground, documents: &[(&str, Map)]) {
    for (id, data) in documents {
        transact(ground, 0, |tx| put(tx, "posts", id, data.clone())).unwrap();
    }
}

#[test]
fn every_aggregate_is_computed_over_what_is_there() {
    let ground = ground(&[]);
    let post = |by: &str, views: Value| map([("by", by.into()), ("stats", Value::from([("views", views)]))]);
    filled(
        &ground,
        &[
            ("a", post("x", 4.into())),
            ("b", post("y", Value::Unit)),
            ("c", post("x", 1.into())),
            ("d", post("x", 1.0.into())),
            ("e", map([("by", "x".into())])),
        ],
    );
    let views = "stats.views";
    let all = asked([
        ("by", "by".into()),
        (
            "aggregates",
            Value::from([
                ("n", "count".into()),
                ("present", aggregate("count", views)),
                ("sum", aggregate("sum", views)),
                ("mean", aggregate("mean", views)),
                ("min", aggregate("min", views)),
                ("max", aggregate("max", views)),
                ("first", aggregate("first", views)),
                ("last", aggregate("last", views)),
                ("median", aggregate("median", views)),
                ("p75", Value::from([("percentile", views.into()), ("p", 75.into())])),
                ("kinds", aggregate("distinct", views)),
            ]),
        ),
    ]);
    assert_eq!(
        grouped(&ground, &all),
        concat!(
            r#"[{"by":"x","first":4,"kinds":2,"last":1.0,"max":4,"mean":2.0,"median":1.0,"min":1,"n":4,"p75":2.5,"#,
            r#""present":3,"sum":6.0},"#,
            r#"{"by":"y","first":null,"kinds":0,"last":null,"max":null,"mean":null,"median":null,"min":null,"n":1,"#,
            r#""p75":null,"present":0,"sum":0}]"#
        )
    );
}

#[test]
fn a_sum_of_many_small_floats_loses_nothing() {
    let ground = ground(&[]);
    for n in 0..1000 {
        transact(&ground, 0, |tx| {
            put(tx, "posts", &format!("{n:04}"), map([("x", 0.1.into())]))
        })
        .unwrap();
    }
    let sum = asked([("aggregates", Value::from([("sum", aggregate("sum", "x"))]))]);
    assert_eq!(grouped(&ground, &sum), r#"[{"sum":100.0}]"#);
}

/// Groups are found again by a part of what they have in common, which these share.
#[test]
fn groups_that_look_alike_are_kept_apart() {
    let ground = ground(&[]);
    for n in 0..300 {
        let by = format!("{:03}, as all of them", n % 100);
        transact(&ground, 0, |tx| {
            put(tx, "posts", &format!("{n:04}"), map([("by", by.as_str().into())]))
        })
        .unwrap();
    }
    let groups = transact(&ground, 0, |tx| group(tx, "posts", &asked([("by", "by".into())]))).unwrap();
    assert_eq!(groups.len(), 100);
    for (n, group) in groups.iter().enumerate() {
        let expected = format!(r#"{{"by":"{n:03}, as all of them","count":3}}"#);
        assert_eq!(group.to_string(), expected);
    }
}

#[test]
fn groups_are_made_by_several_fields_ordered_and_cut() {
    let ground = ground(&[]);
    let post = |a: Value, b: &str| map([("a", a), ("b", Value::from([("c", b.into())]))]);
    filled(
        &ground,
        &[
            ("1", post(1.into(), "x")),
            ("2", post(1.0.into(), "x")),
            ("3", post(2.into(), "x")),
            ("4", post(1.into(), "y")),
        ],
    );
    let by = Value::from([("a", "a".into()), ("c", "b.c".into())]);
    let top = asked([("by", by.clone()), ("order_by", "-count".into()), ("limit", 2.into())]);
    assert_eq!(
        grouped(&ground, &top),
        r#"[{"a":1,"c":"x","count":2},{"a":1,"c":"y","count":1}]"#
    );
    let last = asked([("by", by), ("order_by", "-c".into()), ("limit", 1.into())]);
    assert_eq!(grouped(&ground, &last), r#"[{"a":1,"c":"y","count":1}]"#);
    let none = asked([("where", Value::from([("a", 9.into())]))]);
    assert_eq!(
        grouped(&ground, &none),
        r#"[{"count":0}]"#,
        "one group, and it is empty"
    );
    let none = asked([("where", Value::from([("a", 9.into())])), ("by", "a".into())]);
    assert_eq!(grouped(&ground, &none), "[]");
}

#[test]
fn mistakes_in_a_grouping_are_told_with_the_way_out() {
    let told = |options: Map| Grouping::parse(&options).unwrap_err().to_string();
    assert_eq!(
        told(map([("group_by", "a".into())])),
        r#"a grouping has no "group_by"; it has where, by, aggregates, order_by and limit"#
    );
    assert_eq!(
        told(map([("aggregate", "a".into())])),
        r#"a grouping has no "aggregate"; did you mean "aggregates"?"#
    );
    assert_eq!(
        told(map([("aggregates", Value::from([("n", "sum".into())]))])),
        r#"the aggregate "n" needs a field: #{ sum: "views" }"#
    );
    assert_eq!(
        told(map([("by", "count".into())])),
        r#""count" is the name of a field of `by` and an aggregate; give one of them another name"#
    );
    assert_eq!(
        told(map([("by", "a".into()), ("order_by", "-views".into())])),
        r#"`order_by` names "views"; it can name a, count"#
    );
    let p = Value::from([("percentile", "a".into()), ("p", 101.into())]);
    assert!(told(map([("aggregates", Value::from([("x", p)]))])).contains("from 0 to 100"));
    let ground = ground(&[]);
    filled(&ground, &[("a", map([("x", "seven".into())]))]);
    let sum = asked([("aggregates", Value::from([("total", aggregate("sum", "x"))]))]);
    let error = transact(&ground, 0, |tx| group(tx, "posts", &sum)).unwrap_err();
    assert_eq!(
        error.to_string(),
        concat!(
            r#""x" of the document "a" is string, and "total" needs numbers; "#,
            r##"leave it out with where: #{ "x": #{ gte: 0 } }"##
        )
    );
}

#[test]
fn a_sum_beyond_64_bits_is_refused() {
    let ground = ground(&[]);
    filled(
        &ground,
        &[("a", map([("x", i64::MAX.into())])), ("b", map([("x", 1.into())]))],
    );
    let sum = asked([("aggregates", Value::from([("sum", aggregate("sum", "x"))]))]);
    let error = transact(&ground, 0, |tx| group(tx, "posts", &sum)).unwrap_err();
    assert_eq!(error.to_string(), r#"the sum "sum" goes beyond 64 bits"#);
}

fn field() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Unit),
        (-2i64..3).prop_map(Value::Int),
        (-2i32..3).prop_map(|n| Value::Float(f64::from(n) / 2.0)),
        "[ab]{1,2}".prop_map(Value::Text),
    ]
}

fn documents() -> impl Strategy<Value = BTreeMap<String, Map>> {
    let data = proptest::collection::btree_map("[abn]", field(), 0..3);
    proptest::collection::btree_map("[a-f]{1,2}", data, 0..12)
}

/// The same by the plainest way there is: groups of documents in lists.
fn by_hand(documents: &BTreeMap<String, Map>) -> String {
    let field = |data: &Map, name: &str| data.get(name).cloned().unwrap_or_default();
    let mut groups: BTreeMap<Vec<u8>, (Value, Vec<Value>)> = BTreeMap::new();
    for data in documents.values() {
        let is_wanted = field(data, "n").as_float().is_some_and(|n| n >= 0.0);
        if is_wanted {
            let by = field(data, "a");
            let group = groups
                .entry(crate::store::order::encode(&by))
                .or_insert((by, Vec::new()));
            group.1.push(field(data, "b"));
        }
    }
    let rows = groups.into_values().map(|(by, found)| {
        let present: Vec<&Value> = found.iter().filter(|value| !value.is_unit()).collect();
        Value::from([
            ("a", by),
            ("count", (found.len() as i64).into()),
            ("first", present.first().map(|value| (*value).clone()).into()),
            ("last", present.last().map(|value| (*value).clone()).into()),
        ])
    });
    Value::List(rows.collect()).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_are_those_made_by_hand_whatever_lies_where(documents in documents(), later in documents()) {
        let question = asked([
            ("where", Value::from([("n", Value::from([("gte", 0.into())]))])),
            ("by", "a".into()),
            ("aggregates", Value::from([
                ("count", "count".into()), ("first", aggregate("first", "b")), ("last", aggregate("last", "b")),
            ])),
        ]);
        let engine = Arc::new(Engine::in_memory().unwrap());
        let plain = ground_on(engine.clone(), &[]);
        let indexed = ground(&[("posts", &["n"])]);
        Indexes::build(&indexed).unwrap();
        for (id, data) in &documents {
            for ground in [&plain, &indexed] {
                transact(ground, 0, |tx| put(tx, "posts", id, data.clone())).unwrap();
            }
        }
        prop_assert_eq!(grouped(&plain, &question), by_hand(&documents));
        prop_assert_eq!(grouped(&indexed, &question), by_hand(&documents));
        // Part of it in the file, part of it on its way there, part of it in an overlay.
        crate::store::Store::wait_durable(&*engine, crate::store::Store::stats(&*engine).last_commit).unwrap();
        let over = ground_on(Arc::new(Overlay::over(engine)), &[]);
        let mut both = documents.clone();
        for (at, (id, data)) in later.iter().enumerate() {
            both.insert(id.clone(), data.clone());
            let ground = if at % 2 == 0 { &plain } else { &over };
            transact(ground, 0, |tx| put(tx, "posts", id, data.clone())).unwrap();
        }
        prop_assert_eq!(grouped(&over, &question), by_hand(&both));
    }

    #[test]
    fn a_join_finds_the_same_with_an_index_and_without(documents in documents(), wanted in proptest::collection::vec(field(), 0..6)) {
        let plain = ground(&[]);
        let indexed = ground(&[("posts", &["a"])]);
        Indexes::build(&indexed).unwrap();
        for (id, data) in &documents {
            for ground in [&plain, &indexed] {
                transact(ground, 0, |tx| put(tx, "posts", id, data.clone())).unwrap();
            }
        }
        let path = FieldPath::parse("a").unwrap();
        let of = |wanted: &Value| -> Vec<Map> {
            let fits = |data: &&Map| !wanted.is_unit()
                && data.get("a").is_some_and(|a| crate::store::order::encode(a) == crate::store::order::encode(wanted));
            documents.values().filter(fits).cloned().collect()
        };
        let expected: Vec<Vec<Map>> = wanted.iter().map(of).collect();
        for ground in [&plain, &indexed] {
            let found = transact(ground, 0, |tx| find_each(tx, "posts", Some(&path), &wanted)).unwrap();
            prop_assert_eq!(&found, &expected);
        }
        let ids: Vec<Value> = vec!["a".into(), Value::Unit, "a".into(), "\n".into(), 7.into()];
        let found = transact(&plain, 0, |tx| find_each(tx, "posts", None, &ids)).unwrap();
        let a: Vec<Map> = documents.get("a").cloned().into_iter().collect();
        prop_assert_eq!(found, vec![a.clone(), vec![], a, vec![], vec![]]);
    }
}
