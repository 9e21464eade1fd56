//! Patterns of file names, such as `*.hl7`.

/// A pattern: `*` stands for any characters, `?` for one, `[a-z]` and `[!a-z]` for one of a set or none of it.
///
/// Letters match in either case, since senders that share a folder from Windows write `ADT.HL7`. A name that starts
/// with a dot only matches a pattern that does: such names belong to files that are still being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    Any,
    Anything,
    Set { ranges: Vec<(char, char)>, inverted: bool },
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// There is nothing in it.
    #[error("the pattern is empty")]
    Empty,
    /// A pattern looks at names, not at folders.
    #[error("a pattern stands for file names and can't contain `/` or `\\`")]
    Separator,
    /// `[` without `]`.
    #[error("`[` has no matching `]`")]
    OpenSet,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '/' | '\\' => return Err(PatternError::Separator),
                '?' => Token::Any,
                // Several in a row stand for the same as one.
                '*' if tokens.last() == Some(&Token::Anything) => continue,
                '*' => Token::Anything,
                '[' => set(&mut characters)?,
                other => Token::Character(other.to_ascii_lowercase()),
            });
        }
        if tokens.is_empty() { Err(PatternError::Empty) } else { Ok(Self(tokens)) }
    }

    /// Whether a name fits. Takes time proportional to both lengths at worst.
    pub(super) fn matches(&self, name: &str) -> bool {
        if name.starts_with('.') && self.0.first() != Some(&Token::Character('.')) {
            return false;
        }
        let mut tokens = self.0.as_slice();
        let mut rest = name;
        // Where to go on after the last `*` when what follows it does not fit here.
        let mut again: Option<(&[Token], &str)> = None;
        loop {
            let next = rest.chars().next();
            match (tokens.split_first(), next) {
                (Some((Token::Anything, after)), _) => {
                    again = Some((after, rest));
                    tokens = after;
                }
                (Some((token, after)), Some(character)) if token.fits(character) => {
                    tokens = after;
                    rest = after_first(rest);
                }
                (None, None) => return true,
                _ => match again {
                    Some((after, from)) if !from.is_empty() => {
                        let from = after_first(from);
                        again = Some((after, from));
                        tokens = after;
                        rest = from;
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Token {
    fn fits(&self, character: char) -> bool {
        let character = character.to_ascii_lowercase();
        match self {
            Self::Character(own) => *own == character,
            Self::Any => true,
            Self::Anything => false,
            Self::Set { ranges, inverted } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character))
                    != *inverted
            }
        }
    }
}

fn after_first(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}

fn set(characters: &mut std::str::Chars<'_>) -> Result<Token, PatternError> {
    let mut members = Vec::new();
    let mut inverted = false;
    loop {
        match characters.next() {
            None => return Err(PatternError::OpenSet),
            Some('!') if members.is_empty() && !inverted => inverted = true,
            // The first character may be the bracket itself.
            Some(']') if !members.is_empty() => break,
            Some(character) => members.push(character.to_ascii_lowercase()),
        }
    }
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    while let Some((&first, rest)) = members.split_first() {
        if let ['-', last, after @ ..] = rest {
            ranges.push((first, *last));
            members = after;
        } else {
            ranges.push((first, first));
            members = rest;
        }
    }
    Ok(Token::Set { ranges, inverted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        let pattern = Pattern::parse(pattern).expect("the pattern is sound");
        for name in fits {
            assert!(pattern.matches(name), "{name} should fit {pattern:?}");
        }
        for name in others {
            assert!(!pattern.matches(name), "{name} should not fit {pattern:?}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check(
            "*.hl7",
            &["a.hl7", "A.HL7", "a.hl7.hl7", "ä.hl7"],
            &["a.hl7.tmp", "hl7", ".a.hl7", ".hl7"],
        );
        check("*", &["a", "a.b"], &[".a"]);
        check(".*", &[".a"], &["a"]);
        check("adt-????.txt", &["ADT-0001.txt", "adt-äöüß.txt"], &["adt-001.txt", "adt-00011.txt"]);
        check("a*b*c", &["abc", "aXbXc", "abbbcc"], &["ab", "abcd"]);
        check("**x", &["x", "yx"], &["xy"]);
    }

    #[test]
    fn sets() {
        check("[a-c][!0-9].x", &["ab.x", "CZ.x"], &["a1.x", "db.x"]);
        check("[]x]", &["]", "x"], &["["]);
        check("[a-]", &["a", "-"], &["b"]);
    }

    #[test]
    fn wrong_patterns() {
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert_eq!(Pattern::parse("in/*.hl7"), Err(PatternError::Separator));
        assert_eq!(Pattern::parse("[a"), Err(PatternError::OpenSet));
        assert_eq!(Pattern::parse("[]"), Err(PatternError::OpenSet));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = Pattern::parse(&("*a".repeat(100) + "b")).expect("the pattern is sound");
        assert!(!pattern.matches(&"a".repeat(255)));
    }
}
