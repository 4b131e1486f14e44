//! What services send to playbooks: signed, late, forged, repeated, reordered, too much, while the host is cut off.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::Binary;
use crate::client::{Client, Response, ask};
use crate::inside::Inside;

const SECRET: &str = "s3cret-of-the-service";
const OLD: &str = "an-older-secret-of-it";
const TOKEN: &str = "token-that-was-agreed-on";

const FILES: &[(&str, &str)] = &[
    (
        ".env",
        "GIT_WEBHOOK_SECRET=s3cret-of-the-service\nOLD_WEBHOOK_SECRET=an-older-secret-of-it\nSHORT_WEBHOOK_SECRET=1234567\nMETA_VERIFY_TOKEN=token-that-was-agreed-on\n",
    ),
    (
        "playbooks/git.rhai",
        r#"const PLAYBOOK = #{
            title: "Hears of pushes",
            webhook: #{
                path: "/hooks/git", scheme: "github", secret: ["GIT_WEBHOOK_SECRET", "OLD_WEBHOOK_SECRET"],
                answer: #{ status: 202, text: "thanks" }, headers: ["x-kind", "x-hub-signature-256"],
            },
            inputs: #{ webhook: #{ type: "map" } },
        };
        let sent = input.webhook;
        kv::increment("git");
        #{ id: sent.id, json: sent.json, event: sent.headers["x-github-event"], headers: sent.headers.keys() }"#,
    ),
    (
        "playbooks/slack.rhai",
        r#"const PLAYBOOK = #{ webhook: #{ path: "/hooks/slack", scheme: "slack", secret: "GIT_WEBHOOK_SECRET" } };
        kv::increment("slack")"#,
    ),
    (
        "playbooks/twitch.rhai",
        r#"const PLAYBOOK = #{ webhook: #{ path: "/hooks/twitch", scheme: "twitch", secret: "GIT_WEBHOOK_SECRET" } };
        kv::increment("twitch")"#,
    ),
    (
        "playbooks/meta.rhai",
        r#"const PLAYBOOK = #{ webhook: #{
            path: "/hooks/meta", scheme: "instagram", secret: "GIT_WEBHOOK_SECRET", verify: "META_VERIFY_TOKEN",
        } };
        kv::increment("meta")"#,
    ),
    (
        "playbooks/unset.rhai",
        "const PLAYBOOK = #{ webhook: #{ path: \"/hooks/unset\", secret: \"NOT_SET_WEBHOOK_SECRET\" } };\n1",
    ),
    (
        "playbooks/short.rhai",
        "const PLAYBOOK = #{ webhook: #{ path: \"/hooks/short\", secret: \"SHORT_WEBHOOK_SECRET\" } };\n1",
    ),
];

