//! What a playbook asks for, as types. Pure. Every option may be left out.

use std::ops::RangeInclusive;

use crate::namespaces::options::{BadOption, Options};
use crate::value::Value;

/// A day: no time in a video lies further.
const SECONDS_MAX: f64 = 86_400.0;
/// How long a side of an output may be, in pixels.
pub(super) const SIDES: RangeInclusive<i64> = 16..=4096;
/// From x264's least loss that is not lossless, which few players show, to its worst.
const CRFS: RangeInclusive<i64> = 1..=51;
const CRF: u8 = 20;

/// Which part of a video is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CutOptions {
    /// Seconds from the beginning.
    pub from: f64,
    /// Seconds from the beginning; with neither `to` nor `length` the cut goes to the end.
    pub to: Option<f64>,
    /// Seconds from `from`.
    pub length: Option<f64>,
    /// Takes the pictures over as they are: quick and without loss, but it begins at the key frame before `from`.
    pub copy: bool,
    pub encoding: Encoding,
}

/// Into which shape a video is brought, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReframeOptions {
    pub ratio: Ratio,
    pub fit: Fit,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub encoding: Encoding,
}

/// Which picture of a video is taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThumbnailOptions {
    /// Seconds from the beginning.
    pub at: f64,
    pub width: Option<u32>,
    pub format: Picture,
}

/// How H.264 is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// How much is lost, from 1 (little) to 51.
    pub crf: u8,
    /// How long it may look for savings: one of [`PRESETS`].
    pub preset: &'static str,
}

/// From quick to small.
pub const PRESETS: [&str; 9] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
];

impl Default for Encoding {
    fn default() -> Encoding {
        Encoding {
            crf: CRF,
            preset: "medium",
        }
    }
}

/// The shapes that the platforms show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ratio {
    #[default]
    Portrait9x16,
    Portrait4x5,
    Square,
    Landscape16x9,
}

impl Ratio {
    const NAMES: [(&str, Ratio); 4] = [
        ("9:16", Ratio::Portrait9x16),
        ("4:5", Ratio::Portrait4x5),
        ("1:1", Ratio::Square),
        ("16:9", Ratio::Landscape16x9),
    ];

    /// Width over height.
    pub fn parts(self) -> (u32, u32) {
        match self {
            Ratio::Portrait9x16 => (9, 16),
            Ratio::Portrait4x5 => (4, 5),
            Ratio::Square => (1, 1),
            Ratio::Landscape16x9 => (16, 9),
        }
    }

    /// The size that the platforms ask for.
    pub fn size(self) -> (u32, u32) {
        match self {
            Ratio::Portrait9x16 => (1080, 1920),
            Ratio::Portrait4x5 => (1080, 1350),
            Ratio::Square => (1080, 1080),
            Ratio::Landscape16x9 => (1920, 1080),
        }
    }

    /// As a playbook names it.
    pub fn name(self) -> &'static str {
        Ratio::NAMES
            .iter()
            .find(|(_, ratio)| *ratio == self)
            .map_or("", |(name, _)| name)
    }
}

/// What becomes of a video that has another shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The middle is kept, and what stands over is cut off.
    #[default]
    Crop,
    /// All is kept, and the rest is filled with a colour.
    Pad(Colour),
    /// All is kept, and the rest is filled with the video itself, enlarged and blurred.
    Blur,
}

/// Red, green and blue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

/// What a picture is saved as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Picture {
    #[default]
    Jpeg,
    Png,
}

impl Picture {
    /// How the name of its file ends.
    pub fn ending(self) -> &'static str {
        match self {
            Picture::Jpeg => "jpg",
            Picture::Png => "png",
        }
    }
}

impl CutOptions {
    pub fn read(options: &mut Options) -> Result<CutOptions, BadOption> {
        Ok(CutOptions {
            from: seconds(options, "from")?.unwrap_or(0.0),
            to: seconds(options, "to")?,
            length: seconds(options, "length")?,
            copy: options.bool("copy")?.unwrap_or(false),
            encoding: encoding(options)?,
        })
    }
}

impl ReframeOptions {
    pub fn read(options: &mut Options) -> Result<ReframeOptions, BadOption> {
        let colour = match options.value("colour") {
            Some(given) => Some(colour(&given).ok_or_else(|| options.kind("colour", &given, COLOURS))?),
            None => None,
        };
        let fits = [
            ("crop", Fit::Crop),
            ("pad", Fit::Pad(colour.unwrap_or_default())),
            ("blur", Fit::Blur),
        ];
        let fit = options.choice("fit", &fits)?.unwrap_or_default();
        if colour.is_some() && !matches!(fit, Fit::Pad(_)) {
            return Err(options.conflict("`colour` is given, but only `fit: \"pad\"` fills with a colour"));
        }
        Ok(ReframeOptions {
            ratio: options.choice("ratio", &Ratio::NAMES)?.unwrap_or_default(),
            fit,
            width: even_side(options, "width")?,
            height: even_side(options, "height")?,
            encoding: encoding(options)?,
        })
    }
}

impl ThumbnailOptions {
    pub fn read(options: &mut Options) -> Result<ThumbnailOptions, BadOption> {
        let formats = [("jpeg", Picture::Jpeg), ("png", Picture::Png)];
        Ok(ThumbnailOptions {
            at: seconds(options, "at")?.unwrap_or(0.0),
            width: options.int("width", SIDES)?.map(|pixels| pixels as u32),
            format: options.choice("format", &formats)?.unwrap_or_default(),
        })
    }
}

