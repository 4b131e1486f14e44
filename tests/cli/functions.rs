//! `host functions`

use crate::project::{Project, keys};

#[test]
fn a_line_on_each_and_the_whole_of_one() {
    let project = Project::none();
    let list = project.ok(&["functions"]);
    assert!(list.lines().any(|line| line == "kv::"), "{list}");
    assert!(list.contains("  get(key) "), "{list}");
    let whole = project.ok(&["functions", "kv::get"]);
    assert!(whole.starts_with("kv::get(key: string)\n"), "{whole}");
    assert!(whole.contains("```rhai"), "{whole}");
    assert!(!whole.contains("kv::put(key"), "{whole}");
}

#[test]
fn a_namespace_and_a_bare_name_are_understood() {
    let project = Project::none();
    let json = project.json(&["functions", "kv"]);
    let names: Vec<&str> = json
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|function| function["name"].as_str())
        .collect();
    assert!(
        names.contains(&"kv::get") && names.iter().all(|name| name.starts_with("kv::")),
        "{names:?}"
    );
    assert_eq!(keys(&json[0]), ["doc", "name", "signature"]);
    let bare = project.ok(&["functions", "get"]);
    assert!(bare.contains("kv::get(") && bare.contains("store::get("), "{bare}");
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    let missing = Project::none().host(&["functions", "kv::gett"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("did you mean `kv::get`?"), "{missing:?}");
}

#[test]
fn every_function_says_what_it_does() {
    let all = Project::none().json(&["functions"]);
    let silent: Vec<&serde_json::Value> = all
        .as_array()
        .expect("a list")
        .iter()
        .filter(|function| function["doc"] == "")
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}
