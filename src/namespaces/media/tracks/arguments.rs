//! Sound taken out, sound put in, videos one after another: as ffmpeg's arguments. Pure.

use super::super::arguments::{Arguments, SCALING, h264, micros, millis, mp4, push, shown};
use super::super::fault::MediaFault;
use super::super::options::{Encoding, SIDES};
use super::super::probe::MediaInfo;
use crate::namespaces::options::{BadOption, Options};

/// The most videos in one.
pub const JOINED_MAX: usize = 30;
/// How long a video may become, in seconds.
const JOINED_SECONDS_MAX: f64 = 6.0 * 3600.0;
/// Loudness that can be asked for, in LUFS; the platforms play at about -14.
const LOUDNESS: std::ops::RangeInclusive<f64> = -30.0..=-5.0;
const SAMPLES: &str = "48000";

/// What sound is saved as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoundFormat {
    #[default]
    M4a,
    Mp3,
    Wav,
}

impl SoundFormat {
    pub fn ending(self) -> &'static str {
        match self {
            SoundFormat::M4a => "m4a",
            SoundFormat::Mp3 => "mp3",
            SoundFormat::Wav => "wav",
        }
    }
}

/// How sound is taken out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExtractOptions {
    pub format: SoundFormat,
    /// Thousands of bits a second; plays no part in WAV.
    pub kilobits: Option<u32>,
    pub channels: Option<u8>,
    pub loudness: Option<f64>,
}

impl ExtractOptions {
    pub fn read(options: &mut Options) -> Result<ExtractOptions, BadOption> {
        let formats = [
            ("m4a", SoundFormat::M4a),
            ("mp3", SoundFormat::Mp3),
            ("wav", SoundFormat::Wav),
        ];
        let format = options.choice("format", &formats)?.unwrap_or_default();
        let kilobits = options.int("kilobits", 32..=320)?;
        if kilobits.is_some() && format == SoundFormat::Wav {
            return Err(options.conflict("`kilobits` is given, but WAV is not compressed"));
        }
        Ok(ExtractOptions {
            format,
            kilobits: kilobits.map(|kilobits| kilobits as u32),
            channels: options.int("channels", 1..=2)?.map(|channels| channels as u8),
            loudness: options.float("loudness", LOUDNESS)?,
        })
    }
}

/// What becomes of sound that is not as long as its video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoundFit {
    /// Silence follows, or the rest is cut off.
    #[default]
    Pad,
    /// It begins again until the video ends.
    Loop,
    /// The video ends with it.
    Shortest,
}

/// How sound is put in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplaceOptions {
    pub fit: SoundFit,
    pub loudness: Option<f64>,
}

impl ReplaceOptions {
    pub fn read(options: &mut Options) -> Result<ReplaceOptions, BadOption> {
        let fits = [
            ("pad", SoundFit::Pad),
            ("loop", SoundFit::Loop),
            ("shortest", SoundFit::Shortest),
        ];
        Ok(ReplaceOptions {
            fit: options.choice("fit", &fits)?.unwrap_or_default(),
            loudness: options.float("loudness", LOUDNESS)?,
        })
    }
}

/// How videos become one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConcatOptions {
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// What stands over is cut off instead of the rest being filled with black.
    pub crop: bool,
    pub fps: Option<f64>,
    pub loudness: Option<f64>,
    pub encoding: Encoding,
    /// Whether the videos are joined as they are; `None`: where that is possible.
    pub copy: Option<bool>,
    /// The option because of which they must be encoded, whatever they are.
    pub encodes: Option<&'static str>,
}

