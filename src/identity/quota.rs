//! So many calls within a minute: for a user, and for all users of an organisation together.
//!
//! Each row holds the moments of the calls that still count, so the answer is exact, and so is the wait that it names.
//! A call that either refuses counts for neither.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::denied::Denied;
use super::rows::Found;
use crate::store::keys::Space;
use crate::store::{Batch, Durability, Store, StoreError};

const CONFLICTS_MAX: u32 = 10_000;

/// The most that one limit allows: each call that counts is a number in the row.
pub const CALLS_MAX: u32 = 1000;

/// So many calls within so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub per_user: u32,
    pub per_org: u32,
    pub window_ms: i64,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota {
            per_user: 10,
            per_org: 50,
            window_ms: 60_000,
        }
    }
}

/// When the calls were, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Calls(Vec<i64>);

impl Calls {
    /// Takes one call, or says how long until there is room for it.
    fn take(&mut self, max: u32, window_ms: i64, now_ms: i64) -> Result<(), u64> {
        // What lies in the future was written before a clock was set back.
        self.0.retain(|at_ms| (0..window_ms).contains(&(now_ms - at_ms)));
        let max = max.clamp(1, CALLS_MAX) as usize;
        if let Some(over) = (self.0.len() + 1).checked_sub(max).filter(|over| *over > 0) {
            let room_at_ms = self.0[over - 1] + window_ms;
            return Err((room_at_ms - now_ms).max(1) as u64);
        }
        self.0.push(now_ms);
        Ok(())
    }
}

/// Takes a call of `caller` to the routes called `name`, or refuses it.
pub fn take(store: &dyn Store, caller: &Caller, name: &str, quota: &Quota, now_ms: i64) -> Result<(), Denied> {
    let user = format!("http {name} user {}", caller.user);
    let org = caller.org.as_ref().map(|org| format!("http {name} org {org}"));
    let mut limits = vec![(user, quota.per_user, "per_user")];
    limits.extend(org.map(|org| (org, quota.per_org, "per_org")));
    let mut conflicts = 0;
    loop {
        let mut batch = Batch::new();
        for (row, max, limit_type) in &limits {
            let found: Found<Calls> = Found::read(store, Space::Limiter, row)?;
            let mut calls = found.value.clone().unwrap_or_default();
            if let Err(retry_after_ms) = calls.take(*max, quota.window_ms, now_ms) {
                return Err(Denied::RateLimited {
                    limit_type,
                    retry_after_ms,
                });
            }
            found.put(&mut batch, &calls);
        }
        match store.commit(batch, Durability::Soon) {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
