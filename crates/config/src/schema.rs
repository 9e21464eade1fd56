//! A connector's configuration as data, from which reading, the console's form and the documentation are made.

use crate::diagnostic::Diagnostics;
use crate::node::Node;
use crate::settings::Settings;
use crate::source::SourceFile;

/// One key of a map.
#[derive(Debug, Clone, Copy)]
pub struct FieldSchema {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: Required,
    /// What it is for: a sentence for the documentation and the console.
    pub doc: &'static str,
    /// A value as one would write it in YAML.
    pub example: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number between two bounds, these included.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// `30s`
    Duration,
    /// `64KiB`
    Bytes,
    /// `host:port`
    Address,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A list of such values.
    List(&'static Kind),
    /// One such value, or a list of them.
    OneOrMore(&'static Kind),
    /// Keys that the user chooses, with such values.
    Map(&'static Kind),
    /// A map with its own keys.
    Section(&'static [FieldSchema]),
    /// `secret:NAME`
    Secret,
    /// A text with parts that are put in for each message; who uses it compiles it.
    Template,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// It must.
    Yes,
    /// It may be left out.
    No,
    /// Left out, it is as if this stood there, written as in YAML.
    Default(&'static str),
}

/// A key that people put in the wrong map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misplaced {
    /// The key.
    pub key: &'static str,
    /// Where it belongs: "`retry` belongs one level up, beside `mllp`".
    pub hint: &'static str,
}

/// What is wrong with a schema itself: names that are there twice, defaults and examples that do not fit their kind,
/// missing documentation. For the tests of whoever writes a schema; empty when all is well.
pub fn schema_mistakes(fields: &'static [FieldSchema]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|other| other.name == field.name) {
            mistakes.push(format!("`{}` is there twice", field.name));
        }
        if field.doc.trim().is_empty() {
            mistakes.push(format!("`{}` has no documentation", field.name));
        }
        let mut check = |what: &str, text: &str| {
            let file = SourceFile::new(format!("the {what} of `{}`", field.name), text);
            let mut diagnostics = Diagnostics::new();
            if let Some(node) = Node::parse(&file, &mut diagnostics) {
                Settings::read_value(&node, field, &mut diagnostics);
            }
            if diagnostics.is_err() {
                mistakes.push(diagnostics.to_string());
            }
        };
        check("example", field.example);
        if let Required::Default(default) = field.required {
            check("default", default);
        }
        let mut kind = field.kind;
        while let Kind::List(inner) | Kind::OneOrMore(inner) | Kind::Map(inner) = kind {
            kind = *inner;
        }
        if let Kind::Section(inner) = kind {
            mistakes.extend(schema_mistakes(inner));
        }
    }
    mistakes
}
