//! `file::` — reads and lists text, JSON, CSV and media below the project's declared folders.
//!
//! Files are inputs, and may change between two runs: what was read is on the journal.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`parse`] | CSV and JSON out of a text |
//! | [`media_type`] | what kind of content a name promises |

pub mod media_type;
pub mod parse;

use rhai::Map;
use rhai::plugin::*;

use self::parse::{CsvOptions, csv_to_value, json_to_value};
use super::options::Options;
use super::reading::Reading;
use super::time::moment;
use crate::effect::{Declaration, Effect, Failure};
use crate::gate::Errand;
use crate::io::files::{FileFault, FileInfo};
use crate::script::{ContextExt, ScriptResult};
use crate::value::Value;

pub fn module() -> Module {
    exported_module!(functions)
}

static READ_TEXT: Declaration = Declaration::read("file.read_text");
static READ_JSON: Declaration = Declaration::read("file.read_json");
static READ_CSV: Declaration = Declaration::read("file.read_csv");
static LIST: Declaration = Declaration::read("file.list");
static INFO: Declaration = Declaration::read("file.info");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns the text of a file.
    ///
    /// - `path`: below one of the project's folders, such as `inbox/brief.md`. UTF-8, up to 16 MiB.
    ///
    /// Errors: `FILE_NOT_FOUND`, `FILE_OUTSIDE` for a path that leads out of the project's folders, `FILE_TOO_LARGE`,
    /// `FILE_NOT_TEXT`, `FILE_NOT_REGULAR`, `FILE_PATH_INVALID`, `FILE_UNREADABLE`.
    ///
    /// ```rhai
    /// let brief = file::read_text("inbox/brief.md");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_text(ctx: NativeCallContext, path: &str) -> ScriptResult {
        let effect = Effect::new(&READ_TEXT, [("path", path.into())]);
        ctx.outside(
            effect,
            &Reading(|errand: &mut Errand<'_>| Ok(text(errand, path)?.into())),
        )
    }

    /// Returns the value of a JSON file.
    ///
    /// `null` becomes `()`; a whole number beyond 64 bits becomes a float.
    ///
    /// - `path`: below one of the project's folders, such as `inbox/feed.json`. Up to 16 MiB, nested at most 64 levels.
    ///
    /// Errors: `JSON_INVALID`, with line and column, and those of `read_text`.
    ///
    /// ```rhai
    /// let feed = file::read_json("inbox/feed.json");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_json(ctx: NativeCallContext, path: &str) -> ScriptResult {
        let effect = Effect::new(&READ_JSON, [("path", path.into())]);
        let read = |errand: &mut Errand<'_>| {
            json_to_value(&text(errand, path)?).map_err(|fault| Failure::new(fault.code(), format!("{path}, {fault}")))
        };
        ctx.outside(effect, &Reading(read))
    }

    /// Returns the rows of a CSV file with a header, as an array of maps by the names in the header.
    ///
    /// Cells are strings, also where they look like numbers: `parse_int` and `parse_float` turn them.
    ///
    /// - `path`: below one of the project's folders, such as `inbox/topics.csv`. Up to 16 MiB and 10,000 rows.
    ///
    /// Errors: `CSV_INVALID`, with the line, and those of `read_text`.
    ///
    /// ```rhai
    /// for topic in file::read_csv("inbox/topics.csv") { log::info(topic.name); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_csv(ctx: NativeCallContext, path: &str) -> ScriptResult {
        csv(&ctx, path, CsvOptions::default(), Value::from([("path", path.into())]))
    }

    /// Returns the rows of a CSV file, as an array of maps by the names in its header, or of arrays where it has none.
    ///
    /// - `path`: as in `read_csv` without options.
    /// - `options`: `delimiter`, one character (a comma when nothing is said), and `header`, whether the first row names
    ///   the fields (true when nothing is said).
    ///
    /// Errors: `CSV_INVALID`, `CSV_DELIMITER_INVALID`, `UNKNOWN_OPTION`, `BAD_OPTION`, and those of `read_text`.
    ///
    /// ```rhai
    /// let rows = file::read_csv("inbox/export.csv", #{ delimiter: ";", header: false });
    /// ```
    #[rhai_fn(name = "read_csv", return_raw)]
    pub fn read_csv_with(ctx: NativeCallContext, path: &str, options: Map) -> ScriptResult {
        let mut options = ctx.check(Options::new("file::read_csv", &options))?;
        let delimiter = ctx
            .check(options.string("delimiter"))?
            .unwrap_or_else(|| ",".to_owned());
        let header = ctx.check(options.bool("header"))?.unwrap_or(true);
        ctx.check(options.finish())?;
        let form = ctx.check(CsvOptions::new(&delimiter, header))?;
        let args = [
            ("path", path.into()),
            ("delimiter", delimiter.into()),
            ("header", header.into()),
        ];
        csv(&ctx, path, form, args.into())
    }

    /// Returns the files in a folder, by name, as an array of `#{ path, name, bytes, modified }`.
    ///
    /// Folders within it are not entered, and files whose names begin with a dot are left out.
    ///
    /// - `folder`: one of the project's folders, or one below it. Up to 10,000 files.
    ///
    /// Errors: `FILE_NOT_FOUND`, `FILE_NOT_FOLDER`, `FILE_TOO_MANY`, `FILE_OUTSIDE`, `FILE_PATH_INVALID`,
    /// `FILE_UNREADABLE`.
    ///
    /// ```rhai
    /// for found in file::list("inbox") { log::info(`${found.name}: ${found.bytes} bytes`); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(ctx: NativeCallContext, folder: &str) -> ScriptResult {
        listing(&ctx, folder, "*")
    }

    /// Returns the files in a folder whose names fit a pattern, by name, as an array of
    /// `#{ path, name, bytes, modified }`.
    ///
    /// - `folder`: one of the project's folders, or one below it. Up to 10,000 files that fit.
    /// - `pattern`: a name in which `*` stands for any characters and `?` for one.
    ///
    /// Errors: those of `list` without a pattern.
    ///
    /// ```rhai
    /// let clips = file::list("inbox", "*.mp4");
    /// ```
    #[rhai_fn(name = "list", return_raw)]
    pub fn list_fitting(ctx: NativeCallContext, folder: &str, pattern: &str) -> ScriptResult {
        listing(&ctx, folder, pattern)
    }

    /// Returns what is known of a file: `#{ path, name, bytes, modified, sha256, media_type }`.
    ///
    /// `modified` is a text in UTC, `media_type` is told by the name alone.
    ///
    /// - `path`: below one of the project's folders, such as `inbox/clip.mp4`. Up to 16 GiB.
    ///
    /// Errors: those of `read_text`, but for `FILE_NOT_TEXT`.
    ///
    /// ```rhai
    /// let clip = file::info("inbox/clip.mp4");
    /// if kv::get(clip.sha256) == () { kv::put(clip.sha256, clip.name); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn info(ctx: NativeCallContext, path: &str) -> ScriptResult {
        let effect = Effect::new(&INFO, [("path", path.into())]);
        let read = |errand: &mut Errand<'_>| {
            let files = &errand.world.files;
            let found = files.info(path)?;
            let sha256 = files.hash(&files.open(path)?)?;
            let Value::Map(mut fields) = described(&found) else {
                unreachable!("a file is described by a map")
            };
            fields.insert("sha256".to_owned(), sha256.to_string().into());
            fields.insert("media_type".to_owned(), media_type::of_name(path).into());
            Ok(fields.into())
        };
        ctx.outside(effect, &Reading(read))
    }
}

