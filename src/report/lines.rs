//! One effect on one line: what it was about, and what came of it.

use crate::journal::Answer;
use crate::value::{Map, Value};

/// What the effect was about: the argument that a person would name it by.
pub fn subject(answer: &Answer) -> String {
    let Some(args) = answer.asked.args.as_map() else {
        return String::new();
    };
    let text = |name: &str| args.get(name).and_then(Value::as_str);
    if let (Some(collection), Some(id)) = (text("collection"), text("id")) {
        return format!("{collection}/{id}");
    }
    const NAMING: [&str; 17] = [
        "path",
        "source",
        "name",
        "url",
        "key",
        "collection",
        "model",
        "folder",
        "prefix",
        "channel",
        "text",
        "note",
        "question",
        "playbook",
        "run",
        "for",
        "every",
    ];
    let named = NAMING.into_iter().find_map(|name| args.get(name));
    match named {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Map(media)) => media.get("name").map_or_else(|| "a map".to_owned(), words),
        Some(other) => other.to_string(),
        None if args.is_empty() => String::new(),
        None => Value::Map(args.clone()).to_string(),
    }
}

/// What came of it.
pub fn gist(answer: &Answer) -> String {
    if let Some(failure) = &answer.error {
        return format!("{}: {}", failure.code, failure.message);
    }
    match &answer.value {
        Value::Unit => String::new(),
        Value::List(items) => counted(items.len(), "item"),
        Value::Map(map) => gist_of_map(map),
        other => words(other),
    }
}

fn gist_of_map(map: &Map) -> String {
    if let (3, Some(Value::Text(answer)), Some(Value::Text(by))) = (map.len(), map.get("answer"), map.get("by")) {
        return format!("{answer:?} by {by}");
    }
    if map.contains_key("width") {
        return gist_of_media(map);
    }
    if let Some(Value::Text(text)) = map.get("text") {
        return format!("\"{text}\"");
    }
    if let (Some(Value::Int(status)), Some(_)) = (map.get("status"), map.get("headers").or(map.get("json"))) {
        return format!("{status}");
    }
    if let Some(Value::List(documents)) = map.get("documents") {
        return counted(documents.len(), "document");
    }
    match map.get("title").or_else(|| map.get("name")) {
        Some(Value::Text(name)) => name.clone(),
        _ => Value::Map(map.clone()).to_string(),
    }
}

/// `0:42 1080×1920 h264 aac`.
fn gist_of_media(map: &Map) -> String {
    let number = |name: &str| map.get(name).and_then(Value::as_float);
    let mut parts = Vec::new();
    if let Some(seconds) = number("seconds").filter(|seconds| *seconds > 0.0) {
        parts.push(format!("{}:{:02}", seconds as u64 / 60, seconds as u64 % 60));
    }
    if let (Some(width), Some(height)) = (number("width"), number("height")) {
        parts.push(format!("{width}×{height}"));
    }
    for codec in ["video_codec", "audio_codec"] {
        parts.extend(map.get(codec).and_then(Value::as_str).map(str::to_owned));
    }
    if let Some(Value::Text(name)) = map.get("name") {
        parts.insert(0, format!("→ {name}"));
    }
    parts.join(" ")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
