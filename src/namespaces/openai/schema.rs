//! JSON schemas: checking data against one, and making up data that satisfies one.
//!
//! Made-up data is guessed keyword by keyword and then checked as a whole, so what is not guessed right (a `pattern`, a
//! `not`) is an error, never wrong data.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value as Json, json};

use super::simulate::MARK;

/// How deep made-up data nests before it stops offering what is not required.
const FULL_LEVELS: usize = 8;
/// How deep it nests at all.
const LEVELS_MAX: usize = 32;
/// How often another guess is made when one does not satisfy the schema.
const GUESSES_MAX: u64 = 16;
/// How many values one guess may be made of: schemas that refer to themselves grow quickly.
const VALUES_MAX: usize = 5_000;
/// The longest text and array that are made up.
const CHARS_MAX: u64 = 20_000;
const ITEMS_MAX: u64 = 500;

/// Texts for a `pattern`, the commonest first.
const CANDIDATES: [&str; 14] = [
    "simulated",
    "Simulated",
    "ABC",
    "a",
    "A",
    "1",
    "12",
    "123",
    "1234",
    "12345",
    "#simulated",
    "#112233",
    "simulated-1",
    "2026-01-01",
];

/// Checks data against `schema`, or says why it is no schema. Nothing outside it is read, and no pattern takes long.
pub fn checker(schema: &Json) -> Result<Validator, String> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| error.to_string())
}

/// Data that satisfies `schema`: `pick(salt, below)` draws the same numbers every time.
pub fn instance(schema: &Json, pick: &dyn Fn(&str, u64) -> u64) -> Result<Json, String> {
    let checker = checker(schema)?;
    let mut complaint = "it allows nothing".to_owned();
    for guess in 0..GUESSES_MAX {
        let mut guesser = Guesser {
            root: schema,
            pick,
            guess,
            values: 0,
        };
        let Some(data) = guesser.value(schema, &mut "$".to_owned(), 0) else {
            complaint = format!("it asks for more than {VALUES_MAX} values or {LEVELS_MAX} levels");
            continue;
        };
        if checker.is_valid(&data) {
            return Ok(data);
        }
        if let Some(error) = checker.iter_errors(&data).next() {
            complaint = format!("{error} at {:?}", error.instance_path().to_string());
        }
    }
    Err(complaint)
}

/// One guess at data for a schema.
struct Guesser<'a> {
    root: &'a Json,
    pick: &'a dyn Fn(&str, u64) -> u64,
    guess: u64,
    values: usize,
}

