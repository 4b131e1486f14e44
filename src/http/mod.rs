//! The HTTP server of `host serve`: operators, dashboards, webhooks and other programs come in here.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`routes`] | the table of routes, from which everything else is made; what playbooks add to it |
//! | [`api`] | the handlers, a file for each thing |
//! | [`pass`] | the way of one request, in its order |
//! | [`doors`] | playbooks that answer requests |
//! | [`request`], [`answer`], [`stream`] | what handlers see, and what they give |
//! | [`envelope`] | the form of every answer |
//! | [`error`], [`denied`] | what errors from below are to those who ask |
//! | [`checks`], [`caller`], [`admission`] | what is let through, and who; the record of what they change |
//! | `proxies` | who really asks, behind a reverse proxy |
//! | [`news`] | what happens, for those who listen |
//! | [`page`] | lists, a page at a time |
//! | [`openapi`] | the table as an OpenAPI document |
//! | [`connection`], [`places`], [`pool`], [`server`], [`settings`] | connections, threads, beginning and end, limits |
//! | [`figures`] | what is counted |
//!
//! Only `connection`, `pass`, `pool` and `stream` are async; a handler is a plain function that may block. Nothing is
//! answered that is not in the table or behind a [`routes::Doors`].

mod admission;
pub mod answer;
pub mod api;
pub mod caller;
mod checks;
mod connection;
mod denied;
pub mod doors;
pub mod envelope;
mod error;
pub mod figures;
pub mod news;
pub mod openapi;
pub mod page;
mod pass;
mod places;
pub mod pool;
mod proxies;
mod race;
pub mod request;
pub mod routes;
pub mod server;
pub mod settings;
pub mod stream;

pub use answer::{Answer, Refusal};
pub use caller::{Caller, Role};
pub use news::News;
pub use request::Request;
pub use server::{Opening, Running, Server, StartError, start};
pub use settings::{Limits, Settings};
