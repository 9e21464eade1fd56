//! The text of HL7 messages and their bytes, each in the message's own character set.
//!
//! A script sees text, always; bytes are in the set that MSH-18 names. A byte that is no character of the set is kept in
//! the text as its marker (`pipehat_message`'s), and becomes that byte again.

use rquickjs::{Ctx, Exception, Result, String as JsString, Value};

use pipehat_message::{Charset, CharsetRule, CharsetSpec, Header};

use super::bytes;
use crate::{Event, Input};

/// What an MSH-18 names: nothing where that is no known set.
type Named = Option<CharsetSpec>;

/// The character set of a run's input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputCharset {
    rule: CharsetRule,
    /// That of the input, for messages whose MSH-18 says nothing.
    own: Charset,
    /// Whether the input is HL7 v2.
    is_hl7: bool,
    /// What its MSH-18 names, if it names one.
    named: Option<Named>,
}

impl Default for InputCharset {
    fn default() -> Self {
        Self { rule: CharsetRule::Declared, own: Charset::UTF_8, is_hl7: false, named: None }
    }
}

impl InputCharset {
    pub(super) fn of(event: &Event) -> Self {
        let own = match &event.input {
            Input::Hl7(bytes) => event.charset.of_message(bytes),
            Input::Json(_) | Input::Text(_) | Input::Bytes(_) => Charset::UTF_8,
        };
        let (is_hl7, named) = match &event.input {
            Input::Hl7(bytes) => (true, named(bytes)),
            _ => (false, None),
        };
        Self { rule: event.charset, own, is_hl7, named }
    }

    /// The text of the input, without the mark that some put before UTF-8.
    pub(super) fn text(self, message: &[u8]) -> String {
        let text = self.own.transcode(message).text;
        text.strip_prefix('\u{FEFF}').unwrap_or(&text).to_owned()
    }

    /// What the handler returns: read again by the rule that its input was read by.
    ///
    /// # Errors
    /// Why it has no bytes, without any of it.
    pub(super) fn returned(self, text: String) -> std::result::Result<Vec<u8>, String> {
        let charset = match self.rule {
            CharsetRule::Override(charset) => charset,
            CharsetRule::Declared => self.declared(&text)?,
        };
        encoded(text, charset, "returned")
    }

    /// Whether a text that the handler returns is the message that goes on in its input's place: written by the script, it is
    /// a message all the same.
    pub(super) fn is_message(self, text: &str) -> bool {
        self.is_hl7 && Header::read(text.as_bytes()).is_ok()
    }

    /// What is handed on to others: HL7 in its own set, any other text in UTF-8, bytes as they are.
    pub(super) fn sent<'js>(self, ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<u8>> {
        let Some(string) = value.as_string() else { return bytes::bytes(ctx, value) };
        self.sent_text(ctx, string)
    }

    fn sent_text<'js>(self, ctx: &Ctx<'js>, string: &JsString<'js>) -> Result<Vec<u8>> {
        let text = bytes::text(ctx, string)?;
        if Header::read(text.as_bytes()).is_err() {
            return Ok(text.into_bytes());
        }
        let encoded = self.declared(&text).and_then(|charset| encoded(text, charset, "sent"));
        encoded.map_err(|why| Exception::throw_message(ctx, &why))
    }

    /// The set that a message's MSH-18 names. Where it says nothing, or what that of the input says, it is that of the
    /// input, which may be another than it says.
    fn declared(self, text: &str) -> std::result::Result<Charset, String> {
        let named = named(text.as_bytes());
        match named {
            None => Ok(self.own),
            _ if named == self.named => Ok(self.own),
            Some(Some(named)) => Ok(named.charset()),
            Some(None) if text.is_ascii() => Ok(Charset::UTF_8),
            Some(None) => Err("MSH-18 of the message names no known character set".to_owned()),
        }
    }
}

/// What the MSH-18 of a message names, if it names one.
fn named(message: &[u8]) -> Option<Named> {
    let header = Header::read(message).ok()?;
    let name = header.character_set();
    (!name.is_empty()).then(|| CharsetSpec::from_msh18(name).ok())
}

/// The text of an answer: HL7 in the set that its MSH-18 names, any other in UTF-8.
pub(super) fn answered(body: &[u8]) -> String {
    if body.is_ascii() || Header::read(body).is_err() {
        return String::from_utf8_lossy(body).into_owned();
    }
    CharsetRule::Declared.of_message(body).transcode(body).text.into_owned()
}

fn encoded(text: String, charset: Charset, what: &str) -> std::result::Result<Vec<u8>, String> {
    if text.is_ascii() && !charset.hides_delimiters() {
        return Ok(text.into_bytes());
    }
    match charset.encode(&text) {
        Ok(encoded) => Ok(encoded.into_owned()),
        Err(_) => Err(format!(
            "the message that is {what} has a character that {} (MSH-18) has not",
            charset.name()
        )),
    }
}
