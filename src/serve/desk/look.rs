//! What follows from a commit that came through the socket: runs that can go on, triggers that have something to do.

use crate::gate::Ready;
use crate::store::keys::{self, Place, Space};
use crate::store::remote::Written;

/// Tells `ready` of the runs that `written` wakes or creates; whether triggers have to look.
pub fn look(written: &Written, ready: &Ready) -> bool {
    let mut stirs = false;
    for key in &written.put {
        match keys::parse(key) {
            Some(Place::Wake { run, .. } | Place::Open(run)) => ready.tell(run),
            Some(place) => stirs |= concerns_triggers(&place),
            None => {}
        }
    }
    let deleted = written.deleted.iter().filter_map(|key| keys::parse(key));
    stirs | deleted.fold(false, |stirs, place| stirs | concerns_triggers(&place))
}

fn concerns_triggers(place: &Place) -> bool {
    match place {
        Place::Queue { .. } | Place::Schedule { .. } | Place::Tick { .. } | Place::Due { .. } => true,
        Place::Named { space, .. } => matches!(
            space,
            Space::Event
                | Space::Pause
                | Space::Cursor
                | Space::Seen
                | Space::Overlap
                | Space::Edition
                | Space::Epoch
                | Space::Webhook
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::RunId;

    fn put(key: Vec<u8>) -> Written {
        Written {
            put: vec![key],
            deleted: Vec::new(),
        }
    }

    #[test]
    fn a_row_that_wakes_a_run_says_that_it_is_ready() {
        let ready = Ready::default();
        let run = RunId::from_bytes([7; 16]);
        assert!(!look(&put(keys::wake(0, run)), &ready));
        assert_eq!(ready.take(Duration::ZERO, || true), [run]);
        let gone = Written {
            put: Vec::new(),
            deleted: vec![keys::wake(0, run)],
        };
        assert!(!look(&gone, &ready));
        assert!(ready.take(Duration::ZERO, || true).is_empty());
    }

    #[test]
    fn rows_that_triggers_live_by_stir_them_also_when_they_go() {
        let ready = Ready::default();
        let pause = keys::named(Space::Pause, &["daily"]);
        let gone = Written {
            put: Vec::new(),
            deleted: vec![pause.clone()],
        };
        assert!(look(&put(pause), &ready) && look(&gone, &ready));
        assert!(!look(&put(keys::named(Space::Waiter, &["dry", "x", "y"])), &ready));
        assert!(!look(&put(vec![1, 2, 3]), &ready));
    }
}
