//! HL7 v2 itself: parse, paths, edit, encode, escape, charsets, batches, acknowledgments, MLLP framing.

mod delimiters;

pub use delimiters::Delimiters;
