//! The host that runs by itself: its turns in a world whose time stands in the test's hand, and the real binary.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start servers that are killed, and read what they leave behind"
)]

#[path = "../crash/chance.rs"]
mod chance;
#[path = "../crash/counting.rs"]
mod counting;
mod forgetful;
mod many;
mod parking;
mod soak;
mod turns;
mod world;
mod year;
