//! What was planned by schedules, and what became of it.

use serde_json::{Value as Json, json};

use super::{map, map_or_null, moment, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, Kind, LIMIT, Param, Route};
use crate::http::server::Server;
use crate::report::ticks::{Wanted, matching, next_json, tick_json};
use crate::store::ticks::{self, Fate, Ledger, Pauses, ScheduleId};

pub const GROUP: Group = Group {
    name: "ticks",
    says: "Ticks of schedules: what is planned, and what became of it.",
    routes: ROUTES,
    schemas,
};

const PLAYBOOK: Param = Param {
    name: "playbook",
    says: "only those of this playbook",
    kind: Kind::Text { chars_max: 500 },
};

const FATE: Param = Param {
    name: "fate",
    says: "only ticks with this fate",
    kind: Kind::OneOf(&[
        "ran",
        "late",
        "caught_up",
        "skipped",
        "failed_to_start",
        "superseded",
        "waiting",
    ]),
};

const SINCE: Param = Param {
    name: "since_ms",
    says: "only ticks planned since then, in Unix milliseconds",
    kind: Kind::Whole {
        least: 0,
        most: 1 << 53,
    },
};

const ROUTES: &[Route] = &[
    Route {
        says: "Ticks that are past, the latest first.",
        query: &[PLAYBOOK, FATE, SINCE, CURSOR, LIMIT],
        gives: Gives::Page("Tick"),
        ..Route::get("/api/v1/ticks", "ticks.list", list)
    },
    Route {
        says: "The next tick of each schedule, by playbook.",
        query: &[PLAYBOOK, CURSOR, LIMIT],
        gives: Gives::Page("PlannedTick"),
        ..Route::get("/api/v1/ticks/planned", "ticks.planned", planned)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    vec![
        (
            "Tick",
            map(json!({
                "playbook": text(), "schedule": text(), "planned": moment(), "due": moment(), "decided": moment(),
                "fate": {"type": "string", "enum": Fate::ALL.map(Fate::code)},
                "late_ms": {"type": ["integer", "null"]}, "run_id": text_or_null(),
                "why": map_or_null(), "many": map_or_null(),
            })),
        ),
        (
            "PlannedTick",
            map(json!({
                "playbook": text(), "schedule": text(), "written": text(), "planned": moment(), "due": moment(),
                "paused": {"type": "boolean"}, "waits_for": text_or_null(),
            })),
        ),
    ]
}

/// Every schedule, with what is planned of it.
fn ledgers(server: &Server, playbook: Option<&str>) -> Result<Vec<(ScheduleId, Ledger)>, Refusal> {
    let planned = ticks::schedules(&*server.store, playbook)?;
    Ok(planned.into_iter().map(|(id, ledger, _)| (id, ledger)).collect())
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?.and_then(|place| {
        let mut parts = place.split('\n');
        let planned_ms = parts.next()?.parse().ok()?;
        let (playbook, schedule) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some((planned_ms, ScheduleId { playbook, schedule }))
    });
    let fate = request.query("fate");
    let limit = page::limit(request);
    let wanted = Wanted {
        playbook: request.query("playbook"),
        since_ms: request.number("since_ms"),
        fate: Fate::ALL.into_iter().find(|known| Some(known.code()) == fate),
        after,
        limit: limit + 1,
    };
    let mut found = matching(&*server.store, &wanted, &ledgers(server, wanted.playbook)?)?;
    let next = page::cut(&mut found, limit, |tick| {
        format!("{}\n{}\n{}", tick.planned_ms, tick.id.playbook, tick.id.schedule)
    });
    Ok(page::answer(request, found.iter().map(tick_json).collect(), next))
}

fn planned(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let place = |id: &ScheduleId| format!("{}\n{}", id.playbook, id.schedule);
    let pauses = Pauses::load(&*server.store)?;
    let mut ledgers = ledgers(server, request.query("playbook"))?;
    ledgers.sort_by_key(|(id, _)| place(id));
    ledgers.retain(|(id, ledger)| ledger.next.is_some() && after.as_ref().is_none_or(|after| place(id) > *after));
    let next = page::cut(&mut ledgers, page::limit(request), |(id, _)| place(id));
    let items = ledgers.iter().filter_map(|(id, ledger)| next_json(id, ledger, &pauses));
    Ok(page::answer(request, items.collect(), next))
}
