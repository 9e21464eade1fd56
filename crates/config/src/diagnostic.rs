//! Mistakes found in configuration, collected so that all of them are told at once.

use std::sync::Arc;

use crate::excerpt::{Colour, Excerpt};
use crate::source::{LineColumn, SourceFile, Span};
use crate::width::shown;

/// So many diagnostics are kept; further ones are only counted. A person mends a few and checks again.
pub const DIAGNOSTICS_MAX: usize = 500;

/// Longer sentences are cut: a key of a megabyte is shown by its place.
const SENTENCE_CHARS_MAX: usize = 1000;

fn capped(mut sentence: String) -> String {
    if let Some((end, _)) = sentence.char_indices().nth(SENTENCE_CHARS_MAX) {
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is taken, but a person should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Where a diagnostic points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A piece of a text that is at hand, and is shown.
    Text(Span),
    /// A place in a file whose text is not at hand.
    Position {
        /// The file's name.
        file: String,
        /// Line and column.
        at: LineColumn,
    },
    /// A file or directory as a whole.
    File(String),
}

/// A further place that explains a diagnostic, for example where a name was first used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is to be said about it.
    pub text: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The stable operator code, for example `config.unknown-key`.
    pub code: &'static str,
    /// Where it is.
    pub location: Location,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// The short text beside the carets, often "did you mean …?".
    pub suggestion: Option<String>,
    /// What to do about it, in a sentence or two.
    pub help: Option<String>,
    /// Further places.
    pub labels: Vec<Label>,
}

impl Diagnostic {
    /// An error at a piece of text.
    pub fn error(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Location::Text(span.clone()), message.into())
    }

    /// A warning at a piece of text.
    pub fn warning(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Location::Text(span.clone()), message.into())
    }

    /// An error at a line and column (counted from 1) of a file whose text is not at hand, such as a code table.
    pub fn error_at(
        code: &'static str,
        file: impl Into<String>,
        line: usize,
        column: usize,
        message: impl Into<String>,
    ) -> Self {
        let at = LineColumn { line: line.max(1), column: column.max(1) };
        let location = Location::Position { file: file.into(), at };
        Self::new(Severity::Error, code, location, message.into())
    }

    /// An error at a line and column (counted from 1) of a text that is at hand, which is then shown.
    pub fn error_in_text(
        code: &'static str,
        file: &Arc<SourceFile>,
        line: usize,
        column: usize,
        message: impl Into<String>,
    ) -> Self {
        Self::error(code, &Span::at(file, line, column), message)
    }

    /// An error about a whole file or directory, for example one that is missing.
    pub fn error_in_file(
        code: &'static str,
        file: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, Location::File(file.into()), message.into())
    }

    fn new(severity: Severity, code: &'static str, location: Location, message: String) -> Self {
        Self {
            severity,
            code,
            location,
            message: capped(message),
            suggestion: None,
            help: None,
            labels: Vec::new(),
        }
    }

    /// Makes a warning of it.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Adds the short text beside the carets.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(capped(suggestion.into()));
        self
    }

    /// Adds "did you mean …?" when there is something near.
    #[must_use]
    pub fn with_nearest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(nearest) => self.with_suggestion(format!("did you mean `{nearest}`?")),
            None => self,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(capped(help.into()));
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn with_label(mut self, span: &Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span: span.clone(), text: capped(text.into()) });
        self
    }

    /// The piece of text it points at, when the text is at hand.
    pub fn span(&self) -> Option<&Span> {
        match &self.location {
            Location::Text(span) => Some(span),
            Location::Position { .. } | Location::File(_) => None,
        }
    }

    /// The name of the file it is in.
    pub fn file(&self) -> &str {
        match &self.location {
            Location::Text(span) => span.file().name(),
            Location::Position { file, .. } | Location::File(file) => file,
        }
    }

    /// Line and column, unless it is about a whole file.
    pub fn line_column(&self) -> Option<LineColumn> {
        match &self.location {
            Location::Text(span) => Some(span.line_column()),
            Location::Position { at, .. } => Some(*at),
            Location::File(_) => None,
        }
    }
}

/// A diagnostic in plain fields, as machine-readable output has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosticRecord {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The stable operator code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// The line of the place after its last character.
    pub end_line: Option<usize>,
    /// The column of the place after its last character.
    pub end_column: Option<usize>,
    /// The line as it stands in the file, with concealed parts masked; of a very long line a part.
    pub excerpt: Option<String>,
    /// The short text beside the carets.
    pub suggestion: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Further places.
    pub labels: Vec<LabelRecord>,
}

