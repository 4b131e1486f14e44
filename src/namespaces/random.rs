//! `random::` — chance, drawn from the operating system and kept in the journal.
//!
//! What was drawn is on record, so a replay draws the same. Of an array only its length reaches the journal: the
//! script still holds the rest.

use rhai::Array;
use rhai::plugin::*;

use crate::effect::{Declaration, Failure};
use crate::io::chance::Chance;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static INT: Declaration = Declaration::local("random.int");
static FLOAT: Declaration = Declaration::local("random.float");
static PICK: Declaration = Declaration::local("random.pick");
static SHUFFLE: Declaration = Declaration::local("random.shuffle");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns a whole number from `low` to `high`, both included; each is equally likely.
    ///
    /// - `low`, `high`: whole numbers, of which `low` is not the greater.
    ///
    /// Errors: `RANDOM_RANGE`.
    ///
    /// ```rhai
    /// let minute = random::int(0, 59);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn int(ctx: NativeCallContext, low: i64, high: i64) -> ScriptResult {
        if low > high {
            let message = format!("no whole number is from {low} to {high}; give the lesser one first");
            return ctx.check(Err(Failure::new("RANDOM_RANGE", message)));
        }
        ctx.local(&INT, [("low", low.into()), ("high", high.into())], |local| {
            Ok(between(local.chance, low, high).into())
        })
    }

    /// Returns a number from 0.0 up to, but not including, 1.0.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// if random::float() < 0.2 { log::info("the variant"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn float(ctx: NativeCallContext) -> ScriptResult {
        ctx.local(&FLOAT, Value::Unit, |local| Ok(local.chance.fraction().into()))
    }

    /// Returns one item of `array`; each is equally likely.
    ///
    /// - `array`: an array of at least one item.
    ///
    /// Errors: `RANDOM_EMPTY`.
    ///
    /// ```rhai
    /// let hook = random::pick(["Did you know?", "Nobody says this:"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pick(ctx: NativeCallContext, array: Array) -> ScriptResult {
        if array.is_empty() {
            return ctx.check(Err(Failure::new(
                "RANDOM_EMPTY",
                "the array is empty; there is nothing to pick",
            )));
        }
        let last = array.len() as i64 - 1;
        let at = ctx.local(&PICK, [("of", (last + 1).into())], |local| {
            Ok(between(local.chance, 0, last).into())
        })?;
        let at = at.as_int().ok().and_then(|at| usize::try_from(at).ok());
        let picked = at.and_then(|at| array.into_iter().nth(at));
        ctx.check(picked.ok_or_else(|| unfit("a place in the array")))
    }

    /// Returns the items of `array` in a random order; each order is equally likely. `array` itself stays as it is.
    ///
    /// - `array`: an array.
    ///
    /// Errors: none.
    ///
    /// ```rhai
    /// let order = random::shuffle(["a", "b", "c"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn shuffle(ctx: NativeCallContext, array: Array) -> ScriptResult {
        let count = array.len();
        let order = ctx.local(&SHUFFLE, [("of", (count as i64).into())], |local| {
            let order = order_of(local.chance, count)
                .into_iter()
                .map(|at| Value::Int(at as i64));
            Ok(order.collect::<Vec<_>>().into())
        })?;
        let order: Array = ctx.check(order.try_cast().ok_or_else(|| unfit("an order")))?;
        let mut items: Vec<Option<Dynamic>> = array.into_iter().map(Some).collect();
        let item_at = |at: Dynamic| items.get_mut(usize::try_from(at.as_int().ok()?).ok()?)?.take();
        let shuffled: Option<Array> = order.into_iter().map(item_at).collect();
        let shuffled = shuffled.filter(|shuffled| shuffled.len() == count);
        ctx.check(
            shuffled
                .map(Dynamic::from_array)
                .ok_or_else(|| unfit("an order of the array")),
        )
    }
}

/// Said of a journal that was altered.
fn unfit(wanted: &str) -> Failure {
    Failure::new(
        "JOURNAL_UNFIT",
        format!("what the journal holds for this call is not {wanted}"),
    )
}

/// A number from `low` to `high`.
fn between(chance: &dyn Chance, low: i64, high: i64) -> i64 {
    let span = high.wrapping_sub(low) as u64;
    let Some(count) = span.checked_add(1) else {
        return chance.bits() as i64;
    };
    low.wrapping_add(below(chance, count) as i64)
}

/// A number below `count`. What the last, incomplete round of numbers would make likelier is drawn again.
fn below(chance: &dyn Chance, count: u64) -> u64 {
    let rest = (u64::MAX % count + 1) % count;
    loop {
        let bits = chance.bits();
        if bits <= u64::MAX - rest {
            return bits % count;
        }
    }
}

/// The places `0..count` in a random order.
fn order_of(chance: &dyn Chance, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, below(chance, last as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::io::chance::SeededChance;
    use crate::testing::TestHost;

    /// First what must be drawn again, then what counts.
    struct Scripted(AtomicU64);

    impl Chance for Scripted {
        fn bits(&self) -> u64 {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                u64::MAX
            } else {
                7
            }
        }
    }

    #[test]
    fn numbers_of_the_incomplete_round_are_drawn_again() {
        // 2^64 leaves a rest of 1 when parted by 3, so the greatest number would make 0 likelier.
        assert_eq!(below(&Scripted(AtomicU64::new(0)), 3), 7 % 3);
        // It leaves none when parted by 4.
        assert_eq!(below(&Scripted(AtomicU64::new(0)), 4), 3);
    }

    #[test]
    fn every_number_of_a_range_is_drawn_about_equally_often() {
        let chance = SeededChance::new(1);
        let mut counts = [0; 6];
        for _ in 0..6000 {
            counts[(between(&chance, -2, 3) + 2) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        let mut low = false;
        for _ in 0..64 {
            low |= between(&chance, i64::MIN, i64::MAX) < 0;
        }
        assert!(low && between(&chance, 5, 5) == 5);
    }

    #[test]
    fn every_order_is_drawn_about_equally_often() {
        let chance = SeededChance::new(1);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            *counts.entry(order_of(&chance, 3)).or_insert(0) += 1;
        }
        assert!(
            counts.len() == 6 && counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn what_was_drawn_is_on_record_and_replayed() {
        let host = TestHost::default();
        let script = r#"
            let array = ["a", "b", "c", "d"];
            let shuffled = random::shuffle(array);
            let sorted = shuffled; sorted.sort();
            [random::int(1, 6), random::float() < 1.0, array.contains(random::pick(array)), sorted == array, array]
        "#;
        let run = host.run(script);
        let drawn = run.value().as_list().expect("a list");
        assert!(matches!(drawn[0], Value::Int(1..=6)), "{}", run.value());
        assert_eq!(
            Value::List(drawn[1..].to_vec()).to_string(),
            r#"[true,true,true,["a","b","c","d"]]"#
        );
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
        assert!(run.journal().contains("random.pick {\"of\":4} ->"), "{}", run.journal());
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal("random::int(2, 1)"),
            "RANDOM_RANGE: no whole number is from 2 to 1; give the lesser one first"
        );
        assert_eq!(
            refusal("random::pick([])"),
            "RANDOM_EMPTY: the array is empty; there is nothing to pick"
        );
    }
}
