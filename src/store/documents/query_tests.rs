//! Queries against a naive model, through every way there is.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::document::{Document, delete, put};
use super::indexes::Indexes;
use super::query::{Page, Query, query, query_within};
use super::{Filter, count};
use crate::store::order::sort_key;
use crate::store::test_ground::{ground, transact};
use crate::store::tx::Ground;
use crate::store::{Batch, Durability, Realm, StoreError, Tx, keys};
use crate::value::{Map, Value};

fn options<const N: usize>(options: [(&str, Value); N]) -> Map {
    options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn run(ground: &Ground, options: &Map) -> Result<Page, StoreError> {
    let wanted = Query::parse(options)?;
    let mut tx = Tx::new(ground, Realm::Live, 0);
    let page = query(&mut tx, "videos", &wanted)?;
    assert!(tx.batch.is_empty(), "a query demands nothing");
    Ok(page)
}

fn ids(page: &Page) -> Vec<&str> {
    page.documents.iter().map(|document| document.id.as_str()).collect()
}

/// All pages one after another.
fn all_pages(ground: &Ground, mut options: Map) -> Result<Vec<Document>, StoreError> {
    let mut documents = Vec::new();
    loop {
        let page = run(ground, &options)?;
        documents.extend(page.documents);
        let Some(next) = page.next else { return Ok(documents) };
        options.insert("cursor".to_owned(), next.into());
    }
}

fn field_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Unit),
        any::<bool>().prop_map(Value::Bool),
        (-2i64..3).prop_map(Value::Int),
        (-4i32..5).prop_map(|n| Value::Float(f64::from(n) / 2.0)),
        "[\u{0}ab]{0,2}".prop_map(Value::Text),
        // Beyond what an index holds of a value.
        "[ab]{0,1}".prop_map(|end| Value::Text(format!("{}{end}", "x".repeat(600)))),
    ]
}

fn document_data() -> impl Strategy<Value = Map> {
    let field = || proptest::option::of(field_value());
    (field(), field(), field()).prop_map(|(a, b, c)| {
        let nested = c.map(|c| Value::from([("d", c)]));
        let fields = [("a", a), ("b", b), ("c", nested)];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let compared = prop_oneof![
        Just("eq"),
        Just("ne"),
        Just("lt"),
        Just("lte"),
        Just("gt"),
        Just("gte"),
        Just("contains")
    ];
    prop_oneof![
        3 => field_value(),
        4 => (compared, field_value()).prop_map(|(operator, operand)| Value::from([(operator, operand)])),
        2 => (field_value(), field_value()).prop_map(|(low, high)| Value::from([("gte", low), ("lt", high)])),
        1 => any::<bool>().prop_map(|exists| Value::from([("exists", exists.into())])),
        2 => proptest::collection::vec(field_value(), 0..4).prop_map(|values| Value::from([("in", values.into())])),
    ]
}

const FIELDS: [&str; 3] = ["a", "b", "c.d"];

fn search() -> impl Strategy<Value = Map> {
    let field = prop_oneof![Just("a"), Just("b"), Just("c.d")];
    let wheres = proptest::collection::btree_map(field.prop_map(str::to_owned), condition(), 0..3);
    let orders = prop_oneof![
        Just(None),
        Just(Some("-id")),
        Just(Some("a")),
        Just(Some("-a")),
        Just(Some("b")),
        Just(Some("-c.d")),
    ];
    (wheres, orders, 1..8i64).prop_map(|(wheres, order, limit)| {
        options([
            ("where", wheres.into()),
            ("order_by", order.map(Value::from).into()),
            ("limit", limit.into()),
        ])
    })
}

/// Written without the store's encoding: kinds by rank, numbers as floats, which are exact for those above.
fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Unit => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        _ => 3,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Unit, _) => Ordering::Equal,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => a.as_float().unwrap().partial_cmp(&b.as_float().unwrap()).unwrap(),
    })
}

fn find<'a>(data: &'a Map, field: &str) -> Option<&'a Value> {
    match field {
        "c.d" => data.get("c")?.get("d"),
        field => data.get(field),
    }
}

