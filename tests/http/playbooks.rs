//! Playbooks that answer requests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::Binary;
use crate::client::{Client, Response, ask};
use crate::inside::Inside;

const CLIPS: &[(&str, &str)] = &[
    (
        "playbooks/look.rhai",
        r#"const PLAYBOOK = #{
            title: "Looks a clip up",
            http: #{ method: "GET", path: "/clips/{id}" },
            inputs: #{
                id: #{ type: "int", required: true, min: 1 }, part: #{ choices: ["all", "head"], preset: "all" },
                deep: #{ type: "bool" },
            },
        };
        if input.id == 404 { throw #{ code: "CLIP_UNKNOWN", message: "there is no such clip", status: 404 }; }
        if input.id == 500 { let list = []; list[7] }
        [input.id, input.part, input.deep]"#,
    ),
    (
        "playbooks/latest.rhai",
        "const PLAYBOOK = #{ http: #{ method: \"GET\", path: \"/clips/latest\", role: \"anybody\" } };\n\"the latest\"",
    ),
    (
        "playbooks/make.rhai",
        r#"const PLAYBOOK = #{
            http: #{ path: "/clips/{id}" },
            inputs: #{ id: #{}, title: #{ required: true }, tags: #{ type: "array", preset: [] } },
        };
        let made = kv::increment("made");
        #{ http_answer: #{
            status: 201, headers: #{ location: `/clips/${input.id}`, "X-Made": `${made}` },
            body: #{ title: input.title, tags: input.tags, number: random::int(1, 1_000_000_000) },
        } }"#,
    ),
    (
        "playbooks/later.rhai",
        "const PLAYBOOK = #{ http: #{ path: \"/later\", mode: \"async\", role: \"admin\" } };\nkv::increment(\"later\")",
    ),
    (
        "playbooks/waits.rhai",
        "const PLAYBOOK = #{ http: #{ path: \"/waits\" } };\nrun::wait_event(\"go\").id",
    ),
    (
        "playbooks/slow.rhai",
        "const PLAYBOOK = #{ http: #{ path: \"/slow\", timeout: \"50ms\" } };\nlet n = 0; while n < 300_000 { n += 1; } n",
    ),
    (
        "playbooks/splits.rhai",
        "const PLAYBOOK = #{ http: #{ path: \"/splits\" }, inputs: #{ text: #{} } };\n#{ http_answer: #{ headers: #{ \"x-a\": input.text } } }",
    ),
];

