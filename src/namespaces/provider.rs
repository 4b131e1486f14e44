//! What must be known of a provider before a run may speak to it live.

use std::time::Duration;

use url::Url;

use crate::io::http::{BadReach, Reach};
use crate::io::secrets::Secrets;

/// One provider: its switch, its secrets, its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    pub name: String,
    /// The environment variable that turns it on: `SLACK_ENABLED`. Empty: it needs none.
    pub switch: String,
    /// Whether it is live also while `DRY_RUN` is on.
    pub even_dry: bool,
    /// The environment variables that carry its secrets; all are needed to be live.
    pub secrets: Vec<String>,
    /// Secrets it can do without.
    pub optional_secrets: Vec<String>,
    /// The secrets that it can do without at another address than its own.
    pub home_secrets: Vec<String>,
    /// The secret that is itself the address requests go to, such as a web hook's.
    pub url_secret: Option<String>,
    /// Where it is, unless configured otherwise. `None`: it has no one address.
    pub base_url: Option<String>,
    /// How long its requests may take, unless configured otherwise.
    pub timeout: Duration,
    /// How often it may be called, unless configured otherwise.
    pub per_minute: Option<u32>,
}

impl ProviderSpec {
    pub fn new(name: &str) -> ProviderSpec {
        ProviderSpec {
            name: name.to_owned(),
            switch: String::new(),
            even_dry: false,
            secrets: Vec::new(),
            optional_secrets: Vec::new(),
            home_secrets: Vec::new(),
            url_secret: None,
            base_url: None,
            timeout: Duration::from_secs(30),
            per_minute: None,
        }
    }

    pub fn switch(mut self, name: &str) -> ProviderSpec {
        self.switch = name.to_owned();
        self
    }

    /// Live whether or not `DRY_RUN` is on.
    pub fn even_dry(mut self) -> ProviderSpec {
        self.even_dry = true;
        self
    }

    pub fn base_url(mut self, url: &str) -> ProviderSpec {
        self.base_url = Some(url.to_owned());
        self
    }

    pub fn secret(mut self, name: &str) -> ProviderSpec {
        self.secrets.push(name.to_owned());
        self
    }

    pub fn optional_secret(mut self, name: &str) -> ProviderSpec {
        self.optional_secrets.push(name.to_owned());
        self
    }

    /// A secret that is needed at the provider's own address, and optional at a compatible server's.
    pub fn home_secret(mut self, name: &str) -> ProviderSpec {
        self.home_secrets.push(name.to_owned());
        self
    }

    /// A secret that is the address requests go to.
    pub fn url_secret(mut self, name: &str) -> ProviderSpec {
        self.url_secret = Some(name.to_owned());
        self.secret(name)
    }

    pub fn timeout(mut self, timeout: Duration) -> ProviderSpec {
        self.timeout = timeout;
        self
    }

    pub fn per_minute(mut self, calls: u32) -> ProviderSpec {
        self.per_minute = Some(calls);
        self
    }

    /// The secrets without which it cannot be live at `base_url`.
    pub fn needed_secrets(&self, base_url: Option<&Url>) -> Vec<&str> {
        let own = self.base_url.as_deref().and_then(|url| Url::parse(url).ok());
        let is_home = base_url.is_none_or(|url| own.is_some_and(|own| own.origin() == url.origin()));
        let at_home = self.home_secrets.iter().filter(|_| is_home);
        self.secrets.iter().chain(at_home).map(String::as_str).collect()
    }

    /// Every secret it has, needed or not.
    pub fn all_secrets(&self) -> impl Iterator<Item = &String> {
        self.secrets
            .iter()
            .chain(&self.home_secrets)
            .chain(&self.optional_secrets)
    }

    /// What the provider's own door may reach: the configured address, and the one that a secret holds. Neither is
    /// thereby opened to `http::`.
    pub fn reach(&self, base_url: &Url, secrets: &Secrets) -> Result<Reach, BadReach> {
        let mut reach = Reach::default();
        reach.allow_url(base_url)?;
        let secret = self.url_secret.as_deref().and_then(|name| secrets.get(name));
        if let Some(url) = secret.and_then(|secret| Url::parse(secret.reveal()).ok()) {
            reach.allow_url(&url)?;
        }
        Ok(reach)
    }
}
