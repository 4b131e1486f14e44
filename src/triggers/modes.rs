//! In which mode runs of the live playbooks begin, asked once for each set: the answer is told in the log.

use std::collections::BTreeMap;

use crate::effect::RunMode;
use crate::serve::Edition;
use crate::serve::edition::Listed;

/// The modes of the set that was asked about last.
#[derive(Default)]
pub(super) struct Modes {
    edition: Option<u64>,
    known: BTreeMap<String, Option<RunMode>>,
    /// The playbooks that the trigger is about; few of many, and asked for at each turn.
    meant: Option<Vec<String>>,
}

impl Modes {
    /// The mode of a run of `playbook`; `None` when it cannot begin, because a provider that is switched on lacks something.
    pub(super) fn of(&mut self, edition: &Edition, playbook: &str, listed: &Listed) -> Option<RunMode> {
        self.turn_to(edition);
        let known = self.known.entry(playbook.to_owned());
        let mode = known.or_insert_with(|| match edition.mode(listed) {
            Ok(mode) => Some(mode),
            Err(error) => {
                tracing::error!(playbook, code = error.code(), "{playbook} cannot be started: {error}");
                None
            }
        });
        mode.clone()
    }

    /// The names of the playbooks that are meant, looked for once in each set.
    pub(super) fn meant(&mut self, edition: &Edition, is_meant: impl Fn(&Listed) -> bool) -> Vec<String> {
        self.turn_to(edition);
        let find = || {
            let found = edition.playbooks.iter().filter(|(_, listed)| is_meant(listed));
            found.map(|(playbook, _)| playbook.clone()).collect()
        };
        self.meant.get_or_insert_with(find).clone()
    }

    fn turn_to(&mut self, edition: &Edition) {
        if self.edition != Some(edition.number) {
            *self = Modes {
                edition: Some(edition.number),
                ..Modes::default()
            };
        }
    }
}
