//! The door, against the installed ffmpeg.
#![expect(clippy::disallowed_methods, reason = "tests lay files out and look at processes")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

/// Makes a small H.264 file of `input` in `out_dir`.
fn job<'a>(input: &'a Path, out_dir: &'a Path) -> FfmpegJob<'a> {
    let args = [
        "-map",
        "0:V:0",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "mp4",
    ];
    FfmpegJob {
        input,
        input_args: Vec::new(),
        more: &[],
        output_args: args.map(str::to_owned).to_vec(),
        out_dir,
        extension: "mp4",
        timeout: None,
        duration_hint_ms: None,
        output_bytes_max: OUTPUT_BYTES_MAX,
    }
}

fn run(door: &FfmpegDoor, job: FfmpegJob<'_>) -> Result<Unfinished, FfmpegFault> {
    door.run(job, &mut |_| {}, &|| false)
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// A door to a shell script in the place of both tools, which writes its process id to `pid`.
fn scripted(dir: &Path, script: &str) -> FfmpegDoor {
    samples::scripted(dir, &format!("echo $$ > {}/pid\n{script}", dir.display()))
}

/// Whether the scripted tool is gone, not even left as a zombie.
fn is_gone(dir: &Path) -> bool {
    let pid = fs::read_to_string(dir.join("pid")).unwrap();
    !Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn a_video_is_described_by_ffprobe() {
    let answer = samples::door().probe(&samples::landscape()).unwrap();
    assert_eq!(answer["streams"][0]["width"], 320);
    assert_eq!(answer["streams"][1]["codec_type"], "audio");
    assert_eq!(answer["format"]["duration"], "2.000000");
}

#[test]
fn a_file_that_is_no_video_is_refused_in_ffprobe_s_words_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.mp4");
    fs::write(&path, "dear reader").unwrap();
    let fault = samples::door().probe(&path).unwrap_err();
    assert_eq!(fault.code(), "MEDIA_UNREADABLE");
    assert_eq!(
        fault.to_string(),
        r#""letter.mp4" cannot be read as media: Invalid data found when processing input"#
    );
    let fault = samples::door().probe(&dir.path().join("gone.mp4")).unwrap_err();
    assert_eq!(
        fault.to_string(),
        r#""gone.mp4" cannot be read as media: No such file or directory"#
    );
}

/// A playlist is text that names other files. If its demuxer were reached, a playlist in the inbox would publish any
/// video of this machine.
#[test]
fn a_list_that_names_another_file_does_not_open_it() {
    let dir = tempfile::tempdir().unwrap();
    let segment = dir.path().join("private.ts");
    let mut making = job_of_landscape(dir.path());
    let at = making.output_args.len() - 1;
    making.output_args[at] = "mpegts".to_owned();
    fs::rename(run(&samples::door(), making).unwrap().finish().unwrap(), &segment).unwrap();
    let private = segment.display();
    for (name, text) in [
        (
            "list.m3u8",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{private}\n#EXT-X-ENDLIST\n"),
        ),
        ("list.ffconcat", "ffconcat version 1.0\nfile private.ts\n".to_owned()),
    ] {
        let list = dir.path().join(name);
        fs::write(&list, text).unwrap();
        assert_eq!(samples::door().probe(&list).expect_err(name).code(), "MEDIA_UNREADABLE");
        let out = tempfile::tempdir().unwrap();
        assert_eq!(
            run(&samples::door(), job(&list, out.path())).expect_err(name).code(),
            "FFMPEG_FAILED"
        );
        assert!(is_empty(out.path()));
    }
}

fn job_of_landscape(out_dir: &Path) -> FfmpegJob<'_> {
    job(Box::leak(samples::landscape().into_boxed_path()), out_dir)
}

#[test]
fn progress_increases_and_ends_at_one() {
    let dir = tempfile::tempdir().unwrap();
    let input = samples::long();
    let mut seen: Vec<Progress> = Vec::new();
    let job = FfmpegJob {
        duration_hint_ms: Some(30_000),
        ..job(&input, dir.path())
    };
    let output = samples::door()
        .run(job, &mut |progress| seen.push(progress), &|| false)
        .unwrap();
    assert!(seen.len() >= 3, "{seen:?}");
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].fraction <= pair[1].fraction && pair[0].out_ms <= pair[1].out_ms)
    );
    let last = seen.last().unwrap();
    assert_eq!(
        (last.fraction, last.bytes),
        (Some(1.0), fs::metadata(output.path()).unwrap().len())
    );
    assert!(last.out_ms >= 29_900, "{last:?}");
}

