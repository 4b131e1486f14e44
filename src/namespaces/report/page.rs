//! A whole HTML page in one text: nothing on it is fetched from anywhere, and nothing in it runs. Pure.
//!
//! Everything that a playbook gives is text and is escaped, or Markdown and is sanitised; charts and tables are drawn
//! here. So a comment from the internet can stand on a page and be nothing but a comment.

use super::chart::Chart;
use super::draw;
use super::table::{Column, Table};
use crate::effect::Failure;
use crate::namespaces::options::Options;
use crate::namespaces::text::markup::{escape, markdown_to_html};
use crate::value::{Map, Value};

/// The most sections of a page.
const SECTIONS_MAX: usize = 200;
/// The longest page.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The longest cell of a table.
const CELL_CHARS: usize = 500;

const STYLE: &str = include_str!("page.css");

/// The page that `given` describes.
pub fn page(given: Map) -> Result<String, Failure> {
    let mut options = Options::of("report::html", given);
    let title = options.string("title")?.unwrap_or_default();
    let subtitle = options.string("subtitle")?.unwrap_or_default();
    let footer = options.string("footer")?.unwrap_or_default();
    let sections = options.list("sections")?.unwrap_or_default();
    if sections.len() > SECTIONS_MAX {
        let count = sections.len();
        return Err(options
            .conflict(format!("there are {count} sections; at most {SECTIONS_MAX} are shown"))
            .into());
    }
    let maps: Option<Vec<&Map>> = sections.iter().map(Value::as_map).collect();
    let wanted = "an array of maps `#{ heading, text, markdown, table, chart }`";
    let maps = maps.ok_or_else(|| options.kind("sections", &Value::List(sections.clone()), wanted))?;
    options.finish()?;

    let mut body = format!("<h1>{}</h1>\n", escape(&title));
    if !subtitle.is_empty() {
        body.push_str(&format!("<p class=\"subtitle\">{}</p>\n", escape(&subtitle)));
    }
    for given in maps {
        body.push_str(&section(given.clone())?);
        if body.len() > PAGE_BYTES_MAX {
            let message = format!("the page has more than {PAGE_BYTES_MAX} bytes; show less, or on several pages");
            return Err(Failure::new("PAGE_TOO_LARGE", message));
        }
    }
    if !footer.is_empty() {
        body.push_str(&format!("<footer>{}</footer>\n", escape(&footer)));
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(&title)
    ))
}

fn section(given: Map) -> Result<String, Failure> {
    let mut options = Options::of("report::html: section", given);
    let mut html = String::from("<section>\n");
    if let Some(heading) = options.string("heading")? {
        html.push_str(&format!("<h2>{}</h2>\n", escape(&heading)));
    }
    if let Some(text) = options.string("text")? {
        let parts = text.split("\n\n").filter(|part| !part.trim().is_empty());
        parts.for_each(|part| html.push_str(&format!("<p>{}</p>\n", escape(part.trim()).replace('\n', "<br>"))));
    }
    if let Some(markdown) = options.string("markdown")? {
        html.push_str(&markdown_to_html(&markdown)?);
    }
    if let Some(figures) = options.map("figures")? {
        html.push_str(&tiles(&figures));
    }
    if let Some(chart) = options.map("chart")? {
        // Our own drawing, whose texts are escaped.
        let svg = draw::svg(&Chart::read("report::html: chart", chart)?);
        html.push_str(&format!("<figure>\n{svg}</figure>\n"));
    }
    let columns = Column::read(&mut options)?;
    if let Some(rows) = options.list("table")? {
        html.push_str(&table(&Table::of(&rows, columns, CELL_CHARS)?));
    }
    options.finish()?;
    html.push_str("</section>\n");
    Ok(html)
}

/// A few figures, large.
fn tiles(figures: &Map) -> String {
    let tile = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(&value))
    };
    format!("<dl>\n{}</dl>\n", figures.iter().map(tile).collect::<String>())
}

fn table(table: &Table) -> String {
    let cell = |tag: &str, column: usize, text: &str| {
        let class = if table.is_number[column] {
            " class=\"number\""
        } else {
            ""
        };
        format!("<{tag}{class}>{}</{tag}>", escape(text))
    };
    let row = |tag: &str, cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(column, text)| cell(tag, column, text));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row("td", cells)).collect();
    format!(
        "<table>\n<thead>\n{}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        row("th", &table.head)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(given: serde_json::Value) -> Result<String, Failure> {
        let Value::Map(map) = Value::from_json(given) else {
            panic!("a map")
        };
        page(map)
    }

    #[test]
    fn nothing_that_is_given_becomes_markup() {
        let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
        let page = made(json!({
            "title": evil, "subtitle": evil, "footer": evil,
            "sections": [{
                "heading": evil, "text": evil, "markdown": evil, "figures": {evil: evil},
                "table": [{evil: evil}],
                "chart": {"title": evil, "unit": evil, "labels": [evil], "series": [{"name": evil, "values": [1]}]},
            }],
        }))
        .expect("a page");
        assert!(
            !page.contains("<script") && !page.contains("onerror=alert(1)>\""),
            "{page}"
        );
        let tags = page.matches("<img").count();
        assert_eq!(tags, 1, "the one in Markdown, made harmless: {page}");
        assert!(page.contains("<img>") && !page.contains("</title><"));
    }

    #[test]
    fn nothing_on_a_page_is_fetched() {
        let page = made(json!({"title": "t", "sections": [{"chart": {"values": [1, 2]}}]})).expect("a page");
        for word in ["<link", "<script", "src=", "url(", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn a_section_that_is_none_is_refused_by_its_option() {
        let refusal = |given| made(given).expect_err("refused").to_string();
        assert_eq!(
            refusal(json!({"sections": [{"headin": "a"}]})),
            "UNKNOWN_OPTION: `report::html: section` has no option `headin`; did you mean `heading`?"
        );
        assert!(refusal(json!({"sections": [1]})).starts_with("BAD_OPTION: the option `sections`"));
        assert!(refusal(json!({"sections": [{"chart": {}}]})).starts_with("MISSING_OPTION"));
        let long = "x".repeat(PAGE_BYTES_MAX);
        assert!(refusal(json!({"sections": [{"text": long}]})).starts_with("PAGE_TOO_LARGE"));
    }
}
