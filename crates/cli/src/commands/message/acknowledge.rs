//! `pipehat message ack`: the acknowledgment of a message.

use std::path::PathBuf;

use jiff::Zoned;
use pipehat_message::{
    AcknowledgmentBuilder, AcknowledgmentCode, ErrorCode, ErrorDetail, Header, Severity,
    unreadable_header_reply,
};

use super::path::TypedPath;
use crate::control_id::ControlIds;
use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::message_file::{MessageFile, Reading};
use crate::terminal::Terminal;

const EXAMPLES: &str = r#"Examples:
  pipehat message ack admit.hl7 --code AA
  pipehat message ack admit.hl7 --code AR --text 'not today'
  pipehat message ack a.hl7 --code AE --error-location PV1-3 --error-code 204
  pipehat message ack admit.hl7 --lf

The acknowledgment has the form of the message's version and goes back to its sender, with a control
id of its own. Segments end with CR as the standard wants; on a terminal and with --lf each is a line.

Of a message whose header cannot be read, it prints the AR that a listener would send, and exits with 1."#;

/// Print the acknowledgment of a message
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file; standard input if it is left out or `-`
    file: Option<PathBuf>,

    /// AA, AE or AR; in enhanced mode also CA, CE or CR
    #[arg(long, value_name = "CODE", default_value = "AA", value_parser = acknowledgment_code)]
    code: AcknowledgmentCode,

    /// A sentence for a person
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,

    /// Where the error is, like PID-3.1
    #[arg(long, value_name = "PATH", requires = "error_code")]
    error_location: Option<String>,

    /// What the error is, by its number in HL7 table 0357, like 102 (data type error)
    #[arg(long, value_name = "NUMBER", value_parser = error_code)]
    error_code: Option<ErrorCode>,

    /// MSH-10 of the acknowledgment, instead of a new one
    #[arg(long, value_name = "ID")]
    control_id: Option<String>,

    /// MSH-7 of the acknowledgment, instead of the time it is
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,

    /// End segments with LF, for reading
    #[arg(long)]
    lf: bool,

    #[command(flatten)]
    reading: Reading,
}

/// Why there is no acknowledgment.
#[derive(Debug, thiserror::Error)]
#[error("the acknowledgment cannot be written in the message's character set")]
struct NotEncodable;

const ERROR_CODES: &[ErrorCode] = &[
    ErrorCode::MessageAccepted,
    ErrorCode::SegmentSequenceError,
    ErrorCode::RequiredFieldMissing,
    ErrorCode::DataTypeError,
    ErrorCode::TableValueNotFound,
    ErrorCode::ValueTooLong,
    ErrorCode::UnsupportedMessageType,
    ErrorCode::UnsupportedEventCode,
    ErrorCode::UnsupportedProcessingId,
    ErrorCode::UnsupportedVersionId,
    ErrorCode::UnknownKeyIdentifier,
    ErrorCode::DuplicateKeyIdentifier,
    ErrorCode::ApplicationRecordLocked,
    ErrorCode::ApplicationInternalError,
];

/// Reads a code of table 0008.
pub(crate) fn acknowledgment_code(text: &str) -> Result<AcknowledgmentCode, String> {
    AcknowledgmentCode::from_bytes(text.as_bytes())
        .ok_or_else(|| "write AA, AE, AR, CA, CE or CR".to_owned())
}

fn error_code(text: &str) -> Result<ErrorCode, String> {
    let number = text.parse::<u16>().ok();
    let code = ERROR_CODES.iter().find(|code| Some(code.number()) == number);
    code.copied().ok_or_else(|| {
        let known: Vec<_> = ERROR_CODES.iter().map(|code| code.number().to_string()).collect();
        format!("table 0357 has {}", known.join(", "))
    })
}

/// The time it is, as MSH-7 wants it.
pub(crate) fn now() -> String {
    Zoned::now().strftime("%Y%m%d%H%M%S%.3f%z").to_string()
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let location = self.error_location.as_deref().map(TypedPath::read).transpose()?;
        let source = Source::from(self.file.clone());
        let bytes = source.read()?;
        let control_id = match &self.control_id {
            Some(id) => id.clone(),
            None => ControlIds::new().map_err(Failure::could_not)?.next_text(),
        };
        let timestamp = self.timestamp.clone().unwrap_or_else(now);
        let file = MessageFile::of_bytes(source.name(), bytes.clone(), self.reading.charset);
        let found = match &file {
            Ok(file) => Some((file, file.unparsed(self.reading.number)?)),
            Err(_) => None,
        };
        let header = found.as_ref().and_then(|(_, found)| Header::read(&found.bytes).ok());
        let (reply, exit) = match (header, &found) {
            (Some(header), Some((file, found))) => {
                let mut builder = AcknowledgmentBuilder::new(&header)
                    .code(self.code)
                    .control_id(&control_id)
                    .timestamp(&timestamp)
                    .text(&self.text);
                if let Some(code) = self.error_code {
                    builder = builder.error(self.detail(code, location.as_ref()));
                }
                let reply = builder.build();
                let reply = file.encoded(found.form, &reply).ok_or(NotEncodable);
                (reply.map_err(Failure::could_not)?.into_owned(), Exit::Ok)
            }
            (None, _) | (_, None) => {
                terminal.warn("the message's header cannot be read: this is the answer to it");
                let text = "The message header (MSH) cannot be read";
                (unreadable_header_reply(&bytes, &control_id, &timestamp, text), Exit::NotSo)
            }
        };
        terminal.write_message(&self.with_line_ends(reply))?;
        Ok(exit)
    }

    fn detail<'a>(&'a self, code: ErrorCode, location: Option<&'a TypedPath>) -> ErrorDetail<'a> {
        let severity =
            if self.code.is_positive() { Severity::Information } else { Severity::Error };
        let location = location.map(|typed| typed.text.as_str());
        ErrorDetail { code, severity, location, text: &self.text }
    }

    fn with_line_ends(&self, mut reply: Vec<u8>) -> Vec<u8> {
        if self.lf {
            reply.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
        reply
    }
}