const COLOURS: &str = "\"black\", \"white\" or \"#rrggbb\"";

fn colour(given: &Value) -> Option<Colour> {
    let mut colour = [0; 3];
    match given.as_str()? {
        "black" => {}
        "white" => colour = [255; 3],
        text => hex::decode_to_slice(text.strip_prefix('#')?, &mut colour).ok()?,
    }
    Some(Colour(colour))
}

fn seconds(options: &mut Options, name: &'static str) -> Result<Option<f64>, BadOption> {
    options.float(name, 0.0..=SECONDS_MAX)
}

/// Pixels. H.264 in its usual form stores colour for squares of four pixels, so a video's sides must be even.
pub(super) fn even_side(options: &mut Options, name: &'static str) -> Result<Option<u32>, BadOption> {
    match options.int(name, SIDES)? {
        Some(pixels) if pixels % 2 != 0 => {
            let near = format!("an even number, such as {} or {},", pixels - 1, pixels + 1);
            Err(options.kind(name, &Value::Int(pixels), near))
        }
        pixels => Ok(pixels.map(|pixels| pixels as u32)),
    }
}

pub(super) fn encoding(options: &mut Options) -> Result<Encoding, BadOption> {
    let preset = options.choice("preset", &PRESETS.map(|preset| (preset, preset)))?;
    let crf = options.int("crf", CRFS)?;
    Ok(Encoding {
        crf: crf.map_or(CRF, |crf| crf as u8),
        preset: preset.unwrap_or("medium"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> Options {
        let given = Value::from_json(serde_json::from_str(json).unwrap());
        Options::of("media::test", given.as_map().unwrap().clone())
    }

    #[test]
    fn everything_may_be_left_out() {
        assert_eq!(CutOptions::read(&mut options("{}")), Ok(CutOptions::default()));
        assert_eq!(ReframeOptions::read(&mut options("{}")), Ok(ReframeOptions::default()));
        assert_eq!(
            ThumbnailOptions::read(&mut options(r#"{"at": null}"#)),
            Ok(ThumbnailOptions::default())
        );
    }

    #[test]
    fn options_are_read_from_a_map() {
        let mut given = options(r#"{"from": 1, "to": 2.5, "copy": true, "crf": 30, "preset": "fast"}"#);
        let expected = CutOptions {
            from: 1.0,
            to: Some(2.5),
            length: None,
            copy: true,
            encoding: Encoding {
                crf: 30,
                preset: "fast",
            },
        };
        assert_eq!(CutOptions::read(&mut given), Ok(expected));
        assert_eq!(given.finish(), Ok(()));
        let mut given = options(r##"{"ratio": "1:1", "fit": "pad", "colour": "#ff8000", "width": 720}"##);
        let reframe = ReframeOptions::read(&mut given).unwrap();
        assert_eq!(
            (reframe.ratio, reframe.fit, reframe.width),
            (Ratio::Square, Fit::Pad(Colour([255, 128, 0])), Some(720))
        );
    }

    #[test]
    fn a_wrong_option_is_named_with_its_value_and_what_is_needed() {
        let cut = |json: &str| CutOptions::read(&mut options(json)).unwrap_err().to_string();
        let reframe = |json: &str| ReframeOptions::read(&mut options(json)).unwrap_err().to_string();
        assert_eq!(
            cut(r#"{"from": -1}"#),
            "the option `from` of `media::test` is -1; it must be from 0 to 86400"
        );
        assert_eq!(
            cut(r#"{"crf": 0}"#),
            "the option `crf` of `media::test` is 0; it must be from 1 to 51"
        );
        assert!(cut(r#"{"preset": "placebo"}"#).contains("is the string \"placebo\"; one of \"ultrafast\", "));
        assert_eq!(
            reframe(r#"{"width": 1081}"#),
            "the option `width` of `media::test` is 1081; an even number, such as 1080 or 1082, is expected"
        );
        assert!(reframe(r#"{"height": 5000}"#).contains("it must be from 16 to 4096"));
        assert!(
            reframe(r#"{"colour": "red", "fit": "pad"}"#).contains("\"black\", \"white\" or \"#rrggbb\" is expected")
        );
        assert!(reframe(r#"{"colour": "black"}"#).contains("only `fit: \"pad\"`"));
        assert!(reframe(r#"{"ratio": "3:2"}"#).contains("one of \"9:16\", \"4:5\", \"1:1\", \"16:9\""));
    }

    /// Colours and presets become parts of ffmpeg's filters and arguments.
    #[test]
    fn no_text_of_a_playbook_reaches_ffmpeg_as_it_is() {
        for text in [
            "#ff8000,movie=/etc/passwd",
            "0x000000",
            "ff8000",
            "#ff80",
            "#ff80000",
            "#ff80é",
            "",
        ] {
            assert_eq!(colour(&Value::from(text)), None, "{text}");
        }
    }

    #[test]
    fn not_a_number_is_no_time() {
        let given = Value::from([("from", Value::Float(f64::NAN))]);
        let mut given = Options::of("media::test", given.as_map().unwrap().clone());
        assert_eq!(CutOptions::read(&mut given).unwrap_err().code(), "BAD_OPTION");
    }
}
