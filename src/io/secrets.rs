//! Secrets by name, as the closures of reads and writes get them.
//!
//! A secret has no `Debug`, no `Display` and no way into a journal: what a provider answers passes the gate's masks,
//! which know every secret and its usual disguises.

use std::collections::BTreeMap;

/// A value that must not be shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself, to be put into a request.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The password in an address such as `https://name:password@example.com`.
pub fn password_in(address: &str) -> Option<String> {
    let url: url::Url = address.parse().ok()?;
    let password = percent_encoding::percent_decode_str(url.password()?).decode_utf8_lossy();
    (!password.is_empty()).then(|| password.into_owned())
}

/// The secrets of this process, by the name of the environment variable that carries them.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Secrets {
        Secrets(secrets.into_iter().map(|(name, value)| (name, Secret(value))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, secret)| (name.as_str(), secret))
    }
}
