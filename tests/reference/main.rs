//! The reference is complete and true: each function of each namespace says what it does and how it fails, and its
//! example runs.
//!
//! People copy examples. So each is run in a small world of its own ([`world`]), and where a line ends in
//! `// => LITERAL` the value of that line must be that literal:
//!
//! ```rhai
//! let slug = text::slug("Three habits"); // => "three-habits"
//! ```

mod world;

use std::path::Path;
use std::sync::Arc;

use host::journal::Status;
use host::namespaces;
use host::script::findings::Level;
use host::script::reference::{self, Function};
use host::script::{Language, ScriptLimits, check};

use self::world::World;

fn functions() -> (Arc<Language>, Vec<Function>) {
    let language = Arc::new(Language::new(|| namespaces::modules(&[]), ScriptLimits::default()));
    let functions = reference::functions(&language);
    assert!(functions.len() > 100, "{} functions are found", functions.len());
    (language, functions)
}

/// The examples in a function's documentation.
fn examples(doc: &str) -> Vec<&str> {
    let blocks = doc.split("```rhai\n").skip(1);
    blocks.filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// The lines of a function's `Errors:`, up to the next empty one.
fn errors(doc: &str) -> Option<String> {
    let lines = doc.lines().skip_while(|line| !line.starts_with("Errors: "));
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

#[test]
fn every_function_says_what_it_does_how_it_fails_and_gives_an_example() {
    let (language, functions) = functions();
    let project = check::Project::new(language, |name| Err(name.to_owned()));
    let mut wrong = Vec::new();
    for function in functions {
        let mut missing = |what: &str| wrong.push(format!("{}: {what}", function.signature));
        let first = function.doc.lines().next().unwrap_or_default();
        if !first.ends_with(['.', ':']) && !function.doc.contains(".\n") {
            missing("no sentence that says what it does");
        }
        match errors(&function.doc) {
            None => missing("no line `Errors: …` (`Errors: none.` where it cannot fail)"),
            Some(errors) => codes(&errors)
                .filter(|code| !is_explained(code))
                .for_each(|code| missing(&format!("docs/errors/ does not explain {code}"))),
        }
        let examples = examples(&function.doc);
        if !examples.iter().any(|example| example.contains(&function.name)) {
            missing("no example that calls it");
        }
        for example in examples {
            let findings = check::check_text(&project, &function.name, example);
            let errors = findings.iter().filter(|finding| finding.level == Level::Error);
            errors.for_each(|error| missing(&error.message));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The codes that a list of errors names.
fn codes(errors: &str) -> impl Iterator<Item = &str> {
    let quoted = errors.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        word.chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    })
}

fn is_explained(code: &str) -> bool {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    pages.join(format!("{code}.md")).exists()
}

#[test]
fn every_example_runs_and_gives_what_it_says() {
    let (_, functions) = functions();
    // Media takes a moment; the halves do not know each other.
    let halves = functions.split_at(functions.len() / 2);
    let wrong = std::thread::scope(|scope| {
        let run = |half: &[Function]| half.iter().flat_map(wrong_examples).collect::<Vec<_>>();
        let first = scope.spawn(move || run(halves.0));
        let mut wrong = run(halves.1);
        wrong.extend(first.join().expect("examples do not panic"));
        wrong
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The examples of a function that fail, with why.
fn wrong_examples(function: &Function) -> Vec<String> {
    let run = |example: &&str| {
        let outcome = World::with_files_for(example).run(&checking(example));
        let why = match outcome.error {
            Some(error) => error.failure.to_string(),
            None if outcome.status == Status::Succeeded => return None,
            None => outcome.status.to_string(),
        };
        Some(format!("{}: {why}\n{example}", function.signature))
    };
    examples(&function.doc).iter().filter_map(run).collect()
}

/// The example, with each `// => LITERAL` made a call that compares.
fn checking(example: &str) -> String {
    let mut variable = "";
    let mut script = String::new();
    for line in example.lines() {
        if let Some((name, _)) = line.strip_prefix("let ").and_then(|rest| rest.split_once(" =")) {
            variable = name;
        }
        match line.split_once("// => ") {
            None => script.push_str(line),
            // The end of a statement, which began with `let` here or above.
            Some((code, literal)) if line.starts_with("let ") || line.starts_with([' ', '}', ')', ']']) => {
                script.push_str(&format!("{code} example::gives({variable}, {literal});"));
            }
            Some((code, literal)) => {
                let code = code.trim_end().trim_end_matches(';');
                script.push_str(&format!("example::gives({code}, {literal});"));
            }
        }
        script.push('\n');
    }
    script
}

#[test]
fn an_example_that_is_wrong_is_found() {
    let run = |example: &str| World::with_files_for(example).run(&checking(example));
    let said = |example: &str| run(example).error.map(|error| error.failure.to_string());
    assert_eq!(said("let n = 1 + 1; // => 2"), None);
    assert_eq!(said("let n = [\n    1,\n].len(); // => 1\nn + 1 // => 2"), None);
    let error = said("let n = 1 + 1; // => 3").expect("an error");
    assert!(error.contains("gives 2 and not 3"), "{error}");
    let error = said("let n = [\n    1,\n]; // => [2]").expect("an error");
    assert!(error.contains("gives [1] and not [2]"), "{error}");
    let error = said("\"a\".len() // => 2").expect("an error");
    assert!(error.contains("gives 1 and not 2"), "{error}");
    assert!(said("file::read_text(\"inbox/gone.md\");").is_some());
}
