//! The rules: what each is called, how bad a departure is at each level, and what is said about it.

use std::borrow::Cow;

use pipehat_message::{ErrorCode, Severity};

use super::condition::ConditionalRule;
use super::level::Level;
use crate::finding::Detail;
use crate::version::Version;

/// A rule that a message can depart from. Its [`id`](Rule::id) is stable: settings and scripts may name it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A required segment is missing.
    SegmentMissing,
    /// A required segment group is missing.
    GroupMissing,
    /// A segment of the version that the message structure does not have.
    SegmentUnexpected,
    /// A segment of the structure in a place that is not its own.
    SegmentMisplaced,
    /// More segments or groups than the structure allows.
    SegmentRepeats,
    /// A segment that the version does not define, and no Z segment.
    SegmentUnknown,
    /// A Z segment.
    SegmentLocal,
    /// A line that does not begin with a segment name.
    LineNotSegment,
    /// MSH-9 is empty.
    MessageTypeMissing,
    /// A message type that no version has.
    MessageTypeUnknown,
    /// A message type that another version has.
    MessageTypeOfOtherVersion,
    /// A trigger event that no version has for this message type.
    TriggerEventUnknown,
    /// MSH-9.3 is empty where the version has it.
    MessageStructureMissing,
    /// MSH-9.3 is not the structure of MSH-9.1 and MSH-9.2.
    MessageStructureDiffers,
    /// MSH-12 is empty.
    VersionMissing,
    /// MSH-12 names no version.
    VersionUnknown,
    /// MSH-11 is none of P, D and T.
    ProcessingIdUnknown,
    /// MSH-2 is not what is usual, or is too short or too long for the version.
    EncodingCharacters,
    /// MSH-18 names a character set that nobody knows.
    CharacterSetUnknown,
    /// Bytes beyond ASCII without MSH-18.
    CharacterSetUndeclared,
    /// Bytes that are not text in the character set of MSH-18.
    CharacterSetUndecodable,
    /// A required field is empty.
    FieldMissing,
    /// A required component is empty.
    ComponentMissing,
    /// `""` in a required field.
    RequiredDeleted,
    /// A withdrawn field, or one that is not supported.
    FieldNotSupported,
    /// More fields than the version defines.
    FieldUndefined,
    /// More repetitions than allowed.
    FieldRepeats,
    /// More components than the data type has.
    ComponentUndefined,
    /// More subcomponents than the data type has.
    SubcomponentUndefined,
    /// A value that is too long.
    ValueTooLong,
    /// A field of several components that is too long as a whole.
    FieldTooLong,
    /// A value longer than all receivers have to take.
    ConformanceLength,
    /// Not a number.
    NumberMalformed,
    /// Not a sequence ID.
    SequenceIdMalformed,
    /// Not a date, time or timestamp.
    DateMalformed,
    /// Blanks around a number, date or code.
    ValuePadded,
    /// Not a telephone number as the standard prints them.
    TelephoneMalformed,
    /// A universal ID that its type does not allow.
    UniversalIdMalformed,
    /// A universal ID without type, or a type without ID.
    UniversalIdIncomplete,
    /// SN with a comparator or separator that is none.
    StructuredNumericMalformed,
    /// A currency that is not three letters.
    CurrencyMalformed,
    /// A range that ends before it starts.
    RangeReversed,
    /// A code that an HL7 table does not have.
    CodeUnknown,
    /// A code that is not among the suggestions of a user-defined table.
    CodeNotSuggested,
    /// A code that the version keeps for older messages only.
    CodeDeprecated,
    /// A value without the field that says its data type.
    ValueTypeMissing,
    /// A data type that the version does not have.
    ValueTypeUnknown,
    /// An escape sequence that means nothing.
    EscapeUnknown,
    /// An escape character that starts nothing or is not closed.
    EscapeMalformed,
    /// A set ID that does not follow the one before.
    SetIdSequence,
    /// A rule about several fields.
    Conditional(&'static ConditionalRule),
    /// A rule of a profile, which says itself what it is about.
    Profile {
        /// The rule's name.
        id: &'static str,
        /// Its condition in table 0357.
        code: ErrorCode,
    },
    /// There are more findings than are kept.
    MoreFindings,
}

/// What one row of the table says.
struct Row {
    id: &'static str,
    code: ErrorCode,
    /// At each level, the mildest first; `None` is not looked at.
    severity: [Option<Severity>; 3],
    clause: &'static str,
    summary: &'static str,
}

const E: Option<Severity> = Some(Severity::Error);
const W: Option<Severity> = Some(Severity::Warning);
const I: Option<Severity> = Some(Severity::Information);
const N: Option<Severity> = None;

