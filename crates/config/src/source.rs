//! Source files and places in them.
//!
//! A [`Span`] always lies within its file and on character boundaries: its constructor clamps. So a diagnostic can
//! always be shown, whatever a parser said about positions.

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::parse::Limits;

/// One configuration file: its name as the user knows it, and its text.
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// A file whose text is at hand. A byte order mark at the start is left out: editors do not count it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let breaks =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        Arc::new(Self { name: name.into(), text, line_starts })
    }

    /// A file from the bytes on disk: reports text that is too large or is not UTF-8, with the place.
    pub fn from_bytes(
        name: impl Into<String>,
        bytes: &[u8],
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let name = name.into();
        let bytes_max = Limits::default().bytes_max;
        if bytes.len() > bytes_max {
            diagnostics.push(
                Diagnostic::error_in_file(
                    "config.too-large",
                    name,
                    format!("this file has more than {bytes_max} bytes"),
                )
                .with_help(
                    "split it into several files, and keep data such as code tables in `tables/`",
                ),
            );
            return None;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(Self::new(name, text)),
            Err(error) => {
                let readable = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let file = Self::new(name, String::from_utf8_lossy(readable));
                let end = file.text.len();
                let wide = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let message = if wide {
                    "this file is saved as UTF-16"
                } else {
                    "this file is not saved as UTF-8"
                };
                diagnostics.push(
                    Diagnostic::error("config.not-utf8", &Span::new(&file, end, end), message)
                        .with_help(
                            "open the file in your editor and save it with the encoding UTF-8",
                        ),
                );
                None
            }
        }
    }

    /// The name as the user knows it, for example `channels/adt-in.yaml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a line (counted from 1) without its line end; empty past the end.
    pub fn line(&self, line: usize) -> &str {
        let Some(start) =
            line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied()
        else {
            return "";
        };
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// Where a byte offset stands. Offsets past the end count as the end.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let offset = self.boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_start(line);
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        LineColumn { line, column }
    }

    /// The byte offset of a line and column (counted from 1), if the text has it.
    /// The place just after the last character of a line exists, too.
    pub fn offset(&self, line: usize, column: usize) -> Option<usize> {
        let start = self.line_starts.get(line.checked_sub(1)?).copied()?;
        let text = self.line(line);
        let wanted = column.checked_sub(1)?;
        let within = text.char_indices().map(|(index, _)| index).chain([text.len()]).nth(wanted)?;
        Some(start + within)
    }

    /// The byte offset at which a line starts.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        line.checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
            .copied()
            .unwrap_or(self.text.len())
    }

    /// The number of lines.
    pub(crate) fn lines(&self) -> usize {
        self.line_starts.len()
    }

    /// The nearest character boundary at or before an offset.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// Shows the name only: the text may hold what does not belong in a log.
impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SourceFile").field(&self.name).finish()
    }
}

/// A place as people count: the first line and the first column are 1, columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
}

/// A piece of a source file.
#[derive(Clone)]
pub struct Span {
    file: Arc<SourceFile>,
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes from `start` up to `end`, moved onto character boundaries within the file.
    pub fn new(file: &Arc<SourceFile>, start: usize, end: usize) -> Self {
        let start = file.boundary(start);
        let end = file.boundary(end).max(start);
        Self { file: Arc::clone(file), start, end }
    }

    /// One character at a line and column, clamped to the file.
    pub fn at(file: &Arc<SourceFile>, line: usize, column: usize) -> Self {
        let start = file.offset(line, column).unwrap_or_else(|| {
            let line = line.clamp(1, file.lines());
            file.line_start(line) + file.line(line).len()
        });
        let character = file.line_rest(start).chars().next();
        Self::new(file, start, start + character.map_or(0, char::len_utf8))
    }

    /// The file.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// The byte offset of the first byte.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The byte offset after the last byte.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The text it covers, as written.
    pub fn text(&self) -> &str {
        self.file.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where it starts.
    pub fn line_column(&self) -> LineColumn {
        self.file.line_column(self.start)
    }

    /// Where it ends (the place after its last character).
    pub fn end_line_column(&self) -> LineColumn {
        self.file.line_column(self.end)
    }

    /// From the start of this span to the end of a later one of the same file.
    pub fn to(&self, later: &Self) -> Self {
        Self::new(&self.file, self.start, later.end.max(self.end))
    }
}

impl SourceFile {
    /// The rest of the line at an offset.
    fn line_rest(&self, offset: usize) -> &str {
        let rest = self.text.get(offset..).unwrap_or_default();
        rest.split(['\n', '\r']).next().unwrap_or_default()
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
            && (Arc::ptr_eq(&self.file, &other.file) || self.file.name == other.file.name)
    }
}

impl Eq for Span {}

/// `channels/adt-in.yaml:3:11`
impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LineColumn { line, column } = self.line_column();
        write!(formatter, "{}:{line}:{column}", self.file.name)
    }
}

/// The place, never the text.
impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Span({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let file = SourceFile::new("a.yaml", "\u{feff}ä: 1\r\nbß: 2\n");
        assert_eq!(file.line_column(0), LineColumn { line: 1, column: 1 });
        assert_eq!(file.line_column(2), LineColumn { line: 1, column: 2 });
        assert_eq!(file.line(1), "ä: 1");
        assert_eq!(file.line(2), "bß: 2");
        assert_eq!(file.line(3), "");
        assert_eq!(file.line(4), "");
        assert_eq!(file.line(0), "");
        let offset = file.offset(2, 3).expect("the line has four characters");
        assert_eq!(file.line_column(offset), LineColumn { line: 2, column: 3 });
        assert_eq!(file.offset(2, 6), Some(file.text().len() - 1));
        assert_eq!(file.offset(2, 7), None);
        assert_eq!(file.offset(0, 1), None);
    }

    #[test]
    fn spans_are_clamped_to_the_file_and_to_characters() {
        let file = SourceFile::new("a.yaml", "ä");
        assert_eq!(Span::new(&file, 1, 99).text(), "ä");
        assert_eq!(Span::new(&file, 50, 2).text(), "");
        assert_eq!(Span::at(&file, 9, 9).line_column(), LineColumn { line: 1, column: 2 });
        assert_eq!(format!("{:?}", Span::at(&file, 1, 1)), "Span(a.yaml:1:1)");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_reported_with_their_place() {
        let mut diagnostics = Diagnostics::new();
        assert!(SourceFile::from_bytes("a.yaml", b"name: M\xfcller\n", &mut diagnostics).is_none());
        let diagnostic = diagnostics.iter().next().expect("one was reported");
        assert_eq!(diagnostic.code, "config.not-utf8");
        assert_eq!(diagnostic.line_column(), Some(LineColumn { line: 1, column: 8 }));
    }

    #[test]
    fn a_file_may_have_the_most_bytes_and_not_one_more() {
        let bytes_max = Limits::default().bytes_max;
        let mut diagnostics = Diagnostics::new();
        assert!(
            SourceFile::from_bytes("a.yaml", &vec![b'#'; bytes_max], &mut diagnostics).is_some()
        );
        assert!(!diagnostics.is_err());
        assert!(
            SourceFile::from_bytes("a.yaml", &vec![b'#'; bytes_max + 1], &mut diagnostics)
                .is_none()
        );
        assert_eq!(
            diagnostics.iter().next().map(|diagnostic| diagnostic.code),
            Some("config.too-large")
        );
    }
}
