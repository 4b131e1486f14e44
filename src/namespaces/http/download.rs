//! Downloads: what to ask for, and what to make of the answer.
//!
//! A download is a read that may be asked again, and each attempt asks only for what is missing. It asks for a part on
//! the condition that the file is still the one that had begun to come (`If-Range` with a strong validator); whatever
//! does not fit that, another range, another length, another ETag, throws away what had come. So a file is never put
//! together out of two.

use std::ops::ControlFlow;
use std::time::Duration;

use url::Url;

use super::call::Call;
use super::door_of;
use crate::effect::{Failure, Fault, Landed};
use crate::gate::{Act, Errand, Simulation};
use crate::id::ContentHash;
use crate::io::download::{Partial, Version};
use crate::io::http::{Response, Taking};
use crate::io::workspace::Workspace;
use crate::namespaces::fault::Faults;
use crate::namespaces::file::media_type;
use crate::value::Value;

/// How large a file may be when nothing is said, and the largest that one may ask for.
pub const BYTES_MAX: u64 = 1 << 30;
pub const BYTES_MAX_MAX: u64 = 16 << 30;
/// How long one attempt may take when nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(600);
/// How long nothing may come.
pub const STALL: Duration = Duration::from_secs(30);
/// How often it is attempted.
pub const ATTEMPTS_MAX: u32 = 8;
/// The longest name of a file.
const NAME_BYTES_MAX: usize = 100;
/// How many bytes come between two reports of progress, at least.
const PROGRESS_BYTES: u64 = 1 << 20;

/// One file that is to be fetched.
pub struct Download {
    pub call: Call,
    pub url: Url,
    pub provider: &'static str,
    /// Under which name people find it; `is_preset` when nobody chose it.
    pub name: String,
    pub is_preset: bool,
    pub bytes_max: u64,
    pub sha256: Option<ContentHash>,
    pub stall: Duration,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Plan {
    /// Its body is the file from the first byte on.
    Whole(Version),
    /// Its body is what is missing.
    Rest,
    /// Nothing is missing.
    Complete,
    /// It is of another file, or of another part of it: begin anew.
    Anew(String),
    /// It is no answer of this kind.
    Refused,
}

/// What an answer means to somebody who has `have` bytes of `version`.
fn plan(have: u64, version: Option<&Version>, url: &Url, answer: &Response) -> Plan {
    let told = Version {
        url: url.to_string(),
        etag: answer.header("etag").map(str::to_owned),
        last_modified: answer.header("last-modified").map(str::to_owned),
        total: None,
    };
    match (answer.status, version) {
        (200, _) => Plan::Whole(Version {
            total: answer
                .header("content-length")
                .and_then(|length| length.trim().parse().ok()),
            ..told
        }),
        (206, Some(version)) => match content_range(answer) {
            Some((first, last, total)) => {
                let is_rest = first == have && total.is_none_or(|total| last < total && last >= first);
                let same_length = version.total.is_none() || total.is_none() || version.total == total;
                let same_tag = told.etag.is_none() || told.etag == version.etag;
                if is_rest && same_length && same_tag {
                    Plan::Rest
                } else {
                    Plan::Anew("another part of it came than was asked for".to_owned())
                }
            }
            None => Plan::Anew("a part of it came without saying which".to_owned()),
        },
        (206, None) => Plan::Anew("a part of it came though all was asked for".to_owned()),
        (416, Some(version)) => match answer
            .header("content-range")
            .and_then(|range| range.strip_prefix("bytes */"))
        {
            Some(total) if total.parse() == Ok(have) && version.total.is_none_or(|known| known == have) => {
                Plan::Complete
            }
            _ => Plan::Anew("it is shorter than what had come of it".to_owned()),
        },
        _ => Plan::Refused,
    }
}

/// `bytes 5-9/10` as 5, 9 and 10.
fn content_range(answer: &Response) -> Option<(u64, u64, Option<u64>)> {
    let range = answer.header("content-range")?.trim().strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total))
}

