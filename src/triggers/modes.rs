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
}

impl Modes {
    /// The mode of a run of `playbook`; `None` when it cannot begin, because a provider that is switched on lacks something.
    pub(super) fn of(&mut self, edition: &Edition, playbook: &str, listed: &Listed) -> Option<RunMode> {
        if self.edition != Some(edition.number) {
            self.edition = Some(edition.number);
            self.known.clear();
        }
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
}
