//! The network as a transport: sends a request and follows its redirects.
//!
//! An exchange blocks the calling thread, which must be an ordinary one, on the runtime that all doors share. Redirects
//! are followed here rather than by reqwest, because each hop is checked like a request of its own.

use reqwest::header::CONTENT_LENGTH;
use tokio::time::{Instant, timeout, timeout_at};

use super::classify::{classify, too_large};
use super::client::{Clients, runtime};
use super::door::{Taking, Transport};
use super::fault::HttpFault;
use super::reach::Reach;
use super::redirect;
use super::request::{Method, Request, TIMEOUT_MAX};
use super::response::Response;

/// How large an answer's headers may be together. hyper stops reading at 100 headers or 417 kB, with HTTP/2 at 16 KiB.
pub const RESPONSE_HEADER_BYTES_MAX: usize = 64 * 1024;

/// The connections of one door.
#[derive(Debug, Default)]
pub struct Network {
    clients: Clients,
}

impl Transport for Network {
    fn exchange(&self, reach: &Reach, request: Request) -> Result<Response, HttpFault> {
        self.block_on(reach, request, None)
    }

    fn exchange_into(&self, reach: &Reach, request: Request, taking: &mut dyn Taking) -> Result<Response, HttpFault> {
        self.block_on(reach, request, Some(taking))
    }
}

impl Network {
    fn block_on(&self, reach: &Reach, request: Request, taking: Taker<'_>) -> Result<Response, HttpFault> {
        let runtime = runtime().map_err(|error| HttpFault::Connect {
            origin: request.origin(),
            reason: format!("the network runtime did not start ({error})"),
        })?;
        runtime.block_on(self.follow(reach, request, taking))
    }

    async fn follow(&self, reach: &Reach, mut request: Request, mut taking: Taker<'_>) -> Result<Response, HttpFault> {
        let deadline = Instant::now() + request.timeout.min(TIMEOUT_MAX);
        let redirects_max = request.redirects_max;
        let mut redirects = 0;
        loop {
            let hop = timeout_at(deadline, self.hop(reach, &mut request, &mut taking)).await;
            let hop = hop.unwrap_or_else(|_| {
                Err(HttpFault::Timeout {
                    origin: request.origin(),
                    limit: request.timeout,
                })
            });
            let location = match hop {
                Ok(Hop::Answer(response)) => return Ok(response),
                Ok(Hop::Redirect { status, location }) => (status, location),
                Err(fault) if redirects == 0 => return Err(fault),
                Err(fault) => return Err(fault.after_redirect()),
            };
            if redirects == redirects_max {
                let reason = format!("{redirects_max} were followed already, which is the limit");
                return Err(HttpFault::Redirect {
                    origin: request.origin(),
                    reason,
                });
            }
            request = redirect::next(request, location.0, &location.1)?;
            redirects += 1;
        }
    }

    /// Sends `request` as it is.
    async fn hop(&self, reach: &Reach, request: &mut Request, taking: &mut Taker<'_>) -> Result<Hop, HttpFault> {
        let allowed = reach.admit(&request.url)?;
        let client = self.clients.client_for(&allowed, request.timeout)?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Options => reqwest::Method::OPTIONS,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut outgoing = reqwest::Request::new(method, allowed.url().clone());
        for (name, value) in request.checked_headers()? {
            outgoing.headers_mut().append(name, value);
        }
        if !request.body.is_empty() || matches!(request.method, Method::Post | Method::Put | Method::Patch) {
            *outgoing.body_mut() = Some(match request.body.at_hand() {
                Some(bytes) => bytes.into(),
                None => {
                    let pieces = request.body.open().map_err(|error| HttpFault::BadRequest {
                        reason: error.to_string(),
                    })?;
                    // Without it the body would come in chunks, which many services refuse for files.
                    outgoing.headers_mut().insert(CONTENT_LENGTH, request.body.len().into());
                    reqwest::Body::wrap_stream(pieces)
                }
            });
        }

        let answer = client
            .execute(outgoing)
            .await
            .map_err(|error| classify(request, error))?;
        let status = answer.status().as_u16();
        let header_bytes: usize = answer
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if header_bytes > RESPONSE_HEADER_BYTES_MAX {
            return Err(too_large(request, "header", RESPONSE_HEADER_BYTES_MAX as u64));
        }
        let location = answer
            .headers()
            .get("location")
            .filter(|_| request.redirects_max > 0 && redirect::is_redirect(status));
        if let Some(location) = location {
            let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
            return Ok(Hop::Redirect { status, location });
        }
        Ok(Hop::Answer(read(request, answer, taking).await?))
    }
}

/// What one request led to.
enum Hop {
    Answer(Response),
    Redirect { status: u16, location: String },
}

/// Who takes the body, if somebody does.
type Taker<'t> = Option<&'t mut dyn Taking>;

/// Reads the answer to its end, or to the limit.
async fn read(request: &Request, mut answer: reqwest::Response, taking: &mut Taker<'_>) -> Result<Response, HttpFault> {
    let bytes_max = request.response_bytes_max;
    let headers = (answer.headers().iter())
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let mut response = Response {
        status: answer.status().as_u16(),
        headers,
        body: Vec::new(),
        url: request.url.clone(),
    };
    let is_taken = taking.as_deref_mut().is_some_and(|taking| taking.begin(&response));
    let mut taking = taking.as_deref_mut().filter(|_| is_taken);
    // Of a body that does not come, as with HEAD, this is 0, whatever the header says.
    if taking.is_none() && answer.content_length().is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(request, "body", bytes_max));
    }
    while let Some(piece) = piece(request, &mut answer).await? {
        if let Some(taking) = &mut taking {
            if taking.take(piece.as_ref()).is_break() {
                break;
            }
            continue;
        }
        if (response.body.len() + piece.as_ref().len()) as u64 > bytes_max {
            return Err(too_large(request, "body", bytes_max));
        }
        response.body.extend_from_slice(piece.as_ref());
    }
    Ok(response)
}

/// The next piece of the body, unless nothing comes for too long.
async fn piece(
    request: &Request,
    answer: &mut reqwest::Response,
) -> Result<Option<impl AsRef<[u8]> + use<>>, HttpFault> {
    let next = answer.chunk();
    let next = match request.stall {
        None => next.await,
        Some(limit) => match timeout(limit, next).await {
            Ok(next) => next,
            Err(_) => {
                return Err(HttpFault::Stalled {
                    origin: request.origin(),
                    limit,
                });
            }
        },
    };
    next.map_err(|error| classify(request, error))
}
