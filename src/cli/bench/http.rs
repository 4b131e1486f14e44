//! Requests a second that playbooks answer, and what those cost who are being told what happens.
//!
//! Another process of this program serves a project of its own on this machine, and this one asks it: both share the
//! processors, as a server and its callers on one machine do.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::error::{CliError, OTHER};
use super::super::out::Out;
use super::super::progress::Busy;
use super::show;
use super::track::{ms, per_second, percentile, time};
use crate::app::App;
use crate::digits::grouped;
use crate::io::again::Again;
use crate::io::load::{self, Listeners, Load};
use crate::io::process;
use crate::io::scratch::Scratch;

const SETTINGS: &str = "[server]\nlisten = \"127.0.0.1:0\"\nopen_reads = true\n\
                        connections_max = 10000\nstreams_max = 10000\n";

const LOOKS: (&str, &str) = (
    "playbooks/looks.rhai",
    r#"const PLAYBOOK = #{ http: #{ method: "GET", path: "/clips/{id}" }, inputs: #{ id: #{ type: "int" } } };
#{ id: input.id, clip: kv::get("clip") }
"#,
);

const NOTES: (&str, &str) = (
    "playbooks/notes.rhai",
    r#"const PLAYBOOK = #{
    http: #{ method: "POST", path: "/clips/{id}", role: "anybody" }, inputs: #{ id: #{ type: "int" } },
};
store::put("clips", `clip-${input.id}`, #{ id: input.id, seconds: 42 });
if input.id == 0 { kv::put("clip", #{ seconds: 42, score: 0.71 }); }
input.id
"#,
);

/// What the server says is read here: in a folder of its own, since it looks at its project for saves.
const SAID: &str = "said/all.txt";

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Enough for one request.
const MOMENT: Duration = Duration::from_millis(1);

/// Requests that are not counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long what was opened is left alone before it is looked at.
const SETTLES: Duration = Duration::from_secs(1);

/// Those who listen are told of so many runs.
const TOLD: u32 = 100;

#[derive(clap::Args)]
pub struct Args {
    /// How long each kind of request is asked for.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Requests at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Connections that are told what happens.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=9000))]
    streams: u32,
}

/// A server at work, in a folder that is gone afterwards.
struct Server {
    process: Again,
    address: SocketAddr,
    /// After the process: it writes there until it is gone.
    _folder: Scratch,
}

/// What came of one kind of request.
struct Kind {
    load: Load,
    /// Time of the server on the processors.
    processor: Option<Duration>,
}

pub fn perform(app: &App, args: &Args, out: &mut Out) -> Result<(), CliError> {
    let busy = Busy::new(out, "asking");
    let server = Server::start(app)?;
    server.ask(app, 1, MOMENT, note)?;
    let reads = server.measure(app, args, look)?;
    let writes = server.measure(app, args, note)?;
    let streams = server.streams(app, args)?;
    busy.done();
    if out.json {
        out.json(&json!({
            "connections": args.connections,
            "reads": reads.json(),
            "writes": writes.json(),
            "streams": args.streams,
            "resident_bytes": streams.map(|(before, _)| before),
            "resident_bytes_with_streams": streams.map(|(_, after)| after),
        }));
        return Ok(());
    }
    out.line(format!(
        "playbooks asked over HTTP for {} s each, {} requests at once",
        args.seconds, args.connections
    ));
    out.line("");
    let mut rows = Vec::new();
    reads.rows(
        ["only reads", "  half below", "  99 % below", "  processor time"],
        &mut rows,
    );
    writes.rows(
        ["writes, on disk", "  half below ", "  99 % below ", "  processor time "],
        &mut rows,
    );
    if let Some((before, after)) = streams.filter(|_| args.streams > 0) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let more = after.saturating_sub(before);
        rows.push((
            "told what happens",
            format!(
                "{} connections in {:.1} MiB more, {:.1} KiB each (resident: {:.1} MiB)",
                grouped(u64::from(args.streams)),
                mib(more),
                more as f64 / 1024.0 / f64::from(args.streams),
                mib(after)
            ),
        ));
    }
    show(&rows, out);
    Ok(())
}

fn look(number: u64) -> String {
    format!("GET /clips/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", number % 1000)
}

fn note(number: u64) -> String {
    let number = number % 100_000;
    format!("POST /clips/{number} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
}

fn unmeasured(error: std::io::Error) -> CliError {
    let message = format!("the server could not be measured: {error}");
    CliError::new("BENCH_SERVER", message, OTHER)
}

impl Server {
    fn start(app: &App) -> Result<Server, CliError> {
        let data = app.config.data();
        let folder = if data.is_dir() { data } else { app.config.root.clone() };
        let folder = Scratch::below(&folder, &*app.chance).map_err(unmeasured)?;
        for (name, text) in [("host.toml", SETTINGS), LOOKS, NOTES, (SAID, "")] {
            folder.put(name, text).map_err(unmeasured)?;
        }
        let mut process = Again::start_saying(folder.path(), ["serve"], SAID).map_err(unmeasured)?;
        let begun = app.clock.monotonic();
        let address = loop {
            let said = folder.text_of(SAID).map_err(unmeasured)?;
            let url = said.lines().find_map(|line| line.split_once("http://"));
            if let Some(address) = url.and_then(|(_, address)| address.trim().parse().ok()) {
                break address;
            }
            let is_late = app.clock.monotonic().saturating_sub(begun) > PATIENCE;
            if process.has_ended() || is_late {
                let last: String = said
                    .lines()
                    .last()
                    .unwrap_or("it said nothing")
                    .chars()
                    .take(300)
                    .collect();
                let message = format!("the server that was to be measured does not serve: {last}");
                return Err(CliError::new("BENCH_SERVER", message, OTHER));
            }
            app.clock.sleep(Duration::from_millis(10));
        };
        Ok(Server {
            process,
            address,
            _folder: folder,
        })
    }

    fn ask(&self, app: &App, connections: u32, lasts: Duration, kind: fn(u64) -> String) -> Result<Load, CliError> {
        let load = load::ask(self.address, connections, lasts, &app.clock, kind).map_err(unmeasured)?;
        match &load.refusal {
            None => Ok(load),
            Some(refusal) => {
                let message = format!("the server refused {} requests: {refusal}", load.refused);
                Err(CliError::new("BENCH_SERVER", message, OTHER))
            }
        }
    }

    fn measure(&self, app: &App, args: &Args, kind: fn(u64) -> String) -> Result<Kind, CliError> {
        self.ask(app, args.connections, WARM_UP, kind)?;
        let worked = || process::look_at(self.process.pid()).processor_seconds;
        let before = worked();
        let lasts = Duration::from_secs(args.seconds.into());
        let load = self.ask(app, args.connections, lasts, kind)?;
        let processor = before.zip(worked()).map(|(before, after)| (after - before).max(0.0));
        Ok(Kind {
            load,
            processor: processor.map(Duration::from_secs_f64),
        })
    }

    /// The server's memory before and after so many listen, and were told of some runs.
    fn streams(&self, app: &App, args: &Args) -> Result<Option<(u64, u64)>, CliError> {
        let resident = || {
            app.clock.sleep(SETTLES);
            process::look_at(self.process.pid()).resident_bytes
        };
        let before = resident();
        let request = "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let listeners = Listeners::open(self.address, args.streams, request).map_err(unmeasured)?;
        for _ in 0..TOLD {
            self.ask(app, 1, MOMENT, note)?;
        }
        let after = resident();
        listeners.close();
        Ok(before.zip(after))
    }
}

impl Kind {
    fn processor_each(&self) -> Option<Duration> {
        let count = u32::try_from(self.load.each.len()).ok().filter(|count| *count > 0)?;
        Some(self.processor? / count)
    }

    fn per_second(&self) -> f64 {
        per_second(self.load.each.len() as u64, self.load.took)
    }

    fn json(&self) -> Value {
        json!({
            "requests": self.load.each.len(),
            "requests_per_s": self.per_second(),
            "p50_ms": ms(percentile(&self.load.each, 50)),
            "p99_ms": ms(percentile(&self.load.each, 99)),
            "processor_ms_each": self.processor_each().map(ms),
        })
    }

    fn rows(&self, names: [&'static str; 4], rows: &mut Vec<(&'static str, String)>) {
        let [rate, half, most, processor] = names;
        rows.push((rate, format!("{} requests a second", grouped(self.per_second() as u64))));
        rows.push((half, time(percentile(&self.load.each, 50))));
        rows.push((most, time(percentile(&self.load.each, 99))));
        if let Some(each) = self.processor_each() {
            rows.push((processor, format!("{} of the server's, a request", time(each))));
        }
    }
}
