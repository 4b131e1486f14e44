//! `csv::` — tables as text, read and written. Pure: nothing is journaled.
//!
//! Cells are texts unless a column is said to hold numbers: what looks like a number may be an account or a phone. What
//! reads is shared with `file::read_csv` ([`super::file::parse`]).

use std::collections::BTreeSet;

use rhai::plugin::*;
use rhai::{Array, Map};

use super::file::parse::{CsvOptions, csv_to_value};
use super::options::{BadOption, Options};
use crate::effect::Failure;
use crate::script::value::to_dynamic;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

/// How a cell begins that spreadsheets take for a formula (OWASP, "CSV Injection").
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the rows of a CSV text with a header, as an array of maps by the names in the header. Cells are strings.
    ///
    /// - `text`: cells parted by commas, as RFC 4180 describes; up to 10,000 rows.
    ///
    /// Errors: `CSV_INVALID`, with the line, `LIMIT_SIZE` beyond 10,000 rows.
    ///
    /// ```rhai
    /// let rows = csv::parse("id,title\n007,\"Stop, now\"\n"); // => [#{ id: "007", title: "Stop, now" }]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse(ctx: NativeCallContext, text: &str) -> ScriptResult {
        ctx.check(csv_to_value(text, CsvOptions::default()).map(to_dynamic))
    }

    /// Returns the rows of a CSV text, as an array of maps by the names in its header, or of arrays where it has none.
    ///
    /// - `text`: up to 10,000 rows.
    /// - `options`: `delimiter`, one character (preset a comma); `header`, whether the first row names the fields (preset
    ///   true); `numbers`, the names of columns whose cells are read as numbers, whole where they are whole, and empty ones
    ///   as `()`.
    ///
    /// Errors: `CSV_INVALID`, with the line, also for a cell that is no number; `CSV_DELIMITER_INVALID`, `LIMIT_SIZE`,
    /// `UNKNOWN_OPTION`, `BAD_OPTION`.
    ///
    /// ```rhai
    /// let rows = csv::parse("day;views\nmo;120\ntu;\n", #{ delimiter: ";", numbers: ["views"] });
    /// rows // => [#{ day: "mo", views: 120 }, #{ day: "tu", views: () }]
    /// ```
    #[rhai_fn(name = "parse", return_raw)]
    pub fn parse_with(ctx: NativeCallContext, text: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("csv::parse", &options))?;
        let delimiter = ctx.check(options.string("delimiter"))?;
        let header = ctx.check(options.bool("header"))?.unwrap_or(true);
        let numbers = ctx.check(names(&mut options, "numbers"))?.unwrap_or_default();
        if !header && !numbers.is_empty() {
            return ctx.check(Err(
                options.conflict("`numbers` names columns, and without a header there are no names")
            ));
        }
        ctx.check(options.finish())?;
        let form = ctx.check(CsvOptions::new(delimiter.as_deref().unwrap_or(","), header))?;
        let rows = ctx.check(csv_to_value(text, form))?;
        ctx.check(with_numbers(rows, &numbers).map(to_dynamic))
    }

    /// Returns rows as a CSV text with a header: the fields of all rows, in the order of their names.
    ///
    /// `()` and a missing field become an empty cell, maps and arrays JSON. A text that a spreadsheet would take for a
    /// formula (it begins with `=`, `+`, `-`, `@` or a tab, and is no number) has `'` put before it.
    ///
    /// - `rows`: an array of maps; or of arrays, then without a header.
    ///
    /// Errors: `TYPE` for a row of another kind, `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let text = csv::write([#{ title: "Stop, now", views: 120 }, #{ title: "=1+1" }]); // => "title,views\n\"Stop, now\",120\n'=1+1,\n"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write(ctx: NativeCallContext, rows: Array) -> ScriptResult {
        let rows = ctx.value(&Dynamic::from_array(rows))?;
        ctx.check(written(&rows, &Form::default()).map(Dynamic::from))
    }

    /// Returns rows as a CSV text, with options.
    ///
    /// - `rows`: an array of maps or of arrays.
    /// - `options`: `columns`, the fields that are written, in this order, or what the columns of arrays are called;
    ///   `header` (preset true, where there are names); `delimiter`, one character (preset a comma); `guard`, whether what
    ///   looks like a formula has `'` put before it (preset true: switch it off only for programs that read it back);
    ///   `bom`, whether a byte order mark stands first, which Excel needs to see that it is UTF-8 (preset false).
    ///
    /// Errors: `TYPE`, `CSV_DELIMITER_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`, `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let rows = [#{ id: 7, title: "Three habits", state: "ready" }];
    /// let text = csv::write(rows, #{ columns: ["title", "id"], delimiter: ";" }); // => "title;id\nThree habits;7\n"
    /// ```
    #[rhai_fn(name = "write", return_raw)]
    pub fn write_with(ctx: NativeCallContext, rows: Array, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("csv::write", &options))?;
        let delimiter = ctx
            .check(options.string("delimiter"))?
            .unwrap_or_else(|| ",".to_owned());
        let form = Form {
            columns: ctx.check(names(&mut options, "columns"))?,
            header: ctx.check(options.bool("header"))?.unwrap_or(true),
            delimiter: ctx.check(CsvOptions::new(&delimiter, true))?.delimiter(),
            guard: ctx.check(options.bool("guard"))?.unwrap_or(true),
            bom: ctx.check(options.bool("bom"))?.unwrap_or(false),
        };
        ctx.check(options.finish())?;
        let rows = ctx.value(&Dynamic::from_array(rows))?;
        ctx.check(written(&rows, &form).map(Dynamic::from))
    }
}

