//! What people may do: three roles, each with all that the one before may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but secrets, changes nothing.
    #[default]
    Viewer,
    /// Starts, answers, pauses, decides.
    Operator,
    /// Says who may do what.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    pub fn code(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.code() == text);
        found.ok_or_else(|| format!("{text:?} is no role; there are viewer, operator and admin"))
    }
}

/// One of the words that a token's scope is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    Read,
    Run,
    Admin,
}

impl Grant {
    pub const ALL: [Grant; 3] = [Grant::Read, Grant::Run, Grant::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Grant::Read => "read",
            Grant::Run => "run",
            Grant::Admin => "admin",
        }
    }

    fn role(self) -> Role {
        match self {
            Grant::Read => Role::Viewer,
            Grant::Run => Role::Operator,
            Grant::Admin => Role::Admin,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Grant, String> {
        let found = Grant::ALL.into_iter().find(|grant| grant.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no scope; there are read, run and admin"))
    }
}

/// How far a token reaches. It never gives more than its user may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub grant: Grant,
    /// Only these playbooks and their runs; all when none is named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub playbooks: BTreeSet<String>,
}

impl Scope {
    /// No narrowing at all: what a session has.
    pub fn whole() -> Scope {
        Scope {
            grant: Grant::Admin,
            playbooks: BTreeSet::new(),
        }
    }

    pub fn role(&self) -> Role {
        self.grant.role()
    }

    pub fn is_of_playbook(&self, playbook: &str) -> bool {
        self.playbooks.is_empty() || self.playbooks.contains(playbook)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.grant.as_str())?;
        if !self.playbooks.is_empty() {
            let names: Vec<&str> = self.playbooks.iter().map(String::as_str).collect();
            write!(f, " of {}", names.join(", "))?;
        }
        Ok(())
    }
}
