//! What the project's store is kept with: backups, checks, retention.

use std::path::{Path, PathBuf};

use super::App;
use crate::config::ConfigError;
use crate::journal::audit::Actor;
use crate::store::backup::{BackupError, Key};
use crate::store::engine::EngineOptions;
use crate::store::tx::Ground;
use crate::upkeep::record::Rules;
use crate::upkeep::restore::{Restore, RestoreError, Restored};
use crate::upkeep::settings::When;
use crate::upkeep::{Place, Tell};

impl App {
    /// What chores on `ground` need to know of the project.
    pub fn place(&self, ground: Ground) -> Result<Place, ConfigError> {
        let value = |(key, reason)| ConfigError::Value { key, reason };
        let env = self.config.env.clone();
        Ok(Place {
            ground,
            data: self.config.data(),
            node: "local".to_owned(),
            needs: self.secrets.iter().map(|(name, _)| name.to_owned()).collect(),
            variable: Box::new(move |name| env.get(name).map(str::to_owned)),
            limits: self.config.file.retention.limits().map_err(value)?,
            clock: self.clock.clone(),
            chance: self.chance.clone(),
        })
    }

    /// The folder of backups that are made by themselves, and when they are; `None`: none are.
    pub fn rota(&self) -> Result<Option<(PathBuf, When)>, ConfigError> {
        let settings = &self.config.file.backup;
        let value = |(key, reason)| ConfigError::Value { key, reason };
        let when = settings.when().map_err(value)?;
        Ok(when.map(|when| (self.config.root.join(&settings.folder), when)))
    }

    /// How the audit log is kept.
    pub fn audit_rules(&self) -> Result<Rules, ConfigError> {
        let value = |(key, reason)| ConfigError::Value { key, reason };
        self.config.file.audit.rules(&self.config.root).map_err(value)
    }

    /// The key in the variable `name`.
    pub fn backup_key(&self, name: Option<&str>) -> Result<Option<Key>, BackupError> {
        let Some(name) = name else { return Ok(None) };
        let secret = self.config.env.get(name);
        let secret = secret.ok_or_else(|| BackupError::NoKey(name.chars().take(100).collect()))?;
        Key::parse(secret).map(Some)
    }

    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            cache_bytes: self.config.file.store.cache_mib as usize * (1 << 20),
        }
    }

    /// Makes the backup `file` the project's store.
    pub fn restore(
        &self,
        file: &Path,
        key: Option<&Key>,
        replace: bool,
        as_it_is: bool,
        by: Actor,
        tell: &mut Tell<'_>,
    ) -> Result<Restored, RestoreError> {
        self.alone("host restore")?;
        let data = self.config.data();
        let restore = Restore {
            file,
            key,
            data: &data,
            options: self.engine_options(),
            replace,
            as_it_is,
            now_ms: self.clock.unix_ms(),
            by,
        };
        restore.perform(tell)
    }

    /// The secrets that a backup was made with and that are not set here.
    pub fn lacks(&self, needs: &[String]) -> Vec<String> {
        let is_missing = |name: &&String| self.config.env.get(name).is_none();
        needs.iter().filter(is_missing).cloned().collect()
    }
}
