//! Videos of one form, joined as they are: nothing is decoded, so it takes moments and loses nothing.
//!
//! Each video is wrapped into an MPEG transport stream that begins where the one before it ends. Such streams need only
//! be put one behind the other, and the whole is wrapped into an MP4 again.
//!
//! ffmpeg can also join files that a list names (`concat`). But whoever may read such lists reads every file of this
//! machine that a list names, and a hostile video can be such a list; so the door's formats and protocols stay as they
//! are, and what is put together is put together here, of files that the host itself has made.
//!
//! What a copy needs is checked before (the decoder is told the same of all videos, to the byte) and after (each stream
//! begins and ends where it should, and no picture is lost). Where one of it fails, the videos are encoded anew.

use serde_json::Value as Json;

use super::super::arguments::{Arguments, micros, millis, mp4, push};
use super::super::fault::MediaFault;
use super::super::probe::{MediaInfo, number};
use super::super::source::Opened;
use super::super::work::{self, Finished};
use super::Work;
use super::arguments::ConcatOptions;
use crate::io::ffmpeg::{FfmpegFault, OUTPUT_BYTES_MAX};

/// Where the first stream begins, in seconds: no time in it may be negative.
const BEGINNING: f64 = 1.0;
/// How much earlier than it should a stream may begin, or end later, in seconds.
const EARLY_MAX: f64 = 0.002;
/// How much later than it should a stream may begin, or end earlier, in seconds: a picture or two.
const LATE_MAX: f64 = 0.15;
/// What is left to the wrapping where a limit on bytes is shared.
const BYTES_MIN: u64 = 1 << 20;

/// What videos must have in common, and how long each is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    clips: Vec<Clip>,
}

#[derive(Clone, Debug, PartialEq)]
struct Clip {
    /// To the microsecond.
    seconds: f64,
    pictures: u64,
}

/// Why videos are not joined as they are.
pub type Hindrance = String;

impl Plan {
    /// From ffprobe's answers, where the options ask for nothing that needs encoding.
    pub fn new(answers: &[Json], infos: &[MediaInfo], options: &ConcatOptions) -> Result<Plan, Hindrance> {
        if let Some(name) = options.encodes {
            return Err(format!("`{name}` needs the videos to be encoded anew"));
        }
        let mut clips = Vec::new();
        let mut first: Option<Form> = None;
        for (at, (answer, info)) in answers.iter().zip(infos).enumerate() {
            let at = at + 1;
            let form = Form::of(answer, info).map_err(|what| format!("video {at} {what}"))?;
            if let Some(what) = first.as_ref().and_then(|first| first.difference(&form)) {
                return Err(format!("video {at} has another {what} than the first"));
            }
            clips.push(form.clip.clone());
            first.get_or_insert(form);
        }
        Ok(Plan { clips })
    }

    fn pictures(&self) -> u64 {
        self.clips.iter().map(|clip| clip.pictures).sum()
    }
}

/// What a decoder is told of a video.
struct Form {
    clip: Clip,
    size: (u32, u32),
    /// Pictures a second, a fraction.
    rate: Json,
    /// Of the pixels; how far pictures are out of order; H.264's own description, hashed.
    coding: [Json; 3],
    /// Samples a second, channels and their places, AAC's own description, hashed.
    sound: Option<[Json; 4]>,
}

impl Form {
    fn of(answer: &Json, info: &MediaInfo) -> Result<Form, &'static str> {
        let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
        let of_type = |wanted: &'static str| streams.iter().filter(move |stream| stream["codec_type"] == wanted);
        let (mut videos, mut sounds) = (of_type("video"), of_type("audio"));
        let (Some(video), None) = (videos.next(), videos.next()) else {
            return Err("has more than one picture track");
        };
        if info.format != "mp4" {
            return Err("is no MP4");
        }
        // What only the container says is lost in a transport stream.
        if info.rotation != 0 || info.pixel_aspect != 1.0 {
            return Err("is turned or stretched when it is shown");
        }
        if info.video_codec != "h264" || !video["extradata_hash"].is_string() {
            return Err("has no H.264 picture");
        }
        let sound = match (sounds.next(), sounds.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => return Err("has more than one sound track"),
            (Some(sound), None) if sound["profile"] == "LC" && sound["extradata_hash"].is_string() => {
                Some(["sample_rate", "channels", "channel_layout", "extradata_hash"].map(|name| sound[name].clone()))
            }
            (Some(_), None) => return Err("has sound that is no plain AAC"),
        };
        let lengths = streams.iter().filter_map(|stream| number(&stream["duration"]));
        let seconds = lengths.fold(0.0, f64::max);
        let pictures = number(&video["nb_frames"]).filter(|pictures| *pictures >= 1.0);
        let (Some(pictures), true) = (pictures, seconds > 0.0) else {
            return Err("does not say how long it is");
        };
        Ok(Form {
            clip: Clip {
                seconds,
                pictures: pictures as u64,
            },
            size: (info.width, info.height),
            rate: video["r_frame_rate"].clone(),
            coding: ["pix_fmt", "has_b_frames", "extradata_hash"].map(|name| video[name].clone()),
            sound,
        })
    }

    /// What of `other` is not as here.
    fn difference(&self, other: &Form) -> Option<&'static str> {
        [
            (self.size == other.size, "size"),
            (self.rate == other.rate, "rate of pictures"),
            (self.sound.is_some() == other.sound.is_some(), "number of tracks"),
            (self.sound == other.sound, "form of sound"),
            (self.coding == other.coding, "coding of the picture"),
        ]
        .iter()
        .find_map(|(is_same, what)| (!is_same).then_some(*what))
    }
}

