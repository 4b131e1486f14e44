//! Where is it sent, how, and as whom? OpenTelemetry's own variables of the environment.
//!
//! A variable of one signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) goes before the one for all, and is taken as it is.

use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use url::Url;

use super::encode::Resource;
use crate::config::{Config, ConfigError};
use crate::io::env::Environment;

const HEADERS_MAX: usize = 32;

/// A host that ends waits for a request that is under way: it is never waited for longer than this.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// What is sent, as it stands in names of variables.
const TRACES: &str = "TRACES";
const METRICS: &str = "METRICS";

#[derive(Clone, Debug)]
pub struct Settings {
    /// `None`: not sent.
    pub traces: Option<Signal>,
    pub metrics: Option<Signal>,
    pub metrics_every: Duration,
    pub resource: Resource,
}

/// The way of traces, or of metrics.
#[derive(Clone, Debug)]
pub struct Signal {
    pub url: Url,
    pub protocol: Protocol,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub gzip: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Protobuf,
    Json,
}

impl Protocol {
    pub fn media_type(self) -> &'static str {
        match self {
            Protocol::Protobuf => "application/x-protobuf",
            Protocol::Json => "application/json",
        }
    }
}

/// The environment, and what is wrong with it.
struct Env<'e>(&'e Environment);

