//! What runs ask people, and the answers.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{body, count, list_of, map, moment_ms, moment_ms_or_null, person, text, text_or_null};
use crate::http::answer::{Answer, Refusal};
use crate::http::page;
use crate::http::request::Request;
use crate::http::routes::{CURSOR, Gives, Group, LIMIT, Route};
use crate::http::server::Server;
use crate::journal::question::{self, Given, TEXT_BYTES_MAX};
use crate::report::questions::{open, question_json};

/// Questions that are looked at.
const LOOKED_AT_MAX: usize = 10_000;

pub const GROUP: Group = Group {
    name: "questions",
    says: "What runs ask people.",
    routes: ROUTES,
    schemas,
};

const ROUTES: &[Route] = &[
    Route {
        says: "Questions that wait for an answer, those of the oldest run first.",
        query: &[CURSOR, LIMIT],
        gives: Gives::Page("Question"),
        ..Route::get("/api/v1/questions", "questions.list", list)
    },
    Route {
        says: "Answers what a run asks. The run goes on.",
        body: Some("Answer"),
        gives: Gives::Data(200, "Answered"),
        refuses: &[
            (404, "RUN_NOT_FOUND"),
            (409, "RUN_AMBIGUOUS"),
            (409, "NO_SUCH_QUESTION"),
            (409, "ANSWERED_ALREADY"),
            (409, "ANSWER_TOO_LATE"),
            (403, "ANSWER_NOT_ALLOWED"),
            (422, "ANSWER_INVALID"),
        ],
        ..Route::post("/api/v1/runs/{run}/answer", "questions.answer", answer)
    },
];

fn schemas() -> Vec<(&'static str, Json)> {
    vec![
        (
            "Question",
            map(json!({
                "run_id": text(), "step": count(), "playbook": text(), "question": text(), "choices": list_of(text()),
                "role": text_or_null(), "not_by": text_or_null(), "asked_ms": moment_ms(), "until_ms": moment_ms_or_null(),
            })),
        ),
        (
            "Answer",
            body(
                json!({
                    "answer": {"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX},
                    "step": {"type": "integer", "minimum": 0, "maximum": u32::MAX,
                        "description": "which question is meant; the run's present one when it is not said"},
                }),
                &["answer"],
            ),
        ),
        (
            "Answered",
            map(json!({"run_id": text(), "step": count(), "answer": text()})),
        ),
    ]
}

fn list(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let after = page::place(request)?;
    let limit = page::limit(request);
    let place = |run: &str, step: u32| format!("{run} {step:010}");
    let mut questions = open(&*server.store, None, LOOKED_AT_MAX)?;
    questions.retain(|(record, step, _)| {
        let here = place(&record.run.to_string(), *step);
        after.as_ref().is_none_or(|after| here > *after)
    });
    let next = page::cut(&mut questions, limit, |(record, step, _)| {
        place(&record.run.to_string(), *step)
    });
    let items = questions.iter().map(question_json).collect();
    Ok(page::answer(request, items, next))
}

#[derive(Deserialize)]
struct Answering {
    answer: String,
    step: Option<u32>,
}

fn answer(server: &Server, request: &Request) -> Result<Answer, Refusal> {
    let Answering { answer, step } = request.body()?;
    let record = super::runs::run(server, request)?;
    let asked = record.waits.as_ref().map(|waits| waits.step);
    let Some(step) = step.or(asked) else {
        let message = format!("run {} is {} and asks nothing", record.run.short(), record.status);
        return Err(Refusal::new(409, "NO_SUCH_QUESTION", message));
    };
    let by = person(request);
    let people = &server.edition().app.config.file.people;
    let roles = people.get(&by).cloned().unwrap_or_default();
    let given = Given {
        answer: answer.clone(),
        by,
        at_ms: server.now_ms(),
    };
    if let Err(failure) = question::answer(&server.ground(), record.run, step, given, &roles)? {
        let status = match failure.code.as_str() {
            "ANSWER_NOT_ALLOWED" => 403,
            "ANSWER_INVALID" => 422,
            _ => 409,
        };
        return Err(Refusal {
            status,
            ..Refusal::from(failure)
        });
    }
    server.ready.tell(record.run);
    Ok(Answer::data(
        json!({"run_id": record.run.to_string(), "step": step, "answer": answer}),
    ))
}
