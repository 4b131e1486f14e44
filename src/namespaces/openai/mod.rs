//! `openai::` — texts and data from language models, at OpenAI or at any server that speaks its protocol.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`chat`] | what a playbook asks for, and the request that is sent |
//! | [`answer`] | what came back: a text, data, a refusal, half a text |
//! | [`refusal`] | a status of failure, in the shapes that servers give it |
//! | [`schema`] | JSON schemas: checking data against one, and making data up that satisfies one |
//! | [`prices`] | what tokens cost |
//! | [`simulate`] | the answer that is made up when nothing leaves |
//!
//! A generation costs money, so it is a write; but nobody sees it, so one whose answer was lost is asked for once more.
//!
//! ```rhai
//! let prompt = prompt::render("daily/caption", #{ topic: input.topic });
//! let caption = openai::chat(#{ prompt: prompt, max_tokens: 200 }).text;
//! ```

pub mod answer;
pub mod chat;
pub mod prices;
pub mod refusal;
pub mod schema;
pub mod simulate;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;
use std::time::Duration;

use rhai::plugin::*;

use self::chat::Chat;
use self::prices::Prices;
use crate::effect::{Declaration, Effect, Failure, Fault, OnUnknown};
use crate::gate::{Act, Errand, Simulation};
use crate::io::http::{Method, Request};
use crate::io::provider::ProviderDoor;
use crate::namespaces::fault::{self, Faults};
use crate::namespaces::options::Options;
use crate::namespaces::provider::ProviderSpec;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub const NAME: &str = "openai";
const KEY: &str = "OPENAI_API_KEY";
const BASE_URL: &str = "https://api.openai.com/v1";
const HOST: &str = "api.openai.com";

/// How large an answer may be: a text of a hundred thousand tokens is far from it.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// The longest key of `only_one`.
const ONLY_ONE_BYTES_MAX: usize = 200;

/// How long generating may take when neither the call nor `host.toml` says.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Statuses that OpenAI documents as "try again", nothing having been generated: a conflict, and two words for too much
/// to do.
const NOTHING_DONE: [u16; 3] = [409, 503, 529];

static CHAT: LazyLock<Declaration> = LazyLock::new(|| {
    Declaration::write("openai.chat")
        .of(NAME)
        .on_unknown(OnUnknown::Repeat(1))
});

pub fn module() -> Module {
    exported_module!(functions)
}

/// The key is needed at OpenAI itself; many compatible servers need none.
pub fn provider() -> ProviderSpec {
    ProviderSpec::new(NAME)
        .switch("OPENAI_ENABLED")
        .base_url(BASE_URL)
        .home_secret(KEY)
        .timeout(TIMEOUT)
}

#[export_module]
mod functions {
    /// Has a language model write a text, or data that satisfies a schema. Returns
    /// `#{ text, json, model, id, finish_reason, usage: #{ input_tokens, output_tokens }, cost_usd, simulated }`.
    ///
    /// What to say to the model: `prompt` (a string, or what `prompt::render` returned, whose model, temperature,
    /// max_tokens and output_schema then count unless given here) or `messages` (an array of `#{ role, content }`), and
    /// `system` before either. How: `model` ("gpt-4o-mini"), `temperature` (0 to 2), `max_tokens`, `timeout` ("2m", at
    /// most "10m"). Only what is given is sent.
    ///
    /// With `schema` (a JSON schema) the answer is data, in `json`: the model is held to the schema, and the host checks
    /// it again. `OPENAI_BAD_JSON` and `OPENAI_TRUNCATED` say that it did not fit, `OPENAI_REFUSED` that the model
    /// declined, `OPENAI_QUOTA` that the account is out of credit. `cost_usd` is `()` for models of unknown price.
    ///
    /// With `only_one: "product-7"` no other run may have a chat under the same key under way: it gets
    /// `GENERATION_IN_PROGRESS`, and nothing is paid twice.
    ///
    /// Errors: `OPENAI_BAD_JSON`, `OPENAI_TRUNCATED`, `OPENAI_REFUSED`, `OPENAI_QUOTA`, `OPENAI_BAD_SCHEMA`, `OPENAI_BAD_ANSWER`,
    /// `GENERATION_IN_PROGRESS`, `MISSING_OPTION`, `UNKNOWN_OPTION`, `BAD_OPTION`, `NOT_IN_USES`, and those of `http::post`.
    ///
    /// ```rhai
    /// let idea = openai::chat(#{
    ///     prompt: prompt::render("daily/idea", #{ topic: input.topic }),
    ///     schema: #{
    ///         type: "object", additionalProperties: false, required: ["title"],
    ///         properties: #{ title: #{ type: "string", maxLength: 80 } },
    ///     },
    /// }).json;
    /// ```
    #[rhai_fn(return_raw)]
    pub fn chat(ctx: NativeCallContext, options: rhai::Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("openai::chat", &options))?;
        let chat = ctx.check(Chat::read(&mut options))?;
        let only_one = ctx.check(options.string("only_one"))?;
        if let Some(key) = only_one
            .as_ref()
            .filter(|key| key.is_empty() || key.len() > ONLY_ONE_BYTES_MAX)
        {
            let wanted = format!("a key of 1 to {ONLY_ONE_BYTES_MAX} bytes");
            return ctx.check(Err(options.kind("only_one", &Value::from(key.as_str()), wanted)));
        }
        ctx.check(options.finish())?;
        let configured = ctx.run()?.gate().world.providers.get(NAME).map(|door| door.timeout);
        let timeout = chat.timeout.or(configured).unwrap_or(TIMEOUT);
        let declaration = CHAT.clone().timeout(timeout);
        let effect = Effect::new(&declaration, chat.args());
        let effect = match only_one {
            Some(key) => effect.single_flight(key),
            None => effect,
        };
        ctx.outside(effect, &Chatting(chat))
    }
}

/// One chat on its way.
struct Chatting(Chat);

impl Act for Chatting {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        simulate::answer(&self.0, simulation)
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        let door = fault::door(errand.world, NAME)?;
        let prices = Prices::of(door);
        let request = request(door, &self.0, errand)?;
        let faults = Faults {
            provider: NAME,
            errand,
            nothing_done: &NOTHING_DONE,
        };
        let response = door.http.send(request).map_err(|fault| faults.no_answer(&fault))?;
        if !response.is_success() {
            return Err(refusal::fault(&faults, &response));
        }
        let (usage, result) = answer::read(&self.0, &faults, &response, &prices);
        // Tokens are paid for whether or not what they say is of use.
        if let Some(usd) = usage {
            errand.cost(usd);
        }
        result
    }
}

fn request(door: &ProviderDoor, chat: &Chat, errand: &Errand<'_>) -> Result<Request, Fault> {
    let url = door.url("chat/completions").map_err(|error| {
        Fault::refused(Failure::new("HTTP_BAD_URL", format!("the base_url of openai: {error}")).provider(NAME))
    })?;
    let request = Request::new(Method::Post, url)
        .header("content-type", "application/json")
        .body(chat.body().to_string())
        .timeout(errand.timeout)
        .response_bytes_max(ANSWER_BYTES_MAX)
        .redirects_max(0);
    Ok(
        match errand.world.secrets.get(KEY).filter(|key| !key.reveal().is_empty()) {
            Some(key) => request.secret_header("authorization", &format!("Bearer {}", key.reveal())),
            None => request,
        },
    )
}
