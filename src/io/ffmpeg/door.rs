//! Running a job and probing a file.
#![expect(clippy::disallowed_methods, reason = "this is the door to ffmpeg")]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use super::answer::answer;
use super::ending::judge;
use super::fault::FfmpegFault;
use super::listen::{follow, listen};
use super::process::{Deadline, Process, command};
use super::progress::Progress;
use super::slots::Slots;
use super::unfinished::Unfinished;
use super::words::Words;

/// How long one job may take unless it says otherwise.
const JOB_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long looking at one file may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes that one job may write unless it says otherwise.
pub const OUTPUT_BYTES_MAX: u64 = 8 << 30;

/// Containers that hold their media themselves. The lists that name other files (HLS, DASH, concat) are absent: they
/// would read whatever file of this machine they name.
const FORMATS: &str = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,mxf,ivf,wav,mp3,aac,flac";
/// What our own pictures are; their demuxers take one file, not a series.
const PICTURES: &str = "jpeg_pipe,png_pipe";
/// More pixels in a picture (8192 × 8192) would take gigabytes to hold.
const PIXELS_MAX: &str = "67108864";
const STREAMS_MAX: &str = "64";

const FFMPEG: &str = "ffmpeg";
pub(super) const FFPROBE: &str = "ffprobe";

/// Where the tools are and what they may take.
#[derive(Clone, Debug)]
pub struct FfmpegOptions {
    /// `None`: found on the search path.
    pub ffmpeg: Option<PathBuf>,
    /// `None`: found on the search path.
    pub ffprobe: Option<PathBuf>,
    /// In the form of `PATH`; `None`: the environment's.
    pub search_path: Option<OsString>,
    pub timeout: Duration,
    pub probe_timeout: Duration,
    /// How many jobs run at once; further ones wait.
    pub jobs_max: usize,
}

impl Default for FfmpegOptions {
    fn default() -> FfmpegOptions {
        FfmpegOptions {
            ffmpeg: None,
            ffprobe: None,
            search_path: None,
            timeout: JOB_TIMEOUT,
            probe_timeout: PROBE_TIMEOUT,
            jobs_max: thread::available_parallelism().map_or(2, |count| count.get().clamp(1, 8)),
        }
    }
}

/// One more file that a job reads, and the options for reading it.
#[derive(Clone, Debug)]
pub struct MoreInput<'a> {
    pub args: Vec<String>,
    pub path: &'a Path,
}

/// One call of ffmpeg: one file in, or several, and one file out.
#[derive(Debug)]
pub struct FfmpegJob<'a> {
    pub input: &'a Path,
    /// Options for reading the input.
    pub input_args: Vec<String>,
    /// Read beside it, in this order.
    pub more: &'a [MoreInput<'a>],
    /// Options for making the output, its format among them.
    pub output_args: Vec<String>,
    /// The folder that the output is made in.
    pub out_dir: &'a Path,
    /// How the output's name ends, without the dot.
    pub extension: &'static str,
    /// `None`: the door's own.
    pub timeout: Option<Duration>,
    /// How long the output will be, for progress.
    pub duration_hint_ms: Option<u64>,
    pub output_bytes_max: u64,
}

/// The door to ffmpeg and ffprobe.
#[derive(Debug)]
pub struct FfmpegDoor(Option<Open>);

#[derive(Debug)]
struct Open {
    options: FfmpegOptions,
    jobs: Slots,
    probes: Slots,
}

impl FfmpegDoor {
    pub fn new(options: FfmpegOptions) -> FfmpegDoor {
        let jobs = Slots::new(options.jobs_max);
        // Probes are short; they must not wait behind jobs that are long.
        let probes = Slots::new(options.jobs_max * 2);
        FfmpegDoor(Some(Open { options, jobs, probes }))
    }

    /// A door that refuses everything.
    pub fn shut() -> FfmpegDoor {
        FfmpegDoor(None)
    }

    /// Where ffmpeg and ffprobe are.
    pub fn find(&self) -> Result<(PathBuf, PathBuf), FfmpegFault> {
        let options = &self.open()?.options;
        Ok((
            find(FFMPEG, &options.ffmpeg, options)?,
            find(FFPROBE, &options.ffprobe, options)?,
        ))
    }

    /// What ffprobe says about the video or sound at `path`: its `format` and its `streams`.
    pub fn probe(&self, path: &Path) -> Result<serde_json::Value, FfmpegFault> {
        self.describe(path, FORMATS)
    }

    /// What ffprobe says about the picture at `path`, in the same form.
    pub fn probe_picture(&self, path: &Path) -> Result<serde_json::Value, FfmpegFault> {
        self.describe(path, PICTURES)
    }

