//! Which recorded step answers a question of an edited script?
//!
//! Steps are found by name and arguments, in order. Where several would fit, the place in the script decides: a line
//! that was not edited keeps the answers it had, so that a call on a new line never takes what an old line asks for
//! later. An answer is given once; a read may be shown again, since reading twice changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::effect::{Class, Place};
use crate::id::{ContentHash, StepNo};
use crate::journal::{Asked, Recorded, Step};

/// Which lines of the edited texts are lines of the recorded ones.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    /// By module; the playbook itself is `None`. A text that is missing here was not there before, or is not known.
    texts: BTreeMap<Option<String>, Lines>,
}

/// One text's lines that stayed.
#[derive(Clone, Debug, Default)]
struct Lines {
    /// For each line of now, the line it was, and by how much it was moved to the right.
    was: BTreeMap<u32, (u32, i64)>,
    stayed: BTreeSet<u32>,
}

impl Sites {
    /// Notes that line `now` of a text is its line `before`, moved to the right by `moved` columns.
    pub fn stays(&mut self, module: Option<&str>, before: u32, now: u32, moved: i64) {
        let lines = self.texts.entry(module.map(str::to_owned)).or_default();
        lines.was.insert(now, (before, moved));
        lines.stayed.insert(before);
    }

    /// Where what now stands at `place` stood before.
    fn before(&self, place: &Place) -> Option<Place> {
        let (line, moved) = self.texts.get(&place.module)?.was.get(&place.line)?;
        Some(Place {
            line: *line,
            column: u32::try_from(i64::from(place.column) - moved).unwrap_or(0),
            module: place.module.clone(),
        })
    }

    /// Whether a line of a recorded text is still there.
    fn stayed(&self, module: &Option<String>, line: u32) -> bool {
        let lines = self.texts.get(module);
        lines.is_some_and(|lines| lines.stayed.contains(&line))
    }
}

/// Steps by the place they were asked at, each place's in order.
type Places = BTreeMap<Spot, VecDeque<StepNo>>;

/// Module, line and column.
type Spot = (Option<String>, u32, u32);

fn spot(place: &Place) -> Spot {
    (place.module.clone(), place.line, place.column)
}

/// The recorded steps that have not been asked for yet.
pub(super) struct Matching {
    open: BTreeMap<(String, ContentHash), Places>,
    /// The latest answered read of its name and arguments.
    reads: BTreeMap<(String, ContentHash), StepNo>,
    sites: Sites,
    /// Steps whose answer has stood in for another's.
    stood_in: BTreeSet<StepNo>,
}

/// What the record has for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// This step, which nobody else gets any more.
    Step(StepNo),
    /// Nothing of its own, but this read of the same name and arguments.
    Again(StepNo),
    Nothing,
}

impl Match {
    pub(super) fn step(self) -> Option<StepNo> {
        match self {
            Match::Step(step) => Some(step),
            Match::Again(_) | Match::Nothing => None,
        }
    }
}

fn key(asked: &Asked) -> (String, ContentHash) {
    (asked.name.clone(), ContentHash::of(&asked.args.to_bytes()))
}

impl Matching {
    pub(super) fn new(recorded: &Recorded, sites: Sites) -> Matching {
        Matching::of_steps(&recorded.steps, sites)
    }

    pub(super) fn of_steps(steps: &BTreeMap<StepNo, Step>, sites: Sites) -> Matching {
        let mut open: BTreeMap<_, Places> = BTreeMap::new();
        for (step, asked) in steps.iter().filter_map(|(step, taken)| Some((*step, taken.asked()?))) {
            let places = open.entry(key(asked)).or_default();
            places.entry(spot(&asked.place)).or_default().push_back(step);
        }
        Matching {
            open,
            reads: BTreeMap::new(),
            sites,
            stood_in: BTreeSet::new(),
        }
    }

    /// Finds and takes what answers `asked`.
    pub(super) fn take(&mut self, asked: &Asked) -> Match {
        let key = key(asked);
        let before = self.sites.before(&asked.place).map(|place| spot(&place));
        let open = self.open.entry(key.clone()).or_default();
        let first = |wanted: &dyn Fn(&Spot) -> bool| {
            let fronts = open.iter().filter(|(spot, _)| wanted(spot));
            let fronts = fronts.filter_map(|(spot, steps)| Some((*steps.front()?, spot.clone())));
            fronts.min_by_key(|(step, _)| *step)
        };
        let same_site = before
            .as_ref()
            .and_then(|spot| Some((*open.get(spot)?.front()?, spot.clone())));
        let found = same_site
            .or_else(|| first(&|(module, line, _)| !self.sites.stayed(module, *line)))
            .or_else(|| match asked.class {
                Class::Write if before.is_some() => first(&|_| true),
                _ => None,
            });
        if let Some((step, spot)) = found {
            open.get_mut(&spot).and_then(VecDeque::pop_front);
            if asked.class == Class::Read {
                self.reads.insert(key, step);
            }
            return Match::Step(step);
        }
        if asked.class != Class::Read {
            return Match::Nothing;
        }
        let shown = first(&|_| true).map(|(step, _)| step);
        shown
            .or_else(|| self.reads.get(&key).copied())
            .map_or(Match::Nothing, Match::Again)
    }

