//! The thread that tells people what monitors have found. A message that is not taken is sent again, less and less often; in
//! the end it is given up, and `host monitors list` says so. It also looks whether the server is ready, for those who ask.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::channel::{self, Message};
use super::state::{Notice, State};
use crate::app::App;
use crate::store::{Batch, Durability, Store, StoreError};
use crate::telemetry::Telemetry;

/// How often it is looked whether somebody is to be told.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// How often one message is sent, and how long it is until the next time.
pub const TRIES_MAX: u32 = 10;
const FIRST_PAUSE_MS: i64 = 5_000;
const PAUSE_MS_MAX: i64 = 600_000;

/// Tells people until the host ends.
pub fn run(telemetry: &Telemetry) {
    while telemetry.over.pause(LOOKS_EVERY) {
        telemetry.look();
        let now_ms = telemetry.clock.unix_ms();
        if telemetry.notice_ms.load(Ordering::Relaxed) > now_ms {
            continue;
        }
        telemetry.notice_ms.store(i64::MAX, Ordering::Relaxed);
        let edition = telemetry.live.current();
        let store = &*edition.runner.gate.ground.store;
        let next_ms = match tell_all(&edition.app, store, now_ms) {
            Ok(next_ms) => next_ms,
            Err(error) => {
                tracing::error!(%error, code = error.code(), "what monitors have found cannot be told now");
                Some(now_ms + FIRST_PAUSE_MS)
            }
        };
        if let Some(next_ms) = next_ms {
            telemetry.notice_ms.fetch_min(next_ms, Ordering::Relaxed);
        }
    }
}

/// Sends what is due at `now_ms`; gives when the next is.
pub(super) fn tell_all(app: &App, store: &dyn Store, now_ms: i64) -> Result<Option<i64>, StoreError> {
    let mut next_ms = None;
    for name in app.config.file.monitors.keys() {
        let (state, _) = State::read(store, name)?;
        for notice in state
            .notices
            .iter()
            .filter(|notice| notice.next_ms.is_some_and(|at_ms| at_ms <= now_ms))
        {
            tell(app, store, name, &notice.id, now_ms)?;
        }
        let (state, _) = State::read(store, name)?;
        next_ms = state
            .notices
            .iter()
            .filter_map(|notice| notice.next_ms)
            .chain(next_ms)
            .min();
    }
    Ok(next_ms)
}

fn tell(app: &App, store: &dyn Store, name: &str, id: &str, now_ms: i64) -> Result<(), StoreError> {
    let is_dry = app.config.dry_run().unwrap_or(true);
    // On disk before it leaves: when the host ends meanwhile, it is sent once more after the pause, and not at once.
    let Some(notice) = change(store, name, id, |notice| {
        notice.tries += 1;
        notice.next_ms = Some(now_ms + pause_ms(notice.tries));
        if is_dry {
            notice.next_ms = None;
            notice.why = Some("DRY_RUN is on: nobody was told".to_owned());
        }
    })?
    else {
        return Ok(());
    };
    if is_dry {
        tracing::info!(
            monitor = name,
            channel = notice.channel,
            what = notice.what.as_str(),
            "nobody is told: DRY_RUN is on"
        );
        return Ok(());
    }
    let message = message(app, name, &notice);
    let sent = match app.config.file.notify.get(&notice.channel) {
        Some(channel) => channel::send(app, channel, &message),
        None => Err("there is no such channel any more".to_owned()),
    };
    let at_ms = app.clock.unix_ms();
    let told = change(store, name, id, |notice| match &sent {
        Ok(()) => {
            notice.sent_ms = Some(at_ms);
            notice.next_ms = None;
            notice.why = None;
        }
        Err(reason) => {
            notice.why = Some(reason.clone());
            if notice.tries >= TRIES_MAX {
                notice.next_ms = None;
            }
        }
    })?;
    match (&sent, told) {
        (Ok(()), _) => tracing::info!(
            monitor = name,
            channel = notice.channel,
            what = notice.what.as_str(),
            "somebody was told"
        ),
        (Err(reason), told) => {
            let is_over = told.is_none_or(|notice| notice.next_ms.is_none());
            let words = if is_over {
                "nobody was told, and it is given up"
            } else {
                "nobody was told yet; it is tried again"
            };
            tracing::error!(monitor = name, channel = notice.channel, %reason, tries = notice.tries, "{words}");
        }
    }
    Ok(())
}

fn pause_ms(tries: u32) -> i64 {
    (FIRST_PAUSE_MS << tries.saturating_sub(1).min(16)).min(PAUSE_MS_MAX)
}

/// Changes one notice of a rule; gives it as it is then. `None` when it has been forgotten meanwhile.
fn change(store: &dyn Store, name: &str, id: &str, change: impl Fn(&mut Notice)) -> Result<Option<Notice>, StoreError> {
    const CONFLICTS_MAX: u32 = 100;
    let mut conflicts = 0;
    loop {
        let (mut state, row) = State::read(store, name)?;
        let Some(notice) = state.notices.iter_mut().find(|notice| notice.id == id) else {
            return Ok(None);
        };
        change(notice);
        let changed = notice.clone();
        let mut batch = Batch::new();
        state.put(&mut batch, name, row.as_ref());
        match store.commit(batch, Durability::Now) {
            Ok(_) => return Ok(Some(changed)),
            // The rule was looked at in between.
            Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What `notice` of the rule `name` says.
pub fn message(app: &App, name: &str, notice: &Notice) -> Message {
    let monitor = app.config.file.monitors.get(name);
    let root = app.config.root.file_name().unwrap_or_default();
    Message {
        id: notice.id.clone(),
        monitor: name.to_owned(),
        what: notice.what.as_str().to_owned(),
        severity: notice.severity.as_str().to_owned(),
        at_ms: notice.at_ms,
        when: monitor.map(|monitor| monitor.when.clone()).unwrap_or_default(),
        found: notice.found.clone(),
        help: monitor.map(|monitor| monitor.help.clone()).unwrap_or_default(),
        incident: notice.incident.map(|id| id.short()),
        host: root.to_string_lossy().into_owned(),
    }
}
