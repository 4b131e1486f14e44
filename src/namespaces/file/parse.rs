//! CSV and JSON out of a text. Pure; every fault names the line.
//!
//! Cells of a CSV stay texts: what looks like a number may be an account, a zip code or a phone, and loses its zeros
//! when it is read as one.

use crate::effect::Failure;
use crate::value::{Map, VALUE_DEPTH_MAX, Value};

/// The most rows of a CSV, its header not counted.
pub const CSV_ROWS_MAX: usize = 100_000;
/// The most cells of a CSV.
pub const CSV_CELLS_MAX: usize = 1_000_000;
/// The most values in a JSON text, however deep they lie.
pub const JSON_VALUES_MAX: usize = 1_000_000;

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFault {
    #[error("line {line}, column {column}: {reason}")]
    Json { line: usize, column: usize, reason: String },
    #[error(
        "line {line}, column {column}: JSON nests deeper than {VALUE_DEPTH_MAX} levels here; at most {VALUE_DEPTH_MAX} are read"
    )]
    JsonTooDeep { line: usize, column: usize },
    #[error("line {line}: JSON has more than {JSON_VALUES_MAX} values up to here; split the file")]
    JsonTooMany { line: usize },
    #[error("line {line}: {reason}")]
    Csv { line: u64, reason: String },
    #[error("line {line}: CSV has more than {count_max} {what} up to here; split the file")]
    CsvTooMany {
        line: u64,
        what: &'static str,
        count_max: usize,
    },
    #[error(
        "the delimiter is {0:?}; one character such as \",\", \";\" or a tab is needed, and no quote or line break"
    )]
    CsvDelimiter(String),
}

impl ParseFault {
    /// The stable name of this fault.
    pub fn code(&self) -> &'static str {
        match self {
            ParseFault::Json { .. } | ParseFault::JsonTooDeep { .. } | ParseFault::JsonTooMany { .. } => "JSON_INVALID",
            ParseFault::Csv { .. } | ParseFault::CsvTooMany { .. } => "CSV_INVALID",
            ParseFault::CsvDelimiter(_) => "CSV_DELIMITER_INVALID",
        }
    }
}

impl From<ParseFault> for Failure {
    fn from(fault: ParseFault) -> Failure {
        Failure::new(fault.code(), fault.to_string())
    }
}

/// How a CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    delimiter: u8,
    header: bool,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            delimiter: b',',
            header: true,
        }
    }
}

impl CsvOptions {
    /// Cells are parted by `delimiter`; with a `header` the first row names the fields of all others.
    pub fn new(delimiter: &str, header: bool) -> Result<CsvOptions, ParseFault> {
        match delimiter.as_bytes() {
            [delimiter] if delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\n' | b'\r' | 0) => Ok(CsvOptions {
                delimiter: *delimiter,
                header,
            }),
            _ => Err(ParseFault::CsvDelimiter(delimiter.chars().take(20).collect())),
        }
    }

    pub fn delimiter(self) -> u8 {
        self.delimiter
    }
}

/// The rows of a CSV: maps by the names in its header, or lists where it has none.
pub fn csv_to_value(text: &str, options: CsvOptions) -> Result<Value, ParseFault> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some(line) = unclosed_quote(text, options.delimiter) {
        return Err(ParseFault::Csv {
            line,
            reason: "a quote is opened here and never closed".to_owned(),
        });
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(options.delimiter)
        .has_headers(options.header)
        .from_reader(text.as_bytes());
    let header = if options.header {
        Some(header(&mut reader)?)
    } else {
        None
    };
    let (mut rows, mut cells) = (Vec::new(), 0);
    for record in reader.records() {
        let record = record.map_err(csv_fault)?;
        let line = record.position().map_or(0, csv::Position::line);
        cells += record.len();
        for (what, count, count_max) in [("rows", rows.len() + 1, CSV_ROWS_MAX), ("cells", cells, CSV_CELLS_MAX)] {
            if count > count_max {
                return Err(ParseFault::CsvTooMany { line, what, count_max });
            }
        }
        let values = record.iter().map(Value::from);
        rows.push(match &header {
            Some(names) => Value::Map(names.iter().cloned().zip(values).collect::<Map>()),
            None => Value::List(values.collect()),
        });
    }
    Ok(Value::List(rows))
}

