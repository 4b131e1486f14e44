//! `slack::` — messages to a channel, through an incoming web hook.
//!
//! The hook's address is the secret, and decides which channel it is. Slack returns no id and lists nothing, so nobody
//! can tell what became of a message whose answer was lost; it is taken as posted, since one message too few is better
//! than two.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`message`] | what is posted: its limits, and the mentions taken out of it |
//! | [`refusal`] | what Slack's words of refusal mean |
//!
//! ```rhai
//! slack::post(`${count} clips are ready for review`);
//! ```

pub mod message;
pub mod refusal;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;
use std::time::Duration;

use rhai::plugin::*;
use url::Url;

use self::message::Message;
use crate::effect::{Declaration, Effect, Failure, Fault, Landed, OnUnknown};
use crate::gate::{Act, Errand, Simulation};
use crate::io::http::{Method, Request, Response};
use crate::namespaces::fault::{self, Faults};
use crate::namespaces::options::Options;
use crate::namespaces::provider::ProviderSpec;
use crate::script::{ContextExt, ScriptResult};
use crate::value::{Map, Value};

pub const NAME: &str = "slack";
const HOOK: &str = "SLACK_WEBHOOK_URL";

/// Slack's rule for a hook: one message a second.
const PER_MINUTE: u32 = 60;
const TIMEOUT: Duration = Duration::from_secs(15);
/// Slack answers with a word.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

static POST: LazyLock<Declaration> = LazyLock::new(|| {
    Declaration::write("slack.post")
        .of(NAME)
        .timeout(TIMEOUT)
        .on_unknown(OnUnknown::AssumeLanded)
});

pub fn module() -> Module {
    exported_module!(functions)
}

pub fn provider() -> ProviderSpec {
    ProviderSpec::new(NAME)
        .switch("SLACK_ENABLED")
        .base_url("https://hooks.slack.com")
        .url_secret(HOOK)
        .timeout(TIMEOUT)
        .per_minute(PER_MINUTE)
}

#[export_module]
mod functions {
    /// Posts a text to Slack. Returns `#{ ok: true, simulated }`.
    ///
    /// The text is Slack's own markup: `*bold*`, `_italic_`, `<https://example.com|a link>`. Mentions of everybody
    /// (`<!channel>`, `<!here>`, `<!everyone>`, user groups) are shown as letters and notify nobody. When the answer was
    /// lost the message counts as posted, and `assumed` is true.
    ///
    /// Errors: `SLACK_BAD_MESSAGE` for an empty or too long text, `SLACK_REFUSED`, `NOT_IN_USES`, and those of `http::post`.
    ///
    /// ```rhai
    /// slack::post("*Three habits* is ready");
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post_text(ctx: NativeCallContext, text: &str) -> ScriptResult {
        post_options(&ctx, Map::from([("text".to_owned(), Value::from(text))]))
    }

    /// Posts a message to Slack: `text` (required: notifications show it), `blocks` (an array of Block Kit's blocks, at
    /// most 50), `channel` (for hooks that may choose one; a hook of a Slack app always posts to its own) and
    /// `mentions` (true lets mentions of everybody through).
    ///
    /// Errors: those of `post` with a text, `MISSING_OPTION`, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// slack::post(#{ text: "3 clips are ready", blocks: [#{ type: "header", text: #{ type: "plain_text", text: "Clips" } }] });
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post_message(ctx: NativeCallContext, message: rhai::Map) -> ScriptResult {
        let message = ctx.value(&rhai::Dynamic::from_map(message))?;
        post_options(&ctx, message.as_map().cloned().unwrap_or_default())
    }
}

fn post_options(ctx: &NativeCallContext, given: Map) -> ScriptResult {
    let mut options = Options::of("slack::post", given);
    let message = ctx.check(Message::read(&mut options))?;
    ctx.check(options.finish())?;
    ctx.outside(Effect::new(&POST, message.to_value()), &Posting(message))
}

/// One message on its way.
struct Posting(Message);

impl Act for Posting {
    fn simulate(&self, _: &Simulation<'_>) -> Result<Value, Failure> {
        Ok(answer(true))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        let door = fault::door(errand.world, NAME)?;
        let faults = Faults {
            provider: NAME,
            errand,
            nothing_done: &refusal::NOTHING_DONE,
        };
        let request = Request::new(Method::Post, hook(errand)?)
            .header("content-type", "application/json")
            .body(self.0.to_value().to_json().to_string())
            .timeout(errand.timeout)
            .response_bytes_max(ANSWER_BYTES_MAX)
            .redirects_max(0);
        let response = door.http.send(request).map_err(|fault| faults.no_answer(&fault))?;
        if !response.is_success() {
            return Err(refusal::fault(&faults, &response));
        }
        if is_ok(&response) {
            Ok(answer(false))
        } else {
            Err(odd(&faults, &response))
        }
    }
}

fn answer(simulated: bool) -> Value {
    Value::from([("ok", Value::Bool(true)), ("simulated", Value::Bool(simulated))])
}

/// The hook's address. Nothing of it goes into a message.
fn hook(errand: &Errand<'_>) -> Result<Url, Fault> {
    let failure = |code: &str, message: String| Fault::refused(Failure::new(code, message).provider(NAME));
    let secret = errand.world.secrets.get(HOOK);
    let secret = secret.ok_or_else(|| {
        failure(
            "SECRET_MISSING",
            format!("{HOOK} is not set; Slack shows it where the web hook was made"),
        )
    })?;
    let url = Url::parse(secret.reveal().trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        failure(
            "HTTP_BAD_URL",
            format!("{HOOK} is no URL; it should begin with https://hooks.slack.com/services/"),
        )
    })
}

/// Hooks answer with the word; workflows with JSON.
fn is_ok(response: &Response) -> bool {
    let text = response.text();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    text.trim() == "ok" || json["ok"] == true
}

/// A success that is none: the Web API's way of refusing, or somebody else's page.
fn odd(faults: &Faults<'_>, response: &Response) -> Fault {
    let json: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    if json["ok"] == false {
        return refusal::fault(faults, response);
    }
    let message = format!(
        "slack answered {} with something other than \"ok\"; is {HOOK} the address of a web hook?",
        response.status
    );
    Fault {
        landed: Landed::Unknown,
        ..faults.useless("SLACK_BAD_ANSWER", message, response)
    }
}