/// By what the server can tell that a file is still the same, byte by byte. A weak ETag says less than that.
fn validator(version: &Version) -> Option<&str> {
    let strong = version.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
    strong.or(version.last_modified.as_deref())
}

impl Act for Download {
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        let sha256 = ContentHash::of(simulation.id("download").as_bytes());
        let sha256 = self.sha256.unwrap_or(sha256);
        Ok(self.described(&self.name, sha256, 0, None, 0, true))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        let workspace = Workspace::open(errand.workspace());
        let workspace = workspace.map_err(|fault| Fault::refused(Failure::new(fault.code(), fault.to_string())))?;
        let mut partial = Partial::open(workspace.path(), &format!("download-{}", self.mark(errand)));
        // Without a way to tell that it is the same file, what has come is worth nothing.
        if partial
            .version()
            .is_some_and(|version| version.url != self.url.as_str() || validator(version).is_none())
        {
            partial.discard();
        }
        let resumed = partial.have();
        let kind = self.fetch(errand, &mut partial)?;
        let kept = self.keep(errand, &workspace, &mut partial);
        let (name, sha256, bytes) = kept?;
        Ok(self.described(&name, sha256, bytes, kind, resumed, false))
    }
}

impl Download {
    /// Under which name its part lies: the same for every attempt of a step, another for every step.
    fn mark(&self, errand: &Errand<'_>) -> String {
        ContentHash::of(errand.key.as_bytes()).to_string()[..16].to_owned()
    }

    /// One exchange; returns the kind of content the server named, with all of it in `partial`.
    fn fetch(&self, errand: &Errand<'_>, partial: &mut Partial) -> Result<Option<String>, Fault> {
        let faults = Faults {
            provider: self.provider,
            errand,
            nothing_done: &[],
        };
        let mut request = self.call.request(self.url.clone(), errand.key);
        request = request.timeout(errand.timeout).stall(self.stall);
        // What is packed on its way cannot be asked for in parts.
        request = request.header("accept-encoding", "identity");
        if let Some(validator) = partial.version().and_then(validator) {
            request = request
                .header("range", &format!("bytes={}-", partial.have()))
                .header("if-range", validator);
        }
        let who = request.origin();
        let door = door_of(errand.world, self.provider)?;
        let mut taking = Taker {
            download: self,
            errand,
            partial,
            plan: Plan::Refused,
            fault: None,
            reported: 0,
        };
        let sent = door.send_into(request, &mut taking);
        let (plan, fault) = (taking.plan, taking.fault);
        if let Some(fault) = fault {
            return Err(fault);
        }
        let well = |fault| Fault {
            unhealthy: false,
            ..fault
        };
        let response = sent.map_err(|fault| well(faults.no_answer(&fault)))?;
        match plan {
            Plan::Refused => return Err(well(faults.refusal(&format!("{who} (GET)"), &response, None))),
            Plan::Anew(why) => {
                partial.discard();
                let message = format!("the file at {who} changed while it was downloaded: {why}");
                return Err(passing("DOWNLOAD_CHANGED", message, self.provider));
            }
            Plan::Whole(_) | Plan::Rest | Plan::Complete => {}
        }
        let total = partial.version().and_then(|version| version.total);
        if let Some(total) = total.filter(|total| *total != partial.have()) {
            let have = partial.have();
            if have > total {
                partial.discard();
            }
            let message = format!("{who} sent {have} of {total} bytes");
            return Err(passing("DOWNLOAD_FAILED", message, self.provider));
        }
        Ok(response.header("content-type").map(str::to_owned))
    }

