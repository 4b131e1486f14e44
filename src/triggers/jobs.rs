//! Jobs of queues, each done by a run of the playbook whose header names the queue.
//!
//! Taking a job and making its run is one batch, and so are the run's end and what becomes of the job
//! (`gate/aftermath.rs`): a job is in the hands of its run for as long as that is not over, and no clock can take it away.
//! The next attempt goes on with the run of the one before, so what has landed is not done again. A job that was brought
//! back from the dead goes on with its run, too; where that cannot go on, another run is made if the first one has written
//! nothing.

use super::modes::Modes;
use super::{Started, Trigger, Turn};
use crate::effect::RunMode;
use crate::id::{ContentHash, RunId};
use crate::journal::{Cause, JournalError};
use crate::runs::ResumeError;
use crate::runs::creation::Creation;
use crate::runs::reopening::{Reopening, reopen};
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::store::queue::hold::{self, Due};
use crate::store::queue::pause;
use crate::store::ticks::Pauses;
use crate::store::{Durability, Realm, StoreError, Tx};
use crate::value::{Map, Value};

/// Jobs that are taken with one commit.
const AT_ONCE: usize = 16;

/// Jobs of a queue that nobody can do, and that one turn says so of.
const BURIED_MAX: usize = 256;

/// How often taking is tried because somebody else was quicker.
const CONFLICTS_MAX: u32 = 16;

/// Gives jobs to runs.
#[derive(Default)]
pub struct Jobs {
    modes: Modes,
    /// Where the next turn begins among the queues, so that none is always the last.
    first: usize,
}

impl Trigger for Jobs {
    fn name(&self) -> &'static str {
        "queues"
    }

    fn turn(&mut self, edition: &Edition, now_ms: i64, room: usize) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let looked = self.look(edition, now_ms, room, &mut turn);
        turn.over(looked)
    }
}

impl Jobs {
    fn look(&mut self, edition: &Edition, now_ms: i64, room: usize, turn: &mut Turn) -> Result<(), StoreError> {
        let consumers = self.consumers(edition, now_ms)?;
        if consumers.is_empty() {
            return Ok(());
        }
        self.first = (self.first + 1) % consumers.len();
        let (before, after) = consumers.split_at(self.first);
        let mut hungry: Vec<(&Consumer<'_>, bool)> = after.iter().chain(before).map(|one| (one, true)).collect();
        // First to each its share, then what is left to those who want more.
        while turn.runs.len() < room && hungry.iter().any(|(_, wants)| *wants) {
            let wanting = hungry.iter().filter(|(_, wants)| *wants).count();
            let share = (room - turn.runs.len()).div_ceil(wanting);
            for (consumer, wants) in hungry.iter_mut().filter(|(_, wants)| *wants) {
                let left = room - turn.runs.len();
                *wants = consumer.take(share.min(left), turn)?;
            }
        }
        for (consumer, wants) in &hungry {
            turn.has_more |= *wants && consumer.could_take_one()?;
            let next_ms = consumer.next_ms()?;
            turn.next_ms = turn.next_ms.into_iter().chain(next_ms).min();
        }
        Ok(())
    }

    /// The playbooks that take jobs now.
    fn consumers<'a>(&mut self, edition: &'a Edition, now_ms: i64) -> Result<Vec<Consumer<'a>>, StoreError> {
        let mut consumers = Vec::new();
        let meant = self.modes.meant(edition, |listed| listed.triggers.queue.is_some());
        let queues = meant.iter().filter_map(|playbook| {
            let (playbook, listed) = edition.playbooks.get_key_value(playbook)?;
            let consumes = listed.triggers.queue.as_ref()?;
            Some((playbook, listed, consumes))
        });
        let mut pauses = None;
        for (playbook, listed, consumes) in queues {
            let pauses = match &pauses {
                Some(pauses) => pauses,
                None => pauses.insert(Pauses::load(&*edition.runner.gate.ground.store)?),
            };
            if pauses.of(playbook).is_some() {
                continue;
            }
            let Some(mode) = self.modes.of(edition, playbook, listed) else {
                continue;
            };
            let consumer = Consumer {
                edition,
                playbook,
                listed,
                queue: &consumes.name,
                concurrency: u64::from(consumes.concurrency),
                mode,
                now_ms,
            };
            if pause::get(&mut consumer.tx(), consumer.queue)?.is_none() {
                consumers.push(consumer);
            }
        }
        Ok(consumers)
    }
}

/// A playbook that takes jobs of a queue.
struct Consumer<'a> {
    edition: &'a Edition,
    playbook: &'a str,
    listed: &'a Listed,
    queue: &'a str,
    concurrency: u64,
    mode: RunMode,
    now_ms: i64,
}

