//! `report::` — what people look at: tables, charts, pages. All but `chart_png` is pure and not journaled.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`table`] | tables as aligned text and Markdown |
//! | [`chart`], [`scale`], [`draw`] | charts: what they show, their scales, their pictures |
//! | [`page`] | a whole HTML page |
//!
//! `sans.ttf` and `sans-Bold.ttf` are parts of DejaVu Sans, under `sans.LICENSE.txt`.

pub mod chart;
pub mod draw;
pub mod page;
pub mod scale;
pub mod table;

use rhai::plugin::*;
use rhai::{Array, Map};

use self::chart::Chart;
use self::table::{Column, Form, Table};
use super::media::fault::MediaFault;
use super::media::name::OutputName;
use super::options::Options;
use super::reading::Reading;
use crate::effect::{Declaration, Effect};
use crate::gate::Errand;
use crate::io::workspace::Workspace;
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static CHART_PNG: Declaration = Declaration::read("report.chart_png");

/// The longest cell when nothing is said.
const CELL_CHARS: usize = 40;

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns rows as a table of text, its columns aligned: all fields, in the order of their names.
    ///
    /// Numbers stand to the right, with up to four decimals; `()` is an empty cell, `true` is `yes`; longer cells than 40
    /// characters are cut.
    ///
    /// - `rows`: up to 5,000 maps with up to 50 fields.
    ///
    /// Errors: `TABLE_INVALID`, `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let table = report::table([#{ title: "Three habits", views: 1200 }, #{ title: "Five tools", views: 80 }]);
    /// table // => "title         views\n────────────  ─────\nThree habits   1200\nFive tools       80\n"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn table(ctx: NativeCallContext, rows: Array) -> ScriptResult {
        table_of(&ctx, rows, None, CELL_CHARS, Form::Text)
    }

    /// Returns rows as a table, with options.
    ///
    /// - `rows`: up to 5,000 maps.
    /// - `options`: `columns`, the fields that are shown, in this order: names, or maps `#{ field, title }`; `format`,
    ///   `"text"` (preset) or `"markdown"`; `max_chars`, the longest cell, 3 to 500 (preset 40).
    ///
    /// Errors: `TABLE_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`, `NOT_PLAIN_DATA`, `VALUE_TOO_LARGE`.
    ///
    /// ```rhai
    /// let rows = [#{ title: "Three habits", views: 1200 }];
    /// let table = report::table(rows, #{ columns: ["views", #{ field: "title", title: "Clip" }], format: "markdown" });
    /// table // => "| views | Clip         |\n| ----: | ------------ |\n|  1200 | Three habits |\n"
    /// ```
    #[rhai_fn(name = "table", return_raw)]
    pub fn table_with(ctx: NativeCallContext, rows: Array, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("report::table", &options))?;
        let columns = ctx.check(Column::read(&mut options))?;
        let forms = [("text", Form::Text), ("markdown", Form::Markdown)];
        let form = ctx.check(options.choice("format", &forms))?.unwrap_or(Form::Text);
        let chars = ctx.check(options.int("max_chars", 3..=500))?;
        ctx.check(options.finish())?;
        table_of(
            &ctx,
            rows,
            columns,
            chars.map_or(CELL_CHARS, |chars| chars as usize),
            form,
        )
    }

    /// Returns a chart as an SVG text: for pages, and for whoever draws it himself.
    ///
    /// - `options`: `values`, an array of up to 2,000 numbers, or `series`, up to 8 maps `#{ name, values }` of the same
    ///   length, where `()` leaves a gap; `labels`, what stands below each point (preset 1, 2, 3, …); `kind`, `"line"`
    ///   (preset), `"area"` or `"bar"`; `title`; `unit`, what the numbers are; `width` (200 to 2,000, preset 800) and
    ///   `height` (120 to 2,000, preset 400).
    ///
    /// Errors: `CHART_INVALID`, `MISSING_OPTION`, `UNKNOWN_OPTION`, `BAD_OPTION`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let svg = report::chart(#{ kind: "bar", title: "Views", values: [1200, 80, 640], labels: ["Mon", "Tue", "Wed"] });
    /// ```
    #[rhai_fn(name = "chart", return_raw)]
    pub fn chart_svg(ctx: NativeCallContext, options: Map) -> ScriptResult {
        let chart = read_chart(&ctx, "report::chart", options)?;
        Ok(draw::svg(&chart).into())
    }

    /// Makes a chart as a PNG file in the run's folder: `#{ name, sha256, media_type, width, height, bytes }`, which is
    /// taken wherever a media file is. The same chart gives the same file everywhere.
    ///
    /// It has two pixels for each unit of `width` and `height`, so that it is sharp.
    ///
    /// - `options`: those of `chart`, and `name`, of the file, up to 120 bytes (preset `chart.png`).
    ///
    /// Errors: those of `chart`, `MEDIA_NAME_INVALID`, `MEDIA_NAME_TAKEN`, `WORKSPACE_UNUSABLE`.
    ///
    /// ```rhai
    /// let picture = report::chart_png(#{ title: "Views", values: [1200, 80, 640], name: "views" });
    /// picture.name // => "views.png"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn chart_png(ctx: NativeCallContext, options: Map) -> ScriptResult {
        let given = ctx.value(&options.clone().into())?;
        let mut options = options;
        let asked = options.remove("name").filter(|name| !name.is_unit());
        let mut named = Options::of("report::chart_png", name_alone(&ctx, asked)?);
        let asked = ctx.check(named.string("name"))?;
        let name = ctx.check(OutputName::new(asked.as_deref(), "chart.png", "", "png"))?;
        let chart = read_chart(&ctx, "report::chart_png", options)?;
        let make = |errand: &mut Errand<'_>| {
            let png = draw::png(&chart);
            let workspace = Workspace::open(errand.workspace()).map_err(MediaFault::from)?;
            let path = workspace.put(&name.name, &png).map_err(MediaFault::from)?;
            let shown = workspace.show(&path, &name.name, name.is_preset);
            if shown.is_err() {
                workspace.discard(&path);
            }
            let shown = shown.map_err(MediaFault::from)?;
            let (sha256, _) = errand.keep_file(&path).map_err(MediaFault::from)?;
            workspace.protect(&shown).map_err(MediaFault::from)?;
            Ok(Value::from([
                ("name", shown.into()),
                ("sha256", sha256.to_string().into()),
                ("media_type", "image/png".into()),
                ("width", i64::from(chart.width * draw::PIXELS).into()),
                ("height", i64::from(chart.height * draw::PIXELS).into()),
                ("bytes", (png.len() as i64).into()),
            ]))
        };
        ctx.outside(Effect::new(&CHART_PNG, [("options", given)]), &Reading(make))
    }

    /// Returns a whole HTML page as one text: nothing on it is fetched from anywhere, and nothing in it runs. All that is
    /// given is shown as text, Markdown is sanitised.
    ///
    /// - `page`: `title`, `subtitle`, `footer`, and `sections`, up to 200 maps of which each may have `heading`, `text`
    ///   (paragraphs parted by empty lines), `markdown`, `figures` (a map of a few values, shown large), `chart` (the options
    ///   of `chart`), `table` (rows, as `table` takes them) and `columns` (of that table). Up to 4 MiB.
    ///
    /// Errors: `PAGE_TOO_LARGE`, `TABLE_INVALID`, `CHART_INVALID`, `TEXT_TOO_LARGE`, `MISSING_OPTION`, `UNKNOWN_OPTION`,
    /// `BAD_OPTION`, `NOT_PLAIN_DATA`.
    ///
    /// ```rhai
    /// let page = report::html(#{
    ///     title: "Week 47",
    ///     sections: [
    ///         #{ figures: #{ views: 1920, clips: 3 } },
    ///         #{ heading: "Views", chart: #{ kind: "bar", values: [1200, 80, 640], labels: ["Mon", "Tue", "Wed"] } },
    ///         #{ heading: "Clips", table: [#{ title: "Three habits", views: 1200 }] },
    ///     ],
    /// });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn html(ctx: NativeCallContext, page: Map) -> ScriptResult {
        let page = ctx.value(&page.into())?;
        ctx.check(page::page(page.as_map().cloned().unwrap_or_default()).map(Dynamic::from))
    }
}

