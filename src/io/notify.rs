//! Tells the service manager how the host is: systemd's protocol, where its socket is named in the environment.

use std::time::Duration;

use sd_notify::NotifyState;

/// It serves now.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// In words, for `systemctl status`.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// It is still stopping, and may take as long again.
pub fn still_stopping(within: Duration) {
    let micros = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// It is alive.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear that the host is alive; `None` when it does not ask.
pub fn alive_every() -> Option<Duration> {
    // Half of what it waits, as its manual asks for.
    sd_notify::watchdog_enabled().map(|waits| waits / 2)
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
