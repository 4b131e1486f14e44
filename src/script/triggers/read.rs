//! From the header's keys, with everything that is wrong with them.

use super::complaint::{Complaint, Reader};
use super::elements::{self, CONCURRENCY_MAX, LIST_MAX};
use super::{Triggers, http, schedules, webhook};
use crate::script::inputs::Inputs;
use crate::value::Map;

/// What starts a playbook, from the trigger keys of its header, and what is wrong with them. `inputs` are those that it
/// declares; without them nothing is said about inputs.
pub fn read(header: &Map, inputs: Option<&Inputs>) -> (Triggers, Vec<Complaint>) {
    let mut reader = Reader::new(inputs);
    let reader = &mut reader;
    let triggers = Triggers {
        schedules: schedules::read(reader, header),
        overlap: reader.at(header, "overlap", elements::overlap).unwrap_or_default(),
        concurrency: reader.at(header, "concurrency", |reader, value| {
            reader.count(value, CONCURRENCY_MAX)
        }),
        queue: reader.at(header, "queue", elements::queue),
        events: reader
            .at(header, "event", |reader, value| {
                Some(reader.each(value, LIST_MAX, |reader, _, value| elements::event(reader, value)))
            })
            .unwrap_or_default(),
        files: reader.at(header, "files", elements::files),
        after: reader
            .at(header, "after", |reader, value| {
                Some(reader.each(value, LIST_MAX, |reader, _, value| elements::after(reader, value)))
            })
            .unwrap_or_default(),
        startup: reader
            .at(header, "startup", |reader, value| {
                if value.as_bool().is_none() {
                    reader.wrong_kind(value, "true or false");
                }
                value.as_bool()
            })
            .unwrap_or_default(),
        http: reader.at(header, "http", http::read).map(Box::new),
        webhook: reader.at(header, "webhook", webhook::read).map(Box::new),
    };
    must_be_given(reader, &triggers);
    (triggers, std::mem::take(&mut reader.complaints))
}

/// A schedule whose runs lack an input that is required: none of its ticks would start.
fn must_be_given(reader: &mut Reader<'_>, triggers: &Triggers) {
    let Some(inputs) = reader.inputs else {
        return;
    };
    let needed = || inputs.iter().filter(|(_, spec)| spec.required && spec.preset.is_none());
    for schedule in &triggers.schedules {
        if let Some((name, _)) = needed().find(|(name, _)| !schedule.input.contains_key(*name)) {
            let key = if schedule.key == "every" { "every" } else { "schedule" };
            let message = format!(
                "the input `{name}` is required, and the schedule {:?} does not give it",
                schedule.key
            );
            let help = format!("write #{{ cron: \"0 7 * * *\", inputs: #{{ {name}: … }} }}, or give `{name}` a preset");
            reader.say_of_key(key, "SCHEDULE_INVALID", message).mild().help(help);
        }
    }
}
