//! What must be known of a provider before a run may speak to it live.

use std::time::Duration;

/// One provider: its switch, its secrets, its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    pub name: String,
    /// The environment variable that turns it on: `SLACK_ENABLED`.
    pub switch: String,
    /// The environment variables that carry its secrets; all are needed to be live.
    pub secrets: Vec<String>,
    /// Secrets it can do without.
    pub optional_secrets: Vec<String>,
    pub base_url: String,
    pub timeout: Duration,
}

impl ProviderSpec {
    pub fn new(name: &str, switch: &str, base_url: &str) -> ProviderSpec {
        ProviderSpec {
            name: name.to_owned(),
            switch: switch.to_owned(),
            secrets: Vec::new(),
            optional_secrets: Vec::new(),
            base_url: base_url.to_owned(),
            timeout: Duration::from_secs(30),
        }
    }

    pub fn secret(mut self, name: &str) -> ProviderSpec {
        self.secrets.push(name.to_owned());
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> ProviderSpec {
        self.timeout = timeout;
        self
    }
}