impl Guesser<'_> {
    fn pick(&self, path: &str, below: u64) -> u64 {
        (self.pick)(&format!("{path} {}", self.guess), below)
    }

    /// `None` when the guess grows beyond its bounds.
    fn value(&mut self, schema: &Json, path: &mut String, level: usize) -> Option<Json> {
        self.values += 1;
        if self.values > VALUES_MAX || level > LEVELS_MAX {
            return None;
        }
        let Json::Object(schema) = schema else {
            return Some(json!(format!("{MARK} anything")));
        };
        let schema = self.resolved(schema, level)?;
        if let Some(value) = schema.get("const") {
            return Some(value.clone());
        }
        if let Some(values) = schema
            .get("enum")
            .and_then(Json::as_array)
            .filter(|values| !values.is_empty())
        {
            return Some(values[self.pick(path, values.len() as u64) as usize].clone());
        }
        match self.kind(&schema, path) {
            "object" => self.object(&schema, path, level),
            "array" => self.array(&schema, path, level),
            "integer" => number(&schema, self.pick(path, 1 << 32), true),
            "number" => number(&schema, self.pick(path, 1 << 32), false),
            "boolean" => Some(json!(self.pick(path, 2) == 1)),
            "null" => Some(Json::Null),
            _ => self.text(&schema, path),
        }
    }

    /// The schema with what it refers to, all that it combines and one of what it leaves open, in one.
    fn resolved(&mut self, schema: &Map<String, Json>, level: usize) -> Option<Map<String, Json>> {
        let mut whole = schema.clone();
        let mut steps = level;
        while steps <= LEVELS_MAX {
            steps += 1;
            let mut parts = Vec::new();
            if let Some(reference) = whole.remove("$ref") {
                let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'))?;
                parts.push(self.root.pointer(pointer)?.clone());
            }
            if let Some(Json::Array(all)) = whole.remove("allOf") {
                parts.extend(all);
            }
            for open in ["anyOf", "oneOf"] {
                if let Some(Json::Array(mut branches)) = whole.remove(open)
                    && !branches.is_empty()
                {
                    // A schema that refers to itself ends where one of its branches does: deep down, the plainest.
                    let chosen = match level < FULL_LEVELS {
                        true => (self.guess as usize) % branches.len(),
                        false => plainest(&branches),
                    };
                    parts.push(branches.swap_remove(chosen));
                }
            }
            if parts.is_empty() {
                return Some(whole);
            }
            for part in parts {
                if let Json::Object(part) = part {
                    merge(&mut whole, part);
                }
            }
        }
        None
    }

    fn kind<'s>(&self, schema: &'s Map<String, Json>, path: &str) -> &'s str {
        let has = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
        match schema.get("type") {
            Some(Json::String(kind)) => kind,
            Some(Json::Array(kinds)) if !kinds.is_empty() => {
                // Null is allowed, but says nothing.
                let telling: Vec<&str> = kinds
                    .iter()
                    .filter_map(Json::as_str)
                    .filter(|kind| *kind != "null")
                    .collect();
                match telling.len() {
                    0 => "null",
                    count => telling[self.pick(path, count as u64) as usize],
                }
            }
            _ if has(&["properties", "required", "additionalProperties"]) => "object",
            _ if has(&["items", "prefixItems", "minItems"]) => "array",
            _ if has(&[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ]) =>
            {
                "number"
            }
            _ => "string",
        }
    }

    fn object(&mut self, schema: &Map<String, Json>, path: &mut String, level: usize) -> Option<Json> {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let required = schema.get("required").and_then(Json::as_array);
        let required: Vec<&str> = required.into_iter().flatten().filter_map(Json::as_str).collect();
        let mut object = Map::new();
        for (name, property) in properties {
            if level < FULL_LEVELS || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.below(property, name, path, level)?);
            }
        }
        let others = schema.get("additionalProperties").cloned().unwrap_or(Json::Bool(true));
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.below(&others, name, path, level)?);
            }
        }
        let least = bound(schema, "minProperties").unwrap_or(0).min(ITEMS_MAX) as usize;
        for number in 1.. {
            if object.len() >= least {
                break;
            }
            let name = format!("field_{number}");
            object.insert(name.clone(), self.below(&others, &name, path, level)?);
        }
        Some(Json::Object(object))
    }

    fn array(&mut self, schema: &Map<String, Json>, path: &mut String, level: usize) -> Option<Json> {
        const USUAL: u64 = 3;
        let least = bound(schema, "minItems").unwrap_or(0);
        let most = bound(schema, "maxItems").unwrap_or(u64::MAX);
        let usual = if level < FULL_LEVELS {
            1 + self.pick(path, USUAL)
        } else {
            0
        };
        let first: &[Json] = schema
            .get("prefixItems")
            .and_then(Json::as_array)
            .map_or(&[], Vec::as_slice);
        let others = schema.get("items").cloned().unwrap_or(Json::Bool(true));
        let ends = matches!(others, Json::Bool(false));
        let count = usual.max(first.len() as u64).max(least).min(most);
        if count > ITEMS_MAX {
            return None;
        }
        let must_differ = schema.get("uniqueItems") == Some(&Json::Bool(true));
        let mut items: Vec<Json> = Vec::new();
        for index in 0..count as usize {
            let wanted = match (first.get(index), schema.get("contains")) {
                (Some(one), _) => one,
                (None, Some(one)) if index == first.len() => one,
                _ if ends => break,
                _ => &others,
            };
            let mut item = self.below(wanted, &index.to_string(), path, level)?;
            for again in 0..GUESSES_MAX {
                if !must_differ || !items.contains(&item) {
                    break;
                }
                item = self.below(wanted, &format!("{index}.{again}"), path, level)?;
            }
            // Fewer that differ may still be enough.
            if !must_differ || !items.contains(&item) {
                items.push(item);
            }
        }
        Some(Json::Array(items))
    }

    fn below(&mut self, schema: &Json, name: &str, path: &mut String, level: usize) -> Option<Json> {
        let length = path.len();
        path.push('.');
        path.push_str(name);
        let value = self.value(schema, path, level + 1);
        path.truncate(length);
        value
    }

    fn text(&self, schema: &Map<String, Json>, path: &str) -> Option<Json> {
        let chance = self.pick(path, 1 << 32);
        let text = match (schema.get("format").and_then(Json::as_str), schema.get("pattern")) {
            (_, Some(_)) => CANDIDATES[(self.guess as usize) % CANDIDATES.len()].to_owned(),
            (Some("date"), _) => format!("2026-01-{:02}", 1 + chance % 28),
            (Some("time"), _) => format!("{:02}:{:02}:00Z", chance % 24, chance % 60),
            (Some("date-time"), _) => format!("2026-01-{:02}T{:02}:00:00Z", 1 + chance % 28, chance % 24),
            (Some("duration"), _) => format!("PT{}S", 1 + chance % 60),
            (Some("email" | "idn-email"), _) => format!("simulated-{}@example.com", chance % 1000),
            (Some("uri" | "iri" | "uri-reference" | "url"), _) => {
                format!("https://example.com/simulated/{}", chance % 1000)
            }
            (Some("hostname" | "idn-hostname"), _) => format!("simulated-{}.example.com", chance % 1000),
            (Some("ipv4"), _) => format!("192.0.2.{}", chance % 256),
            (Some("ipv6"), _) => format!("2001:db8::{:x}", chance % 65_536),
            (Some("uuid"), _) => format!("00000000-0000-4000-8000-{chance:012x}"),
            _ => {
                let name = path
                    .rsplit('.')
                    .find(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))
                    .unwrap_or("value");
                format!("{MARK} {} {}", name.replace(['_', '$'], " ").trim(), chance % 1000).replace("  ", " ")
            }
        };
        let least = bound(schema, "minLength").unwrap_or(0);
        let most = bound(schema, "maxLength").unwrap_or(u64::MAX);
        if least > CHARS_MAX {
            return None;
        }
        let filled = text.chars().chain("…".chars().cycle().take(least as usize));
        let length = (text.chars().count() as u64).max(least).min(most) as usize;
        Some(Json::String(filled.take(length).collect()))
    }
}

