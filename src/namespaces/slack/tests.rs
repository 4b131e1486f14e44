//! Messages to a web hook on the loopback.

use std::time::Duration;

use super::{HOOK, NAME};
use crate::testing::{HttpStub, TestHost};
use crate::value::Value;

const PATH: &str = "/services/T0SECRET/B0SECRET/abcdefghijkl";

fn live(stub: &HttpStub) -> TestHost {
    TestHost::default()
        .secret(HOOK, &stub.url(PATH))
        .provider(NAME, &stub.url("/"), Value::Unit)
        .live(NAME)
}

#[test]
fn a_message_is_posted_as_slack_takes_it() {
    let stub = HttpStub::start();
    stub.on("POST", PATH).answer(200, "ok");
    let host = live(&stub);
    let run = host.run(r##"slack::post(#{ text: "<!channel> done & dusted", channel: "#content" })"##);
    assert_eq!(run.value().to_string(), r#"{"ok":true,"simulated":false}"#);
    assert_eq!(
        stub.requests()[0].json(),
        serde_json::json!({ "text": "&lt;!channel> done & dusted", "channel": "#content" })
    );
    assert!(!format!("{:?}", run.recorded).contains("T0SECRET"));
}

#[test]
fn without_its_switch_nothing_is_posted() {
    let stub = HttpStub::start();
    let mut host = live(&stub);
    host.mode.providers.clear();
    let run = host.run(r#"slack::post("hello").simulated"#);
    assert_eq!((run.value(), stub.connections()), (&Value::Bool(true), 0));
}

#[test]
fn slacks_words_of_refusal_are_explained_and_final() {
    for (status, word, expected) in [
        (400, "invalid_blocks", "Block Kit Builder"),
        (403, "action_prohibited", "an administrator"),
        (404, "no_active_hooks", "make a new one"),
        (410, "channel_is_archived", "archived"),
        (404, "some_new_word", "slack answered 404: some_new_word"),
    ] {
        let stub = HttpStub::start();
        stub.on("POST", PATH).answer(status, word);
        let run = live(&stub).run(r#"slack::post("hello")"#);
        let failure = run.failure();
        assert_eq!(
            (failure.code.as_str(), failure.status, failure.landed),
            ("SLACK_REFUSED", Some(status), Some(false)),
            "{word}"
        );
        assert!(failure.message.contains(expected), "{}", failure.message);
        assert_eq!(failure.details.get("error"), Some(&Value::from(word)));
        assert_eq!(stub.count("POST", PATH), 1, "{word}");
    }
}

#[test]
fn a_message_that_slack_did_not_take_is_posted_again() {
    let stub = HttpStub::start();
    stub.on("POST", PATH)
        .once()
        .header("retry-after", "3")
        .answer(429, "rate_limited");
    stub.on("POST", PATH).once().answer(500, "rollup_error");
    stub.on("POST", PATH).answer(200, "ok");
    let host = live(&stub);
    let run = host.run(r#"slack::post("hello").ok"#);
    assert_eq!(run.value(), &Value::Bool(true));
    assert_eq!(run.recorded.steps[&1].intents.len(), 3);
    assert!(host.clock.elapsed() >= Duration::from_secs(3));
}

#[test]
fn a_message_whose_answer_was_lost_counts_as_posted_and_is_posted_once() {
    for lost in ["cut", "502", "page"] {
        let stub = HttpStub::start();
        match lost {
            "cut" => stub.on("POST", PATH).cut(),
            "502" => stub.on("POST", PATH).answer(502, "<html>bad gateway</html>"),
            _ => stub.on("POST", PATH).answer(200, "<html>please log in</html>"),
        }
        let run = live(&stub).run(r#"slack::post("hello").assumed"#);
        assert_eq!(
            (run.value(), stub.count("POST", PATH)),
            (&Value::Bool(true), 1),
            "{lost}"
        );
    }
}

#[test]
fn the_hook_is_never_shown_though_the_answer_quotes_it() {
    let stub = HttpStub::start();
    stub.on("POST", PATH).answer_with(|request| {
        let words = format!("no service at {} ({})", request.path, request.path.replace('/', "%2F"));
        crate::testing::http_stub::Answer::new(404, words)
    });
    let host = live(&stub);
    let run = host.run(r#"slack::post("hello")"#);
    let shown = format!("{:?}", run.recorded);
    assert!(shown.contains(&format!("[masked:{HOOK}]")), "{shown}");
    for secret in ["T0SECRET", "B0SECRET", "abcdefghijkl"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_hook_that_is_missing_or_no_url_is_said_without_showing_it() {
    let stub = HttpStub::start();
    let without = TestHost::default()
        .provider(NAME, &stub.url("/"), Value::Unit)
        .live(NAME);
    assert_eq!(without.run(r#"slack::post("hello")"#).failure().code, "SECRET_MISSING");
    let wrong = without.secret(HOOK, "T0SECRET/B0SECRET");
    let run = wrong.run(r#"slack::post("hello")"#);
    assert_eq!(run.failure().code, "HTTP_BAD_URL");
    assert!(!run.failure().message.contains("T0SECRET"));
}
