//! What tokens cost: as `[providers.openai.prices]` says, else as built in for the commonest models of OpenAI's own.
//!
//! A model that neither knows has no price, and its calls no cost: a wrong number is worse than none.

use super::HOST;
use crate::io::provider::ProviderDoor;
use crate::value::{Map, Value};

/// Model, and US dollars per million tokens read and written. From OpenAI's public price list as several independent
/// tables quoted it in spring 2026, standard tier, without the discounts for cached input and batches. OpenAI changes
/// prices without notice; `[providers.openai.prices]` overrides them.
const BUILT_IN: [(&str, f64, f64); 11] = [
    ("gpt-4.1", 2.00, 8.00),
    ("gpt-4.1-mini", 0.40, 1.60),
    ("gpt-4.1-nano", 0.10, 0.40),
    ("gpt-4o", 2.50, 10.00),
    ("gpt-4o-mini", 0.15, 0.60),
    ("gpt-5", 1.25, 10.00),
    ("gpt-5-mini", 0.25, 2.00),
    ("gpt-5-nano", 0.05, 0.40),
    ("gpt-5.1", 1.25, 10.00),
    ("o3", 2.00, 8.00),
    ("o4-mini", 1.10, 4.40),
];

/// The prices that count for one server.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    configured: Map,
    built_in: bool,
}

impl Prices {
    /// Those of the server behind `door`: a model's namesake elsewhere costs something else, or nothing.
    pub fn of(door: &ProviderDoor) -> Prices {
        let configured = door
            .settings
            .get("prices")
            .and_then(Value::as_map)
            .cloned()
            .unwrap_or_default();
        Prices {
            configured,
            built_in: door.base_url.host_str() == Some(HOST),
        }
    }

    /// OpenAI's own, for estimates that depend on nothing configured.
    pub fn built_in() -> Prices {
        Prices {
            configured: Map::new(),
            built_in: true,
        }
    }

    pub fn cost_usd(&self, model: &str, input_tokens: u64, output_tokens: u64) -> Option<f64> {
        let (input, output) = self
            .per_million(model)
            .or_else(|| self.per_million(without_date(model)?))?;
        Some((input_tokens as f64 * input + output_tokens as f64 * output) / 1e6)
    }

    fn per_million(&self, model: &str) -> Option<(f64, f64)> {
        let configured = match self.configured.get(model).and_then(Value::as_list) {
            Some([input, output]) => input.as_float().zip(output.as_float()),
            _ => None,
        };
        let built_in = || {
            BUILT_IN
                .iter()
                .find(|(name, ..)| *name == model)
                .map(|(_, input, output)| (*input, *output))
        };
        configured.or_else(|| if self.built_in { built_in() } else { None })
    }
}

/// `gpt-4o-mini` of `gpt-4o-mini-2024-07-18`: requests name the model, answers its edition.
fn without_date(model: &str) -> Option<&str> {
    const DATE: &str = "-0000-00-00";
    let (name, date) = model.split_at_checked(model.len().checked_sub(DATE.len())?)?;
    let is_date = date
        .chars()
        .zip(DATE.chars())
        .all(|(c, form)| if form == '0' { c.is_ascii_digit() } else { c == form });
    (is_date && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_known_only_where_the_price_is() {
        let prices = Prices::built_in();
        let cost = prices
            .cost_usd("gpt-4o-mini-2024-07-18", 1_000_000, 500_000)
            .expect("a price");
        assert!((cost - 0.45).abs() < 1e-9, "{cost}");
        assert_eq!(prices.cost_usd("gpt-4o-mini-2024-07", 1, 1), None);
        assert_eq!(prices.cost_usd("llama3.1", 1, 1), None);
        assert_eq!(prices.cost_usd("é-0000-00-0", 1, 1), None);

        let configured = Map::from([
            (
                "llama3.1".to_owned(),
                Value::List(vec![Value::Int(0), Value::Float(0.5)]),
            ),
            ("broken".to_owned(), Value::Int(3)),
        ]);
        let elsewhere = Prices {
            configured,
            built_in: false,
        };
        assert_eq!(elsewhere.cost_usd("llama3.1", 7, 2_000_000), Some(1.0));
        assert_eq!(elsewhere.cost_usd("broken", 1, 1), None);
        assert_eq!(
            elsewhere.cost_usd("gpt-4o-mini", 1, 1),
            None,
            "a namesake on another server"
        );
    }
}
