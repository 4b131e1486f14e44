//! What a playbook asks for, as types. Pure.
//!
//! Each is read from a map in which every field may be left out. A field that is not known is refused, with the one
//! that was probably meant: a misspelt option that is silently ignored costs a published video.

use std::ops::RangeInclusive;

use super::fault::MediaFault;
use crate::value::{Map, Value};

/// A day: no time in a video lies further.
const SECONDS_MAX: f64 = 86_400.0;
/// How long a side of an output may be, in pixels.
pub(super) const SIDES: RangeInclusive<i64> = 16..=4096;
/// From x264's least loss that is not lossless, which few players show, to its worst.
const CRF_MIN: i64 = 1;
const CRF_MAX: i64 = 51;
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

impl CutOptions {
    pub fn from_value(options: &Value) -> Result<CutOptions, MediaFault> {
        let fields = Fields::of("cut", options, &["from", "to", "length", "copy", "crf", "preset"])?;
        Ok(CutOptions {
            from: fields.seconds("from")?.unwrap_or(0.0),
            to: fields.seconds("to")?,
            length: fields.seconds("length")?,
            copy: fields.truth("copy")?.unwrap_or(false),
            encoding: fields.encoding()?,
        })
    }
}

impl ReframeOptions {
    pub fn from_value(options: &Value) -> Result<ReframeOptions, MediaFault> {
        let known = ["ratio", "fit", "colour", "width", "height", "crf", "preset"];
        let fields = Fields::of("reframe", options, &known)?;
        let colour = fields.text("colour")?.map(colour).transpose()?;
        let fits = [
            ("crop", Fit::Crop),
            ("pad", Fit::Pad(colour.unwrap_or_default())),
            ("blur", Fit::Blur),
        ];
        let fit = fields.one_of("fit", &fits)?.unwrap_or_default();
        if colour.is_some() && !matches!(fit, Fit::Pad(_)) {
            return Err(MediaFault::option(
                "`colour` is given, but only `fit: \"pad\"` fills with a colour",
            ));
        }
        Ok(ReframeOptions {
            ratio: fields.one_of("ratio", &Ratio::NAMES)?.unwrap_or_default(),
            fit,
            width: fields.side("width", true)?,
            height: fields.side("height", true)?,
            encoding: fields.encoding()?,
        })
    }
}

impl ThumbnailOptions {
    pub fn from_value(options: &Value) -> Result<ThumbnailOptions, MediaFault> {
        let fields = Fields::of("thumbnail", options, &["at", "width", "format"])?;
        let formats = [("jpeg", Picture::Jpeg), ("png", Picture::Png)];
        Ok(ThumbnailOptions {
            at: fields.seconds("at")?.unwrap_or(0.0),
            width: fields.side("width", false)?,
            format: fields.one_of("format", &formats)?.unwrap_or_default(),
        })
    }
}

/// `black`, `white` or `#rrggbb`.
fn colour(text: &str) -> Result<Colour, MediaFault> {
    let mut colour = [0; 3];
    match text {
        "black" => {}
        "white" => colour = [255; 3],
        _ => {
            let digits = text.strip_prefix('#').unwrap_or_default();
            hex::decode_to_slice(digits, &mut colour)
                .map_err(|_| wrong("colour", &Value::from(text), "\"black\", \"white\" or \"#rrggbb\""))?;
        }
    }
    Ok(Colour(colour))
}

/// The fields of a map of options.
struct Fields<'a>(Option<&'a Map>);

impl<'a> Fields<'a> {
    /// Refuses what is no map, and a field that is not among the `known`.
    fn of(function: &str, options: &'a Value, known: &[&str]) -> Result<Fields<'a>, MediaFault> {
        let map = match options {
            Value::Unit => return Ok(Fields(None)),
            Value::Map(map) => map,
            other => {
                let problem = format!(
                    "the options of `media::{function}` are of type {}; a map is needed",
                    other.kind()
                );
                return Err(MediaFault::option(problem));
            }
        };
        let Some(unknown) = map.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(Fields(Some(map)));
        };
        let near = known
            .iter()
            .find(|name| strsim::damerau_levenshtein(name, unknown) <= 2);
        let meant = near.map_or(String::new(), |name| format!("did you mean `{name}`? "));
        let unknown: String = unknown.chars().take(40).collect();
        let known = known.join(", ");
        Err(MediaFault::option(format!(
            "`media::{function}` has no option {unknown:?}; {meant}it takes {known}"
        )))
    }

