//! Providers that `host.toml` declares: each becomes a namespace of its own.
//!
//! A few lines of settings give a service what built-in providers have: a switch, a secret that scripts never see, a
//! simulation, an idempotency key, a question for a write whose answer was lost, and the publish gate.
//!
//! ```toml
//! [providers.acme]
//! base_url = "https://api.acme.example/v2"
//! auth = { header = "Authorization", prefix = "Bearer ", secret = "ACME_TOKEN" }
//! idempotency = { header = "Idempotency-Key", lifetime = "24h" }
//! lookup = { path = "/posts?key={key}", found = "items.0" }
//! publish = true
//! ```
//!
//! ```rhai
//! let post = acme::post("/posts", #{ text: caption }).json;
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`settings`] | what a section may say, checked |
//! | [`requests`] | a request, its look-up, and its simulation |

pub mod requests;
pub mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rhai::{Dynamic, FuncRegistration, ImmutableString, Module, NativeCallContext};

use self::requests::{Read, Write};
pub use self::settings::{BadProvider, DeclaredProvider, DeclaredSettings};
use crate::effect::{Declaration, Effect};
use crate::io::http::Method;
use crate::namespaces::http::call::{Call, KeyHeader};
use crate::namespaces::options::Options;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

/// The writes that a declared provider has, with what they are for.
const WRITES: [(&str, Method, &str); 4] = [
    ("post", Method::Post, "Sends"),
    ("put", Method::Put, "Puts"),
    ("patch", Method::Patch, "Changes what is there by"),
    ("delete", Method::Delete, "Deletes what is"),
];

/// The functions of a declared provider that write.
pub fn writers(provider: &DeclaredProvider) -> impl Iterator<Item = String> {
    WRITES
        .into_iter()
        .map(|(verb, ..)| format!("{}::{verb}", provider.name))
}

/// The namespace of a declared provider.
pub fn module(provider: &DeclaredProvider) -> Module {
    let provider = Arc::new(provider.clone());
    let mut module = Module::new();
    set_read(&mut module, &provider, "get", Method::Get);
    set_read(&mut module, &provider, "head", Method::Head);
    for (verb, method, does) in WRITES {
        set_write(&mut module, &provider, verb, method, does);
    }
    module
}

fn set_read(module: &mut Module, provider: &Arc<DeclaredProvider>, verb: &'static str, method: Method) {
    let about = format!(
        "/// Asks {} for `path`, below {}. Returns `#{{ status, headers, body, json, url, simulated }}`.",
        provider.name, provider.base_url
    );
    let asked = provider.clone();
    let plain =
        move |ctx: NativeCallContext, path: ImmutableString| read(&ctx, &asked, verb, method, &path, &rhai::Map::new());
    function(verb, &["path: string"], &[&about]).set_into_module(module, plain);

    let asked = provider.clone();
    let with = move |ctx: NativeCallContext, path: ImmutableString, options: rhai::Map| {
        read(&ctx, &asked, verb, method, &path, &options)
    };
    let options =
        "/// Options: `headers`, `query`, `timeout`, `max_bytes`, `accept` (statuses from 400 up that are answers).";
    function(verb, &["path: string", "options: map"], &[&about, "///", options]).set_into_module(module, with);
}

fn set_write(module: &mut Module, provider: &Arc<DeclaredProvider>, verb: &'static str, method: Method, does: &str) {
    let what = if method == Method::Delete {
        ""
    } else {
        " `body` (a map or an array as JSON, a string as text)"
    };
    let publishes = if provider.publish {
        " It is a publish: governance decides whether it goes out."
    } else {
        ""
    };
    let about = format!(
        "/// {does}{what} at `path` of {}, below {}.{publishes}",
        provider.name, provider.base_url
    );

    let asked = provider.clone();
    if method == Method::Delete {
        let plain = move |ctx: NativeCallContext, path: ImmutableString| {
            write(&ctx, &asked, verb, method, &path, Dynamic::UNIT, &rhai::Map::new())
        };
        function(verb, &["path: string"], &[&about]).set_into_module(module, plain);
    } else {
        let plain = move |ctx: NativeCallContext, path: ImmutableString, body: Dynamic| {
            write(&ctx, &asked, verb, method, &path, body, &rhai::Map::new())
        };
        function(verb, &["path: string", "body: any"], &[&about]).set_into_module(module, plain);
    }

    let asked = provider.clone();
    let strict = if provider.publish {
        ", `strict` (a refusal of governance is an error, not a simulation)"
    } else {
        ""
    };
    let options = format!(
        "/// Options: `headers`, `query`, `timeout`, `max_bytes`, `accept`, `json` or `form` in the place of the body, \
         `key` (what makes this write the same as another, instead of the run's own key){strict}."
    );
    let comments = [about.as_str(), "///", &options];
    if method == Method::Delete {
        let with = move |ctx: NativeCallContext, path: ImmutableString, options: rhai::Map| {
            write(&ctx, &asked, verb, method, &path, Dynamic::UNIT, &options)
        };
        function(verb, &["path: string", "options: map"], &comments).set_into_module(module, with);
    } else {
        let with = move |ctx: NativeCallContext, path: ImmutableString, body: Dynamic, options: rhai::Map| {
            write(&ctx, &asked, verb, method, &path, body, &options)
        };
        function(verb, &["path: string", "body: any", "options: map"], &comments).set_into_module(module, with);
    }
}

