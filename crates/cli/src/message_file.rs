//! A file with one or more messages, in whatever character set: which message is meant, and how its values become text.
//!
//! Messages in sets whose characters may hold delimiter bytes (ISO 2022, UTF-16, GB 18030 and their like) are decoded as
//! a whole before they are split; all others are split as they are and only values are decoded.

use std::borrow::Cow;
use std::ops::Range;

use pipehat_dictionary::STANDARD_GROUPS;
use pipehat_message::{
    BatchPartKind, Batches, Charset, CharsetRule, Finding, Header, Limits, Meaning, Message,
    ParseError, Piece, Unencodable, Value, sequences,
};

use crate::exit::Failure;
use crate::input::{InputError, Source};
use crate::terminal::Terminal;

/// Options that say how to read a file of messages.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Reading {
    /// Which message of a batch or of several messages, counted from 1
    #[arg(long = "message", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) number: Option<u64>,

    #[command(flatten)]
    pub(crate) charset: CharsetOption,
}

/// The option that overrides MSH-18.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct CharsetOption {
    /// Read the message in this character set, whatever MSH-18 says (like `UTF-8`, `8859/1`, `ISO IR87`)
    #[arg(long, value_name = "NAME", value_parser = charset)]
    pub(crate) charset: Option<Charset>,
}

/// Why a file gives no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageFileError {
    /// The file itself.
    #[error(transparent)]
    Input(#[from] InputError),
    /// There is none in it, or the one meant can't be read.
    #[error("{name} holds no HL7 message")]
    NoMessage {
        /// Which file.
        name: String,
        /// Why its first bytes are none.
        #[source]
        source: ParseError,
    },
    /// The message meant can't be read.
    #[error("message {number} of {name} cannot be read")]
    Unreadable {
        /// Which file.
        name: String,
        /// Which message, from 1.
        number: usize,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// There are fewer messages.
    #[error("{name} holds {count} message(s): there is no message {number}")]
    NoSuchMessage {
        /// Which file.
        name: String,
        /// How many there are.
        count: usize,
        /// Which one was asked for.
        number: u64,
    },
}

impl From<MessageFileError> for Failure {
    fn from(error: MessageFileError) -> Self {
        Self::could_not(error)
    }
}

/// The character set with this name.
pub(crate) fn charset(name: &str) -> Result<Charset, String> {
    Charset::from_name(name).ok_or_else(|| {
        "no character set of HL7 table 0211 has this name: write it like `UTF-8`, `8859/1` or `ISO IR87`"
            .to_owned()
    })
}

/// How the bytes of a message's values become text, and text bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextForm {
    charset: Charset,
    /// Whether the message was decoded as a whole, so that its bytes are UTF-8 text now.
    transcoded: bool,
}

impl TextForm {
    /// The character set the message is in.
    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// In which set a translation is to read the message as it stands here.
    pub(crate) fn rule(&self) -> CharsetRule {
        CharsetRule::Override(if self.transcoded { Charset::UTF_8 } else { self.charset })
    }

    /// What a validator is told about the bytes.
    pub(crate) fn of_validation(&self) -> pipehat_dictionary::validation::TextForm {
        use pipehat_dictionary::validation::TextForm as Of;
        if self.transcoded { Of::DecodedToUtf8 } else { Of::AsReceived }
    }

    /// The bytes as text; what could not be decoded stands there as U+10FE00 + byte.
    pub(crate) fn text<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        if self.transcoded {
            String::from_utf8_lossy(bytes)
        } else {
            self.charset.decode(bytes).text
        }
    }

    /// A value as text, its escape sequences decoded.
    pub(crate) fn decoded(&self, value: &Value<'_>) -> String {
        let unescaped = value.decoded();
        if !self.transcoded {
            return self.charset.decode(&unescaped).text.into_owned();
        }
        if *unescaped == *value.raw() {
            return self.text(value.raw()).into_owned();
        }
        // Hexadecimal data is in the message's own character set, all else is text already.
        let delimiters = value.delimiters();
        let mut text = String::with_capacity(value.raw().len());
        let mut hexadecimal = Vec::new();
        for piece in sequences(value.raw(), &delimiters) {
            let raw = match piece {
                Piece::Text(raw) => raw,
                Piece::Sequence(sequence) => {
                    if let Meaning::Hexadecimal(_) = sequence.meaning {
                        let bytes = pipehat_message::unescape(sequence.raw, &delimiters);
                        hexadecimal.extend_from_slice(&bytes);
                        continue;
                    }
                    sequence.raw
                }
            };
            self.push_hexadecimal(&mut hexadecimal, &mut text);
            text.push_str(&self.text(&pipehat_message::unescape(raw, &delimiters)));
        }
        self.push_hexadecimal(&mut hexadecimal, &mut text);
        text
    }

    fn push_hexadecimal(&self, bytes: &mut Vec<u8>, text: &mut String) {
        text.push_str(&self.charset.of_values().decode(bytes).text);
        bytes.clear();
    }

    /// Text as it has to stand in the message.
    pub(crate) fn bytes<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, Unencodable> {
        if self.transcoded {
            // Whether the set has these characters shows when the whole is encoded; better to know it here.
            self.charset.encode(text).map(|_| Cow::Borrowed(text.as_bytes()))
        } else {
            self.charset.encode(text)
        }
    }
}

