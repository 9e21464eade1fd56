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
    // How much of a block's first line is indentation only its text tells.
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let blank = walk.rest().len() - walk.rest().trim_start_matches(is_blank).len();
        while rest.next_if(|character| is_blank(*character)).is_some() {
            positions.push((0, blank));
        }
        walk.at = blank;
    }
    while let Some(character) = rest.peek().copied() {
        if let Some(run_end) = walk.line_break_run() {
            let run = (walk.at, run_end);
            let mut laid = false;
            while rest.next_if(|character| is_blank(*character)).is_some() {
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

/// The byte range of the content: without quotes.
fn content(written: &str, style: ScalarStyle) -> Option<(usize, usize)> {
    match style {
        // A block's place begins with its content, after the header line.
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => Some((0, written.len())),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let quote = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
            written.strip_prefix(quote)?.strip_suffix(quote)?;
            Some((1, written.len() - 1))
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

    /// Where the white space at this place ends, if there is a line break in it.
    fn line_break_run(&self) -> Option<usize> {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_blank).len();
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
                        let blank = rest.trim_start_matches(is_blank);
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

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
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