    /// Checks what has come and gives it its name.
    fn keep(
        &self,
        errand: &Errand<'_>,
        workspace: &Workspace,
        partial: &mut Partial,
    ) -> Result<(String, ContentHash, u64), Fault> {
        let written = partial
            .finish()
            .and_then(|()| crate::io::workspace::hash_of(partial.path()));
        let found = written.map_err(|error| self.unwritten(&error.to_string()))?;
        if let Some(wanted) = self.sha256.filter(|wanted| *wanted != found) {
            partial.discard();
            let message = format!("the file has the SHA-256 {found}, and {wanted} was expected");
            return Err(Fault::answered(
                Failure::new("DOWNLOAD_CHECKSUM", message).provider(self.provider),
            ));
        }
        let shown = workspace.show(partial.path(), &self.name, self.is_preset);
        let refused = |code: &str, message: String| Fault::answered(Failure::new(code, message));
        let shown = shown.map_err(|fault| {
            let refused = refused(fault.code(), fault.to_string());
            partial.discard();
            refused
        })?;
        let kept = errand.keep_file(partial.path());
        let (sha256, bytes) = kept.map_err(|error| refused(error.code(), error.to_string()))?;
        let protected = workspace.protect(&shown);
        protected.map_err(|fault| refused(fault.code(), fault.to_string()))?;
        Ok((shown, sha256, bytes))
    }

    fn unwritten(&self, reason: &str) -> Fault {
        Fault::answered(Failure::new(
            "DOWNLOAD_FAILED",
            format!("the file could not be written: {reason}"),
        ))
    }

    fn too_large(&self) -> Fault {
        let message = format!(
            "the file has more than {} bytes, which is its max_bytes",
            self.bytes_max
        );
        Fault::answered(Failure::new("HTTP_TOO_LARGE", message).provider(self.provider))
    }

    fn described(
        &self,
        name: &str,
        sha256: ContentHash,
        bytes: u64,
        kind: Option<String>,
        resumed: u64,
        simulated: bool,
    ) -> Value {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        Value::from([
            ("name", name.into()),
            ("sha256", sha256.to_string().into()),
            ("bytes", number(bytes)),
            ("media_type", media_type::of_name(name).into()),
            ("content_type", kind.into()),
            ("url", self.url.as_str().into()),
            ("resumed_at", number(resumed)),
            ("simulated", simulated.into()),
        ])
    }
}

fn passing(code: &str, message: String, provider: &str) -> Fault {
    Fault {
        failure: Failure::new(code, message).provider(provider),
        landed: Landed::No,
        passing: true,
        unhealthy: false,
    }
}

/// Takes the body into the partial file.
struct Taker<'t, 'e> {
    download: &'t Download,
    errand: &'t Errand<'e>,
    partial: &'t mut Partial,
    plan: Plan,
    fault: Option<Fault>,
    /// How much had come at the last report.
    reported: u64,
}

impl Taking for Taker<'_, '_> {
    fn begin(&mut self, head: &Response) -> bool {
        let download = self.download;
        self.plan = plan(self.partial.have(), self.partial.version(), &download.url, head);
        let begun = match &self.plan {
            Plan::Whole(version) => {
                if version.total.is_some_and(|total| total > download.bytes_max) {
                    self.partial.discard();
                    self.fault = Some(download.too_large());
                    return true;
                }
                self.partial.begin(version.clone())
            }
            Plan::Rest => self.partial.go_on(),
            Plan::Complete | Plan::Anew(_) => return true,
            Plan::Refused => return false,
        };
        if let Err(error) = begun {
            self.partial.discard();
            self.fault = Some(download.unwritten(&error.to_string()));
        }
        true
    }