/// A further place in plain fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRecord {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is to be said about it.
    pub text: String,
}

/// The collected diagnostics of one reading, and what must not be shown of the files.
#[derive(Debug, Default, Clone)]
pub struct Diagnostics {
    diagnostics: Vec<Diagnostic>,
    concealed: Vec<Span>,
    errors: usize,
    left_out: usize,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
        }
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        } else {
            self.left_out += 1;
        }
    }

    /// Adds an error at a piece of text.
    pub fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>) {
        self.push(Diagnostic::error(code, span, message));
    }

    /// Adds a warning at a piece of text.
    pub fn warning(&mut self, code: &'static str, span: &Span, message: impl Into<String>) {
        self.push(Diagnostic::warning(code, span, message));
    }

    /// Never shows this piece of a file in an excerpt, whichever diagnostic is about its line: a password that should
    /// have been a reference.
    pub fn conceal(&mut self, span: &Span) {
        self.concealed.push(span.clone());
    }

    /// Takes all of another collection over.
    pub fn append(&mut self, other: Self) {
        let kept_errors = other.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        self.errors += other.errors.saturating_sub(kept_errors.count());
        self.left_out += other.left_out;
        self.concealed.extend(other.concealed);
        other.diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Whether there is an error among them.
    pub fn is_err(&self) -> bool {
        self.errors > 0
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// How many errors there are, those left out included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many there are in all, those left out included.
    pub fn len(&self) -> usize {
        self.diagnostics.len() + self.left_out
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.diagnostics.iter()
    }

    /// Puts them in the order of files and places.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by(|one, other| {
            (one.file(), one.line_column()).cmp(&(other.file(), other.line_column()))
        });
    }

    /// All as text for a person, separated by blank lines.
    pub fn render(&self, colour: Colour) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&self.render_one(diagnostic, colour));
        }
        if self.left_out > 0 {
            text.push_str(&format!("\n{} more are not shown: mend these first\n", self.left_out));
        }
        text
    }

    /// One as text for a person. The concealed places are those of this collection.
    pub fn render_one(&self, diagnostic: &Diagnostic, colour: Colour) -> String {
        let tone = match diagnostic.severity {
            Severity::Error => colour.red(),
            Severity::Warning => colour.yellow(),
        };
        let mut text = format!(
            "{tone}{}[{}]{}: {}{}{}\n",
            diagnostic.severity.as_str(),
            diagnostic.code,
            colour.off(),
            colour.bold(),
            shown(&diagnostic.message),
            colour.off(),
        );
        match &diagnostic.location {
            Location::Text(span) => {
                let suggestion = diagnostic.suggestion.as_deref().unwrap_or_default();
                let mut excerpt = Excerpt::new(span, suggestion).toned(tone);
                for label in &diagnostic.labels {
                    excerpt = excerpt.with_label(&label.span, &label.text);
                }
                excerpt = excerpt.concealing(&self.concealed);
                if let Some(help) = &diagnostic.help {
                    excerpt = excerpt.with_help(help);
                }
                text.push_str(&excerpt.render(colour));
            }
            Location::Position { file, at } => {
                let LineColumn { line, column } = at;
                text.push_str(&format!("  --> {}:{line}:{column}\n", shown(file)));
                text.push_str(&without_excerpt(diagnostic));
            }
            Location::File(file) => {
                text.push_str(&format!("  --> {}\n", shown(file)));
                text.push_str(&without_excerpt(diagnostic));
            }
        }
        text
    }

    /// All in plain fields.
    pub fn records(&self) -> Vec<DiagnosticRecord> {
        self.diagnostics.iter().map(|diagnostic| self.record(diagnostic)).collect()
    }

    fn record(&self, diagnostic: &Diagnostic) -> DiagnosticRecord {
        let at = diagnostic.line_column();
        let end = diagnostic.span().map(Span::end_line_column).or(at);
        let excerpt = diagnostic
            .span()
            .map(|span| Excerpt::new(span, "").concealing(&self.concealed).line_text());
        let labels = diagnostic.labels.iter().map(|label| {
            let LineColumn { line, column } = label.span.line_column();
            let file = label.span.file().name().to_owned();
            LabelRecord { file, line, column, text: label.text.clone() }
        });
        DiagnosticRecord {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            file: diagnostic.file().to_owned(),
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            end_line: end.map(|end| end.line),
            end_column: end.map(|end| end.column),
            excerpt,
            suggestion: diagnostic.suggestion.clone(),
            help: diagnostic.help.clone(),
            labels: labels.collect(),
        }
    }
}

