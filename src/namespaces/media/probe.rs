//! What a video is, out of ffprobe's answer.
//!
//! ffprobe repeats what the file says of itself: numbers come as texts, as `N/A`, as `0/0`, or not at all. What is
//! not known is absent here, never a guess.

use serde_json::Value as Json;

use super::fault::MediaFault;
use crate::value::{Map, Value};

/// What a video is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaInfo {
    /// How long it plays; absent for a picture, and for what a browser recorded.
    pub seconds: Option<f64>,
    /// As shown, which is after rotation.
    pub width: u32,
    /// As shown, which is after rotation.
    pub height: u32,
    pub fps: Option<f64>,
    pub video_codec: String,
    pub audio_codec: Option<String>,
    pub bytes: u64,
    /// Bits a second, of everything together.
    pub bit_rate: Option<u64>,
    /// By how many degrees clockwise it is turned when shown.
    pub rotation: u32,
    /// The container: `mp4`, `matroska`, …
    pub format: String,
    /// How much wider than high a pixel is.
    pub(super) pixel_aspect: f64,
    /// How long the pictures last, which may be less than the sound.
    pub(super) video_seconds: Option<f64>,
}

impl MediaInfo {
    /// Reads the answer of `ffprobe -show_format -show_streams`.
    pub fn from_probe(answer: &Json) -> Result<MediaInfo, MediaFault> {
        let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
        let of_type = |wanted: &'static str| streams.iter().filter(move |stream| stream["codec_type"] == wanted);
        let audio = of_type("audio").next();
        // The cover of an album is a picture, not a video.
        let is_moving = |stream: &&Json| number(&stream["disposition"]["attached_pic"]) != Some(1.0);
        let Some(video) = of_type("video").find(is_moving) else {
            return Err(MediaFault::NoVideo {
                reason: without_video(audio, streams.len()),
            });
        };
        let (Some(width), Some(height)) = (side(&video["width"]), side(&video["height"])) else {
            return Err(MediaFault::NoVideo {
                reason: "its picture has no size".to_owned(),
            });
        };
        let rotation = rotation(video);
        let (width, height) = if rotation % 180 == 90 {
            (height, width)
        } else {
            (width, height)
        };
        let format = &answer["format"];
        let name = text(&format["format_name"]).unwrap_or_default();
        let is_picture = name.ends_with("_pipe");
        let seconds = |of: &Json| duration(of).filter(|_| !is_picture);
        Ok(MediaInfo {
            seconds: seconds(format).or_else(|| seconds(video)),
            width,
            height,
            fps: fps(video).filter(|_| !is_picture),
            video_codec: text(&video["codec_name"]).unwrap_or_else(|| "unknown".to_owned()),
            audio_codec: audio.map(|stream| text(&stream["codec_name"]).unwrap_or_else(|| "unknown".to_owned())),
            bytes: number(&format["size"]).map_or(0, |bytes| bytes as u64),
            bit_rate: number(&format["bit_rate"])
                .filter(|rate| *rate >= 1.0 && !is_picture)
                .map(|rate| rate as u64),
            rotation,
            format: short_format(&name),
            pixel_aspect: ratio(&video["sample_aspect_ratio"], ':').unwrap_or(1.0),
            video_seconds: seconds(video),
        })
    }

    /// The same of a file that holds sound, whatever else.
    pub fn of_sound(answer: &Json) -> Result<MediaInfo, MediaFault> {
        let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
        let audio = streams.iter().find(|stream| stream["codec_type"] == "audio");
        let Some(audio) = audio else {
            return Err(MediaFault::NoSound);
        };
        let format = &answer["format"];
        let rate = number(&format["bit_rate"]).filter(|rate| *rate >= 1.0);
        Ok(MediaInfo {
            seconds: duration(format).or_else(|| duration(audio)),
            audio_codec: Some(text(&audio["codec_name"]).unwrap_or_else(|| "unknown".to_owned())),
            bytes: number(&format["size"]).map_or(0, |bytes| bytes as u64),
            bit_rate: rate.map(|rate| rate as u64),
            format: short_format(&text(&format["format_name"]).unwrap_or_default()),
            pixel_aspect: 1.0,
            ..MediaInfo::default()
        })
    }

