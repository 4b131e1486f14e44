//! One provider as the doors know it: where it is, how it is reached, and its settings.

use std::time::Duration;

use url::Url;

use super::http::HttpDoor;
use crate::value::Map;

/// A provider's address and its own door: what its host opens is not opened to `http::`.
#[derive(Clone)]
pub struct ProviderDoor {
    pub name: String,
    /// Configurable for every provider, for tests, proxies and regional hosts.
    pub base_url: Url,
    pub http: HttpDoor,
    pub timeout: Duration,
    /// What else its section in `host.toml` says; the provider's namespace reads it.
    pub settings: Map,
}

impl ProviderDoor {
    /// The base URL with `path` below it, whether or not either has a slash at the seam.
    pub fn url(&self, path: &str) -> Result<Url, url::ParseError> {
        let base = self.base_url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{}", path.trim_start_matches('/')))
    }
}