/// How a table is written.
#[derive(Clone, Debug)]
pub struct Form {
    pub columns: Option<Vec<String>>,
    pub header: bool,
    pub delimiter: u8,
    pub guard: bool,
    pub bom: bool,
}

impl Default for Form {
    fn default() -> Form {
        Form {
            columns: None,
            header: true,
            delimiter: b',',
            guard: true,
            bom: false,
        }
    }
}

/// An option that is an array of names.
fn names(options: &mut Options, option: &'static str) -> Result<Option<Vec<String>>, BadOption> {
    let Some(list) = options.list(option)? else {
        return Ok(None);
    };
    let names = list.iter().map(|name| name.as_str().map(str::to_owned));
    let names: Option<Vec<String>> = names.collect();
    let wanted = "an array of the names of columns";
    names
        .map(Some)
        .ok_or_else(|| options.kind(option, &Value::List(list), wanted))
}

/// The rows with the cells of some columns as numbers.
fn with_numbers(rows: Value, columns: &[String]) -> Result<Value, Failure> {
    let Value::List(mut rows) = rows else { return Ok(rows) };
    for (index, row) in rows.iter_mut().enumerate() {
        let Value::Map(row) = row else { continue };
        for column in columns {
            let fault =
                |what: String| Failure::new("CSV_INVALID", format!("row {} below the header: {what}", index + 1));
            let missing = || fault(format!("there is no column {column:?}, which was to hold numbers"));
            let cell = row.get_mut(column).ok_or_else(missing)?;
            let text = cell.as_str().unwrap_or_default().trim();
            let float = || {
                text.parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
                    .map(Value::Float)
            };
            let number = match text {
                "" => Some(Value::Unit),
                text => text.parse().ok().map(Value::Int).or_else(float),
            };
            let shown: String = text.chars().take(40).collect();
            *cell = number.ok_or_else(|| fault(format!("{shown:?} in the column {column:?} is no number")))?;
        }
    }
    Ok(Value::List(rows))
}

/// Rows as CSV.
pub fn written(rows: &Value, form: &Form) -> Result<String, Failure> {
    let rows = rows.as_list().unwrap_or_default();
    let columns = form.columns.clone().or_else(|| columns_of(rows));
    let mut writer = csv::WriterBuilder::new()
        .delimiter(form.delimiter)
        .flexible(true)
        .from_writer(Vec::new());
    let unwritten = "memory takes all that is written";
    if let Some(columns) = columns.as_ref().filter(|columns| form.header && !columns.is_empty()) {
        let names = columns.iter().map(|name| cell(&Value::from(name.as_str()), form.guard));
        writer.write_record(names).expect(unwritten);
    }
    for (index, row) in rows.iter().enumerate() {
        let record: Vec<String> = match row {
            Value::Map(row) => {
                let columns = columns.iter().flatten();
                columns
                    .map(|name| row.get(name).map_or(String::new(), |value| cell(value, form.guard)))
                    .collect()
            }
            Value::List(row) => row.iter().map(|value| cell(value, form.guard)).collect(),
            other => {
                let message = format!("a row is a map or an array, and row {index} is {}", other.kind());
                return Err(Failure::new("TYPE", message));
            }
        };
        if !record.is_empty() {
            writer.write_record(record).expect(unwritten);
        }
    }
    let bytes = writer.into_inner().expect(unwritten);
    let text = String::from_utf8(bytes).expect("cells are texts");
    Ok(if form.bom { format!("\u{feff}{text}") } else { text })
}

/// The fields of all rows that are maps, by name.
fn columns_of(rows: &[Value]) -> Option<Vec<String>> {
    let names: BTreeSet<&String> = rows
        .iter()
        .filter_map(Value::as_map)
        .flat_map(|row| row.keys())
        .collect();
    (!names.is_empty()).then(|| names.into_iter().cloned().collect())
}