impl ConcatOptions {
    pub fn read(options: &mut Options) -> Result<ConcatOptions, BadOption> {
        let given = options.to_value();
        let is_given = |name: &&str| given.get(name).is_some_and(|value| !value.is_unit());
        let encodes = ["crf", "preset", "width", "height", "fit", "fps", "loudness"];
        let encodes = encodes.into_iter().find(is_given);
        let copy = options.bool("copy")?;
        if let (Some(true), Some(name)) = (copy, encodes) {
            let reason = format!("`copy` joins the videos as they are, and `{name}` needs them encoded; leave one out");
            return Err(options.conflict(reason));
        }
        Ok(ConcatOptions {
            copy,
            encodes: encodes.or((copy == Some(false)).then_some("copy")),
            width: super::super::options::even_side(options, "width")?,
            height: super::super::options::even_side(options, "height")?,
            crop: options
                .choice("fit", &[("pad", false), ("crop", true)])?
                .unwrap_or(false),
            fps: options.float("fps", 1.0..=60.0)?,
            loudness: options.float("loudness", LOUDNESS)?,
            encoding: super::super::options::encoding(options)?,
        })
    }
}

/// Takes the sound out.
pub fn extract(info: &MediaInfo, options: &ExtractOptions) -> Result<Arguments, MediaFault> {
    if !info.has_audio() {
        return Err(MediaFault::NoSound);
    }
    let mut after_input = Vec::new();
    push(&mut after_input, &["-map", "0:a:0", "-vn", "-sn", "-dn"]);
    if let Some(loudness) = options.loudness {
        push(&mut after_input, &["-af", &level(loudness)]);
    }
    let kilobits = |preset: u32| format!("{}k", options.kilobits.unwrap_or(preset));
    match options.format {
        SoundFormat::M4a => push(&mut after_input, &["-c:a", "aac", "-b:a", &kilobits(160)]),
        SoundFormat::Mp3 => push(&mut after_input, &["-c:a", "libmp3lame", "-b:a", &kilobits(192)]),
        SoundFormat::Wav => push(&mut after_input, &["-c:a", "pcm_s16le"]),
    }
    push(&mut after_input, &["-ar", SAMPLES]);
    if let Some(channels) = options.channels {
        push(&mut after_input, &["-ac", &channels.to_string()]);
    }
    push(
        &mut after_input,
        &[
            "-map_metadata",
            "-1",
            "-map_chapters",
            "-1",
            "-fflags",
            "+bitexact",
            "-flags:a",
            "+bitexact",
        ],
    );
    let format: &[&str] = match options.format {
        SoundFormat::M4a => &["-movflags", "+faststart", "-f", "ipod"],
        SoundFormat::Mp3 => &["-f", "mp3"],
        SoundFormat::Wav => &["-f", "wav"],
    };
    push(&mut after_input, format);
    Ok(Arguments {
        before_input: Vec::new(),
        after_input,
        extension: options.format.ending(),
        duration_ms: info.seconds.map(millis),
    })
}

/// What is told before the second input, and everything else.
pub fn replace(
    video: &MediaInfo,
    sound: &MediaInfo,
    options: &ReplaceOptions,
) -> Result<(Vec<String>, Arguments), MediaFault> {
    if !sound.has_audio() {
        return Err(MediaFault::NoSound);
    }
    let Some(whole) = video.video_seconds.or(video.seconds) else {
        return Err(MediaFault::option(
            "nobody knows how long the video is; bring it into order first with media::cut",
        ));
    };
    let length = match (options.fit, sound.seconds) {
        (SoundFit::Shortest, Some(sound)) => whole.min(sound),
        _ => whole,
    };
    let before_sound = match options.fit {
        SoundFit::Loop => vec!["-stream_loop".to_owned(), "-1".to_owned()],
        _ => Vec::new(),
    };
    let mut after_input = Vec::new();
    push(&mut after_input, &["-map", "0:V:0", "-map", "1:a:0", "-sn", "-dn"]);
    let mut filters: Vec<String> = options.loudness.map(level).into_iter().collect();
    filters.push(format!("aresample={SAMPLES}"));
    filters.push("apad".to_owned());
    push(&mut after_input, &["-af", &filters.join(",")]);
    if video.video_codec == "h264" {
        push(&mut after_input, &["-c:v", "copy"]);
        push(
            &mut after_input,
            &["-c:a", "aac", "-b:a", "160k", "-ar", SAMPLES, "-ac", "2"],
        );
    } else {
        push(&mut after_input, &["-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"]);
        h264(&mut after_input, &Encoding::default());
    }
    push(&mut after_input, &["-t", &micros(length)]);
    mp4(&mut after_input);
    Ok((
        before_sound,
        Arguments {
            before_input: Vec::new(),
            after_input,
            extension: "mp4",
            duration_ms: Some(millis(length)),
        },
    ))
}

