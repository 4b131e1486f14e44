//! Faults that a test scripts: what a provider would have done, in the gate's words.

use crate::effect::{Failure, Fault, Landed};
use crate::namespaces::fault::judge;
use crate::namespaces::options::Options;
use crate::value::{Map, Value};

/// A fault as a value of a test's script.
#[derive(Clone, Debug)]
pub struct Scripted(pub Fault);

/// The fault that a provider's client would report under `code`.
pub fn of_code(code: &str) -> Fault {
    let message = match code {
        "HTTP_TIMEOUT" => "the answer did not come in time",
        "HTTP_CUT" => "the connection was cut before the answer was complete",
        "HTTP_CONNECT" => "no connection could be made",
        "HTTP_DNS" => "no address is known for this name",
        "HTTP_TLS" => "no secure connection could be made",
        _ => "the test says so",
    };
    let failure = Failure::new(code, message);
    match code {
        "HTTP_TIMEOUT" | "HTTP_CUT" => Fault::in_doubt(failure),
        "HTTP_CONNECT" | "HTTP_DNS" | "HTTP_TLS" => Fault::passing(failure),
        _ => Fault::refused(failure),
    }
}

/// The fault that `given` describes.
pub fn of_map(given: Map) -> Result<Fault, Failure> {
    let mut options = Options::of("test::fault", given);
    let status = options.int("status", 100..=599)?;
    let code = options.string("code")?;
    let message = options.string("message")?;
    let retry_after = options.duration("retry_after")?;
    let landed = options.value("landed");
    let passing = options.bool("passing")?;
    let details = options.value("details");
    let mut fault = match (&code, status) {
        (Some(code), None) => of_code(code),
        (code, Some(status)) => {
            let status = u16::try_from(status).expect("it is at most 599");
            let (landed, passing) = judge(status, &[]);
            let code = code.as_deref().unwrap_or("HTTP_STATUS");
            Fault {
                failure: Failure::new(code, format!("the provider answered {status}")).status(status),
                landed,
                passing,
                unhealthy: passing && status != 429,
            }
        }
        (None, None) => return Err(options.missing("code", "an error's code, or `status`").into()),
    };
    if let Some(message) = message {
        fault.failure.message = message;
    }
    fault.failure.retry_after_ms = retry_after.map(|wait| wait.as_millis() as u64);
    fault.failure.details = details.unwrap_or_default();
    fault.passing = passing.unwrap_or(fault.passing);
    fault.landed = match landed {
        None => fault.landed,
        Some(Value::Bool(true)) => Landed::Yes,
        Some(Value::Bool(false)) => Landed::No,
        Some(Value::Text(word)) if word == "unknown" => Landed::Unknown,
        Some(other) => return Err(options.kind("landed", &other, "true, false or \"unknown\"").into()),
    };
    options.finish()?;
    Ok(fault)
}