/// Carries `plan` out; `None` where it turns out that the videos must be encoded after all.
pub fn copy(work: &mut Work<'_, '_>, opened: &[Opened], plan: &Plan) -> Result<Option<Finished>, MediaFault> {
    let copied = wrapped(work, opened, plan);
    match copied {
        // The videos are not what they say they are; encoding sees more of them than copying, and may do all the same.
        Err(MediaFault::Ffmpeg(
            FfmpegFault::Failed { .. }
            | FfmpegFault::OutputEmpty
            | FfmpegFault::OutputTooLarge { .. }
            | FfmpegFault::Unreadable { .. },
        )) => Ok(None),
        copied => copied,
    }
}

fn wrapped(work: &mut Work<'_, '_>, opened: &[Opened], plan: &Plan) -> Result<Option<Finished>, MediaFault> {
    let mut whole = None;
    let (mut begins, mut bytes) = (BEGINNING, 0);
    for (opened, clip) in opened.iter().zip(&plan.clips) {
        let left = OUTPUT_BYTES_MAX.saturating_sub(bytes).max(BYTES_MIN);
        let part = work.step(&opened.path, stream(begins), left)?;
        let answer = work.ffmpeg.probe(part.path())?;
        if !lies_at(&answer, begins, begins + clip.seconds) {
            return Ok(None);
        }
        bytes += number(&answer["format"]["size"]).map_or(0, |bytes| bytes as u64);
        begins += clip.seconds;
        whole = Some(match whole.take() {
            None => part,
            Some(whole) => part.put_behind(whole)?,
        });
    }
    let Some(whole) = whole else { return Ok(None) };
    let arguments = unwrapped(begins - BEGINNING);
    let made = work.attempt(whole.path(), arguments)?;
    let answer = work.ffmpeg.probe(made.path())?;
    let info = MediaInfo::from_probe(&answer)?;
    let is_whole = pictures(&answer) == Some(plan.pictures())
        && info
            .seconds
            .is_some_and(|seconds| (seconds - (begins - BEGINNING)).abs() <= LATE_MAX);
    if !is_whole {
        return Ok(None);
    }
    work::finish(made, info).map(Some)
}

/// A transport stream that begins at `begins`.
fn stream(begins: f64) -> Arguments {
    let mut after_input = tracks();
    // Sound before the beginning only warms the decoder up; it would lie over the end of the video before.
    push(&mut after_input, &["-copypriorss:a", "0"]);
    push(&mut after_input, &["-map_metadata", "-1", "-map_chapters", "-1"]);
    push(&mut after_input, &["-muxdelay", "0", "-muxpreload", "0"]);
    push(&mut after_input, &["-mpegts_flags", "initial_discontinuity"]);
    push(&mut after_input, &["-output_ts_offset", &micros(begins)]);
    push(&mut after_input, &["-f", "mpegts"]);
    Arguments {
        before_input: Vec::new(),
        after_input,
        extension: "ts",
        duration_ms: None,
    }
}

/// The MP4 of a transport stream.
fn unwrapped(seconds: f64) -> Arguments {
    let mut after_input = tracks();
    mp4(&mut after_input);
    Arguments {
        before_input: Vec::new(),
        after_input,
        extension: "mp4",
        duration_ms: Some(millis(seconds)),
    }
}

fn tracks() -> Vec<String> {
    ["-map", "0:V:0", "-map", "0:a:0?", "-sn", "-dn", "-c", "copy"]
        .map(str::to_owned)
        .to_vec()
}

/// Whether each track of a transport stream begins and ends where it should.
fn lies_at(answer: &Json, begins: f64, ends: f64) -> bool {
    let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
    let mut last = 0.0;
    for stream in streams {
        let (Some(start), Some(length)) = (number(&stream["start_time"]), number(&stream["duration"])) else {
            return false;
        };
        if !(begins - EARLY_MAX..=begins + LATE_MAX).contains(&start) {
            return false;
        }
        last = f64::max(last, start + length);
    }
    // The last packet of sound may be longer than what of it is heard.
    (ends - LATE_MAX..=ends + LATE_MAX).contains(&last)
}

