//! Versions as JSON: what `host versions --json` and the API give.

use serde_json::{Value as Json, json};

use super::entries::timestamp;
use crate::journal::edition::{Change, Version};

/// A version in JSON.
pub fn version_json(version: &Version) -> Json {
    json!({
        "version": version.number,
        "at": timestamp(version.at_ms, 0),
        "state": version.state.code(),
        "by": version.by,
        "base": version.base,
        "changes": version.changes.iter().map(change_json).collect::<Vec<_>>(),
        "faults": version.faults,
        "more_faults": version.more_faults,
        "why": version.why,
        "effects": version.effects,
        "decided_by": version.decided_by,
    })
}

/// One file of it.
pub fn change_json(change: &Change) -> Json {
    json!({ "path": change.path, "before": change.before, "after": change.after })
}
