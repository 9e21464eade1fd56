//! Compiling a path from text.

use std::num::{NonZeroU16, NonZeroU32};

use crate::path::{GroupStep, Occurrence, Path, PathError, PathErrorKind};
use crate::segment::SegmentName;

pub(super) fn path(text: &str) -> Result<Path, PathError> {
    let mut cursor = Cursor { chars: text.chars().collect(), at: 0 };
    if cursor.chars.is_empty() {
        return Err(cursor.error(PathErrorKind::Empty));
    }
    let groups = groups(&mut cursor)?;
    let name = segment(&mut cursor)?;
    let mut path = Path { groups: groups.into(), ..Path::of_segment(name) };
    match cursor.peek() {
        Some('(') => path.occurrence = which(&mut cursor, ')')?,
        Some('[') => {
            let kind = PathErrorKind::SegmentInSquareBrackets(cursor.before());
            return Err(cursor.error(kind));
        }
        _ => {}
    }
    match cursor.peek() {
        None => return Ok(path),
        Some('-') => cursor.at += 1,
        Some('.') => return Err(cursor.error(PathErrorKind::DotBeforeField(cursor.before()))),
        Some(_) => return Err(cursor.error(PathErrorKind::Unexpected)),
    }
    path.field = Some(position(&mut cursor)?);
    repetition(&mut cursor, &mut path)?;
    components(&mut cursor, &mut path)?;
    Ok(path)
}

fn groups(cursor: &mut Cursor) -> Result<Vec<GroupStep>, PathError> {
    let mut groups = Vec::new();
    if cursor.peek() != Some('/') {
        return Ok(groups);
    }
    cursor.at += 1;
    loop {
        let start = cursor.at;
        let name = cursor.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if name.is_empty() {
            return Err(cursor.error(PathErrorKind::GroupName));
        }
        let occurrence = match cursor.peek() {
            Some('(') => which(cursor, ')')?,
            _ => Occurrence::FIRST,
        };
        if cursor.peek() != Some('/') {
            // Not a group but the segment, which `segment` reads.
            if SegmentName::try_from(name.as_str()).is_err() && cursor.peek().is_none() {
                return Err(cursor.error(PathErrorKind::GroupWithoutSegment));
            }
            cursor.at = start;
            return Ok(groups);
        }
        cursor.at += 1;
        groups.push(GroupStep { name: name.into(), occurrence });
    }
}

fn segment(cursor: &mut Cursor) -> Result<SegmentName, PathError> {
    let start = cursor.at;
    let name = cursor.take_while(|c| c.is_alphanumeric() || c == '_');
    SegmentName::try_from(name.as_str()).map_err(|_| {
        let capitals = name.to_ascii_uppercase();
        let kind = if SegmentName::try_from(capitals.as_str()).is_ok() {
            PathErrorKind::SegmentNameCase(capitals)
        } else {
            PathErrorKind::SegmentName
        };
        PathError { at: start, kind }
    })
}

fn repetition(cursor: &mut Cursor, path: &mut Path) -> Result<(), PathError> {
    match cursor.peek() {
        Some('[') => {
            let at = cursor.at;
            let repetition = which(cursor, ']')?;
            if path.occurrence == Occurrence::Next && repetition == Occurrence::All {
                return Err(PathError { at, kind: PathErrorKind::EveryRepetitionOfNew });
            }
            path.repetition = Some(repetition);
            Ok(())
        }
        Some('(') => {
            let kind = PathErrorKind::RepetitionInRoundBrackets(cursor.before());
            Err(cursor.error(kind))
        }
        _ => Ok(()),
    }
}

fn components(cursor: &mut Cursor, path: &mut Path) -> Result<(), PathError> {
    for depth in 0.. {
        match cursor.peek() {
            None => break,
            Some('.') if depth < 2 => cursor.at += 1,
            Some('.') => return Err(cursor.error(PathErrorKind::TooDeep)),
            Some('-') if depth == 0 => {
                let kind = PathErrorKind::HyphenBeforeComponent(cursor.before());
                return Err(cursor.error(kind));
            }
            Some('[' | '(') if depth > 0 => {
                return Err(cursor.error(PathErrorKind::RepetitionAfterComponent));
            }
            Some(_) => return Err(cursor.error(PathErrorKind::Unexpected)),
        }
        let position = Some(position(cursor)?);
        if depth == 0 {
            path.repetition = path.repetition.or(Some(Occurrence::FIRST));
            path.component = position;
        } else {
            path.subcomponent = position;
        }
    }
    Ok(())
}

fn position(cursor: &mut Cursor) -> Result<NonZeroU16, PathError> {
    let start = cursor.at;
    let limit = u32::from(Path::POSITION_MAX);
    let number = number(cursor, limit, PathErrorKind::PositionTooLarge)?;
    let position = number.and_then(|number| NonZeroU16::try_from(number).ok());
    position.ok_or(PathError { at: start, kind: PathErrorKind::NumberExpected })
}

/// A bracket with what is in it; the cursor stands on the opening one.
fn which(cursor: &mut Cursor, close: char) -> Result<Occurrence, PathError> {
    cursor.at += 1;
    let start = cursor.at;
    let limit = Path::OCCURRENCE_MAX;
    let occurrence = match number(cursor, limit, PathErrorKind::OccurrenceTooLarge)? {
        Some(number) => Occurrence::At(number),
        None => {
            let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | '+'));
            match word.as_str() {
                "*" => Occurrence::All,
                "last" => Occurrence::Last,
                "+1" => Occurrence::Next,
                _ => {
                    return Err(PathError { at: start, kind: PathErrorKind::OccurrenceExpected });
                }
            }
        }
    };
    if cursor.peek() != Some(close) {
        return Err(cursor.error(PathErrorKind::BracketNotClosed(close)));
    }
    cursor.at += 1;
    Ok(occurrence)
}

/// Digits, if any stand here.
fn number(
    cursor: &mut Cursor,
    limit: u32,
    too_large: PathErrorKind,
) -> Result<Option<NonZeroU32>, PathError> {
    let start = cursor.at;
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse::<u32>().ok().filter(|&number| number <= limit);
    let number = number.ok_or(PathError { at: start, kind: too_large })?;
    let number = NonZeroU32::new(number);
    number.map(Some).ok_or(PathError { at: start, kind: PathErrorKind::Zero })
}

struct Cursor {
    chars: Vec<char>,
    at: usize,
}

impl Cursor {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let taken: String = rest.iter().copied().take_while(|&c| wanted(c)).collect();
        self.at += taken.chars().count();
        taken
    }

    fn before(&self) -> String {
        self.chars.iter().take(self.at).collect()
    }

    fn error(&self, kind: PathErrorKind) -> PathError {
        PathError { at: self.at, kind }
    }
}