    fn take(&mut self, piece: &[u8]) -> ControlFlow<()> {
        if self.fault.is_some() || !matches!(self.plan, Plan::Whole(_) | Plan::Rest) {
            return ControlFlow::Break(());
        }
        let have = self.partial.have() + piece.len() as u64;
        if have > self.download.bytes_max {
            self.partial.discard();
            self.fault = Some(self.download.too_large());
            return ControlFlow::Break(());
        }
        if self.errand.is_halted() {
            let message = "the run is being stopped; the download goes on when it is resumed".to_owned();
            self.fault = Some(passing("HTTP_CUT", message, self.download.provider));
            return ControlFlow::Break(());
        }
        if let Err(error) = self.partial.write(piece) {
            self.fault = Some(self.download.unwritten(&error.to_string()));
            return ControlFlow::Break(());
        }
        if have >= self.reported + PROGRESS_BYTES {
            self.reported = have;
            let total = self.partial.version().and_then(|version| version.total);
            let fraction = total.filter(|total| *total > 0).map(|total| have as f64 / total as f64);
            self.errand.progress(fraction, self.download.name.as_str());
        }
        ControlFlow::Continue(())
    }
}

/// Under which name people find what lies at `url`: the end of its path, as far as it can be a file's name.
pub fn name_of(url: &Url) -> String {
    let last = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name: String = last
        .chars()
        .filter(|letter| allowed(*letter))
        .take(NAME_BYTES_MAX)
        .collect();
    let name = name.trim_matches('.');
    if name.is_empty() {
        "download".to_owned()
    } else {
        name.to_owned()
    }
}

/// A name that somebody chose.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed);
    if is_name && !name.starts_with('.') {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    let message = format!(
        "{shown:?} is no name for a file: it needs 1 to {NAME_BYTES_MAX} letters, digits, \"-\", \"_\" or \".\", no \".\" first"
    );
    Err(Failure::new("MEDIA_NAME_INVALID", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Vec::new(),
            url: "http://a.example/f".parse().unwrap(),
        }
    }

    #[test]
    fn only_what_certainly_fits_is_put_after_what_has_come() {
        let url = "http://a.example/f".parse().unwrap();
        let version = Version {
            etag: Some("\"1\"".to_owned()),
            total: Some(10),
            ..Version::default()
        };
        let given = |status, headers: &[(&str, &str)]| plan(4, Some(&version), &url, &answer(status, headers));
        assert_eq!(
            given(206, &[("content-range", "bytes 4-9/10"), ("etag", "\"1\"")]),
            Plan::Rest
        );
        assert_eq!(given(206, &[("content-range", "bytes 4-9/*")]), Plan::Rest);
        for headers in [
            &[("content-range", "bytes 3-9/10")][..],
            &[("content-range", "bytes 4-9/11")],
            &[("content-range", "bytes 4-10/10")],
            &[("content-range", "bytes 4-9/10"), ("etag", "\"2\"")],
            &[("content-range", "items 4-9/10")],
            &[("content-range", "bytes 4-99999999999999999999999/10")],
            &[],
        ] {
            assert!(matches!(given(206, headers), Plan::Anew(_)), "{headers:?}");
        }
        assert!(matches!(given(416, &[("content-range", "bytes */3")]), Plan::Anew(_)));
        assert!(matches!(given(200, &[]), Plan::Whole(_)));
        assert_eq!(given(404, &[]), Plan::Refused);
        let open = Version {
            total: None,
            ..version.clone()
        };
        let ended = plan(4, Some(&open), &url, &answer(416, &[("content-range", "bytes */4")]));
        assert_eq!(ended, Plan::Complete);
        assert!(matches!(plan(0, None, &url, &answer(206, &[])), Plan::Anew(_)));
    }

    #[test]
    fn a_name_out_of_a_url_is_a_plain_one() {
        for (url, expected) in [
            ("http://a.example/x/clip.mp4?sig=1", "clip.mp4"),
            ("http://a.example/", "download"),
            ("http://a.example/..%2f..%2fetc", "2f..2fetc"),
            ("http://a.example/.hidden", "hidden"),
            ("http://a.example/%1b[31m%0aé", "1b31m0aC3A9"),
        ] {
            assert_eq!(name_of(&url.parse().unwrap()), expected, "{url}");
        }
        for name in ["", "../x", ".x", "a b", "a/b", "\u{1b}"] {
            assert_eq!(check_name(name).unwrap_err().code, "MEDIA_NAME_INVALID", "{name:?}");
        }
    }
}
