//! Results as JUnit XML: what build servers show.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::cli::out::plain;
use crate::runs::trial::{CaseResult, Verdict};

/// The report: a suite for each file.
pub fn report(results: &[CaseResult], took: Duration) -> String {
    let mut report = Report::new("host test");
    report.set_time(took);
    let mut suite: Option<TestSuite> = None;
    for result in results {
        let is_other = suite.as_ref().is_none_or(|suite| suite.name.as_str() != result.file);
        if is_other {
            report.add_test_suites(suite.take());
            suite = Some(TestSuite::new(result.file.as_str()));
        }
        let suite = suite.as_mut().expect("it was just made");
        suite.add_test_case(case(result));
    }
    report.add_test_suites(suite);
    // Only a text that XML cannot hold could fail, and `plain` takes that out.
    report.to_string().unwrap_or_default()
}

fn case(result: &CaseResult) -> TestCase {
    let mut status = match &result.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped => TestCaseStatus::skipped(),
        Verdict::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if let Verdict::Failed(complaint) = &result.verdict {
        let diagnosis = &complaint.diagnosis;
        let mut text = format!(
            "{}:{}:{}\n",
            diagnosis.text.file, diagnosis.place.line, diagnosis.place.column
        );
        for note in &complaint.notes {
            text.push_str(&format!("{note}\n"));
        }
        if let Some(difference) = &complaint.difference {
            text.push_str(&format!(
                "expected:\n{}\nactual:\n{}\n",
                difference.expected, difference.actual
            ));
        }
        status.set_type(diagnosis.code.as_str());
        status.set_message(plain(&diagnosis.message));
        status.set_description(lines(&text));
    }
    let name = if result.case.is_empty() {
        "compiles"
    } else {
        &result.case
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(result.file.as_str());
    case.set_time(result.took);
    if !result.said.is_empty() {
        case.set_system_out(lines(&result.said.join("\n")));
    }
    case
}

fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}
