//! `[check]` in `host.toml`: how much each lint weighs in this project.
//!
//! ```toml
//! [check]
//! deny_warnings = true
//! unused = "off"                 # all lints of what nobody uses
//! SHADOWED_VARIABLE = "error"
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lints::{self, LINTS};
use super::{Finding, Level};
use crate::script::error::nearest;

/// The levels of lints, as a project wants them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct Settings {
    /// Whether a warning makes `host check` fail.
    pub deny_warnings: bool,
    /// By code or by group.
    levels: BTreeMap<String, Level>,
}

const DENY_WARNINGS: &str = "deny_warnings";

impl Settings {
    /// The level of `finding` in this project.
    pub fn level(&self, finding: &Finding) -> Level {
        let by_code = self.levels.get(&finding.code).copied();
        let group = lints::find(&finding.code).and_then(|lint| lint.group);
        let by_group = group.and_then(|group| self.levels.get(group)).copied();
        by_code.or(by_group).unwrap_or(finding.level)
    }

    /// With another level for a code or a group.
    pub fn with(mut self, name: &str, level: Level) -> Result<Settings, String> {
        let groups = LINTS.iter().filter_map(|lint| lint.group);
        let names = || LINTS.iter().map(|lint| lint.code).chain(groups.clone());
        if !names().any(|known| known == name) {
            let near = nearest(&name.to_ascii_uppercase(), names()).or_else(|| nearest(name, names()));
            let hint = match near {
                Some(near) => format!("; did you mean `{near}`?"),
                None => ": what keeps a playbook from running is always an error".to_owned(),
            };
            return Err(format!("`{name}` is no lint whose level can be set{hint}"));
        }
        self.levels.insert(name.to_owned(), level);
        Ok(self)
    }
}

impl TryFrom<toml::Table> for Settings {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Settings, String> {
        let mut settings = Settings::default();
        for (name, value) in table {
            if name == DENY_WARNINGS {
                settings.deny_warnings = value
                    .as_bool()
                    .ok_or_else(|| format!("`{DENY_WARNINGS}` must be true or false"))?;
                continue;
            }
            let level = value
                .clone()
                .try_into::<Level>()
                .map_err(|_| format!("`{name}` is {value}; a level is \"error\", \"warning\", \"hint\" or \"off\""))?;
            settings = settings.with(&name, level)?;
        }
        Ok(settings)
    }
}

impl From<Settings> for toml::Table {
    fn from(settings: Settings) -> toml::Table {
        let levels = settings.levels.into_iter();
        let mut table: toml::Table = levels.map(|(name, level)| (name, level.as_str().into())).collect();
        table.insert(DENY_WARNINGS.to_owned(), settings.deny_warnings.into());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_code_weighs_what_its_own_line_says_then_its_group_then_its_lint() {
        let settings = read("deny_warnings = true\nunused = \"off\"\nUNUSED_INPUT = \"error\"").unwrap();
        let level = |code: &str| settings.level(&Finding::new(code, "a.rhai", ""));
        assert!(settings.deny_warnings);
        assert_eq!(level("UNUSED_VARIABLE"), Level::Off);
        assert_eq!(level("UNUSED_INPUT"), Level::Error);
        assert_eq!(level("SHADOWED_VARIABLE"), Level::Warning);
        assert_eq!(level("SYNTAX"), Level::Error);
    }

    #[test]
    fn what_is_no_lint_or_no_level_is_refused_with_the_nearest() {
        let said = |text: &str| read(text).unwrap_err();
        assert_eq!(
            said("unsed = \"off\""),
            "`unsed` is no lint whose level can be set; did you mean `unused`?"
        );
        assert!(said("unused_variabel = \"off\"").contains("did you mean `UNUSED_VARIABLE`?"));
        assert!(said("SYNTAX = \"off\"").contains("always an error"));
        assert_eq!(
            said("unused = \"no\""),
            "`unused` is \"no\"; a level is \"error\", \"warning\", \"hint\" or \"off\""
        );
        assert!(said("deny_warnings = 1").contains("must be true or false"));
    }

    #[test]
    fn settings_survive_being_written() {
        let settings = read("unused = \"hint\"").unwrap();
        let table = toml::Table::from(settings.clone());
        assert_eq!(Settings::try_from(table), Ok(settings));
    }
}
