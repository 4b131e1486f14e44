//! `host explain`

use crate::project::Project;

#[test]
fn a_code_is_explained_without_a_project_and_even_when_its_settings_are_broken() {
    for project in [Project::none(), Project::none().file("host.toml", "[[[ broken")] {
        let page = project.ok(&["explain", "HTTP_TIMEOUT"]);
        assert!(page.starts_with("HTTP_TIMEOUT  HTTP and providers\n"), "{page}");
        assert!(page.contains("\nWhat to do\n"), "{page}");
        assert_eq!(project.ok(&["explain", "error[http_timeout]:"]), page);
    }
}

#[test]
fn all_codes_are_listed_by_area_with_a_line_each() {
    let list = Project::none().ok(&["explain"]);
    assert!(list.lines().any(|line| line == "The gate"), "{list}");
    let line = list
        .lines()
        .find(|line| line.starts_with("  HTTP_TIMEOUT "))
        .expect("a line");
    assert!(line.trim_start_matches("  HTTP_TIMEOUT").trim().len() > 10, "{line}");
    let json = Project::none().json(&["explain"]);
    let codes = json.as_array().expect("a list").len();
    assert_eq!(codes, list.lines().filter(|line| line.starts_with("  ")).count());
}

#[test]
fn an_unknown_code_is_answered_with_the_nearest() {
    let answer = Project::none().host(&["explain", "HTTP_TIMOUT"]);
    assert_eq!(answer.code, 2);
    assert!(answer.stderr.contains("did you mean `HTTP_TIMEOUT`?"), "{answer:?}");
    assert_eq!(
        Project::none().host(&["explain", "x", "--json"]).error_code(),
        "UNKNOWN_CODE"
    );
}
