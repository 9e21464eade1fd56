//! File names made of a template: `{channel}-{message}-{ordinal}.hl7`.

use jiff::Zoned;
use pipehat_dictionary::{STANDARD_GROUPS, check_group_path};
use pipehat_message::{Message, Path};

use crate::Outbound;

/// The most bytes that one part of a name takes from outside.
const VALUE_BYTES_MAX: usize = 64;

/// The most bytes of a name, with room for a number that makes it unique within the 255 that file systems take.
pub(super) const NAME_BYTES_MAX: usize = 200;

/// A template for file names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NameTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    Channel,
    Message,
    Ordinal,
    SourceFile,
    /// A part of the time, as a format of `strftime`.
    Time(&'static str),
    Millisecond,
    /// A place in the message. It may hold patient data: that is for whoever writes the template to decide.
    Value(Path),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// There is nothing in it.
    #[error("the name is empty")]
    Empty,
    /// `{` without `}` or the other way round.
    #[error("a brace has no match")]
    Brace,
    /// Neither a known word nor a path.
    #[error("`{{{0}}}` is none of {KNOWN} and no path such as `{{MSH-10}}`")]
    Unknown(String),
    /// It would leave the folder, or could not be a name everywhere.
    #[error("a file name can't contain `{0}`")]
    Character(char),
    /// Consumers take names with a dot in front for hidden, and files we write have one until they are complete.
    #[error("a file name must not begin with a dot")]
    LeadingDot,
}

const KNOWN: &str = "`{channel}`, `{message}`, `{ordinal}`, `{source_file}`, `{date}`, `{time}`, `{year}`, `{month}`, \
                     `{day}`, `{hour}`, `{minute}`, `{second}`, `{millisecond}`";

/// Why a message gets no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// It came from elsewhere.
    #[error("the name needs {{source_file}}, and the message came from no file")]
    NoSourceFile,
    /// The place is absent, empty or holds nothing that can stand in a name.
    #[error("the name needs {{{0}}}, and there is nothing in the message")]
    NoValue(String),
    /// It is no HL7 message.
    #[error("the name needs {{{0}}}, and the payload is not an HL7 message")]
    NotHl7(String),
}