/// Puts videos one after another, all in the size and rate of the first unless something else is asked for.
pub fn concat(infos: &[MediaInfo], options: &ConcatOptions) -> Result<Arguments, MediaFault> {
    let Some(first) = infos.first() else {
        return Err(MediaFault::option("there is no video to begin with"));
    };
    let even = |side: u32| (side / 2 * 2).clamp(*SIDES.start() as u32, *SIDES.end() as u32);
    let (width, height) = match (options.width, options.height) {
        (Some(width), Some(height)) => (width, height),
        (None, None) => (even(first.width), even(first.height)),
        _ => return Err(MediaFault::option("give both `width` and `height`, or neither")),
    };
    let fps = options.fps.or(first.fps).unwrap_or(30.0).clamp(1.0, 60.0);
    let mut total = 0.0;
    let has_sound = infos.iter().any(MediaInfo::has_audio);
    let (mut graph, mut pairs) = (Vec::new(), String::new());
    for (at, info) in infos.iter().enumerate() {
        let Some(seconds) = info.seconds else {
            return Err(MediaFault::option(format!(
                "nobody knows how long video {} is; bring it into order first with media::cut",
                at + 1
            )));
        };
        total += seconds;
        let fit = if options.crop {
            format!("scale={width}:{height}:force_original_aspect_ratio=increase:{SCALING},crop={width}:{height}")
        } else {
            format!(
                "scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:{SCALING},\
                 pad={width}:{height}:(ow-iw)/2:(oh-ih)/2"
            )
        };
        let square = if info.pixel_aspect == 1.0 {
            String::new()
        } else {
            "scale=max(2\\,min(iw*sar\\,8192)):ih,setsar=1,".to_owned()
        };
        graph.push(format!(
            "[{at}:V:0]{square}{fit},setsar=1,fps={fps},format=yuv420p[v{at}]"
        ));
        pairs.push_str(&format!("[v{at}]"));
        if has_sound {
            let shape = format!("aresample={SAMPLES},aformat=sample_fmts=fltp:channel_layouts=stereo");
            graph.push(if info.has_audio() {
                format!("[{at}:a:0]{shape}[a{at}]")
            } else {
                let length = micros(info.video_seconds.unwrap_or(seconds));
                format!("anullsrc=r={SAMPLES}:cl=stereo,atrim=duration={length},{shape}[a{at}]")
            });
            pairs.push_str(&format!("[a{at}]"));
        }
    }
    if total > JOINED_SECONDS_MAX {
        let (total, most) = (shown(total), shown(JOINED_SECONDS_MAX));
        return Err(MediaFault::option(format!(
            "the video would have {total} s; at most {most} s are made"
        )));
    }
    let (sounds, ends) = if has_sound { (1, "[v][joined]") } else { (0, "[v]") };
    graph.push(format!("{pairs}concat=n={}:v=1:a={sounds}{ends}", infos.len()));
    let mut after_input = Vec::new();
    if has_sound {
        let level = options.loudness.map_or("anull".to_owned(), level);
        graph.push(format!("[joined]{level}[a]"));
    }
    push(&mut after_input, &["-filter_complex", &graph.join(";"), "-map", "[v]"]);
    if has_sound {
        push(&mut after_input, &["-map", "[a]"]);
    }
    h264(&mut after_input, &options.encoding);
    mp4(&mut after_input);
    Ok(Arguments {
        before_input: Vec::new(),
        after_input,
        extension: "mp4",
        duration_ms: Some(millis(total)),
    })
}

/// Brings sound to a loudness as broadcasters measure it (EBU R128), and its rate back afterwards.
fn level(loudness: f64) -> String {
    format!("loudnorm=I={loudness:.1}:TP=-1.5:LRA=11,aresample={SAMPLES},aformat=channel_layouts=mono|stereo")
}
