//! Carries out what is asked of runs, and tells how they go.
//!
//! Whoever asked may be slow or gone: a run waits for nobody who watches it. What it tells goes into a queue that another thread
//! sends from; what finds it full is counted and left out. A caller who hangs up leaves the run at work, one who says
//! [`Wish::Stop`] cancels it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::driver::{Driver, Watch};
use super::narrow::narrow;
use super::open::Place;
use super::said::{Amend, Begin, Ended, Refusal, Told, Wish, Word, Work, pins};
use super::signed;
use crate::effect::RunMode;
use crate::gate::{Notice, Observer};
use crate::id::RunId;
use crate::io::socket::{FRAME_BYTES_MAX, Line, SocketError};
use crate::journal::audit::Act;
use crate::runs::edit::Amendment;
use crate::runs::{Driven, Finished, Order, Resume, Task};
use crate::script::inputs;
use crate::serve::edition::Edition;
use crate::store::remote::wire::{decode, encode};
use crate::value::Value;

/// Notices that wait to be sent.
const TOLD_MAX: usize = 256;

/// The longest notice; of a longer answer only the beginning is shown anyway.
const TOLD_BYTES_MAX: usize = 256 << 10;

/// Runs that are taken up at one wish.
const EACH_MAX: usize = 100_000;

/// How long a cancellation is waited for.
const CANCEL_TIME: Duration = Duration::from_secs(30);

/// Answers what comes over `line` until the other side hangs up.
pub(super) fn attend(line: &Line, driver: &Arc<dyn Driver>, place: &Arc<Place>) -> Result<(), SocketError> {
    while let Some(frame) = line.receive(FRAME_BYTES_MAX, None)? {
        let word = match decode(&frame).map_err(SocketError::Failed)? {
            Wish::Mode => mode(&driver.current(), &[]).map_or_else(Word::Refused, Word::Mode),
            Wish::Live { playbook } => {
                let edition = driver.current();
                Word::Live(edition.playbooks.get(&playbook).map(|listed| pins(&listed.pinned)))
            }
            Wish::Cancel { run, by } => match driver.cancel(run, &by, CANCEL_TIME) {
                Some(Ok(finished)) => one(finished),
                Some(Err(error)) => Word::Refused(error.into()),
                None => Word::Stopping,
            },
            // What it was to stop has ended by itself.
            Wish::Stop => continue,
            Wish::Drive(work) => {
                // The connection ends with it: who might still say `Stop` could mean nothing else.
                return drive(*work, line, driver, place);
            }
        };
        line.send(&encode(&word))?;
    }
    Ok(())
}

/// The mode of a run that begins now in the server's environment, with what its signals lack.
fn mode(edition: &Edition, uses: &[String]) -> Result<RunMode, Refusal> {
    let mode = edition
        .app
        .mode(uses)
        .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    let unsigned = edition.runner.gate.policies.signals.missing();
    Ok(RunMode {
        unsigned: unsigned.into_iter().map(str::to_owned).collect(),
        ..mode
    })
}

/// What is to be driven, and what is said of it beforehand.
struct Ready {
    tasks: Vec<Task>,
    run: Option<RunId>,
    mode: Option<RunMode>,
    narrowed: Vec<String>,
}

fn drive(work: Work, line: &Line, driver: &Arc<dyn Driver>, place: &Arc<Place>) -> Result<(), SocketError> {
    let (sender, told) = sync_channel(TOLD_MAX);
    let observer = Arc::new(Teller {
        sender: sender.clone(),
        missed: AtomicU64::new(0),
    });
    let by = work.by();
    let ready = match prepare(work, &driver.current(), observer.clone()) {
        Ok(ready) => ready,
        Err(refusal) => return line.send(&encode(&Word::Refused(refusal))),
    };
    let following = place.follows();
    let stop: Arc<AtomicBool> = Arc::default();
    let listening = listen(line.share()?, stop.clone(), place.clone())?;
    let sending = send(line.share()?, told)?;
    let begun = Word::Begun {
        run: ready.run,
        mode: ready.mode,
        narrowed: ready.narrowed,
    };
    // Whoever does not hear it is gone, and the run goes on.
    sender.send(encode(&begun)).unwrap_or_default();
    let watch = Watch {
        by,
        run: ready.run,
        observer: observer.clone(),
        stop,
    };
    let driven: Driven = driver.drive(ready.tasks, watch);
    let missed = observer.missed.load(Ordering::Relaxed);
    if missed > 0 {
        sender.send(encode(&Word::Missed(missed))).unwrap_or_default();
    }
    let ended = Ended::from(driven);
    sender.send(encode(&Word::Ended(Box::new(ended)))).unwrap_or_default();
    drop((sender, observer));
    sending.join().unwrap_or_default();
    drop(following);
    line.hang_up();
    listening.join().unwrap_or_default();
    Ok(())
}

/// Sets `stop` when that is asked for.
fn listen(line: Line, stop: Arc<AtomicBool>, place: Arc<Place>) -> Result<std::thread::JoinHandle<()>, SocketError> {
    let thread = std::thread::Builder::new().name("desk-listens".to_owned());
    let listening = move || {
        while let Ok(Some(frame)) = line.receive(FRAME_BYTES_MAX, None) {
            match decode(&frame) {
                Ok(Wish::Stop) => stop.store(true, Ordering::Relaxed),
                _ => break,
            }
        }
        // Who has hung up takes nobody's place.
        place.leave();
    };
    Ok(thread.spawn(listening)?)
}

