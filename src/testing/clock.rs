//! The clock of tests: it stands still until a test moves it, or somebody sleeps on it.

pub use crate::io::clock::HandClock as TestClock;
