//! Bytes that are no messages, texts that are no scripts.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::client::Client;
use crate::storm::everything;

#[test]
fn what_is_no_message_is_answered_with_an_error_and_the_next_is_read() {
    let mut client = Client::greeted(&[]);
    client.send_bytes(b"Content-Length: 9\r\n\r\n{ no json");
    let answer = client.next(|message| message["id"].is_null() && message.get("error").is_some());
    assert_eq!(answer["error"]["code"], -32700);
    client.send_bytes(b"Content-Length: 2\r\n\r\n[]Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc");
    for _ in 0..2 {
        client.next(|message| message["id"].is_null() && message.get("error").is_some());
    }
    let long = format!("Content-Length: {}\r\n\r\n{}", 17 << 20, " ".repeat(17 << 20));
    client.send_bytes(long.as_bytes());
    let answer = client.next(|message| message["id"].is_null() && message.get("error").is_some());
    assert!(
        answer["error"]["message"]
            .as_str()
            .expect("words")
            .contains("at most 16777216"),
        "{answer}"
    );
    assert_eq!(client.leave(), 0);
}

#[test]
fn a_stream_that_cannot_be_told_apart_ends_it() {
    let mut client = Client::greeted(&[]);
    client.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.end(), 1);
}

#[test]
fn texts_that_are_no_scripts_are_borne_by_every_request() {
    let mut chance = StdRng::seed_from_u64(3);
    let noise: String = (0..4000)
        .map(|_| char::from_u32(chance.random_range(1..0x3000)).unwrap_or('\u{fffd}'))
        .collect();
    let deep = "(".repeat(20_000);
    let nested = format!("{}1{}", "#{ a: [".repeat(300), "] }".repeat(300));
    let line = format!("let x = [{}];", "\"𝄞\", ".repeat(20_000));
    let texts = [
        noise.as_str(),
        &deep,
        &nested,
        &line,
        "`${`${`${",
        "\u{feff}let x = 1;",
        "#!\n\"",
        "fn fn fn(",
        "\r\r\r\n\r",
    ];
    let mut client = Client::greeted(&[("host.toml", "")]);
    for (at, text) in texts.into_iter().enumerate() {
        let version = at as i64 + 2;
        if at == 0 {
            client.open("playbooks/storm.rhai", "");
        }
        client.change("playbooks/storm.rhai", version, json!([{ "text": text }]));
        for method in [
            "completion",
            "hover",
            "signatureHelp",
            "definition",
            "references",
            "documentHighlight",
            "prepareRename",
            "rename",
            "documentSymbol",
            "foldingRange",
            "formatting",
            "rangeFormatting",
            "codeAction",
            "codeLens",
            "inlayHint",
        ] {
            let params = everything(&client, &mut chance);
            let answer = client.try_ask(&format!("textDocument/{method}"), params);
            assert!(
                !matches!(&answer, Err(refused) if refused.code == -32603),
                "{method} of {text:.40}: {answer:?}"
            );
        }
        assert_eq!(client.text("playbooks/storm.rhai").as_deref(), Some(text));
        client.findings("playbooks/storm.rhai", version);
    }
    assert_eq!(client.leave(), 0);
}
