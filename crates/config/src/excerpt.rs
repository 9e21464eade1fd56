//! Lines of a file with carets under what is meant.

use std::ops::Range;

use crate::source::{LineColumn, Span};
use crate::width::{push_shown, shown};

/// Longer lines are cut around what is meant, so that the carets are found on a terminal.
const LINE_COLUMNS_MAX: usize = 120;
/// Of a line with more bytes only a part of this size is looked at.
const LINE_BYTES_MAX: usize = 4096;
/// So many columns stay before the marked place when a line is cut.
const COLUMNS_BEFORE: usize = 40;

/// Whether to colour; the caller knows whether a terminal reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// ANSI colours.
    Always,
    /// Plain text.
    Never,
}

impl Colour {
    pub(crate) fn red(self) -> &'static str {
        self.code("\u{1b}[1;31m")
    }

    pub(crate) fn yellow(self) -> &'static str {
        self.code("\u{1b}[1;33m")
    }

    pub(crate) fn bold(self) -> &'static str {
        self.code("\u{1b}[1m")
    }

    pub(crate) fn off(self) -> &'static str {
        self.code("\u{1b}[0m")
    }

    fn blue(self) -> &'static str {
        self.code("\u{1b}[1;34m")
    }

    fn code(self, code: &'static str) -> &'static str {
        match self {
            Self::Always => code,
            Self::Never => "",
        }
    }
}

/// One marked place.
struct Mark<'m> {
    span: &'m Span,
    text: &'m str,
    sign: char,
    tone: &'static str,
}

/// An excerpt of a file: the place as `file:line:column`, its line, carets and a text beside them.
///
/// It is useful for every text with a place in it; give a text that is in no file a [`SourceFile`] of its own.
///
/// [`SourceFile`]: crate::SourceFile
pub struct Excerpt<'e> {
    marks: Vec<Mark<'e>>,
    concealed: &'e [Span],
    help: Option<&'e str>,
}

impl<'e> Excerpt<'e> {
    /// Marks a piece of text, and says something beside the carets (or nothing).
    pub fn new(span: &'e Span, text: &'e str) -> Self {
        let main = Mark { span, text, sign: '^', tone: "" };
        Self { marks: vec![main], concealed: &[], help: None }
    }

    /// Marks a further place.
    #[must_use]
    pub fn with_label(mut self, span: &'e Span, text: &'e str) -> Self {
        self.marks.push(Mark { span, text, sign: '-', tone: "" });
        self
    }

    /// Masks these pieces of files.
    #[must_use]
    pub fn concealing(mut self, concealed: &'e [Span]) -> Self {
        self.concealed = concealed;
        self
    }

    /// Adds what to do about it, below.
    #[must_use]
    pub fn with_help(mut self, help: &'e str) -> Self {
        self.help = Some(help);
        self
    }

    /// Gives the carets the colour of the diagnostic.
    pub(crate) fn toned(mut self, tone: &'static str) -> Self {
        self.marks.iter_mut().for_each(|mark| mark.tone = tone);
        self
    }

    /// The first marked line as it stands in the file, concealed parts masked and made safe to show.
    pub fn line_text(&self) -> String {
        let Some(mark) = self.marks.first() else { return String::new() };
        let shown = self.shown_line(mark.span, mark.span.line_column().line);
        shown.into_iter().map(|(_, text, _)| text).collect()
    }

    /// As text for a person. Each line ends with a line feed.
    pub fn render(&self, colour: Colour) -> String {
        let Some(main) = self.marks.first() else { return String::new() };
        // By file (the main one first), then by line; within a line the main one comes first.
        let mut marks: Vec<&Mark<'_>> = self.marks.iter().collect();
        let elsewhere = |mark: &Mark<'_>| mark.span.file().name() != main.span.file().name();
        marks.sort_by_key(|mark| (elsewhere(mark), mark.span.line_column().line, mark.sign != '^'));
        let last_line = marks.iter().map(|mark| mark.span.line_column().line).max();
        let gutter = last_line.unwrap_or(1).to_string().len();
        let (blue, off) = (colour.blue(), colour.off());
        let space = " ".repeat(gutter);
        let mut text = format!("{space} {blue}-->{off} {}\n", place(main.span));
        text.push_str(&format!("{space} {blue}|{off}\n"));
        let mut shown_place: Option<(&str, usize)> = None;
        for mark in marks {
            let (name, line) = (mark.span.file().name(), mark.span.line_column().line);
            match shown_place {
                Some(before) if before == (name, line) => {}
                Some((before, _)) if before != name => {
                    text.push_str(&format!("{space} {blue}:::{off} {}\n", place(mark.span)));
                    text.push_str(&self.line_of(mark, line, gutter, colour));
                }
                Some((_, before)) if line > before + 1 => {
                    text.push_str(&format!("{blue}...{off}\n"));
                    text.push_str(&self.line_of(mark, line, gutter, colour));
                }
                _ => text.push_str(&self.line_of(mark, line, gutter, colour)),
            }
            shown_place = Some((name, line));
            text.push_str(&self.carets(mark, line, &space, colour));
        }
        if let Some(help) = self.help {
            text.push_str(&format!("{space} {blue}={off} help: {}\n", shown(help)));
        }
        text
    }

