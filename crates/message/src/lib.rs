//! HL7 v2 itself: parse, paths, edit, encode, escape, charsets, batches, acknowledgments, MLLP framing.

mod delimiters;

pub use delimiters::Delimiters;

mod acknowledgment;
mod charset;
mod escape;
mod formatted_text;
mod header;
pub mod mllp;
mod timestamp;

pub use acknowledgment::{
    Acknowledgment, AcknowledgmentBuilder, AcknowledgmentCode, AcknowledgmentCondition,
    AcknowledgmentError, AcknowledgmentMode, ErrorCode, ErrorDetail, Outcome, ReportedError,
    Severity, acknowledgment_mode, unreadable_header_reply, wants_accept_acknowledgment,
    wants_application_acknowledgment,
};
pub use charset::{
    Charset, CharsetRule, CharsetSpec, Decoded, UNDECODABLE_POSITIONS_MAX, Unencodable,
    UnknownCharset, undecodable_byte,
};
pub use escape::{
    FORMAT_COUNT_MAX, Format, Meaning, Offset, Piece, Sequence, escape, is_representable,
    sequences, unescape,
};
pub use formatted_text::plain_text;
pub use header::{HEADER_BYTES_MAX, Header, HeaderError};
pub use timestamp::{
    FRACTION_DIGITS_MAX, Fraction, Precision, TimeOfDay, Timestamp, TimestampError, ZoneOffset,
};
