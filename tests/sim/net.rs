//! A network that delays, cuts, duplicates and reorders, and providers that show late what they did.
//!
//! What a request does, it does when it arrives: at once, late, twice, or never; and its answer may be lost. A write
//! never arrives later than its declared timeout after it was sent, and shows within the declared settle time: that is
//! what the declaration promises, and only a planted defect breaks it.

use std::collections::BTreeMap;
use std::time::Duration;

use host::io::http::{HttpFault, Method, Reach, Request, Response, Transport};
use host::journal::entry::{Entry, decode};
use host::store::keys::{self, Place};
use serde_json::json;
use url::Url;

use crate::plant::Plant;
use crate::providers::{Kind, kind};
use crate::rng::Rng;
use crate::world::{Handle, State};

/// One write that a provider carried out.
#[derive(Clone, Debug)]
pub struct Landing {
    shown_us: u64,
    key: Option<String>,
}

/// What a provider remembers of a key.
#[derive(Clone, Debug)]
struct Remembered {
    until_us: u64,
    id: String,
}

/// The requests under way, and the providers' truth.
#[derive(Default)]
pub struct Net {
    pub plant: Option<Plant>,
    /// What landed, by the write's label.
    pub landed: BTreeMap<String, Vec<Landing>>,
    /// The write that each key was used for, by provider and key.
    keys: BTreeMap<(String, String), String>,
    remembered: BTreeMap<(String, String), Remembered>,
    requests: u64,
    /// By time of arrival and number.
    under_way: BTreeMap<(u64, u64), Parcel>,
    answers: BTreeMap<u64, (u16, String)>,
    deliveries: u64,
}

#[derive(Clone, Debug)]
struct Parcel {
    request: u64,
    kind: &'static Kind,
    method: Method,
    path: String,
    key: Option<String>,
    /// What the body says: the write's label.
    label: Option<String>,
    /// A status of refusal, and whether the work was done all the same.
    refused: Option<(u16, bool)>,
}

/// What becomes of one exchange.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// When it arrives, and once more; `None`: never.
    arrives_us: Option<u64>,
    again_us: Option<u64>,
    refused: Option<(u16, bool)>,
    /// How long after it was sent the caller learns something.
    known_us: u64,
    ends: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Answered,
    NoConnection,
    Cut,
    TimedOut,
}

impl Fate {
    fn good(rng: &mut Rng) -> Fate {
        let arrives_us = rng.between(1_000, 80_000);
        Fate {
            arrives_us: Some(arrives_us),
            again_us: None,
            refused: None,
            known_us: arrives_us + rng.between(1_000, 80_000),
            ends: End::Answered,
        }
    }

    fn draw(rng: &mut Rng, trouble: u64, parcel: &Parcel, timeout_us: u64) -> Fate {
        let good = Fate::good(rng);
        if !rng.hits(trouble) {
            return good;
        }
        let is_write = parcel.label.is_some();
        let late_us = rng.between(1_000, timeout_us.min(parcel.kind.timeout_us));
        match rng.below(12) {
            0 => Fate {
                arrives_us: None,
                ends: End::NoConnection,
                known_us: 5_000,
                ..good
            },
            // Lost on its way.
            1 => Fate {
                arrives_us: None,
                ends: End::Cut,
                ..good
            },
            2 => Fate {
                arrives_us: None,
                ends: End::TimedOut,
                known_us: timeout_us,
                ..good
            },
            // It arrives, and its answer is lost.
            3 | 4 => Fate { ends: End::Cut, ..good },
            5 => Fate {
                ends: End::TimedOut,
                known_us: timeout_us,
                ..good
            },
            // It arrives after the caller has given up.
            6 => Fate {
                arrives_us: Some(late_us),
                ends: End::Cut,
                known_us: late_us / 2,
                ..good
            },
            // It takes its time, and overtakes or is overtaken.
            7 => Fate {
                arrives_us: Some(late_us),
                known_us: late_us + 1_000,
                ..good
            },
            8 if is_write && parcel.kind.remembers_us.is_some() => Fate {
                again_us: Some(rng.between(1_000, parcel.kind.timeout_us)),
                ..good
            },
            8 | 9 => Fate {
                refused: Some((429, false)),
                ..good
            },
            10 => Fate {
                refused: Some((*rng.pick(&[500, 502, 503, 408]), rng.hits(500))),
                ..good
            },
            _ => Fate {
                refused: Some((*rng.pick(&[503, 400, 422]), false)),
                ..good
            },
        }
    }
}

