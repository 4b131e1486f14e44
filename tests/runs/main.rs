//! Runs that go on: after a stop, after a wait, beside other runs.

mod children;
mod edit;
mod many;
mod resume;
mod trial;
mod waits;
