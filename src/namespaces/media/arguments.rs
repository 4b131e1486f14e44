//! What is asked for, as ffmpeg's arguments. Pure.
//!
//! Checks what was asked against what the video has. No text from a playbook or a file becomes part of an argument:
//! all are made here, of numbers and of words of our own.

use super::fault::MediaFault;
use super::options::{Colour, CutOptions, Encoding, Fit, Picture, ReframeOptions, SIDES, ThumbnailOptions};
use super::probe::MediaInfo;

/// The shortest cut.
const LENGTH_MIN: f64 = 0.1;
/// By how much a time may lie behind the end: containers round.
const END_TOLERANCE: f64 = 0.05;
/// Faster videos are thinned out; no platform shows more.
const FPS_MAX: &str = "60";
/// Always as many, whatever the machine has: x264 makes other bytes with another number of threads.
const ENCODER_THREADS: &str = "4";
/// The longest side that a video with oblong pixels is stretched to.
const STRETCHED_SIDE_MAX: u32 = 8192;
/// By how much the background is made smaller before it is blurred, which makes blurring it cheap.
const BLUR_SHRINK: u32 = 8;
/// Exact rounding, so that every machine scales to the same bytes.
pub(super) const SCALING: &str = "flags=bicubic+accurate_rnd+bitexact";

/// What ffmpeg is told, but for the names of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    pub before_input: Vec<String>,
    pub after_input: Vec<String>,
    /// How the output's name ends.
    pub extension: &'static str,
    /// How long the output will be, where that is known.
    pub duration_ms: Option<u64>,
}

/// Keeps a part of the video.
pub fn cut(info: &MediaInfo, options: &CutOptions) -> Result<Arguments, MediaFault> {
    let length = length(info, options)?;
    let mut after_input = streams();
    if let Some(length) = length {
        push(&mut after_input, &["-t", &micros(length)]);
    }
    if options.copy {
        push(&mut after_input, &["-c", "copy", "-avoid_negative_ts", "make_zero"]);
    } else {
        push(&mut after_input, &["-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"]);
        h264(&mut after_input, &options.encoding);
    }
    mp4(&mut after_input);
    Ok(Arguments {
        before_input: vec!["-ss".to_owned(), micros(options.from)],
        after_input,
        extension: "mp4",
        duration_ms: length.map(millis),
    })
}

/// Brings the video into another shape.
pub fn reframe(info: &MediaInfo, options: &ReframeOptions) -> Result<Arguments, MediaFault> {
    let size = target_size(options)?;
    let mut after_input = streams();
    push(&mut after_input, &["-vf", &fit_filter(info, &options.fit, size)]);
    h264(&mut after_input, &options.encoding);
    mp4(&mut after_input);
    Ok(Arguments {
        before_input: Vec::new(),
        after_input,
        extension: "mp4",
        duration_ms: info.seconds.map(millis),
    })
}

