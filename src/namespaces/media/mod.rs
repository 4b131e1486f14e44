//! `media::` — probes, cuts, reframes and joins videos, takes thumbnails and sound.
//!
//! What is asked becomes a list of ffmpeg's arguments by pure functions, which check it against what the video has;
//! then the door carries it out. The same work on the same file gives the same bytes. A result is kept under its hash,
//! and people find it under a readable name in the run's folder.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`source`] | what is worked on |
//! | [`probe`] | what a video is, out of ffprobe's answer |
//! | [`options`] | what a playbook asks for, as types |
//! | [`name`] | under which name people find what was made |
//! | [`arguments`] | what is asked for, as ffmpeg's arguments |
//! | [`work`] | carrying it out |
//! | [`tracks`] | sound taken out or put in, videos joined |
//! | [`fault`] | what can go wrong |

pub mod arguments;
pub mod fault;
pub mod name;
pub mod options;
pub mod probe;
pub mod source;
mod tracks;
pub mod work;

use rhai::Map;
use rhai::plugin::*;

pub use self::fault::MediaFault;
use self::name::OutputName;
pub use self::options::{CutOptions, ReframeOptions, ThumbnailOptions};
pub use self::probe::MediaInfo;
use self::source::{Opened, Source};
pub use self::work::Finished;
use super::file::media_type;
use super::options::{BadOption, Options};
use super::reading::Reading;
use crate::effect::{Declaration, Effect};
use crate::gate::Errand;
use crate::id::ContentHash;
use crate::io::ffmpeg::Progress;
use crate::io::workspace::Workspace;
use crate::script::{ContextExt, ScriptResult};
use crate::value::{Map as Fields, Value};

pub fn module() -> Module {
    let mut module = exported_module!(functions);
    tracks::add_to(&mut module);
    module
}

