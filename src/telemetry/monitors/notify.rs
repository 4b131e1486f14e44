//! The threads that tell people what monitors have found. A message that is not taken is sent again, less and less often; in
//! the end it is given up, and `host monitors list` says so.
//!
//! *Invariant:* in one channel a rule's messages go out in order, one after another; a channel that hangs holds up no other,
//! and the end of the host but for a few seconds: what it is at then is sent once more by the next one, under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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

/// What nobody could be told for so long is no news any more, as after a restore.
const OLD_MS_MAX: i64 = 24 * 3_600_000;

/// Messages of one rule that a channel gets in one go.
const NOTICES_AT_ONCE: usize = 10;

/// How long those who are telling somebody are waited for when the host ends.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// The stack of a thread that tells one channel.
const STACK_BYTES: usize = 512 << 10;

/// The channels that are being told something. There are no more than settings allow, and each has one thread.
#[derive(Default)]
struct Busy {
    channels: Mutex<BTreeSet<String>>,
    one_less: Condvar,
}

/// A channel that is being told something, until this is dropped.
struct Telling {
    busy: Arc<Busy>,
    telemetry: Arc<Telemetry>,
    channel: String,
}

impl Busy {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.channel);
        self.busy.one_less.notify_all();
        // Something may be left for it, or have come meanwhile.
        self.telemetry.notice_ms.store(0, Ordering::Relaxed);
    }
}

/// Tells people until the host ends.
pub fn run(telemetry: &Arc<Telemetry>) {
    let busy: Arc<Busy> = Arc::default();
    while telemetry.over.pause(LOOKS_EVERY) {
        let now_ms = telemetry.clock.unix_ms();
        let next_ms = telemetry.notice_ms.load(Ordering::Relaxed);
        let nobody_waits = next_ms == i64::MAX;
        // No pause is so long, unless the clock was set back meanwhile.
        if nobody_waits || (next_ms > now_ms && next_ms - now_ms <= PAUSE_MS_MAX) {
            continue;
        }
        telemetry.notice_ms.store(i64::MAX, Ordering::Relaxed);
        let edition = telemetry.live.current();
        let store = &*edition.runner.gate.ground.store;
        let is_busy = |channel: &str| busy.lock().contains(channel);
        let (due, failed) = due(&edition.app, store, now_ms, &is_busy);
        if let Some(error) = failed {
            tell_failure(&error);
            telemetry
                .notice_ms
                .fetch_min(now_ms + FIRST_PAUSE_MS, Ordering::Relaxed);
        }
        if let Some(next_ms) = due.next_ms {
            telemetry.notice_ms.fetch_min(next_ms, Ordering::Relaxed);
        }
        for (channel, names) in due.channels {
            begin(telemetry, &busy, channel, names, now_ms);
        }
    }
    let telling = busy.lock();
    let waited = busy
        .one_less
        .wait_timeout_while(telling, LAST_WITHIN, |telling| !telling.is_empty());
    let (telling, _) = waited.unwrap_or_else(PoisonError::into_inner);
    for channel in &*telling {
        tracing::warn!(
            channel,
            "somebody is still being told something; the next host does it again"
        );
    }
}

/// Tells `channel` what is due of the rules `names`, on a thread of its own.
fn begin(telemetry: &Arc<Telemetry>, busy: &Arc<Busy>, channel: String, names: Vec<String>, now_ms: i64) {
    busy.lock().insert(channel.clone());
    let telling = Telling {
        busy: busy.clone(),
        telemetry: telemetry.clone(),
        channel,
    };
    let thread = std::thread::Builder::new().name("notify-channel".to_owned());
    let begun = thread.stack_size(STACK_BYTES).spawn(move || {
        let telemetry = &telling.telemetry;
        let edition = telemetry.live.current();
        let store = &*edition.runner.gate.ground.store;
        let goes_on = || !telemetry.over.is_over();
        if let Err(error) = tell_channel(&edition.app, store, &telling.channel, &names, now_ms, &goes_on) {
            tell_failure(&error);
        }
    });
    if let Err(error) = begun {
        tracing::error!(%error, "there is no thread to tell somebody what monitors have found");
    }
}

