//! Tables as aligned text and as Markdown. Pure.

use std::collections::BTreeSet;

use unicode_width::UnicodeWidthStr;

use crate::effect::Failure;
use crate::namespaces::options::{BadOption, Options};
use crate::namespaces::text::shape::{Align, Cut, one_line, pad, truncate};
use crate::value::Value;

/// The most rows of a table for people.
pub const ROWS_MAX: usize = 5_000;
/// The most columns.
const COLUMNS_MAX: usize = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Markdown,
}

/// A table whose cells are texts of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Columns of numbers stand to the right.
    pub is_number: Vec<bool>,
}

impl Table {
    /// From rows that are maps, and the fields to show: all of them when nothing is said.
    pub fn of(rows: &[Value], columns: Option<Vec<Column>>, cell_chars: usize) -> Result<Table, Failure> {
        let invalid = |message: String| Failure::new("TABLE_INVALID", message);
        if rows.len() > ROWS_MAX {
            let count = rows.len();
            return Err(invalid(format!(
                "the table has {count} rows; at most {ROWS_MAX} are shown; leave some out"
            )));
        }
        if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.as_map().is_none()) {
            return Err(invalid(format!(
                "row {index} of the table is {}; each row is a map",
                row.kind()
            )));
        }
        let maps = || rows.iter().filter_map(Value::as_map);
        let columns = columns.unwrap_or_else(|| {
            let names: BTreeSet<&String> = maps().flat_map(|row| row.keys()).collect();
            names
                .into_iter()
                .map(|name| Column {
                    field: name.clone(),
                    title: name.clone(),
                })
                .collect()
        });
        if columns.len() > COLUMNS_MAX {
            let count = columns.len();
            return Err(invalid(format!(
                "the table has {count} columns; at most {COLUMNS_MAX} are shown; choose some"
            )));
        }
        let values = |column: &Column| {
            maps()
                .map(move |row| row.get(&column.field).unwrap_or(&Value::Unit))
                .collect::<Vec<_>>()
        };
        let is_number = |column: &Column| {
            let values = values(column);
            let mut there = values.iter().filter(|value| !value.is_unit()).peekable();
            there.peek().is_some() && there.all(|value| value.as_float().is_some())
        };
        let cut = |text: &str| truncate(&one_line(text), cell_chars, &Cut::default());
        let cell =
            |row: &crate::value::Map, column: &Column| cut(&written(row.get(&column.field).unwrap_or(&Value::Unit)));
        Ok(Table {
            head: columns.iter().map(|column| cut(&column.title)).collect(),
            rows: maps()
                .map(|row| columns.iter().map(|column| cell(row, column)).collect())
                .collect(),
            is_number: columns.iter().map(is_number).collect(),
        })
    }

    pub fn write(&self, form: Form) -> String {
        match form {
            Form::Text => self.text(),
            Form::Markdown => self.markdown(),
        }
    }

    /// The width of each column, at least `least`.
    fn widths(&self, least: usize, cell: impl Fn(&str) -> String) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]).chain([&self.head[column]]);
            cells.map(|text| cell(text).width()).max().unwrap_or(0).max(least)
        };
        (0..self.head.len()).map(width).collect()
    }

    fn text(&self) -> String {
        if self.head.is_empty() {
            return String::new();
        }
        let widths = self.widths(1, str::to_owned);
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        let line = |cells: &[String]| {
            let cells = cells
                .iter()
                .enumerate()
                .map(|(column, text)| self.aligned(text, column, widths[column]));
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        };
        let head = [line(&self.head), line(&rule)];
        head.into_iter().chain(self.rows.iter().map(|row| line(row))).collect()
    }

    fn markdown(&self) -> String {
        if self.head.is_empty() {
            return String::new();
        }
        // A bar would end the cell, and a tag would be one.
        let escape = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
        let widths = self.widths(3, escape);
        let line = |cells: &[String]| {
            let cells = cells
                .iter()
                .enumerate()
                .map(|(column, text)| self.aligned(&escape(text), column, widths[column]));
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule = widths
            .iter()
            .zip(&self.is_number)
            .map(|(width, is_number)| match is_number {
                true => format!("{}:", "-".repeat(width - 1)),
                false => "-".repeat(*width),
            });
        let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
        [line(&self.head), rule]
            .into_iter()
            .chain(self.rows.iter().map(|row| line(row)))
            .collect()
    }

    fn aligned(&self, text: &str, column: usize, width: usize) -> String {
        let align = if self.is_number[column] {
            Align::Right
        } else {
            Align::Left
        };
        pad(text, width, align, ' ')
    }
}

/// A field and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub field: String,
    pub title: String,
}

impl Column {
    /// The option `columns`: names of fields, or maps `#{ field, title }`.
    pub fn read(options: &mut Options) -> Result<Option<Vec<Column>>, BadOption> {
        let Some(list) = options.list("columns")? else {
            return Ok(None);
        };
        let wanted = "an array of fields' names, or of maps `#{ field, title }`";
        let column = |given: &Value| {
            let field = given.as_str().or_else(|| given.get("field").and_then(Value::as_str));
            let field = field.ok_or_else(|| options.kind("columns", given, wanted))?;
            let title = given.get("title").and_then(Value::as_str).unwrap_or(field);
            Ok(Column {
                field: field.to_owned(),
                title: title.to_owned(),
            })
        };
        list.iter().map(column).collect::<Result<_, _>>().map(Some)
    }
}

/// A cell for people.
fn written(value: &Value) -> String {
    match value {
        Value::Unit => String::new(),
        Value::Text(text) => text.clone(),
        Value::Bool(truth) => if *truth { "yes" } else { "no" }.to_owned(),
        // Nobody reads seventeen digits.
        Value::Float(number) if number.is_finite() && number.abs() < 1e15 => {
            let text = format!("{number:.4}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            if text == "-0" { "0".to_owned() } else { text.to_owned() }
        }
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(rows: serde_json::Value, form: Form) -> String {
        let rows = Value::from_json(rows);
        Table::of(rows.as_list().expect("rows"), None, 40)
            .expect("a table")
            .write(form)
    }

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let rows = json!([
            {"title": "Three habits", "views": 1200, "share": 0.5},
            {"title": "日本 | <b>\nx", "views": 80, "ok": true},
            {"title": "x".repeat(60)},
        ]);
        let lines = |form| table(rows.clone(), form).lines().map(str::to_owned).collect::<Vec<_>>();
        let rule = "─".repeat(40);
        assert_eq!(
            lines(Form::Text),
            [
                format!("ok   share  title{}views", " ".repeat(37)),
                format!("───  ─────  {rule}  ─────"),
                format!("       0.5  Three habits{}1200", " ".repeat(31)),
                format!("yes         日本 | <b> x{}80", " ".repeat(33)),
                format!("            {}…", "x".repeat(39)),
            ]
        );
        let markdown = lines(Form::Markdown);
        assert!(markdown[1].starts_with("| --- | ----: | ----"), "{}", markdown[1]);
        assert!(
            markdown[3].starts_with("| yes |       | 日本 \\| &lt;b> x  "),
            "{}",
            markdown[3]
        );
        assert_eq!(table(json!([]), Form::Text), "");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let refusal = |rows: &[Value]| Table::of(rows, None, 40).expect_err("refused").to_string();
        assert_eq!(
            refusal(&[Value::Int(1)]),
            "TABLE_INVALID: row 0 of the table is int; each row is a map"
        );
        let row = Value::Map(Default::default());
        assert!(refusal(&vec![row; ROWS_MAX + 1]).contains("5001 rows"));
    }
}
