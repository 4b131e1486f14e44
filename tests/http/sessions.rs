//! Logging in, guessing, changing who may what, and the record of it.

use std::process::Command;
use std::time::{Duration, Instant};

use host::identity::role::{Grant, Scope};
use host::identity::{Role, guess};
use serde_json::{Value, json};

use crate::asking::{Answer, PASSWORD, Project, Server, scope};

fn login(server: &Server, name: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "name": name, "password": password });
    server.ask("POST", "/api/v1/session", headers, Some(&body))
}

fn served() -> Server {
    let project = Project::new();
    project.user("ann", Role::Admin);
    project.serve()
}

#[test]
fn a_session_is_opened_shown_used_and_closed() {
    let server = served();
    let opened = login(&server, "ann", PASSWORD, &[]);
    let set = opened.header("set-cookie").expect("a cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().expect("a value").to_owned();
    let csrf = opened.body["data"]["csrf"].as_str().expect("a token").to_owned();
    let shown = server.ask("GET", "/api/v1/session", &[("cookie", &cookie)], None);
    assert_eq!(shown.body["data"]["user"], "ann");
    assert_eq!(
        (&shown.body["data"]["via"], &shown.body["data"]["csrf"]),
        (&json!("session"), &json!(csrf))
    );
    let again = login(&server, "ann", PASSWORD, &[("cookie", &cookie)]);
    let other = again.header("set-cookie").expect("a cookie");
    assert!(
        !other.starts_with(&cookie),
        "a cookie that was there before is not taken over"
    );
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    let closed = server.ask("DELETE", "/api/v1/session", &headers, None);
    assert_eq!(closed.body["data"]["closed"], true, "{closed:?}");
    assert!(closed.header("set-cookie").expect("a cookie").contains("Max-Age=0"));
    assert_eq!(server.ask("GET", "/api/v1/session", &headers, None).status, 401);
}

#[test]
fn a_page_of_another_site_logs_nobody_in() {
    let server = served();
    let refused = login(&server, "ann", PASSWORD, &[("origin", "https://evil.example")]);
    assert_eq!((refused.status, refused.code()), (403, "CSRF_FAILED"));
    let form = server.ask(
        "POST",
        "/api/v1/session",
        &[("content-type", "text/plain")],
        Some(&json!({})),
    );
    assert_ne!(form.status, 201);
    let own = format!("http://{}", server.address);
    assert_eq!(login(&server, "ann", PASSWORD, &[("origin", &own)]).status, 201);
}

#[test]
fn whoever_guesses_is_paused_and_an_unknown_name_looks_the_same() {
    let server = served();
    for name in ["ann", "nobody"] {
        let mut last = login(&server, name, "wrong", &[]);
        for _ in 0..guess::FREE_OF_USER {
            assert_eq!((last.status, last.code()), (401, "LOGIN_FAILED"), "{name}");
            last = login(&server, name, "wrong", &[]);
        }
        assert_eq!((last.status, last.code()), (429, "LOGIN_LOCKED"), "{name}");
        assert_eq!(last.header("retry-after"), Some("1"));
    }
    // The pause is a second, in which a busy machine may come to nothing: then once more.
    for _ in 0..20 {
        let mut begun = Instant::now();
        loop {
            let asked = Instant::now();
            if login(&server, "ann", "wrong", &[]).code() == "LOGIN_LOCKED" {
                break;
            }
            begun = asked;
        }
        let right = login(&server, "ann", PASSWORD, &[]);
        if begun.elapsed() < Duration::from_secs(1) {
            let told = (right.status, right.code());
            assert_eq!(told, (429, "LOGIN_LOCKED"), "also the right one waits");
            return;
        }
    }
    panic!("this machine is too slow to ask twice in a second");
}

#[test]
fn an_admin_says_who_may_what_and_all_of_it_is_on_the_record() {
    let project = Project::new();
    project.user("ann", Role::Admin);
    let token = project.token("ann", scope(Grant::Admin), None);
    let server = project.serve();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-correlation-id", "vid_1_abc")];
    let ask = |method: &str, path: &str, body: Value| {
        let body = (!body.is_null()).then_some(body);
        server.ask(method, path, &headers, body.as_ref())
    };
    let added = ask(
        "POST",
        "/api/v1/users",
        json!({ "name": "Ben", "role": "viewer", "password": PASSWORD }),
    );
    assert_eq!(
        (added.status, &added.body["data"]["name"]),
        (201, &json!("ben")),
        "{added:?}"
    );
    let taken = ask("POST", "/api/v1/users", json!({ "name": "ben" }));
    assert_eq!((taken.status, taken.code()), (409, "NAME_TAKEN"));
    let weak = ask("PUT", "/api/v1/users/ben/password", json!({ "password": "short" }));
    assert_eq!((weak.status, weak.code()), (422, "PASSWORD_WEAK"));
    assert_eq!(
        ask("PATCH", "/api/v1/users/ben", json!({ "role": "operator" })).body["data"]["role"],
        "operator"
    );
    let made = ask(
        "POST",
        "/api/v1/tokens",
        json!({ "user": "ben", "scope": "run", "label": "x" }),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let secret = made.body["data"]["token"].as_str().expect("a token").to_owned();
    let id = made.body["data"]["id"].as_str().expect("an id").to_owned();
    let bens = format!("Bearer {secret}");
    let who = || server.ask("GET", "/api/v1/session", &[("authorization", &bens)], None);
    assert_eq!(who().body["data"]["role"], "operator");
    let (cookie, _) = server.login("ben");
    assert_eq!(
        ask("DELETE", &format!("/api/v1/tokens/{id}"), Value::Null).body["data"]["state"],
        "revoked"
    );
    assert_eq!((who().status, who().code()), (401, "TOKEN_REVOKED"));
    assert_eq!(ask("DELETE", "/api/v1/users/ben", Value::Null).status, 200);
    assert_eq!(
        server
            .ask("GET", "/api/v1/session", &[("cookie", &cookie)], None)
            .status,
        401
    );
    let acts = ask("GET", "/api/v1/audit?limit=200", Value::Null);
    let acts = acts.body["data"]["items"].as_array().expect("a list").clone();
    let found: Vec<&str> = acts.iter().rev().filter_map(|act| act["what"].as_str()).collect();
    let expected = [
        "user.add",
        "user.change",
        "token.add",
        "session.open",
        "token.revoke",
        "user.revoke",
    ];
    assert_eq!(found, expected);
    let is_hers = |act: &&Value| act["what"] != "session.open";
    for act in acts.iter().filter(is_hers) {
        assert_eq!(act["details"]["by_token"].as_str(), token.split('_').nth(1));
        assert_eq!(
            (&act["who"], &act["via"], &act["corr"]),
            (&json!("ann"), &json!("http"), &json!("vid_1_abc"))
        );
    }
    assert_eq!(
        ask("GET", "/api/v1/audit/verify", Value::Null).body["data"]["sound"],
        true
    );
    let page = ask("GET", "/api/v1/audit?limit=2&what=user.", Value::Null);
    assert_eq!(page.body["data"]["items"].as_array().map(Vec::len), Some(2));
    let next = page.body["data"]["next"].as_str().expect("there is more").to_owned();
    let rest = ask(
        "GET",
        &format!("/api/v1/audit?limit=2&what=user.&cursor={next}"),
        Value::Null,
    );
    assert_eq!(rest.body["data"]["items"].as_array().map(Vec::len), Some(1));
    let everything = serde_json::to_string(&acts).expect("JSON");
    for hidden in [PASSWORD, &secret[22..], &token[22..]] {
        assert!(!everything.contains(hidden));
    }
}

#[test]
fn while_nobody_could_show_who_they_are_nothing_listens_wider() {
    let project = Project::new();
    project.write("host.toml", "[server]\nlisten = \"0.0.0.0:0\"\n");
    project.host(&["kv", "set", "a", "1"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    let output = command
        .args(["serve"])
        .current_dir(project.path())
        .env_clear()
        .output()
        .expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("SERVER_WIDE"), "{said}");
}

#[test]
fn a_change_over_http_is_on_the_record_before_it_is_answered_and_so_is_what_came_of_it() {
    let project = Project::new();
    project.user("ann", Role::Operator);
    let token = project.token("ann", scope(Grant::Admin), None);
    let server = project.serve();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-correlation-id", "req-7")];
    let ask = |path: &str, body: Value| server.ask("POST", path, &headers, Some(&body));
    let paused = ask("/api/v1/pauses", json!({ "playbook": "one", "why": "a look" }));
    assert_eq!(paused.status, 200, "{paused:?}");
    let begun = ask("/api/v1/runs", json!({ "playbook": "one" }));
    assert!((200..300).contains(&begun.status), "{begun:?}");
    let refused = ask("/api/v1/pauses/resume", json!({ "playbook": "two" }));
    assert_eq!(refused.status, 409, "{refused:?}");
    server.ask("GET", "/api/v1/pauses", &headers, None);
    let acts = server.project.host(&["audit", "tail"]);
    let text = |act: &Value, name: &str| act[name].as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = acts
        .as_array()
        .expect("a list")
        .iter()
        .map(|act| {
            (
                text(act, "what"),
                // A run has a name of its own, which `location` tells.
                if text(act, "target") == begun.body["data"]["run_id"] {
                    format!("run of {}", text(&act["details"], "playbook"))
                } else {
                    text(act, "target")
                },
                text(act, "who"),
                text(act, "via"),
                text(act, "corr"),
            )
        })
        .collect();
    let of = |what: &str, target: &str| [what, target, "ann", "http", "req-7"].map(str::to_owned).into();
    let expected: Vec<(String, String, String, String, String)> = vec![
        of("playbook.pause", "one"),
        of("run.start", "run of one"),
        of("playbook.resume", "two"),
        of("playbook.resume.failed", "two"),
    ];
    assert_eq!(found, expected);
    assert_eq!(acts[0]["details"]["why"], "a look");
}

#[test]
fn a_route_of_a_playbook_is_asked_as_often_as_its_limit_says_by_each_user() {
    let project = Project::new();
    let header = "const PLAYBOOK = #{ http: #{ path: \"/ask\", limit: #{ per_user: 2, window: \"1h\" } } };\n7";
    project.write("playbooks/ask.rhai", header);
    let tokens = ["ann", "bob"].map(|name| {
        project.user(name, Role::Operator);
        format!("Bearer {}", project.token(name, scope(Grant::Run), None))
    });
    let server = project.serve();
    let ask = |token: &str| server.ask("POST", "/ask", &[("authorization", token)], None);
    let statuses = [0, 1, 2].map(|_| ask(&tokens[0]).status);
    assert_eq!(statuses, [200, 200, 429]);
    let refused = ask(&tokens[0]);
    assert_eq!(refused.code(), "RATE_LIMITED");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(ask(&tokens[1]).status, 200, "another user has a count of their own");
    let document = server.ask("GET", "/openapi.json", &[("authorization", &tokens[0])], None);
    assert!(document.body["paths"]["/ask"]["post"]["responses"]["429"].is_object());
}

#[test]
fn what_signs_itself_leaves_an_act_each_and_what_is_refused_leaves_none() {
    let project = Project::new();
    for name in ["ann", "ben"] {
        project.user(name, Role::Admin);
    }
    let token = project.token("ann", scope(Grant::Admin), None);
    let run = project.host(&["run", "one"])["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let server = project.serve();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut found: Vec<String> = Vec::new();
    let mut told = |what: &str, answer: Answer, expected: &[&str]| {
        let acts = server.project.host(&["audit", "tail", "-n", "1000"]);
        let acts = acts.as_array().expect("a list");
        let new: Vec<String> = acts[found.len()..]
            .iter()
            .map(|act| act["what"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(new, expected, "{what}: {answer:?}");
        found.extend(new);
    };
    told(
        "before",
        server.ask("GET", "/api/v1/users", &headers, None),
        &["run.start"],
    );
    for (method, path, body, expected) in [
        (
            "PUT",
            "/api/v1/users/ben/password",
            json!({ "password": "another horse battery" }),
            "user.password",
        ),
        ("POST", "/api/v1/users/ben/unlock", Value::Null, "user.unlock"),
        (
            "PATCH",
            "/api/v1/users/ben",
            json!({ "role": "operator" }),
            "user.change",
        ),
        ("PATCH", "/api/v1/users/ann", json!({ "role": "operator" }), ""),
        (
            "PUT",
            "/api/v1/users/eve/password",
            json!({ "password": "another horse battery" }),
            "",
        ),
        ("POST", "/api/v1/tokens", json!({ "user": "eve" }), ""),
        ("DELETE", "/api/v1/tokens/0123456789abcdef", Value::Null, ""),
        ("POST", &format!("/api/v1/runs/{run}/retry"), json!({}), "run.retry"),
        ("POST", "/api/v1/runs", json!({ "playbook": "one" }), "run.start"),
        ("POST", "/api/v1/runs", json!({ "playbook": "none" }), ""),
        ("DELETE", "/api/v1/users/ben", Value::Null, "user.revoke"),
        ("DELETE", "/api/v1/users/ben", Value::Null, ""),
    ] {
        let answer = server.ask(method, path, &headers, (!body.is_null()).then_some(&body));
        assert_eq!(answer.status < 300, !expected.is_empty(), "{method} {path}: {answer:?}");
        let expected: Vec<&str> = Some(expected)
            .filter(|expected| !expected.is_empty())
            .into_iter()
            .collect();
        told(&format!("{method} {path}"), answer, &expected);
    }
    let (cookie, csrf) = server.login("ann");
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    let closed = server.ask("DELETE", "/api/v1/session", &headers, None);
    told("the session", closed, &["session.open", "session.close"]);
}

const OPEN: &str = r#"const PLAYBOOK = #{ http: #{ path: "/open", role: "anybody", mode: "async" } };
7"#;

#[test]
fn what_a_browser_was_made_to_send_is_done_in_nobodys_name() {
    let project = Project::new();
    project.user("ann", Role::Operator);
    project.write("playbooks/open.rhai", OPEN);
    let server = project.serve();
    let (cookie, csrf) = server.login("ann");
    // Under a key everybody has runs of their own.
    let run = |headers: &[(&str, &str)]| {
        let headers = [&[("idempotency-key", "one")], headers].concat();
        let asked = server.ask("POST", "/open", &headers, None);
        assert_eq!(asked.status, 202, "anybody may ask: {asked:?}");
        asked.body["data"]["run_id"].as_str().expect("an id").to_owned()
    };
    let (nobodys, cookie) = (run(&[]), ("cookie", cookie.as_str()));
    let own = run(&[cookie, ("x-csrf-token", &csrf)]);
    assert_ne!(own, nobodys);
    assert_eq!(run(&[cookie, ("x-csrf-token", &csrf)]), own);
    for forged in [
        vec![cookie],
        vec![cookie, ("x-csrf-token", "wrong")],
        vec![cookie, ("x-csrf-token", &csrf), ("origin", "https://evil.example")],
        vec![cookie, ("x-csrf-token", &csrf), ("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(run(&forged), nobodys, "{forged:?}");
    }
    let elsewhere = login(&server, "ann", PASSWORD, &[("sec-fetch-site", "cross-site")]);
    assert_eq!((elsewhere.status, elsewhere.code()), (403, "CSRF_FAILED"));
}

#[test]
fn open_reads_lets_nobody_change_anything_and_no_page_of_another_site_read() {
    let project = Project::new();
    project.write("host.toml", "[server]\nlisten = \"127.0.0.1:0\"\nopen_reads = true\n");
    project.write(
        "playbooks/add.rhai",
        r#"const PLAYBOOK = #{ http: #{ path: "/add", role: "viewer" } }; kv::increment("added")"#,
    );
    project.write(
        "playbooks/look.rhai",
        r#"const PLAYBOOK = #{ http: #{ method: "GET", path: "/look" } }; kv::get("added")"#,
    );
    let server = project.serve();
    let refused = server.ask("POST", "/add", &[], None);
    assert_eq!(
        (refused.status, refused.code()),
        (401, "UNAUTHENTICATED"),
        "{refused:?}"
    );
    assert_eq!(server.ask("GET", "/look", &[], None).body["data"], Value::Null);
    for (site, status) in [
        ("none", 200),
        ("same-origin", 200),
        ("same-site", 401),
        ("cross-site", 401),
    ] {
        let looked = server.ask("GET", "/look", &[("sec-fetch-site", site)], None);
        assert_eq!(looked.status, status, "{site}");
    }
}

#[test]
fn a_route_of_a_playbook_is_asked_from_its_own_pages_and_by_tokens_that_are_for_it() {
    let project = Project::new();
    let header = |path: &str| format!("const PLAYBOOK = #{{ http: #{{ path: \"{path}\" }} }};\nkv::increment(\"n\")");
    project.write("playbooks/ask.rhai", &header("/ask"));
    project.write("playbooks/other.rhai", &header("/other"));
    project.user("ann", Role::Admin);
    let held = Scope {
        playbooks: ["ask".to_owned()].into(),
        ..scope(Grant::Run)
    };
    let held = format!("Bearer {}", project.token("ann", held, None));
    let server = project.serve();
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let answer = server.ask("POST", path, headers, None);
        (
            answer.status,
            answer.body["error_code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(ask("/ask", &[("authorization", &held)]).0, 200);
    assert_eq!(
        ask("/other", &[("authorization", &held)]),
        (403, "SCOPE_MISSING".to_owned())
    );
    let opened = login(&server, "ann", PASSWORD, &[]);
    let set = opened.header("set-cookie").expect("a cookie");
    let cookie = set.split(';').next().expect("a value").to_owned();
    let csrf = opened.body["data"]["csrf"].as_str().expect("a token").to_owned();
    assert_eq!(ask("/ask", &[("cookie", &cookie)]), (403, "CSRF_FAILED".to_owned()));
    assert_eq!(ask("/ask", &[("cookie", &cookie), ("x-csrf-token", &csrf)]).0, 200);
}
