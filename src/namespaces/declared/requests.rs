//! A request to a declared provider, the question whether it landed, and its simulation.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::settings::{DeclaredProvider, KEY, LookUp};
use crate::effect::{Failure, Fault};
use crate::gate::{Act, Errand, Sighting, Simulation};
use crate::io::http::{Method, Request, Response};
use crate::journal::Intent;
use crate::namespaces::fault::{self, Faults};
use crate::namespaces::http::call::Call;
use crate::namespaces::http::{answer, simulate};
use crate::value::Value;

/// How long a key of the playbook's own may be.
const KEY_BYTES_MAX: usize = 255;

/// How large the answer to a look-up may be.
const LOOK_UP_BYTES_MAX: u64 = 1 << 20;

/// A read on its way.
pub(super) struct Read<'a> {
    pub provider: &'a DeclaredProvider,
    pub path: &'a str,
    pub call: Call,
}

impl Act for Read<'_> {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        Ok(simulate::answer(
            simulation,
            self.call.method,
            self.path,
            &self.call.content,
        ))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        send(self.provider, self.path, &self.call, errand.key, errand)
    }
}

/// A write on its way.
pub(super) struct Write<'a> {
    pub provider: &'a DeclaredProvider,
    pub path: &'a str,
    pub call: Call,
    /// The playbook's own key, in the place of the step's.
    pub key: Option<String>,
}

impl Act for Write<'_> {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        Ok(simulate::answer(
            simulation,
            self.call.method,
            self.path,
            &self.call.content,
        ))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        send(
            self.provider,
            self.path,
            &self.call,
            self.key.as_deref().unwrap_or(errand.key),
            errand,
        )
    }

    fn look_up(&self, errand: &mut Errand<'_>, intent: &Intent) -> Result<Sighting, Fault> {
        let Some(lookup) = &self.provider.lookup else {
            return Ok(Sighting::CannotTell);
        };
        let key = match (&self.key, &self.provider.idempotency) {
            (Some(key), _) => key,
            (None, Some(_)) => &intent.key,
            // The service never saw the step's key.
            (None, None) => return Ok(Sighting::CannotTell),
        };
        look_up(self.provider, lookup, key, errand)
    }
}

fn send(provider: &DeclaredProvider, path: &str, call: &Call, key: &str, errand: &Errand<'_>) -> Result<Value, Fault> {
    let faults = Faults {
        provider: &provider.name,
        errand,
        nothing_done: &[],
    };
    let door = fault::door(errand.world, &provider.name)?;
    let url = below(&door.base_url, path).map_err(|error| Fault::refused(error.into()))?;
    let request = authorised(provider, call.request(url, key).timeout(errand.timeout), errand)?;
    let response = door.http.send(request).map_err(|fault| faults.no_answer(&fault))?;
    match call.accepts(response.status) {
        true => Ok(answer::of(&response)),
        false => Err(faults.refusal(&provider.name, &response, None)),
    }
}

fn look_up(provider: &DeclaredProvider, lookup: &LookUp, key: &str, errand: &Errand<'_>) -> Result<Sighting, Fault> {
    let faults = Faults {
        provider: &provider.name,
        errand,
        nothing_done: &[],
    };
    let door = fault::door(errand.world, &provider.name)?;
    let path = lookup
        .path
        .replace(KEY, &utf8_percent_encode(key, NON_ALPHANUMERIC).to_string());
    let url = below(&door.base_url, &path).map_err(|error| Fault::refused(error.into()))?;
    let request = Request::new(Method::Get, url)
        .timeout(errand.timeout)
        .response_bytes_max(LOOK_UP_BYTES_MAX)
        .redirects_max(0);
    let response = door
        .http
        .send(authorised(provider, request, errand)?)
        .map_err(|fault| faults.no_answer(&fault))?;
    match response.status {
        404 => Ok(Sighting::NotThere),
        200..300 => found(lookup, &response, &faults),
        _ => Err(faults.refusal(&provider.name, &response, None)),
    }
}

/// What the answer to a look-up says.
fn found(lookup: &LookUp, response: &Response, faults: &Faults<'_>) -> Result<Sighting, Fault> {
    let json = answer::parse(&response.body);
    let item = match (&lookup.found, json) {
        (None, json) => json.unwrap_or_default(),
        (Some(path), Some(json)) => match at(&json, path) {
            Some(item) if !item.is_unit() => item.clone(),
            _ => return Ok(Sighting::NotThere),
        },
        (Some(_), None) => {
            let message = format!("the look-up at {} was not answered with JSON", faults.provider);
            return Err(faults.useless("LOOKUP_BAD_ANSWER", message, response));
        }
    };
    // The write's own answer, as far as the look-up tells it.
    let Value::Map(mut seen) = answer::of(response) else {
        return Ok(Sighting::CannotTell);
    };
    seen.insert("json".to_owned(), item);
    seen.insert("looked_up".to_owned(), Value::Bool(true));
    Ok(Sighting::Landed(Value::Map(seen)))
}