/// The names of the fields: each there, and each once.
fn header(reader: &mut csv::Reader<&[u8]>) -> Result<Vec<String>, ParseFault> {
    let record = reader.headers().map_err(csv_fault)?;
    let line = record.position().map_or(1, csv::Position::line);
    let mut names: Vec<String> = Vec::new();
    for (index, name) in record.iter().enumerate() {
        let name = name.trim();
        let column = index + 1;
        let reason = if name.is_empty() {
            format!("column {column} has no name in the header; name it, or read the file without a header")
        } else if let Some(first) = names.iter().position(|earlier| earlier == name) {
            format!(
                "columns {} and {column} are both called {name:?}; rename one of them",
                first + 1
            )
        } else {
            names.push(name.to_owned());
            continue;
        };
        return Err(ParseFault::Csv { line, reason });
    }
    Ok(names)
}

fn csv_fault(error: csv::Error) -> ParseFault {
    let line = error.position().map_or(0, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells, but the first row has {expected_len}")
        }
        _ => error.to_string(),
    };
    ParseFault::Csv { line, reason }
}

/// The line of a quote that is opened at the beginning of a cell and never closed: the reader would take all that
/// follows for one cell.
fn unclosed_quote(text: &str, delimiter: u8) -> Option<u64> {
    let (mut line, mut opened, mut at_start) = (1, None, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, opened) {
            (b'"', None) if at_start => opened = Some(line),
            (b'"', Some(_)) if bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            (b'"', Some(_)) => opened = None,
            _ => {}
        }
        line += u64::from(byte == b'\n');
        at_start = opened.is_none() && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    opened
}

/// The value of a JSON text. Of two fields with one name the later counts.
pub fn json_to_value(text: &str) -> Result<Value, ParseFault> {
    let text = text.trim_start_matches('\u{feff}');
    check_json_size(text)?;
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = said.strip_suffix(&place).unwrap_or(&said).to_owned();
        ParseFault::Json {
            line: error.line(),
            column: error.column(),
            reason,
        }
    })?;
    Ok(Value::from_json(json))
}