fn tell_failure(error: &StoreError) {
    tracing::error!(%error, code = error.code(), "what monitors have found cannot be told now");
}

/// Whether the turn of `notice` has come. One that lies further ahead than any pause is left from before the clock was set back.
fn is_due(notice: &Notice, now_ms: i64) -> bool {
    let in_ms = notice.next_ms.map(|at_ms| at_ms.saturating_sub(now_ms));
    in_ms.is_some_and(|in_ms| in_ms <= 0 || in_ms > PAUSE_MS_MAX)
}

/// What is to be told, and when there is more.
#[derive(Default)]
pub(super) struct Due {
    /// The rules that have something for each channel.
    pub channels: BTreeMap<String, Vec<String>>,
    pub next_ms: Option<i64>,
}

/// What is due at `now_ms` for channels that are not busy. A rule that cannot be read is told of beside it.
pub(super) fn due(
    app: &App,
    store: &dyn Store,
    now_ms: i64,
    is_busy: &dyn Fn(&str) -> bool,
) -> (Due, Option<StoreError>) {
    let (mut due, mut failed) = (Due::default(), None);
    for (name, state) in states(app, store, &mut failed) {
        for notice in state.turns().filter(|notice| !is_busy(&notice.channel)) {
            if is_due(notice, now_ms) {
                let names = due.channels.entry(notice.channel.clone()).or_default();
                names.push(name.to_owned());
            } else {
                due.next_ms = notice.next_ms.into_iter().chain(due.next_ms).min();
            }
        }
    }
    (due, failed)
}

/// The rules as their rows have them. One that cannot be read keeps nobody from being told of the others.
fn states<'a>(app: &'a App, store: &dyn Store, failed: &mut Option<StoreError>) -> Vec<(&'a str, State)> {
    let mut states = Vec::new();
    for name in app.config.file.monitors.keys() {
        match State::read(store, name) {
            Ok((state, _)) => states.push((name.as_str(), state)),
            Err(error) => *failed = Some(error),
        }
    }
    states
}

/// Tells one channel all that it is to be told now of the rules `names`, as long as the host goes on.
pub(super) fn tell_channel(
    app: &App,
    store: &dyn Store,
    channel: &str,
    names: &[String],
    now_ms: i64,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), StoreError> {
    for name in names {
        for _ in 0..NOTICES_AT_ONCE {
            if !goes_on() {
                return Ok(());
            }
            let (state, _) = State::read(store, name)?;
            let mut turns = state.turns().filter(|notice| notice.channel == channel);
            let Some(notice) = turns.next().filter(|notice| is_due(notice, now_ms)) else {
                break;
            };
            tell(app, store, name, &notice.id, now_ms)?;
        }
    }
    Ok(())
}

fn tell(app: &App, store: &dyn Store, name: &str, id: &str, now_ms: i64) -> Result<(), StoreError> {
    let is_dry = app.config.dry_run().unwrap_or(true);
    let is_old = |notice: &Notice| now_ms - notice.at_ms > OLD_MS_MAX;
    // On disk before it leaves: when the host ends meanwhile, it is sent once more after the pause, and not at once.
    let Some(notice) = change(store, name, id, |notice| {
        notice.tries += 1;
        notice.next_ms = Some(now_ms + pause_ms(notice.tries));
        if is_dry {
            notice.next_ms = None;
            notice.why = Some("DRY_RUN is on: nobody was told".to_owned());
        } else if is_old(notice) {
            notice.next_ms = None;
            notice.why = Some("it is more than a day old".to_owned());
        }
    })?
    else {
        return Ok(());
    };
    if !is_dry && is_old(&notice) {
        let (channel, id) = (notice.channel, notice.id);
        tracing::warn!(monitor = name, channel, id, "nobody is told: it is more than a day old");
        return Ok(());
    }
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
