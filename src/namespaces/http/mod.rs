//! `http::` — requests to hosts that `[http] hosts` lists.
//!
//! Reads (`get`, `head`) and writes (`post`, `put`, `patch`, `delete`) are two providers, because they are let out by
//! different switches: reads when `DRY_RUN` is off, writes when `HTTP_WRITES_ENABLED` is on as well. In a dry run a read
//! goes out all the same where the host is listed in `[http] dry_read`; that is a third provider, whose own door
//! reaches those hosts and no others, so that no redirect leads out of the list.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`call`] | a request as a playbook asks for it: its options, checked |
//! | [`answer`] | what a playbook gets back |
//! | [`multipart`] | bodies of several parts, with files |
//! | [`download`], [`fetch`] | files: resumed, checked, kept under their hash |
//! | [`simulate`] | what it gets back when nothing leaves |
//!
//! Answers with a status of 400 and above are errors (`HTTP_STATUS`), unless `accept` lists them.
//!
//! ```rhai
//! let page = http::get("https://api.example.com/items", #{ query: #{ limit: 20 }, accept: [404] });
//! if page.status == 200 { for item in page.json.items { … } }
//! ```

pub mod answer;
pub mod call;
mod download;
#[cfg(test)]
mod download_tests;
mod fetch;
mod multipart;
pub mod simulate;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upload_tests;

use rhai::Dynamic;
use rhai::plugin::*;
use url::Url;

use self::call::{Call, Content};
use crate::effect::{Declaration, Effect, Failure, Fault, OnUnknown};
use crate::gate::{Act, Errand, Simulation};
use crate::io::World;
use crate::io::http::{BadReach, HttpDoor, Method, Reach};
use crate::io::provider::ProviderDoor;
use crate::namespaces::fault::{self, Faults};
use crate::namespaces::options::Options;
use crate::namespaces::provider::ProviderSpec;
use crate::script::{ContextExt, RunHandle, ScriptResult};
use crate::value::{Map as Fields, Value};

/// Live when `DRY_RUN` is off.
pub const READS: &str = "http";
/// Live when `DRY_RUN` is off and `HTTP_WRITES_ENABLED` is on.
pub const WRITES: &str = "http_writes";
/// Live also in dry runs, to the hosts in `[http] dry_read`.
pub const DRY_READS: &str = "http_dry_read";

/// The setting of that provider that lists them: whether its door is open is another matter.
const HOSTS: &str = "hosts";

pub fn module() -> Module {
    let mut module = exported_module!(functions);
    fetch::add_to(&mut module);
    module
}

/// The three providers behind `http::`.
pub fn providers() -> [ProviderSpec; 3] {
    [
        ProviderSpec::new(READS),
        ProviderSpec::new(WRITES).switch("HTTP_WRITES_ENABLED"),
        ProviderSpec::new(DRY_READS).even_dry(),
    ]
}

/// The door to `hosts`, those in `[http] dry_read`, as one of the world's providers: `door` makes it, open or shut.
pub fn dry_read_door(hosts: &[String], door: impl Fn(Reach) -> HttpDoor) -> Result<ProviderDoor, BadReach> {
    let listed = hosts.iter().map(|host| Value::from(host.as_str())).collect();
    Ok(ProviderDoor {
        name: DRY_READS.to_owned(),
        // Never asked: requests of `http::` carry whole URLs.
        base_url: Url::parse("http://dry-read.invalid/").expect("a URL"),
        http: door(Reach::parse(hosts)?),
        timeout: call::TIMEOUT,
        settings: Fields::from([(HOSTS.to_owned(), Value::List(listed))]),
    })
}

#[export_module]
mod functions {
    /// Asks for `url` and returns the answer: `#{ status, headers, body, json, url, simulated }`.
    ///
    /// `headers` has names in lower case. `body` is text. `json` is the body as data when the server says that it is
    /// JSON, else `()`.
    ///
    /// Errors: `HTTP_STATUS` for an answer of 400 and above, `HTTP_BAD_URL`, `HTTP_NOT_ALLOWED`, `HTTP_PRIVATE_ADDRESS`,
    /// `HTTP_DNS`, `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`, `HTTP_CUT`, `HTTP_REDIRECT`, `HTTP_TOO_LARGE`, `CIRCUIT_OPEN`,
    /// `RATE_LIMITED`.
    ///
    /// ```rhai
    /// let page = http::get("https://example.com/feed.json").json;
    /// ```
    #[rhai_fn(name = "get", return_raw)]
    pub fn get(ctx: NativeCallContext, url: &str) -> ScriptResult {
        read(&ctx, "http::get", Method::Get, url, &rhai::Map::new())
    }