/// One message of a file.
#[derive(Debug)]
pub(crate) struct FileMessage<'f> {
    /// Which one, from 1.
    pub(crate) number: usize,
    /// The message itself.
    pub(crate) message: Message<'f>,
    /// How its values become text.
    pub(crate) form: TextForm,
    /// Whether MSH-18 names no known character set, so that the form is a guess.
    guessed: bool,
}

impl FileMessage<'_> {
    /// Tells what is odd about the message, though it can be read.
    pub(crate) fn warn(&self, terminal: &Terminal) {
        if self.guessed {
            terminal.warn(format_args!(
                "MSH-18 names a character set that is not known; read as {}: to read it otherwise, add --charset NAME",
                self.form.charset.name()
            ));
        }
    }
}

/// One message of a file before it is parsed.
pub(crate) struct Unparsed<'f> {
    /// Its bytes, decoded where they have to be decoded as a whole.
    pub(crate) bytes: Cow<'f, [u8]>,
    /// How its values become text.
    pub(crate) form: TextForm,
    guessed: bool,
}

/// A file of messages, read and cut.
pub(crate) struct MessageFile {
    name: String,
    bytes: Vec<u8>,
    /// The character set from which the whole file was decoded to UTF-8.
    transcoded: Option<Charset>,
    /// Whether decoding and encoding the whole file changes no byte.
    round_trips: bool,
    charset: Option<Charset>,
    messages: Vec<Range<usize>>,
    findings: Vec<Finding>,
}

impl MessageFile {
    /// Reads a file and cuts it into messages.
    pub(crate) fn read(source: &Source, charset: CharsetOption) -> Result<Self, MessageFileError> {
        Self::of_bytes(source.name(), source.read()?, charset)
    }

    /// Cuts bytes into messages; `name` is how errors call them.
    pub(crate) fn of_bytes(
        name: String,
        mut bytes: Vec<u8>,
        CharsetOption { charset }: CharsetOption,
    ) -> Result<Self, MessageFileError> {
        let whole = charset.or_else(|| Charset::detect_wide(&bytes));
        let transcoded = whole.filter(|charset| charset.hides_delimiters());
        let mut round_trips = true;
        if let Some(charset) = transcoded {
            round_trips = charset.round_trips(&bytes);
            bytes = charset.decode(&bytes).text.into_owned().into_bytes();
        }
        let mut messages = Vec::new();
        let mut findings = Vec::new();
        let mut start = 0_usize;
        for part in Batches::new(&bytes) {
            let end = start.saturating_add(part.bytes.len());
            if part.kind == BatchPartKind::Message {
                messages.push(start..end);
            }
            findings.extend(part.findings);
            start = end;
        }
        if messages.is_empty() {
            let source = Message::parse(&bytes).err().unwrap_or(ParseError::Empty);
            return Err(MessageFileError::NoMessage { name, source });
        }
        Ok(Self { name, bytes, transcoded, round_trips, charset, messages, findings })
    }

    /// How many messages it holds.
    pub(crate) fn count(&self) -> usize {
        self.messages.len()
    }

    /// Tells what is odd about the file, though it can be read.
    pub(crate) fn warn(&self, terminal: &Terminal) {
        for finding in &self.findings {
            terminal.warn(format_args!("{}: {finding}", self.name));
        }
    }

    /// The messages a command works on: the one asked for, or all.
    pub(crate) fn chosen(
        &self,
        number: Option<u64>,
    ) -> Result<impl Iterator<Item = Result<FileMessage<'_>, MessageFileError>>, MessageFileError>
    {
        let chosen = match number {
            Some(number) => {
                let index = self.index(number)?;
                index..index.saturating_add(1)
            }
            None => 0..self.count(),
        };
        Ok(chosen.map(|index| self.at(index)))
    }