    /// The field; `()` counts as left out.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_unit())
    }

    fn seconds(&self, name: &str) -> Result<Option<f64>, MediaFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_float().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds)) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(wrong(name, value, "a number of seconds from 0 to 86400")),
        }
    }

    fn truth(&self, name: &str) -> Result<Option<bool>, MediaFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| wrong(name, value, "true or false"))
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, MediaFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| wrong(name, value, "a string"))
    }

    fn one_of<T: Clone>(&self, name: &str, choices: &[(&'static str, T)]) -> Result<Option<T>, MediaFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let choice = choices.iter().find(|(choice, _)| value.as_str() == Some(choice));
        let known: Vec<String> = choices.iter().map(|(choice, _)| format!("{choice:?}")).collect();
        choice
            .map(|(_, chosen)| Some(chosen.clone()))
            .ok_or_else(|| wrong(name, value, &known.join(", ")))
    }

    /// Pixels. H.264 in its usual form stores colour for squares of four pixels, so a video's sides must be even.
    fn side(&self, name: &str, even: bool) -> Result<Option<u32>, MediaFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_int().filter(|pixels| SIDES.contains(pixels)) {
            Some(pixels) if even && pixels % 2 != 0 => {
                let problem = format!(
                    "`{name}` is {pixels}; a video needs an even number: {} or {}",
                    pixels - 1,
                    pixels + 1
                );
                Err(MediaFault::option(problem))
            }
            Some(pixels) => Ok(Some(pixels as u32)),
            None => Err(wrong(name, value, "a whole number of pixels from 16 to 4096")),
        }
    }

    fn encoding(&self) -> Result<Encoding, MediaFault> {
        let preset = self.one_of("preset", &PRESETS.map(|preset| (preset, preset)))?;
        let crf = match self.get("crf") {
            None => CRF,
            Some(value) => match value.as_int().filter(|crf| (CRF_MIN..=CRF_MAX).contains(crf)) {
                Some(crf) => crf as u8,
                None => return Err(wrong("crf", value, "a whole number from 1 (best) to 51 (smallest)")),
            },
        };
        Ok(Encoding {
            crf,
            preset: preset.unwrap_or("medium"),
        })
    }
}

fn wrong(name: &str, value: &Value, needed: &str) -> MediaFault {
    let shown: String = match value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) => {
            value.to_string().chars().take(60).collect()
        }
        other => format!("of type {}", other.kind()),
    };
    MediaFault::option(format!("`{name}` is {shown}; {needed} is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Value {
        Value::from_json(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn everything_may_be_left_out() {
        assert_eq!(CutOptions::from_value(&Value::Unit).unwrap(), CutOptions::default());
        assert_eq!(
            ReframeOptions::from_value(&map("{}")).unwrap(),
            ReframeOptions::default()
        );
        assert_eq!(
            ThumbnailOptions::from_value(&map(r#"{"at": null}"#)).unwrap(),
            ThumbnailOptions::default()
        );
    }

    #[test]
    fn options_are_read_from_a_map() {
        let cut = CutOptions::from_value(&map(
            r#"{"from": 1, "to": 2.5, "copy": true, "crf": 30, "preset": "fast"}"#,
        ));
        let encoding = Encoding {
            crf: 30,
            preset: "fast",
        };
        assert_eq!(
            cut.unwrap(),
            CutOptions {
                from: 1.0,
                to: Some(2.5),
                length: None,
                copy: true,
                encoding
            }
        );
        let reframe = map(r##"{"ratio": "1:1", "fit": "pad", "colour": "#ff8000", "width": 720}"##);
        let reframe = ReframeOptions::from_value(&reframe).unwrap();
        assert_eq!(
            (reframe.ratio, reframe.fit, reframe.width),
            (Ratio::Square, Fit::Pad(Colour([255, 128, 0])), Some(720))
        );
    }

    #[test]
    fn a_wrong_option_is_named_with_its_value_and_what_is_needed() {
        let cut = |json: &str| CutOptions::from_value(&map(json)).unwrap_err().to_string();
        let reframe = |json: &str| ReframeOptions::from_value(&map(json)).unwrap_err().to_string();
        assert_eq!(
            cut(r#"{"form": 1}"#),
            "`media::cut` has no option \"form\"; did you mean `from`? it takes from, to, length, copy, crf, preset"
        );
        assert_eq!(
            cut("[1]"),
            "the options of `media::cut` are of type array; a map is needed"
        );
        assert_eq!(
            cut(r#"{"from": -1}"#),
            "`from` is -1; a number of seconds from 0 to 86400 is needed"
        );
        assert_eq!(
            cut(r#"{"to": "2"}"#),
            "`to` is \"2\"; a number of seconds from 0 to 86400 is needed"
        );
        assert_eq!(
            cut(r#"{"crf": 0}"#),
            "`crf` is 0; a whole number from 1 (best) to 51 (smallest) is needed"
        );
        assert!(cut(r#"{"preset": "placebo"}"#).starts_with("`preset` is \"placebo\"; \"ultrafast\", "));
        assert_eq!(
            reframe(r#"{"ratio": "3:2"}"#),
            "`ratio` is \"3:2\"; \"9:16\", \"4:5\", \"1:1\", \"16:9\" is needed"
        );
        assert_eq!(
            reframe(r#"{"width": 1081}"#),
            "`width` is 1081; a video needs an even number: 1080 or 1082"
        );
        assert_eq!(
            reframe(r#"{"height": 5000}"#),
            "`height` is 5000; a whole number of pixels from 16 to 4096 is needed"
        );
        assert_eq!(
            reframe(r#"{"colour": "red", "fit": "pad"}"#),
            "`colour` is \"red\"; \"black\", \"white\" or \"#rrggbb\" is needed"
        );
        assert!(reframe(r#"{"colour": "black"}"#).contains("only `fit: \"pad\"`"));
    }

    /// Colours and presets become parts of ffmpeg's filters and arguments.
    #[test]
    fn no_text_of_a_playbook_reaches_ffmpeg_as_it_is() {
        for text in [
            "#ff8000,movie=/etc/passwd",
            "0x000000",
            "#ff80",
            "#ff80000",
            "#ff80é",
            "",
        ] {
            assert!(colour(text).is_err(), "{text}");
        }
    }

    #[test]
    fn not_a_number_is_no_time() {
        let options = Value::from([("from", Value::Float(f64::NAN))]);
        assert_eq!(
            CutOptions::from_value(&options).unwrap_err().code(),
            "MEDIA_OPTION_INVALID"
        );
    }
}