static PROBE: Declaration = Declaration::read("media.probe");
static CUT: Declaration = Declaration::read("media.cut");
static REFRAME: Declaration = Declaration::read("media.reframe");
static THUMBNAIL: Declaration = Declaration::read("media.thumbnail");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Returns what a video or picture is: `#{ name, path, sha256, media_type, bytes, format, seconds, width, height, fps,
    /// video_codec, audio_codec, has_audio, bit_rate, rotation }`.
    ///
    /// Width and height are those shown, after rotation; what is not known is `()`.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function returned. Up to 16 GiB.
    ///
    /// Errors: `FILE_NOT_FOUND`, `FILE_OUTSIDE`, `MEDIA_UNREADABLE`, `MEDIA_NO_VIDEO`, `MEDIA_SOURCE_INVALID`,
    /// `MEDIA_MISSING`, `MEDIA_CHANGED`, `FFMPEG_MISSING`, `FFMPEG_TIMEOUT`.
    ///
    /// ```rhai
    /// let clip = media::probe("inbox/clip.mp4");
    /// log::info(`${clip.seconds} s, ${clip.width}×${clip.height}`);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn probe(ctx: NativeCallContext, source: Dynamic) -> ScriptResult {
        let source = ctx.check(Source::read(&ctx.value(&source)?))?;
        let effect = Effect::new(&PROBE, [("source", source.to_value())]);
        ctx.outside(effect, &Reading(|errand: &mut Errand<'_>| Ok(look(errand, &source)?)))
    }

    /// Keeps a part of a video, as MP4 with H.264 and AAC; returns what it is, as `probe` does.
    ///
    /// The result has `source_sha256` instead of `path`, and can be given to other media functions. People find it under
    /// its `name` in the run's folder.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function returned.
    /// - `options`, each of which may be left out:
    ///   - `from`: seconds from the beginning; 0 when nothing is said.
    ///   - `to`: seconds from the beginning, or `length`: seconds from `from`; else to the end.
    ///   - `copy`: true takes the pictures over as they are: quick and without loss, but it begins at the key frame before
    ///     `from`.
    ///   - `crf`: how much is lost, from 1 (little) to 51; 20 when nothing is said. `preset`: `ultrafast` to `veryslow`.
    ///   - `name`: of the file, up to 120 bytes.
    ///
    /// Errors: `MEDIA_OPTION_INVALID` where the video has no such part, `UNKNOWN_OPTION`, `BAD_OPTION`,
    /// `MEDIA_NAME_INVALID`, `MEDIA_NAME_TAKEN`, `FFMPEG_FAILED`, `MEDIA_DISK_FULL`, `OUTPUT_TOO_LARGE` above 8 GiB, and
    /// those of `probe`.
    ///
    /// ```rhai
    /// let teaser = media::cut("inbox/clip.mp4", #{ from: 2, length: 6.5 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn cut(ctx: NativeCallContext, source: Dynamic, options: Map) -> ScriptResult {
        let order = Order::read(&ctx, "media::cut", &source, &options, |options| {
            let cut = CutOptions::read(options)?;
            Ok((
                cut,
                Form {
                    suffix: "-cut".to_owned(),
                    ending: "mp4",
                },
            ))
        })?;
        order.perform(&ctx, &CUT, |errand, cut, opened, folder, progress| {
            work::cut(&errand.world.ffmpeg, &opened.path, cut, folder, progress, &|| {
                errand.is_halted()
            })
        })
    }

    /// Brings a video into another shape, as MP4 with H.264 and AAC; returns what it is, as `cut` does.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function returned.
    /// - `options`, each of which may be left out:
    ///   - `ratio`: `9:16` (when nothing is said: 1080×1920), `4:5`, `1:1` or `16:9`.
    ///   - `fit`: `crop` keeps the middle (when nothing is said), `pad` fills the rest with `colour`, `blur` with the video
    ///     itself.
    ///   - `colour`: `black` (when nothing is said), `white` or `#rrggbb`.
    ///   - `width` or `height`: pixels, an even number from 16 to 4096; the other follows from the ratio.
    ///   - `crf`, `preset`, `name`: as in `cut`.
    ///
    /// Errors: those of `cut`.
    ///
    /// ```rhai
    /// let tall = media::reframe("inbox/clip.mp4", #{ ratio: "9:16", fit: "blur" });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn reframe(ctx: NativeCallContext, source: Dynamic, options: Map) -> ScriptResult {
        let order = Order::read(&ctx, "media::reframe", &source, &options, |options| {
            let reframe = ReframeOptions::read(options)?;
            let suffix = format!("-{}", reframe.ratio.name().replace(':', "x"));
            Ok((reframe, Form { suffix, ending: "mp4" }))
        })?;
        order.perform(&ctx, &REFRAME, |errand, reframe, opened, folder, progress| {
            work::reframe(&errand.world.ffmpeg, &opened.path, reframe, folder, progress, &|| {
                errand.is_halted()
            })
        })
    }

    /// Takes the first picture of a video; returns what it is, as `cut` does. See `thumbnail` with options.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function returned.
    ///
    /// Errors: those of `cut`.
    ///
    /// ```rhai
    /// let cover = media::thumbnail("inbox/clip.mp4");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn thumbnail(ctx: NativeCallContext, source: Dynamic) -> ScriptResult {
        thumbnail_with(ctx, source, Map::new())
    }

    /// Takes a picture of a video; returns what it is, as `cut` does.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function returned.
    /// - `options`, each of which may be left out:
    ///   - `at`: seconds from the beginning; 0 when nothing is said.
    ///   - `width`: pixels, from 16 to 4096; the video's own when nothing is said.
    ///   - `format`: `jpeg` (when nothing is said) or `png`.
    ///   - `name`: of the file, up to 120 bytes.
    ///
    /// Errors: those of `cut`.
    ///
    /// ```rhai
    /// let tall = media::reframe("inbox/clip.mp4", #{ ratio: "9:16" });
    /// let cover = media::thumbnail(tall, #{ at: 1.5, width: 720 });
    /// ```
    #[rhai_fn(name = "thumbnail", return_raw)]
    pub fn thumbnail_with(ctx: NativeCallContext, source: Dynamic, options: Map) -> ScriptResult {
        let order = Order::read(&ctx, "media::thumbnail", &source, &options, |options| {
            let thumbnail = ThumbnailOptions::read(options)?;
            let ending = thumbnail.format.ending();
            Ok((
                thumbnail,
                Form {
                    suffix: String::new(),
                    ending,
                },
            ))
        })?;
        order.perform(&ctx, &THUMBNAIL, |errand, thumbnail, opened, folder, progress| {
            work::thumbnail(&errand.world.ffmpeg, &opened.path, thumbnail, folder, progress, &|| {
                errand.is_halted()
            })
        })
    }
}

