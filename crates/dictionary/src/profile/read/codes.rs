//! What can be wrong with a profile's file, for people who look a code up.

use pipehat_config::CodeDescription;

/// The codes of mistakes in a profile's file.
pub const CODES: &[CodeDescription] = &[
    CodeDescription {
        code: "profile.name",
        cause: "A profile is not called what its file is called.",
        remedy: "Rename the file, or the profile.",
    },
    CodeDescription {
        code: "profile.version",
        cause: "There is no such version of HL7 v2.",
        remedy: "Write one of 2.1 to 2.9.1, as MSH-12 has it.",
    },
    CodeDescription {
        code: "profile.message",
        cause: "This is no message type.",
        remedy: "Write the message code, alone or with its trigger event: `ORU` or `ORU^R01`.",
    },
    CodeDescription {
        code: "profile.place",
        cause: "A profile says something about a place that there is not, or that it can't speak of.",
        remedy: "Write segments as `PID` and fields as `PID-3`, `PID-3.4` or `PID-3.4.1`.",
    },
    CodeDescription {
        code: "profile.usage",
        cause: "This is no usage.",
        remedy: "Write R, RE, O, C, CE or X, or C(R/O) with a `when`.",
    },
    CodeDescription {
        code: "profile.range",
        cause: "This is no range of numbers.",
        remedy: "Write `0..1`, `1..4`, `1..*` or one number.",
    },
    CodeDescription {
        code: "profile.values",
        cause: "A value set can't be read, or names a table that there is not.",
        remedy: "List the codes, or name a table of HL7 or a file in the folder `tables`.",
    },
    CodeDescription {
        code: "profile.type",
        cause: "The version has no such data type.",
        remedy: "Write a data type of the profile's version.",
    },
    CodeDescription {
        code: "profile.format",
        cause: "A format or a pattern can't be read.",
        remedy: "Write a format as `YYYYMMDDHHMM[SS][+ZZZZ]`, and a pattern as a regular expression.",
    },
    CodeDescription {
        code: "profile.condition",
        cause: "A condition can't be read.",
        remedy: "Write it as in a channel's `when`, without functions.",
    },
    CodeDescription {
        code: "profile.rule",
        cause: "A rule asks for nothing, or for several things at once.",
        remedy: "Give it one of `require`, `forbid` and `then`.",
    },
    CodeDescription {
        code: "profile.accept",
        cause: "A profile takes a departure from a rule that there is not.",
        remedy: "Write the rule's name as a finding shows it, such as `code-not-suggested`.",
    },
    CodeDescription {
        code: "profile.too-many",
        cause: "A profile says more than it may.",
        remedy: "Divide it among several profiles, one for each kind of message.",
    },
    CodeDescription {
        code: "profile.evidence",
        cause: "The evidence of a profile can't be read.",
        remedy: "Learn the profile anew, or remove the whole `evidence`.",
    },
];
