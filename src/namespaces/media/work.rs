//! Carrying it out: look at the source, check, make, look at the result, give it its name.
//!
//! A result has its name only after it was looked at, so whatever is found under one is a whole video or picture.

use std::path::{Path, PathBuf};

use super::arguments::{self, Arguments};
use super::fault::MediaFault;
use super::options::{CutOptions, ReframeOptions, ThumbnailOptions};
use super::probe::MediaInfo;
use crate::io::ffmpeg::{FfmpegDoor, FfmpegJob, OUTPUT_BYTES_MAX, Progress, Unfinished};

/// A finished output and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    pub path: PathBuf,
    pub info: MediaInfo,
}

/// Who is told how far the work is.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);

/// What the video at `path` is.
pub fn probe(ffmpeg: &FfmpegDoor, path: &Path) -> Result<MediaInfo, MediaFault> {
    MediaInfo::from_probe(&ffmpeg.probe(path)?)
}

/// Keeps a part of the video at `source`.
pub fn cut(
    ffmpeg: &FfmpegDoor,
    source: &Path,
    options: &CutOptions,
    out_dir: &Path,
    progress: OnProgress<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Finished, MediaFault> {
    let arguments = arguments::cut(&probe(ffmpeg, source)?, options)?;
    let output = make(ffmpeg, source, arguments, out_dir, progress, stop)?;
    let info = probe(ffmpeg, output.path())?;
    finish(output, info)
}

/// Brings the video at `source` into another shape.
pub fn reframe(
    ffmpeg: &FfmpegDoor,
    source: &Path,
    options: &ReframeOptions,
    out_dir: &Path,
    progress: OnProgress<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Finished, MediaFault> {
    let arguments = arguments::reframe(&probe(ffmpeg, source)?, options)?;
    let output = make(ffmpeg, source, arguments, out_dir, progress, stop)?;
    let info = probe(ffmpeg, output.path())?;
    finish(output, info)
}

/// Takes one picture of the video at `source`.
pub fn thumbnail(
    ffmpeg: &FfmpegDoor,
    source: &Path,
    options: &ThumbnailOptions,
    out_dir: &Path,
    progress: OnProgress<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Finished, MediaFault> {
    let arguments = arguments::thumbnail(&probe(ffmpeg, source)?, options)?;
    let output = make(ffmpeg, source, arguments, out_dir, progress, stop)?;
    let info = MediaInfo::from_probe(&ffmpeg.probe_picture(output.path())?)?;
    finish(output, info)
}

fn make(
    ffmpeg: &FfmpegDoor,
    source: &Path,
    arguments: Arguments,
    out_dir: &Path,
    progress: OnProgress<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Unfinished, MediaFault> {
    let job = FfmpegJob {
        input: source,
        input_args: arguments.before_input,
        more: &[],
        output_args: arguments.after_input,
        out_dir,
        extension: arguments.extension,
        timeout: None,
        duration_hint_ms: arguments.duration_ms,
        output_bytes_max: OUTPUT_BYTES_MAX,
    };
    Ok(ffmpeg.run(job, progress, stop)?)
}

pub(super) fn finish(output: Unfinished, info: MediaInfo) -> Result<Finished, MediaFault> {
    Ok(Finished {
        path: output.finish()?,
        info,
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay files out")]
mod tests {
    use std::fs;

    use super::*;
    use crate::io::ffmpeg::samples;
    use crate::namespaces::media::options::{Colour, Encoding, Fit, Picture, Ratio};

    fn quick() -> Encoding {
        Encoding {
            crf: 35,
            preset: "ultrafast",
        }
    }

    fn cut_to(source: &Path, dir: &Path, options: CutOptions) -> Result<Finished, MediaFault> {
        let options = CutOptions {
            encoding: quick(),
            ..options
        };
        cut(&samples::door(), source, &options, dir, &mut |_| {}, &|| false)
    }

    fn reframe_to(source: &Path, dir: &Path, options: ReframeOptions) -> Result<Finished, MediaFault> {
        let options = ReframeOptions {
            encoding: quick(),
            ..options
        };
        reframe(&samples::door(), source, &options, dir, &mut |_| {}, &|| false)
    }

    fn thumbnail_of(source: &Path, dir: &Path, options: ThumbnailOptions) -> Result<Finished, MediaFault> {
        thumbnail(&samples::door(), source, &options, dir, &mut |_| {}, &|| false)
    }

    fn fits() -> [Fit; 3] {
        [Fit::Crop, Fit::Pad(Colour([255, 0, 0])), Fit::Blur]
    }

    #[test]
    fn a_cut_has_the_length_asked_for_and_all_streams() {
        let dir = tempfile::tempdir().unwrap();
        let options = CutOptions {
            from: 0.5,
            to: Some(1.5),
            ..CutOptions::default()
        };
        let info = cut_to(&samples::landscape(), dir.path(), options).unwrap().info;
        assert!((info.seconds.unwrap() - 1.0).abs() < 0.06, "{info:?}");
        assert_eq!((info.width, info.height, info.fps), (320, 180, Some(25.0)));
        assert_eq!(
            (info.video_codec.as_str(), info.audio_codec.as_deref()),
            ("h264", Some("aac"))
        );
    }

    #[test]
    fn a_cut_without_re_encoding_takes_the_streams_over() {
        let dir = tempfile::tempdir().unwrap();
        let options = CutOptions {
            length: Some(1.0),
            copy: true,
            ..CutOptions::default()
        };
        let finished = cut_to(&samples::landscape(), dir.path(), options).unwrap();
        assert!(
            (finished.info.seconds.unwrap() - 1.0).abs() < 0.1,
            "{:?}",
            finished.info
        );
    }

    #[test]
    fn a_video_with_odd_sides_or_without_sound_can_be_cut() {
        let dir = tempfile::tempdir().unwrap();
        let info = cut_to(&samples::odd(), dir.path(), CutOptions::default()).unwrap().info;
        assert_eq!((info.width, info.height), (320, 180));
        let info = cut_to(&samples::portrait_silent(), dir.path(), CutOptions::default())
            .unwrap()
            .info;
        assert_eq!((info.width, info.height, info.has_audio()), (180, 320, false));
    }

    #[test]
    fn every_fit_gives_the_size_of_its_ratio() {
        let dir = tempfile::tempdir().unwrap();
        let [crop, pad, blur] = fits();
        for (source, fit, ratio, width, height) in [
            (samples::landscape(), &crop, Ratio::Portrait9x16, 90, 160),
            (samples::landscape(), &pad, Ratio::Portrait9x16, 90, 160),
            (samples::landscape(), &blur, Ratio::Portrait9x16, 90, 160),
            (samples::portrait_silent(), &crop, Ratio::Landscape16x9, 160, 90),
            (samples::portrait_silent(), &blur, Ratio::Landscape16x9, 160, 90),
            (samples::rotated(), &pad, Ratio::Square, 96, 96),
            (samples::rotated(), &blur, Ratio::Square, 96, 96),
            (samples::odd(), &pad, Ratio::Portrait4x5, 80, 100),
        ] {
            let options = ReframeOptions {
                ratio,
                fit: fit.clone(),
                width: Some(width),
                ..Default::default()
            };
            let info = reframe_to(&source, dir.path(), options).expect("reframes").info;
            assert_eq!(
                (info.width, info.height, info.rotation),
                (width, height, 0),
                "{fit:?} {source:?}"
            );
        }
    }

    #[test]
    fn a_turned_video_is_probed_and_cut_as_it_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let info = probe(&samples::door(), &samples::rotated()).unwrap();
        assert_eq!((info.width, info.height, info.rotation), (180, 320, 90));
        let info = cut_to(&samples::rotated(), dir.path(), CutOptions::default())
            .unwrap()
            .info;
        assert_eq!((info.width, info.height, info.rotation), (180, 320, 0));
    }

    /// Without it, a bar of the padding's colour would be missing, or the picture stretched over it.
    #[test]
    fn padding_has_the_colour_asked_for_and_cropping_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let corner = |fit| {
            let options = ReframeOptions {
                ratio: Ratio::Square,
                fit,
                width: Some(64),
                ..Default::default()
            };
            let square = reframe_to(&samples::landscape(), dir.path(), options).unwrap().path;
            samples::first_pixel(&square)
        };
        let [red, green, blue] = corner(Fit::Pad(Colour([255, 0, 0])));
        assert!(red > 230 && green < 30 && blue < 30, "{red} {green} {blue}");
        let [red, green, blue] = corner(Fit::Pad(Colour([255; 3])));
        assert!(red > 230 && green > 230 && blue > 230, "{red} {green} {blue}");
    }

    #[test]
    fn a_thumbnail_is_a_picture_of_the_width_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for (at, width, format, codec) in [
            (0.0, None, Picture::Jpeg, "mjpeg"),
            (1.0, Some(161), Picture::Png, "png"),
            (2.0, Some(64), Picture::Jpeg, "mjpeg"),
        ] {
            let finished = thumbnail_of(
                &samples::landscape(),
                dir.path(),
                ThumbnailOptions { at, width, format },
            )
            .unwrap();
            assert_eq!(
                (finished.info.video_codec.as_str(), finished.info.width),
                (codec, width.unwrap_or(320))
            );
            assert_eq!((finished.info.seconds, finished.info.fps), (None, None));
            assert!(finished.info.bytes > 500);
        }
        let turned = thumbnail_of(&samples::rotated(), dir.path(), ThumbnailOptions::default()).unwrap();
        assert_eq!((turned.info.width, turned.info.height), (180, 320));
    }

    #[test]
    fn the_same_work_twice_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = |finished: Result<Finished, MediaFault>| fs::read(finished.unwrap().path).unwrap();
        let source = samples::landscape();
        let twice = |work: &dyn Fn() -> Result<Finished, MediaFault>| assert!(bytes(work()) == bytes(work()));
        let part = CutOptions {
            from: 0.3,
            ..CutOptions::default()
        };
        twice(&|| cut(&samples::door(), &source, &part, dir.path(), &mut |_| {}, &|| false));
        for fit in fits() {
            let options = ReframeOptions {
                fit,
                width: Some(90),
                ..Default::default()
            };
            twice(&|| reframe_to(&source, dir.path(), options.clone()));
        }
        twice(&|| {
            thumbnail_of(
                &source,
                dir.path(),
                ThumbnailOptions {
                    at: 0.5,
                    ..Default::default()
                },
            )
        });
    }

    /// Left to itself, x264 takes a thread for each processor, and makes other bytes with another number of them.
    #[test]
    fn the_same_work_on_fewer_processors_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let script = "case \"$*\" in *-show_streams*) exec ffprobe \"$@\";; esac; exec taskset -c 0 ffmpeg \"$@\"";
        let on_one = samples::scripted(dir.path(), script);
        let options = CutOptions {
            length: Some(2.0),
            encoding: quick(),
            ..CutOptions::default()
        };
        let bytes = |door: &FfmpegDoor| {
            let finished = cut(door, &samples::long(), &options, dir.path(), &mut |_| {}, &|| false);
            fs::read(finished.unwrap().path).unwrap()
        };
        assert!(bytes(&on_one) == bytes(&samples::door()));
    }

    #[test]
    fn oblong_pixels_are_stretched_to_squares() {
        let dir = tempfile::tempdir().unwrap();
        let picture = thumbnail_of(&samples::oblong(), dir.path(), ThumbnailOptions::default())
            .unwrap()
            .info;
        assert_eq!((picture.width, picture.height, picture.pixel_aspect), (320, 180, 1.0));
        let options = ReframeOptions {
            ratio: Ratio::Landscape16x9,
            width: Some(160),
            ..Default::default()
        };
        let info = reframe_to(&samples::oblong(), dir.path(), options).unwrap().info;
        assert_eq!((info.width, info.height, info.pixel_aspect), (160, 90, 1.0));
    }

    #[test]
    fn what_a_video_says_of_its_origin_is_not_handed_on() {
        let dir = tempfile::tempdir().unwrap();
        let holds = |path: &Path, text: &str| {
            fs::read(path)
                .unwrap()
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        // A title, and the name and version of the program that wrote it.
        let origin = ["recorded at home", "Lavf"];
        assert!(origin.iter().all(|text| holds(&samples::landscape(), text)));
        for copy in [false, true] {
            let options = CutOptions {
                copy,
                ..CutOptions::default()
            };
            let path = cut_to(&samples::landscape(), dir.path(), options).unwrap().path;
            assert!(!origin.iter().any(|text| holds(&path, text)));
        }
    }

    #[test]
    fn sound_and_letters_are_no_videos_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let fault = cut_to(&samples::sound(), dir.path(), CutOptions::default()).unwrap_err();
        assert_eq!(fault.to_string(), "the file has no video: it holds only sound (aac)");
        let letter = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
        fs::write(letter.path(), "dear reader").unwrap();
        let fault = thumbnail_of(letter.path(), dir.path(), ThumbnailOptions::default()).unwrap_err();
        assert_eq!(fault.code(), "MEDIA_UNREADABLE");
        let beyond = CutOptions {
            to: Some(50.0),
            ..CutOptions::default()
        };
        let fault = cut_to(&samples::landscape(), dir.path(), beyond).unwrap_err();
        assert_eq!(fault.to_string(), "`to` is 50.0 s but the video has 2.0 s");
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn progress_of_a_cut_ends_at_one() {
        let dir = tempfile::tempdir().unwrap();
        let options = CutOptions {
            from: 1.0,
            length: Some(20.0),
            encoding: quick(),
            ..CutOptions::default()
        };
        let mut seen = Vec::new();
        let told = &mut |progress: Progress| seen.push(progress.fraction.unwrap());
        cut(&samples::door(), &samples::long(), &options, dir.path(), told, &|| {
            false
        })
        .unwrap();
        assert!(
            seen.len() >= 2 && seen.is_sorted() && seen.last() == Some(&1.0),
            "{seen:?}"
        );
    }
}