/// How the name of an output is made, where the playbook has no wish.
struct Form {
    suffix: String,
    ending: &'static str,
}

/// Something that is to be made.
struct Order<O> {
    source: Source,
    options: O,
    /// The options as they were given.
    given: Value,
    name: OutputName,
}

impl<O> Order<O> {
    fn read(
        ctx: &NativeCallContext<'_>,
        function: &'static str,
        source: &Dynamic,
        options: &Map,
        read: impl FnOnce(&mut Options) -> Result<(O, Form), BadOption>,
    ) -> ScriptResult<Order<O>> {
        let source = ctx.check(Source::read(&ctx.value(source)?))?;
        let mut options = ctx.check(Options::new(function, options))?;
        let given = options.to_value();
        let name = ctx.check(options.string("name"))?;
        let (read, form) = ctx.check(read(&mut options))?;
        ctx.check(options.finish())?;
        let name = OutputName::new(name.as_deref(), source.file_name(), &form.suffix, form.ending);
        Ok(Order {
            source,
            options: read,
            given,
            name: ctx.check(name)?,
        })
    }

    fn perform(
        &self,
        ctx: &NativeCallContext<'_>,
        declaration: &Declaration,
        work: impl Fn(&Errand<'_>, &O, &Opened, &std::path::Path, work::OnProgress<'_>) -> Result<Finished, MediaFault>,
    ) -> ScriptResult {
        let args = [("source", self.source.to_value()), ("options", self.given.clone())];
        let make = |errand: &mut Errand<'_>| {
            let opened = self.source.open(errand)?;
            let workspace = Workspace::open(errand.workspace()).map_err(MediaFault::from)?;
            let told = &mut |progress: Progress| errand.progress(progress.fraction, self.name.name.as_str());
            let finished = work(errand, &self.options, &opened, workspace.path(), told)?;
            let kept = keep(errand, &workspace, &finished, &self.name);
            if kept.is_err() {
                workspace.discard(&finished.path);
            }
            let (name, sha256) = kept?;
            let mut fields = described(&finished.info, &name, sha256);
            fields.insert("source_sha256".to_owned(), opened.sha256.to_string().into());
            Ok(fields.into())
        };
        ctx.outside(Effect::new(declaration, args), &Reading(make))
    }
}

/// Keeps a finished output under its hash, and shows it under a readable name in the run's folder.
fn keep(
    errand: &Errand<'_>,
    workspace: &Workspace,
    finished: &Finished,
    name: &OutputName,
) -> Result<(String, ContentHash), MediaFault> {
    // The name first: keeping moves the file away.
    let shown = workspace.show(&finished.path, &name.name, name.is_preset)?;
    let (sha256, _) = errand.keep_file(&finished.path)?;
    workspace.protect(&shown)?;
    Ok((shown, sha256))
}

/// What the source is.
fn look(errand: &Errand<'_>, source: &Source) -> Result<Value, MediaFault> {
    let opened = source.open(errand)?;
    let name = source.file_name();
    let ffmpeg = &errand.world.ffmpeg;
    let info = if media_type::of_name(name).starts_with("image/") {
        MediaInfo::from_probe(&ffmpeg.probe_picture(&opened.path)?)?
    } else {
        work::probe(ffmpeg, &opened.path)?
    };
    let mut fields = described(&info, name, opened.sha256);
    if let Source::Project { path, .. } = source {
        fields.insert("path".to_owned(), path.as_str().into());
    }
    Ok(fields.into())
}

