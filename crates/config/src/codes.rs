//! The operator codes of this layer, for the page that says cause and remedy.

/// A stable code, its cause and its remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeDescription {
    /// The code, for example `config.unknown-key`.
    pub code: &'static str,
    /// What it means.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

const fn code(code: &'static str, cause: &'static str, remedy: &'static str) -> CodeDescription {
    CodeDescription { code, cause, remedy }
}

/// All codes that this crate reports.
pub const CODES: &[CodeDescription] = &[
    code("config.conflicting-keys", "Two keys exclude one another.", "Keep one of them."),
    code(
        "config.duplicate-key",
        "A key is twice in one map.",
        "Keep one of the two; only one value can count.",
    ),
    code(
        "config.expected-address",
        "The value is not `host:port`.",
        "Write host and port, such as `lab.internal:2575`.",
    ),
    code(
        "config.expected-boolean",
        "The value is neither `true` nor `false`.",
        "Write `true` or `false`, in small letters.",
    ),
    code(
        "config.expected-bytes",
        "The value is not a size.",
        "Write a number and a unit, such as `64KiB` or `50MB`.",
    ),
    code(
        "config.expected-duration",
        "The value is not a duration.",
        "Write a number and a unit, such as `250ms`, `30s` or `5m`.",
    ),
    code(
        "config.expected-integer",
        "The value is not a whole number.",
        "Write it in digits, without leading zeros, signs for thousands or fractions.",
    ),
    code(
        "config.expected-key",
        "Where a key belongs stands a map, a list or nothing.",
        "Write `key: value`; put texts with brackets in quotes.",
    ),
    code(
        "config.expected-list",
        "The value is not a list.",
        "Write `[a, b]`, or lines that begin with `- `.",
    ),
    code(
        "config.expected-map",
        "The value is not a map.",
        "Write indented `key: value` lines, or `{ key: value }`.",
    ),
    code("config.expected-text", "The text is empty.", "Write a text."),
    code(
        "config.expected-value",
        "A single value belongs here, and there is a map, a list or nothing.",
        "Write the value after the `:`.",
    ),
    code("config.merge-key", "YAML's merge key `<<` is not taken.", "Write the keys out."),
    code("config.missing-key", "A key that must be there is missing.", "Add it."),
    code(
        "config.multiple-documents",
        "The file holds more than one YAML document.",
        "Remove the `---` line, or make several files.",
    ),
    code(
        "config.not-a-choice",
        "The value is not one of the possible words.",
        "Choose one of the words in the message.",
    ),
    code("config.not-utf8", "The file is not saved as UTF-8.", "Save it with the encoding UTF-8."),
    code(
        "config.null",
        "`null` or `~` stands where a text belongs.",
        "Write `\"\"` for an empty text, or remove the line.",
    ),
    code(
        "config.out-of-range",
        "The value is too small or too large.",
        "Choose a value within the bounds in the message.",
    ),
    code(
        "config.plain-secret",
        "A secret stands in the file, or its reference has a wrong form.",
        "Write `secret:NAME`, and change a secret that others may have seen.",
    ),
    code(
        "config.syntax",
        "The file can't be read as YAML.",
        "Mend quotes, brackets or indentation at the place shown, then check again.",
    ),
    code("config.tab", "A line is indented with a tab.", "Use spaces."),
    code(
        "config.tag",
        "A word begins with `!`, which YAML takes as a tag.",
        "Put the text in quotes, or remove the tag.",
    ),
    code(
        "config.too-deep",
        "Too many maps and lists stand within one another.",
        "Check the indentation.",
    ),
    code(
        "config.too-large",
        "The file, or what variables put into it, is too large.",
        "Split the file; keep data in `tables/`.",
    ),
    code(
        "config.too-many-values",
        "The file has too many values, those that aliases stand for included.",
        "Keep data in `tables/`; write aliases out.",
    ),
    code(
        "config.unknown-alias",
        "An alias stands within what it stands for.",
        "Write the lines out.",
    ),
    code(
        "config.unknown-key",
        "A key has no meaning in this map.",
        "Correct or remove it; the message says what is near.",
    ),
    code(
        "config.unset-variable",
        "An environment variable is not set and has no default.",
        "Set it, or write `${NAME:-default}`.",
    ),
    code(
        "config.variable",
        "A `${…}` has a wrong form.",
        "Write `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`.",
    ),
];