impl Net {
    pub fn new(plant: Option<Plant>) -> Net {
        Net {
            plant,
            ..Net::default()
        }
    }

    /// When nothing more is under way.
    pub fn quiet_at_us(&self) -> Option<u64> {
        self.under_way.keys().next_back().map(|(at_us, _)| *at_us)
    }

    /// How many writes landed, and how many of them more than once.
    pub fn landed_counts(&self) -> (usize, usize) {
        let twice = self.landed.values().filter(|landings| landings.len() > 1);
        (self.landed.len(), twice.count())
    }

    /// Whether a write landed; `None` while a request for it is under way.
    pub fn truth(&self, label: &str) -> Option<bool> {
        let is_it = |parcel: &Parcel| parcel.label.as_deref() == Some(label);
        let is_open = self.under_way.values().any(is_it);
        (!is_open).then(|| self.landed.contains_key(label))
    }

    /// Lets arrive what is due; returns a line for each.
    pub fn deliver(&mut self, now_us: u64, rng: &mut Rng) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now_us) {
            let ((at_us, _), parcel) = entry.remove_entry();
            let (status, body) = self.arrive(at_us, &parcel, rng);
            lines.push(format!("          request {} arrives: {status} {body}", parcel.request));
            self.answers.entry(parcel.request).or_insert((status, body));
        }
        lines
    }

    fn arrive(&mut self, at_us: u64, parcel: &Parcel, rng: &mut Rng) -> (u16, String) {
        if let Some((status, false)) = parcel.refused {
            return (status, "\"no\"".to_owned());
        }
        let (status, body) = match &parcel.label {
            Some(label) => self.write(at_us, parcel, label, rng),
            None => self.ask(at_us, parcel),
        };
        parcel
            .refused
            .map_or((status, body), |(status, _)| (status, "\"no\"".to_owned()))
    }

    fn write(&mut self, at_us: u64, parcel: &Parcel, label: &str, rng: &mut Rng) -> (u16, String) {
        let kind = parcel.kind;
        let slot = parcel.key.clone().map(|key| (kind.name.to_owned(), key));
        if let (Some(remembers_us), Some(slot)) = (kind.remembers_us, &slot) {
            if let Some(known) = self.remembered.get(slot).filter(|known| at_us < known.until_us) {
                return (200, json!({ "id": known.id }).to_string());
            }
            let known = Remembered {
                until_us: at_us + remembers_us,
                id: label.to_owned(),
            };
            self.remembered.insert(slot.clone(), known);
        }
        let lag_us = match self.plant {
            Some(Plant::EarlyNotLanded) => kind.lag_max_us + 100_000_000,
            _ => rng.below(kind.lag_max_us + 1),
        };
        self.landed.entry(label.to_owned()).or_default().push(Landing {
            shown_us: at_us + lag_us,
            key: parcel.key.clone(),
        });
        (201, json!({ "id": label }).to_string())
    }

    fn ask(&self, at_us: u64, parcel: &Parcel) -> (u16, String) {
        let url = Url::parse(&format!("http://x/{}", parcel.path)).expect("a path");
        let Some((_, asked)) = url.query_pairs().find(|(name, _)| name == "key") else {
            return (200, json!({ "items": [] }).to_string());
        };
        let shown = |(label, landings): (&String, &Vec<Landing>)| {
            let is_it = |landing: &Landing| {
                landing.shown_us <= at_us && (landing.key.as_deref() == Some(&*asked) || *label == *asked)
            };
            landings.iter().any(is_it).then(|| json!({ "id": label }))
        };
        let items: Vec<_> = self.landed.iter().filter_map(shown).collect();
        (200, json!({ "items": items }).to_string())
    }
}

pub struct SimTransport(pub Handle);