impl<'e> Env<'e> {
    fn get(&self, name: &str) -> Option<&'e str> {
        self.0.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The variable of `signal`, or the one for all; with its name.
    fn of(&self, signal: &str, what: &str) -> Option<(String, &'e str)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_{signal}_{what}"),
            format!("OTEL_EXPORTER_OTLP_{what}"),
        ];
        names.into_iter().find_map(|name| {
            let value = self.get(&name)?;
            Some((name, value))
        })
    }

    fn signal(&self, signal: &str, path: &str) -> Result<Option<Signal>, ConfigError> {
        let exporter = format!("OTEL_{signal}_EXPORTER");
        match self.get(&exporter) {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => {
                let reason = format!("{other:?} is not known here; otlp and none are");
                return Err(bad(&exporter, reason));
            }
        }
        let Some((name, endpoint)) = self.of(signal, "ENDPOINT") else {
            return Ok(None);
        };
        let is_own = name.contains(signal);
        let text = match is_own {
            true => endpoint.to_owned(),
            false => format!("{}/{path}", endpoint.trim_end_matches('/')),
        };
        let url: Url = text
            .parse()
            .map_err(|error| bad(&name, format!("it is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(&name, format!("{:?} is neither http nor https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let reason = "it holds a user name or a password; OTEL_EXPORTER_OTLP_HEADERS is for those";
            return Err(bad(&name, reason.to_owned()));
        }
        let headers = match self.of(signal, "HEADERS") {
            None => Vec::new(),
            Some((name, text)) => headers(&name, text)?,
        };
        Ok(Some(Signal {
            url,
            protocol: self.protocol(signal)?,
            headers,
            timeout: self.timeout(signal)?,
            gzip: self.gzip(signal)?,
        }))
    }

    fn protocol(&self, signal: &str) -> Result<Protocol, ConfigError> {
        match self.of(signal, "PROTOCOL") {
            None | Some((_, "http/protobuf")) => Ok(Protocol::Protobuf),
            Some((_, "http/json")) => Ok(Protocol::Json),
            Some((name, other)) => {
                let reason = format!("{other:?} is not spoken here; http/protobuf and http/json are, at port 4318");
                Err(bad(&name, reason))
            }
        }
    }

    fn timeout(&self, signal: &str) -> Result<Duration, ConfigError> {
        match self.of(signal, "TIMEOUT") {
            None => Ok(Duration::from_secs(10)),
            Some((name, text)) => Ok(millis(&name, text)?.min(TIMEOUT_MAX)),
        }
    }

    fn gzip(&self, signal: &str) -> Result<bool, ConfigError> {
        match self.of(signal, "COMPRESSION") {
            None | Some((_, "none")) => Ok(false),
            Some((_, "gzip")) => Ok(true),
            Some((name, other)) => Err(bad(&name, format!("{other:?} is not known here; gzip and none are"))),
        }
    }

    fn resource(&self, root: &Path) -> Resource {
        let mut more = self.get("OTEL_RESOURCE_ATTRIBUTES").map(pairs).unwrap_or_default();
        // Each name once: what is said last counts, and the service's own variable goes before.
        let mut take = |name: &str| {
            let said = more.iter().rev().find(|(said, _)| said == name);
            let value = said.map(|(_, value)| value.clone()).filter(|value| !value.is_empty());
            more.retain(|(said, _)| said != name);
            value
        };
        let named = take("service.name");
        let instance = take("service.instance.id");
        take("service.version");
        let service = self.get("OTEL_SERVICE_NAME").map(str::to_owned).or(named);
        let folder = || root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut known = std::collections::BTreeMap::new();
        known.extend(more.drain(..).filter(|(name, _)| !name.is_empty()));
        let cut = |text: String| text.chars().take(200).collect();
        Resource {
            service: cut(service.unwrap_or_else(|| "host".to_owned())),
            instance: cut(instance.unwrap_or_else(folder)),
            more: known.into_iter().collect(),
        }
    }
}

impl Settings {
    /// What the environment says; `None` where nothing is to be sent.
    pub fn read(config: &Config) -> Result<Option<Settings>, ConfigError> {
        Settings::of(&config.env, &config.root)
    }

    fn of(env: &Environment, root: &Path) -> Result<Option<Settings>, ConfigError> {
        let env = Env(env);
        if env
            .get("OTEL_SDK_DISABLED")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let settings = Settings {
            traces: env.signal(TRACES, "v1/traces")?,
            metrics: env.signal(METRICS, "v1/metrics")?,
            metrics_every: match env.get("OTEL_METRIC_EXPORT_INTERVAL") {
                None => Duration::from_secs(60),
                Some(text) => millis("OTEL_METRIC_EXPORT_INTERVAL", text)?,
            },
            resource: env.resource(root),
        };
        Ok((settings.traces.is_some() || settings.metrics.is_some()).then_some(settings))
    }

    /// What of the environment's variables nobody may see, by name: the values of headers, and passwords in addresses.
    pub fn secrets(env: &Environment) -> Vec<(String, String)> {
        let env = Env(env);
        let mut found = Vec::new();
        for signal in ["", "TRACES_", "METRICS_"] {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}HEADERS");
            for (header, value) in env.get(&name).map(pairs).unwrap_or_default() {
                // Whoever shows the header may leave out the scheme before the token.
                let token = value.split_once(' ').map_or(value.as_str(), |(_, token)| token.trim());
                found.push((format!("{name}.{header}"), token.to_owned()));
            }
            let name = format!("OTEL_EXPORTER_OTLP_{signal}ENDPOINT");
            let password = env.get(&name).and_then(crate::io::secrets::password_in);
            found.extend(password.map(|password| (name, password)));
        }
        found
    }
}

fn bad(name: &str, reason: String) -> ConfigError {
    ConfigError::Value {
        key: name.to_owned(),
        reason,
    }
}

/// The headers that the variable `name` asks for. What is wrong with one is told without its value.
fn headers(name: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let headers = pairs(text);
    for (header, value) in &headers {
        if HeaderName::from_bytes(header.as_bytes()).is_err() || HeaderValue::from_str(value).is_err() {
            let shown: String = header.chars().take(60).collect();
            return Err(bad(
                name,
                format!("{shown:?} is no header that can be sent; write name=value,…"),
            ));
        }
    }
    Ok(headers)
}

fn millis(name: &str, text: &str) -> Result<Duration, ConfigError> {
    match text.parse() {
        Ok(millis @ 1..=3_600_000) => Ok(Duration::from_millis(millis)),
        _ => Err(bad(
            name,
            format!("{text:?} is no number of milliseconds from 1 to 3600000"),
        )),
    }
}