    /// Asks for `url` with options: `headers` and `query` (maps), `timeout` ("10s", at most "10m"), `max_bytes` (8 MiB,
    /// at most 64 MiB), `accept` (statuses from 400 up that are answers rather than errors: `[404]`) and `follow`
    /// (redirects, up to 5; on).
    ///
    /// An answer of 400 and above is the error `HTTP_STATUS`, with `status` and the beginning of the body in `details`.
    ///
    /// Errors: those of `get` without options, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let page = http::get("https://api.example.com/items", #{ query: #{ limit: 20 }, accept: [404] });
    /// if page.status == 200 { for item in page.json.items ?? [] { print(item.title); } }
    /// ```
    #[rhai_fn(name = "get", return_raw)]
    pub fn get_with(ctx: NativeCallContext, url: &str, options: rhai::Map) -> ScriptResult {
        read(&ctx, "http::get", Method::Get, url, &options)
    }

    /// Asks for what is known of `url`: like `get`, with an empty `body`.
    ///
    /// Errors: those of `get`.
    ///
    /// ```rhai
    /// let size = http::head("https://example.com/clip.mp4").headers["content-length"];
    /// ```
    #[rhai_fn(name = "head", return_raw)]
    pub fn head(ctx: NativeCallContext, url: &str) -> ScriptResult {
        read(&ctx, "http::head", Method::Head, url, &rhai::Map::new())
    }

    /// Asks for what is known of `url`, with the options of `get`.
    ///
    /// Errors: those of `get` with options.
    ///
    /// ```rhai
    /// let found = http::head("https://example.com/clip.mp4", #{ accept: [404] }).status != 404;
    /// ```
    #[rhai_fn(name = "head", return_raw)]
    pub fn head_with(ctx: NativeCallContext, url: &str, options: rhai::Map) -> ScriptResult {
        read(&ctx, "http::head", Method::Head, url, &options)
    }

    /// Sends an empty POST to `url`. A live write needs `HTTP_WRITES_ENABLED`, and `"http_writes"` in `uses`.
    ///
    /// Errors: those of `get`, and `NOT_IN_USES`. When the answer is lost the run stops for a person to decide.
    ///
    /// ```rhai
    /// http::post("https://example.com/refresh");
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post(ctx: NativeCallContext, url: &str) -> ScriptResult {
        write(&ctx, "http::post", Method::Post, url, Dynamic::UNIT, &rhai::Map::new())
    }

    /// Sends `body` to `url`: a map or an array as JSON, a string as text, a blob as it is.
    ///
    /// Errors: those of `post` without a body, `HTTP_BODY_TOO_LARGE`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let made = http::post("https://example.com/clips", #{ title: "Three habits" }).json;
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post_body(ctx: NativeCallContext, url: &str, body: Dynamic) -> ScriptResult {
        write(&ctx, "http::post", Method::Post, url, body, &rhai::Map::new())
    }

    /// Sends `body` to `url` with options: those of `get` except `follow` (a redirect is an answer), and instead of
    /// `body` (then `()`) one of `json` (any value), `form` (a map) or `multipart`: an array of up to 100 parts, each
    /// `#{ name, value | blob | path, filename, content_type }`. `value` is text, a number, a bool or, as JSON, a map or an
    /// array; `path` is a file of the project, or the map that a function of `media` or `http::download` returned, and
    /// gives the part its file name and type unless they are said. Files are read while they are sent and have up to 8 GiB
    /// together with the other parts, which have up to 64 MiB; think of `timeout`, which holds for all of it. A file that
    /// is changed while it is sent ends the exchange.
    ///
    /// When the answer to a write is lost, nobody can tell whether it was carried out, and the run stops for a person to
    /// decide. A server that recognises a repeated write makes that unnecessary: say so with `idempotency_key_header`
    /// ("Idempotency-Key") and `idempotency_lifetime`, how long it remembers a key ("24h").
    ///
    /// Errors: those of `post` with a body, `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// http::post("https://example.com/clips", #{ title: "Three habits" }, #{
    ///     idempotency_key_header: "Idempotency-Key", idempotency_lifetime: "24h",
    /// });
    /// ```
    #[rhai_fn(name = "post", return_raw)]
    pub fn post_with(ctx: NativeCallContext, url: &str, body: Dynamic, options: rhai::Map) -> ScriptResult {
        write(&ctx, "http::post", Method::Post, url, body, &options)
    }

