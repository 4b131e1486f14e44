//! What stands in for the outside in a test: answers that were given beforehand, by name and arguments.
//!
//! The gate does not know the difference: an answer from here passes modes, governance, attempts and journal like one
//! from a provider. *Invariant:* on a stage nothing goes out to a provider. What has no answer is an error, and is
//! remembered, whatever the script makes of that error.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::errand::{Act, Errand, Sighting, Simulation};
use crate::effect::{Class, Effect, Failure, Fault};
use crate::journal::{Asked, Intent};
use crate::value::Value;

/// The most answers that one test may give.
const RULES_MAX: usize = 10_000;

/// What comes of one attempt.
pub type Reply = Result<Value, Fault>;

/// Which calls are answered, and with what.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Of the effect: `slack.post`.
    pub name: String,
    /// What the arguments must hold at least; `()` for any.
    pub args: Value,
    /// One for each attempt, in turn.
    pub replies: VecDeque<Reply>,
    /// Whether the last of them answers whatever comes after it, too.
    pub lasts: bool,
}

/// The answers of one test.
#[derive(Default)]
pub struct Stage(Mutex<Script>);

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    /// What providers show of a write whose answer was lost, by the effect's name.
    shown: Vec<(String, Value)>,
    unanswered: Vec<Failure>,
}

impl Stage {
    /// Gives answers. Those that are given later are used first.
    pub fn give(&self, rule: Rule) -> Result<(), Failure> {
        let mut script = self.script();
        if script.rules.len() >= RULES_MAX {
            let message = format!("the test gives more than {RULES_MAX} answers; give one that fits several calls");
            return Err(Failure::new("LIMIT_ANSWERS", message));
        }
        script.rules.push(rule);
        Ok(())
    }

    /// Says what the provider shows when it is asked for a write whose answer was lost; `()` when it is not there.
    pub fn show(&self, name: &str, value: Value) {
        self.script().shown.push((name.to_owned(), value));
    }

    /// The calls that went to a provider and had no answer, until now.
    pub fn take_unanswered(&self) -> Vec<Failure> {
        std::mem::take(&mut self.script().unanswered)
    }

    /// The answer to what the host does itself: a number that is drawn, a count of documents, a wait. Without one it
    /// does it.
    pub(super) fn own(&self, asked: &Asked) -> Option<Result<Value, Failure>> {
        self.reply(&asked.name, &asked.args)
            .map(|reply| reply.map_err(Failure::from))
    }

    fn reply(&self, name: &str, args: &Value) -> Option<Reply> {
        let mut script = self.script();
        let fits = |rule: &&mut Rule| {
            rule.name == name && !rule.replies.is_empty() && (rule.args.is_unit() || args.holds(&rule.args))
        };
        let rule = script.rules.iter_mut().rev().find(fits)?;
        match rule.replies.len() {
            1 if rule.lasts => rule.replies.front().cloned(),
            _ => rule.replies.pop_front(),
        }
    }

    fn unanswered(&self, asked: &Asked) -> Fault {
        let name = &asked.name;
        let known: Vec<Value> = {
            let script = self.script();
            let rules = script.rules.iter().filter(|rule| rule.name == *name);
            rules.map(|rule| rule.args.clone()).collect()
        };
        let why = match known.as_slice() {
            [] => format!("{name} is live here, and the test gives no answer to it"),
            [Value::Unit, ..] => format!("{name} was called more often than the test gives answers"),
            _ => format!("no answer that the test gives to {name} fits this call"),
        };
        let failure = Failure::new("TEST_UNANSWERED", why).details(Value::from([("args", asked.args.clone())]));
        self.script().unanswered.push(failure.clone());
        Fault::refused(failure)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An act on the stage.
pub(super) struct Staged<'a> {
    stage: &'a Stage,
    asked: Asked,
    /// Whether it goes to a provider, and not to what is at hand here: files, prompts, media.
    leaves: bool,
    act: &'a dyn Act,
}

impl<'a> Staged<'a> {
    pub(super) fn new(stage: &'a Stage, effect: &Effect<'_>, asked: &Asked, act: &'a dyn Act) -> Staged<'a> {
        Staged {
            stage,
            asked: asked.clone(),
            leaves: effect.declaration.provider.is_some() || effect.declaration.class == Class::Write,
            act,
        }
    }
}

impl Act for Staged<'_> {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        match self.stage.reply(&self.asked.name, &self.asked.args) {
            Some(reply) => reply.map_err(Failure::from),
            None => self.act.simulate(simulation),
        }
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        match self.stage.reply(&self.asked.name, &self.asked.args) {
            Some(reply) => reply,
            None if self.leaves => Err(self.stage.unanswered(&self.asked)),
            None => self.act.carry_out(errand),
        }
    }

    fn look_up(&self, _: &mut Errand<'_>, _: &Intent) -> Result<Sighting, Fault> {
        let script = self.stage.script();
        let shown = script.shown.iter().rev().find(|(name, _)| *name == self.asked.name);
        Ok(match shown {
            None => Sighting::CannotTell,
            Some((_, Value::Unit)) => Sighting::NotThere,
            Some((_, value)) => Sighting::Landed(value.clone()),
        })
    }
}