    fn has_picture(&self) -> bool {
        self.width > 0
    }

    pub fn has_audio(&self) -> bool {
        self.audio_codec.is_some()
    }

    /// As a playbook sees it.
    pub fn to_fields(&self) -> Map {
        let fields = [
            ("seconds", self.seconds.into()),
            ("width", i64::from(self.width).into()),
            ("height", i64::from(self.height).into()),
            ("fps", self.fps.into()),
            ("video_codec", self.video_codec.as_str().into()),
            ("audio_codec", self.audio_codec.clone().into()),
            ("has_audio", self.has_audio().into()),
            ("bytes", whole(self.bytes).into()),
            ("bit_rate", self.bit_rate.map(whole).into()),
            ("rotation", i64::from(self.rotation).into()),
            ("format", self.format.as_str().into()),
        ];
        let of_pictures = ["width", "height", "fps", "video_codec", "rotation"];
        fields
            .into_iter()
            .filter(|(name, _)| self.has_picture() || !of_pictures.contains(name))
            .map(|(name, value): (&str, Value)| (name.to_owned(), value))
            .collect()
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn without_video(audio: Option<&Json>, streams: usize) -> String {
    match audio.map(|stream| text(&stream["codec_name"])) {
        Some(codec) => format!(
            "it holds only sound ({})",
            codec.as_deref().unwrap_or("of an unknown kind")
        ),
        None if streams == 0 => "it holds nothing".to_owned(),
        None => "it holds neither pictures nor sound".to_owned(),
    }
}

/// A finite number, whether written as one or as a text.
pub(super) fn number(json: &Json) -> Option<f64> {
    let number = match json {
        Json::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    f64::is_finite(number).then_some(number)
}

/// A text without control characters and not too long; names of codecs come from the file in some formats.
fn text(json: &Json) -> Option<String> {
    let text: String = json
        .as_str()?
        .chars()
        .filter(|letter| !letter.is_control())
        .take(64)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn side(json: &Json) -> Option<u32> {
    number(json)
        .filter(|pixels| (1.0..=65_535.0).contains(pixels))
        .map(|pixels| pixels as u32)
}

/// Seconds of a format or a stream; Matroska keeps a stream's length in its tags, as `00:00:02.000000000`.
fn duration(of: &Json) -> Option<f64> {
    let tagged = || {
        let mut parts = of["tags"]["DURATION"]
            .as_str()?
            .split(':')
            .map(|part| part.parse::<f64>().ok());
        Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
    };
    let seconds = number(&of["duration"]).or_else(tagged)?;
    // A century: beyond it a header is wrong.
    (seconds > 0.0 && seconds < 3.2e9).then(|| (seconds * 1000.0).round() / 1000.0)
}

fn fps(video: &Json) -> Option<f64> {
    let rate = ratio(&video["avg_frame_rate"], '/').or_else(|| ratio(&video["r_frame_rate"], '/'))?;
    Some((rate * 1000.0).round() / 1000.0)
}

/// Two numbers parted by `sign`, of which neither is 0.
fn ratio(json: &Json, sign: char) -> Option<f64> {
    let (over, under) = json.as_str()?.split_once(sign)?;
    let (over, under): (f64, f64) = (over.parse().ok()?, under.parse().ok()?);
    let ratio = over / under;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Degrees clockwise, in quarter turns. The display matrix counts the other way, and older files have a tag instead.
fn rotation(video: &Json) -> u32 {
    let sides = video["side_data_list"].as_array().map_or(&[][..], Vec::as_slice);
    let matrix = sides
        .iter()
        .find_map(|side| number(&side["rotation"]))
        .map(|degrees| -degrees);
    let degrees = matrix.or_else(|| number(&video["tags"]["rotate"])).unwrap_or(0.0);
    ((degrees / 90.0).round() * 90.0).rem_euclid(360.0) as u32
}

/// ffprobe lists every name of a family; the first that people use stands for it.
fn short_format(names: &str) -> String {
    match names {
        "mov,mp4,m4a,3gp,3g2,mj2" => "mp4".to_owned(),
        "matroska,webm" => "matroska".to_owned(),
        "jpeg_pipe" => "jpeg".to_owned(),
        "png_pipe" => "png".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn video() -> Json {
        json!({
            "streams": [
                { "codec_type": "video", "codec_name": "mjpeg", "width": 600, "height": 600, "disposition": { "attached_pic": 1 } },
                { "codec_type": "audio", "codec_name": "aac" },
                { "codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080,
                  "avg_frame_rate": "30000/1001", "r_frame_rate": "30/1", "sample_aspect_ratio": "1:1", "duration": "9.9" },
            ],
            "format": { "format_name": "mov,mp4,m4a,3gp,3g2,mj2", "duration": "10.010000", "size": "1234", "bit_rate": "986" },
        })
    }

    #[test]
    fn a_video_is_known_by_its_first_moving_pictures() {
        let info = MediaInfo::from_probe(&video()).unwrap();
        assert_eq!(
            Value::from(info.to_fields()).to_string(),
            r#"{"audio_codec":"aac","bit_rate":986,"bytes":1234,"format":"mp4","fps":29.97,"has_audio":true,"height":1080,"rotation":0,"seconds":10.01,"video_codec":"h264","width":1920}"#
        );
    }

    #[test]
    fn a_turned_video_is_as_wide_as_it_is_shown() {
        for (degrees, rotation) in [(-90.0, 90), (90.0, 270), (180.0, 180), (-89.9, 90)] {
            let mut answer = video();
            answer["streams"][2]["side_data_list"] = json!([{ "side_data_type": "x" }, { "rotation": degrees }]);
            let info = MediaInfo::from_probe(&answer).unwrap();
            assert_eq!(info.rotation, rotation);
            assert_eq!(info.width, if rotation == 180 { 1920 } else { 1080 });
        }
        let mut answer = video();
        answer["streams"][2]["tags"] = json!({ "rotate": "90" });
        assert_eq!(MediaInfo::from_probe(&answer).unwrap().rotation, 90);
    }

    #[test]
    fn what_the_file_does_not_say_is_absent() {
        let mut answer = video();
        answer["format"] = json!({ "duration": "N/A", "size": null, "bit_rate": "nan" });
        let stream = &mut answer["streams"][2];
        stream["duration"] = json!("inf");
        stream["avg_frame_rate"] = json!("0/0");
        stream["r_frame_rate"] = json!("1/0");
        stream["sample_aspect_ratio"] = json!("0:1");
        let info = MediaInfo::from_probe(&answer).unwrap();
        assert_eq!(
            (info.seconds, info.fps, info.bit_rate, info.bytes, info.pixel_aspect),
            (None, None, None, 0, 1.0)
        );
        answer["streams"][2]["tags"] = json!({ "DURATION": "01:00:02.500000000" });
        assert_eq!(MediaInfo::from_probe(&answer).unwrap().seconds, Some(3602.5));
    }

    #[test]
    fn what_has_no_pictures_is_no_video() {
        let reason = |answer: Json| MediaInfo::from_probe(&answer).unwrap_err().to_string();
        assert_eq!(reason(json!({})), "the file has no video: it holds nothing");
        let mut answer = video();
        answer["streams"].as_array_mut().unwrap().pop();
        assert_eq!(reason(answer), "the file has no video: it holds only sound (aac)");
        let mut answer = video();
        answer["streams"][2]["width"] = json!(0);
        assert_eq!(reason(answer), "the file has no video: its picture has no size");
    }
}
