//! Where each character of a scalar's text stands in what was written.
//!
//! The written form and the text are walked side by side: quotes are left out, escapes count as what they stand for,
//! and a run of white space with a line break in it (folding, indentation of a block) is laid over the run of white
//! space in the text. If they do not fit, there is no answer rather than a wrong one.

use crate::node::ScalarStyle;

/// Byte ranges within `written`, one for each character of `text`.
pub(crate) fn char_positions(
    written: &str,
    text: &str,
    style: ScalarStyle,
) -> Option<Vec<(usize, usize)>> {
    let (start, end) = content(written, style)?;
    let mut walk = Walk { written, at: start, end, style };
    let mut positions = Vec::new();
    let mut rest = text.chars().peekable();
    // The indentation of a block's first line is not content.
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        walk.skip_indentation(text);
    }
    while let Some(character) = rest.peek().copied() {
        if let Some(run_end) = walk.line_break_run() {
            let run = (walk.at, run_end);
            let mut laid = false;
            while rest.next_if(|character| matches!(character, ' ' | '\t' | '\n')).is_some() {
                positions.push(run);
                laid = true;
            }
            walk.at = run_end;
            if !laid && style != ScalarStyle::DoubleQuoted {
                return None;
            }
            continue;
        }
        let Some((read, next)) = walk.character() else {
            // A block keeps or adds a line end where the file ends.
            let remaining = rest.by_ref().all(|character| matches!(character, ' ' | '\n'));
            let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            if !remaining || !block {
                return None;
            }
            positions.resize(text.chars().count(), (walk.at, walk.at));
            return Some(positions);
        };
        match read {
            Some(read) if read == character => {
                positions.push((walk.at, next));
                rest.next();
            }
            Some(_) => return None,
            None => {}
        }
        walk.at = next;
    }
    Some(positions)
}

/// The byte range of the content: without quotes, without a block's header line.
fn content(written: &str, style: ScalarStyle) -> Option<(usize, usize)> {
    match style {
        ScalarStyle::Plain => Some((0, written.len())),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let quote = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
            written.strip_prefix(quote)?.strip_suffix(quote)?;
            Some((1, written.len() - 1))
        }
        ScalarStyle::Literal | ScalarStyle::Folded => {
            Some((written.find('\n').map_or(written.len(), |index| index + 1), written.len()))
        }
    }
}

struct Walk<'w> {
    written: &'w str,
    at: usize,
    end: usize,
    style: ScalarStyle,
}

impl Walk<'_> {
    fn rest(&self) -> &str {
        self.written.get(self.at..self.end).unwrap_or_default()
    }

    /// Leaves out the indentation of a block's first line, and keeps the spaces that the text begins with.
    fn skip_indentation(&mut self, text: &str) {
        let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\n', '\r']).len();
        let line = |text: &str, blank: usize| {
            text.get(..blank).and_then(|blank| blank.rfind('\n')).map_or(0, |index| index + 1)
        };
        let written_blank = blank(self.rest());
        let text_blank = blank(text);
        // Blank lines at the start are laid by the walk, as a run with a line break.
        if text.starts_with('\n') || line(self.rest(), written_blank) > 0 {
            return;
        }
        self.at += written_blank.saturating_sub(text_blank);
    }

    /// Where the white space at this place ends, if there is a line break in it.
    fn line_break_run(&self) -> Option<usize> {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let run = rest.get(..length)?;
        run.contains(['\n', '\r']).then_some(self.at + length)
    }

    /// The next character that is meant (none for what only the quoting needs), and the offset after it.
    fn character(&self) -> Option<(Option<char>, usize)> {
        let rest = self.rest();
        let mut characters = rest.chars();
        let first = characters.next()?;
        let next = self.at + first.len_utf8();
        match (self.style, first) {
            (ScalarStyle::SingleQuoted, '\'') => Some((Some('\''), next + 1)),
            (ScalarStyle::DoubleQuoted, '\\') => {
                let sign = characters.next()?;
                let after = next + sign.len_utf8();
                let digits = match sign {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '\n' | '\r' => {
                        let rest = characters.as_str();
                        let blank = rest.trim_start_matches([' ', '\t', '\n', '\r']);
                        return Some((None, after + rest.len() - blank.len()));
                    }
                    _ => return Some((Some(escaped(sign)), after)),
                };
                let code = self.written.get(after..after + digits)?;
                let code = u32::from_str_radix(code, 16).ok()?;
                Some((Some(char::from_u32(code)?), after + digits))
            }
            _ => Some((Some(first), next)),
        }
    }
}

/// What a one-character escape stands for (YAML 1.2.2 §5.7).
fn escaped(sign: char) -> char {
    match sign {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        other => other,
    }
}
