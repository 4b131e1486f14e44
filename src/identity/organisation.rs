//! Organisations: what several users belong to, and share a quota in.

use serde::{Deserialize, Serialize};

use super::denied::IdentityError;
use super::rows::{self, Found};
use super::user::{self, User};
use crate::store::keys::Space;
use crate::store::{Batch, Store, StoreError};

/// How many there may be.
pub const ORGANISATIONS_MAX: usize = 1000;

const TITLE_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    pub name: String,
    #[serde(default)]
    pub title: String,
    pub created_ms: i64,
}

pub fn get(store: &dyn Store, name: &str) -> Result<Option<Organisation>, StoreError> {
    Ok(Found::read(store, Space::Organisation, name)?.value)
}

pub fn list(store: &dyn Store) -> Result<Vec<Organisation>, StoreError> {
    rows::all(store, Space::Organisation)
}

/// Adds an organisation. The store is one that signs.
pub fn add(store: &dyn Store, name: &str, title: &str, now_ms: i64) -> Result<Organisation, IdentityError> {
    user::check_name(name)?;
    rows::change(store, |batch| {
        let found: Found<Organisation> = Found::read(store, Space::Organisation, name)?;
        if found.value.is_some() {
            return Err(IdentityError::Exists {
                what: "the organisation",
                name: name.to_owned(),
            });
        }
        if list(store)?.len() >= ORGANISATIONS_MAX {
            return Err(IdentityError::Full {
                what: "organisations",
                max: ORGANISATIONS_MAX,
            });
        }
        let organisation = Organisation {
            name: name.to_owned(),
            title: title.chars().take(TITLE_CHARS_MAX).collect(),
            created_ms: now_ms,
        };
        found.put(batch, &organisation);
        Ok(organisation)
    })
}

/// Who belongs to it, revoked or not.
pub fn members(store: &dyn Store, name: &str) -> Result<Vec<User>, StoreError> {
    let mut users = user::list(store)?;
    users.retain(|user| user.org.as_deref() == Some(name));
    Ok(users)
}

/// Demands that there be such an organisation when `batch` is committed.
pub(super) fn require(store: &dyn Store, name: &str, batch: &mut Batch) -> Result<(), IdentityError> {
    let found: Found<Organisation> = Found::read(store, Space::Organisation, name)?;
    if found.value.is_none() {
        return Err(IdentityError::NotFound {
            what: "organisation",
            name: name.chars().take(80).collect(),
        });
    }
    found.unchanged(batch);
    Ok(())
}
