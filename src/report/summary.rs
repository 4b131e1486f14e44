//! A whole run, a plan, a list of runs: the stable shapes of `--json`.

use serde_json::{Value as Json, json};

use super::entries::{entries, entry, timestamp};
use crate::journal::{Outcome, Recorded, RunError, RunRecord};
use crate::runs::plan::StoreChange;
use crate::runs::{Finished, Plan};
use crate::script::Script;

/// What `run --json` ends with.
pub fn run_json(finished: &Finished) -> Json {
    let record = &finished.record;
    let mut shown = record_json(record);
    shown["outcome"] = finished.outcome.value.to_json();
    shown
}

/// One run in a list.
pub fn record_json(record: &RunRecord) -> Json {
    json!({
        "run_id": record.run.to_string(),
        "playbook": record.playbook,
        "version": record.version.to_string(),
        "status": record.status.code(),
        "mode": if record.live { "live" } else { "dry" },
        "outcome": null,
        "error": record.error.as_ref().map(|error| error_json(error, &record.file)),
        "effects": record.effects,
        "simulated": record.simulated,
        "cost": record.cost_usd,
        "duration_ms": record.ended_ms.map(|ended| ended - record.begun_ms),
        "begun": timestamp(record.begun_ms, 0),
        "parent": record.parent.map(|parent| json!({ "run_id": parent.run.to_string(), "step": parent.step })),
        "waits": record.waits.as_ref().map(|waits| json!({
            "step": waits.step,
            "for": waits.what,
            "until": waits.until_ms.map(|until_ms| timestamp(until_ms, 0)),
        })),
    })
}

/// Where and why a run failed.
pub fn error_json(error: &RunError, file: &str) -> Json {
    let module = error
        .place
        .module
        .as_ref()
        .map(|module| format!("playbooks/{module}.rhai"));
    json!({
        "code": error.failure.code,
        "message": error.failure.message,
        "file": module.as_deref().unwrap_or(file),
        "line": Some(error.place.line).filter(|line| *line > 0),
        "column": Some(error.place.column).filter(|column| *column > 0),
        "step": error.step,
        "provider": error.failure.provider,
        "http_status": error.failure.status,
        "landed": error.failure.landed,
    })
}

/// What `show --json` gives.
pub fn show_json(record: &RunRecord, recorded: &Recorded) -> Json {
    let mut run = record_json(record);
    run["outcome"] = recorded.outcome().map_or(Json::Null, |outcome| outcome.value.to_json());
    run["input"] = recorded.begun.input.to_json();
    run["trigger"] = json!(recorded.begun.trigger);
    run["modules"] = recorded
        .begun
        .modules
        .iter()
        .map(|(name, hash)| (name.clone(), json!(hash.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({ "run": run, "entries": entries(recorded) })
}

/// What `plan --json` gives.
pub fn plan_json(script: &Script, plan: &Plan) -> Json {
    let gate: Vec<Json> = plan
        .effects
        .iter()
        .filter(|answer| answer.simulated.is_some() || answer.decision.is_some())
        .map(|answer| {
            json!({
                "step": answer.asked.step,
                "name": answer.asked.name,
                "simulated": answer.simulated,
                "publish": answer.decision.is_some(),
                "decision": answer.decision,
            })
        })
        .collect();
    let Outcome { status, value, error } = &plan.outcome;
    json!({
        "playbook": script.name,
        "version": script.source.hash.to_string(),
        "status": status.code(),
        "outcome": value.to_json(),
        "error": error.as_ref().map(|error| error_json(error, &script.source.file)),
        "effects": plan.effects.iter().map(|answer| entry(answer, None)).collect::<Vec<_>>(),
        "children": plan.children.iter().map(|child| json!({
            "playbook": child.playbook,
            "status": child.outcome.status.code(),
            "effects": child.effects.iter().map(|answer| entry(answer, None)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "waits": plan.waits.as_ref().map(|waits| json!({ "step": waits.step, "for": waits.what })),
        "gate": gate,
        "store_changes": plan.store_changes.iter().map(change_json).collect::<Vec<_>>(),
    })
}

fn change_json(change: &StoreChange) -> Json {
    json!({
        "change": change.word(),
        "kind": change.kind,
        "realm": change.realm.to_string(),
        "name": change.name,
        "before": change.before.as_ref().map(crate::value::Value::to_json),
        "after": change.after.as_ref().map(crate::value::Value::to_json),
    })
}