/// Sends what is told until nobody tells anything any more. When nobody hears it, it is taken all the same.
fn send(line: Line, told: Receiver<Vec<u8>>) -> Result<std::thread::JoinHandle<()>, SocketError> {
    let thread = std::thread::Builder::new().name("desk-tells".to_owned());
    let sending = move || {
        let mut is_heard = true;
        for frame in told {
            is_heard = is_heard && line.send(&frame).is_ok();
        }
    };
    Ok(thread.spawn(sending)?)
}

/// Puts what a run does into the queue.
struct Teller {
    sender: SyncSender<Vec<u8>>,
    missed: AtomicU64,
}

impl Observer for Teller {
    fn notice(&self, notice: Notice<'_>) {
        let Some(mut told) = Told::of(&notice) else { return };
        let mut frame = encode(&Word::Told(told.clone()));
        if frame.len() > TOLD_BYTES_MAX {
            match &mut told {
                Told::Answered(answer) => answer.value = Value::Unit,
                Told::Asked { asked, .. } => asked.args = Value::Unit,
                Told::Log { fields, .. } => *fields = Value::Unit,
                Told::Progress { .. } | Told::Waiting { .. } => {}
            }
            frame = encode(&Word::Told(told));
        }
        match self.sender.try_send(frame) {
            Err(TrySendError::Full(_)) if !matches!(notice, Notice::Progress { .. }) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
            // Nobody listens any more.
            _ => {}
        }
    }
}

fn prepare(work: Work, edition: &Edition, observer: Arc<dyn Observer>) -> Result<Ready, Refusal> {
    match work {
        Work::Begin(begin) => start(begin, edition, observer),
        Work::Resume { run, by } => {
            let how = Resume {
                by: by.clone(),
                observer,
            };
            let (handle, script) = edition.runner.take_over(&edition.app.library, run, &how)?;
            let act = Act::new("run.resume", run.to_string()).with("playbook", script.name.clone());
            signed::record(&edition.runner.gate, &by, act)?;
            Ok(Ready::one(Task::Begun(handle, script), run))
        }
        Work::Amend(amend) => go_on(amend, edition, observer),
        Work::Each { mut runs, .. } => {
            runs.truncate(EACH_MAX);
            Ok(Ready {
                tasks: runs.into_iter().map(Task::Resume).collect(),
                run: None,
                mode: None,
                narrowed: Vec::new(),
            })
        }
    }
}

impl Ready {
    fn one(task: Task, run: RunId) -> Ready {
        Ready {
            tasks: vec![task],
            run: Some(run),
            mode: None,
            narrowed: Vec::new(),
        }
    }
}

fn start(begin: Begin, edition: &Edition, observer: Arc<dyn Observer>) -> Result<Ready, Refusal> {
    let store = &*edition.runner.gate.ground.store;
    let script = edition.app.library.of_pins(store, &begin.pins);
    let script = script.map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    let Some(mut input) = begin.input.as_map().cloned() else {
        let message = format!("the inputs of a playbook are a map, and this is {}", begin.input.kind());
        return Err(Refusal::new("INPUT", message));
    };
    // The other side has completed it: what is optional and was not given is there as nothing.
    input.retain(|_, value| !value.is_unit());
    let input = match begin.retry_of {
        // As it was: the masks of a record would not pass.
        Some(_) => begin.input,
        None => inputs::complete(&script.header, input)?,
    };
    let asked = RunMode {
        uses: script.header.uses.clone(),
        ..begin.mode
    };
    let (mode, narrowed) = narrow(&asked, &mode(edition, &asked.uses)?);
    let order = Order {
        script: script.clone(),
        input,
        mode: mode.clone(),
        trigger: begin.trigger,
        by: begin.by,
        retry_of: begin.retry_of,
        corr: begin.corr,
        observer,
    };
    let handle = edition.runner.begin(&order)?;
    let run = handle.tape().run;
    let act = signed::start_act(run, &script.name, &order.trigger, order.retry_of, order.mode.live);
    let by = order.by.as_deref().unwrap_or("somebody");
    signed::record(&edition.runner.gate, by, act)?;
    Ok(Ready {
        mode: Some(mode),
        narrowed,
        ..Ready::one(Task::Begun(handle, script), run)
    })
}

fn go_on(amend: Amend, edition: &Edition, observer: Arc<dyn Observer>) -> Result<Ready, Refusal> {
    let (library, run) = (&edition.app.library, amend.run);
    let script = library.of_pins(&*edition.runner.gate.ground.store, &amend.pins);
    let amendment = Amendment {
        script: script.map_err(|error| Refusal::new(error.code(), error.to_string()))?,
        input: amend.input,
        keep: amend.keep.into_iter().collect(),
        again: amend.again.into_iter().collect(),
    };
    let by = amend.by.clone();
    let how = Resume { by: amend.by, observer };
    let (handle, script) = edition.runner.amend(library, run, &amendment, &how)?;
    let act = Act::new("run.amend", run.to_string()).with("playbook", script.name.clone());
    signed::record(&edition.runner.gate, &by, act)?;
    Ok(Ready::one(Task::Begun(handle, script), run))
}

fn one(finished: Finished) -> Word {
    Word::Ended(Box::new(Ended {
        finished: vec![finished.into()],
        failed: Vec::new(),
    }))
}
