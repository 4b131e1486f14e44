//! Functions of `media::` that work on more than one stream or file: sound taken out or put in, videos joined.

mod arguments;
mod copying;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rhai::plugin::*;
use rhai::{Array, Map};

use self::arguments::{ConcatOptions, ExtractOptions, JOINED_MAX, ReplaceOptions};
use self::copying::Plan;
use super::arguments::Arguments;
use super::name::OutputName;
use super::probe::MediaInfo;
use super::source::{Opened, Source};
use super::work::{self, Finished, OnProgress};
use super::{MediaFault, described, keep};
use crate::effect::{Declaration, Effect};
use crate::gate::Errand;
use crate::io::ffmpeg::{FfmpegDoor, FfmpegJob, MoreInput, OUTPUT_BYTES_MAX, Progress, Unfinished};
use crate::io::workspace::Workspace;
use crate::namespaces::options::{BadOption, Options};
use crate::namespaces::reading::Reading;
use crate::script::{ContextExt, ScriptResult};
use crate::value::{Map as Fields, Value};

pub(super) fn add_to(module: &mut Module) {
    combine_with_exported_module!(module, "tracks", functions);
}

static EXTRACT: Declaration = Declaration::read("media.extract_audio");
static REPLACE: Declaration = Declaration::read("media.replace_audio");
static CONCAT: Declaration = Declaration::read("media.concat");