/// The part of `json` at a path such as `items.0`.
fn at<'j>(json: &'j Value, path: &str) -> Option<&'j Value> {
    path.split('.').try_fold(json, |value, name| match value {
        Value::List(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

/// The request with the provider's secret, which takes the place of whatever the playbook put there.
fn authorised(provider: &DeclaredProvider, mut request: Request, errand: &Errand<'_>) -> Result<Request, Fault> {
    let Some(auth) = &provider.auth else {
        return Ok(request);
    };
    let secret = errand.world.secrets.get(&auth.secret).ok_or_else(|| {
        let message = format!("{} is not set; {} needs it", auth.secret, provider.name);
        Fault::refused(Failure::new("SECRET_MISSING", message).provider(&provider.name))
    })?;
    request
        .headers
        .retain(|(name, _)| !name.eq_ignore_ascii_case(&auth.header));
    Ok(request.secret_header(&auth.header, &format!("{}{}", auth.prefix, secret.reveal())))
}

/// A path or a key that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum BadPath {
    #[error("{path:?} is no path below {base}: write it like \"/posts/1\", without scheme, host and `..`")]
    Path { path: String, base: Url },
    #[error("`key` has {bytes} bytes; from 1 to {KEY_BYTES_MAX} printable ASCII ones are taken")]
    Key { bytes: usize },
}

impl From<BadPath> for Failure {
    fn from(error: BadPath) -> Failure {
        let code = match &error {
            BadPath::Path { .. } => "HTTP_BAD_URL",
            BadPath::Key { .. } => "BAD_OPTION",
        };
        Failure::new(code, error.to_string())
    }
}

/// Refuses a path that leads out of what was declared, before it becomes an effect.
pub(super) fn check_path(provider: &DeclaredProvider, path: &str) -> Result<(), BadPath> {
    below(&provider.base_url, path).map(|_| ())
}

pub(super) fn check_key(key: Option<&str>) -> Result<(), BadPath> {
    match key {
        Some(key)
            if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(BadPath::Key { bytes: key.len() })
        }
        _ => Ok(()),
    }
}

/// `path` below `base`. The secret goes wherever this leads, so it leads nowhere else.
fn below(base: &Url, path: &str) -> Result<Url, BadPath> {
    let bad = || BadPath::Path {
        path: path.chars().take(100).collect(),
        base: base.clone(),
    };
    let root = base.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{root}/{}", path.trim_start_matches('/'))).map_err(|_| bad())?;
    let folder = format!("{}/", base.path().trim_end_matches('/'));
    let is_url = path.split('?').next().is_some_and(|path| path.contains("://"));
    match url.origin() == base.origin() && url.path().starts_with(&folder) && !is_url {
        true => Ok(url),
        false => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base_url() {
        let base = Url::parse("https://api.acme.example/v2").expect("a URL");
        for (path, expected) in [
            ("/posts", "https://api.acme.example/v2/posts"),
            ("posts?a=b", "https://api.acme.example/v2/posts?a=b"),
            ("", "https://api.acme.example/v2/"),
            ("//evil.example/x", "https://api.acme.example/v2/evil.example/x"),
            ("@evil.example", "https://api.acme.example/v2/@evil.example"),
            (
                "/share?url=https://b.example",
                "https://api.acme.example/v2/share?url=https://b.example",
            ),
            ("/posts/../users", "https://api.acme.example/v2/users"),
        ] {
            assert_eq!(below(&base, path).expect(path).as_str(), expected);
        }
        for path in [
            "/../admin",
            "/posts/../../admin",
            "/%2e%2e/admin",
            "/\\..\\admin/..\\..",
            "https://evil.example/",
        ] {
            assert!(below(&base, path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_dotted_path_leads_into_lists_and_maps() {
        let json = Value::from_json(serde_json::json!({ "items": [{ "id": 7 }], "none": null }));
        assert_eq!(at(&json, "items.0.id"), Some(&Value::Int(7)));
        assert_eq!(at(&json, "items.1"), None);
        assert_eq!(at(&json, "items.x"), None);
        assert_eq!(at(&json, "none"), Some(&Value::Unit));
    }

    #[test]
    fn a_key_is_something_a_header_can_hold() {
        for bad in ["", "a b", "a\r\nb", "é", &"a".repeat(256)] {
            assert!(check_key(Some(bad)).is_err(), "{bad:?}");
        }
        assert!(check_key(Some("order-1")).is_ok() && check_key(None).is_ok());
    }
}
