//! How a problem is shown: to people with the line and a caret, to programs as JSON.

use super::load::Source;
use super::problem::{Problem, line_and_column};
use mainstay_core::Severity;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource};
use serde_json::{Value, json};

/// The problem as text. Colours are taken out again by the stream when it is no terminal.
pub fn render(problem: &Problem, source: &Source) -> String {
    let severity = match problem.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
        Severity::Note => miette::Severity::Advice,
    };
    let mut diagnostic = MietteDiagnostic::new(&problem.what)
        .with_code(problem.code)
        .with_severity(severity)
        .with_help(&problem.advice);
    if let Some(span) = &problem.span {
        diagnostic = diagnostic.with_label(LabeledSpan::at(span.clone(), &problem.label));
    }
    let name = source.path.display().to_string();
    let report = miette::Report::new(diagnostic)
        .with_source_code(NamedSource::new(name, source.shown.clone()));
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(100);
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_) => format!("{}: {}\n  help: {}\n", problem.code, problem.what, problem.advice),
    }
}

/// The problem as JSON: `{code, severity, place, line, column, what, advice}`.
pub fn finding(problem: &Problem, source: &Source) -> Value {
    let at = problem.span.as_ref().map(|span| line_and_column(&source.text, span.start));
    json!({
        "code": problem.code,
        "severity": problem.severity,
        "place": problem.place,
        "line": at.map(|(line, _)| line),
        "column": at.map(|(_, column)| column),
        "what": problem.what,
        "advice": problem.advice,
    })
}