impl SimTransport {
    /// The request leaves: from here on it is the network's.
    fn leave(&self, state: &mut State, request: &Request) -> (u64, Fate) {
        let host = request.url.host_str().expect("a host").to_owned();
        let kind = kind(host.trim_end_matches(".test"));
        let header = |name: &str| {
            let found = request
                .headers
                .iter()
                .find(|(present, _)| present.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let is_write = request.method != Method::Get && request.method != Method::Head;
        let body = serde_json::from_slice::<serde_json::Value>(&request.body.at_hand().unwrap_or_default()).ok();
        let label = body.and_then(|body| body.get("text")?.as_str().map(str::to_owned));
        let label = label.filter(|_| is_write);
        let mut key = header("Idempotency-Key")
            .or_else(|| header("X-Key"))
            .or_else(|| header("X-Reference"));
        let number = state.net.requests + 1;
        state.net.requests = number;
        if let (Some(key), Some(label)) = (&key, &label) {
            let slot = (kind.name.to_owned(), key.clone());
            let first = state.net.keys.entry(slot).or_insert_with(|| label.clone()).clone();
            if first != *label {
                state.violation(format!("the key {key} is used for {first} and for {label}"));
            }
        }
        if state.net.plant == Some(Plant::KeyPerAttempt) {
            key = key.map(|key| format!("{key}-{number}"));
        }
        if let Some(label) = label
            .as_ref()
            .filter(|_| state.net.plant != Some(Plant::IntentAfterSendUnwatched))
        {
            check_output_commit(state, label);
        }
        let parcel = Parcel {
            request: number,
            kind,
            method: request.method,
            path: format!("{}?{}", request.url.path(), request.url.query().unwrap_or_default()),
            key,
            label,
            refused: None,
        };
        let trouble = state.unkindness.net;
        let fate = Fate::draw(&mut state.rng, trouble, &parcel, request.timeout.as_micros() as u64);
        let parcel = Parcel {
            refused: fate.refused,
            ..parcel
        };
        for after_us in [fate.arrives_us, fate.again_us].into_iter().flatten() {
            state.net.deliveries += 1;
            let slot = (state.now_us + after_us, state.net.deliveries);
            state.net.under_way.insert(slot, parcel.clone());
        }
        let what = match (&parcel.label, parcel.method) {
            (Some(label), _) => format!("writes {label}"),
            (None, method) => format!("{method} {}", parcel.path),
        };
        state.note(format!("          request {number} to {} {what}: {fate:?}", kind.name));
        (number, fate)
    }
}

/// Before a write leaves, its intent must be where a power cut leaves it.
fn check_output_commit(state: &mut State, label: &str) {
    let is_promised = state.disk.durable_rows().any(|(key, row)| {
        matches!(keys::parse(key), Some(Place::Journal { .. }))
            && decode(&row.value).is_ok_and(|entries| {
                let names = |entry: &Entry| match entry {
                    Entry::Intent(intent) => label_of(&intent.asked.args) == Some(label),
                    _ => false,
                };
                entries.iter().any(names)
            })
    });
    if !is_promised {
        state.violation(format!("{label} left before its intent was on disk"));
    }
}

/// The label of the write with these arguments.
pub fn label_of(args: &host::value::Value) -> Option<&str> {
    args.get("body")?.get("text")?.as_str()
}

impl Transport for SimTransport {
    fn exchange(&self, _: &Reach, request: Request) -> Result<Response, HttpFault> {
        let origin = request.origin();
        let dead = || HttpFault::Shut {
            reason: "the process is dead".to_owned(),
        };
        let mut state = self.0.cross(|| "send".to_owned()).ok_or_else(dead)?;
        let (number, fate) = self.leave(&mut state, &request);
        drop(state);
        let limit_us = request.timeout.as_micros() as u64;
        let (known_us, ends) = if fate.known_us > limit_us {
            (limit_us, End::TimedOut)
        } else {
            (fate.known_us, fate.ends)
        };
        let what = || format!("request {number}: {ends:?}");
        let mut state = self.0.cross_after(known_us, what).ok_or_else(dead)?;
        match ends {
            End::NoConnection => Err(HttpFault::Connect {
                origin,
                reason: "refused".to_owned(),
            }),
            End::Cut => Err(HttpFault::Cut {
                origin,
                reason: "reset".to_owned(),
            }),
            End::TimedOut => Err(HttpFault::Timeout {
                origin,
                limit: Duration::from_micros(limit_us),
            }),
            End::Answered => {
                let (status, body) = state.net.answers.remove(&number).expect("it has arrived by now");
                Ok(Response {
                    status,
                    headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                    body: body.into_bytes(),
                    url: request.url.clone(),
                })
            }
        }
    }
}