fn pictures(answer: &Json) -> Option<u64> {
    let streams = answer["streams"].as_array()?;
    let video = streams.iter().find(|stream| stream["codec_type"] == "video")?;
    number(&video["nb_frames"]).map(|pictures| pictures as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Json {
        json!({
            "streams": [
                { "codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, "r_frame_rate": "25/1",
                  "avg_frame_rate": "25/1", "pix_fmt": "yuv420p", "has_b_frames": 2, "extradata_hash": "SHA256:a",
                  "nb_frames": "50", "duration": "2.000000" },
                { "codec_type": "audio", "codec_name": "aac", "profile": "LC", "sample_rate": "48000", "channels": 2,
                  "channel_layout": "stereo", "extradata_hash": "SHA256:b", "duration": "2.005333" },
            ],
            "format": { "format_name": "mov,mp4,m4a,3gp,3g2,mj2", "duration": "2.005" },
        })
    }

    fn plan(answers: &[Json], options: &ConcatOptions) -> Result<Plan, Hindrance> {
        let infos: Vec<_> = answers
            .iter()
            .map(|answer| MediaInfo::from_probe(answer).expect("a video"))
            .collect();
        Plan::new(answers, &infos, options)
    }

    fn hindrance(change: impl FnOnce(&mut Json)) -> String {
        let mut other = answer();
        change(&mut other);
        plan(&[answer(), other], &ConcatOptions::default()).expect_err("they differ")
    }

    #[test]
    fn videos_of_one_form_are_copied_in_their_exact_lengths() {
        let plan = plan(&[answer(), answer()], &ConcatOptions::default()).unwrap();
        assert_eq!(plan.clips.len(), 2);
        assert_eq!(plan.clips[0].seconds, 2.005333);
        assert_eq!(plan.pictures(), 100);
    }

    #[test]
    fn what_differs_is_named() {
        let second = |change: fn(&mut Json)| hindrance(change);
        assert_eq!(
            second(|other| other["streams"][0]["width"] = json!(1280)),
            "video 2 has another size than the first"
        );
        assert_eq!(
            second(|other| other["streams"][0]["r_frame_rate"] = json!("30/1")),
            "video 2 has another rate of pictures than the first"
        );
        assert_eq!(
            second(|other| other["streams"][0]["pix_fmt"] = json!("yuv422p")),
            "video 2 has another coding of the picture than the first"
        );
        assert_eq!(
            second(|other| other["streams"][0]["extradata_hash"] = json!("SHA256:c")),
            "video 2 has another coding of the picture than the first"
        );
        for (name, value) in [
            ("sample_rate", json!("44100")),
            ("channels", json!(1)),
            ("extradata_hash", json!("SHA256:c")),
        ] {
            assert_eq!(
                hindrance(|other| other["streams"][1][name] = value),
                "video 2 has another form of sound than the first"
            );
        }
        assert_eq!(
            second(|other| drop(other["streams"].as_array_mut().unwrap().pop())),
            "video 2 has another number of tracks than the first"
        );
    }

    #[test]
    fn what_a_copy_would_lose_is_a_hindrance() {
        for (change, said) in [
            (
                (|other| other["streams"][0]["codec_name"] = json!("hevc")) as fn(&mut Json),
                "video 2 has no H.264 picture",
            ),
            (
                |other| other["streams"][0]["side_data_list"] = json!([{ "rotation": -90 }]),
                "video 2 is turned or stretched when it is shown",
            ),
            (
                |other| other["streams"][0]["sample_aspect_ratio"] = json!("2:1"),
                "video 2 is turned or stretched when it is shown",
            ),
            (
                |other| other["streams"][1]["profile"] = json!("HE-AAC"),
                "video 2 has sound that is no plain AAC",
            ),
            (
                |other| other["format"]["format_name"] = json!("matroska,webm"),
                "video 2 is no MP4",
            ),
            (
                |other| drop(other["streams"][0].as_object_mut().unwrap().remove("nb_frames")),
                "video 2 does not say how long it is",
            ),
            // An ffprobe that cannot hash: nobody knows whether the decoder is told the same.
            (
                |other| drop(other["streams"][0].as_object_mut().unwrap().remove("extradata_hash")),
                "video 2 has no H.264 picture",
            ),
        ] {
            assert_eq!(hindrance(change), said);
        }
    }

    #[test]
    fn whoever_asks_for_a_form_has_the_videos_encoded() {
        let asked = |options: ConcatOptions| plan(&[answer(), answer()], &options).expect_err("it is encoded");
        assert_eq!(
            asked(ConcatOptions {
                encodes: Some("crf"),
                ..ConcatOptions::default()
            }),
            "`crf` needs the videos to be encoded anew"
        );
    }

    #[test]
    fn a_stream_that_begins_or_ends_elsewhere_is_not_what_was_said() {
        let stream = |start: f64, length: f64| json!({ "streams": [{ "start_time": start, "duration": length }] });
        assert!(lies_at(&stream(3.0, 1.96), 3.0, 5.0));
        assert!(lies_at(&stream(3.08, 2.0), 3.0, 5.0));
        assert!(!lies_at(&stream(2.9, 2.1), 3.0, 5.0), "a part before the beginning");
        assert!(!lies_at(&stream(3.0, 2.5), 3.0, 5.0), "a part behind the end");
        assert!(!lies_at(&stream(3.0, 1.0), 3.0, 5.0), "a part is lost");
        assert!(!lies_at(&json!({ "streams": [{ "start_time": "N/A" }] }), 3.0, 5.0));
        assert!(!lies_at(&json!({}), 3.0, 5.0));
    }
}