    fn line_of(&self, mark: &Mark<'_>, line: usize, gutter: usize, colour: Colour) -> String {
        let (before, columns, after) = self.window(mark.span, line);
        let mut text = String::new();
        let mut column = 0;
        for (_, shown, width) in self.shown_line(mark.span, line) {
            if column >= before && column + width <= columns {
                text.push_str(&shown);
            }
            column += width;
        }
        let start = if before > 0 { "…" } else { "" };
        let (blue, off) = (colour.blue(), colour.off());
        let line = format!("{blue}{line:>gutter$} |{off} {start}{text}{after}");
        format!("{}\n", line.trim_end())
    }

    fn carets(&self, mark: &Mark<'_>, line: usize, space: &str, colour: Colour) -> String {
        let (before, columns, _) = self.window(mark.span, line);
        let (mut start, mut end) = self.columns(mark.span, line);
        start = start.clamp(before, columns) - before + usize::from(before > 0);
        end = end.clamp(before, columns) - before + usize::from(before > 0);
        let carets: String = std::iter::repeat_n(mark.sign, (end - start).max(1)).collect();
        let tone = match (colour, mark.sign) {
            (Colour::Never, _) => "",
            (Colour::Always, '^') => mark.tone,
            (Colour::Always, _) => colour.blue(),
        };
        let (blue, off) = (colour.blue(), colour.off());
        let indent = " ".repeat(start);
        let line = format!("{space} {blue}|{off} {indent}{tone}{carets} {}", shown(mark.text));
        format!("{}{off}\n", line.trim_end())
    }

    /// The columns of the line at which a mark starts and ends; a mark of several lines ends with its first.
    fn columns(&self, span: &Span, line: usize) -> (usize, usize) {
        let (mut start, mut end, mut column) = (None, None, 0);
        for (offset, _, width) in self.shown_line(span, line) {
            if offset >= span.start() && start.is_none() {
                start = Some(column);
            }
            if offset >= span.end() && end.is_none() {
                end = Some(column);
            }
            column += width;
        }
        let start = start.unwrap_or(column);
        (start, end.unwrap_or(column).max(start))
    }

    /// What is shown of a long line: the columns before it, the column after it, and the sign for the cut.
    fn window(&self, span: &Span, line: usize) -> (usize, usize, &'static str) {
        let columns = self.shown_line(span, line).iter().map(|(_, _, width)| width).sum();
        if columns <= LINE_COLUMNS_MAX {
            return (0, columns, "");
        }
        let first = self.marks_of(span, line);
        let starts = first.map(|mark| self.columns(mark.span, line).0);
        let start = starts.min().unwrap_or_default();
        let before = start.saturating_sub(COLUMNS_BEFORE);
        let after = (before + LINE_COLUMNS_MAX).min(columns);
        (before, after, if after < columns { "…" } else { "" })
    }

    /// Every mark of a line must see the same part of it, so that part follows the first one.
    fn marks_of<'s>(&'s self, span: &Span, line: usize) -> impl Iterator<Item = &'s Mark<'e>> {
        let name = span.file().name().to_owned();
        self.marks.iter().filter(move |mark| {
            mark.span.line_column().line == line && mark.span.file().name() == name
        })
    }

    /// The characters of a line as shown: byte offset in the file, text, columns. Of a very long line only those
    /// around its first mark.
    fn shown_line(&self, span: &Span, line: usize) -> Vec<(usize, String, usize)> {
        let file = span.file();
        let mut part =
            Span::new(file, file.line_start(line), file.line_start(line) + file.line(line).len());
        if part.text().len() > LINE_BYTES_MAX {
            let first = self.marks_of(span, line).map(|mark| mark.span.start()).min();
            let first = first.unwrap_or_default().saturating_sub(LINE_BYTES_MAX / 4);
            let start = first.clamp(part.start(), part.end());
            part = Span::new(file, start, part.end().min(start + LINE_BYTES_MAX));
        }
        let concealed: Vec<&Span> = self
            .concealed
            .iter()
            .filter(|concealed| concealed.file().name() == file.name())
            .filter(|concealed| concealed.start() < part.end() && part.start() < concealed.end())
            .collect();
        let likely = likely_secrets(part.text());
        let character = |(index, character): (usize, char)| {
            let offset = part.start() + index;
            let masked = concealed.iter().any(|span| (span.start()..span.end()).contains(&offset))
                || likely.iter().any(|range| range.contains(&index));
            let mut text = String::new();
            let width = push_shown(&mut text, if masked { '*' } else { character });
            (offset, text, width)
        };
        part.text().char_indices().map(character).collect()
    }
}

/// Keys that end so have a value which is not shown, whoever wrote it there and wherever it stands.
const CONFIDENTIAL_ENDINGS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "credential", "credentials"];