// Rhai's macro needs the bodies inline. The doc comments are the playbook reference.
#[export_module]
mod functions {
    /// Takes the sound out of a video, or brings sound into another form; returns `#{ name, sha256, source_sha256,
    /// media_type, bytes, format, seconds, audio_codec, has_audio, bit_rate }`.
    ///
    /// - `source`: a path below one of the project's folders, or what another media function or `http::download` returned.
    /// - `options`, each of which may be left out:
    ///   - `format`: `m4a` (AAC; when nothing is said), `mp3` or `wav` (16 bits), always with 48,000 samples a second.
    ///   - `kilobits`: thousands of bits a second, from 32 to 320; 160 for `m4a`, 192 for `mp3` when nothing is said.
    ///   - `channels`: 1 or 2; as in the source when nothing is said.
    ///   - `loudness`: brings it to so many LUFS, from -30 to -5; platforms play at about -14.
    ///   - `name`: of the file, up to 120 bytes.
    ///
    /// Errors: `MEDIA_NO_SOUND`, and those of `cut`.
    ///
    /// ```rhai
    /// let sound = media::extract_audio("inbox/clip.mp4", #{ format: "mp3", channels: 1 });
    /// sound.name // => "clip.mp3"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn extract_audio(ctx: NativeCallContext, source: Dynamic, options: Map) -> ScriptResult {
        let source = ctx.check(Source::read(&ctx.value(&source)?))?;
        let read = |options: &mut Options| Ok((ExtractOptions::read(options)?, String::new()));
        let order = Order::read(&ctx, "media::extract_audio", vec![source], &options, read, |options| {
            options.format.ending()
        })?;
        order.perform(&ctx, &EXTRACT, |work, opened, options| {
            let info = look(work.ffmpeg, &opened[0].path)?;
            let arguments = arguments::extract(&info, options)?;
            let path = work.make(&opened[0].path, &[], arguments)?;
            let info = MediaInfo::of_sound(&work.ffmpeg.probe(&path)?)?;
            Ok((Finished { path, info }, Fields::new()))
        })
    }

    /// Gives a video another sound; returns what it is, as `cut` does. An H.264 picture is taken over as it is.
    ///
    /// - `video`, `sound`: paths below one of the project's folders, or what another media function or `http::download`
    ///   returned. `sound` may be a video, too.
    /// - `options`, each of which may be left out:
    ///   - `fit`: where they are not equally long, `pad` keeps the video's length with silence after the sound or without
    ///     its rest (when nothing is said), `loop` begins the sound again, `shortest` ends with whichever ends first.
    ///   - `loudness`: brings the sound to so many LUFS, from -30 to -5; platforms play at about -14.
    ///   - `name`: of the file, up to 120 bytes.
    ///
    /// Errors: `MEDIA_NO_SOUND`, and those of `cut`.
    ///
    /// ```rhai
    /// let sound = media::extract_audio("inbox/clip.mp4", #{});
    /// let clip = media::replace_audio("inbox/clip.mp4", sound, #{ fit: "loop", loudness: -14 });
    /// clip.has_audio // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn replace_audio(ctx: NativeCallContext, video: Dynamic, sound: Dynamic, options: Map) -> ScriptResult {
        let video = ctx.check(Source::read(&ctx.value(&video)?))?;
        let sound = ctx.check(Source::read(&ctx.value(&sound)?))?;
        let read = |options: &mut Options| Ok((ReplaceOptions::read(options)?, "-sound".to_owned()));
        let order = Order::read(
            &ctx,
            "media::replace_audio",
            vec![video, sound],
            &options,
            read,
            |_| "mp4",
        )?;
        order.perform(&ctx, &REPLACE, |work, opened, options| {
            let video = work::probe(work.ffmpeg, &opened[0].path)?;
            let sound = look(work.ffmpeg, &opened[1].path)?;
            let (before_sound, arguments) = arguments::replace(&video, &sound, options)?;
            let more = [MoreInput {
                args: before_sound,
                path: &opened[1].path,
            }];
            Ok((work.video(&opened[0].path, &more, arguments)?, Fields::new()))
        })
    }

    /// Puts videos one after another, as MP4 with H.264 and AAC; returns what it is, as `cut` does, with
    /// `source_sha256` of the first and `copied`: whether they were joined as they are.
    ///
    /// Videos of one form (MP4, H.264 and AAC in the same size, rate and coding, as `cut` and `reframe` make them with the
    /// same options) are joined as they are where no option below but `copy` and `name` is given: quick and without loss.
    /// Others are encoded, in one size, rate and sound: those of the first, unless something else is asked for. A video
    /// without sound is silent among those that have some.
    ///
    /// - `sources`: 2 to 30 paths or media maps, 6 hours together.
    /// - `options`, each of which may be left out:
    ///   - `width` and `height`: pixels, even numbers from 16 to 4096; the first video's when nothing is said.
    ///   - `fit`: what becomes of a video in another shape: `pad` fills the rest with black (when nothing is said), `crop`
    ///     cuts off what stands over.
    ///   - `fps`: pictures a second, from 1 to 60; the first video's when nothing is said.
    ///   - `loudness`: brings all of it to so many LUFS, from -30 to -5.
    ///   - `copy`: true refuses videos that cannot be joined as they are, and says why; false encodes always.
    ///   - `crf`, `preset`, `name`: as in `cut`.
    ///
    /// Errors: those of `cut`.
    ///
    /// ```rhai
    /// let intro = media::cut("inbox/clip.mp4", #{ length: 0.5, preset: "ultrafast" });
    /// let whole = media::concat([intro, "inbox/clip.mp4"], #{ preset: "ultrafast", name: "whole" });
    /// whole.name; // => "whole.mp4"
    /// let parts = media::concat(["inbox/clip.mp4", "inbox/clip.mp4"], #{});
    /// parts.copied // => true
    /// ```
    #[rhai_fn(return_raw)]
    pub fn concat(ctx: NativeCallContext, sources: Array, options: Map) -> ScriptResult {
        if !(2..=JOINED_MAX).contains(&sources.len()) {
            let message = format!("{} videos are given; 2 to {JOINED_MAX} can be joined", sources.len());
            return ctx.check(Err(MediaFault::option(message)));
        }
        let read = |source: &Dynamic| ctx.check(Source::read(&ctx.value(source)?));
        let sources = sources.iter().map(read).collect::<ScriptResult<Vec<_>>>()?;
        let read = |options: &mut Options| Ok((ConcatOptions::read(options)?, "-joined".to_owned()));
        let order = Order::read(&ctx, "media::concat", sources, &options, read, |_| "mp4")?;
        order.perform(&ctx, &CONCAT, |work, opened, options| {
            let probe = |opened: &Opened| work.ffmpeg.probe(&opened.path);
            let answers = opened.iter().map(probe).collect::<Result<Vec<_>, _>>()?;
            let infos = answers.iter().map(MediaInfo::from_probe);
            let infos = infos.collect::<Result<Vec<_>, _>>()?;
            let arguments = arguments::concat(&infos, options)?;
            let how = |copied: bool| Fields::from([("copied".to_owned(), copied.into())]);
            let hindrance = match Plan::new(&answers, &infos, options) {
                Ok(plan) => match copying::copy(work, opened, &plan)? {
                    Some(finished) => return Ok((finished, how(true))),
                    None => "what they hold is not what they say".to_owned(),
                },
                Err(hindrance) => hindrance,
            };
            if options.copy == Some(true) {
                let message = format!("the videos cannot be joined as they are: {hindrance}; leave `copy` out");
                return Err(MediaFault::option(message));
            }
            let more = opened[1..].iter().map(|opened| MoreInput {
                args: Vec::new(),
                path: &opened.path,
            });
            let finished = work.video(&opened[0].path, &more.collect::<Vec<_>>(), arguments)?;
            Ok((finished, how(false)))
        })
    }
}

/// What a video or sound is.
fn look(ffmpeg: &FfmpegDoor, path: &Path) -> Result<MediaInfo, MediaFault> {
    let answer = ffmpeg.probe(path)?;
    MediaInfo::from_probe(&answer).or_else(|_| MediaInfo::of_sound(&answer))
}