fn post(host: &Inside, path: &str, key: &str, body: &str) -> Response {
    let headers = [
        ("role", "operator"),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    ask(host.address, "POST", path, &headers, body)
}

#[test]
fn path_query_and_body_become_inputs_of_their_types_and_what_does_not_fit_is_named() {
    let host = Inside::start(CLIPS);
    assert_eq!(
        host.get("/clips/7?deep=true&part=head").data(),
        json!([7, "head", true])
    );
    assert_eq!(host.get("/clips/7").data(), json!([7, "all", null]));
    assert_eq!(host.get("/clips/latest").data(), json!("the latest"));
    let made = host.post("/clips/a%20b", r#"{"title": "x", "tags": ["y"]}"#);
    assert_eq!((made.status, made.headers["location"].as_str()), (201, "/clips/a b"));
    assert_eq!(
        (&made.data()["title"], &made.data()["tags"]),
        (&json!("x"), &json!(["y"]))
    );
    let refused = |answer: Response, code: &str, field: &str| {
        answer.is(400, code);
        assert_eq!(answer.json()["details"]["field"], field, "{answer:?}");
    };
    let seven = host.get("/clips/seven");
    assert_eq!(
        seven.json()["message"],
        "input `id` must be a whole number, and \"seven\" is not",
        "what was sent is quoted once"
    );
    refused(seven, "INPUT", "id");
    refused(host.get("/clips/0"), "INPUT", "id");
    refused(host.get("/clips/7?part=tail"), "INPUT", "part");
    refused(host.get("/clips/7?id=8"), "INPUT", "id");
    refused(host.get("/clips/7?deep=true&deep=true"), "INPUT", "deep");
    refused(host.get("/clips/7?parts=all"), "INPUT_UNKNOWN", "parts");
    refused(host.post("/clips/1", "{}"), "INPUT_MISSING", "title");
    refused(host.post("/clips/1", ""), "INPUT_MISSING", "title");
    refused(host.post("/clips/1", r#"{"title": 7}"#), "INPUT", "title");
    refused(host.post("/clips/1", r#"{"title": "x", "id": "2"}"#), "INPUT", "id");
    refused(
        host.post("/clips/1", r#"{"title": "x", "more": 1}"#),
        "INPUT_UNKNOWN",
        "more",
    );
    refused(
        host.post("/clips/1", r#"{"title": "x", "tags": [], "title": "y"}"#),
        "INPUT",
        "title",
    );
    refused(
        host.post("/clips/1", r#"{"title": "x", "tags": 9223372036854775808}"#),
        "INPUT",
        "tags",
    );
    host.post("/clips/1", "[1]").is(400, "BODY_INVALID");
    host.post("/clips/1", "7").is(400, "BODY_INVALID");
    host.post("/clips/1", "{} {}").is(400, "BODY_JSON");
    host.post("/clips/1", "{").is(400, "BODY_JSON");
    host.post("/clips/1", &"[".repeat(100)).is(400, "BODY_DEPTH");
    ask(
        host.address,
        "POST",
        "/clips/1",
        &[("role", "admin"), ("content-type", "text/plain")],
        "{}",
    )
    .is(415, "CONTENT_TYPE");
    let other = ask(host.address, "PATCH", "/clips/1", &[], "");
    other.is(405, "METHOD_NOT_ALLOWED");
    assert_eq!(other.headers["allow"], "GET, POST, HEAD, OPTIONS");
    host.get("/clips/1/2").is(404, "NOT_FOUND");
    host.get("/clips/%0a").is(404, "NOT_FOUND");
    assert_eq!(
        host.get("/api/v1/runs?playbook=look&status=succeeded").data()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_run_is_made_for_those_alone_who_may_and_tells_what_it_answers_to() {
    let host = Inside::start(CLIPS);
    let as_role = |role: &str, method: &str, path: &str| ask(host.address, method, path, &[("role", role)], "");
    as_role("nobody", "GET", "/clips/7").is(401, "UNAUTHENTICATED");
    assert_eq!(as_role("nobody", "GET", "/clips/latest").status, 200);
    assert_eq!(as_role("viewer", "GET", "/clips/7").status, 200);
    as_role("viewer", "POST", "/clips/7").is(403, "ROLE_MISSING");
    as_role("operator", "POST", "/later").is(403, "ROLE_MISSING");
    let later = as_role("admin", "POST", "/later");
    assert_eq!(later.status, 202, "{later:?}");
    let id = later.data()["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(later.headers["location"], format!("/api/v1/runs/{id}"));
    assert_eq!(host.run_when(&id, &["succeeded"])["outcome"], 1);
    let made = host.post("/clips/9", r#"{"title": "x"}"#);
    let corr = made.headers["x-correlation-id"].clone();
    let run = host.get("/api/v1/runs?playbook=make").data()["items"][0]["run_id"].clone();
    let run = host
        .get(&format!("/api/v1/runs/{}", run.as_str().expect("an id")))
        .data();
    assert_eq!(run["trigger"], format!("over HTTP, POST /clips/{{id}}, request {corr}"));
    let none = host.get("/api/v1/runs?playbook=make").data()["items"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(none, 1, "who was refused made no run");
}

#[test]
fn what_fails_is_an_error_whose_status_says_whose_it_is() {
    let host = Inside::start(CLIPS);
    let unknown = host.get("/clips/404");
    unknown.is(404, "CLIP_UNKNOWN");
    assert_eq!(unknown.json()["message"], "there is no such clip");
    let broken = host.get("/clips/500");
    broken.is(500, "INDEX");
    let run = broken.json()["details"]["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(host.run_when(&run, &["failed"])["error"]["code"], "INDEX");
    let split = host.post("/splits", r#"{"text": "a\r\nset-cookie: b=1"}"#);
    split.is(500, "HTTP_ANSWER");
    assert!(!split.headers.contains_key("set-cookie") && !split.headers.contains_key("x-a"));
    assert_eq!(host.post("/splits", r#"{"text": "fine"}"#).headers["x-a"], "fine");
}

#[test]
fn a_run_that_waits_or_takes_longer_is_told_of_and_goes_on() {
    let host = Inside::start(CLIPS);
    for path in ["/waits", "/slow"] {
        let told = host.post(path, "");
        assert_eq!(told.status, 202, "{told:?}");
        let id = told.data()["run_id"].as_str().expect("an id").to_owned();
        match path {
            "/waits" => host.run_when(&id, &["suspended"]),
            _ => host.run_when(&id, &["succeeded"]),
        };
    }
}

#[test]
fn runs_that_must_not_overlap_do_not_and_routes_that_are_none_are_not_loaded() {
    let header =
        |http: &str| format!("const PLAYBOOK = #{{ overlap: \"queue\", http: {http} }};\nrun::wait_event(\"go\").id");
    let files = [
        ("playbooks/one.rhai", header("#{ path: \"/one\" }")),
        ("playbooks/own.rhai", header("#{ path: \"/api/v1/own\" }")),
        ("playbooks/place.rhai", header("#{ path: \"/place/{id}\" }")),
        ("playbooks/word.rhai", header("#{ path: \"/word\", mode: \"soon\" }")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let host = Inside::start(&files);
    let first = host.post("/one", "");
    assert_eq!(first.status, 202, "{first:?}");
    let second = host.post("/one", "");
    second.is(409, "RUN_OVERLAPS");
    assert_eq!(second.json()["details"]["run_id"], first.data()["run_id"]);
    for (name, path) in [("own", "/api/v1/own"), ("place", "/place/7"), ("word", "/word")] {
        host.post(path, "").is(404, "NOT_FOUND");
        host.post("/api/v1/runs", &json!({ "playbook": name }).to_string())
            .is(404, "PLAYBOOK_NOT_FOUND");
    }
}

#[test]
fn a_key_is_carried_out_once_and_answered_the_same_again() {
    let host = Inside::start(CLIPS);
    let first = post(&host, "/clips/1", "k-1", r#"{"title": "x"}"#);
    assert_eq!(first.status, 201, "{first:?}");
    let again = post(&host, "/clips/1", "k-1", r#"{"title": "x"}"#);
    assert_eq!(
        (again.status, again.data(), &again.headers["x-made"]),
        (201, first.data(), &first.headers["x-made"])
    );
    post(&host, "/clips/1", "k-1", r#"{"title": "y"}"#).is(422, "IDEMPOTENCY_MISMATCH");
    post(&host, "/clips/2", "k-1", r#"{"title": "x"}"#).is(422, "IDEMPOTENCY_MISMATCH");
    post(&host, "/clips/1", "a b", r#"{"title": "x"}"#).is(400, "IDEMPOTENCY_KEY");
    post(&host, "/clips/1", &"k".repeat(201), r#"{"title": "x"}"#).is(400, "IDEMPOTENCY_KEY");
    assert_ne!(post(&host, "/clips/1", "k-2", r#"{"title": "x"}"#).data(), first.data());
    let address = host.address;
    let at_once: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                let headers = [
                    ("role", "operator"),
                    ("content-type", "application/json"),
                    ("idempotency-key", "k-3"),
                ];
                ask(address, "POST", "/clips/3", &headers, r#"{"title": "z"}"#).data()
            })
        })
        .collect();
    let answers: Vec<Value> = at_once
        .into_iter()
        .map(|thread| thread.join().expect("an answer"))
        .collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let runs = host.get("/api/v1/runs?playbook=make").data()["items"]
        .as_array()
        .expect("a list")
        .len();
    assert_eq!(runs, 3);
}

#[test]
fn what_is_paused_is_not_begun_and_what_was_begun_before_is_answered_again() {
    let host = Inside::start(CLIPS);
    let first = post(&host, "/clips/1", "k-1", r#"{"title": "x"}"#);
    assert_eq!(first.status, 201, "{first:?}");
    let paused = host.post("/api/v1/pauses", r#"{"playbook": "make", "why": "a test"}"#);
    assert!((200..300).contains(&paused.status), "{paused:?}");
    let refused = host.post("/clips/2", r#"{"title": "x"}"#);
    refused.is(503, "PLAYBOOK_PAUSED");
    assert_eq!(refused.headers["retry-after"], "60");
    post(&host, "/clips/2", "k-2", r#"{"title": "x"}"#).is(503, "PLAYBOOK_PAUSED");
    let again = post(&host, "/clips/1", "k-1", r#"{"title": "x"}"#);
    assert_eq!((again.status, again.data()), (201, first.data()));
    assert_eq!(host.get("/clips/7").status, 200, "others go on");
    let resumed = host.post("/api/v1/pauses/resume", r#"{"playbook": "make"}"#);
    assert!((200..300).contains(&resumed.status), "{resumed:?}");
    assert_eq!(post(&host, "/clips/2", "k-2", r#"{"title": "x"}"#).status, 201);
}

#[test]
fn no_playbook_is_given_a_path_of_the_servers_own() {
    for route in host::http::routes::all() {
        let places = host::script::triggers::http::places(route.path);
        assert!(places.is_err(), "a playbook could want {}", route.path);
    }
}

/// A place takes any word, and one at the beginning took the server's own, too.
#[test]
fn a_route_that_begins_with_a_parameter_has_no_path_of_the_servers_own() {
    let any = "const PLAYBOOK = #{ http: #{ method: \"GET\", path: \"/{a}/{b}\", role: \"anybody\" }, \
               inputs: #{ a: #{}, b: #{} } };\ninput.a";
    let host = Inside::start(&[("playbooks/any.rhai", any)]);
    assert_eq!(host.get("/clips/7").data(), json!("clips"));
    assert_eq!(host.get("/%61pi/v2").data(), json!("api"), "that is another path");
    for path in ["/api/v2", "/admin/users", "/metrics/more", "/openapi.json/x"] {
        host.get(path).is(404, "NOT_FOUND");
    }
}

/// JSON in a query may nest deeper than a body may: the run began, and its record could not be read again.
#[test]
fn an_input_that_nests_too_deep_to_be_kept_is_refused_wherever_it_stands() {
    let host = Inside::start(CLIPS);
    let nested = |depth: usize| {
        let tags = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        host.post(&format!("/clips/1?tags={tags}"), r#"{"title": "x"}"#)
    };
    assert_eq!(nested(60).status, 201);
    nested(100).is(400, "VALUE_TOO_DEEP");
    let listed = host.get("/api/v1/runs?playbook=make").data();
    let id = listed["items"][0]["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(host.get(&format!("/api/v1/runs/{id}")).status, 200);
}

/// All whom nobody knows shared their keys: whoever took "1" had the answer of the first who did, or kept others from it.
#[test]
fn strangers_with_the_same_short_key_do_not_hear_or_hinder_each_other() {
    let carts = "const PLAYBOOK = #{ http: #{ path: \"/carts\", role: \"anybody\" }, inputs: #{ size: #{ type: \"int\" } } };\n\
                 kv::increment(\"carts\")";
    let host = Inside::start(&[
        (
            "host.toml",
            "[server]\nlisten = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\n",
        ),
        ("playbooks/carts.rhai", carts),
    ]);
    let from = |address: &str, key: &str, body: &str| {
        let headers = [
            ("x-forwarded-for", address),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        ask(host.address, "POST", "/carts", &headers, body)
    };
    assert_eq!(from("203.0.113.9", "1", "{}").data(), json!(1));
    assert_eq!(from("203.0.113.10", "1", "{}").data(), json!(2));
    assert_eq!(from("203.0.113.11", "1", r#"{"size": 7}"#).data(), json!(3));
    assert_eq!(from("203.0.113.9", "1", "{}").data(), json!(1));
    from("203.0.113.9", "1", r#"{"size": 7}"#).is(422, "IDEMPOTENCY_MISMATCH");
    assert_eq!(from("2001:db8::1", "1", "{}").data(), json!(4));
    assert_eq!(
        from("2001:db8::2", "1", "{}").data(),
        json!(4),
        "a network of IPv6 is one"
    );
    // Who goes from one network to another takes a key along that nobody guesses.
    let long = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    assert_eq!(from("203.0.113.9", long, "{}").data(), json!(5));
    assert_eq!(from("198.51.100.7", long, "{}").data(), json!(5));
}

#[test]
fn a_key_is_that_of_one_caller_and_one_route() {
    let other = "const PLAYBOOK = #{ http: #{ path: \"/clips/{id}/again\" }, inputs: #{ id: #{}, title: #{} } };\nkv::increment(\"again\")";
    let host = Inside::start(&[CLIPS, &[("playbooks/again.rhai", other)]].concat());
    let ask_as = |user: &str, path: &str, more: &[(&str, &str)]| {
        let headers = [
            ("role", "operator"),
            ("user", user),
            ("content-type", "application/json"),
            ("idempotency-key", "k-1"),
        ];
        ask(
            host.address,
            "POST",
            path,
            &[&headers[..], more].concat(),
            r#"{"title": "x"}"#,
        )
    };
    let ann = ask_as("ann", "/clips/1", &[]);
    let bob = ask_as("bob", "/clips/1", &[]);
    assert_eq!((ann.status, bob.status), (201, 201), "{bob:?}");
    assert_ne!(ann.data(), bob.data(), "nobody is given what is another's");
    assert_eq!(ask_as("ann", "/clips/1", &[]).data(), ann.data());
    assert_eq!(
        ask_as("ann", "/clips/1/again", &[]).data(),
        json!(1),
        "the key counts for its route"
    );
    ask_as("ann", "/clips/1", &[("idempotency-key", "k-2")]).is(400, "IDEMPOTENCY_KEY");
}

#[test]
fn however_many_wait_for_slow_playbooks_everything_else_is_answered() {
    let slow = "const PLAYBOOK = #{ http: #{ path: \"/slow\", timeout: \"700ms\" }, concurrency: 1 };\n\
                let n = 0; while n < 400_000 { n += 1; } n";
    let host = Inside::start(&[("playbooks/slow.rhai", slow)]);
    let address = host.address;
    let begun = Instant::now();
    let waiting: Vec<_> = (0..40)
        .map(|_| std::thread::spawn(move || ask(address, "POST", "/slow", &[("role", "operator")], "").status))
        .collect();
    // Until all of them are there.
    std::thread::sleep(Duration::from_millis(150));
    for path in ["/healthz", "/api/v1/runs", "/status"] {
        assert_eq!(host.get(path).status, 200);
    }
    assert!(begun.elapsed() < Duration::from_millis(650), "{:?}", begun.elapsed());
    for thread in waiting {
        let status = thread.join().expect("an answer");
        assert!([200, 202, 503].contains(&status), "{status}");
    }
}

/// Whoever is told that their run goes on has no place among the requests any more, though its thread still works at it.
#[test]
fn a_run_that_goes_on_after_its_answer_keeps_no_request_waiting() {
    let host = Inside::start(&[
        (
            "host.toml",
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\nrequest_timeout = \"3s\"\n",
        ),
        (
            "playbooks/slow.rhai",
            "const PLAYBOOK = #{ http: #{ path: \"/slow\", timeout: \"50ms\" } };\nwhile kv::get(\"go\") == () {}\n7",
        ),
        (
            "playbooks/go.rhai",
            "const PLAYBOOK = #{ http: #{ path: \"/go\" } };\nkv::put(\"go\", 1); 8",
        ),
    ]);
    let slow = host.post("/slow", "");
    assert_eq!((slow.status, &slow.data()["status"]), (202, &json!("running")));
    assert_eq!(host.post("/go", "").data(), json!(8));
    let run = slow.data()["run_id"].as_str().expect("an id").to_owned();
    host.run_when(&run, &["succeeded"]);
}

#[test]
fn the_document_describes_the_routes_of_playbooks_and_changes_with_them() {
    let host = Inside::start(CLIPS);
    let paths = &host.get("/openapi.json").json()["paths"];
    let look = &paths["/clips/{id}"]["get"];
    assert_eq!(
        (&look["operationId"], &look["summary"]),
        (&json!("playbook.look"), &json!("Looks a clip up"))
    );
    let id = look["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "id")
        .unwrap();
    assert_eq!(
        (&id["in"], &id["schema"]),
        (&json!("path"), &json!({"type": "integer", "minimum": 1}))
    );
    let make = &paths["/clips/{id}"]["post"];
    let body = &make["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(
        (&body["required"], &body["additionalProperties"]),
        (&json!(["title"]), &json!(false))
    );
    assert_eq!(paths["/clips/latest"]["get"]["security"], json!([]));
    assert!(paths["/later"]["post"]["responses"]["200"].is_null());
}

#[test]
fn what_nobody_waits_for_any_more_is_finished_after_a_crash_and_its_answer_kept_for_its_key() {
    let files = [(
        "playbooks/pays.rhai",
        "const PLAYBOOK = #{ http: #{ path: \"/pay\", role: \"anybody\" } };\n\
         let bill = random::int(1, 1_000_000_000);\nlet paid = kv::increment(\"paid\");\n\
         let n = 0; while n < 1_500_000 { n += 1; }\n[bill, paid]",
    )];
    let mut server = Binary::with("", &files);
    let ask_to_pay = "POST /pay HTTP/1.1\r\nhost: localhost\r\nidempotency-key: pay-1\r\ncontent-length: 0\r\n\r\n";
    let mut gone = Client::to(server.address);
    gone.send(ask_to_pay);
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while server.get("/api/v1/runs?status=running").data()["items"] == json!([]) {
        assert!(Instant::now() < give_up_at, "nothing is at work");
        std::thread::sleep(Duration::from_millis(10));
    }
    // What is written is on disk within a tenth of a second.
    std::thread::sleep(Duration::from_millis(200));
    let running = server.get("/api/v1/runs").data()["items"][0].clone();
    assert_eq!(
        running["status"], "running",
        "it was still at work when the host was cut off"
    );
    let folder = std::mem::replace(&mut server.folder, TempDir::new().expect("a folder"));
    drop(server);
    assert!(gone.receive().is_none(), "nobody was answered");
    let server = Binary::again(folder);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let told = Client::to(server.address)
            .send(ask_to_pay)
            .receive_of("POST")
            .expect("an answer");
        assert_eq!(told.status, 200, "{told:?}");
        answers.push(told.data());
    }
    assert_eq!((&answers[0], &answers[0][1]), (&answers[1], &json!(1)));
    let runs = server.get("/api/v1/runs").data()["items"].clone();
    assert_eq!(
        (runs.as_array().expect("a list").len(), &runs[0]["run_id"]),
        (1, &running["run_id"])
    );
}

const COUNTS: &[(&str, &str)] = &[
    (
        "playbooks/counts.rhai",
        // What it has counted is seen by others long before it ends.
        "const PLAYBOOK = #{ http: #{ path: \"/count\", role: \"anybody\", timeout: \"20s\" } };\n\
         let count = kv::increment(\"count\");\nkv::remove(`gone-${count}`);\n\
         let n = 0; while n < 20_000 { n += 1; }\ncount",
    ),
    (
        "playbooks/reads.rhai",
        "const PLAYBOOK = #{ http: #{ method: \"GET\", path: \"/count\" } };\nkv::get(\"count\") ?? 0",
    ),
];

/// Asks again and again until nobody answers any more; gives the greatest number that was told. Says when it was answered
/// first.
fn until_gone(
    address: std::net::SocketAddr,
    head: &'static str,
    first: std::sync::mpsc::Sender<()>,
) -> std::thread::JoinHandle<i64> {
    std::thread::spawn(move || {
        let mut client = Client::to(address);
        let mut most = 0;
        while let Some(told) = client.send(head).receive_of("POST") {
            most = most.max(told.data().as_i64().expect("a number"));
            first.send(()).unwrap_or_default();
        }
        most
    })
}

#[test]
fn whatever_a_reader_was_told_is_there_after_a_kill_and_of_its_run_there_is_all_or_nothing() {
    const COUNT: &str = "POST /count HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    const READ: &str = "GET /count HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut folder = TempDir::new().expect("a folder");
    let mut least = 0;
    for round in 0..4_u64 {
        let mut server = match round {
            0 => Binary::with("", COUNTS),
            _ => Binary::again(std::mem::replace(&mut folder, TempDir::new().expect("a folder"))),
        };
        let told = server.get("/count").data().as_i64().expect("a number");
        assert!(told >= least, "{least} was told, and after the kill it is {told}");
        let asking: Vec<_> = [COUNT, COUNT, COUNT, READ, READ, READ]
            .map(|head| {
                let (sender, first) = std::sync::mpsc::channel();
                (until_gone(server.address, head, sender), first)
            })
            .into_iter()
            .collect();
        for (_, first) in &asking {
            first.recv_timeout(Duration::from_secs(20)).expect("an answer");
        }
        std::thread::sleep(Duration::from_millis(500 + 37 * round));
        folder = std::mem::replace(&mut server.folder, TempDir::new().expect("a folder"));
        // With SIGKILL, in the middle of it.
        drop(server);
        for (thread, _) in asking {
            least = least.max(thread.join().expect("it was answered in order"));
        }
    }
    let server = Binary::again(folder);
    let told = server.get("/count").data().as_i64().expect("a number");
    assert!(told >= least, "{least} was told, and after the kill it is {told}");
    // A reader's run that was gone on with would have ended otherwise than it was answered.
    let runs = server.get("/api/v1/runs?playbook=reads&limit=200").data()["items"].clone();
    let runs = runs.as_array().expect("a list");
    assert!(runs.len() > 50, "{} runs are on record", runs.len());
    for run in runs {
        assert_eq!(
            (&run["status"], &run["effects"]),
            (&json!("succeeded"), &json!(1)),
            "{run}"
        );
    }
    let id = runs[runs.len() / 2]["run_id"].as_str().expect("an id");
    server.host(&["replay", id]);
}