/// Takes one picture.
pub fn thumbnail(info: &MediaInfo, options: &ThumbnailOptions) -> Result<Arguments, MediaFault> {
    let mut filters = square_pixels(info);
    if let Some(width) = options.width {
        filters.push(format!("scale={width}:-1:{SCALING}"));
    }
    filters.push("setsar=1".to_owned());
    let codec: &[&str] = match options.format {
        Picture::Jpeg => &["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"],
        Picture::Png => &["-c:v", "png", "-pix_fmt", "rgb24"],
    };
    let mut after_input = Vec::new();
    push(
        &mut after_input,
        &["-map", "0:V:0", "-frames:v", "1", "-vf", &filters.join(",")],
    );
    push(&mut after_input, codec);
    push(&mut after_input, &["-threads:v", "1"]);
    push(
        &mut after_input,
        &["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],
    );
    // Without `update` the name would be a pattern for a series.
    push(&mut after_input, &["-f", "image2", "-update", "1"]);
    let at = picture_time(info, options.at)?;
    Ok(Arguments {
        before_input: vec!["-ss".to_owned(), micros(at)],
        after_input,
        extension: options.format.ending(),
        duration_ms: None,
    })
}

/// How long the cut is; `None` to an end that nobody knows.
fn length(info: &MediaInfo, options: &CutOptions) -> Result<Option<f64>, MediaFault> {
    let from = options.from;
    let (name, to) = match (options.to, options.length) {
        (Some(_), Some(_)) => return Err(MediaFault::option("`to` and `length` are both given; leave one out")),
        (Some(to), None) if to <= from => {
            let (to, from) = (shown(to), shown(from));
            return Err(MediaFault::option(format!(
                "`to` is {to} s but `from` is {from} s; `to` must lie after it"
            )));
        }
        (Some(to), None) => ("`to`", Some(to)),
        (None, Some(length)) => ("`from` and `length` together", Some(from + length)),
        (None, None) => ("`to`", info.seconds),
    };
    if let Some(whole) = info.seconds {
        for (name, at) in [("`from`", Some(from + LENGTH_MIN)), (name, to)] {
            let Some(at) = at.filter(|at| *at > whole + END_TOLERANCE) else {
                continue;
            };
            let at = shown(if name == "`from`" { from } else { at });
            let verb = if name.contains("together") { "are" } else { "is" };
            return Err(MediaFault::option(format!(
                "{name} {verb} {at} s but the video has {} s",
                shown(whole)
            )));
        }
    }
    let Some(to) = to else { return Ok(None) };
    let length = info.seconds.map_or(to, |whole| to.min(whole)) - from;
    // What a subtraction of decimal fractions loses must not refuse a cut of exactly the least length.
    if length < LENGTH_MIN - 1e-6 {
        let length = shown(length);
        return Err(MediaFault::option(format!(
            "the cut would have {length} s; it needs at least {LENGTH_MIN} s"
        )));
    }
    Ok(Some(length))
}

/// Where the picture shown at `at` begins to be found: the last one is shown until the end, but begins before it.
fn picture_time(info: &MediaInfo, at: f64) -> Result<f64, MediaFault> {
    let Some(whole) = info.seconds else { return Ok(at) };
    if at > whole + END_TOLERANCE {
        let (at, whole) = (shown(at), shown(whole));
        return Err(MediaFault::option(format!(
            "`at` is {at} s but the video has {whole} s"
        )));
    }
    let last = info.video_seconds.unwrap_or(whole) - 1.5 / info.fps.unwrap_or(10.0);
    Ok(at.min(last).max(0.0))
}

/// Width and height of a reframed video.
fn target_size(options: &ReframeOptions) -> Result<(u32, u32), MediaFault> {
    let (wide, high) = options.ratio.parts();
    let even = |pixels: f64| ((pixels / 2.0).round() * 2.0) as u32;
    let height_for = |width: u32| even(f64::from(width) * f64::from(high) / f64::from(wide));
    let width_for = |height: u32| even(f64::from(height) * f64::from(wide) / f64::from(high));
    let size = match (options.width, options.height) {
        (None, None) => options.ratio.size(),
        (Some(width), None) => (width, height_for(width)),
        (None, Some(height)) => (width_for(height), height),
        (Some(width), Some(height)) if height.abs_diff(height_for(width)) <= 2 => (width, height),
        (Some(width), Some(height)) => {
            let ratio = options.ratio.name();
            let fitting = height_for(width);
            return Err(MediaFault::option(format!(
                "`width` {width} and `height` {height} are not {ratio}; to {width} belongs {fitting}, or leave one out"
            )));
        }
    };
    // One side was checked when it was read; the other follows from it.
    for (name, pixels) in [("width", size.0), ("height", size.1)] {
        if !SIDES.contains(&i64::from(pixels)) {
            let ratio = options.ratio.name();
            return Err(MediaFault::option(format!(
                "`{name}` would be {pixels} at {ratio}; 16 to 4096 are allowed"
            )));
        }
    }
    Ok(size)
}

fn fit_filter(info: &MediaInfo, fit: &Fit, (width, height): (u32, u32)) -> String {
    let fill = format!("scale={width}:{height}:force_original_aspect_ratio=increase:{SCALING},crop={width}:{height}");
    let within = format!("scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:{SCALING}");
    let mut filters = square_pixels(info);
    filters.push(match fit {
        Fit::Crop => fill,
        Fit::Pad(Colour([red, green, blue])) => {
            let colour = format!("0x{red:02x}{green:02x}{blue:02x}");
            format!("{within},pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:color={colour}")
        }
        Fit::Blur => {
            let (small_width, small_height) = ((width / BLUR_SHRINK).max(2), (height / BLUR_SHRINK).max(2));
            let behind = format!(
                "scale={small_width}:{small_height}:force_original_aspect_ratio=increase:{SCALING},\
                 crop={small_width}:{small_height},gblur=sigma=4,scale={width}:{height}:{SCALING}"
            );
            format!("split[a][b];[a]{behind}[behind];[b]{within}[front];[behind][front]overlay=(W-w)/2:(H-h)/2")
        }
    });
    filters.push("setsar=1".to_owned());
    filters.join(",")
}

/// Stretches a video whose pixels are oblong, as those of DVDs are.
fn square_pixels(info: &MediaInfo) -> Vec<String> {
    if info.pixel_aspect == 1.0 {
        return Vec::new();
    }
    vec![
        format!("scale=max(2\\,min(iw*sar\\,{STRETCHED_SIDE_MAX})):ih:{SCALING}"),
        "setsar=1".to_owned(),
    ]
}

/// The moving pictures, which an album's cover is not, and the first sound if there is one.
fn streams() -> Vec<String> {
    ["-map", "0:V:0", "-map", "0:a:0?", "-sn", "-dn"]
        .map(str::to_owned)
        .to_vec()
}

/// H.264 and AAC as every player and platform takes them.
pub(super) fn h264(args: &mut Vec<String>, encoding: &Encoding) {
    let crf = encoding.crf.to_string();
    push(
        args,
        &[
            "-c:v",
            "libx264",
            "-preset",
            encoding.preset,
            "-crf",
            &crf,
            "-pix_fmt",
            "yuv420p",
        ],
    );
    push(args, &["-fpsmax", FPS_MAX, "-threads:v", ENCODER_THREADS]);
    push(args, &["-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2"]);
}

/// An MP4 that can be played before it is loaded whole, and that says nothing of when and by what it was made.
pub(super) fn mp4(args: &mut Vec<String>) {
    push(args, &["-map_metadata", "-1", "-map_chapters", "-1"]);
    push(
        args,
        &["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"],
    );
    push(args, &["-movflags", "+faststart", "-f", "mp4"]);
}

pub(super) fn push(args: &mut Vec<String>, more: &[&str]) {
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
}

/// Seconds as ffmpeg takes them, to the microsecond, which is its own grain.
pub(super) fn micros(seconds: f64) -> String {
    format!("{seconds:.6}")
}

pub(super) fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// Seconds for people: at most three decimals, at least one.
pub(super) fn shown(seconds: f64) -> String {
    let text = format!("{seconds:.3}");
    let short = text.trim_end_matches('0');
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::media::options::Ratio;

    fn info() -> MediaInfo {
        MediaInfo {
            seconds: Some(42.0),
            video_seconds: Some(41.96),
            fps: Some(25.0),
            width: 1920,
            height: 1080,
            pixel_aspect: 1.0,
            ..MediaInfo::default()
        }
    }

    fn cut_fault(from: f64, to: Option<f64>, length: Option<f64>) -> String {
        cut(
            &info(),
            &CutOptions {
                from,
                to,
                length,
                ..CutOptions::default()
            },
        )
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn a_cut_beyond_the_video_is_refused_with_both_numbers() {
        assert_eq!(
            cut_fault(0.0, Some(50.0), None),
            "`to` is 50.0 s but the video has 42.0 s"
        );
        assert_eq!(cut_fault(42.0, None, None), "`from` is 42.0 s but the video has 42.0 s");
        assert_eq!(
            cut_fault(50.0, Some(60.0), None),
            "`from` is 50.0 s but the video has 42.0 s"
        );
        assert_eq!(
            cut_fault(40.0, None, Some(2.5)),
            "`from` and `length` together are 42.5 s but the video has 42.0 s"
        );
        assert_eq!(
            cut_fault(5.0, Some(3.0), None),
            "`to` is 3.0 s but `from` is 5.0 s; `to` must lie after it"
        );
        assert_eq!(
            cut_fault(5.0, Some(5.02), None),
            "the cut would have 0.02 s; it needs at least 0.1 s"
        );
        assert_eq!(
            cut_fault(5.0, Some(6.0), Some(1.0)),
            "`to` and `length` are both given; leave one out"
        );
    }

    #[test]
    fn a_cut_says_where_it_begins_and_how_long_it_is() {
        let options = CutOptions {
            from: 1.5,
            to: Some(42.03),
            ..CutOptions::default()
        };
        let arguments = cut(&info(), &options).unwrap();
        assert_eq!(arguments.before_input, ["-ss", "1.500000"]);
        let after = arguments.after_input.join(" ");
        assert!(
            after.contains("-t 40.500000 ") && after.ends_with("-movflags +faststart -f mp4"),
            "{after}"
        );
        assert_eq!(arguments.duration_ms, Some(40_500));
        let unknown = MediaInfo {
            seconds: None,
            ..info()
        };
        assert_eq!(cut(&unknown, &CutOptions::default()).unwrap().duration_ms, None);
        assert!(
            cut(
                &info(),
                &CutOptions {
                    from: 0.7,
                    length: Some(0.1),
                    ..CutOptions::default()
                }
            )
            .is_ok()
        );
    }

    #[test]
    fn the_size_follows_from_the_ratio_or_from_the_side_that_is_given() {
        let size = |ratio, width, height| {
            target_size(&ReframeOptions {
                ratio,
                width,
                height,
                ..ReframeOptions::default()
            })
        };
        let fault = |ratio, width, height| size(ratio, width, height).unwrap_err().to_string();
        assert_eq!(size(Ratio::Portrait9x16, None, None).unwrap(), (1080, 1920));
        assert_eq!(size(Ratio::Portrait4x5, None, None).unwrap(), (1080, 1350));
        assert_eq!(size(Ratio::Portrait9x16, Some(720), None).unwrap(), (720, 1280));
        assert_eq!(size(Ratio::Landscape16x9, None, Some(480)).unwrap(), (854, 480));
        assert_eq!(size(Ratio::Landscape16x9, Some(854), Some(480)).unwrap(), (854, 480));
        assert_eq!(
            fault(Ratio::Square, Some(720), Some(1280)),
            "`width` 720 and `height` 1280 are not 1:1; to 720 belongs 720, or leave one out"
        );
        assert_eq!(
            fault(Ratio::Portrait9x16, Some(4096), None),
            "`height` would be 7282 at 9:16; 16 to 4096 are allowed"
        );
        assert_eq!(
            fault(Ratio::Portrait9x16, None, Some(16)),
            "`width` would be 10 at 9:16; 16 to 4096 are allowed"
        );
    }

    #[test]
    fn the_last_picture_is_shown_until_the_end() {
        assert_eq!(picture_time(&info(), 10.0).unwrap(), 10.0);
        let last = picture_time(&info(), 42.0).unwrap();
        assert!((41.88..=41.92).contains(&last), "{last}");
        assert_eq!(
            picture_time(&info(), 43.0).unwrap_err().to_string(),
            "`at` is 43.0 s but the video has 42.0 s"
        );
    }
}
