//! Where in a JSON text a value stands: for messages to people, so only looked for when one is written.

/// One step from a value to one inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The member of an object.
    Member(&'a str),
    /// The item of an array, from 0.
    Item(usize),
}

/// A line and a column, both from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Where the value at the end of `steps` begins in `text`, a JSON text that [`parse`](super::parse) takes; of a
/// path that leads on where nothing stands, the last value on the way.
pub fn place_of(text: &str, steps: &[Step<'_>]) -> Place {
    let mut scan =
        Scan { bytes: text.as_bytes(), at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    scan.space();
    for step in steps {
        let start = scan.at;
        if !scan.enter(*step) {
            scan.at = start;
            break;
        }
    }
    let before = &text[..scan.at.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {
            self.at += 1;
        }
    }

    /// Goes to the value a step leads to.
    fn enter(&mut self, step: Step<'_>) -> bool {
        let opening = match step {
            Step::Member(_) => b'{',
            Step::Item(_) => b'[',
        };
        if self.peek() != Some(opening) {
            return false;
        }
        self.at += 1;
        let mut position = 0;
        loop {
            self.space();
            if matches!(self.peek(), None | Some(b'}' | b']')) {
                return false;
            }
            let found = match step {
                Step::Member(name) => {
                    let start = self.at;
                    self.skip();
                    let own = self.bytes.get(start + 1..self.at - 1).unwrap_or_default();
                    self.space();
                    own == name.as_bytes()
                }
                Step::Item(wanted) => position == wanted,
            };
            if found {
                return true;
            }
            self.skip();
            position += 1;
        }
    }

    /// Passes over one value.
    fn skip(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                None => return,
                Some(b'"') => self.string(),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth == 0 => return,
                Some(b'}' | b']') => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') => {
                    if depth == 0 {
                        return;
                    }
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    while !matches!(
                        self.peek(),
                        None | Some(b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\n' | b'\r')
                    ) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  \"a\": [1, {\"b\\\"\": \"}]\", \"c\": [true]}],\n  \"dé\": {\"e\": \"x\"}\n}";

    fn check(steps: &[Step<'_>], line: usize, column: usize) {
        assert_eq!(place_of(TEXT, steps), Place { line, column }, "{steps:?}");
    }

    #[test]
    fn values_are_found() {
        use Step::{Item, Member};
        check(&[], 1, 1);
        check(&[Member("a")], 2, 8);
        check(&[Member("a"), Item(1)], 2, 12);
        check(&[Member("a"), Item(1), Member("c"), Item(0)], 2, 32);
        check(&[Member("dé"), Member("e")], 3, 15);
        check(&[Member("dé"), Member("nothing")], 3, 9);
        check(&[Member("a"), Item(7)], 2, 8);
    }
}
