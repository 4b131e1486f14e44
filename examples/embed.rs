//! Embedding `host`: another program runs a playbook and reads what it did, without a command line.
//!
//! `cargo run --example embed`

use std::error::Error;
use std::sync::Arc;

use host::app::App;
use host::gate::Silent;
use host::io::chance::SystemChance;
use host::io::scratch::Scratch;
use host::journal::Recorded;
use host::runs::Order;
use host::script::source::Text;
use host::script::{Script, inputs};
use host::value::{Map, Value};

const PLAYBOOK: &str = r#"
    const PLAYBOOK = #{ inputs: #{ name: #{ required: true } } };
    let greeted = kv::increment("greeted");
    store::put("greetings", input.name, #{ number: greeted });
    `hello, ${input.name}: number ${greeted}`
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // A host belongs to a folder, where its store is made. This one is gone when the program ends.
    let scratch = Scratch::new(&SystemChance)?;
    let app = App::new(scratch.path())?;
    let runner = app.runner()?;

    // A playbook from a text; `app.library.load("demo")` takes one from the project's playbooks/.
    let none = |_: &str| Err("this playbook imports nothing".to_owned());
    let text = Text::new("greet.rhai", PLAYBOOK);
    let script = Script::compile(&app.library.language, "greet", text, &none).map_err(|mistake| mistake.message)?;
    let script = Arc::new(script);

    for name in ["Ada", "Grace"] {
        let given = Map::from([("name".to_owned(), Value::from(name))]);
        let order = Order {
            script: script.clone(),
            // Checked against the header: a missing or wrong input is an error here, before anything runs.
            input: inputs::complete(&script.header, given).map_err(|failure| failure.message)?,
            // As `DRY_RUN`, the switches and the secrets in the environment say.
            mode: app.mode(&script.header.uses)?,
            trigger: "an example".to_owned(),
            by: None,
            retry_of: None,
            corr: None,
            observer: Arc::new(Silent),
        };
        // Answers when the end of the run is on disk.
        let finished = runner.run(&order)?;
        println!("{}  {}", finished.record.run.short(), finished.outcome.value);

        // Everything it asked of the world is on its journal.
        let recorded = Recorded::load(&runner.gate.ground, finished.record.run)?;
        for answer in recorded.steps.values().filter_map(|step| step.answer.as_ref()) {
            println!("  {} {} -> {}", answer.asked.name, answer.asked.args, answer.value);
        }
    }
    Ok(())
}
