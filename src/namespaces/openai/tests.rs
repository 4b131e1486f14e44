//! Chats against a server on the loopback that speaks, or garbles, OpenAI's protocol.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{KEY, NAME};
use crate::journal::Status;
use crate::testing::http_stub::Answer;
use crate::testing::{HttpStub, TestHost, TestRun};
use crate::value::Value;

const PATH: &str = "/v1/chat/completions";
const SECRET: &str = "sk-live-0123456789abcdef";
const ASK: &str = r#"openai::chat(#{ prompt: "a caption about volcanoes", model: "gpt-4o-mini" })"#;
const ASK_DATA: &str = r#"openai::chat(#{ prompt: "rate it", model: "gpt-4o-mini", max_tokens: 50, schema: #{
    type: "object", additionalProperties: false, required: ["score"], properties: #{ score: #{ type: "integer", minimum: 1, maximum: 5 } } } })"#;

fn live(stub: &HttpStub) -> TestHost {
    let prices = Value::from([("gpt-4o-mini", Value::List(vec![Value::Float(0.15), Value::Float(0.6)]))]);
    let settings = Value::from([("prices", prices)]);
    TestHost::default()
        .secret(KEY, SECRET)
        .provider(NAME, &stub.url("/v1/"), settings)
        .live(NAME)
}

fn said(content: Json, finish_reason: &str) -> Json {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "new_field": {},
        "choices": [{ "index": 0, "finish_reason": finish_reason, "message": { "role": "assistant", "content": content, "refusal": null } }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 },
    })
}

fn answered(body: Json, script: &str) -> TestRun {
    let stub = HttpStub::start();
    stub.on("POST", PATH).json(200, body);
    live(&stub).run(script)
}

#[test]
fn a_text_comes_back_with_its_tokens_and_its_cost() {
    let stub = HttpStub::start();
    stub.on("POST", PATH).json(200, said(json!("Lava, live."), "stop"));
    let run = live(&stub).run(ASK);
    let answer = run.value();
    let field = |name: &str| answer.get(name).cloned().expect(name);
    assert_eq!(
        (field("text"), field("json"), field("id")),
        ("Lava, live.".into(), Value::Unit, "chatcmpl-1".into())
    );
    assert_eq!(
        field("usage").to_string(),
        r#"{"input_tokens":1000,"output_tokens":500}"#
    );
    let cost = field("cost_usd").as_float().expect("a price");
    assert!((cost - 0.00045).abs() < 1e-12, "{cost}");
    assert_eq!(run.answers()[0].cost_usd, Some(cost));
    let request = &stub.requests()[0];
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    assert_eq!(
        request.json(),
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "a caption about volcanoes" }] })
    );
}

#[test]
fn a_compatible_server_needs_no_key_and_its_models_have_no_price() {
    let stub = HttpStub::start();
    stub.on("POST", PATH).json(
        200,
        json!({ "choices": [{ "message": { "content": [{ "type": "text", "text": "hi" }] } }] }),
    );
    let host = TestHost::default()
        .provider(NAME, &stub.url("/v1"), Value::Unit)
        .live(NAME);
    let run = host.run(ASK);
    assert_eq!(
        (run.value().get("text"), run.value().get("cost_usd")),
        (Some(&"hi".into()), Some(&Value::Unit))
    );
    assert_eq!(stub.requests()[0].header("authorization"), None);
}