fn without_excerpt(diagnostic: &Diagnostic) -> String {
    let mut text = String::new();
    if let Some(suggestion) = &diagnostic.suggestion {
        text.push_str(&format!("  = {}\n", shown(suggestion)));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("  = help: {}\n", shown(help)));
    }
    text
}

impl<'d> IntoIterator for &'d Diagnostics {
    type Item = &'d Diagnostic;
    type IntoIter = std::slice::Iter<'d, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As [`Diagnostics::render`] without colour.
impl std::fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.render(Colour::Never))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_are_kept_and_further_ones_are_counted() {
        let mut diagnostics = Diagnostics::new();
        for line in 1..=DIAGNOSTICS_MAX {
            diagnostics.push(Diagnostic::error_at("config.syntax", "t.csv", line, 1, "wrong"));
        }
        assert!(!diagnostics.to_string().contains("not shown"));
        diagnostics.push(Diagnostic::error_at("config.syntax", "t.csv", 1, 1, "wrong"));
        assert_eq!(diagnostics.iter().count(), DIAGNOSTICS_MAX);
        assert_eq!(diagnostics.len(), DIAGNOSTICS_MAX + 1);
        assert!(diagnostics.to_string().contains("\n1 more are not shown"));

        let mut all = Diagnostics::new();
        all.append(diagnostics.clone());
        all.append(diagnostics);
        assert_eq!((all.len(), all.errors()), (2 * DIAGNOSTICS_MAX + 2, 2 * DIAGNOSTICS_MAX + 2));
    }

    #[test]
    fn a_sentence_may_have_the_most_characters_and_is_cut_after_them() {
        let message =
            |count| Diagnostic::error_in_file("config.syntax", "a", "ä".repeat(count)).message;
        assert_eq!(message(SENTENCE_CHARS_MAX), "ä".repeat(SENTENCE_CHARS_MAX));
        assert_eq!(message(SENTENCE_CHARS_MAX + 1), format!("{}…", "ä".repeat(SENTENCE_CHARS_MAX)));
    }

    #[test]
    fn a_warning_is_no_error() {
        let mut diagnostics = Diagnostics::new();
        let unused = Diagnostic::error_in_file("config.unused", "tables/old.csv", "unused");
        diagnostics.push(unused.as_warning());
        assert!(!diagnostics.is_err() && !diagnostics.is_empty());
        assert_eq!(
            diagnostics.to_string(),
            "warning[config.unused]: unused\n  --> tables/old.csv\n"
        );
    }

    #[test]
    fn records_hold_places_and_a_masked_excerpt() {
        let file = SourceFile::new("a.yaml", "x: 1\npassword: opensesame\n");
        let span = Span::new(&file, 15, 25);
        let mut diagnostics = Diagnostics::new();
        let first = Span::at(&file, 1, 1);
        let diagnostic = Diagnostic::error("config.plain-secret", &span, "no");
        diagnostics.push(diagnostic.with_label(&first, "here"));
        diagnostics.conceal(&span);
        let records = diagnostics.records();
        let record = records.first().expect("one was pushed");
        assert_eq!((record.line, record.column), (Some(2), Some(11)));
        assert_eq!((record.end_line, record.end_column), (Some(2), Some(21)));
        assert_eq!(record.excerpt.as_deref(), Some("password: **********"));
        assert_eq!(record.labels.first().map(|label| (label.line, label.column)), Some((1, 1)));
    }

    #[test]
    fn sorting_goes_by_file_and_place() {
        let mut diagnostics = Diagnostics::new();
        for (file, line) in [("b", 1), ("a", 10), ("a", 9)] {
            diagnostics.push(Diagnostic::error_at("config.syntax", file, line, 1, "wrong"));
        }
        diagnostics.push(Diagnostic::error_in_file("config.syntax", "a", "wrong"));
        diagnostics.sort();
        let order: Vec<_> = diagnostics
            .iter()
            .map(|one| (one.file(), one.line_column().map(|at| at.line)))
            .collect();
        assert_eq!(order, [("a", None), ("a", Some(9)), ("a", Some(10)), ("b", Some(1))]);
    }
}
