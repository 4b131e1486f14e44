//! `http::download`, as playbooks call it.

use rhai::plugin::*;

use super::call::{self, Call, TIMEOUT_MAX};
use super::download::{self, Download};
use super::provider_of_read;
use crate::effect::{Declaration, Effect, Failure};
use crate::id::ContentHash;
use crate::io::http::Method;
use crate::namespaces::options::Options;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub(super) fn add_to(module: &mut Module) {
    combine_with_exported_module!(module, "fetch", functions);
}

#[export_module]
mod functions {
    /// Fetches the file at `url` and keeps it; returns `#{ name, sha256, bytes, media_type, content_type, url, resumed_at,
    /// simulated }`.
    ///
    /// The map can be given to functions of `media`, and as `path` of a part of `multipart`. People find the file under
    /// `name` in the run's folder. When the connection is cut or nothing more comes, the download goes on from where it
    /// stopped, also after a restart of the host, if the server can tell by ETag or date that the file is still the same;
    /// else it begins anew. A simulated one has no file.
    ///
    /// - `url`: http or https, of a host that `[http] hosts` lists. Up to 1 GiB, in up to 8 attempts of 10 minutes.
    ///
    /// Errors: those of `get`, `HTTP_STALLED`, `DOWNLOAD_CHANGED`, `DOWNLOAD_FAILED`, `MEDIA_NAME_TAKEN`.
    ///
    /// ```rhai
    /// let clip = http::download("https://example.com/clips/a.mp4");
    /// clip.name // => "a.mp4"
    /// ```
    #[rhai_fn(name = "download", return_raw)]
    pub fn download(ctx: NativeCallContext, url: &str) -> ScriptResult {
        fetch(&ctx, url, &rhai::Map::new())
    }

    /// Fetches the file at `url` with options and keeps it; returns the same as `download` without options.
    ///
    /// - `url`: http or https, of a host that `[http] hosts` lists.
    /// - `options`, each of which may be left out:
    ///   - `name`: under which people find it, 1 to 100 letters, digits, `-`, `_` or `.`; else the end of the URL.
    ///   - `max_bytes`: 1 GiB when nothing is said, at most 16 GiB.
    ///   - `sha256`: 64 hexadecimal digits; a file with another hash is thrown away.
    ///   - `stall`: how long nothing may come before the connection is given up; "30s", from 1 ms to "10m".
    ///   - `timeout`: how long one attempt may take; "10m", which is also the most.
    ///   - `headers`, `query`: maps, as in `get`.
    ///
    /// Errors: those of `download` without options, `DOWNLOAD_CHECKSUM`, `HTTP_TOO_LARGE`, `MEDIA_NAME_INVALID`,
    /// `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let clip = http::download("https://example.com/clips/a.mp4", #{ name: "raw.mp4", max_bytes: 200_000_000 });
    /// clip.name // => "raw.mp4"
    /// ```
    #[rhai_fn(name = "download", return_raw)]
    pub fn download_with(ctx: NativeCallContext, url: &str, options: rhai::Map) -> ScriptResult {
        fetch(&ctx, url, &options)
    }
}

fn fetch(ctx: &NativeCallContext<'_>, url: &str, options: &rhai::Map) -> ScriptResult {
    let mut options = ctx.check(Options::new("http::download", options))?;
    let mut args = options.to_value().as_map().cloned().unwrap_or_default();
    args.insert("url".to_owned(), Value::from(url));
    let url = ctx.check(call::parse_url(url))?;
    let bytes_max = ctx.check(options.int("max_bytes", 1..=download::BYTES_MAX_MAX as i64))?;
    let sha256 = ctx.check(hash(&mut options))?;
    let name = ctx.check(options.string("name"))?;
    let stall = ctx.check(options.duration("stall"))?.unwrap_or(download::STALL);
    if stall.is_zero() || stall > TIMEOUT_MAX {
        let given = Value::from(format!("{stall:?}"));
        return ctx.check(Err(options.kind("stall", &given, "a length of time up to \"10m\"")));
    }
    let mut call = ctx.check(Call::read(Method::Get, download::TIMEOUT, &mut options))?;
    ctx.check(options.finish())?;
    call.follow = true;
    if let Some(name) = &name {
        ctx.check(download::check_name(name))?;
    }
    let provider = provider_of_read(&ctx.run()?, &url);
    let declaration = Declaration::read("http.download")
        .of(provider)
        .timeout(call.timeout)
        .attempts(download::ATTEMPTS_MAX);
    let fetched = Download {
        is_preset: name.is_none(),
        name: name.unwrap_or_else(|| download::name_of(&url)),
        bytes_max: bytes_max.map_or(download::BYTES_MAX, |bytes| bytes as u64),
        call,
        url,
        provider,
        sha256,
        stall,
    };
    ctx.outside(Effect::new(&declaration, args), &fetched)
}

fn hash(options: &mut Options) -> Result<Option<ContentHash>, Failure> {
    let Some(digits) = options.string("sha256")? else {
        return Ok(None);
    };
    match digits.to_ascii_lowercase().parse() {
        Ok(hash) => Ok(Some(hash)),
        Err(_) => {
            let wanted = "64 hexadecimal digits";
            Err(options.kind("sha256", &digits.as_str().into(), wanted).into())
        }
    }
}
