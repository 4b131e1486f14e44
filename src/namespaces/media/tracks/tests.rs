//! Sound and joined videos, made by the real ffmpeg.
#![expect(clippy::disallowed_methods, reason = "tests lay files out")]

use std::fs;
use std::path::Path;
use std::process::Command;

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

/// The pictures of a video, decoded, each as a hash.
fn pictures(path: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn videos_of_one_form_are_joined_as_they_are_and_lose_no_picture() {
    let host = host();
    let run = host.run(
        r#"
        let quick = #{ preset: "ultrafast", crf: 30 };
        let a = media::cut("inbox/clip.mp4", #{ length: 1.2, preset: "ultrafast", crf: 30, name: "a" });
        let b = media::cut("inbox/clip.mp4", #{ from: 0.5, length: 0.72, preset: "ultrafast", crf: 30, name: "b" });
        let silent = media::cut("inbox/silent.mp4", quick);
        [media::concat([a, b, a], #{ name: "copied" }),
         media::concat([a, b, a], #{ copy: false, name: "encoded" }),
         media::concat(["inbox/clip.mp4", "inbox/clip.mp4"], #{ copy: true, name: "recorded" }),
         media::concat([silent, silent], #{ name: "silence" })]
        "#,
    );
    let made = run.value().as_list().unwrap();
    let copied: Vec<_> = made
        .iter()
        .map(|made| made.get("copied").and_then(Value::as_bool))
        .collect();
    assert_eq!(copied, [Some(true), Some(false), Some(true), Some(true)]);
    for (made, seconds) in made.iter().zip([3.12, 3.12, 4.0, 2.0]) {
        assert!((float(made, "seconds") - seconds).abs() < 0.06, "{made}");
    }
    let folder = host.folder().join("runs").join(run.id().to_string());
    let of = |name: &str| pictures(&folder.join(name));
    let apart = [of("a.mp4"), of("b.mp4"), of("a.mp4")].concat();
    assert!(apart.len() == 30 + 18 + 30 && apart != of("encoded.mp4"));
    assert_eq!(of("copied.mp4"), apart, "the same pictures, to the bit");
    let left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let is_rest = |name: &&std::ffi::OsString| !name.to_string_lossy().ends_with(".mp4");
    assert_eq!(left.iter().find(is_rest), None, "no step on the way is left");
}

#[test]
fn videos_that_differ_are_encoded_and_whoever_wants_a_copy_learns_why() {
    let host = host();
    let run = host.run(
        r#"
        let quick = #{ length: 0.6, preset: "ultrafast", crf: 30 };
        let a = media::cut("inbox/clip.mp4", quick);
        let narrow = media::reframe(a, #{ ratio: "9:16", width: 90, preset: "ultrafast", crf: 30 });
        [media::concat([a, narrow], #{}), media::concat([a, "inbox/silent.mp4"], #{}),
         media::concat([a, a], #{ preset: "ultrafast", name: "asked" })]
        "#,
    );
    for made in run.value().as_list().unwrap() {
        assert_eq!(made.get("copied").and_then(Value::as_bool), Some(false), "{made}");
    }
    let told = |script: &str| host.run(script).failure().to_string();
    assert_eq!(
        told(r#"media::concat(["inbox/clip.mp4", "inbox/silent.mp4"], #{ copy: true })"#),
        "MEDIA_OPTION_INVALID: the videos cannot be joined as they are: video 2 has another size than the first; \
         leave `copy` out"
    );
    assert!(
        told(r#"media::concat(["inbox/clip.mp4", "inbox/clip.mp4"], #{ copy: true, crf: 20 })"#)
            .contains("`crf` needs them encoded")
    );
}

/// An MP4 may hide pictures at its beginning, which a player never shows. Copied, they would be seen.
#[test]
fn a_video_that_hides_a_part_of_itself_is_encoded() {
    let host = host();
    let hidden = host.folder().join("inbox/hidden.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-ss", "0.9", "-i"])
        .arg(samples::landscape())
        .args(["-c", "copy"])
        .arg(&hidden)
        .status();
    assert!(made.unwrap().success());
    let shown = pictures(&hidden).len();
    let run = host.run(r#"media::concat(["inbox/hidden.mp4", "inbox/hidden.mp4"], #{ crf: 35, preset: "ultrafast" })"#);
    let expected = float(run.value(), "seconds");
    let run = host.run(r#"media::concat(["inbox/hidden.mp4", "inbox/hidden.mp4"], #{})"#);
    assert_eq!(run.value().get("copied").and_then(Value::as_bool), Some(false));
    assert!((float(run.value(), "seconds") - expected).abs() < 0.05);
    assert!(shown < 50, "{shown} of 50 pictures are shown");
    let refused = host.run(r#"media::concat(["inbox/hidden.mp4", "inbox/hidden.mp4"], #{ copy: true })"#);
    let said = refused.failure().to_string();
    assert!(said.contains("what they hold is not what they say"), "{said}");
}

/// A list of files in the place of a video must be no way to the machine's other files, neither by copying.
#[test]
fn a_list_of_files_is_no_video_to_be_joined() {
    let host = host()
        .file("inbox/list.mp4", "ffconcat version 1.0\nfile clip.mp4\n")
        .file("inbox/playlist.mp4", "#EXTM3U\n#EXTINF:2,\nclip.mp4\n#EXT-X-ENDLIST\n");
    for name in ["list", "playlist"] {
        for options in ["#{}", "#{ copy: true }"] {
            let run = host.run(&format!(
                r#"media::concat(["inbox/clip.mp4", "inbox/{name}.mp4"], {options})"#
            ));
            assert_eq!(run.failure().code, "MEDIA_UNREADABLE", "{name}");
        }
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
