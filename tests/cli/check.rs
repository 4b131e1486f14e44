//! `host check`

use serde_json::json;

use crate::project::{Project, keys};

fn broken() -> Project {
    Project::bare()
        .file("playbooks/good.rhai", "kv::get(\"a\")")
        .file("playbooks/typo.rhai", "let a = 1;\nkv::gett(\"a\");\n")
        .file("playbooks/syntax.rhai", "let a = ;\n")
        .file("playbooks/header.rhai", "const PLAYBOOK = #{ titel: \"x\" };\n")
}

#[test]
fn each_mistake_has_its_place_its_frame_and_the_way_out() {
    let checked = broken().host(&["check"]);
    assert_eq!(checked.code, 2);
    insta::assert_snapshot!(checked.stdout);
}

#[test]
fn json_lists_every_mistake_with_its_place() {
    let checked = broken().host(&["check", "--json"]);
    assert_eq!(checked.code, 2);
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(keys(&json), ["checked", "ok", "problems"]);
    assert_eq!(json["ok"], false);
    assert_eq!(json["checked"].as_array().map(Vec::len), Some(4));
    let problems = json["problems"].as_array().expect("a list");
    let of_level = |level: &str| problems.iter().filter(|problem| problem["level"] == level).count();
    assert_eq!((of_level("error"), of_level("warning")), (3, 1), "{problems:?}");
    let typo = problems
        .iter()
        .find(|problem| problem["code"] == "UNKNOWN_FUNCTION")
        .expect("the typo");
    assert_eq!(
        keys(typo),
        [
            "code",
            "column",
            "end_column",
            "end_line",
            "file",
            "fixes",
            "help",
            "level",
            "line",
            "message",
            "related"
        ]
    );
    assert_eq!(
        (&typo["file"], &typo["line"], &typo["level"]),
        (&"playbooks/typo.rhai".into(), &2.into(), &"error".into())
    );
    assert_eq!((&typo["column"], &typo["end_column"]), (&5.into(), &9.into()));
    let fix = &typo["fixes"][0];
    assert_eq!(
        (&fix["is_safe"], &fix["edits"][0]["text"]),
        (&true.into(), &"get".into())
    );
}

#[test]
fn only_the_named_playbooks_are_checked() {
    let project = broken();
    assert_eq!(project.host(&["check", "good"]).code, 0);
    assert_eq!(project.host(&["check", "good", "typo"]).code, 2);
    let unknown = project.host(&["check", "goood"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean \"good\"?"), "{unknown:?}");
}

#[test]
fn a_mistake_in_a_module_is_told_once() {
    let project = Project::bare()
        .file("playbooks/lib.rhai", "fn f() { kv::gett(\"a\") }\n")
        .file("playbooks/a.rhai", "import \"lib\" as lib;\nlib::f()")
        .file("playbooks/b.rhai", "import \"lib\" as lib;\nlib::f()");
    let checked = project.host(&["check"]);
    assert_eq!(
        checked.stdout.matches("UNKNOWN_FUNCTION").count(),
        1,
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains("1 mistake"), "{}", checked.stdout);
}

#[test]
fn prompts_are_checked_with_the_project() {
    let project = Project::bare()
        .file("playbooks/a.rhai", "1")
        .file("prompts/broken.md", "Hello {{ name }\n");
    let checked = project.host(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.contains("prompts/broken.md:1"), "{}", checked.stdout);
    assert_eq!(project.host(&["check", "a"]).code, 0, "a prompt is not the playbook's");
}