/// Counts levels and values before any is made.
fn check_json_size(text: &str) -> Result<(), ParseFault> {
    let (mut depth, mut count, mut line, mut line_start) = (0_usize, 0_usize, 1, 0);
    let mut in_string = false;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\n' => {
                line += 1;
                line_start = at + 1;
            }
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                count += 1;
                if depth > VALUE_DEPTH_MAX {
                    return Err(ParseFault::JsonTooDeep {
                        line,
                        column: at - line_start + 1,
                    });
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => count += 1,
            _ => {}
        }
        if count > JSON_VALUES_MAX {
            return Err(ParseFault::JsonTooMany { line });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csv(text: &str) -> Result<String, String> {
        csv_to_value(text, CsvOptions::default())
            .map(|value| value.to_string())
            .map_err(|fault| fault.to_string())
    }

    fn json(text: &str) -> Result<String, String> {
        json_to_value(text)
            .map(|value| value.to_string())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn rows_become_maps_by_the_header_and_cells_stay_texts() {
        assert_eq!(
            csv("\u{feff}id,title\r\n007,\"a, \"\"b\"\"\nc\"\n\n8,\n").unwrap(),
            r#"[{"id":"007","title":"a, \"b\"\nc"},{"id":"8","title":""}]"#
        );
        assert_eq!(csv("").unwrap(), "[]");
        assert_eq!(csv("id,title\n").unwrap(), "[]");
    }

    #[test]
    fn without_a_header_rows_become_lists() {
        let options = CsvOptions::new(";", false).unwrap();
        assert_eq!(
            csv_to_value("a;b\nc;d", options).unwrap().to_string(),
            r#"[["a","b"],["c","d"]]"#
        );
        assert_eq!(CsvOptions::new("\t", true).unwrap().delimiter, b'\t');
        for delimiter in ["", ",,", "\"", "\n", "ä"] {
            assert_eq!(
                CsvOptions::new(delimiter, true).unwrap_err().code(),
                "CSV_DELIMITER_INVALID"
            );
        }
    }

    #[test]
    fn a_fault_in_a_csv_names_its_line() {
        assert_eq!(
            csv("a,b\n1,2\n1,2,3").unwrap_err(),
            "line 3: the row has 3 cells, but the first row has 2"
        );
        assert_eq!(
            csv("a,b\n\"x\ny\",2\n1").unwrap_err(),
            "line 4: the row has 1 cells, but the first row has 2"
        );
        assert_eq!(
            csv("a,b\n1,2\n3,\"4\n5,6\n").unwrap_err(),
            "line 3: a quote is opened here and never closed"
        );
        assert_eq!(
            csv("a,b,a").unwrap_err(),
            "line 1: columns 1 and 3 are both called \"a\"; rename one of them"
        );
        assert!(csv("a,,b").unwrap_err().starts_with("line 1: column 2 has no name"));
        assert_eq!(csv("a,b\n5\" tall,\"6\"").unwrap(), r#"[{"a":"5\" tall","b":"6"}]"#);
    }

    #[test]
    fn a_csv_beyond_its_limits_is_refused() {
        let long = format!("a\n{}", "1\n".repeat(CSV_ROWS_MAX + 1));
        assert_eq!(
            csv(&long).unwrap_err(),
            "line 100002: CSV has more than 100000 rows up to here; split the file"
        );
        assert!(csv(&long[..long.len() - 2]).is_ok());
        let wide = format!("{}\n", "1,".repeat(1999)).repeat(501);
        let fault = csv_to_value(&wide, CsvOptions::new(",", false).unwrap()).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 501: CSV has more than 1000000 cells up to here; split the file"
        );
    }

    #[test]
    fn a_fault_in_json_names_its_line_and_column() {
        assert_eq!(
            json("{\"a\": 1,\n \"b\": }").unwrap_err(),
            "line 2, column 7: expected value"
        );
        assert_eq!(json("").unwrap_err(), "line 1, column 0: EOF while parsing a value");
        assert_eq!(json("[1] 2").unwrap_err(), "line 1, column 5: trailing characters");
        assert_eq!(
            json("\u{feff}{\"n\": 18446744073709551616}").unwrap(),
            r#"{"n":1.8446744073709552e+19}"#
        );
    }

    #[test]
    fn json_may_be_as_deep_as_a_value_and_no_deeper() {
        let nested = |depth: usize| format!("\n {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&nested(VALUE_DEPTH_MAX)).is_ok());
        let fault = json(&nested(VALUE_DEPTH_MAX + 1)).unwrap_err();
        assert!(
            fault.starts_with("line 2, column 66: JSON nests deeper than 64 levels"),
            "{fault}"
        );
        assert!(json(&"[".repeat(1_000_000)).is_err());
        assert!(json(&format!("{{\"a\": \"{}\"}}", "\\\"[".repeat(100))).is_ok());
    }

    #[test]
    fn json_with_more_values_than_the_limit_is_refused() {
        let fault = json(&format!("[{}1]", "1,".repeat(JSON_VALUES_MAX))).unwrap_err();
        assert!(
            fault.starts_with("line 1: JSON has more than 1000000 values"),
            "{fault}"
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parsers(text in "[\\[\\]{}\",:\\\\\n\r;a1 ä]{0,60}") {
            json_to_value(&text).ok();
            csv_to_value(&text, CsvOptions::default()).ok();
        }

        #[test]
        fn a_csv_written_by_the_book_reads_back(rows in proptest::collection::vec(proptest::collection::vec("[a\",\n\r ;ä]{0,6}", 3), 1..6)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read = csv_to_value(&text, CsvOptions::new(",", false).unwrap()).unwrap();
            let expected = rows.iter().map(|row| Value::List(row.iter().map(|cell| Value::from(cell.as_str())).collect()));
            prop_assert_eq!(read, Value::List(expected.collect()));
        }
    }
}