fn holds(data: &Map, field: &str, operator: &str, operand: &Value) -> bool {
    let found = find(data, field).unwrap_or(&Value::Unit);
    let order = if operand.as_list().is_some() {
        Ordering::Equal
    } else {
        compare(found, operand)
    };
    let number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_));
    let one_kind = found.kind() == operand.kind() || (number(found) && number(operand));
    match operator {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "lt" => one_kind && order.is_lt(),
        "lte" => one_kind && order.is_le(),
        "gt" => one_kind && order.is_gt(),
        "gte" => one_kind && order.is_ge(),
        "exists" => find(data, field).is_some() == operand.as_bool().unwrap(),
        "in" => operand
            .as_list()
            .unwrap()
            .iter()
            .any(|value| compare(found, value).is_eq()),
        "contains" => matches!((found, operand), (Value::Text(text), Value::Text(part)) if text.contains(part)),
        other => panic!("{other}"),
    }
}

/// What the whole answer should be.
fn expected(documents: &BTreeMap<String, Map>, options: &Map) -> Vec<String> {
    let conditions = options["where"].as_map().unwrap();
    let mut found: Vec<_> = documents
        .iter()
        .filter(|(_, data)| {
            conditions.iter().all(|(field, wanted)| match wanted {
                Value::Map(operators) => operators
                    .iter()
                    .all(|(operator, operand)| holds(data, field, operator, operand)),
                wanted => holds(data, field, "eq", wanted),
            })
        })
        .collect();
    if let Some(order) = options["order_by"].as_str() {
        let field = order.trim_start_matches('-');
        if field != "id" {
            let cut = |value: Option<&Value>| match value {
                // Longer texts count as equal, since an index holds no more of them.
                Some(Value::Text(text)) => Value::Text(text.chars().take(550).collect()),
                value => value.cloned().unwrap_or_default(),
            };
            found.sort_by(|a, b| compare(&cut(find(a.1, field)), &cut(find(b.1, field))));
        }
        if order.starts_with('-') {
            found.reverse();
        }
    }
    found.into_iter().map(|(id, _)| id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn queries_agree_with_the_model_with_and_without_indexes(
        changes in proptest::collection::vec((0..12u8, proptest::option::weighted(0.85, document_data())), 0..40),
        late in proptest::collection::vec((0..12u8, proptest::option::weighted(0.85, document_data())), 0..10),
        searches in proptest::collection::vec(search(), 1..8),
    ) {
        let plain = ground(&[]);
        let early = ground(&[("videos", &FIELDS)]);
        Indexes::build(&early).unwrap();
        let partly = ground(&[("videos", &["b"])]);
        let built_late = ground(&[("videos", &["a", "c.d"])]);
        let grounds = [&plain, &early, &partly, &built_late];
        let mut documents = BTreeMap::new();
        let change = |documents: &mut BTreeMap<String, Map>, (id, data): (u8, Option<Map>)| {
            let id = format!("video {id}");
            for ground in grounds {
                transact(ground, 0, |tx| match &data {
                    Some(data) => put(tx, "videos", &id, data.clone()).map(drop),
                    None => delete(tx, "videos", &id, None).map(drop),
                }).unwrap();
            }
            match data {
                Some(data) => drop(documents.insert(id, data)),
                None => drop(documents.remove(&id)),
            }
        };
        changes.into_iter().for_each(|one| change(&mut documents, one));
        Indexes::build(&built_late).unwrap();
        Indexes::build(&partly).unwrap();
        late.into_iter().for_each(|one| change(&mut documents, one));

        for search in searches {
            let expected = expected(&documents, &search);
            for ground in grounds {
                let found = all_pages(ground, search.clone()).unwrap();
                let found_ids: Vec<_> = found.iter().map(|document| document.id.clone()).collect();
                prop_assert_eq!(&found_ids, &expected, "{:?}", search);
                for document in found {
                    prop_assert_eq!(&document.data, &documents[&document.id]);
                }
                let filter = Filter::parse(search["where"].as_map().unwrap()).unwrap();
                let counted = transact(ground, 0, |tx| count(tx, "videos", &filter)).unwrap();
                prop_assert_eq!(counted, expected.len() as u64);
            }
        }
    }
}

fn with_views(indexes: &[(&str, &[&str])], views: impl IntoIterator<Item = i64>) -> Ground {
    let ground = ground(indexes);
    Indexes::build(&ground).unwrap();
    for (n, views) in (0..).zip(views) {
        let data = options([("views", views.into())]);
        transact(&ground, 0, |tx| put(tx, "videos", &format!("v{n}"), data.clone())).unwrap();
    }
    ground
}

/// What an index holds of these titles is the same; only the documents tell them apart.
#[test]
fn titles_that_differ_late_are_found_through_an_index() {
    let ground = ground(&[("videos", &["title"])]);
    Indexes::build(&ground).unwrap();
    let title = |end: &str| Value::from("x".repeat(600) + end);
    for end in ["a", "b", "c"] {
        transact(&ground, 0, |tx| {
            put(tx, "videos", end, options([("title", title(end))]))
        })
        .unwrap();
    }
    let found = |operator: &str| {
        let wanted = Value::from([("title", Value::from([(operator, title("b"))]))]);
        let page = run(&ground, &options([("where", wanted)])).unwrap();
        ids(&page).join(" ")
    };
    let operators = ["eq", "lt", "lte", "gt", "gte"];
    assert_eq!(operators.map(found), ["b", "a", "a b", "c", "b c"]);
}

/// As when a document changes after its entry was read.
#[test]
fn an_entry_that_its_document_has_left_leads_nowhere() {
    let ground = with_views(&[("videos", &["views"])], [1, 2]);
    let mut batch = Batch::new();
    for views in [0, 3] {
        let entry = keys::index_entry(Realm::Live, "videos", "views", &sort_key(&views.into()), "v0");
        batch.put(entry, Vec::new());
    }
    ground.store.commit(batch, Durability::Soon).unwrap();
    assert_eq!(
        ids(&run(&ground, &options([("order_by", "views".into())])).unwrap()),
        ["v0", "v1"]
    );
    assert_eq!(
        ids(&run(&ground, &options([("order_by", "-views".into())])).unwrap()),
        ["v1", "v0"]
    );
    let filter = Filter::parse(&options([("views", Value::from([("gte", 0.into())]))])).unwrap();
    assert_eq!(transact(&ground, 0, |tx| count(tx, "videos", &filter)).unwrap(), 2);
}

#[test]
fn documents_that_come_and_go_between_pages_shift_nothing() {
    for indexes in [&[][..], &[("videos", &["views"][..])][..]] {
        let ground = with_views(indexes, [10, 20, 30, 40]);
        let mut first = options([("order_by", "views".into()), ("limit", 2.into())]);
        let page = run(&ground, &first).unwrap();
        assert_eq!(ids(&page), ["v0", "v1"]);
        transact(&ground, 0, |tx| {
            put(tx, "videos", "before", options([("views", 5.into())]))
        })
        .unwrap();
        transact(&ground, 0, |tx| {
            put(tx, "videos", "after", options([("views", 35.into())]))
        })
        .unwrap();
        transact(&ground, 0, |tx| delete(tx, "videos", "v1", None)).unwrap();
        first.insert("cursor".to_owned(), page.next.unwrap().into());
        let page = run(&ground, &first).unwrap();
        assert_eq!(ids(&page), ["v2", "after"]);
        first.insert("cursor".to_owned(), page.next.unwrap().into());
        let page = run(&ground, &first).unwrap();
        assert_eq!((ids(&page), page.next.as_deref()), (vec!["v3"], None));
    }
}

#[test]
fn a_cursor_of_another_query_or_of_nobody_is_refused() {
    let ground = with_views(&[], [1, 2, 3]);
    let next = run(&ground, &options([("limit", 1.into())])).unwrap().next.unwrap();
    let with = |cursor: &str, order: &str| {
        run(
            &ground,
            &options([("cursor", cursor.into()), ("order_by", order.into())]),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(with(&next, "views").starts_with("the cursor belongs to another query"));
    assert!(with("x", "id").starts_with("the cursor is not one that a query returned"));
    assert!(with(&"A".repeat(1000), "id").starts_with("the cursor is not one"));
    assert!(
        run(&ground, &options([("limit", 2.into()), ("cursor", next.into())])).is_ok(),
        "the limit may change"
    );
}

#[test]
fn mistakes_in_options_are_told_with_the_way_out() {
    let ground = ground(&[]);
    let told = |name: &str, value: Value| run(&ground, &options([(name, value)])).unwrap_err().to_string();
    assert_eq!(
        told("orderby", "a".into()),
        r#"a query has no "orderby"; did you mean "order_by"?"#
    );
    assert_eq!(
        told("filter?", 1.into()),
        r#"a query has no "filter?"; it has where, order_by, limit and cursor"#
    );
    assert_eq!(told("where", "a".into()), r#""where" needs a map, not string"#);
    assert_eq!(told("limit", 0.into()), "the limit is 0; 1 to 10000 are allowed");
    assert_eq!(
        told("limit", 10_001.into()),
        "the limit is 10001; 1 to 10000 are allowed"
    );
}

#[test]
fn a_page_ends_when_it_is_full_of_bytes_and_loses_nothing() {
    let ground = with_views(&[], []);
    let clip = Value::Blob(vec![0; 15 << 20]);
    for (n, views) in [3, 1, 5, 2, 4, 6].into_iter().enumerate() {
        let data = options([("views", views.into()), ("clip", clip.clone())]);
        transact(&ground, 0, |tx| put(tx, "videos", &format!("v{n}"), data.clone())).unwrap();
    }
    let small = options([("views", 7.into())]);
    transact(&ground, 0, |tx| put(tx, "videos", "v6", small.clone())).unwrap();
    let page = run(&ground, &options([("order_by", "views".into())])).unwrap();
    assert_eq!(page.documents.len(), 4);
    let all = all_pages(&ground, options([("order_by", "views".into())])).unwrap();
    let views: Vec<_> = all
        .iter()
        .map(|document| document.data["views"].as_int().unwrap())
        .collect();
    assert_eq!(views, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_query_that_would_look_at_too_much_names_the_index_that_would_help() {
    let ground = ground(&[("videos", &["day"])]);
    Indexes::build(&ground).unwrap();
    for n in 0..=1000 {
        let data = options([("views", (n % 100).into()), ("day", (n / 10).into())]);
        transact(&ground, 0, |tx| put(tx, "videos", &format!("{n:04}"), data.clone())).unwrap();
    }
    let run = |options: Map| {
        let query = Query::parse(&options).unwrap();
        transact(&ground, 0, |tx| query_within(tx, "videos", &query, 1000))
    };
    let expected = r#"the query on "videos" would look at more than 1000 documents; declare an index on "views""#;
    let by_views = options([("order_by", "-views".into()), ("limit", 1.into())]);
    assert_eq!(run(by_views).unwrap_err().to_string(), expected);
    let none = Value::from([("views", (-1).into())]);
    assert_eq!(run(options([("where", none)])).unwrap_err().to_string(), expected);

    let late = Value::from([("day", Value::from([("gt", 98.into())])), ("views", 99.into())]);
    assert_eq!(ids(&run(options([("where", late)])).unwrap()), ["0999"]);
    let newest = options([("order_by", "-day".into()), ("limit", 1.into())]);
    assert_eq!(ids(&run(newest).unwrap()), ["1000"]);
}

/// In the order of an index this would look at everything; through the index of its condition, at two documents.
#[test]
fn where_one_index_leads_past_too_much_the_other_is_taken() {
    let ground = ground(&[("videos", &["day", "views"])]);
    Indexes::build(&ground).unwrap();
    for n in 0..100 {
        let data = options([("views", n.into()), ("day", n.into())]);
        transact(&ground, 0, |tx| put(tx, "videos", &format!("{n:04}"), data.clone())).unwrap();
    }
    let early = Value::from([("day", Value::from([("lt", 2.into())]))]);
    let query = Query::parse(&options([("where", early), ("order_by", "-views".into())])).unwrap();
    let page = transact(&ground, 0, |tx| query_within(tx, "videos", &query, 50)).unwrap();
    assert_eq!(ids(&page), ["0001", "0000"]);
}
