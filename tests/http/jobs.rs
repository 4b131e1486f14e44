//! Jobs of a queue by the page, in the API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::inside::Inside;

const FILLS: &str = "for n in 0..230 { queue::push(\"many\", #{ n: n }); }\nqueue::push(\"other\", 1);";

#[test]
fn pages_of_jobs_follow_one_another_without_a_gap_though_they_came_at_one_moment() {
    let host = Inside::start(&[("playbooks/fills.rhai", FILLS)]);
    let run = host
        .post("/api/v1/runs", &json!({"playbook": "fills"}).to_string())
        .data();
    host.run_when(run["run_id"].as_str().expect("an id"), &["succeeded"]);
    let (mut seen, mut sizes, mut path) = (Vec::new(), Vec::new(), "/api/v1/queues/many/jobs?limit=50".to_owned());
    let mut cursor = String::new();
    loop {
        let page = host.get(&path).data();
        let items = page["items"].as_array().expect("items");
        sizes.push(items.len());
        seen.extend(items.iter().map(|job| job["payload"]["n"].as_u64().expect("a number")));
        let Some(next) = page["next"].as_str() else { break };
        cursor = next.to_owned();
        path = format!("/api/v1/queues/many/jobs?limit=50&cursor={next}");
    }
    assert_eq!(sizes, [50, 50, 50, 50, 30]);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 230);
    assert!(seen.is_sorted(), "in the order of their turns");
    // Somebody takes what the page ended with: the next goes on behind where it was.
    let first = host.get("/api/v1/queues/many/jobs?limit=3").data();
    let last = first["items"][2]["id"].clone();
    let next = first["next"].as_str().expect("more");
    let taken = host.post("/api/v1/queues/many/drain", r#"{"dead": true}"#).data();
    assert_eq!(taken["removed"], 0);
    let removed = crate::client::ask(
        host.address,
        "DELETE",
        &format!("/api/v1/queues/many/jobs/{last}"),
        &[("role", "operator")],
        "",
    );
    assert_eq!(removed.data()["id"], last);
    let second = host
        .get(&format!("/api/v1/queues/many/jobs?limit=3&cursor={next}"))
        .data();
    let numbers = |page: &Value| {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|job| job["payload"]["n"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&second), [json!(3), json!(4), json!(5)]);
    for elsewhere in [
        format!("/api/v1/queues/other/jobs?cursor={cursor}"),
        format!("/api/v1/queues/many/jobs?state=ready&cursor={cursor}"),
        format!("/api/v1/queues/many/jobs?realm=dry&cursor={cursor}"),
    ] {
        host.get(&elsewhere).is(400, "CURSOR_INVALID");
    }
    assert_eq!(
        host.get("/api/v1/queues/many/jobs?state=dead").data()["items"],
        json!([])
    );
}