    /// Sends an empty PUT to `url`.
    ///
    /// Errors: those of `post`.
    ///
    /// ```rhai
    /// http::put("https://example.com/clips/7/published");
    /// ```
    #[rhai_fn(name = "put", return_raw)]
    pub fn put(ctx: NativeCallContext, url: &str) -> ScriptResult {
        write(&ctx, "http::put", Method::Put, url, Dynamic::UNIT, &rhai::Map::new())
    }

    /// Puts `body` at `url`, in the forms that `post` takes.
    ///
    /// Errors: those of `post` with a body.
    ///
    /// ```rhai
    /// http::put("https://example.com/clips/7", #{ title: "Three habits", seconds: 42 });
    /// ```
    #[rhai_fn(name = "put", return_raw)]
    pub fn put_body(ctx: NativeCallContext, url: &str, body: Dynamic) -> ScriptResult {
        write(&ctx, "http::put", Method::Put, url, body, &rhai::Map::new())
    }

    /// Puts `body` at `url`, with the options of `post`.
    ///
    /// Errors: those of `post` with options.
    ///
    /// ```rhai
    /// http::put("https://example.com/clips/7", (), #{ form: #{ title: "Three habits" } });
    /// ```
    #[rhai_fn(name = "put", return_raw)]
    pub fn put_with(ctx: NativeCallContext, url: &str, body: Dynamic, options: rhai::Map) -> ScriptResult {
        write(&ctx, "http::put", Method::Put, url, body, &options)
    }

    /// Sends an empty PATCH to `url`.
    ///
    /// Errors: those of `post`.
    ///
    /// ```rhai
    /// http::patch("https://example.com/clips/7/touch");
    /// ```
    #[rhai_fn(name = "patch", return_raw)]
    pub fn patch(ctx: NativeCallContext, url: &str) -> ScriptResult {
        write(
            &ctx,
            "http::patch",
            Method::Patch,
            url,
            Dynamic::UNIT,
            &rhai::Map::new(),
        )
    }

    /// Changes what is at `url` by `body`, in the forms that `post` takes.
    ///
    /// Errors: those of `post` with a body.
    ///
    /// ```rhai
    /// http::patch("https://example.com/clips/7", #{ title: "Three habits" });
    /// ```
    #[rhai_fn(name = "patch", return_raw)]
    pub fn patch_body(ctx: NativeCallContext, url: &str, body: Dynamic) -> ScriptResult {
        write(&ctx, "http::patch", Method::Patch, url, body, &rhai::Map::new())
    }

    /// Changes what is at `url` by `body`, with the options of `post`.
    ///
    /// Errors: those of `post` with options.
    ///
    /// ```rhai
    /// http::patch("https://example.com/clips/7", #{ title: "Three habits" }, #{ timeout: "30s" });
    /// ```
    #[rhai_fn(name = "patch", return_raw)]
    pub fn patch_with(ctx: NativeCallContext, url: &str, body: Dynamic, options: rhai::Map) -> ScriptResult {
        write(&ctx, "http::patch", Method::Patch, url, body, &options)
    }

    /// Deletes what is at `url`.
    ///
    /// Errors: those of `post`.
    ///
    /// ```rhai
    /// http::delete("https://example.com/clips/7");
    /// ```
    #[rhai_fn(name = "delete", return_raw)]
    pub fn delete(ctx: NativeCallContext, url: &str) -> ScriptResult {
        write(
            &ctx,
            "http::delete",
            Method::Delete,
            url,
            Dynamic::UNIT,
            &rhai::Map::new(),
        )
    }

    /// Deletes what is at `url`, with the options of `post`, `json` and `form` included.
    ///
    /// Errors: those of `post` with options.
    ///
    /// ```rhai
    /// http::delete("https://example.com/clips/7", #{ accept: [404] });
    /// ```
    #[rhai_fn(name = "delete", return_raw)]
    pub fn delete_with(ctx: NativeCallContext, url: &str, options: rhai::Map) -> ScriptResult {
        write(&ctx, "http::delete", Method::Delete, url, Dynamic::UNIT, &options)
    }
}

