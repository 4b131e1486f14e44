//! The declaration of an effect: everything the gate must know before it lets one through.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How an effect touches the world, and so how it is journaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Clock, chance, store: its result and its store change are one batch.
    #[default]
    Local,
    /// Asks the outside and changes nothing there: may be asked again.
    Read,
    /// Changes the outside, or costs money: an intent is on disk before the request leaves.
    Write,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Local => "local",
            Class::Read => "read",
            Class::Write => "write",
        }
    }
}

/// What to do when nobody can tell whether a write landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// Stop the run; a person decides. For publishes.
    Ask,
    /// Send it again, at most this often; the possible double cost is recorded. For generation nobody sees.
    Repeat(u32),
    /// Take it as done. For notifications.
    AssumeLanded,
}

/// One kind of effect, declared once beside the function that asks for it.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// As journal, `show` and `plan` name it: `slack.post`.
    pub name: Cow<'static, str>,
    pub class: Class,
    /// The provider whose switches decide between live and simulated; `None` for what the host does itself.
    pub provider: Option<Cow<'static, str>>,
    /// Whether the public sees it or it cannot be taken back.
    pub publish: bool,
    pub on_unknown: OnUnknown,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often it may be attempted when attempts certainly did nothing.
    pub attempts_max: u32,
    /// How long the provider may take to show a write that landed.
    pub settle: Duration,
    /// How long the provider remembers an idempotency key, where it takes one.
    pub key_lifetime: Option<Duration>,
    /// Whether a what-if computes it anew, over what the record shows of the store and of the prompts.
    pub recomputed: bool,
}

impl Declaration {
    const fn new(name: &'static str, class: Class) -> Declaration {
        Declaration {
            name: Cow::Borrowed(name),
            class,
            provider: None,
            publish: false,
            on_unknown: OnUnknown::Ask,
            timeout: Duration::from_secs(30),
            attempts_max: 3,
            settle: Duration::from_secs(30),
            key_lifetime: None,
            recomputed: false,
        }
    }

    pub const fn local(name: &'static str) -> Declaration {
        Declaration::new(name, Class::Local)
    }

    pub const fn read(name: &'static str) -> Declaration {
        Declaration::new(name, Class::Read)
    }

    pub const fn write(name: &'static str) -> Declaration {
        Declaration::new(name, Class::Write)
    }

    /// Computed anew by a what-if: it depends on nothing but the store, or texts that the host keeps.
    pub const fn recomputed(mut self) -> Declaration {
        self.recomputed = true;
        self
    }

    /// The same under a name made at run time: declared providers have theirs from `host.toml`.
    pub fn named(mut self, name: String) -> Declaration {
        self.name = Cow::Owned(name);
        self
    }

    pub fn of(mut self, provider: impl Into<Cow<'static, str>>) -> Declaration {
        self.provider = Some(provider.into());
        self
    }

    pub fn publishing(mut self, publish: bool) -> Declaration {
        self.publish = publish;
        self
    }

    pub fn on_unknown(mut self, what: OnUnknown) -> Declaration {
        self.on_unknown = what;
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Declaration {
        self.timeout = timeout;
        self
    }

    pub fn attempts(mut self, most: u32) -> Declaration {
        self.attempts_max = most;
        self
    }

    pub fn settle(mut self, settle: Duration) -> Declaration {
        self.settle = settle;
        self
    }

    pub fn key_lifetime(mut self, lifetime: Option<Duration>) -> Declaration {
        self.key_lifetime = lifetime;
        self
    }
}
