//! May this be asked at all? Then it is handed to what carries it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::fault::HttpFault;
use super::network::Network;
use super::reach::Reach;
use super::request::Request;
use super::response::Response;

/// What carries a request to its server and brings the answer back: the network, or a model of it in simulations.
pub trait Transport: Send + Sync {
    /// Sends `request`, whose URL `reach` admits, exactly once, and waits for the whole answer within its time limit.
    /// Wherever a redirect leads is asked only if `reach` admits it.
    fn exchange(&self, reach: &Reach, request: Request) -> Result<Response, HttpFault>;

    /// As [`exchange`](Transport::exchange); the body goes to `taking` if that takes it.
    fn exchange_into(&self, reach: &Reach, request: Request, taking: &mut dyn Taking) -> Result<Response, HttpFault> {
        let mut response = self.exchange(reach, request)?;
        let body = std::mem::take(&mut response.body);
        if !taking.begin(&response) {
            response.body = body;
        } else if taking.take(&body).is_break() {
            tracing::debug!("an answer was not taken to its end");
        }
        Ok(response)
    }
}

/// Takes an answer piece by piece, so that a large one need not be held.
pub trait Taking {
    /// Told status and headers; whether it takes the body. One that it leaves is collected as usual.
    fn begin(&mut self, head: &Response) -> bool;

    /// The next piece; `Break` ends the exchange.
    fn take(&mut self, piece: &[u8]) -> ControlFlow<()>;
}

/// The way out to other hosts, or a shut door. Copies share their connections.
#[derive(Clone)]
pub struct HttpDoor {
    state: State,
}

#[derive(Clone)]
enum State {
    Open(Arc<Open>),
    Shut(Arc<str>),
}

struct Open {
    reach: Reach,
    transport: Box<dyn Transport>,
}

impl HttpDoor {
    /// A door to the hosts in `reach`. Nothing is opened or started before the first request.
    pub fn new(reach: Reach) -> HttpDoor {
        HttpDoor::with_transport(reach, Network::default())
    }

    /// A door to the hosts in `reach` that stands on `transport`: in simulations, on a model of the network.
    pub fn with_transport(reach: Reach, transport: impl Transport + 'static) -> HttpDoor {
        let transport = Box::new(transport);
        HttpDoor {
            state: State::Open(Arc::new(Open { reach, transport })),
        }
    }

    /// A door that refuses everything, for when nothing may leave: replay and plan.
    pub fn shut(reason: &str) -> HttpDoor {
        HttpDoor {
            state: State::Shut(reason.into()),
        }
    }

    /// Sends `request` once and waits for the whole answer. A status of failure is an answer, not a fault.
    pub fn send(&self, request: Request) -> Result<Response, HttpFault> {
        let open = self.open(&request)?;
        open.transport.exchange(&open.reach, request)
    }

    /// As [`send`](HttpDoor::send), with the body going to `taking` piece by piece.
    pub fn send_into(&self, request: Request, taking: &mut dyn Taking) -> Result<Response, HttpFault> {
        let open = self.open(&request)?;
        open.transport.exchange_into(&open.reach, request, taking)
    }

    fn open(&self, request: &Request) -> Result<&Open, HttpFault> {
        match &self.state {
            State::Open(open) => {
                // What can be refused without a runtime is refused before there is one.
                open.reach.admit(&request.url)?;
                Ok(open)
            }
            State::Shut(reason) => Err(HttpFault::Shut {
                reason: reason.to_string(),
            }),
        }
    }
}

impl fmt::Debug for HttpDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Open(open) => f.debug_tuple("HttpDoor").field(&open.reach).finish(),
            State::Shut(reason) => f.debug_tuple("HttpDoor::Shut").field(reason).finish(),
        }
    }
}
