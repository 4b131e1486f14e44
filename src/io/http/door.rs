//! May this be asked at all? Then it is handed to what carries it.

use std::fmt;
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
        let open = match &self.state {
            State::Open(open) => open,
            State::Shut(reason) => {
                return Err(HttpFault::Shut {
                    reason: reason.to_string(),
                });
            }
        };
        // What can be refused without a runtime is refused before there is one.
        open.reach.admit(&request.url)?;
        open.transport.exchange(&open.reach, request)
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