const fn row(
    id: &'static str,
    code: ErrorCode,
    severity: [Option<Severity>; 3],
    clause: &'static str,
    summary: &'static str,
) -> Row {
    Row { id, code, severity, clause, summary }
}

impl Rule {
    /// All rules but the conditional ones, which are [`CONDITIONAL_RULES`](super::CONDITIONAL_RULES), and those of
    /// profiles.
    pub const ALL: [Self; 51] = [
        Self::SegmentMissing,
        Self::GroupMissing,
        Self::SegmentUnexpected,
        Self::SegmentMisplaced,
        Self::SegmentRepeats,
        Self::SegmentUnknown,
        Self::SegmentLocal,
        Self::LineNotSegment,
        Self::MessageTypeMissing,
        Self::MessageTypeUnknown,
        Self::MessageTypeOfOtherVersion,
        Self::TriggerEventUnknown,
        Self::MessageStructureMissing,
        Self::MessageStructureDiffers,
        Self::VersionMissing,
        Self::VersionUnknown,
        Self::ProcessingIdUnknown,
        Self::EncodingCharacters,
        Self::CharacterSetUnknown,
        Self::CharacterSetUndeclared,
        Self::CharacterSetUndecodable,
        Self::FieldMissing,
        Self::ComponentMissing,
        Self::RequiredDeleted,
        Self::FieldNotSupported,
        Self::FieldUndefined,
        Self::FieldRepeats,
        Self::ComponentUndefined,
        Self::SubcomponentUndefined,
        Self::ValueTooLong,
        Self::FieldTooLong,
        Self::ConformanceLength,
        Self::NumberMalformed,
        Self::SequenceIdMalformed,
        Self::DateMalformed,
        Self::ValuePadded,
        Self::TelephoneMalformed,
        Self::UniversalIdMalformed,
        Self::UniversalIdIncomplete,
        Self::StructuredNumericMalformed,
        Self::CurrencyMalformed,
        Self::RangeReversed,
        Self::CodeUnknown,
        Self::CodeNotSuggested,
        Self::CodeDeprecated,
        Self::ValueTypeMissing,
        Self::ValueTypeUnknown,
        Self::EscapeUnknown,
        Self::EscapeMalformed,
        Self::SetIdSequence,
        Self::MoreFindings,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use ErrorCode as C;
        match self {
            Self::SegmentMissing => row("segment-missing", C::SegmentSequenceError, [W, E, E], "HL7 v2.5.1 §2.12", "a required segment is missing"),
            Self::GroupMissing => row("group-missing", C::SegmentSequenceError, [W, E, E], "HL7 v2.5.1 §2.12", "a required segment group is missing"),
            Self::SegmentUnexpected => row("segment-unexpected", C::SegmentSequenceError, [N, W, E], "HL7 v2.5.1 §2.12", "the message structure does not have the segment"),
            Self::SegmentMisplaced => row("segment-misplaced", C::SegmentSequenceError, [W, W, E], "HL7 v2.5.1 §2.12", "the segment stands in another place than the structure says"),
            Self::SegmentRepeats => row("segment-repeats", C::SegmentSequenceError, [N, W, E], "HL7 v2.5.1 §2.12", "the segment or group occurs more often than the structure allows"),
            Self::SegmentUnknown => row("segment-unknown", C::SegmentSequenceError, [N, W, E], "HL7 v2.5.1 §2.5.2", "the version does not define the segment, and it is no Z segment"),
            Self::SegmentLocal => row("segment-local", C::SegmentSequenceError, [N, N, I], "HL7 v2.5.1 §2.11", "a Z segment, which only a profile can describe"),
            Self::LineNotSegment => row("line-not-segment", C::SegmentSequenceError, [W, E, E], "HL7 v2.5.1 §2.5.2", "the line does not begin with a segment name"),
            Self::MessageTypeMissing => row("message-type-missing", C::UnsupportedMessageType, [E, E, E], "HL7 v2.5.1 §2.15.9.9", "MSH-9 does not say what message it is"),
            Self::MessageTypeUnknown => row("message-type-unknown", C::UnsupportedMessageType, [W, E, E], "HL7 v2.5.1 §2.17.1, table 0354", "no version defines this message type"),
            Self::MessageTypeOfOtherVersion => row("message-type-of-other-version", C::UnsupportedMessageType, [N, W, E], "HL7 v2.5.1 §2.17.1, table 0354", "another version defines this message: it is read by that version's structure"),
            Self::TriggerEventUnknown => row("trigger-event-unknown", C::UnsupportedEventCode, [W, E, E], "HL7 v2.5.1 §2.17.2, table 0003", "no version defines this trigger event for the message type"),
            Self::MessageStructureMissing => row("message-structure-missing", C::RequiredFieldMissing, [N, I, W], "HL7 v2.5.1 §2.15.9.9", "MSH-9.3 does not name the message structure"),
            Self::MessageStructureDiffers => row("message-structure-differs", C::UnsupportedMessageType, [N, W, E], "HL7 v2.5.1 §2.17.3, table 0354", "MSH-9.3 is not the structure of MSH-9.1 and MSH-9.2"),
            Self::VersionMissing => row("version-missing", C::UnsupportedVersionId, [W, W, E], "HL7 v2.5.1 §2.15.9.12", "MSH-12 does not say which version it is"),
            Self::VersionUnknown => row("version-unknown", C::UnsupportedVersionId, [W, E, E], "HL7 v2.5.1 §2.15.9.12, table 0104", "MSH-12 names no version of the standard"),
            Self::ProcessingIdUnknown => row("processing-id-unknown", C::UnsupportedProcessingId, [W, E, E], "HL7 v2.5.1 §2.15.9.11, table 0103", "MSH-11.1 is none of P, D and T"),
            Self::EncodingCharacters => row("encoding-characters", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.5.4, §2.15.9.2", "MSH-2 is not as the version has it"),
            Self::CharacterSetUnknown => row("character-set-unknown", C::TableValueNotFound, [W, W, E], "HL7 v2.5.1 §2.15.9.18, table 0211", "MSH-18 names an unknown character set"),
            Self::CharacterSetUndeclared => row("character-set-undeclared", C::DataTypeError, [N, W, W], "HL7 v2.5.1 §2.15.9.18", "text beyond ASCII without a character set in MSH-18"),
            Self::CharacterSetUndecodable => row("character-set-undecodable", C::DataTypeError, [W, E, E], "HL7 v2.5.1 §2.15.9.18", "bytes that are no text in the character set of MSH-18"),
            Self::FieldMissing => row("required-field-missing", C::RequiredFieldMissing, [W, E, E], "HL7 v2.5.1 §2.5.3.4", "a required field is empty"),
            Self::ComponentMissing => row("required-component-missing", C::RequiredFieldMissing, [N, W, E], "HL7 v2.7 §2.5.3.4", "a required component is empty"),
            Self::RequiredDeleted => row("required-field-deleted", C::RequiredFieldMissing, [N, W, E], "HL7 v2.5.1 §2.5.3", "\"\" in a required field"),
            Self::FieldNotSupported => row("field-not-supported", C::DataTypeError, [N, I, W], "HL7 v2.9.1 §2.5.3.4", "a field that the version has withdrawn"),
            Self::FieldUndefined => row("field-undefined", C::DataTypeError, [N, I, E], "HL7 v2.5.1 §2.6.2", "more fields than the version defines"),
            Self::FieldRepeats => row("field-repeats", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.5.3.5", "more repetitions than allowed"),
            Self::ComponentUndefined => row("component-undefined", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.5.3.3, §2.6.2", "more components than the data type has"),
            Self::SubcomponentUndefined => row("subcomponent-undefined", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.5.3.3, §2.6.2", "more subcomponents than the data type has"),
            Self::ValueTooLong => row("value-too-long", C::ValueTooLong, [N, W, E], "HL7 v2.5.1 §2.5.3.2", "a value longer than its maximum length"),
            Self::FieldTooLong => row("field-too-long", C::ValueTooLong, [N, I, W], "HL7 v2.5.1 §2.5.3.2", "a field of several components longer than its maximum length"),
            Self::ConformanceLength => row("conformance-length", C::ValueTooLong, [N, I, I], "HL7 v2.7 §2.5.5.3", "a value longer than every receiver has to take"),
            Self::NumberMalformed => row("number-malformed", C::DataTypeError, [W, E, E], "HL7 v2.5.1 §2.A.47", "a value of type NM that is no number"),
            Self::SequenceIdMalformed => row("sequence-id-malformed", C::DataTypeError, [W, E, E], "HL7 v2.5.1 §2.A.69", "a value of type SI that is no positive number or zero"),
            Self::DateMalformed => row("date-malformed", C::DataTypeError, [W, E, E], "HL7 v2.5.1 §2.A.22", "a value of type DT, TM, DTM or TS that is no date or time"),
            Self::ValuePadded => row("value-padded", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.A.47, §2.A.22", "blanks around a number, date or code"),
            Self::TelephoneMalformed => row("telephone-malformed", C::DataTypeError, [N, N, I], "HL7 v2.5.1 §2.A.89", "a telephone number that is not written as the standard has it"),
            Self::UniversalIdMalformed => row("universal-id-malformed", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.A.33, table 0301", "a universal ID that is none of its type"),
            Self::UniversalIdIncomplete => row("universal-id-incomplete", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.A.33", "a universal ID without its type, or a type without ID"),
            Self::StructuredNumericMalformed => row("structured-numeric-malformed", C::DataTypeError, [W, E, E], "HL7 v2.5.1 §2.A.70", "an SN value with a comparator or separator that is none"),
            Self::CurrencyMalformed => row("currency-malformed", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.A.42", "a currency that is not three capital letters of ISO 4217"),
            Self::RangeReversed => row("range-reversed", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.A.20", "a range of time that ends before it starts"),
            Self::CodeUnknown => row("code-unknown", C::TableValueNotFound, [N, W, E], "HL7 v2.5.1 §2.5.3.6", "a code that the HL7 table does not have"),
            Self::CodeNotSuggested => row("code-not-suggested", C::TableValueNotFound, [N, I, W], "HL7 v2.5.1 §2.5.3.6", "a code that is not among the suggestions of a user-defined table"),
            Self::CodeDeprecated => row("code-deprecated", C::TableValueNotFound, [N, I, W], "HL7 v2.9.1 §2.5.3.6", "a code that the version keeps for older messages only"),
            Self::ValueTypeMissing => row("value-type-missing", C::RequiredFieldMissing, [W, E, E], "HL7 v2.5.1 §7.4.2.2", "a value without the field that says its data type"),
            Self::ValueTypeUnknown => row("value-type-unknown", C::TableValueNotFound, [W, E, E], "HL7 v2.5.1 §7.4.2.2, table 0125", "a data type that the version does not have"),
            Self::EscapeUnknown => row("escape-unknown", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.7.1", "an escape sequence that the standard does not have"),
            Self::EscapeMalformed => row("escape-malformed", C::DataTypeError, [N, W, E], "HL7 v2.5.1 §2.7.1", "an escape character that is not part of a sequence"),
            Self::SetIdSequence => row("set-id-sequence", C::DataTypeError, [N, I, W], "HL7 v2.5.1 §2.A.69, §3.4.2.1", "a set ID that does not follow the one before"),
            Self::Conditional(rule) => row(rule.id, rule.code, rule.severity, rule.clause, rule.text),
            Self::Profile { id, code } => row(id, code, [W, E, E], "profile", "a rule of the profile"),
            Self::MoreFindings => row("more-findings", C::ApplicationInternalError, [I, I, I], "", "there are more findings than are kept"),
        }
    }

    /// Its stable name.
    pub const fn id(self) -> &'static str {
        self.row().id
    }

    /// The condition in HL7 table 0357.
    pub const fn code(self) -> ErrorCode {
        self.row().code
    }

    /// How bad a departure is; `None` where this level does not look.
    pub const fn severity(self, level: Level) -> Option<Severity> {
        self.row().severity[level as usize]
    }

    /// What it is about, in a few words.
    pub const fn summary(self) -> &'static str {
        self.row().summary
    }

    /// Where the standard says so; of a data type, the clause of the type that the finding is about.
    pub fn clause(self, detail: &Detail) -> Cow<'static, str> {
        match (self, detail) {
            (Self::DateMalformed | Self::NumberMalformed, Detail::DataType(_, "DT")) => {
                "HL7 v2.5.1 §2.A.21".into()
            }
            (Self::DateMalformed, Detail::DataType(_, "TM")) => "HL7 v2.5.1 §2.A.75".into(),
            (Self::CodeUnknown | Self::CodeNotSuggested, Detail::Table(_, table)) => {
                format!("{}, table {table:04}", self.row().clause).into()
            }
            _ => self.row().clause.into(),
        }
    }

    /// A sentence: what is wrong, and what to do. `own_name` stands in for a name that the standard does not have.
    pub fn text(self, detail: &Detail, version: Version, own_name: Option<&str>) -> String {
        let named = |name: &str, rest: &str| {
            let name = own_name.unwrap_or(name);
            let name = if name.is_empty() { "this field" } else { name };
            format!("{name} {rest}")
        };
        match (self, detail) {
            (_, Detail::Text(text)) => text.clone().into_owned(),
            (Self::Conditional(rule), _) => rule.text.to_owned(),
            (Self::SegmentUnknown, _) => {
                format!("version {version} has no such segment: local segments begin with Z")
            }
            (Self::LineNotSegment, _) => {
                "this line is no segment: escape line breaks inside values as \\.br\\ or \\X0D\\"
                    .to_owned()
            }
            (Self::FieldMissing, Detail::Name(name)) => {
                named(name, "is required and empty: send a value")
            }
            (Self::ComponentMissing, Detail::Name(name)) => {
                named(name, "is required where the field has a value: send it")
            }
            (Self::RequiredDeleted, Detail::Name(name)) => {
                named(name, "is required and can't be deleted with \"\"")
            }
            (Self::FieldNotSupported, Detail::Name(name)) => {
                named(name, &format!("is withdrawn in version {version}: don't send it"))
            }
            (Self::FieldUndefined, _) => {
                format!("version {version} does not define this field: receivers will pass it over")
            }
            (Self::FieldRepeats, Detail::Most(name, most)) => {
                named(name, &format!("may have {most} repetition(s) and has more"))
            }
            (Self::ComponentUndefined, Detail::DataType(name, kind)) => named(
                name,
                &format!(
                    "has more components than {kind} of version {version}: escape the component separator if it is text"
                ),
            ),
            (Self::SubcomponentUndefined, Detail::DataType(name, kind)) => named(
                name,
                &format!(
                    "has more subcomponents than {kind} of version {version}: escape the subcomponent separator if it is text"
                ),
            ),
            (Self::ValueTooLong | Self::FieldTooLong, Detail::Most(name, most)) => {
                named(name, &format!("is longer than {}: receivers may cut it", characters(*most)))
            }
            (Self::ConformanceLength, Detail::Most(name, most)) => named(
                name,
                &format!(
                    "is longer than {}, which is what receivers have to take",
                    characters(*most)
                ),
            ),
            (Self::NumberMalformed, Detail::DataType(name, _)) => {
                named(name, "is no number: NM has digits, an optional sign and decimal point")
            }
            (Self::SequenceIdMalformed, Detail::DataType(name, _)) => {
                named(name, "is no sequence ID: SI has digits only")
            }
            (Self::ValueTypeUnknown, _) => {
                format!("this names a data type that version {version} does not have")
            }
            (Self::DateMalformed, Detail::DataType(name, kind)) => {
                // DTM came with 2.5.
                let kind = if *kind == "DTM" && version < Version::V2_5 { &"TS" } else { kind };
                let form = match *kind {
                    "DT" => "YYYY[MM[DD]]",
                    "TM" => "HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ]",
                    _ => "YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]",
                };
                named(
                    name,
                    &format!("is no {kind} value: write an existing date or time as {form}"),
                )
            }
            (Self::ValuePadded, Detail::DataType(name, _)) => {
                named(name, "has blanks around it: send it without")
            }
            (Self::CodeUnknown, Detail::Table(name, table)) => named(
                name,
                &format!("has a code that HL7 table {table:04} of version {version} does not list"),
            ),
            (Self::CodeNotSuggested, Detail::Table(name, table)) => named(
                name,
                &format!(
                    "has a code that user-defined table {table:04} does not suggest: agree on it in a profile"
                ),
            ),
            (Self::CodeDeprecated, Detail::Table(name, table)) => named(
                name,
                &format!("has a code that table {table:04} keeps for older versions only"),
            ),
            (Self::MoreFindings, Detail::More(count)) => {
                format!("{count} more findings are not listed")
            }
            (
                _,
                Detail::Name(name)
                | Detail::DataType(name, _)
                | Detail::Most(name, _)
                | Detail::Table(name, _),
            ) if !own_name.unwrap_or(name).is_empty() => {
                format!("{}: {}", own_name.unwrap_or(name), self.row().summary)
            }
            _ => self.row().summary.to_owned(),
        }
    }
}

fn characters(count: u32) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::validation::CONDITIONAL_RULES;

    #[test]
    fn names_are_unique_and_stricter_levels_are_never_milder() {
        let rank = |severity: Option<Severity>| match severity {
            None => 0,
            Some(Severity::Information) => 1,
            Some(Severity::Warning) => 2,
            Some(Severity::Error) => 3,
        };
        let mut ids = BTreeSet::new();
        let conditional = CONDITIONAL_RULES.iter().map(Rule::Conditional);
        for rule in Rule::ALL.into_iter().chain(conditional) {
            assert!(ids.insert(rule.id()), "{rule:?} twice");
            let ranks = Level::ALL.map(|level| rank(rule.severity(level)));
            assert!(ranks.is_sorted(), "{rule:?}");
            assert!(rule.clause(&Detail::None).contains('§') || rule == Rule::MoreFindings);
        }
    }
}
