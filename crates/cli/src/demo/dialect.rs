//! How a system writes HL7: its delimiters, its character set, its line ends.
//!
//! Written apart from the engine's own encoder on purpose: what the engine must read here was not
//! made by the engine.

/// One system's way of writing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// MSH-3.
    pub(crate) application: &'static str,
    /// MSH-4.
    pub(crate) facility: &'static str,
    /// MSH-12.
    pub(crate) version: &'static str,
    /// Component, repetition, escape and subcomponent separator: MSH-2.
    pub(crate) encoding_characters: [char; 4],
    /// What follows each segment.
    pub(crate) segment_end: &'static str,
    /// How characters become bytes.
    pub(crate) charset: DialectCharset,
}

/// How characters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialectCharset {
    /// MSH-18 says `UNICODE UTF-8`.
    Utf8,
    /// MSH-18 says nothing, as with many old systems; the other side has to know.
    Latin1,
}

/// The encoding characters that nearly everyone uses.
pub(crate) const USUAL: [char; 4] = ['^', '~', '\\', '&'];

impl Dialect {
    fn component(&self) -> char {
        self.encoding_characters[0]
    }

    fn repetition(&self) -> char {
        self.encoding_characters[1]
    }

    /// A value with its delimiters escaped (HL7 v2.5.1 §2.7).
    pub(crate) fn value(&self, text: &str) -> String {
        let [component, repetition, escape, subcomponent] = self.encoding_characters;
        let mut written = String::with_capacity(text.len());
        for character in text.chars() {
            let code = match character {
                '|' => 'F',
                '\n' => {
                    written.extend([escape, '.', 'b', 'r', escape]);
                    continue;
                }
                _ if character == component => 'S',
                _ if character == repetition => 'R',
                _ if character == escape => 'E',
                _ if character == subcomponent => 'T',
                _ => {
                    written.push(character);
                    continue;
                }
            };
            written.extend([escape, code, escape]);
        }
        written
    }

    /// Components of one field; trailing empty ones are left out.
    pub(crate) fn components(&self, values: &[&str]) -> String {
        let mut written = Vec::new();
        for value in values {
            written.push(self.value(value));
        }
        while written.last().is_some_and(String::is_empty) {
            written.pop();
        }
        written.join(&self.component().to_string())
    }

    /// Repetitions of one field, each already written.
    pub(crate) fn repetitions(&self, fields: &[String]) -> String {
        fields.join(&self.repetition().to_string())
    }

    /// The bytes of text in this system's character set.
    pub(crate) fn bytes(&self, text: &str) -> Vec<u8> {
        match self.charset {
            DialectCharset::Utf8 => text.as_bytes().to_vec(),
            DialectCharset::Latin1 => text
                .chars()
                .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
                .collect(),
        }
    }
}

/// A message being written.
#[derive(Debug)]
pub(crate) struct Writer<'d> {
    dialect: &'d Dialect,
    text: String,
}

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderFields<'h> {
    /// MSH-9, its components.
    pub(crate) kind: &'h [&'h str],
    /// MSH-10.
    pub(crate) control_id: &'h str,
    /// MSH-5.
    pub(crate) receiver: &'h str,
    /// MSH-15 and MSH-16, where enhanced mode is asked for.
    pub(crate) acknowledgments: Option<(&'h str, &'h str)>,
}

impl<'d> Writer<'d> {
    /// A message with its header.
    pub(crate) fn new(dialect: &'d Dialect, header: HeaderFields<'_>) -> Self {
        let mut writer = Self { dialect, text: String::new() };
        let characters: String = dialect.encoding_characters.iter().collect();
        let time = jiff::Zoned::now().strftime("%Y%m%d%H%M%S%z").to_string();
        let (accept, application) = header.acknowledgments.unwrap_or(("", ""));
        let charset = match dialect.charset {
            DialectCharset::Utf8 => "UNICODE UTF-8",
            DialectCharset::Latin1 => "",
        };
        let fields = [
            characters,
            dialect.value(dialect.application),
            dialect.value(dialect.facility),
            header.receiver.to_owned(),
            String::new(),
            time,
            String::new(),
            dialect.components(header.kind),
            header.control_id.to_owned(),
            "T".to_owned(),
            dialect.version.to_owned(),
            String::new(),
            String::new(),
            accept.to_owned(),
            application.to_owned(),
            String::new(),
            charset.to_owned(),
        ];
        writer.line("MSH", &fields);
        writer
    }

    /// Adds a segment; each field with its position, in their order.
    pub(crate) fn segment(&mut self, name: &str, fields: &[(usize, String)]) {
        let mut written: Vec<String> = Vec::new();
        for (position, value) in fields {
            written.resize((*position).max(1), String::new());
            if let Some(last) = written.last_mut() {
                last.clone_from(value);
            }
        }
        self.line(name, &written);
    }

    fn line(&mut self, name: &str, fields: &[String]) {
        self.text.push_str(name);
        let filled = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        for field in fields.iter().take(filled) {
            self.text.push('|');
            self.text.push_str(field);
        }
        self.text.push_str(self.dialect.segment_end);
    }

    /// The message's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.dialect.bytes(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use pipehat_message::Message;

    use super::*;

    const ODD: Dialect = Dialect {
        application: "A^B",
        facility: "F",
        version: "2.3",
        encoding_characters: ['$', '%', '\\', '&'],
        segment_end: "\n",
        charset: DialectCharset::Latin1,
    };

    #[test]
    fn what_a_dialect_writes_is_read_as_it_was_meant() {
        let header = HeaderFields {
            kind: &["ADT", "A01"],
            control_id: "1",
            receiver: "R",
            acknowledgments: Some(("AL", "NE")),
        };
        let mut writer = Writer::new(&ODD, header);
        let names = ODD.repetitions(&[
            ODD.components(&["Müller | $ % \\ & Söhne", "Zoë", ""]),
            ODD.components(&["Łu"]),
        ]);
        writer.segment("PID", &[(3, "7".to_owned()), (5, names)]);
        let bytes = writer.finish();
        let message = Message::parse(&bytes).expect("a message");
        let value = |path: &str| {
            let path = path.parse().expect("a path");
            message.get(&path).map(|value| value.decoded().into_owned()).unwrap_or_default()
        };
        assert_eq!(value("MSH-3"), b"A^B");
        assert_eq!(value("MSH-9.2"), b"A01");
        assert_eq!(value("MSH-15"), b"AL");
        assert_eq!(value("PID-3.1"), b"7");
        assert_eq!(value("PID-5.1"), ODD.bytes("Müller | $ % \\ & Söhne"));
        assert_eq!(value("PID-5.2"), b"Zo\xeb");
        assert_eq!(value("PID-5[2].1"), b"?u");
        assert_eq!(message.segments().count(), 2);
    }
}