fn described(info: &MediaInfo, name: &str, sha256: ContentHash) -> Fields {
    let mut fields = info.to_fields();
    fields.insert("name".to_owned(), name.into());
    fields.insert("sha256".to_owned(), sha256.to_string().into());
    fields.insert("media_type".to_owned(), media_type::of_name(name).into());
    fields
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests look at the files that runs leave")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::gate::{Notice, Observer};
    use crate::io::ffmpeg::samples;
    use crate::store::content::FileContent;
    use crate::testing::TestHost;

    fn host() -> TestHost {
        TestHost::default().file("inbox/clip.mp4", fs::read(samples::landscape()).unwrap())
    }

    const QUICK: &str = r#"preset: "ultrafast", crf: 35"#;

    #[test]
    fn a_video_is_probed_cut_reframed_and_pictured_and_a_replay_needs_neither_it_nor_ffmpeg() {
        let host = host();
        let run = host.run(&format!(
            r#"
            let clip = media::probe("inbox/clip.mp4");
            let part = media::cut(clip, #{{ from: 0.5, length: 1, {QUICK} }});
            let tall = media::reframe(part, #{{ ratio: "9:16", fit: "blur", width: 90, {QUICK} }});
            let cover = media::thumbnail(tall, #{{ at: 0.5, name: "cover", format: "png" }});
            [clip, part, tall, cover, media::probe(tall), media::probe(cover).width]
            "#,
        ));
        let made = run.value().as_list().unwrap();
        let field = |at: usize, name: &str| made[at].get(name).cloned().unwrap_or_default();
        let names: Vec<Value> = (0..4).map(|at| field(at, "name")).collect();
        assert_eq!(
            Value::List(names).to_string(),
            r#"["clip.mp4","clip-cut.mp4","clip-cut-9x16.mp4","cover.png"]"#
        );
        let types: Vec<Value> = (0..4).map(|at| field(at, "media_type")).collect();
        assert_eq!(
            Value::List(types).to_string(),
            r#"["video/mp4","video/mp4","video/mp4","image/png"]"#
        );
        for at in 1..4 {
            assert_eq!(field(at, "source_sha256"), field(at - 1, "sha256"));
        }
        assert_eq!(
            (field(2, "width"), field(2, "height")),
            (Value::Int(90), Value::Int(160))
        );
        assert_eq!(
            (field(4, "sha256"), field(4, "path"), made[5].clone()),
            (field(2, "sha256"), Value::Unit, Value::Int(90))
        );
        // Nothing in it depends on where the project lies.
        let folder = host.folder().display().to_string();
        assert!(!run.journal().contains(&folder), "{}", run.journal());
        // People find the files under their names; nothing else is left there.
        let workspace = host.folder().join("runs").join(run.id().to_string());
        let mut found: Vec<_> = fs::read_dir(workspace)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ["clip-cut-9x16.mp4", "clip-cut.mp4", "cover.png"]);

        fs::remove_dir_all(host.folder().join("inbox")).unwrap();
        fs::remove_dir_all(host.folder().join("runs")).unwrap();
        assert_eq!(host.replay(run.id()).outcome.value, *run.value());
    }

    #[test]
    fn a_source_that_changed_or_is_gone_is_refused() {
        let host = host();
        let probed = host.run(r#"media::probe("inbox/clip.mp4")"#).value().clone();
        let host = host.file("inbox/clip.mp4", fs::read(samples::odd()).unwrap());
        let run = host.run_with("media::thumbnail(input.clip)", Value::from([("clip", probed)]));
        assert_eq!(
            run.failure().to_string(),
            r#"MEDIA_CHANGED: "inbox/clip.mp4" has changed since it was probed; probe it again"#
        );
        let gone = Value::from([
            ("name", "old.mp4".into()),
            ("sha256", ContentHash::of(b"old").to_string().into()),
        ]);
        let run = host.run_with("media::thumbnail(input.clip)", Value::from([("clip", gone)]));
        assert_eq!(
            run.failure().to_string(),
            r#"MEDIA_MISSING: "old.mp4" is not among the kept files any more, or was altered; make it again"#
        );
    }

    #[test]
    fn what_was_kept_and_then_altered_is_not_worked_on() {
        let mut host = host();
        host.ground.content = Arc::new(FileContent::new(host.folder().join("content")));
        let made = host
            .run(&format!(r#"media::cut("inbox/clip.mp4", #{{ {QUICK} }})"#))
            .value()
            .clone();
        let again =
            |host: &TestHost| host.run_with("media::probe(input.clip).sha256", Value::from([("clip", made.clone())]));
        let sha256 = made.get("sha256").cloned().unwrap();
        assert_eq!(again(&host).value(), &sha256);
        let kept = host
            .ground
            .content
            .path(&sha256.as_str().unwrap().parse().unwrap())
            .unwrap();
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o400);
        fs::remove_file(&kept).unwrap();
        fs::copy(samples::odd(), &kept).unwrap();
        assert_eq!(again(&host).failure().code, "MEDIA_MISSING");
    }

    #[test]
    fn a_name_that_is_taken_is_refused_and_what_was_made_for_it_is_removed() {
        let host = host();
        let run = host.run(&format!(
            r#"
            media::cut("inbox/clip.mp4", #{{ length: 0.5, name: "a", {QUICK} }});
            media::cut("inbox/clip.mp4", #{{ length: 0.6, name: "a", {QUICK} }});
            "#,
        ));
        assert_eq!(
            run.failure().to_string(),
            r#"MEDIA_NAME_TAKEN: "a.mp4" is the name of another file of this run already; choose another name"#
        );
        let workspace = host.folder().join("runs").join(run.id().to_string());
        assert_eq!(fs::read_dir(workspace).unwrap().count(), 1);
    }

    #[test]
    fn refusals_come_before_any_work_and_leave_nothing_behind() {
        let host = host().file("inbox/letter.mp4", "dear reader");
        let refused = |script: &str| {
            let run = host.run(script);
            let workspace = host.folder().join("runs").join(run.id().to_string());
            assert!(!workspace.exists() || fs::read_dir(workspace).unwrap().next().is_none());
            run.failure().to_string()
        };
        assert_eq!(
            refused(r#"media::cut("inbox/clip.mp4", #{ form: 1 })"#),
            "UNKNOWN_OPTION: `media::cut` has no option `form`; did you mean `from`?"
        );
        assert_eq!(
            refused(r#"media::cut("inbox/clip.mp4", #{ to: 50 })"#),
            "MEDIA_OPTION_INVALID: `to` is 50.0 s but the video has 2.0 s"
        );
        assert!(
            refused(r#"media::cut("inbox/clip.mp4", #{ name: "../x" })"#)
                .starts_with("MEDIA_NAME_INVALID: \"../x\" is no name")
        );
        assert!(refused(r#"media::probe("inbox/letter.mp4")"#).starts_with("MEDIA_UNREADABLE: "));
        assert!(refused(r#"media::thumbnail(7)"#).starts_with("MEDIA_SOURCE_INVALID: this is int and no media"));
        assert!(refused(r#"media::probe("inbox/clap.mp4")"#).ends_with(r#"did you mean "inbox/clip.mp4"?"#));
    }

    #[derive(Default)]
    struct Seen(Mutex<Vec<(Option<f64>, String)>>);

    impl Observer for Seen {
        fn notice(&self, notice: Notice<'_>) {
            if let Notice::Progress { fraction, text, .. } = notice {
                self.0.lock().unwrap().push((fraction, text));
            }
        }
    }

    #[test]
    fn progress_is_told_under_the_name_of_what_is_made() {
        let seen = Arc::new(Seen::default());
        let mut host = host();
        host.observer = seen.clone();
        host.run(&format!(r#"media::cut("inbox/clip.mp4", #{{ {QUICK} }})"#));
        let last = seen.0.lock().unwrap().last().cloned();
        assert_eq!(last, Some((Some(1.0), "clip-cut.mp4".to_owned())));
    }
}