#[test]
fn what_uses_names_and_what_it_forgets_are_told() {
    let script = "const PLAYBOOK = #{ uses: [\"slak\"] };\nslack::post(\"hello\")";
    let checked = Project::bare().file("playbooks/a.rhai", script).host(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.contains("did you mean \"slack\"?"), "{}", checked.stdout);
    // The misspelt name and the missing one are one fault.
    assert!(!checked.stdout.contains("NOT_IN_USES"), "{}", checked.stdout);
    let script = "const PLAYBOOK = #{ title: \"Tells\" };\nslack::post(\"hello\")";
    let project = Project::bare().file("playbooks/a.rhai", script);
    let checked = project.host(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stdout.contains("NOT_IN_USES"), "{}", checked.stdout);
    project.ok(&["check", "--fix"]);
    let fixed = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("a text");
    assert!(fixed.contains("#{ title: \"Tells\", uses: [\"slack\"] }"), "{fixed}");
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let project = Project::bare().file("playbooks/a.rhai", "let unused = 1;\nkv::get(\"a\")");
    let checked = project.host(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    assert!(
        checked.stdout.contains("warning[UNUSED_VARIABLE]"),
        "{}",
        checked.stdout
    );
    assert_eq!(project.host(&["check", "--deny-warnings"]).code, 2);
    project.write("host.toml", "[check]\ndeny_warnings = true\n");
    assert_eq!(project.host(&["check"]).code, 2);
    project.write("host.toml", "[check]\nunused = \"off\"\n");
    assert!(project.ok(&["check"]).contains("nothing wrong"));
    project.write("host.toml", "[check]\nUNUSED_VARIABLE = \"error\"\n");
    assert_eq!(project.host(&["check"]).code, 2);
    project.write("host.toml", "[check]\nunusd = \"off\"\n");
    let refused = project.host(&["check"]);
    assert_eq!(refused.code, 5);
    assert!(refused.stderr.contains("did you mean `unused`?"), "{}", refused.stderr);
}

#[test]
fn a_comment_allows_what_is_meant_so() {
    let text = "let unused = 1; // check: allow(UNUSED_VARIABLE) kept for later\nkv::get(\"a\")";
    let project = Project::bare().file("playbooks/a.rhai", text);
    assert!(project.ok(&["check"]).contains("nothing wrong"));
    project.write("playbooks/a.rhai", "// check: allow(UNREACHABLE)\nkv::get(\"a\")");
    let checked = project.ok(&["check"]);
    assert!(checked.contains("UNUSED_ALLOW"), "{checked}");
    project.ok(&["check", "--fix"]);
    let fixed = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("a text");
    assert_eq!(fixed, "kv::get(\"a\")");
}

#[test]
fn fixes_keep_marks_and_ends_of_lines_and_a_second_run_finds_no_more_of_them() {
    let text = "\u{feff}let a = kv::gett(\"a\");\r\nlet b = kv::put(\"b\", a, #{ tll: \"1h\" });\r\nb\r\n";
    let project = Project::bare().file("playbooks/a.rhai", text);
    let fixed = project.ok(&["check", "--fix"]);
    assert!(fixed.contains("playbooks/a.rhai was changed:"), "{fixed}");
    assert!(fixed.contains("line 1: write `get` (UNKNOWN_FUNCTION)"), "{fixed}");
    let after = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("a text");
    assert_eq!(after, text.replace("gett", "get").replace("tll", "ttl"));
    let again = project.ok(&["check", "--fix"]);
    assert!(!again.contains("was changed"), "{again}");
    // A text with a mark runs, too.
    project.ok(&["plan", "a"]);
}

#[test]
fn one_syntax_error_is_one_finding_whatever_else_is_wrong() {
    let project = Project::bare().file("playbooks/a.rhai", "let x = ;\nkv::gett(nothing);\nlet y = (;\n");
    let checked = project.host(&["check"]);
    assert!(checked.stdout.contains("1 mistake"), "{}", checked.stdout);
}

#[test]
fn files_that_cannot_be_read_are_each_one_finding() {
    let deep = format!("let x = {}1{};", "(".repeat(200), ")".repeat(200));
    let long = format!("let x = \"{}\";\nx.len()", "a".repeat(300_000));
    let project = Project::bare()
        .file("playbooks/deep.rhai", &deep)
        .file("playbooks/large.rhai", &"// filler\n".repeat(60_000))
        .file("playbooks/long.rhai", &long)
        .file("playbooks/one.rhai", "import \"two\" as two;\ntwo::f();\nfn g() { 1 }")
        .file("playbooks/two.rhai", "import \"one\" as one;\nfn f() { one::g() }");
    std::fs::write(project.path("playbooks/latin.rhai"), b"let x = \"caf\xe9\";\nx").expect("written");
    std::fs::write(project.path("playbooks/wide.rhai"), b"\xff\xfel\0e\0t\0").expect("written");
    let checked = project.host(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    let mut said: Vec<String> = json["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| format!("{} {}", problem["file"], problem["code"]))
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "\"playbooks/deep.rhai\" \"LIMIT_NESTING\"",
            "\"playbooks/large.rhai\" \"SCRIPT_TOO_LARGE\"",
            "\"playbooks/latin.rhai\" \"PLAYBOOK_UNREADABLE\"",
            "\"playbooks/long.rhai\" \"LINE_TOO_LONG\"",
            "\"playbooks/one.rhai\" \"IMPORT_CYCLE\"",
            "\"playbooks/two.rhai\" \"IMPORT_CYCLE\"",
            "\"playbooks/wide.rhai\" \"PLAYBOOK_UNREADABLE\"",
        ],
        "{}",
        checked.stdout
    );
    let shown = project.host(&["check"]);
    assert!(shown.stdout.len() < 20_000, "frames stay short");
    assert!(
        shown.stdout.contains("it is UTF-16; save it as UTF-8"),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_route_belongs_to_one_playbook() {
    let route = |path: &str| {
        format!(
            "const PLAYBOOK = #{{ http: #{{ method: \"GET\", path: \"{path}\" }}, inputs: #{{ id: #{{}}, key: #{{}} }} }};\n[input.id, input.key]"
        )
    };
    let project = Project::bare()
        .file("playbooks/a.rhai", &route("/clips/{id}"))
        .file("playbooks/b.rhai", &route("/clips/{key}"))
        .file("playbooks/c.rhai", &route("/clips"));
    let checked = project.host(&["check"]);
    assert_eq!(
        checked.stdout.matches("ROUTE_CONFLICT").count(),
        1,
        "{}",
        checked.stdout
    );
    assert!(
        checked.stdout.contains("is the route of playbooks/a.rhai already"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_secret_is_told_and_shown_nowhere() {
    let secret = concat!("xoxb-", "123456789012-AbCdEfGhIjKl");
    let text = format!("let unused = 1; let token = \"{secret}\";\ntoken == 5;\ntoken");
    let project = Project::bare().file("playbooks/a.rhai", &text);
    for how in [&["check"][..], &["check", "--json"], &["check", "--sarif"]] {
        let checked = project.host(how);
        assert_eq!(checked.code, 2);
        assert!(checked.stdout.contains("LITERAL_SECRET"), "{}", checked.stdout);
        assert!(!checked.shown().contains("AbCdEfGhIjKl"), "{}", checked.shown());
    }
}

#[test]
fn sarif_has_rules_places_and_fixes() {
    let project = broken().file("playbooks/odd name.rhai", "// ü\nlet unused = kv::gett(\"ä\");\n");
    let checked = project.host(&["check", "--sarif"]);
    assert_eq!(checked.code, 2);
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(json["version"], "2.1.0");
    assert!(
        json["$schema"]
            .as_str()
            .is_some_and(|schema| schema.contains("sarif-2.1.0"))
    );
    let run = &json["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in run["results"].as_array().expect("results") {
        let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(
            rule["help"]["markdown"]
                .as_str()
                .is_some_and(|help| help.contains("## What to do")),
            "{rule}"
        );
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            !place["artifactLocation"]["uri"]
                .as_str()
                .expect("an address")
                .starts_with('/')
        );
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0));
    }
    let odd = run["results"]
        .as_array()
        .expect("results")
        .iter()
        .find(|result| result["ruleId"] == "UNKNOWN_FUNCTION" && result.to_string().contains("odd%20name.rhai"))
        .expect("the one with a blank in its name");
    let region = &odd["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"], &region["endColumn"]),
        (&2.into(), &18.into(), &22.into())
    );
    let replaced = &odd["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(replaced["insertedContent"]["text"], "get");
    assert_eq!(replaced["deletedRegion"]["byteLength"], 4);
}

/// The objects of the standard that are written here, as OASIS describes them in SARIF 2.1.0, sections 3.13 to 3.58: names,
/// kinds and bounds. What it allows and nobody writes is left out, so that something new is looked at first.
fn sarif_standard() -> serde_json::Value {
    fn object(required: &[&str], properties: serde_json::Value) -> serde_json::Value {
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    }
    let positive = json!({ "type": "integer", "minimum": 1 });
    let from_zero = json!({ "type": "integer", "minimum": 0 });
    let level = json!({ "enum": ["none", "note", "warning", "error"] });
    let text = json!({ "type": "string", "minLength": 1 });
    let message = object(&["text"], json!({ "text": text, "markdown": text }));
    let artifact = object(
        &["uri"],
        json!({ "uri": { "type": "string", "format": "uri-reference", "minLength": 1 } }),
    );
    let region = json!({
        "startLine": positive, "startColumn": positive, "endLine": positive, "endColumn": positive,
        "byteOffset": from_zero, "byteLength": from_zero,
    });
    let location = object(
        &["physicalLocation"],
        json!({
            "physicalLocation": object(
                &["artifactLocation"],
                json!({ "artifactLocation": artifact, "region": object(&["startLine"], region.clone()) }),
            ),
            "message": message,
        }),
    );
    let replacement = object(
        &["deletedRegion"],
        json!({
            "deletedRegion": object(&["byteOffset", "byteLength"], region),
            "insertedContent": object(&["text"], json!({ "text": { "type": "string" } })),
        }),
    );
    let change = object(
        &["artifactLocation", "replacements"],
        json!({
            "artifactLocation": artifact,
            "replacements": { "type": "array", "minItems": 1, "items": replacement },
        }),
    );
    let fix = object(
        &["artifactChanges"],
        json!({
            "description": message,
            "artifactChanges": { "type": "array", "minItems": 1, "uniqueItems": true, "items": change },
        }),
    );
    let result = object(
        &["message", "ruleId", "ruleIndex", "level", "locations"],
        json!({
            "ruleId": text, "ruleIndex": from_zero, "level": level, "message": message,
            "locations": { "type": "array", "minItems": 1, "items": location },
            "relatedLocations": { "type": "array", "minItems": 1, "uniqueItems": true, "items": location },
            "fixes": { "type": "array", "minItems": 1, "uniqueItems": true, "items": fix },
        }),
    );
    let rule = object(
        &["id"],
        json!({
            "id": text, "shortDescription": message, "help": message,
            "defaultConfiguration": object(&["level"], json!({ "level": level })),
        }),
    );
    let version = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$";
    let driver = object(
        &["name"],
        json!({
            "name": text,
            "semanticVersion": { "type": "string", "pattern": version },
            "rules": { "type": "array", "uniqueItems": true, "items": rule },
        }),
    );
    let run = object(
        &["tool", "results"],
        json!({
            "tool": object(&["driver"], json!({ "driver": driver })),
            "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
            "results": { "type": "array", "items": result },
        }),
    );
    object(
        &["version", "runs"],
        json!({
            "$schema": { "type": "string", "format": "uri" },
            "version": { "const": "2.1.0" },
            "runs": { "type": "array", "minItems": 1, "maxItems": 1, "items": run },
        }),
    )
}

#[test]
fn sarif_is_as_the_standard_wants_it_for_every_kind_of_mistake() {
    let standard = jsonschema::options()
        .should_validate_formats(true)
        .build(&sarif_standard())
        .expect("a schema");
    let project = broken().file("playbooks/latin.rhai", "let a = 1;");
    std::fs::write(project.path("playbooks/latin.rhai"), b"\xe4").expect("a file");
    let mistakes = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    for file in [
        "prompts/daily/caption.md",
        "playbooks/daily.rhai",
        "playbooks/lib/words.rhai",
    ] {
        let text = std::fs::read_to_string(mistakes.join("project").join(file)).expect("a text");
        project.write(file, &text);
    }
    for entry in std::fs::read_dir(mistakes).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "rhai") {
            let name = format!("playbooks/a b {}", path.file_name().expect("a name").to_string_lossy());
            project.write(&name, &std::fs::read_to_string(&path).expect("a text"));
        }
    }
    let checked = project.host(&["check", "--sarif", "--hints"]);
    let log: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    let wrong: Vec<String> = (standard.iter_errors(&log))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().map_or(0, Vec::len);
    assert!(rules > 30, "{rules} kinds of mistakes");
    // A path of the command line may begin with what an address would take for its scheme.
    std::fs::write(project.path("c:d.rhai"), "kv::gett(1)").expect("a file");
    let checked = project.host(&["check", "--sarif", "c:d.rhai"]);
    assert!(checked.stdout.contains("\"c%3Ad.rhai\""), "{}", checked.stdout);
    // The description itself can refuse.
    let mut bad = log.clone();
    bad["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0.into();
    assert!(!standard.is_valid(&bad));
    let mut bad = log;
    bad["runs"][0]["results"][0]["severity"] = "error".into();
    assert!(!standard.is_valid(&bad));
}

/// The list of a folder is old as soon as it is read. A link that leads nowhere is like a file that has just gone.
#[test]
#[cfg(unix)]
fn one_that_has_gone_meanwhile_does_not_hide_what_is_wrong_with_the_others() {
    let project = broken();
    std::os::unix::fs::symlink("nowhere", project.path("playbooks/gone.rhai")).expect("a link");
    let checked = project.host(&["check"]);
    assert_eq!(checked.code, 2);
    let gone = "playbooks/gone.rhai cannot be read: it is gone, or a link that leads to no file";
    assert!(checked.stdout.contains("PLAYBOOK_UNREADABLE"), "{}", checked.stdout);
    assert!(checked.stdout.contains("it is gone, or a link"), "{}", checked.stdout);
    assert!(checked.stdout.contains("UNKNOWN_FUNCTION"), "{}", checked.stdout);
    let project = Project::bare().file("playbooks/a.rhai", "let   x = 1;\nx\n");
    std::os::unix::fs::symlink("nowhere", project.path("playbooks/gone.rhai")).expect("a link");
    let formatted = project.host(&["fmt"]);
    assert_eq!(formatted.code, 2);
    assert!(formatted.stdout.contains(gone), "{}", formatted.stdout);
    let now = std::fs::read_to_string(project.path("playbooks/a.rhai")).expect("it is there");
    assert_eq!(now, "let x = 1;\nx\n");
    project.write("playbooks/c:d.rhai", "1 + 1\n");
    let formatted = project.host(&["fmt"]);
    assert!(formatted.stdout.contains("its name has a `:`"), "{}", formatted.stdout);
    // A person who names it has misspelt it.
    assert_eq!(
        project.host(&["fmt", "gone", "--json"]).error_code(),
        "PLAYBOOK_NOT_FOUND"
    );
}

#[test]
#[cfg(unix)]
fn a_link_among_the_modules_leads_nowhere_else() {
    let elsewhere = Project::none().file("secret.rhai", "fn f() { 1 }\n");
    let project = Project::bare().file("playbooks/a.rhai", "import \"out\" as out;\nout::f()\n");
    std::os::unix::fs::symlink(elsewhere.path("secret.rhai"), project.path("playbooks/out.rhai")).expect("a link");
    for command in ["check", "run", "plan"] {
        let refused = project.host(&[command, "a"]);
        assert_ne!(refused.code, 0, "{command}");
        assert!(
            refused.shown().contains("leads out of playbooks/"),
            "{command}: {}",
            refused.shown()
        );
    }
}

#[test]
fn outside_a_project_a_path_is_needed() {
    let project = Project::none().file("a.rhai", "kv::get(\"a\")");
    let nothing = project.host(&["check", "--json"]);
    assert_eq!((nothing.code, nothing.error_code().as_str()), (2, "NO_PROJECT"));
    assert_eq!(project.host(&["check", "a.rhai"]).code, 0);
}

#[test]
fn checking_makes_nothing() {
    let project = broken();
    let before = project.files();
    project.host(&["check"]);
    assert_eq!(project.files(), before);
}
