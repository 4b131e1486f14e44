//! The answer that is made up when nothing leaves: the same for the same request, and never taken for a real one.

use super::answer::Tokens;
use super::chat::Chat;
use super::prices::Prices;
use super::schema;
use crate::effect::Failure;
use crate::gate::Simulation;
use crate::value::Value;

/// What begins every simulated text.
pub const MARK: &str = "[simulated]";

/// How long an answer is taken to be when the call sets no limit.
const OUTPUT_TOKENS_USUAL: u64 = 500;
/// Letters to a token, as a rule of thumb for English; and what surrounds each message.
const CHARS_PER_TOKEN: u64 = 4;
const TOKENS_PER_MESSAGE: u64 = 4;

/// Words shorter than this say little.
const WORD_CHARS_MIN: usize = 4;
const WORD_CHARS_MAX: usize = 24;
/// How many words of a prompt are looked at.
const WORDS_MAX: usize = 2_000;

/// Long words that say little all the same.
const STOP_WORDS: [&str; 24] = [
    "about", "after", "also", "before", "caption", "each", "exactly", "from", "have", "into", "more", "must", "only",
    "please", "should", "some", "that", "their", "them", "this", "what", "when", "with", "write",
];

/// The simulated answer to `chat`.
pub fn answer(chat: &Chat, simulation: &Simulation<'_>) -> Result<Value, Failure> {
    let (text, data) = match &chat.schema {
        None => (caption(chat.last_text(), simulation), Value::Unit),
        Some(asked) => {
            let data = schema::instance(&asked.schema.to_json(), &|salt, below| simulation.pick(salt, below)).map_err(
                |reason| {
                    let message = format!(
                        "no answer could be made up for this schema: {reason}; run it live, or without `schema`"
                    );
                    Failure::new("OPENAI_SCHEMA_NOT_SIMULATED", message).provider(super::NAME)
                },
            )?;
            (data.to_string(), Value::from_json(data))
        }
    };
    let input = tokens(&chat.text()) + TOKENS_PER_MESSAGE * chat.messages.len() as u64;
    let usual = chat
        .max_tokens
        .map_or(OUTPUT_TOKENS_USUAL, |most| (most as u64).min(OUTPUT_TOKENS_USUAL));
    let estimated_cost_usd = Prices::built_in().cost_usd(&chat.model, input, usual);
    Ok(Value::from([
        (
            "usage",
            Tokens {
                input,
                output: tokens(&text),
            }
            .to_value(),
        ),
        ("text", Value::from(text)),
        ("json", data),
        ("model", Value::from(chat.model.as_str())),
        ("id", Value::from(simulation.id("chatcmpl-sim-"))),
        ("finish_reason", Value::from("stop")),
        ("cost_usd", Value::Float(0.0)),
        ("estimated_tokens", Value::Int((input + usual) as i64)),
        ("estimated_cost_usd", Value::from(estimated_cost_usd)),
        ("simulated", Value::Bool(true)),
    ]))
}

/// About how many tokens `text` is.
fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(CHARS_PER_TOKEN)
}

/// A short caption out of the prompt's own words.
fn caption(prompt: &str, simulation: &Simulation<'_>) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in prompt.split(|c: char| !c.is_alphanumeric()).take(WORDS_MAX) {
        let is_telling = (WORD_CHARS_MIN..=WORD_CHARS_MAX).contains(&word.chars().count())
            && word.chars().all(char::is_alphabetic)
            && !STOP_WORDS.contains(&word.to_lowercase().as_str());
        if is_telling && !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            words.push(word);
        }
    }
    let mut next = |salt: &str| match words.len() {
        0 => "this".to_owned(),
        count => words
            .remove(simulation.pick(salt, count as u64) as usize)
            .to_lowercase(),
    };
    let (a, b, c) = (next("first"), next("second"), next("third"));
    let said = match simulation.pick("form", 4) {
        0 => format!("Three reasons why {a} changes {b}, and what it means for {c}"),
        1 => format!("What nobody tells you about {a}: {b}, {c} and the rest"),
        2 => format!("{a} or {b}? Here is what {c} has to do with it"),
        _ => format!("From {a} to {b} in one minute, with {c} on the way"),
    };
    format!("{MARK} {said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::options::Options;

    fn simulated(fields: Value) -> Value {
        let mut options = Options::of("openai::chat", fields.as_map().cloned().expect("a map"));
        let chat = Chat::read(&mut options).expect("a chat");
        let args = chat.args();
        answer(&chat, &Simulation::of("openai.chat", &args)).expect("an answer")
    }

    #[test]
    fn a_simulated_text_is_made_of_the_prompt_marked_and_always_the_same() {
        let ask = |prompt: &str| {
            simulated(Value::from([
                ("prompt", prompt.into()),
                ("max_tokens", Value::Int(100)),
            ]))
        };
        let answer = ask("Write a caption about volcanoes erupting under glaciers in Iceland.");
        let text = answer.get("text").and_then(Value::as_str).expect("a text");
        assert!(text.starts_with(MARK), "{text}");
        let known = ["volcanoes", "erupting", "glaciers", "iceland", "under"];
        assert!(known.iter().filter(|word| text.contains(**word)).count() == 3, "{text}");
        assert_eq!(
            answer,
            ask("Write a caption about volcanoes erupting under glaciers in Iceland.")
        );
        assert_eq!(answer.get("cost_usd"), Some(&Value::Float(0.0)));
        let estimate = answer
            .get("estimated_cost_usd")
            .and_then(Value::as_float)
            .expect("a known model");
        assert!(
            estimate > 100.0 * 0.60 / 1e6 && estimate < 200.0 * 0.60 / 1e6,
            "{estimate}"
        );
        assert!(
            ask("")
                .get("text")
                .and_then(Value::as_str)
                .is_some_and(|text| text.contains("this"))
        );
    }
}
