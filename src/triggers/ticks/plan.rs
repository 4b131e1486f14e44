//! What becomes of the ticks of a schedule that are due: pure.
//!
//! Ticks less than a minute behind are late, not missed. What is missed is caught up as the header says, or as the person
//! said who resumed the playbook. All of it is bounded: long stretches of skipped ticks become one step.

use std::collections::VecDeque;

use crate::id::ContentHash;
use crate::script::triggers::{Missed, Policy, Scheduled};
use crate::store::ticks::tick::Many;
use crate::store::ticks::{Judged, Next, Resumed, ScheduleId, Why, Window};

/// A tick so far behind is missed.
pub const GRACE_MS: i64 = 60_000;

/// The most ticks of a schedule that are caught up, or that wait for an earlier run where not all are caught up.
pub const CAUGHT_UP_MAX: usize = 1000;
pub const WAITING_MAX: usize = 100;

/// More skipped ticks than this share a row.
const ALONE_MAX: u64 = 100;

/// How many ticks are counted one by one.
const COUNTED_MAX: u64 = 20_000;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Start {
        planned_ms: i64,
        how: How,
    },
    Skip {
        from_ms: i64,
        until_ms: i64,
        count: u64,
        is_exact: bool,
        why: Why,
    },
}

/// Why a tick is started now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    OnTime,
    CaughtUp,
    /// It waited for an earlier run.
    Waited,
}

/// The ticks of a schedule from `first_ms` on.
pub struct Outstanding<'a> {
    pub id: &'a ScheduleId,
    pub scheduled: &'a Scheduled,
    pub policy: Policy,
    /// The next that is planned.
    pub first_ms: i64,
    /// When that is due, as it was written down: by another jitter perhaps than the schedule has now.
    pub first_due_ms: i64,
    pub anchor_ms: i64,
    pub window: Option<Window>,
    pub now_ms: i64,
}

/// The tick after `after_ms`, with when it is due.
pub fn next(id: &ScheduleId, scheduled: &Scheduled, after_ms: i64, anchor_ms: i64) -> Option<Next> {
    let planned_ms = scheduled.next_after(after_ms, anchor_ms)?.at_ms;
    Some(Next {
        planned_ms,
        due_ms: due_ms(id, scheduled, planned_ms, anchor_ms),
    })
}

/// When a tick is due: up to its jitter after it is planned, always before the next one.
pub fn due_ms(id: &ScheduleId, scheduled: &Scheduled, planned_ms: i64, anchor_ms: i64) -> i64 {
    let jitter_ms = scheduled.jitter.as_millis() as u64;
    if jitter_ms == 0 {
        return planned_ms;
    }
    let name = format!("{}\n{}\n{planned_ms}", id.playbook, id.schedule);
    let digest = ContentHash::of(name.as_bytes());
    let chance = u64::from_be_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"));
    let due_ms = planned_ms.saturating_add((chance % (jitter_ms + 1)) as i64);
    match scheduled.next_after(planned_ms, anchor_ms) {
        Some(next) => due_ms.min(next.at_ms - 1),
        None => due_ms,
    }
}

/// The tick at `first_ms` and those after it until `now_ms`.
pub fn passed(scheduled: &Scheduled, first_ms: i64, anchor_ms: i64, now_ms: i64) -> Many {
    let mut many = Many {
        until_ms: first_ms,
        count: 1,
        is_exact: true,
    };
    let after = |tick| {
        scheduled
            .next_after(tick, anchor_ms)
            .filter(|next| next.at_ms <= now_ms)
    };
    while let Some(next) = after(many.until_ms) {
        if many.count == COUNTED_MAX {
            return Many {
                until_ms: now_ms,
                is_exact: false,
                ..many
            };
        }
        many.until_ms = next.at_ms;
        many.count += 1;
    }
    many
}