#[test]
fn a_name_is_never_taken_for_an_option_an_address_or_a_pattern() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "two words.mp4",
        "it's \"quoted\".mp4",
        "-y.mp4",
        "%d %03d.mp4",
        "http:evil.mp4",
        "concat:a|b.mp4",
        "größe-日本.mp4",
        "a\\b.mp4",
        "[x];c,d=e.mp4",
    ] {
        let out_dir = dir.path().join(name).with_extension("");
        fs::create_dir(&out_dir).unwrap();
        let input = out_dir.join(name);
        fs::copy(samples::landscape(), &input).unwrap();
        samples::door().probe(&input).expect(name);
        let whole = run(&samples::door(), job(&input, &out_dir))
            .expect(name)
            .finish()
            .unwrap();
        assert!(
            whole.starts_with(&out_dir) && fs::metadata(whole).unwrap().len() > 1000,
            "{name}"
        );
    }
}

#[test]
fn without_ffmpeg_the_message_says_how_to_get_it() {
    let options = FfmpegOptions {
        search_path: Some("".into()),
        ..FfmpegOptions::default()
    };
    let door = FfmpegDoor::new(options);
    let dir = tempfile::tempdir().unwrap();
    let fault = run(&door, job_of_landscape(dir.path())).unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_MISSING");
    assert!(
        fault
            .to_string()
            .starts_with("ffmpeg was not found on the PATH; install it with `"),
        "{fault}"
    );
    assert_eq!(door.probe(&samples::landscape()).unwrap_err().code(), "FFMPEG_MISSING");
    let given = FfmpegOptions {
        ffprobe: Some(PathBuf::from("/no/ffprobe")),
        ..FfmpegOptions::default()
    };
    assert_eq!(FfmpegDoor::new(given).find().unwrap_err().code(), "FFMPEG_MISSING");
}

#[test]
fn a_tool_in_the_folder_that_the_host_was_started_in_is_not_found_by_a_relative_search_path() {
    let options = FfmpegOptions {
        search_path: Some("target:.:".into()),
        ..FfmpegOptions::default()
    };
    assert_eq!(FfmpegDoor::new(options).find().unwrap_err().code(), "FFMPEG_MISSING");
}

#[test]
fn a_shut_door_refuses_everything() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        FfmpegDoor::shut().probe(&samples::landscape()).unwrap_err().code(),
        "DOOR_SHUT"
    );
    assert_eq!(
        run(&FfmpegDoor::shut(), job_of_landscape(dir.path()))
            .unwrap_err()
            .code(),
        "DOOR_SHUT"
    );
}

#[test]
fn a_silent_ffmpeg_is_killed_at_its_time_limit_and_leaves_nothing() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), "exec sleep 60");
    let job = FfmpegJob {
        timeout: Some(Duration::from_millis(300)),
        ..job_of_landscape(out.path())
    };
    let begun = Instant::now();
    let fault = run(&door, job).unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_TIMEOUT");
    assert!(
        fault.to_string().starts_with("ffmpeg was stopped after 0.3 s"),
        "{fault}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(is_gone(dir.path()) && is_empty(out.path()));
}

#[test]
fn a_silent_ffmpeg_is_killed_when_the_caller_says_stop() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), "exec sleep 60");
    let pid = dir.path().join("pid");
    let stop = || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'));
    let fault = door.run(job_of_landscape(out.path()), &mut |_| {}, &stop).unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_STOPPED");
    assert!(is_gone(dir.path()) && is_empty(out.path()));
}

#[test]
fn a_working_ffmpeg_is_killed_when_the_caller_says_stop() {
    let out = tempfile::tempdir().unwrap();
    let input = samples::long();
    let begun = std::cell::Cell::new(false);
    let fault = samples::door()
        .run(job(&input, out.path()), &mut |_| begun.set(true), &|| begun.get())
        .unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_STOPPED");
    assert!(is_empty(out.path()));
}

/// It closes its error output, by which the host would know its end, and stays.
#[test]
fn an_ffmpeg_that_says_it_is_done_and_stays_is_killed_at_its_time_limit() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), "exec sleep 60 2>&-");
    let job = FfmpegJob {
        timeout: Some(Duration::from_millis(300)),
        ..job_of_landscape(out.path())
    };
    assert_eq!(run(&door, job).unwrap_err().code(), "FFMPEG_TIMEOUT");
    assert!(is_gone(dir.path()) && is_empty(out.path()));
}

#[test]
fn a_panic_in_the_caller_leaves_neither_process_nor_file() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), "exec sleep 60");
    let pid = dir.path().join("pid");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let stop = || {
            assert!(
                !fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')),
                "the caller breaks"
            );
            false
        };
        run_with(&door, out.path(), &stop)
    }));
    assert!(caught.is_err());
    assert!(is_gone(dir.path()) && is_empty(out.path()));
}

