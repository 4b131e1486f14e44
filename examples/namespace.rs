//! Adding a namespace: functions of your own that playbooks call like any other.
//!
//! A function describes its effect and hands it to the gate with what carries it out. The gate journals it, so a run
//! that calls it is shown, planned and replayed like any other. `cargo run --example namespace`

use host::effect::Declaration;
use host::script::{ContextExt, ScriptResult};
use host::testing::TestHost;
use host::value::Value;
use rhai::plugin::*;

/// The name and class of the effect. A local effect reads and writes the store, and reaches nothing else; `read` and
/// `write` are for what lies outside, and say how they are simulated and what is done when an answer is lost.
static CAST: Declaration = Declaration::local("dice.cast");

// The doc comments are what `host functions dice::cast` prints.
#[export_module]
mod dice {
    /// Returns the sum of so many dice.
    ///
    /// - `count`: from 1 to 100.
    ///
    /// Errors: `DICE_COUNT`.
    #[rhai_fn(return_raw)]
    pub fn cast(ctx: NativeCallContext, count: i64) -> ScriptResult {
        let count = ctx.check(super::checked(count))?;
        ctx.local(&CAST, [("count", count.into())], |local| {
            // Chance comes through a door: it is drawn once, and a replay reads it from the journal.
            let eyes = (0..count).map(|_| (local.chance.bits() % 6) as i64 + 1);
            Ok(Value::from(eyes.sum::<i64>()))
        })
    }
}

/// What is refused is refused before it becomes an effect, with a code that scripts can branch on.
fn checked(count: i64) -> Result<i64, host::effect::Failure> {
    if (1..=100).contains(&count) {
        return Ok(count);
    }
    Err(host::effect::Failure::new(
        "DICE_COUNT",
        format!("{count} dice cannot be cast; 1 to 100 can"),
    ))
}

fn main() {
    // A whole host in memory, as the tests use it. When it is dropped it replays every run, and panics if one differs.
    let host = TestHost::default().modules(|| vec![("dice".to_owned(), exported_module!(dice))]);

    let run = host.run("let sum = dice::cast(3); `three dice: ${sum}`");
    println!("{}", run.value());
    print!("{}", run.journal());

    let refused = host.run("dice::cast(0)");
    println!("refused: {}", refused.failure());
}