impl Outstanding<'_> {
    /// What is to be done with those that are due, in their order.
    pub fn steps(&self) -> Vec<Step> {
        let (uncounted, ticks) = self.due();
        let mut steps = Vec::new();
        let whys = self.judge(&ticks);
        if let Some(mut span) = uncounted {
            // What is true of the first that were kept is true of those before.
            let why = match whys.first() {
                Some(Some(Why::Horizon)) => Why::Horizon,
                Some(Some(why)) => why.clone(),
                _ => match self.window.map(|window| window.how) {
                    Some(Judged::Queued) => Why::Full {
                        limit: self.waiting_max() as u32,
                    },
                    _ => Why::TooMany {
                        limit: CAUGHT_UP_MAX as u32,
                    },
                },
            };
            if let Step::Skip { why: of_span, .. } = &mut span {
                *of_span = why;
            }
            steps.push(span);
        }
        let mut at = 0;
        while at < ticks.len() {
            let Some(why) = &whys[at] else {
                let planned_ms = ticks[at];
                let how = self.how(planned_ms);
                steps.push(Step::Start { planned_ms, how });
                at += 1;
                continue;
            };
            let alike = whys[at..]
                .iter()
                .take_while(|other| other.as_ref() == Some(why))
                .count();
            self.skip(&ticks[at..at + alike], why, &mut steps);
            at += alike;
        }
        steps
    }

    /// Adds what is to be done with ticks that are all skipped for the same reason.
    fn skip(&self, ticks: &[i64], why: &Why, steps: &mut Vec<Step>) {
        let step = |from_ms, until_ms, count| Step::Skip {
            from_ms,
            until_ms,
            count,
            is_exact: true,
            why: why.clone(),
        };
        if let Some(Step::Skip {
            until_ms,
            count,
            why: before,
            ..
        }) = steps.last_mut()
            && *count > ALONE_MAX
            && before == why
        {
            *until_ms = ticks[ticks.len() - 1];
            *count += ticks.len() as u64;
        } else if ticks.len() as u64 > ALONE_MAX {
            steps.push(step(ticks[0], ticks[ticks.len() - 1], ticks.len() as u64));
        } else {
            steps.extend(ticks.iter().map(|tick| step(*tick, *tick, 1)));
        }
    }

    /// The last ticks that are due, and what lies before them.
    fn due(&self) -> (Option<Step>, Vec<i64>) {
        let mut kept: VecDeque<i64> = VecDeque::new();
        let mut before: Option<(i64, i64, u64, bool)> = None;
        let mut drop_first = |kept: &mut VecDeque<i64>, keep: usize| {
            while kept.len() > keep {
                let tick = kept.pop_front().expect("it is not empty");
                let (_, until_ms, count, _) = before.get_or_insert((tick, tick, 0, true));
                *until_ms = tick;
                *count += 1;
            }
        };
        let mut at = Some(self.first_ms);
        let (mut counted, mut counted_from) = (0, self.first_ms);
        let mut jumped_to = None;
        while let Some(tick) = at.filter(|tick| *tick <= self.now_ms && self.due_at(*tick) <= self.now_ms) {
            kept.push_back(tick);
            drop_first(&mut kept, CAUGHT_UP_MAX);
            counted += 1;
            at = self.after(tick);
            if counted == COUNTED_MAX {
                // As dense as these were, the last thousand lie in the last tenth of such a stretch.
                let to_ms = self.now_ms - (tick - counted_from) / 10;
                if to_ms > tick {
                    drop_first(&mut kept, 0);
                    at = self.after(to_ms);
                    jumped_to = Some(at.unwrap_or(to_ms));
                    counted_from = to_ms;
                }
                counted = 0;
            }
        }
        let span = before.map(|(from_ms, until_ms, count, _)| Step::Skip {
            from_ms,
            until_ms: jumped_to.map_or(until_ms, |to_ms| until_ms.max(to_ms - 1)),
            count,
            is_exact: jumped_to.is_none(),
            why: Why::Missed,
        });
        (span, kept.into())
    }

    fn after(&self, tick: i64) -> Option<i64> {
        self.scheduled.next_after(tick, self.anchor_ms).map(|next| next.at_ms)
    }

    fn due_at(&self, tick: i64) -> i64 {
        if tick == self.first_ms {
            return self.first_due_ms;
        }
        due_ms(self.id, self.scheduled, tick, self.anchor_ms)
    }

    fn window_of(&self, tick: i64) -> Option<Judged> {
        self.window
            .filter(|window| tick <= window.until_ms)
            .map(|window| window.how)
    }

    fn how(&self, tick: i64) -> How {
        match self.window_of(tick) {
            Some(Judged::Queued) => How::Waited,
            Some(Judged::Paused(_)) => How::CaughtUp,
            None if self.is_missed(tick) => How::CaughtUp,
            None => How::OnTime,
        }
    }

    /// Those that are caught up one after the other wait, too, and where all are to be none is left out for that.
    fn waiting_max(&self) -> usize {
        match self.scheduled.missed {
            Missed::All => CAUGHT_UP_MAX,
            Missed::Latest | Missed::None => WAITING_MAX,
        }
    }

    fn is_missed(&self, tick: i64) -> bool {
        self.now_ms - self.due_at(tick) > GRACE_MS
    }

    /// For each tick why it is skipped; `None` for those to be started.
    fn judge(&self, ticks: &[i64]) -> Vec<Option<Why>> {
        let count = ticks.len();
        let horizon_ms = self.scheduled.horizon.as_millis() as i64;
        // A stretch of ticks that are judged alike begins at each change of the window.
        let is_last = |at: usize| at + 1 == count;
        let paused = ticks
            .iter()
            .filter(|tick| matches!(self.window_of(**tick), Some(Judged::Paused(_))))
            .count();
        let judge = |(at, tick): (usize, &i64)| match self.window_of(*tick) {
            Some(Judged::Queued) if self.policy == Policy::CancelPrevious && !is_last(at) => Some(Why::Later),
            Some(Judged::Queued) if count - at > self.waiting_max() => Some(Why::Full {
                limit: self.waiting_max() as u32,
            }),
            Some(Judged::Queued) => None,
            Some(Judged::Paused(Resumed::All)) => None,
            Some(Judged::Paused(Resumed::Latest)) if at + 1 == paused => None,
            Some(Judged::Paused(_)) => Some(Why::Paused),
            None if !self.is_missed(*tick) => None,
            None => match self.scheduled.missed {
                Missed::None => Some(Why::Missed),
                _ if self.now_ms - tick > horizon_ms => Some(Why::Horizon),
                Missed::Latest if !is_last(at) => Some(Why::Later),
                Missed::Latest | Missed::All => None,
            },
        };
        ticks.iter().enumerate().map(judge).collect()
    }
}
