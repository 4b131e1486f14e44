//! The spaces that keys lie in, each with its byte and its name.

use std::fmt;

/// A body of keys with one layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// What the store knows about itself: declared indexes, counters of layouts.
    Meta,
    Run,
    Journal,
    /// Contents of scripts and prompts by their hash.
    Version,
    /// Runs that have a thread or wait for one.
    Open,
    /// When suspended runs wake.
    Wake,
    /// Runs that other runs started.
    Child,
    /// What runs ask people.
    Question,
    /// Events that came.
    Event,
    /// Runs that wait for events.
    Waiter,
    Incident,
    /// Which incidents hold a run.
    Pin,
    Document,
    Index,
    Kv,
    /// Work that waits for somebody.
    Queue,
    /// Counters, gauges and histograms.
    Metric,
    /// State of rate limits.
    Limiter,
    /// State of circuit breakers.
    Circuit,
    /// Idempotency, single flight and duplicate claims.
    Claim,
    /// What is planned of each schedule.
    Schedule,
    /// What became of each tick.
    Tick,
    /// Which ticks are due when.
    Due,
    /// What starts nothing until somebody resumes it.
    Pause,
    /// How far a playbook has come with the events that start it.
    Cursor,
    /// Files that have started a playbook.
    Seen,
    /// The last runs of playbooks whose runs must not overlap.
    Overlap,
    /// Sets of playbooks, prompts and settings that were live.
    Edition,
    /// How far the rules of monitors have come.
    Monitor,
    /// What playbooks say on a server's pages.
    Line,
    /// The lives of the store, and what is held since it was restored.
    Epoch,
    /// Who may be let in.
    User,
    Organisation,
    Token,
    /// Of browsers that have logged in.
    Session,
    /// Who has guessed passwords how often.
    Guess,
    /// Who did what.
    Audit,
    /// Requests that are carried out once, however often they come.
    Idempotency,
    /// What services sent, and what of it was seen before.
    Webhook,
}

impl Space {
    pub(super) const ALL: [(Space, u8, &'static str); 39] = [
        (Space::Meta, 0x01, "meta"),
        (Space::Run, 0x10, "run"),
        (Space::Journal, 0x11, "journal"),
        (Space::Version, 0x12, "version"),
        (Space::Open, 0x13, "open run"),
        (Space::Wake, 0x14, "wake"),
        (Space::Child, 0x15, "child"),
        (Space::Question, 0x16, "question"),
        (Space::Event, 0x17, "event"),
        (Space::Waiter, 0x18, "waiter"),
        (Space::Incident, 0x19, "incident"),
        (Space::Pin, 0x1A, "pin"),
        (Space::Document, 0x20, "document"),
        (Space::Index, 0x21, "index"),
        (Space::Kv, 0x22, "kv"),
        (Space::Queue, 0x23, "queue"),
        (Space::Metric, 0x24, "metric"),
        (Space::Limiter, 0x30, "limiter"),
        (Space::Circuit, 0x31, "circuit"),
        (Space::Claim, 0x32, "claim"),
        (Space::Schedule, 0x40, "schedule"),
        (Space::Tick, 0x41, "tick"),
        (Space::Due, 0x42, "due tick"),
        (Space::Pause, 0x43, "pause"),
        (Space::Cursor, 0x44, "cursor"),
        (Space::Seen, 0x45, "seen file"),
        (Space::Overlap, 0x46, "overlap"),
        (Space::Edition, 0x47, "edition"),
        (Space::User, 0x50, "user"),
        (Space::Organisation, 0x51, "organisation"),
        (Space::Token, 0x52, "token"),
        (Space::Session, 0x53, "session"),
        (Space::Guess, 0x54, "guesses"),
        (Space::Audit, 0x55, "audit"),
        (Space::Idempotency, 0x58, "idempotency"),
        (Space::Webhook, 0x59, "webhook"),
        (Space::Monitor, 0x5C, "monitor"),
        (Space::Line, 0x5D, "line"),
        (Space::Epoch, 0x60, "epoch"),
    ];

    pub(super) fn byte(self) -> u8 {
        Space::entry(|entry| entry.0 == self)
            .expect("every space is in the list")
            .1
    }

    pub(super) fn entry(
        is_it: impl Fn(&&(Space, u8, &'static str)) -> bool,
    ) -> Option<&'static (Space, u8, &'static str)> {
        Space::ALL.iter().find(is_it)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(
            Space::entry(|entry| entry.0 == *self)
                .expect("every space is in the list")
                .2,
        )
    }
}
