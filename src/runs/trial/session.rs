//! All cases of a session, side by side, told in the order of their files.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::case::{Case, Over};
use super::play::lock;
use super::setting::Setting;
use super::snapshot::Book;
use super::suite::{TestFile, is_meant};
use super::verdict::{CaseResult, Complaint, Verdict};
use crate::io::clock::{Clock, SystemClock};

/// How soon a case that takes too long is stopped.
const SEEN_WITHIN: Duration = Duration::from_millis(20);

/// How a session is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cases at the same time.
    pub threads: usize,
    /// How long one case may take.
    pub timeout: Duration,
    /// Words that name the cases which are meant; all, when there is none.
    pub words: Vec<String>,
    /// Whether the first that fails keeps the rest from being run.
    pub fail_fast: bool,
    /// Whether every snapshot is taken as it is.
    pub accept: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            timeout: Duration::from_secs(10),
            words: Vec::new(),
            fail_fast: false,
            accept: false,
        }
    }
}

/// Cases, and what they are run on.
pub struct Session {
    pub setting: Arc<Setting>,
    pub files: Vec<TestFile>,
    /// The snapshots of each file, by its name.
    pub books: BTreeMap<String, Arc<Book>>,
    pub options: Options,
}

/// One case of one file, by their numbers.
struct Job<'a> {
    file: &'a TestFile,
    case: &'a str,
}

impl Session {
    /// The cases that are meant, in order; a file that does not compile is one case without a name.
    fn jobs(&self) -> Vec<Job<'_>> {
        let mut jobs = Vec::new();
        for file in &self.files {
            let cases = file.cases.iter().map(String::as_str);
            let broken = file.script.is_err().then_some("");
            let meant = cases.chain(broken);
            let meant = meant.filter(|case| is_meant(&self.options.words, file, case));
            jobs.extend(meant.map(|case| Job { file, case }));
        }
        jobs
    }

    /// The names of the cases that are meant, each with its file.
    pub fn meant(&self) -> Vec<(&TestFile, &str)> {
        self.jobs().into_iter().map(|job| (job.file, job.case)).collect()
    }

    /// Runs them, and tells each as soon as all before it are told.
    pub fn run(&self, tell: &mut dyn FnMut(&CaseResult)) -> Vec<CaseResult> {
        let jobs = self.jobs();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let active: Mutex<BTreeMap<usize, (Duration, Arc<Case>)>> = Mutex::default();
        let clock = SystemClock::new();
        let (send, receive) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let mut results: Vec<CaseResult> = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.clamp(1, jobs.len().max(1)) {
                let send = send.clone();
                scope.spawn(|| {
                    let send = send;
                    while let Some((number, job)) = take(&next, &jobs) {
                        let result = match self.options.fail_fast && failed.load(Ordering::Relaxed) {
                            true => skipped(job),
                            false => self.one(number, job, &clock, &active),
                        };
                        failed.fetch_or(result.failed(), Ordering::Relaxed);
                        if send.send((number, result)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let (active, clock) = (&active, &clock);
            scope.spawn(move || {
                while let Err(mpsc::RecvTimeoutError::Timeout) = is_over.recv_timeout(SEEN_WITHIN) {
                    let now = clock.monotonic();
                    for (began, case) in lock(active).values() {
                        if now.saturating_sub(*began) > self.options.timeout {
                            case.stop();
                        }
                    }
                }
            });
            let mut early: BTreeMap<usize, CaseResult> = BTreeMap::new();
            for (number, result) in receive {
                early.insert(number, result);
                while let Some(result) = early.remove(&results.len()) {
                    tell(&result);
                    results.push(result);
                }
            }
            drop(over);
        });
        results
    }

    fn one(
        &self,
        number: usize,
        job: &Job<'_>,
        clock: &SystemClock,
        active: &Mutex<BTreeMap<usize, (Duration, Arc<Case>)>>,
    ) -> CaseResult {
        let began = clock.monotonic();
        let script = match &job.file.script {
            Ok(script) => script,
            Err(diagnosis) => {
                let complaint = Complaint::new((**diagnosis).clone());
                return result(job, Duration::ZERO, Verdict::Failed(Box::new(complaint)));
            }
        };
        let book = self.books.get(&job.file.name).cloned().unwrap_or_default();
        let case = Case::new(self.setting.clone(), number, job.case, book, self.options.accept);
        lock(active).insert(number, (began, case.clone()));
        let Over {
            verdict,
            taken,
            played,
            said,
        } = case.run(script);
        lock(active).remove(&number);
        let took = clock.monotonic().saturating_sub(began);
        CaseResult {
            taken,
            played,
            said,
            ..result(job, took, verdict)
        }
    }
}

fn take<'j, 'a>(next: &AtomicUsize, jobs: &'j [Job<'a>]) -> Option<(usize, &'j Job<'a>)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, jobs.get(number)?))
}

fn skipped(job: &Job<'_>) -> CaseResult {
    result(job, Duration::ZERO, Verdict::Skipped)
}

fn result(job: &Job<'_>, took: Duration, verdict: Verdict) -> CaseResult {
    CaseResult {
        file: job.file.file.clone(),
        case: job.case.to_owned(),
        took,
        verdict,
        taken: Vec::new(),
        played: Vec::new(),
        said: Vec::new(),
    }
}