fn cell(value: &Value, guard: bool) -> String {
    match value {
        Value::Unit => String::new(),
        Value::Text(text) if guard && is_formula(text) => format!("'{text}"),
        Value::Text(text) => text.clone(),
        // NaN and infinities are no values of a table.
        Value::Float(number) if !number.is_finite() => String::new(),
        Value::Blob(_) => value.to_string().trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}

/// Whether a spreadsheet would take a text for a formula.
fn is_formula(text: &str) -> bool {
    text.starts_with(FORMULA_STARTS) && text.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::TestHost;

    fn text(rows: &str, form: &Form) -> String {
        let rows = super::super::file::parse::json_to_value(rows).expect("JSON");
        written(&rows, form).expect("rows")
    }

    #[test]
    fn maps_have_their_fields_in_the_same_columns_and_gaps_are_empty() {
        assert_eq!(
            text(
                r#"[{"b": 1, "a": "x"}, {"c": [1, {"d": null}], "a": null}, {"b": 2.5}]"#,
                &Form::default()
            ),
            "a,b,c\nx,1,\n,,\"[1,{\"\"d\"\":null}]\"\n,2.5,\n"
        );
        assert_eq!(text("[]", &Form::default()), "");
        let columns = Some(vec!["z".to_owned()]);
        assert_eq!(
            text(
                "[]",
                &Form {
                    columns: columns.clone(),
                    ..Form::default()
                }
            ),
            "z\n"
        );
        assert_eq!(
            text(
                r#"[["a", 1], ["b"]]"#,
                &Form {
                    columns,
                    ..Form::default()
                }
            ),
            "z\na,1\nb\n"
        );
        assert_eq!(
            text(
                "[[1]]",
                &Form {
                    bom: true,
                    ..Form::default()
                }
            ),
            "\u{feff}1\n"
        );
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_quoted_and_numbers_are_not() {
        let cells = r#"[["=1", "+49 30", "-x", "@a", "\tx", "-5", -5, "+1.5", "a=b", ""]]"#;
        assert_eq!(
            text(cells, &Form::default()),
            "'=1,'+49 30,'-x,'@a,'\tx,-5,-5,+1.5,a=b,\n"
        );
        assert_eq!(text(r#"[{"=x": "=1"}]"#, &Form::default()), "'=x\n'=1\n");
        assert_eq!(
            text(
                r#"[["=1"]]"#,
                &Form {
                    guard: false,
                    ..Form::default()
                }
            ),
            "=1\n"
        );
    }

    #[test]
    fn refusals_name_the_row_and_the_column() {
        let host = TestHost::default();
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"csv::parse("a,b\n1,2\n1,x", #{ numbers: ["a", "b"] })"#),
            "CSV_INVALID: row 2 below the header: \"x\" in the column \"b\" is no number"
        );
        assert_eq!(
            refusal(r#"csv::parse("a\n1", #{ numbers: ["b"] })"#),
            "CSV_INVALID: row 1 below the header: there is no column \"b\", which was to hold numbers"
        );
        assert_eq!(
            refusal("csv::write([#{}, 1])"),
            "TYPE: a row is a map or an array, and row 1 is int"
        );
        assert_eq!(
            refusal(r#"csv::write([], #{ columns: [1] })"#),
            "BAD_OPTION: the option `columns` of `csv::write` is an array; an array of the names of columns is expected"
        );
        let numbers = host
            .run(r#"csv::parse("a\n 1 \n-2.50\n1e3\n9223372036854775808\n", #{ numbers: ["a"] }).map(|row| row.a)"#);
        assert_eq!(numbers.value().to_string(), "[1,-2.5,1000.0,9.223372036854776e+18]");
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(rows in proptest::collection::vec(proptest::collection::vec("[a\",;\n\r 'ä=-]{0,5}", 3), 1..8), semicolon: bool) {
            let names = ["x", "y", "z"];
            let maps = rows.iter().map(|row| Value::Map(names.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), Value::from(cell.as_str()))).collect()));
            let maps = Value::List(maps.collect());
            let delimiter = if semicolon { ";" } else { "," };
            let form = Form { guard: false, delimiter: delimiter.as_bytes()[0], ..Form::default() };
            let text = written(&maps, &form).unwrap();
            prop_assert_eq!(csv_to_value(&text, CsvOptions::new(delimiter, true).unwrap()).unwrap(), maps);
        }

        #[test]
        fn a_guarded_table_has_no_cell_that_computes(cell in "[=+@\t\r-]?[a-z(]{0,6}") {
            let text = written(&Value::List(vec![Value::List(vec![cell.as_str().into(), "x".into()])]), &Form::default()).unwrap();
            let read = csv_to_value(&text, CsvOptions::new(",", false).unwrap()).unwrap();
            let Some(Value::List(row)) = read.as_list().and_then(|rows| rows.first().cloned()) else { panic!("a row") };
            prop_assert!(!row[0].as_str().unwrap().starts_with(FORMULA_STARTS));
        }
    }
}
