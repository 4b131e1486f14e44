//! Whether whoever asks may, and the record of what they change.

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::caller::{self, Caller};
use super::request::Request;
use super::routes::{Found, Handler, Needs};
use super::server::Server;
use crate::identity::{self, quota};
use crate::journal::RunRecord;
use crate::journal::audit::{self, Act};
use crate::store::Durability;

/// Lets the one who asks in, if they may.
pub(super) fn admit(server: &Server, mut request: Request, found: &Found) -> Result<Request, Refusal> {
    // What a service sends shows by its signature alone who has sent it: before that the store is asked for nothing.
    if found.needs == Needs::Nobody && matches!(found.handle, Handler::Made(_)) {
        caller::refuse_in_address(&request)?;
        return Ok(request);
    }
    request.caller = match (server.doorkeeper)(server, &request) {
        // An old cookie keeps nobody from logging in, or from what anybody may ask.
        Err(refusal) if refusal.status == 401 && found.needs == Needs::Nobody => Caller::nobody(&request.corr),
        caller => caller?,
    };
    let Needs::Role(needed) = found.needs else {
        let is_forged = |known: &identity::Caller| known.check_csrf(&request.page()).is_err();
        if request.is_change() && request.caller.known.as_ref().is_some_and(is_forged) {
            // Anybody may ask, but not in the name of somebody whose browser was made to send its cookie along.
            request.caller = Caller::nobody(&request.corr);
        }
        return Ok(request);
    };
    match (&request.caller.known, request.caller.role) {
        (Some(known), _) => {
            known.needs(needed)?;
            if request.is_change() {
                known.check_csrf(&request.page())?;
            }
            if let Some(quota) = &found.quota {
                quota::take(&*server.store, known, &found.name, quota, server.now_ms())?;
            }
        }
        (None, Some(role)) if role >= needed => {}
        (None, Some(role)) => {
            return Err(identity::Denied::Role {
                has: role,
                needs: needed,
            }
            .into());
        }
        (None, None) => return Err(Refusal::unauthenticated()),
    }
    Ok(request)
}

/// Answers, with the record of a change: durable before it is answered, and followed by another when nothing came of it.
/// Calls of playbooks are runs, whose journals say who started them; users, tokens and runs that are started sign in their
/// own batch.
pub(super) fn carry_out(server: &Server, found: &Found, request: &Request) -> Result<Answer, Refusal> {
    check_playbook(server, found, request)?;
    let is_fixed = matches!(found.handle, Handler::Fixed(_));
    let signs_itself = ["users.", "tokens.", "session.", "runs.start", "runs.retry"]
        .iter()
        .any(|group| found.name.starts_with(group));
    if !request.is_change() || !is_fixed || signs_itself {
        return found.handle.answer(server, request);
    }
    let (actor, act) = (request.caller.actor(), act(server, found, request));
    let record = |act: &Act| audit::record(&*server.store, Durability::Soon, &actor, act, server.now_ms());
    let mut recorded = record(&act)?;
    let answered = found.handle.answer(server, request);
    if let Err(refusal) = &answered {
        let failed = Act::new(format!("{}.failed", act.what), act.target).with("code", refusal.code.clone());
        recorded = record(&failed)?;
    }
    server.store.wait_durable(recorded)?;
    answered
}

/// Holds a token that names playbooks to those. What belongs to no playbook is not for it.
fn check_playbook(server: &Server, found: &Found, request: &Request) -> Result<(), Refusal> {
    let Some(known) = &request.caller.known else {
        return Ok(());
    };
    let is_about_oneself = found.name.starts_with("session.");
    if known.scope.playbooks.is_empty() || is_about_oneself || !matches!(found.needs, Needs::Role(_)) {
        return Ok(());
    }
    let playbook = match (&found.playbook, request.params.get("run")) {
        (Some(playbook), _) => Some(playbook.to_string()),
        (None, Some(run)) => Some(RunRecord::find(&*server.store, run)?.playbook),
        (None, None) if &*found.name == "runs.start" => text(&request.json()?, "playbook"),
        (None, None) => None,
    };
    match playbook {
        Some(playbook) => Ok(known.needs_playbook(&playbook)?),
        None => Ok(known.needs_no_playbook()?),
    }
}

fn text(body: &Value, name: &str) -> Option<String> {
    body.get(name)?.as_str().map(str::to_owned)
}

/// Values of a body that go into the record. Everything else may be a secret, or large.
const TOLD: &[&str] = &[
    "playbook", "name", "owner", "level", "to", "why", "reason", "missed", "step", "landed", "job", "dead", "all_dead",
    "runs", "realm", "eta_ms",
];

/// `runs.cancel` of the table is the act `run.cancel`, as commands leave it.
fn act(server: &Server, found: &Found, request: &Request) -> Act {
    let what = match found.name.split_once('.') {
        Some(("pauses", verb)) => format!("playbook.{verb}"),
        Some((group, verb)) => format!("{}.{verb}", group.trim_end_matches('s')),
        None => found.name.to_string(),
    };
    let body = request.json().unwrap_or_default();
    // Whatever beginning of a run's id was asked for, the record has the whole.
    let whole = |(name, value): (&String, &String)| match name.as_str() {
        "run" => RunRecord::find(&*server.store, value).map_or_else(|_| value.clone(), |record| record.run.to_string()),
        _ => value.clone(),
    };
    let named = request.params.iter().map(whole).collect::<Vec<_>>().join("/");
    let target = match named.is_empty() {
        false => named,
        true => text(&body, "playbook")
            .or_else(|| text(&body, "name"))
            .unwrap_or_else(|| "*".to_owned()),
    };
    let told = TOLD.iter().filter_map(|name| Some((*name, body.get(*name)?.clone())));
    let act = told.fold(Act::new(what, target), |act, (name, value)| act.with(name, value));
    let masks = server.masks();
    act.masked(&|text| masks.mask_text(text))
}
