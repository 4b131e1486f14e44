//! Sound and joined videos, made by the real ffmpeg.
#![expect(clippy::disallowed_methods, reason = "tests lay files out")]

use std::fs;

use crate::io::ffmpeg::samples;
use crate::testing::TestHost;
use crate::value::Value;

fn host() -> TestHost {
    TestHost::default()
        .file("inbox/clip.mp4", fs::read(samples::landscape()).unwrap())
        .file("inbox/silent.mp4", fs::read(samples::portrait_silent()).unwrap())
        .file("inbox/odd.mkv", fs::read(samples::odd()).unwrap())
        .file("inbox/sound.m4a", fs::read(samples::sound()).unwrap())
}

fn float(value: &Value, name: &str) -> f64 {
    value
        .get(name)
        .and_then(Value::as_float)
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn sound_is_taken_out_in_each_form_and_a_replay_needs_no_ffmpeg() {
    let run = host().run(
        r#"
        [media::extract_audio("inbox/clip.mp4", #{}),
         media::extract_audio("inbox/clip.mp4", #{ format: "mp3", channels: 1, kilobits: 64 }),
         media::extract_audio("inbox/clip.mp4", #{ format: "wav", loudness: -16, name: "loud" }),
         media::extract_audio("inbox/sound.m4a", #{ format: "wav", name: "plain" })]
        "#,
    );
    let made = run.value().as_list().unwrap();
    let names: Vec<&str> = made.iter().map(|made| text(made, "name")).collect();
    assert_eq!(names, ["clip.m4a", "clip.mp3", "loud.wav", "plain.wav"]);
    let codecs: Vec<&str> = made.iter().map(|made| text(made, "audio_codec")).collect();
    assert_eq!(codecs, ["aac", "mp3", "pcm_s16le", "pcm_s16le"]);
    for (made, seconds) in made.iter().zip([2.0, 2.0, 2.0, 1.0]) {
        assert!((float(made, "seconds") - seconds).abs() < 0.1, "{made}");
        assert_eq!(made.get("width"), None, "sound has no picture");
    }
}

#[test]
fn a_video_gets_another_sound_as_long_as_it_should_be() {
    let run = host().run(
        r#"
        [media::replace_audio("inbox/clip.mp4", "inbox/sound.m4a", #{}),
         media::replace_audio("inbox/clip.mp4", "inbox/sound.m4a", #{ fit: "loop", loudness: -14, name: "looped" }),
         media::replace_audio("inbox/clip.mp4", "inbox/sound.m4a", #{ fit: "shortest", name: "short" }),
         media::replace_audio("inbox/silent.mp4", "inbox/clip.mp4", #{}),
         media::replace_audio("inbox/odd.mkv", "inbox/clip.mp4", #{})]
        "#,
    );
    for (made, seconds) in run.value().as_list().unwrap().iter().zip([2.0, 2.0, 1.0, 1.0, 1.0]) {
        assert!((float(made, "seconds") - seconds).abs() < 0.12, "{made}");
        assert_eq!((text(made, "video_codec"), text(made, "audio_codec")), ("h264", "aac"));
    }
}

#[test]
fn videos_of_different_size_rate_and_sound_become_one() {
    let run = host().run(
        r#"
        let quick = #{ preset: "ultrafast", crf: 35 };
        [media::concat(["inbox/clip.mp4", "inbox/silent.mp4", "inbox/odd.mkv"], quick),
         media::concat(["inbox/silent.mp4", "inbox/odd.mkv"], quick),
         media::concat(["inbox/clip.mp4", "inbox/clip.mp4"],
             #{ preset: "ultrafast", width: 160, height: 160, fit: "crop", fps: 10, loudness: -14, name: "square" })]
        "#,
    );
    let made = run.value().as_list().unwrap();
    let of = |at: usize| {
        let made = &made[at];
        let number = |name: &str| made.get(name).and_then(Value::as_int).unwrap();
        (
            number("width"),
            number("height"),
            made.get("has_audio").and_then(Value::as_bool).unwrap(),
        )
    };
    assert_eq!(
        (of(0), of(1), of(2)),
        ((320, 180, true), (180, 320, false), (160, 160, true))
    );
    for (made, (seconds, fps)) in made.iter().zip([(4.0, 25.0), (2.0, 25.0), (4.0, 10.0)]) {
        assert!((float(made, "seconds") - seconds).abs() < 0.15, "{made}");
        assert!((float(made, "fps") - fps).abs() < 0.1, "{made}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_before_any_work() {
    let host = host();
    let told = |script: &str| host.run(script).failure().to_string();
    assert_eq!(
        told(r#"media::extract_audio("inbox/silent.mp4", #{})"#),
        "MEDIA_NO_SOUND: the file has no sound; give one that has, or leave this step out"
    );
    assert!(told(r#"media::replace_audio("inbox/clip.mp4", "inbox/silent.mp4", #{})"#).starts_with("MEDIA_NO_SOUND"));
    assert!(told(r#"media::replace_audio("inbox/sound.m4a", "inbox/clip.mp4", #{})"#).starts_with("MEDIA_NO_VIDEO"));
    assert_eq!(
        told(r#"media::concat(["inbox/clip.mp4"], #{})"#),
        "MEDIA_OPTION_INVALID: 1 videos are given; 2 to 30 can be joined"
    );
    assert!(
        told(r#"media::concat(["inbox/clip.mp4", "inbox/clip.mp4"], #{ width: 100 })"#).contains("give both `width`")
    );
    assert!(
        told(r#"media::extract_audio("inbox/clip.mp4", #{ format: "wav", kilobits: 64 })"#).contains("not compressed")
    );
    assert!(told(r#"media::replace_audio("inbox/clip.mp4", "inbox/sound.m4a", #{ fit: "lop" })"#).contains("\"loop\""));
}
