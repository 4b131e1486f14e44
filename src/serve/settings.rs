//! `[serve]` in host.toml.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Runs that have a thread at the same time.
    pub threads: u32,
    /// How long runs at work may go on after the host was told to stop.
    pub grace: String,
    /// `at_once`, or `guarded`: a save is held when it changes what recent runs would have come to.
    pub reload: Reload,
    /// How many of a playbook's last runs a guarded reload looks at.
    pub guarded_runs: u32,
    /// Asked for regularly as long as all is well; empty: nothing.
    pub heartbeat_url: String,
    pub heartbeat_every: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    #[default]
    AtOnce,
    Guarded,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            // Runs that end together share a sync of the disk: with half as many, two thirds as many end in a second.
            threads: 64,
            grace: "30s".to_owned(),
            reload: Reload::AtOnce,
            guarded_runs: 20,
            heartbeat_url: String::new(),
            heartbeat_every: "1m".to_owned(),
        }
    }
}