fn sign(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, text.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

fn git(address: SocketAddr, id: &str, body: &str, signature: &str) -> Response {
    let headers = [
        ("x-github-delivery", id),
        ("x-github-event", "push"),
        ("x-hub-signature-256", signature),
        ("content-type", "application/json"),
        ("authorization", "Basic c2VjcmV0"),
        ("x-other", "1"),
        // Who they are is asked of nobody: their signature says it.
        ("role", "unasked"),
    ];
    ask(address, "POST", "/hooks/git", &headers, body)
}

fn signed(address: SocketAddr, id: &str, body: &str) -> Response {
    git(address, id, body, &format!("sha256={}", sign(SECRET, body)))
}

/// The runs of `playbook` when there are so many, all of them over.
fn runs(host: &Inside, playbook: &str, count: usize) -> Vec<Value> {
    let give_up_at = Instant::now() + Duration::from_secs(20);
    loop {
        let runs = host.get(&format!("/api/v1/runs?playbook={playbook}")).data()["items"].clone();
        let runs = runs.as_array().expect("a list").clone();
        if runs.len() >= count && runs.iter().all(|run| run["status"] == "succeeded") {
            return runs;
        }
        assert!(Instant::now() < give_up_at, "{runs:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many there are a while later, when nobody means to make any.
fn runs_after_all(host: &Inside, playbook: &str) -> usize {
    std::thread::sleep(Duration::from_millis(200));
    host.get(&format!("/api/v1/runs?playbook={playbook}")).data()["items"]
        .as_array()
        .expect("a list")
        .len()
}

fn counted(host: &Inside, playbook: &str, fate: &str) -> u64 {
    let page = String::from_utf8(host.get("/metrics").body).expect("text");
    let wanted = [format!("playbook=\"{playbook}\""), format!("fate=\"{fate}\"")];
    let line = page
        .lines()
        .find(|line| line.starts_with("host_webhooks_total{") && wanted.iter().all(|label| line.contains(label)));
    line.map_or(0, |line| {
        line.rsplit(' ').next().expect("a number").parse().expect("a number")
    })
}

#[test]
fn what_is_signed_makes_one_run_that_is_told_what_was_sent() {
    let host = Inside::start(FILES);
    let body = r#"{"ref":"refs/heads/main","n":7}"#;
    let told = signed(host.address, "d-1", body);
    assert_eq!((told.status, told.body.as_slice()), (202, &b"thanks"[..]));
    let run = runs(&host, "git", 1)[0]["run_id"].as_str().expect("an id").to_owned();
    let run = host.run_when(&run, &["succeeded"]);
    assert_eq!(
        (&run["outcome"]["id"], &run["outcome"]["event"]),
        (&json!("d-1"), &json!("push"))
    );
    assert_eq!(run["outcome"]["json"], json!({"ref": "refs/heads/main", "n": 7}));
    let headers = &run["outcome"]["headers"];
    assert_eq!(
        headers,
        &json!(["content-type", "x-github-delivery", "x-github-event"]),
        "no other is told"
    );
    assert!(
        run["trigger"]
            .as_str()
            .expect("words")
            .starts_with("by webhook /hooks/git, W-"),
        "{run}"
    );
    // It comes again, under its id, and as somebody would send it who caught it.
    for id in ["d-1", "d-1", "d-other"] {
        let again = signed(host.address, id, body);
        assert_eq!((again.status, again.body.as_slice()), (202, &b"thanks"[..]));
    }
    signed(host.address, "d-1", "{}").is(409, "WEBHOOK_ID_REUSED");
    assert_eq!(
        git(
            host.address,
            "d-2",
            "{\"m\":1}",
            &format!("sha256={}", sign(OLD, "{\"m\":1}"))
        )
        .status,
        202
    );
    runs(&host, "git", 2);
    assert_eq!(runs_after_all(&host, "git"), 2);
    let counts = ["taken", "repeated", "id_reused", "forged"].map(|fate| counted(&host, "git", fate));
    assert_eq!(counts, [2, 3, 1, 0]);
}

#[test]
fn what_is_forged_is_refused_before_anything_is_done_with_it() {
    let host = Inside::start(FILES);
    let body = r#"{"a":1}"#;
    let right = sign(SECRET, body);
    let wrong = [
        String::new(),
        "sha256=".to_owned(),
        right.clone(),
        format!("sha1={right}"),
        format!("sha256={}", &right[1..]),
        format!("sha256={}", "0".repeat(64)),
        format!("sha256={}", sign("another secret", body)),
        format!("sha256={}", sign("", body)),
        format!("sha256={}", sign(SECRET, r#"{"a":1} "#)),
    ];
    for signature in &wrong {
        let refused = git(host.address, "d-1", body, signature);
        refused.is(401, "WEBHOOK_SIGNATURE");
        let said = String::from_utf8(refused.body).expect("text");
        assert!(!said.contains(&right) && !said.contains(SECRET), "{said}");
    }
    ask(host.address, "POST", "/hooks/git", &[], body).is(401, "WEBHOOK_SIGNATURE");
    ask(host.address, "POST", "/hooks/git", &[("role", "admin")], body).is(401, "WEBHOOK_SIGNATURE");
    let twice = format!(
        "POST /hooks/git HTTP/1.1\r\nhost: localhost\r\nx-github-delivery: d-1\r\nx-hub-signature-256: sha256={right}\r\n\
         x-hub-signature-256: sha256={}\r\ncontent-length: 7\r\n\r\n{body}",
        "0".repeat(64)
    );
    let told = Client::to(host.address)
        .send(twice)
        .receive_of("POST")
        .expect("an answer");
    told.is(401, "WEBHOOK_SIGNATURE");
    // One more header, sent through the value of another: the parser of heads refuses it.
    let split = format!(
        "POST /hooks/git HTTP/1.1\r\nhost: localhost\r\nx-github-delivery: d\rx-hub-signature-256: sha256={right}\r\n\
         content-length: 7\r\n\r\n{body}"
    );
    let told = Client::to(host.address).send(split).receive_of("POST");
    assert!(told.is_none_or(|told| told.status == 400));
    let none = git(host.address, "d 1", body, &format!("sha256={right}"));
    none.is(400, "WEBHOOK_ID");
    assert_eq!(runs_after_all(&host, "git"), 0);
    assert_eq!(counted(&host, "git", "forged"), wrong.len() as u64 + 3);
    assert_eq!(
        signed(host.address, "d-1", body).status,
        202,
        "what was refused is not known"
    );
}

#[test]
fn what_is_late_or_ahead_is_refused_though_it_is_signed_and_the_order_does_not_matter() {
    let host = Inside::start(FILES);
    let slack = |time: u64, body: &str| {
        let signature = format!("v0={}", sign(SECRET, &format!("v0:{time}:{body}")));
        let time = time.to_string();
        let headers = [
            ("x-slack-request-timestamp", time.as_str()),
            ("x-slack-signature", &signature),
        ];
        ask(host.address, "POST", "/hooks/slack", &headers, body)
    };
    slack(now() - 310, "a").is(400, "WEBHOOK_TIME");
    slack(now() + 310, "a").is(400, "WEBHOOK_TIME");
    slack(0, "a").is(400, "WEBHOOK_TIME");
    // One that was sent before comes after another.
    assert_eq!(slack(now(), "b").status, 200);
    assert_eq!(slack(now() - 200, "a").status, 200);
    assert_eq!(slack(now() + 200, "c").status, 200);
    // Sent again with another time: the body is its id.
    assert_eq!(slack(now() - 1, "b").status, 200);
    runs(&host, "slack", 3);
    assert_eq!(runs_after_all(&host, "slack"), 3);
    assert_eq!(["late", "repeated"].map(|fate| counted(&host, "slack", fate)), [3, 1]);
}

#[test]
fn what_comes_many_times_at_once_is_done_once() {
    let host = Inside::start(FILES);
    let address = host.address;
    let threads: Vec<_> = (0..12)
        .map(|number| {
            let id = format!("d-{}", number % 2);
            std::thread::spawn(move || signed(address, &id, &format!("{{\"n\":{}}}", number % 2)).status)
        })
        .collect();
    let statuses: Vec<u16> = threads
        .into_iter()
        .map(|thread| thread.join().expect("an answer"))
        .collect();
    assert_eq!(statuses, [202; 12]);
    runs(&host, "git", 2);
    assert_eq!(runs_after_all(&host, "git"), 2);
}

#[test]
fn a_service_is_shown_that_the_address_is_ours_and_no_run_is_made_of_that() {
    let host = Inside::start(FILES);
    let meta = |query: &str| ask(host.address, "GET", &format!("/hooks/meta?{query}"), &[], "");
    let told = meta(&format!(
        "hub.mode=subscribe&hub.verify_token={TOKEN}&hub.challenge=1158201444"
    ));
    assert_eq!((told.status, told.body.as_slice()), (200, &b"1158201444"[..]));
    assert!(told.headers["content-type"].starts_with("text/plain"));
    meta("hub.mode=subscribe&hub.verify_token=x&hub.challenge=1").is(403, "WEBHOOK_VERIFY");
    meta("hub.mode=subscribe&hub.challenge=1").is(403, "WEBHOOK_VERIFY");
    meta(&format!(
        "hub.mode=subscribe&hub.verify_token={TOKEN}&hub.verify_token=x&hub.challenge=1"
    ))
    .is(403, "WEBHOOK_VERIFY");
    for challenge in ["", "%3Cscript%3E", &"1".repeat(501)] {
        meta(&format!(
            "hub.mode=subscribe&hub.verify_token={TOKEN}&hub.challenge={challenge}"
        ))
        .is(400, "WEBHOOK_CHALLENGE");
    }
    meta(&format!(
        "hub.mode=unsubscribe&hub.verify_token={TOKEN}&hub.challenge=1"
    ))
    .is(400, "WEBHOOK_CHALLENGE");
    // Whose webhook has no token to be shown takes no such question.
    ask(host.address, "GET", "/hooks/git", &[], "").is(405, "METHOD_NOT_ALLOWED");
    let time = now().to_string();
    let body = r#"{"type":"url_verification","token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV"}"#;
    let slack = |signature: &str| {
        let headers = [
            ("x-slack-request-timestamp", time.as_str()),
            ("x-slack-signature", signature),
        ];
        ask(host.address, "POST", "/hooks/slack", &headers, body)
    };
    let told = slack(&format!("v0={}", sign(SECRET, &format!("v0:{time}:{body}"))));
    assert_eq!((told.status, told.body.as_slice()), (200, &b"3eZbrw1aBm2rZgRNFdxV"[..]));
    slack(&format!("v0={}", sign("another", &format!("v0:{time}:{body}")))).is(401, "WEBHOOK_SIGNATURE");
    let body = r#"{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{}}"#;
    let date = chrono::DateTime::from_timestamp(now() as i64, 123_456_789)
        .expect("a time")
        .to_rfc3339();
    let twitch = |kind: &str| {
        let signature = format!("sha256={}", sign(SECRET, &format!("m-1{date}{body}")));
        let headers = [
            ("twitch-eventsub-message-id", "m-1"),
            ("twitch-eventsub-message-timestamp", date.as_str()),
            ("twitch-eventsub-message-type", kind),
            ("twitch-eventsub-message-signature", signature.as_str()),
        ];
        ask(host.address, "POST", "/hooks/twitch", &headers, body)
    };
    let told = twitch("webhook_callback_verification");
    assert_eq!(
        (told.status, told.body.as_slice()),
        (200, &b"pogchamp-kappa-360noscope-vohiyo"[..])
    );
    assert_eq!(twitch("notification").body, b"");
    runs(&host, "twitch", 1);
    assert_eq!(
        ["slack", "meta"].map(|playbook| runs_after_all(&host, playbook)),
        [0, 0]
    );
    assert_eq!(ask(host.address, "OPTIONS", "/hooks/git", &[], "").status, 204);
}

#[test]
fn what_is_too_much_is_not_read_and_without_a_secret_nothing_is_taken() {
    let host = Inside::start(FILES);
    // The harness allows 20000 bytes.
    let body = "x".repeat(20_001);
    signed(host.address, "d-1", &body).is(413, "BODY_TOO_LARGE");
    assert_eq!(signed(host.address, "d-2", &body[..20_000]).status, 202);
    let unset = ask(
        host.address,
        "POST",
        "/hooks/unset",
        &[("x-signature", &sign("", "x"))],
        "x",
    );
    unset.is(503, "WEBHOOK_UNREADY");
    assert!(!String::from_utf8(unset.body.clone()).expect("text").contains("NOT_SET"));
    assert!(unset.headers.contains_key("retry-after"));
    let guessed = sign("1234567", "x");
    ask(host.address, "POST", "/hooks/short", &[("x-signature", &guessed)], "x").is(503, "WEBHOOK_UNREADY");
    runs(&host, "git", 1);
}

#[test]
fn a_path_is_had_by_one_alone_and_what_could_verify_nothing_is_not_loaded() {
    let hook = |path: &str, more: &str| format!("const PLAYBOOK = #{{ webhook: #{{ path: {path:?}, {more} }} }};\n1");
    let secret = "secret: \"GIT_WEBHOOK_SECRET\"";
    let files = [
        (
            ".env",
            "GIT_WEBHOOK_SECRET=s3cret-of-the-service\nHOME_TOWN=somewhere-else\nSHOP_KEY=s3cret-of-the-service\n"
                .to_owned(),
        ),
        ("playbooks/a.rhai", hook("/hooks/a", secret)),
        ("playbooks/b.rhai", hook("/hooks/a", secret)),
        (
            "playbooks/c.rhai",
            "const PLAYBOOK = #{ http: #{ method: \"GET\", path: \"/hooks/c\" } };\n1".to_owned(),
        ),
        ("playbooks/d.rhai", hook("/hooks/c", secret)),
        ("playbooks/e.rhai", hook("/hooks/e", "secret: \"HOME_TOWN\"")),
        (
            "playbooks/f.rhai",
            hook("/hooks/f", "scheme: \"githup\", secret: \"GIT_WEBHOOK_SECRET\""),
        ),
        ("playbooks/g.rhai", hook("/hooks/g", "scheme: \"github\"")),
        ("playbooks/h.rhai", hook("/api/v1/h", secret)),
        ("playbooks/shop.rhai", hook("/hooks/shop", "scheme: \"shop\"")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let settings = "[server]\nlisten = \"127.0.0.1:0\"\n[webhooks.shop]\nsecret = \"SHOP_KEY\"\nheader = \"X-Shop\"\n";
    let host = Inside::start(&[&files[..], &[("host.toml", settings)]].concat());
    let post = |path: &str| ask(host.address, "POST", path, &[], "x");
    for path in ["/hooks/e", "/hooks/f", "/hooks/g"] {
        post(path).is(404, "NOT_FOUND");
    }
    let taken = ask(
        host.address,
        "POST",
        "/hooks/shop",
        &[("x-shop", &sign(SECRET, "x"))],
        "x",
    );
    assert_eq!(taken.status, 200, "{taken:?}");
    runs(&host, "shop", 1);
    let (document, has) = (host.get("/openapi.json").json(), |path: &str| post(path).status != 404);
    assert!(!has("/api/v1/h"));
    assert!(document["paths"]["/hooks/shop"]["post"]["responses"]["401"].is_object());
}

/// Whoever had a route with parameters that fits took what services sent to a webhook: it was never verified there, and
/// the webhook heard nothing.
#[test]
fn a_webhook_goes_before_routes_whose_parameters_fit_its_path() {
    let any = |method: &str| {
        let http = format!("#{{ method: \"{method}\", path: \"/hooks/{{name}}\", role: \"anybody\" }}");
        format!("const PLAYBOOK = #{{ http: {http}, inputs: #{{ name: #{{}} }} }};\nkv::increment(\"any\"); input.name")
    };
    let (posts, gets) = (any("POST"), any("GET"));
    let more = [
        ("playbooks/a.rhai", posts.as_str()),
        ("playbooks/b.rhai", gets.as_str()),
    ];
    let host = Inside::start(&[FILES, &more].concat());
    assert_eq!(signed(host.address, "1", "{}").status, 202);
    runs(&host, "git", 1);
    git(host.address, "2", "{}", "sha256=00").is(401, "WEBHOOK_SIGNATURE");
    ask(host.address, "GET", "/hooks/meta?hub.mode=subscribe", &[], "").is(403, "WEBHOOK_VERIFY");
    let allowed = ask(host.address, "PUT", "/hooks/meta", &[], "");
    assert_eq!(allowed.headers["allow"], "POST, GET, HEAD, OPTIONS");
    assert_eq!(
        ask(host.address, "POST", "/hooks/other", &[], "").data(),
        json!("other")
    );
    assert_eq!(ask(host.address, "GET", "/hooks/git", &[], "").data(), json!("git"));
}

#[test]
fn the_document_describes_webhooks() {
    let host = Inside::start(FILES);
    let paths = &host.get("/openapi.json").json()["paths"];
    let post = &paths["/hooks/git"]["post"];
    assert_eq!(
        (&post["operationId"], &post["summary"]),
        (&json!("webhook.git"), &json!("Hears of pushes"))
    );
    for status in ["202", "400", "401", "409", "413", "503"] {
        assert!(post["responses"][status].is_object(), "{status}");
    }
    assert!(paths["/hooks/meta"]["get"].is_object() && paths["/hooks/git"]["get"].is_null());
}

/// A server with one webhook whose runs count themselves.
fn binary() -> Binary {
    let files = [
        (".env", "GIT_WEBHOOK_SECRET=s3cret-of-the-service\n"),
        (
            "playbooks/git.rhai",
            "const PLAYBOOK = #{ webhook: #{ path: \"/hooks/git\", scheme: \"github\", secret: \"GIT_WEBHOOK_SECRET\" } };\n\
             kv::increment(\"git\")",
        ),
    ];
    Binary::with("", &files)
}

/// Cuts it off, and begins anew with what is left.
fn cut_off(mut server: Binary) -> Binary {
    let folder = std::mem::replace(&mut server.folder, TempDir::new().expect("a folder"));
    drop(server);
    Binary::again(folder)
}

fn done_when(server: &Binary, count: usize) {
    let give_up_at = Instant::now() + Duration::from_secs(20);
    loop {
        let runs = server.get("/api/v1/runs?status=succeeded&limit=200").data()["items"].clone();
        let done = runs.as_array().expect("a list").len();
        assert!(done <= count, "{done} runs");
        if done == count {
            return;
        }
        assert!(Instant::now() < give_up_at, "{done} of {count}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_answered_is_done_once_though_the_host_was_cut_off_that_moment() {
    let mut server = binary();
    let mut sent = 0;
    for _ in 0..3 {
        for _ in 0..10 {
            sent += 1;
            let told = signed(server.address, &format!("d-{sent}"), &format!("{{\"n\":{sent}}}"));
            assert_eq!(told.status, 200, "{told:?}");
        }
        server = cut_off(server);
        // Nobody who sends it again is told anything else.
        let again = signed(server.address, &format!("d-{sent}"), &format!("{{\"n\":{sent}}}"));
        assert_eq!(again.status, 200);
    }
    done_when(&server, sent);
    std::thread::sleep(Duration::from_millis(300));
    done_when(&server, sent);
    assert_eq!(server.host(&["kv", "get", "git"]).trim(), sent.to_string());
}

#[test]
fn what_was_taken_in_and_had_no_run_yet_has_one_after_a_crash() {
    let server = binary();
    server.host(&["pause", "git"]);
    assert_eq!(signed(server.address, "d-1", "{}").status, 200);
    let server = cut_off(server);
    std::thread::sleep(Duration::from_millis(200));
    done_when(&server, 0);
    // What waits is one run, however often it is wanted.
    let more = crate::binary::command(&server.folder, &["webhook", "replay", "W-"]).output();
    let more = more.expect("it runs");
    assert!(
        !more.status.success() && String::from_utf8_lossy(&more.stderr).contains("WEBHOOK_WAITS"),
        "{more:?}"
    );
    server.host(&["resume", "git"]);
    done_when(&server, 1);
    let server = cut_off(server);
    std::thread::sleep(Duration::from_millis(200));
    done_when(&server, 1);
}

#[test]
fn what_came_is_listed_shown_and_done_once_more_by_hand() {
    let server = binary();
    let body = r#"{"note":"s3cret-of-the-service is in it"}"#;
    assert_eq!(signed(server.address, "d-1", body).status, 200);
    done_when(&server, 1);
    let list: Value = serde_json::from_str(&server.host(&["webhook", "list", "--json"])).expect("JSON");
    let one = &list["webhooks"][0];
    assert_eq!(
        (&one["sent_id"], &one["runs"][0]["status"]),
        (&json!("d-1"), &json!("succeeded"))
    );
    let id = one["id"].as_str().expect("an id");
    let shown = server.host(&["webhook", "show", &id[..14]]);
    assert!(
        shown.contains("x-github-delivery: d-1") && shown.contains("[masked:GIT_WEBHOOK_SECRET] is in it"),
        "{shown}"
    );
    server.host(&["webhook", "replay", id]);
    done_when(&server, 2);
    let list: Value = serde_json::from_str(&server.host(&["webhook", "list", "--json"])).expect("JSON");
    assert_eq!(list["webhooks"][0]["runs"].as_array().expect("a list").len(), 2);
    let audit = server.host(&["audit", "tail", "--json"]);
    assert!(audit.contains("webhook.replay"), "{audit}");
    assert!(server.host(&["webhook", "list"]).contains("d-1"));
}
