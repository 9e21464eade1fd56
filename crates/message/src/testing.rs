//! Generators that the tests of several modules share.

use std::num::{NonZeroU16, NonZeroU32};

use proptest::prelude::*;

use crate::message::Message;
use crate::path::{Occurrence, Path};
use crate::segment::SegmentName;

const NAMES: [&str; 5] = ["PID", "OBX", "NTE", "ZP1", "MSH"];

/// Bytes that parse, with every oddity the parser tolerates.
pub(crate) fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop::sample::select(vec!["", "\u{feff}", "\u{b}", "\r\n", " \u{b}"]);
    let header = prop::sample::select(vec![
        "MSH|^~\\&",
        "MSH|^~\\&#|A|B",
        "MSH|^~\\&|A^B&C|B~D|",
        "MSH|^~",
        "MSH|^~\\|A",
        "MSH#*+!-#x",
        "MSH|^~\\&|\\F\\|",
    ]);
    let end = prop::sample::select(vec!["\r", "\n", "\r\n", "\r\r", "\n\r", "\r  \r"]);
    let name = prop::sample::select(vec!["PID", "OBX", "NTE", "ZP1", "PID", "OBX", "pid", "x"]);
    let content = "[ab|^~&\\\\#*+!\"-]{0,24}";
    let line = (end.clone(), name, prop::sample::select(vec!["|", "|", "|", "#", ""]), content)
        .prop_map(|(end, name, separator, content)| format!("{end}{name}{separator}{content}"));
    let lines = proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat());
    let tail =
        prop::sample::select(vec!["", "\r", "\n", "\r\n", "\r\n\u{1c}\r", "\u{1c}\r", "\r \r"]);
    (prefix, header, lines, tail)
        .prop_map(|(prefix, header, lines, tail)| format!("{prefix}{header}{lines}{tail}").into())
}

/// Paths into such messages, without `*`, `last` and `+1`.
pub(crate) fn any_path() -> impl Strategy<Value = Path> {
    let position = || (1..5_u16).prop_map(|number| NonZeroU16::new(number).unwrap());
    let number = || (1..4_u32).prop_map(|number| Occurrence::At(NonZeroU32::new(number).unwrap()));
    let depth = 1..5_u8;
    (0..NAMES.len(), number(), (position(), number(), position(), position()), depth).prop_map(
        |(name, occurrence, (field, repetition, component, subcomponent), depth)| {
            let name = SegmentName::try_from(NAMES[name]).unwrap();
            let mut path = Path::of_segment(name).with_occurrence(occurrence).with_field(field);
            if depth > 1 {
                path = path.with_repetition(repetition);
            }
            if depth > 2 {
                path = path.with_component(component);
            }
            if depth > 3 {
                path = path.with_subcomponent(subcomponent);
            }
            path
        },
    )
}

/// A place for [`Chosen::in_message`] to settle.
pub(crate) fn any_place() -> impl Strategy<Value = Chosen> {
    (any::<bool>(), any::<prop::sample::Index>(), any_path())
        .prop_map(|(existing, index, other)| Chosen { existing, index, other })
}

/// Half the time a place that exists, half the time any.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    existing: bool,
    index: prop::sample::Index,
    other: Path,
}

impl Chosen {
    pub(crate) fn in_message(self, message: &Message<'_>) -> Path {
        let mut places = Vec::new();
        for field in (0..message.segments().len()).filter_map(|index| message.segment_path(index)) {
            for position in 1..6 {
                let field = field.clone().with_field(NonZeroU16::new(position).unwrap());
                for deeper in ["", "[1]", "[2]", ".1", ".2", "[2].1", ".1.1", ".1.2", ".2.2"] {
                    let place = Path::parse(&format!("{field}{deeper}")).unwrap();
                    if message.get(&place).is_some() {
                        places.push(place);
                    }
                }
            }
        }
        if self.existing { self.index.get(&places).clone() } else { self.other }
    }
}

/// Raw values, some with delimiters in them.
pub(crate) fn text() -> impl Strategy<Value = Vec<u8>> {
    "[abc \"]{0,6}|[a|^~&\\\\#*+!-]{0,3}|\"\"".prop_map(String::into_bytes)
}
