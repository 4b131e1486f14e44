//! What Slack's words of refusal mean. They are plain text, one word mostly, and say what to do only to those who know.

use crate::effect::Fault;
use crate::io::http::Response;
use crate::namespaces::fault::Faults;
use crate::value::Value;

/// Beside 429, a 500 (`rollup_error` and the like) is one that Slack asks to send again.
pub const NOTHING_DONE: [u16; 1] = [500];

/// How long a word of Slack's is at most.
const WORD_BYTES_MAX: usize = 60;

/// Slack's word, and the way out.
const WAYS_OUT: [(&str, &str); 16] = [
    ("action_prohibited", "an administrator has restricted posting; ask them"),
    (
        "channel_is_archived",
        "the hook's channel is archived; make a hook for another channel",
    ),
    (
        "channel_not_found",
        "the hook's channel is gone; make a hook for another channel",
    ),
    ("invalid_attachments", "its attachments are not in Slack's form"),
    (
        "invalid_blocks",
        "its blocks are not in Slack's form; try them in Slack's Block Kit Builder",
    ),
    ("invalid_payload", "Slack could not read the message"),
    (
        "invalid_token",
        "the hook's address is wrong or was revoked; set SLACK_WEBHOOK_URL anew",
    ),
    (
        "msg_blocks_too_long",
        "its blocks are too long together; split the message",
    ),
    (
        "no_active_hooks",
        "the hook was disabled; make a new one and set SLACK_WEBHOOK_URL",
    ),
    (
        "no_service",
        "the hook was removed or disabled; make a new one and set SLACK_WEBHOOK_URL",
    ),
    (
        "no_team",
        "the workspace is gone; set SLACK_WEBHOOK_URL to a hook of another",
    ),
    ("no_text", "the message has no text"),
    (
        "posting_to_general_channel_denied",
        "an administrator has restricted posting to #general",
    ),
    ("team_disabled", "the workspace is disabled"),
    ("too_many_attachments", "it has more than 100 attachments"),
    ("user_not_found", "a user it mentions does not exist"),
];

/// The fault that `response` reports.
pub fn fault(faults: &Faults<'_>, response: &Response) -> Fault {
    let word = word(response);
    let way_out = word
        .as_deref()
        .and_then(|word| WAYS_OUT.iter().find(|(known, _)| *known == word));
    let words = match (&word, way_out) {
        (Some(word), Some((_, way_out))) => Some(format!("{word}: {way_out}")),
        (word, _) => word.clone(),
    };
    let mut fault = faults.refusal("slack", response, words.as_deref());
    if let (Some(word), Value::Map(details)) = (word, &mut fault.failure.details) {
        details.insert("error".to_owned(), Value::from(word));
    }
    let is_final = way_out.is_some() || response.is_success() || (400..500).contains(&response.status);
    if is_final && !fault.passing {
        fault.failure.code = "SLACK_REFUSED".to_owned();
    }
    fault
}

/// Slack's one word, out of plain text or of the Web API's JSON.
fn word(response: &Response) -> Option<String> {
    let text = response.text();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let word = json["error"].as_str().unwrap_or(text.trim());
    let is_word = !word.is_empty()
        && word.len() <= WORD_BYTES_MAX
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_word.then(|| word.to_owned())
}
