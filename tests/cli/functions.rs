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

#[test]
fn words_are_searched_for_in_names_and_texts() {
    let project = Project::none();
    let found = project.ok(&["functions", "idempotency_lifetime"]);
    assert!(
        found.contains("post(url, body, options)") && !found.contains("kv::"),
        "{found}"
    );
    let fewer = project.json(&["functions", "whole", "number", "likely"]);
    let more = project.json(&["functions", "whole", "number"]);
    let names = |json: &serde_json::Value| -> Vec<String> {
        let all = json.as_array().expect("a list").iter();
        all.map(|function| function["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&fewer), ["random::int"]);
    assert!(names(&more).contains(&"kv::increment".to_owned()), "{more}");
    let none = project.host(&["functions", "no", "such", "words"]);
    assert_eq!(none.code, 2, "{none:?}");
}

#[test]
fn the_reference_is_one_page_that_loads_nothing_and_obeys_nothing() {
    let project = Project::bare().file("host.toml", "");
    let said = project.ok(&["functions", "--html", "reference"]);
    assert!(said.contains("reference/index.html"), "{said}");
    let page = std::fs::read_to_string(project.path("reference/index.html")).expect("the page");
    for wanted in [
        "id=\"kv.get\"",
        "id=\"store\"",
        "type=\"search\"",
        "prefers-color-scheme: dark",
        "id=\"error.HTTP_TIMEOUT\"",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    for loads in ["src=", "<link", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    // Every function of the list is on it.
    let all = project.json(&["functions"]);
    for function in all.as_array().expect("a list") {
        let name = function["name"].as_str().expect("a name").replace("::", ".");
        assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
    }
    project.ok(&["functions", "--html", "one.html"]);
    assert_eq!(
        std::fs::read_to_string(project.path("one.html")).expect("the page"),
        page
    );
}