/// A number within the schema's bounds.
fn number(schema: &Map<String, Json>, chance: u64, is_whole: bool) -> Option<Json> {
    const SPAN: f64 = 100.0;
    let read = |name: &str| schema.get(name).and_then(Json::as_f64);
    let step = read("multipleOf").filter(|step| *step > 0.0);
    let grain = step.unwrap_or(if is_whole { 1.0 } else { 0.5 });
    // An open bound is left by one grain, or by half of what there is where the bounds are close.
    let (low, high) = (read("minimum"), read("maximum"));
    let (above, below) = (read("exclusiveMinimum"), read("exclusiveMaximum"));
    let low = above
        .into_iter()
        .chain(low)
        .reduce(f64::max)
        .or_else(|| below.or(high).map(|high| high - SPAN))
        .unwrap_or(0.0);
    let high = below.into_iter().chain(high).reduce(f64::min).unwrap_or(low + SPAN);
    let snap = |number: f64| (number / grain).ceil() * grain;
    let mut first = snap(low);
    if above.is_some_and(|above| first <= above) {
        first += grain;
    }
    let fits = ((high - first) / grain).floor();
    let last = if below.is_some_and(|below| first + fits * grain >= below) {
        fits - 1.0
    } else {
        fits
    };
    let number = match last >= 0.0 {
        true => first + (chance % (last.min(SPAN) as u64 + 1)) as f64 * grain,
        false if is_whole || step.is_some() => return None,
        false => low + (high - low) / 2.0,
    };
    Some(match is_whole || number.fract() == 0.0 {
        true if number.abs() < 9e15 => json!(number as i64),
        _ => json!(number),
    })
}

fn bound(schema: &Map<String, Json>, name: &str) -> Option<u64> {
    let number = schema.get(name)?;
    number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|number| *number >= 0.0)
            .map(|number| number as u64)
    })
}

/// The branch that is least likely to lead on.
fn plainest(branches: &[Json]) -> usize {
    let weight = |branch: &Json| match branch["type"].as_str() {
        Some("null") => 0,
        Some("boolean" | "integer" | "number" | "string") => 1,
        _ if branch.get("const").is_some() || branch.get("enum").is_some() => 1,
        Some("array") => 2,
        _ => 3,
    };
    (0..branches.len())
        .min_by_key(|index| weight(&branches[*index]))
        .unwrap_or(0)
}