    fn describe(&self, path: &Path, formats: &str) -> Result<serde_json::Value, FfmpegFault> {
        let open = self.open()?;
        let mut command = command(&find(FFPROBE, &open.options.ffprobe, &open.options)?);
        command.args(["-hide_banner", "-loglevel", "error"]);
        command.args(["-print_format", "json", "-show_format", "-show_streams"]);
        // What a decoder is told of each stream, as a hash to compare.
        command.args(["-show_data_hash", "sha256"]);
        restrict(&mut command, formats);
        command.arg("-i").arg(file_argument(path)?).stdout(Stdio::piped());
        let _slot = open.probes.take(&|| false);
        answer(command, path, Deadline::after(FFPROBE, open.options.probe_timeout))
    }

    /// Carries out `job` and returns its output, still under a temporary name. `on_progress` is told how far it is;
    /// `stop` is asked again and again whether to give up, also while ffmpeg is silent.
    pub fn run(
        &self,
        job: FfmpegJob<'_>,
        on_progress: &mut dyn FnMut(Progress),
        stop: &dyn Fn() -> bool,
    ) -> Result<Unfinished, FfmpegFault> {
        let open = self.open()?;
        let mut command = command(&find(FFMPEG, &open.options.ffmpeg, &open.options)?);
        let input = file_argument(job.input)?;
        let output = Unfinished::reserve(job.out_dir, job.extension)?;
        let target = file_argument(output.path())?;
        command.args(["-nostdin", "-hide_banner", "-y", "-loglevel", "level+warning", "-stats"]);
        command.args(["-stats_period", "0.2", "-abort_on", "empty_output"]);
        command.args(&job.input_args);
        restrict(&mut command, FORMATS);
        command.arg("-i").arg(&input);
        let mut known = vec![(input.to_string_lossy().into_owned(), name(job.input))];
        for more in job.more {
            let input = file_argument(more.path)?;
            command.args(&more.args);
            restrict(&mut command, FORMATS);
            command.arg("-i").arg(&input);
            known.push((input.to_string_lossy().into_owned(), name(more.path)));
        }
        known.push((target.to_string_lossy().into_owned(), "the output".to_owned()));
        command.args(&job.output_args).arg(&target).stdout(Stdio::null());

        let _slot = open.jobs.take(stop).ok_or(FfmpegFault::Stopped)?;
        let words = Words::new(known);
        let deadline = Deadline::after(FFMPEG, job.timeout.unwrap_or(open.options.timeout));
        let mut watch = || {
            if stop() {
                return Err(FfmpegFault::Stopped);
            }
            within(&output, job.output_bytes_max)?;
            deadline.check()
        };
        let mut process = Process::start(FFMPEG, command)?;
        let events = listen(&mut process);
        let (words, progress) = follow(&events, words, job.duration_hint_ms, on_progress, &mut watch)?;
        let status = process.wait(FFMPEG, &mut watch)?;
        // An interrupt from the terminal reaches ffmpeg as well as the host, and either may be quicker.
        if stop() {
            return Err(FfmpegFault::Stopped);
        }
        let bytes = within(&output, job.output_bytes_max)?;
        judge(status, words, bytes)?;
        on_progress(progress.complete(bytes));
        Ok(output)
    }

    fn open(&self) -> Result<&Open, FfmpegFault> {
        self.0.as_ref().ok_or(FfmpegFault::Shut)
    }
}

/// Where `tool` is.
fn find(tool: &'static str, given: &Option<PathBuf>, options: &FfmpegOptions) -> Result<PathBuf, FfmpegFault> {
    if let Some(path) = given {
        let missing = || FfmpegFault::MissingAt {
            tool,
            path: path.clone(),
        };
        return path.is_file().then(|| path.clone()).ok_or_else(missing);
    }
    let search_path = options
        .search_path
        .clone()
        .or_else(|| env::var_os("PATH"))
        .unwrap_or_default();
    env::split_paths(&search_path)
        // A relative folder would find whatever lies in the folder that the host was started in.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(tool))
        .find(|path| path.is_file())
        .ok_or(FfmpegFault::Missing { tool })
}

/// Options for reading that both tools take.
fn restrict(command: &mut Command, formats: &str) {
    command.args([
        "-protocol_whitelist",
        "file",
        "-format_whitelist",
        formats,
        "-max_streams",
        STREAMS_MAX,
        "-max_pixels",
        PIXELS_MAX,
    ]);
}

/// A path as ffmpeg takes it for nothing but a path.
pub(super) fn file_argument(path: &Path) -> Result<OsString, FfmpegFault> {
    let absolute = std::path::absolute(path).map_err(|source| FfmpegFault::Unreadable {
        name: name(path),
        reason: source.to_string(),
    })?;
    let mut argument = OsString::from("file:");
    argument.push(absolute);
    Ok(argument)
}

/// What people call the file.
pub(super) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(OsStr::new("the file"))
        .to_string_lossy()
        .into_owned()
}

/// How many bytes the output has, which must not be too many.
fn within(output: &Unfinished, bytes_max: u64) -> Result<u64, FfmpegFault> {
    let bytes = fs::metadata(output.path()).map_err(FfmpegFault::output)?.len();
    if bytes > bytes_max {
        return Err(FfmpegFault::OutputTooLarge { bytes, bytes_max });
    }
    Ok(bytes)
}
