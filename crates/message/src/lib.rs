//! HL7 v2 itself: parse, paths, edit, encode, escape, charsets, batches, acknowledgments, MLLP framing.
//!
//! Bytes go in and views of the same bytes come out: nothing is copied or decoded until asked, and a message
//! that was not edited encodes to exactly the bytes it was parsed from. No I/O and no clock.
//!
//! ```
//! use pipehat_message::{Message, Path};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut message = Message::parse(b"MSH|^~\\&|ADT1|GOOD\rPID|1||4711^^^GOOD^MR\r")?;
//! let identifier: Path = "PID-3.1".parse()?;
//! assert_eq!(message.get(&identifier).map(|value| value.raw()), Some(b"4711".as_slice()));
//!
//! message.set_text(&"PID-8".parse()?, b"F")?;
//! assert_eq!(message.as_bytes(), b"MSH|^~\\&|ADT1|GOOD\rPID|1||4711^^^GOOD^MR|||||F\r");
//! # Ok(())
//! # }
//! ```

mod acknowledgment;
mod batch;
mod charset;
mod delimiters;
mod difference;
mod edit;
mod escape;
mod formatted_text;
mod groups;
mod header;
mod message;
pub mod mllp;
mod parse;
mod part;
mod path;
mod segment;
#[cfg(test)]
mod testing;
mod timestamp;
mod value;

pub use acknowledgment::{
    Acknowledgment, AcknowledgmentBuilder, AcknowledgmentCode, AcknowledgmentCondition,
    AcknowledgmentError, AcknowledgmentMode, ErrorCode, ErrorDetail, Outcome, ReportedError,
    Severity, acknowledgment_mode, unreadable_header_reply, wants_accept_acknowledgment,
    wants_application_acknowledgment,
};
pub use batch::{
    BatchError, BatchPart, BatchPartKind, BatchPosition, BatchSplitter, Batches, Finding,
};
pub use charset::{
    Charset, CharsetRule, CharsetSpec, Decoded, UNDECODABLE_POSITIONS_MAX, Unencodable,
    UnknownCharset, undecodable_byte,
};
pub use delimiters::Delimiters;
pub use difference::{Difference, Side, differences};
pub use edit::{EditError, InsertAt};
pub use escape::{
    FORMAT_COUNT_MAX, Format, Meaning, Offset, Piece, Sequence, escape, is_representable,
    sequences, unescape,
};
pub use formatted_text::plain_text;
pub use groups::{GroupReader, GroupedSegment};
pub use header::{HEADER_BYTES_MAX, Header, HeaderError};
pub use message::{Match, Message};
pub use parse::{HeaderFound, Limits, ParseError};
pub use path::{GroupStep, Occurrence, Path, PathError, PathErrorKind};
pub use segment::{Segment, SegmentName, SegmentNameError};
pub use timestamp::{
    FRACTION_DIGITS_MAX, Fraction, Precision, TimeOfDay, Timestamp, TimestampError, ZoneOffset,
};
pub use value::{Presence, Value};