fn read(
    ctx: &NativeCallContext,
    function: &'static str,
    method: Method,
    url: &str,
    options: &rhai::Map,
) -> ScriptResult {
    let mut options = ctx.check(Options::new(function, options))?;
    let args = args(url, None, &options);
    let url = ctx.check(call::parse_url(url))?;
    let mut call = ctx.check(Call::read(method, call::TIMEOUT, &mut options))?;
    call.follow = ctx.check(options.bool("follow"))?.unwrap_or(true);
    ctx.check(options.finish())?;
    let provider = provider_of_read(&ctx.run()?, &url);
    let declaration = Declaration::read(name(method)).of(provider).timeout(call.timeout);
    ctx.outside(Effect::new(&declaration, args), &Sending { call, url, provider })
}

fn write(
    ctx: &NativeCallContext,
    function: &'static str,
    method: Method,
    url: &str,
    body: Dynamic,
    options: &rhai::Map,
) -> ScriptResult {
    let mut options = ctx.check(Options::new(function, options))?;
    let body = ctx.value(&body)?;
    let args = args(url, Some(&body), &options);
    let url = ctx.check(call::parse_url(url))?;
    let mut call = ctx.check(Call::write(method, call::TIMEOUT, body, &mut options))?;
    call.key = ctx.check(call::read_key(&mut options))?;
    ctx.check(options.finish())?;
    let declaration = Declaration::write(name(method))
        .of(WRITES)
        .timeout(call.timeout)
        .on_unknown(OnUnknown::Ask)
        .key_lifetime(call.key.as_ref().and_then(|key| key.lifetime));
    ctx.outside(
        Effect::new(&declaration, args),
        &Sending {
            call,
            url,
            provider: WRITES,
        },
    )
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Head => "http.head",
        Method::Post => "http.post",
        Method::Put => "http.put",
        Method::Patch => "http.patch",
        Method::Delete => "http.delete",
        Method::Get | Method::Options => "http.get",
    }
}

/// What the journal keeps of a call: all of it.
fn args(url: &str, body: Option<&Value>, options: &Options) -> Value {
    let mut args = options.to_value().as_map().cloned().unwrap_or_default();
    args.insert("url".to_owned(), Value::from(url));
    if let Some(body) = body.filter(|body| !body.is_unit()) {
        args.insert("body".to_owned(), body.clone());
    }
    Value::Map(args)
}

/// In a run whose reads are simulated, those of listed hosts are a matter of their own.
fn provider_of_read(run: &RunHandle, url: &Url) -> &'static str {
    let world = &run.gate().world;
    let listed = || {
        let hosts = world.providers.get(DRY_READS)?.settings.get(HOSTS)?.as_list()?;
        let hosts: Vec<&str> = hosts.iter().filter_map(Value::as_str).collect();
        Reach::parse(&hosts).ok()?.admit(url).ok()
    };
    let is_simulated = run.tape().mode.why_simulated(READS).is_some();
    if is_simulated && listed().is_some() {
        DRY_READS
    } else {
        READS
    }
}

/// The door through which requests of `provider` leave.
fn door_of<'w>(world: &'w World, provider: &str) -> Result<&'w HttpDoor, Fault> {
    match provider {
        DRY_READS => Ok(&fault::door(world, DRY_READS)?.http),
        _ => Ok(&world.http),
    }
}

/// One call on its way.
struct Sending {
    call: Call,
    url: Url,
    provider: &'static str,
}

impl Act for Sending {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        Ok(simulate::answer(
            simulation,
            self.call.method,
            self.url.as_str(),
            &self.call.content,
        ))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        let faults = Faults {
            provider: self.provider,
            errand,
            nothing_done: &[],
        };
        let door = door_of(errand.world, self.provider)?;
        let mut request = self.call.request(self.url.clone(), errand.key).timeout(errand.timeout);
        if let Content::Multipart(parts) = &self.call.content {
            let (body, kind) = multipart::body(parts, errand)?;
            request = request.body(body).header("content-type", &kind);
        }
        let who = request.origin();
        let sent = door.send(request).map_err(|fault| faults.no_answer(&fault));
        let sent = sent.and_then(|response| match self.call.accepts(response.status) {
            true => Ok(answer::of(&response)),
            false => Err(faults.refusal(&format!("{who} ({})", self.call.method), &response, None)),
        });
        // Many hosts stand behind this one name: one that is ill says nothing of the others.
        sent.map_err(|fault| Fault {
            unhealthy: false,
            ..fault
        })
    }
}