impl From<FileFault> for Failure {
    fn from(fault: FileFault) -> Failure {
        Failure::new(fault.code(), fault.to_string())
    }
}

fn text(errand: &Errand<'_>, path: &str) -> Result<String, FileFault> {
    let files = &errand.world.files;
    files.read_text(&files.open(path)?)
}

fn csv(ctx: &NativeCallContext<'_>, path: &str, form: CsvOptions, args: Value) -> ScriptResult {
    let read = |errand: &mut Errand<'_>| {
        csv_to_value(&text(errand, path)?, form).map_err(|fault| Failure::new(fault.code(), format!("{path}, {fault}")))
    };
    ctx.outside(Effect::new(&READ_CSV, args), &Reading(read))
}

fn listing(ctx: &NativeCallContext<'_>, folder: &str, pattern: &str) -> ScriptResult {
    let effect = Effect::new(&LIST, [("folder", folder.into()), ("pattern", pattern.into())]);
    let read = |errand: &mut Errand<'_>| {
        let found = errand.world.files.list(folder, pattern)?;
        Ok(found.iter().map(described).collect::<Vec<_>>().into())
    };
    ctx.outside(effect, &Reading(read))
}

fn described(file: &FileInfo) -> Value {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    // A file's date may be nonsense; then there is none.
    let modified = moment::from_ms(file.modified_ms).ok().map(moment::write);
    Value::from([
        ("path", file.path.as_str().into()),
        ("name", name.into()),
        ("bytes", i64::try_from(file.bytes).unwrap_or(i64::MAX).into()),
        ("modified", modified.into()),
    ])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::testing::TestHost;

    #[test]
    fn texts_json_and_csv_are_read_and_a_replay_does_not_look_at_the_disk() {
        let host = TestHost::default()
            .file("inbox/brief.md", "be brief")
            .file("inbox/feed.json", r#"{"items": [{"title": "a"}]}"#)
            .file("inbox/topics.csv", "id,name\n007,ai\n")
            .file("inbox/export.csv", "1;2\n");
        let run = host.run(
            r#"[file::read_text("inbox/brief.md"), file::read_json("inbox/feed.json").items[0].title,
                file::read_csv("inbox/topics.csv"), file::read_csv("inbox/export.csv", #{ delimiter: ";", header: false })]"#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"["be brief","a",[{"id":"007","name":"ai"}],[["1","2"]]]"#
        );
        insta::assert_snapshot!(run.journal(), @r#"
        1 file.read_text {"path":"inbox/brief.md"} -> "be brief"
        2 file.read_json {"path":"inbox/feed.json"} -> {"items":[{"title":"a"}]}
        3 file.read_csv {"path":"inbox/topics.csv"} -> [{"id":"007","name":"ai"}]
        4 file.read_csv {"delimiter":";","header":false,"path":"inbox/export.csv"} -> [["1","2"]]
        "#);
        #[expect(clippy::disallowed_methods, reason = "the test takes the files away")]
        fs::remove_dir_all(host.folder().join("inbox")).unwrap();
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
    }

    #[test]
    fn files_are_listed_by_pattern_and_described() {
        let host = TestHost::default()
            .file("inbox/b.mp4", "b")
            .file("inbox/a.MP4", "abc")
            .file("inbox/c.txt", "");
        let run = host.run(
            r#"[file::list("inbox").map(|f| f.name), file::list("inbox", "*.mp4").map(|f| f.path),
                file::info("inbox/a.MP4").media_type, file::info("inbox/a.MP4").sha256.sub_string(0, 8), file::info("inbox/a.MP4").bytes,
                time::diff(file::info("inbox/a.MP4").modified, "2020-01-01T00:00:00Z") < 0.0]"#,
        );
        assert_eq!(
            run.value().to_string(),
            r#"[["a.MP4","b.mp4","c.txt"],["inbox/b.mp4"],"video/mp4","ba7816bf",3,true]"#
        );
    }

    #[test]
    fn refusals_name_the_file_the_line_and_the_way_out() {
        let host = TestHost::default()
            .file("inbox/feed.json", "{\n \"a\": }")
            .file("inbox/topics.csv", "id,name\n007\n")
            .file("secret.txt", "s");
        let refusal = |script: &str| host.run(script).failure().to_string();
        assert_eq!(
            refusal(r#"file::read_text("inbox/fed.json")"#),
            r#"FILE_NOT_FOUND: "inbox/fed.json" was not found; did you mean "inbox/feed.json"?"#
        );
        assert_eq!(
            refusal(r#"file::read_text("inbox/../secret.txt")"#),
            r#"FILE_OUTSIDE: "inbox/../secret.txt" is not below a folder that the project declares (inbox, prompts): it has `..` in it"#
        );
        assert_eq!(
            refusal(r#"file::read_json("inbox/feed.json")"#),
            "JSON_INVALID: inbox/feed.json, line 2, column 7: expected value"
        );
        assert_eq!(
            refusal(r#"file::read_csv("inbox/topics.csv")"#),
            "CSV_INVALID: inbox/topics.csv, line 2: the row has 1 cells, but the first row has 2"
        );
        assert_eq!(
            refusal(r#"file::read_csv("inbox/topics.csv", #{ delimeter: ";" })"#),
            "UNKNOWN_OPTION: `file::read_csv` has no option `delimeter`; did you mean `delimiter`?"
        );
        assert!(
            refusal(r#"file::read_csv("inbox/topics.csv", #{ delimiter: ";;" })"#).starts_with("CSV_DELIMITER_INVALID")
        );
    }

    #[test]
    fn a_failed_read_can_be_caught_and_is_replayed() {
        let host = TestHost::default();
        let run = host.run(r#"let code = ""; try { file::read_text("inbox/a") } catch (e) { code = e.code; } code"#);
        assert_eq!(run.value().as_str(), Some("FILE_NOT_FOUND"));
        assert_eq!(
            run.journal(),
            "1 file.read_text {\"path\":\"inbox/a\"} -> !FILE_NOT_FOUND\n"
        );
    }
}
