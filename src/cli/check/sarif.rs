//! Findings as SARIF 2.1.0, for services that show them beside code.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use crate::script::findings::{Edit, Finding, Level, Region, lints};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/errors");

/// What cannot stand in the path of an address.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    // It would end a scheme.
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The log of one check.
pub fn log(findings: &[Finding]) -> Value {
    let mut rules: BTreeMap<&str, usize> = findings.iter().map(|finding| (finding.code.as_str(), 0)).collect();
    for (at, index) in rules.values_mut().enumerate() {
        *index = at;
    }
    let described: Vec<Value> = rules.keys().map(|code| rule(code)).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &rules)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": described,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    let page = PAGES
        .get_file(format!("{code}.md"))
        .and_then(|file| file.contents_utf8());
    let mut rule = json!({
        "id": code,
        "defaultConfiguration": { "level": level(lints::level(code)) },
    });
    if let Some(page) = page {
        let body = page.split_once("\n\n").map_or(page, |(_, body)| body).trim();
        let first = body.split("\n\n").next().unwrap_or(body).replace('\n', " ");
        rule["shortDescription"] = json!({ "text": first });
        rule["help"] = json!({ "text": body, "markdown": page });
    }
    rule
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Hint => "note",
        Level::Off => "none",
    }
}

fn result(finding: &Finding, rules: &BTreeMap<&str, usize>) -> Value {
    let text = match &finding.help {
        Some(help) => format!("{}; {help}", finding.message),
        None => finding.message.clone(),
    };
    let related = finding.related.iter().map(|related| {
        let mut location = location(&related.file, Some(related.region));
        location["message"] = json!({ "text": related.message });
        location
    });
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": rules[finding.code.as_str()],
        "level": level(finding.level),
        "message": { "text": text },
        "locations": [location(&finding.file, finding.region)],
    });
    let related: Vec<Value> = related.collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    let fixes = finding.fixes.iter().map(|fix| {
        let mut files: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for edit in &fix.edits {
            files.entry(&edit.file).or_default().push(replacement(edit));
        }
        let changes = files.into_iter().map(
            |(file, replacements)| json!({ "artifactLocation": { "uri": uri(file) }, "replacements": replacements }),
        );
        json!({ "description": { "text": fix.title }, "artifactChanges": changes.collect::<Vec<_>>() })
    });
    let fixes: Vec<Value> = fixes.collect();
    if !fixes.is_empty() {
        result["fixes"] = fixes.into();
    }
    result
}

fn location(file: &str, region: Option<Region>) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(region) = region {
        place["region"] = json!({
            "startLine": region.line,
            "startColumn": region.column,
            "endLine": region.end_line,
            "endColumn": region.end_column,
            "byteOffset": region.start,
            "byteLength": region.end - region.start,
        });
    }
    json!({ "physicalLocation": place })
}

fn replacement(edit: &Edit) -> Value {
    json!({
        "deletedRegion": { "byteOffset": edit.span.start, "byteLength": edit.span.end - edit.span.start },
        "insertedContent": { "text": edit.text },
    })
}

/// The path as an address relative to the project.
fn uri(file: &str) -> String {
    utf8_percent_encode(file, NOT_IN_PATH).to_string()
}