/// Adds `part` to `whole`, where both must be satisfied.
fn merge(whole: &mut Map<String, Json>, part: Map<String, Json>) {
    for (name, added) in part {
        match (whole.get_mut(&name), added) {
            (Some(Json::Object(present)), Json::Object(added)) if name == "properties" => present.extend(added),
            (Some(Json::Array(present)), Json::Array(added)) if name == "required" || name == "allOf" => {
                present.extend(added)
            }
            (Some(present), added) if name.starts_with("min") || name == "exclusiveMinimum" => {
                if added.as_f64() > present.as_f64() {
                    *present = added;
                }
            }
            (Some(present), added) if name.starts_with("max") || name == "exclusiveMaximum" => {
                if added.as_f64() < present.as_f64() {
                    *present = added;
                }
            }
            (Some(_), _) => {}
            (None, added) => {
                whole.insert(name, added);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Simulation;
    use crate::value::Value;

    fn made_up(schema: &Json, seed: i64) -> Result<Json, String> {
        let args = Value::Int(seed);
        let simulation = Simulation::of("openai.chat", &args);
        instance(schema, &|salt, below| simulation.pick(salt, below))
    }

    fn schemas() -> Vec<Json> {
        vec![
            json!({}),
            json!(true),
            json!({ "const": { "a": [1] } }),
            json!({ "enum": ["a", 2, null] }),
            json!({ "type": "integer", "minimum": 3, "maximum": 3 }),
            json!({ "type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5 }),
            json!({ "type": "integer", "minimum": -7, "multipleOf": 5 }),
            json!({ "type": "integer", "maximum": -1000 }),
            json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.25 }),
            json!({ "type": "number", "minimum": 0, "maximum": 1 }),
            json!({ "type": "string", "minLength": 60, "maxLength": 60 }),
            json!({ "type": "string", "maxLength": 3 }),
            json!({ "type": "string", "maxLength": 0 }),
            json!({ "type": "string", "pattern": "^[a-z]+-[0-9]$" }),
            json!({ "type": "string", "pattern": "^#" }),
            json!({ "type": ["string", "null"] }),
            json!({ "type": "null" }),
            json!({ "type": "array", "items": { "type": "boolean" }, "minItems": 2, "maxItems": 2, "uniqueItems": true }),
            json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": false }),
            json!({ "type": "array", "contains": { "const": 7 }, "minItems": 3 }),
            json!({ "type": "object", "required": ["a", "b"], "additionalProperties": { "type": "integer" } }),
            json!({ "type": "object", "minProperties": 3 }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
            json!({ "oneOf": [{ "type": "integer" }, { "type": "number", "multipleOf": 0.5 }] }),
            json!({ "allOf": [{ "properties": { "a": { "type": "string" } }, "required": ["a"] }, { "required": ["b"] }] }),
            json!({
                "$defs": { "node": {
                    "type": "object", "additionalProperties": false, "required": ["name", "next"],
                    "properties": { "name": { "type": "string" }, "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] } },
                } },
                "$ref": "#/$defs/node",
            }),
            json!({
                "type": "object", "additionalProperties": false, "required": ["title", "hashtags", "score", "at", "kind", "clips"],
                "properties": {
                    "title": { "type": "string", "minLength": 5, "maxLength": 80 },
                    "hashtags": { "type": "array", "items": { "type": "string", "pattern": "^#[a-z]+$" }, "minItems": 1, "maxItems": 5 },
                    "score": { "type": "number", "minimum": 0, "maximum": 1 },
                    "at": { "type": "string", "format": "date-time" },
                    "kind": { "enum": ["short", "long"] },
                    "clips": { "type": "array", "items": {
                        "type": "object", "required": ["from", "to"],
                        "properties": { "from": { "type": "integer", "minimum": 0 }, "to": { "type": "integer", "minimum": 1 } },
                    } },
                },
            }),
        ]
    }

    #[test]
    fn made_up_data_satisfies_its_schema_and_is_always_the_same() {
        for schema in schemas() {
            let checker = checker(&schema).expect("a schema");
            for seed in 0..20 {
                let data = made_up(&schema, seed).unwrap_or_else(|complaint| panic!("{schema}: {complaint}"));
                assert!(checker.is_valid(&data), "{schema}: {data}");
                assert_eq!(made_up(&schema, seed), Ok(data));
            }
        }
    }

    #[test]
    fn a_schema_that_allows_nothing_or_without_end_is_an_error() {
        for schema in [
            json!(false),
            json!({ "type": "integer", "minimum": 2, "maximum": 1 }),
            json!({ "type": "string", "pattern": "^[0-9]{40}$" }),
            json!({ "type": "string", "minLength": 10_000_000 }),
            json!({ "type": "array", "minItems": 1_000_000 }),
            json!({ "$ref": "#" }),
            json!({ "$defs": { "n": { "properties": { "a": { "$ref": "#/$defs/n" }, "b": { "$ref": "#/$defs/n" } }, "required": ["a", "b"] } }, "$ref": "#/$defs/n" }),
        ] {
            assert!(made_up(&schema, 1).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_schema_reads_nothing_outside_itself() {
        for reference in ["https://example.com/schema.json", "file:///etc/passwd", "other.json"] {
            assert!(checker(&json!({ "$ref": reference })).is_err(), "{reference}");
        }
    }
}