fn read_chart(ctx: &NativeCallContext<'_>, function: &'static str, options: Map) -> ScriptResult<Chart> {
    let options = ctx.value(&options.into())?;
    ctx.check(Chart::read(function, options.as_map().cloned().unwrap_or_default()))
}

fn name_alone(ctx: &NativeCallContext<'_>, name: Option<Dynamic>) -> ScriptResult<crate::value::Map> {
    let name = name.map(|name| ctx.value(&name)).transpose()?;
    Ok(name.into_iter().map(|name| ("name".to_owned(), name)).collect())
}

fn table_of(
    ctx: &NativeCallContext<'_>,
    rows: Array,
    columns: Option<Vec<Column>>,
    chars: usize,
    form: Form,
) -> ScriptResult {
    let rows = ctx.value(&Dynamic::from_array(rows))?;
    let table = ctx.check(Table::of(rows.as_list().unwrap_or_default(), columns, chars))?;
    Ok(table.write(form).into())
}

#[cfg(test)]
mod tests {
    use crate::testing::TestHost;

    #[test]
    fn a_picture_is_a_file_like_those_of_media_and_is_not_drawn_again_in_a_replay() {
        let host = TestHost::default();
        let run = host.run(
            r#"
            let one = report::chart_png(#{ values: [1, 2, 3] });
            let same = report::chart_png(#{ values: [1, 2, 3] });
            let other = report::chart_png(#{ values: [3, 2, 1] });
            [one.name, same.name, other.name, one.sha256 == same.sha256, one.width, media::probe(one).height]
            "#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["chart.png","chart.png","chart-2.png",true,1600,800]"#
        );
        assert!(host.replay(run.id()).same);
        let refused = host.run(r#"report::chart_png(#{ values: [1], name: "../x" })"#);
        assert_eq!(refused.failure().code, "MEDIA_NAME_INVALID");
        let misspelt = host.run("report::chart_png(#{ value: [1] })");
        assert_eq!(misspelt.failure().code, "MISSING_OPTION");
    }
}
