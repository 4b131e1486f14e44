//! Is somebody generating the same thing already?
//!
//! A claim is a row with an expiry, so that a crashed run does not hold it for ever.

use serde::{Deserialize, Serialize};

use super::stop::Stop;
use super::tape::Tape;
use super::{Gate, state};
use crate::effect::{Effect, Failure};
use crate::id::ContentHash;
use crate::store::{StoreError, keys};

/// Held while an effect with a key is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Claim {
    /// The run that holds it; empty when nobody does.
    owner: String,
    until_ms: i64,
}

/// Whether a claim that lies there holds nobody up any more: it was given back, or whoever had it is long gone.
pub fn is_over(value: &[u8], now_ms: i64) -> bool {
    let claim = rmp_serde::from_slice(value).ok();
    claim.is_some_and(|claim: Claim| claim.owner.is_empty() || claim.until_ms <= now_ms)
}

/// The key of a claim that was taken and must be given back.
pub(super) struct Taken(Option<Vec<u8>>, String);

/// Claims the effect's key, if it has one. The inner error says that another run holds it.
pub(super) fn claim(gate: &Gate, tape: &mut Tape, effect: &Effect<'_>) -> Result<Result<Taken, Failure>, Stop> {
    let owner = tape.run.to_string();
    let Some(flight_key) = &effect.flight_key else {
        return Ok(Ok(Taken(None, owner)));
    };
    // Named by its hash: the key may hold a secret, or be longer than the store's keys.
    let hash = ContentHash::of(flight_key.as_bytes()).to_string();
    let key = keys::named(keys::Space::Claim, &[effect.name(), &hash]);
    let now_ms = gate.world.clock.unix_ms();
    let declaration = effect.declaration;
    let longest = (declaration.timeout + gate.policies.backoff.cap) * declaration.attempts_max + declaration.settle;
    let until_ms = now_ms + longest.as_millis() as i64;
    let taken = state::update(&gate.ground, &key, |claim: &mut Claim| {
        let is_free = claim.owner.is_empty() || claim.until_ms <= now_ms || claim.owner == owner;
        if is_free {
            *claim = Claim {
                owner: owner.clone(),
                until_ms,
            };
        }
        is_free
    });
    if tape.persist(taken)? {
        return Ok(Ok(Taken(Some(key), owner)));
    }
    let flight_key = gate.masks.mask_text(flight_key.clone());
    let message = format!(
        "{} is already under way for {flight_key:?}; wait for it, or use its result",
        effect.name()
    );
    Ok(Err(Failure::new("GENERATION_IN_PROGRESS", message)
        .status(409)
        .landed(Some(false))))
}

/// Gives a claim back, unless it ran out and somebody else has it.
pub(super) fn release(gate: &Gate, taken: Taken) -> Result<(), StoreError> {
    let Taken(Some(key), owner) = taken else {
        return Ok(());
    };
    state::update(&gate.ground, &key, |claim: &mut Claim| {
        if claim.owner == owner {
            *claim = Claim::default();
        }
    })
}
