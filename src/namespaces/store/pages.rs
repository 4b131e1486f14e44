//! Going through a collection in a `for`, page by page.
//!
//! The loop's turn is an ordinary `store.query`, asked when the loop comes to it: each page is a step of its own in the
//! journal, so a run that stops in the middle goes on there, and what is in memory is one page.

use std::any::TypeId;
use std::collections::VecDeque;

use rhai::{Dynamic, EvalAltResult, Module, NativeCallContext};

use super::{QUERY, queried};
use crate::effect::Place;
use crate::script::ScriptResult;
use crate::script::context::{ContextExt, RunHandle};
use crate::script::value::to_dynamic;
use crate::value::{Map as Fields, Value};

/// The most pages of one loop.
const PAGES_MAX: u32 = 100_000;

/// What a loop goes through. It is no plain data: it cannot leave the script.
#[derive(Clone)]
pub(super) struct Pages {
    run: RunHandle,
    place: Place,
    collection: String,
    options: Fields,
    /// One by one instead of page by page.
    each: bool,
}

impl Pages {
    pub(super) fn new(
        ctx: &NativeCallContext<'_>,
        collection: &str,
        options: Fields,
        each: bool,
    ) -> ScriptResult<Pages> {
        Ok(Pages {
            run: ctx.run()?,
            place: ctx.place(),
            collection: collection.to_owned(),
            options,
            each,
        })
    }
}

pub(super) fn set_iterator(module: &mut Module) {
    module.set_iter_result(TypeId::of::<Pages>(), |pages: Dynamic| {
        let pages = pages.cast::<Pages>();
        Box::new(Turns {
            pages,
            waiting: VecDeque::new(),
            state: State::Open,
            asked: 0,
        })
    });
}

/// A loop under way.
struct Turns {
    pages: Pages,
    /// Documents of the page that was read last.
    waiting: VecDeque<Value>,
    state: State,
    asked: u32,
}

#[derive(PartialEq)]
enum State {
    /// There is, or may be, another page.
    Open,
    Over,
}

impl Iterator for Turns {
    type Item = Result<Dynamic, Box<EvalAltResult>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(document) = self.waiting.pop_front() {
                return Some(Ok(to_dynamic(document)));
            }
            if self.state == State::Over {
                return None;
            }
            let documents = match self.page() {
                Ok(documents) => documents,
                Err(error) => {
                    self.state = State::Over;
                    return Some(Err(error));
                }
            };
            if self.pages.each {
                self.waiting = documents.into();
            } else if !documents.is_empty() {
                return Some(Ok(to_dynamic(documents.into())));
            }
        }
    }
}

impl Turns {
    fn page(&mut self) -> Result<Vec<Value>, Box<EvalAltResult>> {
        self.asked += 1;
        if self.asked > PAGES_MAX {
            return Err(format!("a loop over more than {PAGES_MAX} pages; give it a greater `limit`").into());
        }
        let Pages {
            run,
            place,
            collection,
            options,
            ..
        } = &self.pages;
        let args = [
            ("collection", collection.as_str().into()),
            ("options", options.clone().into()),
        ];
        let page = run.local_at(place.clone(), &QUERY, args, |local| queried(local, collection, options))?;
        let Value::Map(mut page) = page else {
            return Ok(Vec::new());
        };
        match page.remove("next") {
            Some(next @ Value::Text(_)) => drop(self.pages.options.insert("cursor".to_owned(), next)),
            _ => self.state = State::Over,
        }
        match page.remove("documents") {
            Some(Value::List(documents)) => Ok(documents),
            _ => Ok(Vec::new()),
        }
    }
}
