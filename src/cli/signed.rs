//! Who is held to account for what a command changes.
//!
//! A change of rows is signed in its own batch; what takes other ways is written down directly before it.

use super::error::CliError;
use crate::app::{App, AppError};
use crate::id::RunId;
use crate::io::chance::Chance;
use crate::journal::audit::{self, Act, Actor, Signed, Via};
use crate::runs::Order;
use crate::serve::desk::signed::start_act;
use crate::store::tx::Ground;
use crate::store::{Durability, Store, StoreError};

/// Whoever sits at the command line, for one command.
pub fn actor(app: &App) -> Actor {
    let who = app.person().unwrap_or_else(|| "somebody".to_owned());
    let who = app.masks.mask_text(who);
    Actor::new(who, Via::Cli, corr(app.clock.unix_ms(), &*app.chance))
}

fn corr(now_ms: i64, chance: &dyn Chance) -> String {
    format!("cmd_{now_ms}_{:06x}", chance.bits() & 0xFF_FFFF)
}

fn masked(app: &App, act: Act) -> Act {
    act.masked(&|text| app.masks.mask_text(text))
}

/// The project's store, opened for a change that is signed.
pub fn writer(app: &App, act: Act) -> Result<Ground, AppError> {
    let ground = app.writer()?;
    Ok(on(app, &ground, act))
}

/// `ground`, whose first change is signed.
pub fn on(app: &App, ground: &Ground, act: Act) -> Ground {
    Signed::ground(ground, actor(app), masked(app, act), app.clock.unix_ms())
}

/// Writes down what has no rows of its own, or has them elsewhere. Whatever becomes durable later makes this durable.
pub fn record(app: &App, store: &dyn Store, act: Act) -> Result<(), StoreError> {
    let act = masked(app, act);
    audit::record(store, Durability::Soon, &actor(app), &act, app.clock.unix_ms()).map(drop)
}

/// Writes down what is tried, durably, tries it, and writes down when nothing came of it.
pub fn attempt<T, E: Into<CliError>>(
    app: &App,
    store: &dyn Store,
    act: Act,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, CliError> {
    let (actor, act) = (actor(app), masked(app, act));
    audit::record(store, Durability::Now, &actor, &act, app.clock.unix_ms())?;
    let done: Result<T, CliError> = work().map_err(Into::into);
    if let Err(error) = &done {
        audit::record(store, Durability::Now, &actor, &failed(act, error), app.clock.unix_ms())?;
    }
    done
}

/// The same for what nobody else may have the store open for: the act is on the disk before it is tried.
pub fn alone<T, E: Into<CliError>>(app: &App, act: Act, work: impl FnOnce() -> Result<T, E>) -> Result<T, CliError> {
    let open = |act: &Act| -> Result<(), CliError> {
        let ground = app.writer()?;
        audit::record(&*ground.store, Durability::Now, &actor(app), act, app.clock.unix_ms())?;
        Ok(())
    };
    let act = masked(app, act);
    open(&act)?;
    let done: Result<T, CliError> = work().map_err(Into::into);
    if let Err(error) = &done {
        open(&failed(act, error))?;
    }
    done
}

fn failed(act: Act, error: &CliError) -> Act {
    Act::new(format!("{}.failed", act.what), act.target).with("code", error.code())
}

/// The act by which a person starts a run.
pub fn begun(run: RunId, order: &Order) -> Act {
    start_act(run, &order.script.name, &order.trigger, order.retry_of, order.mode.live)
}
