//! Defects that are planted from outside the product, to see that they are found.

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A store that takes the promise to send a write for durable before it is: its intent reaches the disk after the
    /// request has left.
    IntentAfterSend,
    /// The same, with nobody looking at what is durable when a request leaves: only the harm it does is seen.
    IntentAfterSendUnwatched,
    /// A store that says "done" before it is on disk.
    EarlyDone,
    /// A disk that lost a row and kept a later one.
    MissingPrefix,
    /// A provider that shows a write much later than it declares: "not there" is believed too early.
    EarlyNotLanded,
    /// A host that makes a new key for every attempt.
    KeyPerAttempt,
}
