//! What runs look like, and what is sent about them.

use serde_json::{Value as Json, json};

use crate::http::api::{any, body, count, list_of, map, map_or_null, moment, text, text_or_null};
use crate::journal::Status;
use crate::report::runs::STATUSES;
use crate::runs::resolve::REASON_BYTES_MAX;

/// Each with its name.
pub(super) fn all() -> Vec<(&'static str, Json)> {
    let run = json!({
        "run_id": text(),
        "playbook": text(),
        "version": text(),
        "status": {"type": "string", "enum": STATUSES.map(Status::code)},
        "mode": {"type": "string", "enum": ["live", "dry"]},
        "outcome": any(),
        "error": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/RunError"}]},
        "effects": count(),
        "simulated": count(),
        "cost": {"type": "number"},
        "duration_ms": {"type": ["integer", "null"]},
        "begun": moment(),
        "parent": map_or_null(),
        "waits": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Waits"}]},
    });
    let mut detail = run.clone();
    detail["input"] = any();
    detail["trigger"] = text();
    detail["modules"] = json!({"type": "object", "additionalProperties": text()});
    vec![
        ("Run", map(run)),
        ("RunDetail", map(detail)),
        (
            "RunError",
            map(json!({
                "code": text(), "message": text(), "file": text_or_null(),
                "line": {"type": ["integer", "null"]}, "column": {"type": ["integer", "null"]},
                "step": {"type": ["integer", "null"]}, "provider": text_or_null(),
                "http_status": {"type": ["integer", "null"]}, "landed": any(),
            })),
        ),
        (
            "Waits",
            map(json!({"step": count(), "for": text(), "until": text_or_null()})),
        ),
        (
            "Entry",
            json!({
                "type": "object",
                "properties": {
                    "step": count(), "name": text(), "class": text(), "mode": text(), "args": any(), "outcome": any(),
                    "error": map_or_null(), "in_doubt": {"type": "boolean"}, "at": moment(), "took_ms": count(),
                    "attempts": count(), "failed_attempts": list_of(json!({"type": "object"})),
                },
                "required": ["step", "name", "class", "mode", "in_doubt"],
            }),
        ),
        (
            "RunStart",
            body(
                json!({
                    "playbook": {"type": "string", "minLength": 1, "maxLength": 500},
                    "input": {"type": "object", "description": "as the playbook's inputs declare it"},
                }),
                &["playbook"],
            ),
        ),
        (
            "RunRetry",
            body(
                json!({"again": {
                    "type": "array", "maxItems": 1000, "items": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
                    "description": "steps whose writes landed, or may have, and may be done a second time",
                }}),
                &[],
            ),
        ),
        (
            "RunWhy",
            map(json!({
                "run": {"$ref": "#/components/schemas/Run"}, "headline": text(), "story": text(),
                "error": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/RunError"}]},
                "provider_words": list_of(text()), "landed": deeds(), "in_doubt": deeds(), "not_landed": deeds(),
                "kept": deeds(), "simulated": deeds(), "not_begun": deeds(),
                "next": list_of(map(json!({"what": text(), "command": text(), "when": text()}))),
                "incident_ids": list_of(text()),
            })),
        ),
        (
            "Deed",
            map(json!({"step": {"type": ["integer", "null"]}, "name": text(), "about": text(), "what": text()})),
        ),
        ("Decision", decision()),
        (
            "Decided",
            map(json!({"run_id": text(), "step": count(), "landed": {"type": "boolean"}})),
        ),
    ]
}

fn deeds() -> Json {
    list_of(json!({"$ref": "#/components/schemas/Deed"}))
}

fn decision() -> Json {
    let mut decision = body(
        json!({
            "step": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
            "landed": {"type": "boolean", "description": "false: it did nothing, and may be sent again"},
            "value": {"description": "what the provider would have answered, for the script to go on with, where it landed"},
            "reason": {"type": "string", "minLength": 1, "maxLength": REASON_BYTES_MAX,
                "description": "how one knows; the journal keeps it"},
        }),
        &["step", "landed", "reason"],
    );
    decision["if"] = json!({"properties": {"landed": {"const": false}}});
    decision["then"] = json!({"properties": {"value": {"type": "null"}}});
    decision
}
