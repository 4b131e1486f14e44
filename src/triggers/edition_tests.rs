//! Sets of playbooks for tests of triggers, on a [`TestHost`].

use std::sync::Arc;

use crate::app::App;
use crate::runs::Driven;
use crate::script::triggers::Triggers;
use crate::serve::Edition;
use crate::serve::edition::Listed;
use crate::testing::TestHost;

use super::{Trigger, Turn};

/// The playbooks that lie in the host's folder, with what starts them.
pub fn edition(host: &TestHost, triggers: &[(&str, Triggers)]) -> Edition {
    let app = Arc::new(App::new(&host.folder()).expect("a host"));
    let (mut edition, broken) = Edition::load(app, &host.ground, None).expect("an edition");
    assert!(broken.is_empty(), "{broken:?}");
    edition.runner = host.runner();
    for (playbook, triggers) in triggers {
        let listed = edition.playbooks.get_mut(*playbook).expect("its file was written");
        *listed = Arc::new(Listed {
            triggers: triggers.clone(),
            ..(**listed).clone()
        });
    }
    edition
}

/// Lets `trigger` start what is due, and drives that to rest.
pub fn turn(host: &TestHost, edition: &Edition, trigger: &mut dyn Trigger, room: usize) -> (Turn, Driven) {
    let now_ms = crate::io::clock::Clock::unix_ms(&*host.clock);
    let turn = trigger.turn(edition, now_ms, room).expect("the store takes it");
    let driven = host.drive(turn.runs.iter().map(|started| started.run));
    (turn, driven)
}
