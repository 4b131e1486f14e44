//! A run as it happens, for whoever sits at the terminal.
//!
//! Each effect is one line when it has its answer. While a long one is under way a bar stands below, on standard
//! error and only on a terminal; piped, there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::out::{BAD, CAREFUL, FAINT, GOOD, Out, excerpt, plain};
use crate::duration::for_people;
use crate::gate::observer::LogLevel;
use crate::gate::{Notice, Observer};
use crate::journal::Answer;
use crate::report::lines;

/// Progress is shown for what takes longer than this.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// Draws a run while it goes.
pub struct Screen(Mutex<State>);

struct State {
    out: Out,
    bar: Option<ProgressBar>,
    at_work: String,
}

impl Screen {
    pub fn new(out: Out) -> Screen {
        Screen(Mutex::new(State {
            out,
            bar: None,
            at_work: String::new(),
        }))
    }
}

impl Observer for Screen {
    fn notice(&self, notice: Notice<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            Notice::Asked { asked, .. } => state.at_work = asked.name.clone(),
            Notice::Progress { fraction, text, .. } => state.draw(fraction, &text),
            Notice::Waiting { why, wait_ms, .. } => {
                let text = format!("waiting for {}, {} at most", plain(&why), for_people(wait_ms));
                state.wait(&text, Duration::from_millis(wait_ms));
            }
            Notice::Answered { answer } => {
                if let Some(bar) = state.bar.take() {
                    bar.finish_and_clear();
                }
                let line = effect_line(answer, &state.out);
                state.out.line(line);
            }
            Notice::Attempted { .. } | Notice::Rested { .. } => {}
            Notice::Log { level, message, fields } => {
                let fields = if fields.is_unit() {
                    String::new()
                } else {
                    format!("  {fields}")
                };
                let (style, word) = match level {
                    LogLevel::Debug => return,
                    LogLevel::Info => (FAINT, "log"),
                    LogLevel::Warn => (CAREFUL, "warn"),
                    LogLevel::Error => (BAD, "error"),
                };
                let line = format!(
                    "    {} {}{}",
                    state.out.paint(style, word),
                    plain(message),
                    plain(&fields)
                );
                state.out.line(line);
            }
        }
    }
}

/// What came to rest leaves no line behind.
impl Drop for State {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl State {
    fn wait(&mut self, text: &str, length: Duration) {
        if !self.out.live || length < SHOWN_AFTER {
            return;
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let style = ProgressStyle::with_template("    {elapsed}  {wide_msg}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style.expect("the template is right"))
            .with_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar = Some(bar);
    }

    fn draw(&mut self, fraction: Option<f64>, text: &str) {
        if !self.out.live {
            return;
        }
        let name = self.at_work.clone();
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "    {prefix:16} {bar:24} {percent:>3} %  {elapsed} eta {eta}  {wide_msg}",
            );
            bar.set_style(style.expect("the template is right").progress_chars("██░"));
            bar.with_prefix(name)
        });
        if bar.elapsed() < SHOWN_AFTER {
            return;
        }
        if let Some(fraction) = fraction {
            bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
        }
        bar.set_message(plain(text));
    }
}

/// `✓ media.probe        inbox/clip.mp4          0:42 1920×1080 h264 aac   12 ms`
pub fn effect_line(answer: &Answer, out: &Out) -> String {
    let mark = match (&answer.error, &answer.simulated) {
        // Of an edited script: asked as before, and not done again.
        _ if answer.from.is_some() => out.paint(FAINT, "="),
        _ if answer.in_doubt => out.paint(CAREFUL, "?"),
        (Some(_), _) => out.paint(BAD, out.symbol("✗")),
        (None, Some(_)) => out.paint(CAREFUL, "~"),
        (None, None) => out.paint(GOOD, out.symbol("✓")),
    };
    let name = format!("{:<17}", plain(&answer.asked.name));
    let subject = format!("{:<24}", excerpt(&lines::subject(answer), 24));
    let mut end = String::new();
    if answer.in_doubt {
        end.push_str("  in doubt");
    }
    if let Some(why) = &answer.simulated {
        end.push_str(&format!("  sim ({})", plain(why)));
    }
    if answer.took_ms > 0 {
        end.push_str(&format!("  {}", for_people(answer.took_ms)));
    }
    // The reason and the time stay whole; what came of it gives way.
    let width = out.width.unwrap_or(PIPED_COLUMNS);
    let gist_width = width.saturating_sub(47 + end.chars().count()).max(12);
    let gist = excerpt(&lines::gist(answer), gist_width);
    let line = format!("  {mark} {name} {subject} {gist}{}", out.paint(FAINT, &end));
    line.trim_end().to_owned()
}

/// Columns of an effect's line where there is no terminal.
const PIPED_COLUMNS: usize = 120;

/// A sign of life on standard error while a command works for more than a second; none when piped.
pub struct Busy(ProgressBar, Arc<Mutex<String>>);

impl Busy {
    pub fn new(out: &Out, what: &'static str) -> Busy {
        let now: Arc<Mutex<String>> = Arc::new(Mutex::new(what.to_owned()));
        if !out.live {
            return Busy(ProgressBar::hidden(), now);
        }
        let shown = now.clone();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{life}").expect("the template is right");
        bar.set_style(
            style.with_key("life", move |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                // What is done within the second needs no sign.
                if state.elapsed() < SHOWN_AFTER {
                    return;
                }
                let elapsed = for_people(state.elapsed().as_millis() as u64);
                let what = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let written = match state.len() {
                    Some(whole) if whole > 0 => {
                        let eta = for_people(state.eta().as_millis() as u64);
                        write!(line, "{what} {} of {whole}, {elapsed}, eta {eta}", state.pos())
                    }
                    _ => write!(line, "{what} {elapsed}"),
                };
                written.unwrap_or_default();
            }),
        );
        bar.enable_steady_tick(Duration::from_millis(250));
        Busy(bar, now)
    }

    /// What is being done now.
    pub fn say(&self, what: &str) {
        what.clone_into(&mut self.1.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How much of a known whole is done.
    pub fn at(&self, done: u64, whole: u64) {
        self.0.set_length(whole);
        self.0.set_position(done);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.done();
    }
}
