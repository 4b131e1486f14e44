//! Small real videos for tests, made once by ffmpeg and kept beside the test's binary.
#![expect(clippy::disallowed_methods, reason = "tests make small videos")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs};

use super::door::{FfmpegDoor, FfmpegOptions};

/// A door to the installed ffmpeg.
pub fn door() -> FfmpegDoor {
    FfmpegDoor::new(FfmpegOptions::default())
}

/// A door to a shell script in the place of both tools, kept in `dir`.
pub fn scripted(dir: &Path, script: &str) -> FfmpegDoor {
    let path = dir.join("tool");
    // Written by another process: a test that starts one at this moment would inherit the open file, and a file that is
    // open for writing cannot be run.
    let writing = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\""])
        .arg(&path)
        .arg(script)
        .status();
    assert!(writing.unwrap().success());
    FfmpegDoor::new(FfmpegOptions {
        ffmpeg: Some(path.clone()),
        ffprobe: Some(path),
        ..FfmpegOptions::default()
    })
}

/// Two seconds of 320 × 180 with sound, and a title that says where it was recorded.
pub fn landscape() -> PathBuf {
    sample(
        "landscape.mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc=s=320x180:r=25:d=2",
            "-f",
            "lavfi",
            "-i",
            "sine=d=2",
        ],
    )
}

/// One second of 180 × 320 without sound.
pub fn portrait_silent() -> PathBuf {
    sample("portrait.mp4", &["-f", "lavfi", "-i", "testsrc=s=180x320:r=25:d=1"])
}

/// One second of 321 × 181, each side odd, which H.264 in its usual form cannot hold.
pub fn odd() -> PathBuf {
    sample(
        "odd.mkv",
        &["-f", "lavfi", "-i", "testsrc=s=321x181:r=25:d=1", "-pix_fmt", "yuv444p"],
    )
}

/// One second of 160 × 180 whose pixels are twice as wide as high.
pub fn oblong() -> PathBuf {
    sample(
        "oblong.mp4",
        &["-f", "lavfi", "-i", "testsrc=s=160x180:r=25:d=1,setsar=2/1"],
    )
}

/// Half a minute of 640 × 360: some work.
pub fn long() -> PathBuf {
    sample("long.mp4", &["-f", "lavfi", "-i", "testsrc=s=640x360:r=25:d=30"])
}

/// One second of sound.
pub fn sound() -> PathBuf {
    sample("sound.m4a", &["-f", "lavfi", "-i", "sine=d=1"])
}

/// The landscape, recorded with the camera turned: its header says to show it as 180 × 320.
pub fn rotated() -> PathBuf {
    let path = folder().join("rotated.mp4");
    if !path.exists() {
        let mut bytes = fs::read(landscape()).unwrap();
        let header = bytes
            .windows(4)
            .position(|name| name == b"tkhd")
            .expect("a track header");
        // The matrix of the first track, which is the video: a quarter turn clockwise.
        let turned: [i32; 9] = [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x4000_0000];
        let matrix: Vec<u8> = turned.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes[header + 44..header + 80].copy_from_slice(&matrix);
        publish(&path, |part| fs::write(part, bytes).unwrap());
    }
    path
}

/// Red, green and blue of a video's first pixel.
pub fn first_pixel(path: &Path) -> [u8; 3] {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(path)
        .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    output.stdout[..3].try_into().unwrap()
}

fn sample(name: &str, args: &[&str]) -> PathBuf {
    let path = folder().join(name);
    if !path.exists() {
        publish(&path, |part| {
            let output = Command::new("ffmpeg")
                .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
                .args(args)
                .args([
                    "-preset",
                    "ultrafast",
                    "-shortest",
                    "-metadata",
                    "title=recorded at home",
                    "-f",
                ])
                .arg(if name.ends_with("mkv") { "matroska" } else { "mp4" })
                .arg(part)
                .output()
                .expect("ffmpeg is installed where the tests run");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
    }
    path
}

/// Tests run at once, in threads and in processes: whoever is first wins, and nobody sees half a file.
fn publish(path: &Path, make: impl FnOnce(&Path)) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let part = path.with_extension(format!("{}-{number}", std::process::id()));
    make(&part);
    fs::rename(part, path).unwrap();
}

fn folder() -> PathBuf {
    let folder = env::current_exe().unwrap().with_file_name("media-samples");
    fs::create_dir_all(&folder).unwrap();
    folder
}