/// The values in a line that look like secrets: a file that can't be read as a tree is shown, too,
/// and an excerpt may reach a log. References such as `secret:NAME` and `${NAME}` are no secrets.
fn likely_secrets(line: &str) -> Vec<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let mut ranges = Vec::new();
    for (colon, _) in lower.match_indices(':') {
        let key = lower.get(..colon).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
        let rest = lower.get(colon + 1..).unwrap_or_default();
        let value = rest.trim_start();
        let is_key = value.len() < rest.len()
            && CONFIDENTIAL_ENDINGS.iter().any(|ending| key.ends_with(ending));
        let bare = value.trim_start_matches(['"', '\'']);
        let reference = bare.starts_with("secret:") || bare.starts_with("${");
        if !is_key || reference || value.starts_with(['{', '[', '#']) {
            continue;
        }
        let start = line.len() - value.len();
        let end = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                value.get(1..).and_then(|inner| inner.find(quote)).map(|index| index + 2)
            }
            _ => value.find([',', '}']),
        };
        ranges.push(start..start + end.unwrap_or(value.len()));
    }
    ranges
}

fn place(span: &Span) -> String {
    let LineColumn { line, column } = span.line_column();
    format!("{}:{line}:{column}", shown(span.file().name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[track_caller]
    fn check(text: &str, (start, end): (usize, usize), expected: &str) {
        let file = SourceFile::new("a.yaml", text);
        let span = Span::new(&file, start, end);
        assert_eq!(Excerpt::new(&span, "here").render(Colour::Never), expected);
    }

    #[test]
    fn carets_stand_under_tabs_wide_and_combined_characters() {
        check("\tx", (1, 2), "  --> a.yaml:1:2\n  |\n1 |     x\n  |     ^ here\n");
        check("山田: x", (8, 9), "  --> a.yaml:1:5\n  |\n1 | 山田: x\n  |       ^ here\n");
        check("山田: x", (0, 6), "  --> a.yaml:1:1\n  |\n1 | 山田: x\n  | ^^^^ here\n");
        check("e\u{301}: x", (5, 6), "  --> a.yaml:1:5\n  |\n1 | e\u{301}: x\n  |    ^ here\n");
    }

    #[test]
    fn an_empty_place_and_the_end_of_the_file_get_one_caret() {
        check("", (0, 0), "  --> a.yaml:1:1\n  |\n1 |\n  | ^ here\n");
        check("ab\n", (3, 3), "  --> a.yaml:2:1\n  |\n2 |\n  | ^ here\n");
        check("ab\r\nc", (1, 5), "  --> a.yaml:1:2\n  |\n1 | ab\n  |  ^ here\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}WRONG{}", "a".repeat(500), "b".repeat(500));
        let file = SourceFile::new("a.yaml", text);
        let span = Span::new(&file, 500, 505);
        let rendered = Excerpt::new(&span, "").render(Colour::Never);
        let lines: Vec<&str> = rendered.lines().collect();
        let [_, _, line, carets] = lines.as_slice() else { panic!("four lines") };
        assert!(line.starts_with("1 | …aaa") && line.ends_with("b…"), "{line}");
        assert!(line.chars().count() <= LINE_COLUMNS_MAX + 6);
        let column = line.chars().position(|character| character == 'W');
        assert_eq!(carets.chars().position(|character| character == '^'), column);
        assert_eq!(carets.matches('^').count(), 5);
    }

    #[test]
    fn labels_come_in_the_order_of_lines() {
        let file = SourceFile::new("a.yaml", "a: 1\nb: 2\nc: 3\na: 4\n");
        let (first, second) = (Span::new(&file, 0, 1), Span::new(&file, 15, 16));
        let rendered = Excerpt::new(&second, "again")
            .with_label(&first, "first here")
            .with_help("remove one")
            .render(Colour::Never);
        let expected = "  --> a.yaml:4:1\n  |\n1 | a: 1\n  | - first here\n...\n4 | a: 4\n  | ^ again\n  = help: remove one\n";
        assert_eq!(rendered, expected);
    }

    #[track_caller]
    fn check_masked(line: &str, expected: &str) {
        let file = SourceFile::new("a.yaml", line);
        assert_eq!(Excerpt::new(&Span::at(&file, 1, 1), "").line_text(), expected);
    }

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        check_masked("  password: \"abc", "  password: ****");
        check_masked("{ user: a, db_Password: äbc, b: 1 }", "{ user: a, db_Password: ***, b: 1 }");
        check_masked("{ token: 'a,b', b: 1 }", "{ token: *****, b: 1 }");
        check_masked("token: secret:a", "token: secret:a");
        check_masked("token: \"${TOKEN}\"", "token: \"${TOKEN}\"");
        check_masked("key: secret:adt-key", "key: secret:adt-key");
        check_masked("secret:", "secret:");
    }

    #[test]
    fn colours_are_only_there_when_wanted_and_are_ended() {
        let file = SourceFile::new("a.yaml", "a");
        let span = Span::new(&file, 0, 1);
        let coloured = Excerpt::new(&span, "x").toned("\u{1b}[1;31m").render(Colour::Always);
        assert!(coloured.contains("\u{1b}[1;31m^ x\u{1b}[0m"));
        assert!(
            !Excerpt::new(&span, "x")
                .toned("\u{1b}[1;31m")
                .render(Colour::Never)
                .contains('\u{1b}')
        );
    }
}