fn run_with(door: &FfmpegDoor, out_dir: &Path, stop: &dyn Fn() -> bool) -> Result<Unfinished, FfmpegFault> {
    door.run(job_of_landscape(out_dir), &mut |_| {}, stop)
}

#[test]
fn a_failed_ffmpeg_is_quoted_without_places_and_leaves_no_file() {
    let out = tempfile::tempdir().unwrap();
    let mut job = job_of_landscape(out.path());
    job.output_args
        .splice(0..0, ["-vf".to_owned(), "nosuchfilter".to_owned()]);
    let fault = run(&samples::door(), job).unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_FAILED");
    let message = fault.to_string();
    assert!(
        message.contains("exit code") && message.contains("No such filter: 'nosuchfilter'"),
        "{message}"
    );
    assert!(
        !message.contains("0x") && !message.contains(out.path().to_str().unwrap()),
        "{message}"
    );
    assert!(is_empty(out.path()));
}

#[test]
fn a_part_without_pictures_is_an_empty_output() {
    let out = tempfile::tempdir().unwrap();
    let mut job = job_of_landscape(out.path());
    job.input_args = vec!["-ss".to_owned(), "50".to_owned()];
    assert_eq!(run(&samples::door(), job).unwrap_err().code(), "OUTPUT_EMPTY");
    assert!(is_empty(out.path()));
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The limit is in blocks of 512 or 1,024 bytes; the whole output has about 30 KiB.
    let limited = scripted(dir.path(), "ulimit -f 8; exec ffmpeg \"$@\"");
    assert_eq!(
        run(&limited, job_of_landscape(out.path())).unwrap_err().code(),
        "MEDIA_DISK_FULL"
    );
    // /dev/full answers every write as a full disk does. ffmpeg's last argument is where it is to write.
    let full = scripted(
        dir.path(),
        "for last; do :; done; ln -sf /dev/full \"${last#file:}\"; exec ffmpeg \"$@\"",
    );
    assert_eq!(
        run(&full, job_of_landscape(out.path())).unwrap_err().code(),
        "MEDIA_DISK_FULL"
    );
    assert!(is_empty(out.path()));
}

#[test]
fn an_output_beyond_its_limit_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let job = FfmpegJob {
        output_bytes_max: 1000,
        ..job_of_landscape(out.path())
    };
    assert_eq!(run(&samples::door(), job).unwrap_err().code(), "OUTPUT_TOO_LARGE");
    assert!(is_empty(out.path()));
}

#[test]
fn a_silent_ffprobe_is_killed_at_its_time_limit() {
    let dir = tempfile::tempdir().unwrap();
    let tool = scripted(dir.path(), "exec sleep 60");
    drop(tool);
    let options = FfmpegOptions {
        ffprobe: Some(dir.path().join("tool")),
        probe_timeout: Duration::from_millis(300),
        ..FfmpegOptions::default()
    };
    let fault = FfmpegDoor::new(options).probe(&samples::landscape()).unwrap_err();
    assert_eq!(fault.code(), "FFMPEG_TIMEOUT");
    assert!(is_gone(dir.path()));
}

#[test]
fn an_endless_answer_of_ffprobe_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let fault = scripted(dir.path(), "exec yes")
        .probe(&samples::landscape())
        .unwrap_err();
    assert_eq!(
        fault.to_string(),
        r#""landscape.mp4" cannot be read as media: its description has more than 1048576 bytes"#
    );
    assert!(is_gone(dir.path()));
}

#[test]
fn endless_words_of_ffmpeg_do_not_outlast_the_time_limit() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), "exec cat /dev/zero >&2");
    let job = FfmpegJob {
        timeout: Some(Duration::from_millis(300)),
        ..job_of_landscape(out.path())
    };
    assert_eq!(run(&door, job).unwrap_err().code(), "FFMPEG_TIMEOUT");
    assert!(is_gone(dir.path()) && is_empty(out.path()));
}

#[test]
fn a_process_sees_nothing_secret_of_the_environment() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let door = scripted(dir.path(), &format!("env > {}/env; exit 1", dir.path().display()));
    assert_eq!(
        run(&door, job_of_landscape(out.path())).unwrap_err().code(),
        "FFMPEG_FAILED"
    );
    let environment = fs::read_to_string(dir.path().join("env")).unwrap();
    let names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    let known = [
        "PATH",
        "HOME",
        "LD_LIBRARY_PATH",
        "TMPDIR",
        "LC_ALL",
        "AV_LOG_FORCE_NOCOLOR",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}
