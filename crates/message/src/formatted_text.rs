//! Formatted text (data type FT, HL7 v2.5.1 §2.7.6 and §2.A.31) as plain text.
//!
//! Line commands become line feeds, skips and margins become spaces; centring, wrapping and highlighting have no plain
//! form and are dropped. Character set switches and what is local, unknown or malformed stay as they stand.
//! Every count has a limit ([`FORMAT_COUNT_MAX`](crate::FORMAT_COUNT_MAX)), so that text grows at most twentyfold.

use std::borrow::Cow;

use memchr::memchr;

use crate::Delimiters;
use crate::escape::{
    FORMAT_COUNT_MAX, Format, Meaning, Offset, Piece, hexadecimal_bytes, sequences,
};

/// The plain text of a raw FT value: escapes decoded, layout applied, lines ended by LF.
///
/// Borrows when the value holds no escape character.
#[must_use]
pub fn plain_text<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    if delimiters.escape.is_none_or(|escape| memchr(escape, raw).is_none()) {
        return Cow::Borrowed(raw);
    }
    let mut page = Page::default();
    for piece in sequences(raw, delimiters) {
        match piece {
            Piece::Text(text) => page.text(text),
            Piece::Sequence(sequence) => match sequence.meaning {
                Meaning::Delimiter(byte) => page.text(&[byte]),
                Meaning::Hexadecimal(digits) => {
                    for byte in hexadecimal_bytes(digits) {
                        page.text(&[byte]);
                    }
                }
                Meaning::HighlightStart | Meaning::HighlightEnd => {}
                Meaning::Format(format) => page.format(format),
                Meaning::SingleByteSet(_)
                | Meaning::MultiByteSet(_)
                | Meaning::Local(_)
                | Meaning::Unknown => page.text(sequence.raw),
            },
        }
    }
    Cow::Owned(page.text)
}

#[derive(Default)]
struct Page {
    text: Vec<u8>,
    margin: u8,
    /// `.ti`: the margin of the line that starts here.
    line_margin: Option<u8>,
    in_line: bool,
}

impl Page {
    fn text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if !self.in_line {
            // Only a line that holds something is indented, which keeps empty ones empty.
            self.in_line = true;
            let margin = self.line_margin.take().unwrap_or(self.margin);
            self.spaces(margin);
        }
        self.text.extend_from_slice(text);
    }

    fn spaces(&mut self, count: u8) {
        self.text.extend(std::iter::repeat_n(b' ', usize::from(count)));
    }

    fn lines(&mut self, count: u8) {
        self.text.extend(std::iter::repeat_n(b'\n', usize::from(count)));
        self.in_line = false;
        self.line_margin = None;
    }

    fn format(&mut self, format: Format) {
        match format {
            Format::LineBreak => self.lines(1),
            Format::VerticalSpace(count) => self.lines(count),
            Format::Centre => {
                if self.in_line {
                    self.lines(1);
                }
            }
            Format::Skip(0) | Format::WordWrap | Format::NoWrap => {}
            Format::Skip(count) => {
                self.text(b" ");
                self.spaces(count.saturating_sub(1));
            }
            Format::Indent(offset) => self.margin = apply(offset, self.margin),
            Format::TemporaryIndent(offset) => {
                self.line_margin = Some(apply(offset, self.margin));
            }
        }
    }
}

fn apply(offset: Offset, margin: u8) -> u8 {
    match offset {
        Offset::To(column) => column,
        Offset::By(columns) => margin.saturating_add_signed(columns).min(FORMAT_COUNT_MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn check(raw: &str, expected: &str) {
        let plain = plain_text(raw.as_bytes(), &Delimiters::STANDARD);
        assert_eq!(str::from_utf8(&plain), Ok(expected), "{raw}");
    }

    #[test]
    fn lines_end_where_commands_say() {
        check(r"one\.br\two", "one\ntwo");
        check(r"one\.sp\two", "one\ntwo");
        check(r"one\.sp3\two", "one\n\n\ntwo");
        check(r"one\.sp+2\two", "one\n\ntwo");
        check(r"one\.ce\two", "one\ntwo");
        check(r"\.ce\title\.br\text", "title\ntext");
        check(r"one\.BR\two", "one\ntwo");
    }

    #[test]
    fn margins_and_skips_become_spaces() {
        check(r"a\.sk3\b", "a   b");
        check(r"a\.sk\b\.sk0\c", "a bc");
        check(r"\.in+2\a\.br\b\.br\\.br\c", "  a\n  b\n\n  c");
        check(r"\.in+4\a\.br\\.in-2\b\.br\\.in0\c", "    a\n  b\nc");
        check(r"\.in2\\.ti+3\a\.br\b", "     a\n  b");
        check(r"\.in2\\.ti-9\a\.br\b", "a\n  b");
    }

    #[test]
    fn a_margin_stops_at_its_limit() {
        let at_limit = " ".repeat(usize::from(FORMAT_COUNT_MAX));
        check(r"\.in99\x", &format!("{at_limit}x"));
        check(r"\.in99\\.in+1\x", &format!("{at_limit}x"));
        check(r"\.in-99\x", "x");
    }

    #[test]
    fn highlighting_and_wrapping_are_dropped_and_escapes_decoded() {
        check(r"\H\bold\N\ \.fi\text\.nf\ 5\F\6 \X41\", "bold text 5|6 A");
        check(r"plain", "plain");
        check(r"\Zx\ \Q\ \.sp100\ \C2D4C\", r"\Zx\ \Q\ \.sp100\ \C2D4C\");
    }

    #[test]
    fn without_an_escape_character_all_is_text() {
        let delimiters = Delimiters { escape: None, ..Delimiters::STANDARD };
        assert_eq!(plain_text(br"a\.br\b", &delimiters), br"a\.br\b".as_slice());
    }

    proptest! {
        #[test]
        fn text_grows_at_most_twentyfold(raw in r"(\\\.(sp99|sk99|in99|br)\\|x|\\H\\){0,60}") {
            let plain = plain_text(raw.as_bytes(), &Delimiters::STANDARD);
            prop_assert!(plain.len() <= raw.len() * 20 + usize::from(FORMAT_COUNT_MAX));
        }
    }
}