impl Consumer<'_> {
    fn tx(&self) -> Tx<'_> {
        Tx::new(&self.edition.runner.gate.ground, self.mode.realm(), self.now_ms)
    }

    /// Gives up to `share` jobs to runs; returns whether more might be there for it.
    fn take(&self, share: usize, turn: &mut Turn) -> Result<bool, StoreError> {
        let (mut given, mut buried) = (0, 0);
        let mut conflicts = 0;
        while given < share {
            let mut tx = self.tx();
            let free = self.concurrency.saturating_sub(hold::under_way(&mut tx, self.queue)?);
            let limit = (share - given)
                .min(AT_ONCE)
                .min(usize::try_from(free).unwrap_or(usize::MAX));
            if limit == 0 {
                return Ok(false);
            }
            if buried >= BURIED_MAX {
                // Others have their turn between jobs that nobody can do.
                turn.has_more = true;
                return Ok(false);
            }
            let jobs = hold::due(&mut tx, self.queue, limit)?;
            if jobs.is_empty() {
                return Ok(false);
            }
            let mut runs = Vec::new();
            for job in &jobs {
                // Runs of one moment are told apart by eye, and listed in order.
                let at = turn.runs.len() + runs.len();
                runs.extend(self.start(&mut tx, job, at)?);
            }
            match self.edition.runner.gate.ground.store.commit(tx.batch, Durability::Soon) {
                Ok(_) => {
                    given += runs.len();
                    buried += jobs.len() - runs.len();
                    turn.runs.append(&mut runs);
                }
                Err(StoreError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(StoreError::Conflict { .. }) => {
                    turn.has_more = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The changes that give `job` to a run; the run, if it wants a thread.
    fn start(&self, tx: &mut Tx<'_>, job: &Due, at: usize) -> Result<Option<Started>, StoreError> {
        let (attempts, attempts_max) = (job.job.attempts, job.job.attempts_max);
        if attempts >= attempts_max {
            let reason = format!("nobody said what came of attempt {attempts}");
            hold::bury(tx, self.queue, job, &reason);
            return Ok(None);
        }
        let Some(run) = job.job.run else {
            return self.create(tx, job, at);
        };
        let gate = &self.edition.runner.gate;
        let by = format!("queue {}, attempt {} at job {}", self.queue, attempts + 1, job.number);
        // Only bringing it back from the dead makes one untried that has a run.
        let was_brought_back = attempts == 0;
        let reopening = match reopen(gate, run, &by, was_brought_back) {
            Ok(reopening) => reopening,
            // The disk may be well again at the next look. What is damaged stays so.
            Err(ResumeError::Store(error) | ResumeError::Journal(JournalError::Store(error))) if !is_damage(&error) => {
                return Err(error);
            }
            Err(error) => {
                hold::bury(tx, self.queue, job, &format!("{}: {error}", error.code()));
                return Ok(None);
            }
        };
        match reopening {
            Reopening::Ready(batch) => {
                tx.batch.append(batch);
                hold::give(tx, self.queue, job, run);
                Ok(Some(Started {
                    run,
                    playbook: self.playbook.to_owned(),
                    reopen: false,
                    created: None,
                }))
            }
            Reopening::UnderWay(batch) => {
                tx.batch.append(batch);
                hold::rejoin(tx, self.queue, job);
                Ok(None)
            }
            Reopening::Stays { wrote: false, .. } if was_brought_back => self.create(tx, job, at),
            Reopening::Stays { why, wrote } => {
                let way_out = if wrote && was_brought_back {
                    "; it has written, or may have, so no other run is made: push another job if it is to be done again"
                } else {
                    ""
                };
                hold::bury(tx, self.queue, job, &format!("{why}{way_out}"));
                Ok(None)
            }
        }
    }

    fn create(&self, tx: &mut Tx<'_>, job: &Due, at: usize) -> Result<Option<Started>, StoreError> {
        let payload = match hold::payload(tx, self.queue, job) {
            Ok(payload) => payload,
            // It keeps no other from being done.
            Err(error) if is_damage(&error) => {
                hold::bury(tx, self.queue, job, &format!("{}: {error}", error.code()));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let run = run_id(self.mode.realm(), self.queue, job, self.now_ms + at as i64);
        let creation = Creation {
            run,
            pinned: &self.listed.pinned,
            input: inputs_of(payload),
            mode: self.mode.clone(),
            trigger: format!("by queue {}, job {}", self.queue, job.number),
            corr: job.job.corr.clone(),
            cause: Some(Cause::Job {
                queue: self.queue.to_owned(),
                job: job.number,
            }),
            by: None,
            retry_of: None,
            at_ms: self.now_ms,
        };
        match creation.made(&self.edition.runner.gate) {
            Ok((batch, created)) => {
                tx.batch.append(batch);
                hold::give(tx, self.queue, job, run);
                Ok(Some(Started {
                    run,
                    playbook: self.playbook.to_owned(),
                    reopen: false,
                    created: Some(created),
                }))
            }
            Err(failure) => {
                let failure = self.edition.runner.gate.clean(failure);
                hold::bury(
                    tx,
                    self.queue,
                    job,
                    &format!("no inputs of {}: {failure}", self.playbook),
                );
                Ok(None)
            }
        }
    }

    fn could_take_one(&self) -> Result<bool, StoreError> {
        let mut tx = self.tx();
        Ok(hold::under_way(&mut tx, self.queue)? < self.concurrency && !hold::due(&mut tx, self.queue, 1)?.is_empty())
    }

    fn next_ms(&self) -> Result<Option<i64>, StoreError> {
        let next_ms = hold::next_due_ms(&mut self.tx(), self.queue)?;
        Ok(next_ms.and_then(|ms| i64::try_from(ms).ok()))
    }
}

fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. })
}

/// The run that does a job: of the moment it is taken, so that lists show it there, and else of the job alone.
fn run_id(realm: Realm, queue: &str, job: &Due, born_ms: i64) -> RunId {
    let name = format!("job {realm} {queue} {} {}", job.number, job.job.runs);
    let digest = ContentHash::of(name.as_bytes());
    let chance = digest.as_bytes().first_chunk::<16>().expect("a digest has 32 bytes");
    RunId::new(born_ms, u128::from_be_bytes(*chance))
}

/// What a run is told of its job.
fn inputs_of(payload: Value) -> Map {
    match payload {
        Value::Map(inputs) => inputs,
        Value::Unit => Map::new(),
        other => [("payload".to_owned(), other)].into_iter().collect(),
    }
}