/// Something that is to be made of several files.
struct Order<O> {
    sources: Vec<Source>,
    options: O,
    /// The options as they were given.
    given: Value,
    name: OutputName,
}

impl<O> Order<O> {
    fn read(
        ctx: &NativeCallContext<'_>,
        function: &'static str,
        sources: Vec<Source>,
        options: &Map,
        read: impl FnOnce(&mut Options) -> Result<(O, String), BadOption>,
        ending: impl FnOnce(&O) -> &'static str,
    ) -> ScriptResult<Order<O>> {
        let mut options = ctx.check(Options::new(function, options))?;
        let given = options.to_value();
        let name = ctx.check(options.string("name"))?;
        let (read, suffix) = ctx.check(read(&mut options))?;
        ctx.check(options.finish())?;
        let first = sources.first().map_or("media", Source::file_name);
        let name = ctx.check(OutputName::new(name.as_deref(), first, &suffix, ending(&read)))?;
        Ok(Order {
            sources,
            options: read,
            given,
            name,
        })
    }

    fn perform(
        &self,
        ctx: &NativeCallContext<'_>,
        declaration: &Declaration,
        work: impl Fn(&mut Work<'_, '_>, &[Opened], &O) -> Result<(Finished, Fields), MediaFault>,
    ) -> ScriptResult {
        let sources: Vec<Value> = self.sources.iter().map(Source::to_value).collect();
        let args = [("sources", sources.into()), ("options", self.given.clone())];
        let make = |errand: &mut Errand<'_>| {
            let opened = self.sources.iter().map(|source| source.open(errand));
            let opened = opened.collect::<Result<Vec<_>, _>>()?;
            let workspace = Workspace::open(errand.workspace()).map_err(MediaFault::from)?;
            let told = &mut |progress: Progress| errand.progress(progress.fraction, self.name.name.as_str());
            let mut work_on = Work {
                ffmpeg: &errand.world.ffmpeg,
                folder: workspace.path(),
                progress: told,
                stop: &|| errand.is_halted(),
            };
            let (finished, more) = work(&mut work_on, &opened, &self.options)?;
            let kept = keep(errand, &workspace, &finished, &self.name);
            if kept.is_err() {
                workspace.discard(&finished.path);
            }
            let (name, sha256) = kept?;
            let mut fields = described(&finished.info, &name, sha256);
            fields.insert("source_sha256".to_owned(), opened[0].sha256.to_string().into());
            fields.extend(more);
            Ok(fields.into())
        };
        ctx.outside(Effect::new(declaration, args), &Reading(make))
    }
}

/// One piece of work under way.
struct Work<'w, 'p> {
    ffmpeg: &'w FfmpegDoor,
    folder: &'w Path,
    progress: OnProgress<'p>,
    stop: &'w dyn Fn() -> bool,
}

impl Work<'_, '_> {
    fn make(&mut self, first: &Path, more: &[MoreInput<'_>], arguments: Arguments) -> Result<PathBuf, MediaFault> {
        let job = job(self.folder, first, more, arguments);
        Ok(self.ffmpeg.run(job, self.progress, self.stop)?.finish()?)
    }

    /// As [`make`](Work::make), for what has a picture.
    fn video(&mut self, first: &Path, more: &[MoreInput<'_>], arguments: Arguments) -> Result<Finished, MediaFault> {
        let path = self.make(first, more, arguments)?;
        let info = work::probe(self.ffmpeg, &path)?;
        Ok(Finished { path, info })
    }

    /// As [`make`](Work::make), for what may yet come to nothing.
    fn attempt(&mut self, source: &Path, arguments: Arguments) -> Result<Unfinished, MediaFault> {
        let job = job(self.folder, source, &[], arguments);
        Ok(self.ffmpeg.run(job, self.progress, self.stop)?)
    }

    /// A step on the way to something else, of which nobody is told, of at most `bytes_max`.
    fn step(&self, source: &Path, arguments: Arguments, bytes_max: u64) -> Result<Unfinished, MediaFault> {
        let job = FfmpegJob {
            output_bytes_max: bytes_max,
            ..job(self.folder, source, &[], arguments)
        };
        Ok(self.ffmpeg.run(job, &mut |_| (), self.stop)?)
    }
}

fn job<'a>(folder: &'a Path, first: &'a Path, more: &'a [MoreInput<'a>], arguments: Arguments) -> FfmpegJob<'a> {
    FfmpegJob {
        input: first,
        input_args: arguments.before_input,
        more,
        output_args: arguments.after_input,
        out_dir: folder,
        extension: arguments.extension,
        timeout: None,
        duration_hint_ms: arguments.duration_ms,
        output_bytes_max: OUTPUT_BYTES_MAX,
    }
}