fn function(name: &str, parameters: &[&str], comments: &[&str]) -> FuncRegistration {
    FuncRegistration::new(name)
        .with_volatility(true)
        .with_params_info(parameters)
        .with_comments(comments)
}

fn read(
    ctx: &NativeCallContext,
    provider: &Arc<DeclaredProvider>,
    verb: &str,
    method: Method,
    path: &str,
    options: &rhai::Map,
) -> ScriptResult {
    let mut options = ctx.check(Options::new(format!("{}::{verb}", provider.name), options))?;
    let args = args(path, None, &options);
    ctx.check(requests::check_path(provider, path))?;
    let call = ctx.check(Call::read(method, provider.timeout, &mut options))?;
    ctx.check(options.finish())?;
    let declaration = Declaration::read("")
        .named(format!("{}.{verb}", provider.name))
        .of(provider.name.clone())
        .timeout(call.timeout)
        .attempts(provider.attempts);
    ctx.outside(Effect::new(&declaration, args), &Read { provider, path, call })
}

fn write(
    ctx: &NativeCallContext,
    provider: &Arc<DeclaredProvider>,
    verb: &str,
    method: Method,
    path: &str,
    body: Dynamic,
    options: &rhai::Map,
) -> ScriptResult {
    let mut options = ctx.check(Options::new(format!("{}::{verb}", provider.name), options))?;
    let body = ctx.value(&body)?;
    let args = args(path, Some(&body), &options);
    ctx.check(requests::check_path(provider, path))?;
    let mut call = ctx.check(Call::write(method, provider.timeout, body, &mut options))?;
    let key = ctx.check(options.string("key"))?;
    ctx.check(requests::check_key(key.as_deref()))?;
    let strict = match provider.publish {
        true => ctx.check(options.bool("strict"))?.unwrap_or(false),
        false => false,
    };
    ctx.check(options.finish())?;
    call.key = provider.idempotency.as_ref().map(|by| KeyHeader {
        header: by.header.clone(),
        lifetime: by.lifetime,
    });
    let declaration = Declaration::write("")
        .named(format!("{}.{verb}", provider.name))
        .of(provider.name.clone())
        .publishing(provider.publish)
        .on_unknown(provider.on_unknown)
        .timeout(call.timeout)
        .attempts(provider.attempts)
        .settle(provider.settle)
        .key_lifetime(call.key.as_ref().and_then(|key| key.lifetime));
    let mut effect = Effect::new(&declaration, args.clone());
    if provider.publish {
        effect = effect.publishing(&provider.account, &content(&args), strict);
    }
    ctx.outside(
        effect,
        &Write {
            provider,
            path,
            call,
            key,
        },
    )
}

/// What the journal keeps of a call: all of it.
fn args(path: &str, body: Option<&Value>, options: &Options) -> Value {
    let mut args = options.to_value().as_map().cloned().unwrap_or_default();
    args.insert("path".to_owned(), Value::from(path));
    if let Some(body) = body.filter(|body| !body.is_unit()) {
        args.insert("body".to_owned(), body.clone());
    }
    Value::Map(args)
}

/// What is published: where it goes and what it says, but not how it is sent.
fn content(args: &Value) -> Value {
    const SAID: [&str; 5] = ["path", "query", "body", "json", "form"];
    let said = SAID
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), args.get(name)?.clone())));
    Value::Map(said.collect())
}