/// `a=b,c=d`, with the values percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim())
            .decode_utf8_lossy()
            .into_owned();
        Some((name.trim().to_owned(), value))
    };
    text.split(',').take(HEADERS_MAX).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, ConfigError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::of(&Environment::of(variables), Path::new("/projects/shop"))
    }

    fn both(variables: &[(&str, &str)]) -> (Option<Signal>, Option<Signal>, Resource) {
        let settings = read(variables).expect("good").expect("sent");
        (settings.traces, settings.metrics, settings.resource)
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otlp/");

    #[test]
    fn the_variable_for_all_has_paths_added_and_that_of_a_signal_is_taken_as_it_is() {
        assert!(read(&[]).expect("good").is_none());
        let (traces, metrics, resource) = both(&[
            ALL,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m.example.com/in"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=Bearer%20x"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "c=3"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "700"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ]);
        let (traces, metrics) = (traces.expect("sent"), metrics.expect("sent"));
        assert_eq!(traces.url.as_str(), "http://127.0.0.1:4318/otlp/v1/traces");
        assert_eq!(metrics.url.as_str(), "https://m.example.com/in");
        assert_eq!(
            (traces.protocol, metrics.protocol),
            (Protocol::Protobuf, Protocol::Json)
        );
        assert_eq!(traces.headers[1], ("b".to_owned(), "Bearer x".to_owned()));
        assert_eq!(metrics.headers, [("c".to_owned(), "3".to_owned())]);
        assert_eq!((traces.timeout.as_millis(), metrics.timeout), (700, TIMEOUT_MAX));
        assert!(traces.gzip && metrics.gzip);
        assert_eq!(
            (resource.service.as_str(), resource.instance.as_str()),
            ("host", "shop")
        );
    }

    #[test]
    fn a_signal_can_be_left_out_and_everything_be_switched_off() {
        let (traces, metrics, _) = both(&[ALL, ("OTEL_METRICS_EXPORTER", "none")]);
        assert!(traces.is_some() && metrics.is_none());
        let (traces, metrics, _) = both(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1/m")]);
        assert!(traces.is_none() && metrics.is_some());
        assert!(read(&[ALL, ("OTEL_SDK_DISABLED", "TRUE")]).expect("good").is_none());
        assert!(read(&[("OTEL_SERVICE_NAME", "a")]).expect("good").is_none());
    }

    #[test]
    fn who_sends_is_said_once_whatever_is_said_twice() {
        let attributes = "service.name=shop,env=a,env=b%20c,service.instance.id=i1,service.version=9,=x,y";
        let (_, _, resource) = both(&[ALL, ("OTEL_RESOURCE_ATTRIBUTES", attributes)]);
        assert_eq!((resource.service.as_str(), resource.instance.as_str()), ("shop", "i1"));
        assert_eq!(resource.more, [("env".to_owned(), "b c".to_owned())]);
        let (_, _, resource) = both(&[
            ALL,
            ("OTEL_RESOURCE_ATTRIBUTES", attributes),
            ("OTEL_SERVICE_NAME", "posts"),
        ]);
        assert_eq!(resource.service, "posts");
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_variable_that_says_it() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://x/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://ann:hunter22@x/"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://hunter22@x/"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush-hush%0d%0ab: c"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a b=hush-hush"),
        ] {
            let error = read(&[ALL, (name, value)]).expect_err(name).to_string();
            let is_hidden = !error.contains("hunter22") && !error.contains("hush");
            assert!(error.contains(name) && is_hidden, "{error}");
        }
    }

    #[test]
    fn values_of_headers_and_passwords_in_addresses_are_secrets() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20tok-123456"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pass-word@127.0.0.1:4318"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Settings::secrets(&Environment::of(variables));
        let values: Vec<&str> = secrets.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["pass-word", "tok-123456"]);
    }
}