    /// The one message a command works on: the one asked for, or the first.
    pub(crate) fn one(&self, number: Option<u64>) -> Result<FileMessage<'_>, MessageFileError> {
        self.at(self.index(number.unwrap_or(1))?)
    }

    fn index(&self, number: u64) -> Result<usize, MessageFileError> {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.filter(|&index| index < self.count()).ok_or_else(|| MessageFileError::NoSuchMessage {
            name: self.name.clone(),
            count: self.count(),
            number,
        })
    }

    fn at(&self, index: usize) -> Result<FileMessage<'_>, MessageFileError> {
        let Unparsed { bytes, form, guessed } = self.unparsed_at(index);
        let number = index.saturating_add(1);
        let limits = Limits { message_bytes_max: Limits::MESSAGE_BYTES_CEILING, ..Limits::DEFAULT };
        let message = match bytes {
            Cow::Borrowed(bytes) => Message::parse_with(bytes, &limits),
            Cow::Owned(bytes) => Message::parse_owned(bytes, &limits),
        };
        match message {
            Ok(message) => {
                let message = message.read_groups_with(STANDARD_GROUPS);
                Ok(FileMessage { number, message, form, guessed })
            }
            Err(source) => {
                Err(MessageFileError::Unreadable { name: self.name.clone(), number, source })
            }
        }
    }

    /// The bytes of the message asked for, or the first, whether or not they can be read as one.
    pub(crate) fn unparsed(&self, number: Option<u64>) -> Result<Unparsed<'_>, MessageFileError> {
        Ok(self.unparsed_at(self.index(number.unwrap_or(1))?))
    }

    fn unparsed_at(&self, index: usize) -> Unparsed<'_> {
        let span = self.messages.get(index).cloned().unwrap_or_default();
        let bytes = self.bytes.get(span).unwrap_or_default();
        let declared = || self.charset.map_or_else(|| declared_charset(bytes), |it| (it, false));
        let (charset, guessed) = self.transcoded.map_or_else(declared, |charset| (charset, false));
        let form = TextForm { charset, transcoded: charset.hides_delimiters() };
        let bytes = if form.transcoded && self.transcoded.is_none() {
            Cow::Owned(charset.decode(bytes).text.into_owned().into_bytes())
        } else {
            Cow::Borrowed(bytes)
        };
        Unparsed { bytes, form, guessed }
    }

    /// The whole file with another message in the place of this one; `None` where a character set spells its text in
    /// several ways, so that bytes that were not touched would change.
    pub(crate) fn with(&self, changed: &FileMessage<'_>) -> Option<Vec<u8>> {
        let span = self.messages.get(changed.number.checked_sub(1)?)?.clone();
        let before = self.bytes.get(..span.start)?;
        let original = self.bytes.get(span.clone())?;
        let after = self.bytes.get(span.end..)?;
        let encode = |bytes: &[u8], charset: Charset| {
            let text = str::from_utf8(bytes).ok()?;
            charset.encode(text).ok().map(Cow::into_owned)
        };
        let TextForm { charset, transcoded } = changed.form;
        let message = changed.message.as_bytes();
        match self.transcoded {
            Some(charset) => {
                let whole = encode(&[before, message, after].concat(), charset)?;
                self.round_trips.then_some(whole)
            }
            None if transcoded => {
                let message = encode(message, charset)?;
                charset.round_trips(original).then(|| [before, &message, after].concat())
            }
            None => Some([before, message, after].concat()),
        }
    }

    /// A message in the character set of the file.
    pub(crate) fn encoded<'m>(&self, form: TextForm, message: &'m [u8]) -> Option<Cow<'m, [u8]>> {
        if !form.transcoded {
            return Some(Cow::Borrowed(message));
        }
        form.charset.encode(str::from_utf8(message).ok()?).ok()
    }
}

/// What MSH-18 says; where no set has that name, what the message turns out to be, and that this is a guess.
fn declared_charset(message: &[u8]) -> (Charset, bool) {
    let header = Header::read(message);
    let declared = header.as_ref().map(Header::character_set).unwrap_or_default();
    let rule = CharsetRule::Declared;
    match rule.resolve(declared, message) {
        Ok(charset) => (charset, false),
        Err(_) => (rule.resolve(b"", message).unwrap_or(Charset::LATIN_1), true),
    }
}