    /// The step at which the same function was called in the same place, or on a line that was edited, with other
    /// arguments. Each stands in once.
    pub(super) fn stand_in(&mut self, asked: &Asked) -> Option<StepNo> {
        let before = self.sites.before(&asked.place).map(|place| spot(&place));
        let of_name = self.open.iter().filter(|((name, _), _)| *name == asked.name);
        let near = of_name.flat_map(|(_, places)| places).filter(|(spot, _)| {
            let (module, line, _) = spot;
            before.as_ref() == Some(spot) || !self.sites.stayed(module, *line)
        });
        let unused = |steps: &VecDeque<StepNo>| steps.iter().find(|step| !self.stood_in.contains(step)).copied();
        let step = near.filter_map(|(_, steps)| unused(steps)).min()?;
        self.stood_in.insert(step);
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;
    use crate::journal::{Answer, Begun, Entry};
    use crate::value::Value;

    fn asked(step: StepNo, name: &str, class: Class, line: u32) -> Asked {
        Asked {
            step,
            name: name.to_owned(),
            class,
            args: Value::Unit,
            place: Place {
                line,
                column: 1,
                module: None,
            },
        }
    }

    /// A record of `steps`, and an edited text in which the lines `stayed` stand as much lower as is said.
    fn matching(steps: &[Asked], stayed: &[(u32, u32)]) -> Matching {
        let run = RunId::new(1, 1);
        let begun = Begun {
            run,
            playbook: "test".to_owned(),
            file: "test.rhai".to_owned(),
            version: ContentHash::of(b""),
            modules: BTreeMap::new(),
            api: 1,
            mode: Default::default(),
            input: Value::Unit,
            at_ms: 0,
            trigger: "test".to_owned(),
            epoch: 1,
            by: None,
            parent: None,
            cause: None,
            edition: None,
            retry_of: None,
            corr: None,
        };
        let answer = |asked: &Asked| {
            Entry::Answer(Box::new(Answer {
                asked: asked.clone(),
                ..Answer::default()
            }))
        };
        let entries = std::iter::once(Entry::Begun(Box::new(begun))).chain(steps.iter().map(answer));
        let recorded = Recorded::from_entries(run, entries.collect()).expect("a record");
        let mut sites = Sites::default();
        for (before, now) in stayed {
            sites.stays(None, *before, *now, 0);
        }
        Matching::new(&recorded, sites)
    }

    #[test]
    fn a_call_on_a_new_line_takes_nothing_from_those_that_stayed() {
        let steps = [
            asked(1, "time.now", Class::Local, 1),
            asked(2, "time.now", Class::Local, 3),
        ];
        // A line was put between the two.
        let mut matching = matching(&steps, &[(1, 1), (3, 4)]);
        assert_eq!(matching.take(&asked(1, "time.now", Class::Local, 1)), Match::Step(1));
        assert_eq!(matching.take(&asked(2, "time.now", Class::Local, 2)), Match::Nothing);
        assert_eq!(matching.take(&asked(3, "time.now", Class::Local, 4)), Match::Step(2));
    }

    #[test]
    fn a_line_that_was_moved_takes_its_answers_along() {
        let steps = [asked(1, "a.get", Class::Read, 1), asked(2, "b.get", Class::Read, 2)];
        let mut matching = matching(&steps, &[(2, 1)]);
        assert_eq!(matching.take(&asked(1, "b.get", Class::Read, 1)), Match::Step(2));
        assert_eq!(matching.take(&asked(2, "a.get", Class::Read, 2)), Match::Step(1));
    }

    #[test]
    fn a_read_may_be_shown_again_and_a_write_is_given_once() {
        let steps = [asked(1, "a.get", Class::Read, 1), asked(2, "a.post", Class::Write, 2)];
        let mut matching = matching(&steps, &[(1, 1), (2, 2)]);
        assert_eq!(matching.take(&asked(1, "a.get", Class::Read, 3)), Match::Again(1));
        assert_eq!(matching.take(&asked(2, "a.get", Class::Read, 1)), Match::Step(1));
        assert_eq!(matching.take(&asked(3, "a.get", Class::Read, 3)), Match::Again(1));
        assert_eq!(matching.take(&asked(4, "a.post", Class::Write, 3)), Match::Nothing);
        assert_eq!(matching.take(&asked(5, "a.post", Class::Write, 2)), Match::Step(2));
        assert_eq!(matching.take(&asked(6, "a.post", Class::Write, 2)), Match::Nothing);
    }
}
