//! `[monitors.NAME]` and `[notify.NAME]` in host.toml: rules, and the ways on which people are told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// Rules, and channels.
pub const MONITORS_MAX: usize = 200;
const CHANNELS_MAX: usize = 50;

const ARGUMENTS_MAX: usize = 64;

/// Channels that one rule tells.
pub const TOLD_MAX: usize = 20;

/// The longest time a rule must hold, and the longest a command may take.
const FOR_MAX: Duration = Duration::from_secs(24 * 3600);
const COMMAND_MAX: Duration = Duration::from_secs(300);

/// A rule, and who is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitor {
    /// What must hold: `host_queue_dead_jobs{queue="work"} > 0`.
    pub when: String,
    /// For how long, before anybody is told.
    #[serde(rename = "for")]
    pub lasts: String,
    pub severity: Severity,
    /// What to do, for whoever is told.
    pub help: String,
    /// Channels by name, such as `ops` or `slack:ops`.
    pub notify: Vec<String>,
    /// Told again as long as it holds; empty: once.
    pub repeat: String,
    /// For how long it must not hold any more, before it is over; empty: at once.
    pub recover: String,
    /// Whether it opens an incident.
    pub incident: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// A way on which people are told: exactly one of `slack`, `webhook` and `command`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    /// The variable of the environment that holds the address of an incoming web hook of Slack.
    pub slack: String,
    /// An address that is sent JSON.
    pub webhook: String,
    /// The variable of the environment with whose value a web hook is signed.
    pub secret: String,
    /// A program and its arguments, which is given JSON.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: String,
}

/// What a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'c> {
    Slack(&'c str),
    Webhook(&'c str),
    Command(&'c [String]),
}

impl Channel {
    /// What it is; `None` when it says nothing, or several things.
    pub fn kind(&self) -> Option<Kind<'_>> {
        match (self.slack.as_str(), self.webhook.as_str(), self.command.as_slice()) {
            (slack, "", []) if !slack.is_empty() => Some(Kind::Slack(slack)),
            ("", webhook, []) if !webhook.is_empty() => Some(Kind::Webhook(webhook)),
            ("", "", command @ [_, ..]) => Some(Kind::Command(command)),
            _ => None,
        }
    }

    pub fn timeout(&self) -> Duration {
        let said = crate::duration::parse(&self.timeout).ok();
        said.unwrap_or(Duration::from_secs(10)).min(COMMAND_MAX)
    }
}

impl Kind<'_> {
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Slack(_) => "slack",
            Kind::Webhook(_) => "webhook",
            Kind::Command(_) => "command",
        }
    }
}

impl Monitor {
    pub fn rule(&self) -> Result<Rule, super::rule::BadRule> {
        Rule::parse(&self.when)
    }

    /// For how long it must hold.
    pub fn lasts_ms(&self) -> i64 {
        length_ms(&self.lasts).unwrap_or(0)
    }

    pub fn repeat_ms(&self) -> Option<i64> {
        length_ms(&self.repeat)
    }

    /// For how long it must not hold, before it is over.
    pub fn recovers_ms(&self) -> i64 {
        length_ms(&self.recover).unwrap_or(0)
    }

    /// The names of its channels, without what kind they are, each once.
    pub fn channels(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.notify {
            let name = name.rsplit(':').next().unwrap_or(name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    pub fn opens_incident(&self) -> bool {
        self.incident.unwrap_or(self.severity != Severity::Info)
    }

    /// What makes it another rule when it is edited: how far it had come says nothing any more.
    pub fn fingerprint(&self) -> String {
        format!("{} for {}", self.when, self.lasts)
    }
}

fn length_ms(text: &str) -> Option<i64> {
    let length = crate::duration::parse(text).ok()?;
    i64::try_from(length.as_millis()).ok()
}

/// What is wrong with rules and channels: the key, and why.
pub fn check(
    monitors: &BTreeMap<String, Monitor>,
    channels: &BTreeMap<String, Channel>,
) -> Result<(), (String, String)> {
    let wrong = |key: String, reason: String| Err((key, reason));
    if monitors.len() > MONITORS_MAX || channels.len() > CHANNELS_MAX {
        let reason = format!("there are {} rules and {} channels", monitors.len(), channels.len());
        return wrong(
            "[monitors]".to_owned(),
            format!("{reason}; at most {MONITORS_MAX} and {CHANNELS_MAX} are allowed"),
        );
    }
    for (name, channel) in channels {
        let key = format!("[notify.{name}]");
        check_name(name).map_err(|reason| (key.clone(), reason))?;
        let Some(kind) = channel.kind() else {
            return wrong(key, "it must say one of `slack`, `webhook` and `command`".to_owned());
        };
        match kind {
            Kind::Webhook(address) => match address.parse::<url::Url>() {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
                _ => {
                    return wrong(
                        key,
                        "`webhook` is no address that begins with http:// or https://".to_owned(),
                    );
                }
            },
            Kind::Slack(variable) if !is_variable(variable) => {
                let reason = "`slack` names a variable of the environment, such as \"SLACK_WEBHOOK_URL\"; the address itself is a secret";
                return wrong(key, reason.to_owned());
            }
            Kind::Command(words) if words.len() > ARGUMENTS_MAX || words[0].is_empty() => {
                return wrong(key, format!("`command` is a program and up to {ARGUMENTS_MAX} words"));
            }
            Kind::Slack(_) | Kind::Command(_) => {}
        }
        if !channel.secret.is_empty() && (!is_variable(&channel.secret) || !matches!(kind, Kind::Webhook(_))) {
            let reason = "`secret` names the variable of the environment with which a web hook is signed";
            return wrong(key, reason.to_owned());
        }
        if !channel.timeout.is_empty() {
            crate::duration::parse(&channel.timeout).map_err(|error| (format!("{key} timeout"), error.to_string()))?;
        }
    }
    for (name, monitor) in monitors {
        let key = format!("[monitors.{name}]");
        check_name(name).map_err(|reason| (key.clone(), reason))?;
        monitor
            .rule()
            .map_err(|error| (format!("{key} when"), error.to_string()))?;
        let lengths = [
            ("for", &monitor.lasts),
            ("repeat", &monitor.repeat),
            ("recover", &monitor.recover),
        ];
        for (part, text) in lengths {
            if text.is_empty() {
                continue;
            }
            let length = crate::duration::parse(text).map_err(|error| (format!("{key} {part}"), error.to_string()))?;
            if length > FOR_MAX {
                return wrong(format!("{key} {part}"), format!("{text:?} is more than 24 hours"));
            }
        }
        if monitor.notify.len() > TOLD_MAX {
            let found = monitor.notify.len();
            let reason = format!("{found} channels are named; at most {TOLD_MAX} are allowed");
            return wrong(format!("{key} notify"), reason);
        }
        for said in &monitor.notify {
            let (kind, channel) = said
                .split_once(':')
                .map_or((None, said.as_str()), |(kind, name)| (Some(kind), name));
            let found = channels.get(channel).and_then(Channel::kind);
            match (found, kind) {
                (None, _) => {
                    let reason = format!("there is no channel {channel:?}; declare it as [notify.{channel}]");
                    return wrong(format!("{key} notify"), reason);
                }
                (Some(found), Some(kind)) if found.as_str() != kind => {
                    let reason = format!("{channel:?} is a {}, not a {kind}", found.as_str());
                    return wrong(format!("{key} notify"), reason);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=60).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err("its name needs 1 to 60 letters, digits, \"_\", \"-\" or \".\"".to_owned())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
