//! Findings as an editor shows them.

use lsp_types::{
    CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location,
    NumberOrString, Range, Uri,
};

use super::session::{Session, View};
use super::source::Source;
use super::workspace::uri_of;
use crate::script::check::check_text;
use crate::script::findings::{Finding, Level};
use crate::script::limits::SOURCE_BYTES_MAX;

/// Findings that are shown of one file.
const SHOWN_MAX: usize = 200;

/// How the codes of findings begin that are about what could as well not be there: it is shown faintly.
const UNUSED: [&str; 2] = ["UNUSED_", "UNREACHABLE"];

/// Who says it.
const SOURCE: &str = "host";

/// Everything that can be said against an open document.
pub fn of(session: &mut Session, uri: &Uri) -> Vec<Diagnostic> {
    let Some(document) = session.documents.get(uri) else {
        return Vec::new();
    };
    if document.text.len() > SOURCE_BYTES_MAX {
        let bytes = document.text.len();
        let message =
            format!("the script has {bytes} bytes; at most {SOURCE_BYTES_MAX} are allowed: split it into modules");
        return vec![plain("SCRIPT_TOO_LARGE", DiagnosticSeverity::ERROR, message)];
    }
    let Ok(mut view) = session.view(uri) else {
        return Vec::new();
    };
    let mut shown: Vec<Diagnostic> = Vec::new();
    if let Some(trouble) = &view.home.trouble {
        shown.push(plain(
            "CONFIG",
            DiagnosticSeverity::WARNING,
            format!("presets are used: {trouble}"),
        ));
    }
    let found = findings(&mut view);
    let source = view.source.clone();
    shown.extend(
        found
            .iter()
            .take(SHOWN_MAX)
            .map(|finding| diagnostic(&view, &source, finding)),
    );
    shown
}

/// What the checks say of the document.
pub fn findings(view: &mut View<'_>) -> Vec<Finding> {
    let project = view.session.project_of(&view.home);
    let file = file_of(view);
    check_text(&project, &file, &view.source.text)
}

/// The document's file as findings name it.
pub fn file_of(view: &View<'_>) -> String {
    match &view.source.path {
        Some(path) => view.home.shown(path),
        None => view.source.uri.as_str().to_owned(),
    }
}

pub fn diagnostic(view: &View<'_>, source: &Source, finding: &Finding) -> Diagnostic {
    let range = finding
        .region
        .map_or_else(Range::default, |region| source.range(region.span()));
    let file = file_of(view);
    let related = finding.related.iter().filter_map(|related| {
        // Places of other files are told in words: their text is not at hand.
        let here = related.file == file;
        let location = match here {
            true => source.location(related.region.span()),
            false => Location::new(
                uri_of(&view.home.app.config.root.join(&related.file))?,
                Range::default(),
            ),
        };
        Some(DiagnosticRelatedInformation {
            location,
            message: related.message.clone(),
        })
    });
    let related: Vec<_> = related.collect();
    let message = match &finding.help {
        Some(help) => format!("{}\nhelp: {help}", finding.message),
        None => finding.message.clone(),
    };
    let is_unused = UNUSED.iter().any(|beginning| finding.code.starts_with(beginning));
    Diagnostic {
        range,
        severity: Some(match finding.level {
            Level::Error => DiagnosticSeverity::ERROR,
            Level::Warning => DiagnosticSeverity::WARNING,
            Level::Hint | Level::Off => DiagnosticSeverity::HINT,
        }),
        related_information: (!related.is_empty()).then_some(related),
        tags: is_unused.then(|| vec![DiagnosticTag::UNNECESSARY]),
        ..plain(&finding.code, DiagnosticSeverity::ERROR, message)
    }
}

fn plain(code: &str, severity: DiagnosticSeverity, message: String) -> Diagnostic {
    Diagnostic {
        range: Range::default(),
        severity: Some(severity),
        code: Some(NumberOrString::String(code.to_owned())),
        code_description: None::<CodeDescription>,
        source: Some(SOURCE.to_owned()),
        message,
        related_information: None,
        tags: None,
        data: None,
    }
}