impl NameTemplate {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            push_literal(&mut pieces, literal)?;
            let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            pieces.push(piece(name)?);
            rest = after;
        }
        push_literal(&mut pieces, rest)?;
        match pieces.first() {
            None => Err(TemplateError::Empty),
            Some(Piece::Literal(literal)) if literal.starts_with('.') => {
                Err(TemplateError::LeadingDot)
            }
            Some(_) => Ok(Self(pieces)),
        }
    }

    /// Whether each delivery has a name of its own, so that a file of that name with the same content is the same
    /// delivery, made before.
    pub(super) fn names_the_delivery(&self) -> bool {
        self.0.contains(&Piece::Message) && self.0.contains(&Piece::Ordinal)
    }

    /// The name for a message at a time.
    pub(super) fn name(&self, outbound: &Outbound, now: &Zoned) -> Result<String, NameError> {
        let mut name = String::new();
        let mut parsed = None;
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => name.push_str(literal),
                Piece::Channel => name.push_str(&sanitised(outbound.channel.as_bytes())),
                Piece::Message => name.push_str(&outbound.message.to_string()),
                Piece::Ordinal => name.push_str(&outbound.ordinal.to_string()),
                Piece::SourceFile => {
                    let file = outbound.file.as_deref().ok_or(NameError::NoSourceFile)?;
                    name.push_str(&sanitised(file.as_bytes()));
                }
                Piece::Time(format) => name.push_str(&now.strftime(format).to_string()),
                Piece::Millisecond => name.push_str(&format!("{:03}", now.millisecond())),
                Piece::Value(path) => {
                    let message = match &parsed {
                        Some(message) => message,
                        None => {
                            let message = Message::parse(&outbound.bytes)
                                .map_err(|_| NameError::NotHl7(path.to_string()))?;
                            parsed.insert(message.read_groups_with(STANDARD_GROUPS))
                        }
                    };
                    let value = message.get(path).map(|value| value.decoded());
                    let value = sanitised(value.as_deref().unwrap_or_default());
                    if value.is_empty() {
                        return Err(NameError::NoValue(path.to_string()));
                    }
                    name.push_str(&value);
                }
            }
        }
        Ok(lawful(name))
    }
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &str) -> Result<(), TemplateError> {
    let unlawful = |character: &char| {
        matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
            || character.is_control()
    };
    if literal.contains('}') {
        return Err(TemplateError::Brace);
    }
    if let Some(character) = literal.chars().find(unlawful) {
        return Err(TemplateError::Character(character));
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
    Ok(())
}

fn piece(name: &str) -> Result<Piece, TemplateError> {
    Ok(match name {
        "channel" => Piece::Channel,
        "message" => Piece::Message,
        "ordinal" => Piece::Ordinal,
        "source_file" => Piece::SourceFile,
        "date" => Piece::Time("%Y%m%d"),
        "time" => Piece::Time("%H%M%S"),
        "year" => Piece::Time("%Y"),
        "month" => Piece::Time("%m"),
        "day" => Piece::Time("%d"),
        "hour" => Piece::Time("%H"),
        "minute" => Piece::Time("%M"),
        "second" => Piece::Time("%S"),
        "millisecond" => Piece::Millisecond,
        path => match Path::parse(path) {
            Ok(path)
                if path.field().is_some()
                    && !path.has_wildcard()
                    && check_group_path(&path, None).is_ok() =>
            {
                Piece::Value(path)
            }
            _ => return Err(TemplateError::Unknown(path.to_owned())),
        },
    })
}

/// What may stand in a name of a value from outside: letters, digits, `-`, `_` and `.`; anything else becomes `_`, so that
/// no value can lead to another folder. Cut to a bound.
fn sanitised(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut safe = String::new();
    for character in text.trim().chars() {
        let character = match character {
            '-' | '_' | '.' => character,
            _ if character.is_alphanumeric() => character,
            _ => '_',
        };
        if safe.len() + character.len_utf8() > VALUE_BYTES_MAX {
            break;
        }
        safe.push(character);
    }
    safe
}

/// Whatever the pieces came to: no leading dot, no trailing dot, no name that Windows keeps for devices, not too long.
fn lawful(name: String) -> String {
    let mut name = name;
    if name.starts_with('.') {
        name.insert(0, '_');
    }
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|number| {
            number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
    {
        name.insert(0, '_');
    }
    if name.len() > NAME_BYTES_MAX {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_owned());
        let extension = extension.filter(|extension| extension.len() <= 16).unwrap_or_default();
        let end = floor_boundary(&name, NAME_BYTES_MAX - extension.len() - 1);
        name.truncate(end);
        name.push('.');
        name.push_str(&extension);
    }
    while name.ends_with(['.', ' ']) {
        name.pop();
    }
    if name.is_empty() { "_".to_owned() } else { name }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(bytes: &'static [u8], file: Option<&str>) -> Outbound {
        Outbound {
            bytes: bytes.into(),
            channel: "adt-out".into(),
            message: 4711,
            ordinal: 2,
            attempt: 1,
            file: file.map(Into::into),
            number: None,
            change: None,
        }
    }

    fn now() -> Zoned {
        "2026-03-01T08:05:09.007[Europe/Berlin]".parse().expect("a time")
    }

    fn name(template: &str, bytes: &'static [u8], file: Option<&str>) -> Result<String, NameError> {
        let template = NameTemplate::parse(template).expect("the template is sound");
        template.name(&outbound(bytes, file), &now())
    }

    #[test]
    fn names() {
        const MESSAGE: &[u8] = b"MSH|^~\\&|LAB|||||||../../x\\T\\y 1|P|2.5\rPID|1||47^^^A\r";
        let check = |template: &str, expected: &str| {
            assert_eq!(name(template, MESSAGE, Some("in put/a.hl7")).as_deref(), Ok(expected));
        };
        check("{channel}-{message}-{ordinal}.hl7", "adt-out-4711-2.hl7");
        check("{date}T{time}.{millisecond}.txt", "20260301T080509.007.txt");
        check("{year}-{month}-{day}_{hour}{minute}{second}", "2026-03-01_080509");
        check("{MSH-10}.hl7", "_.._.._x_y_1.hl7");
        check("{PID-3.1}-{MSH-3}", "47-LAB");
        check("{source_file}", "in_put_a.hl7");
        check("con.{MSH-3}", "_con.LAB");
        check("{MSH-3}.", "LAB");
    }

    #[test]
    fn names_stay_short() {
        let long = "x".repeat(300);
        let made = name(&format!("{long}.hl7"), b"", None).expect("a name");
        assert_eq!(made.len(), NAME_BYTES_MAX);
        assert!(made.ends_with("x.hl7"));
        assert_eq!(sanitised("ä".repeat(40).as_bytes()).len(), VALUE_BYTES_MAX);
    }

    #[test]
    fn what_is_missing_is_an_error_without_a_value() {
        const MESSAGE: &[u8] = b"MSH|^~\\&|LAB\r";
        assert_eq!(name("{MSH-10}", MESSAGE, None), Err(NameError::NoValue("MSH-10".to_owned())));
        assert_eq!(name("{MSH-10}", b"{}", None), Err(NameError::NotHl7("MSH-10".to_owned())));
        assert_eq!(name("{source_file}", MESSAGE, None), Err(NameError::NoSourceFile));
    }

    #[test]
    fn wrong_templates() {
        let wrong = |text: &str| NameTemplate::parse(text).expect_err("the template is wrong");
        assert_eq!(wrong(""), TemplateError::Empty);
        assert_eq!(wrong("a{b"), TemplateError::Brace);
        assert_eq!(wrong("a}b"), TemplateError::Brace);
        assert_eq!(wrong("../{message}"), TemplateError::Character('/'));
        assert_eq!(wrong("{massage}"), TemplateError::Unknown("massage".to_owned()));
        assert_eq!(wrong("{OBX(*)-5}"), TemplateError::Unknown("OBX(*)-5".to_owned()));
        assert_eq!(wrong(".{message}"), TemplateError::LeadingDot);
    }

    #[test]
    fn a_delivery_has_its_own_name_only_with_message_and_ordinal() {
        let own = |text: &str| NameTemplate::parse(text).expect("sound").names_the_delivery();
        assert!(own("{channel}-{message}-{ordinal}.hl7"));
        assert!(!own("{message}.hl7"));
        assert!(!own("{MSH-10}.hl7"));
    }
}