#[test]
fn data_is_held_to_its_schema_twice() {
    let run = answered(said(json!("```json\n{\"score\": 4}\n```"), "stop"), ASK_DATA);
    assert_eq!(
        run.value().get("json").map(Value::to_string).as_deref(),
        Some(r#"{"score":4}"#)
    );
    for wrong in ["{\"score\": 9}", "{\"score\": 4, \"more\": 1}", "four", ""] {
        let run = answered(said(json!(wrong), "stop"), ASK_DATA);
        assert_eq!(run.failure().code, "OPENAI_BAD_JSON", "{wrong}");
        assert_eq!(
            run.recorded.steps[&1].intents.len(),
            1,
            "what was paid for is not ordered again unasked"
        );
    }
}

#[test]
fn an_answer_of_no_use_was_given_and_paid_for_all_the_same() {
    let declined = json!({ "choices": [{ "message": { "content": null, "refusal": "I cannot help with that" }, "finish_reason": "stop" }],
        "model": "gpt-4o-mini", "usage": { "prompt_tokens": 1000, "completion_tokens": 500 } });
    for (body, script, code) in [
        (said(json!("{\"sco"), "length"), ASK_DATA, "OPENAI_TRUNCATED"),
        (declined, ASK, "OPENAI_REFUSED"),
        (said(Json::Null, "content_filter"), ASK, "OPENAI_REFUSED"),
        (said(Json::Null, "stop"), ASK_DATA, "OPENAI_BAD_JSON"),
    ] {
        let run = answered(body, script);
        assert_eq!((run.failure().code.as_str(), run.failure().landed), (code, Some(true)));
        assert!(run.answers()[0].cost_usd.is_some_and(|usd| usd > 0.0), "{code}");
    }
    let run = answered(json!({ "error": { "message": "upstream is full" } }), ASK);
    assert_eq!(run.failure().code, "OPENAI_BAD_ANSWER");
    assert!(run.failure().message.contains("upstream is full"));
}

#[test]
fn null_is_no_empty_text_and_a_text_cut_off_is_a_text() {
    assert_eq!(
        answered(said(Json::Null, "tool_calls"), ASK).value().get("text"),
        Some(&Value::Unit)
    );
    assert_eq!(
        answered(said(json!("Once upon"), "length"), ASK)
            .value()
            .get("finish_reason"),
        Some(&"length".into())
    );
}

#[test]
fn refusals_are_final_except_those_that_pass() {
    let body =
        |code: &str| json!({ "error": { "message": "no", "type": code, "param": null, "code": code } }).to_string();
    for (status, code, expected, times) in [
        (400, "context_length_exceeded", "HTTP_STATUS", 1),
        (401, "invalid_api_key", "HTTP_STATUS", 1),
        (404, "model_not_found", "HTTP_STATUS", 1),
        (429, "insufficient_quota", "OPENAI_QUOTA", 1),
        (429, "rate_limit_exceeded", "HTTP_STATUS", 3),
        (503, "server_error", "HTTP_STATUS", 3),
    ] {
        let stub = HttpStub::start();
        stub.on("POST", PATH)
            .header("content-type", "application/json")
            .answer(status, body(code));
        let run = live(&stub).run(ASK);
        let failure = run.failure();
        assert_eq!(
            (failure.code.as_str(), failure.status, failure.landed),
            (expected, Some(status), Some(false)),
            "{code}"
        );
        assert_eq!(failure.details.get("code"), Some(&Value::from(code)));
        assert_eq!(stub.count("POST", PATH), times, "{code}");
    }
}

#[test]
fn a_wait_in_milliseconds_is_honoured() {
    let stub = HttpStub::start();
    stub.on("POST", PATH)
        .once()
        .header("retry-after-ms", "2500")
        .header("retry-after", "9")
        .status(429);
    stub.on("POST", PATH).json(200, said(json!("hi"), "stop"));
    let host = live(&stub);
    let run = host.run(ASK);
    assert_eq!(run.recorded.steps[&1].attempts[0].error.retry_after_ms, Some(2500));
    assert_eq!(run.value().get("text"), Some(&"hi".into()));
    let waited = host.clock.elapsed();
    assert!(
        waited >= Duration::from_millis(2500) && waited < Duration::from_secs(9),
        "{waited:?}"
    );
}

#[test]
fn a_generation_whose_answer_was_lost_is_asked_for_once_more_and_then_a_person_decides() {
    for (cuts, status, intents) in [(1, Status::Succeeded, 2), (5, Status::NeedsAttention, 2)] {
        let stub = HttpStub::start();
        stub.on("POST", PATH).times(cuts).cut();
        stub.on("POST", PATH).json(200, said(json!("hi"), "stop"));
        let run = live(&stub).run(ASK);
        assert_eq!(
            (run.outcome().status, run.recorded.steps[&1].intents.len()),
            (status, intents),
            "{cuts} cuts"
        );
        assert_eq!(stub.count("POST", PATH), 2, "{cuts} cuts");
    }
}

#[test]
fn the_key_is_never_shown_though_the_server_says_it_back() {
    // The excerpt ends in the middle of the key.
    let long = "x".repeat(crate::namespaces::fault::EXCERPT_BYTES_MAX - 40);
    let unseen = "\0".repeat(64 * 1024 - 30);
    for (status, before) in [(401, String::new()), (401, long), (401, unseen), (200, String::new())] {
        let stub = HttpStub::start();
        stub.on("POST", PATH)
            .header("x-request-id", SECRET)
            .answer_with(move |request| {
                let said_back = request.header("authorization").unwrap_or_default().to_owned();
                let body = match status {
                    200 => json!({ "choices": [{ "message": { "content": said_back } }] }).to_string(),
                    _ => json!({ "error": { "message": said_back, "code": said_back } }).to_string(),
                };
                Answer::new(status, format!("{before}{body}"))
            });
        let host = live(&stub);
        let run = host.run(ASK);
        let shown = format!("{:?} {:?}", run.recorded, run.outcome());
        assert!(shown.contains("[masked:OPENAI_API_KEY]"), "{shown}");
        assert!(!shown.contains("sk-live"), "not even a part of it, cut short: {shown}");
    }
}

#[test]
fn a_dry_run_gets_a_marked_text_or_data_of_the_right_shape_for_nothing() {
    let stub = HttpStub::start();
    let mut host = live(&stub);
    host.mode.providers.clear();
    let run = host.run(&format!("[{ASK}, {ASK_DATA}]"));
    let answers = run.value().as_list().expect("an array");
    assert!(
        answers[0]
            .get("text")
            .and_then(Value::as_str)
            .is_some_and(|text| text.starts_with("[simulated]"))
    );
    let score = answers[1]
        .get("json")
        .and_then(|json| json.get("score"))
        .and_then(Value::as_int);
    assert!(score.is_some_and(|score| (1..=5).contains(&score)), "{score:?}");
    for answer in answers {
        assert_eq!(
            (answer.get("simulated"), answer.get("cost_usd")),
            (Some(&Value::Bool(true)), Some(&Value::Float(0.0)))
        );
        assert!(
            answer
                .get("estimated_cost_usd")
                .and_then(Value::as_float)
                .is_some_and(|usd| usd > 0.0)
        );
    }
    assert_eq!((stub.connections(), run.answers()[0].cost_usd), (0, None));
}
