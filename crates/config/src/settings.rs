//! A map that was read by its schema: typed values by name, with their places.

use std::time::Duration;

use crate::address::Address;
use crate::diagnostic::Diagnostics;
use crate::fields::Fields;
use crate::node::{Key, Node, Value};
use crate::schema::{FieldSchema, Kind, Misplaced, Required};
use crate::secret::SecretReference;
use crate::source::{SourceFile, Span};

/// A value that fits its schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    span: Span,
    content: Content,
}

#[derive(Clone, PartialEq)]
enum Content {
    Text { text: String, substituted: bool },
    Integer(i64),
    Boolean(bool),
    Duration(Duration),
    Bytes(u64),
    Address(Address),
    Choice(&'static str),
    List(Vec<Setting>),
    Map(Vec<(Key, Setting)>),
    Section(Settings),
    Secret(SecretReference),
}

/// A text that a variable was put into is not printed.
impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { substituted: true, .. } => formatter.write_str("[redacted]"),
            Self::Text { text, substituted: false } => text.fmt(formatter),
            Self::Integer(number) => number.fmt(formatter),
            Self::Boolean(boolean) => boolean.fmt(formatter),
            Self::Duration(duration) => duration.fmt(formatter),
            Self::Bytes(bytes) => bytes.fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
            Self::Choice(choice) => choice.fmt(formatter),
            Self::List(list) => list.fmt(formatter),
            Self::Map(map) => map.fmt(formatter),
            Self::Section(section) => section.fmt(formatter),
            Self::Secret(secret) => secret.fmt(formatter),
        }
    }
}

/// The values of a map, valid by its schema. Ask by name; a name that the schema does not have, or has with another
/// kind, is a mistake of the caller and is caught by a debug assertion.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    name: String,
    span: Span,
    values: Vec<(&'static str, Setting)>,
    schema: SchemaReference,
}

/// A schema is compared by where it stands.
#[derive(Clone, Copy)]
struct SchemaReference(&'static [FieldSchema]);

impl PartialEq for SchemaReference {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl std::fmt::Debug for SchemaReference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|field| field.name)).finish()
    }
}

impl Settings {
    /// Reads a map by its schema. `None` when anything in it is wrong; all that is wrong is then reported.
    pub fn read(
        node: &Node,
        name: &str,
        schema: &'static [FieldSchema],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        Self::read_with_hints(node, name, schema, &[], diagnostics)
    }

    /// As [`Settings::read`], and says where keys belong that people put here by mistake.
    pub fn read_with_hints(
        node: &Node,
        name: &str,
        schema: &'static [FieldSchema],
        misplaced: &[Misplaced],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut fields = Fields::of(node, name, diagnostics)?;
        misplaced.iter().for_each(|one| fields.misplaced(one.key, one.hint));
        let mut values = Vec::new();
        let mut complete = true;
        for field in schema {
            if matches!(field.kind, Kind::Secret) {
                fields.confidential(field.name);
            }
            let present = fields.contains(field.name);
            let read = |node: &Node, diagnostics: &mut Diagnostics| {
                Self::read_value(node, field, diagnostics)
            };
            let setting = match field.required {
                Required::Yes => fields.required(field.name, read),
                Required::No => fields.optional(field.name, read),
                Required::Default(default) if !present => {
                    fields.take(field.name);
                    let file = SourceFile::new(format!("the default of `{}`", field.name), default);
                    let diagnostics = fields.diagnostics();
                    Node::parse(&file, diagnostics).and_then(|node| read(&node, diagnostics))
                }
                Required::Default(_) => fields.optional(field.name, read),
            };
            complete &= setting.is_some() || (field.required == Required::No && !present);
            values.extend(setting.map(|setting| (field.name, setting)));
        }
        let name = name.to_owned();
        let schema = SchemaReference(schema);
        let sound = fields.finish();
        (sound && complete).then(|| Self { name, span: node.span.clone(), values, schema })
    }

    /// Reads one value by its schema.
    pub(crate) fn read_value(
        node: &Node,
        field: &'static FieldSchema,
        diagnostics: &mut Diagnostics,
    ) -> Option<Setting> {
        Setting::read(node, field.name, &field.kind, diagnostics)
    }

    /// What the map is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of the whole map.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// A value, if it is there or has a default.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        debug_assert!(
            self.schema.0.iter().any(|field| field.name == name),
            "`{name}` is not in the schema"
        );
        self.values.iter().find(|(known, _)| *known == name).map(|(_, setting)| setting)
    }

    /// Whether a value is there or has a default.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The place of a value, for later errors about it. A default's place is in a file called "the default of …";
    /// see [`Settings::is_default`].
    pub fn span_of(&self, name: &str) -> Option<&Span> {
        self.get(name).map(Setting::span)
    }

    /// Whether a value is the default of the schema and does not stand in the file.
    pub fn is_default(&self, name: &str) -> bool {
        self.span_of(name).is_some_and(|span| span.file().name() != self.span.file().name())
    }

    /// A text or a template.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.typed(name, Setting::text)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.typed(name, Setting::integer)
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.typed(name, Setting::boolean)
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.typed(name, Setting::duration)
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.typed(name, Setting::bytes)
    }

    /// An address.
    pub fn address(&self, name: &str) -> Option<&Address> {
        self.typed(name, Setting::address)
    }

    /// The chosen word.
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        self.typed(name, Setting::choice)
    }

    /// The elements of a list.
    pub fn list(&self, name: &str) -> Option<&[Setting]> {
        self.typed(name, Setting::list)
    }

    /// The texts of a list of texts; none when there is no list.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name).unwrap_or_default().iter().filter_map(Setting::text).collect()
    }

    /// The keys and values of a map whose keys the user chooses.
    pub fn map(&self, name: &str) -> Option<&[(Key, Setting)]> {
        self.typed(name, Setting::map)
    }

    /// A section.
    pub fn section(&self, name: &str) -> Option<&Settings> {
        self.typed(name, Setting::section)
    }

    /// A reference to a secret.
    pub fn secret(&self, name: &str) -> Option<&SecretReference> {
        self.typed(name, Setting::secret)
    }

    fn typed<'s, T>(
        &'s self,
        name: &str,
        read: impl FnOnce(&'s Setting) -> Option<T>,
    ) -> Option<T> {
        let setting = self.get(name)?;
        let value = read(setting);
        debug_assert!(value.is_some(), "`{name}` has another kind in the schema");
        value
    }
}

impl Setting {
    /// Whether a variable was put into its text: what it says is not for messages then.
    pub fn is_substituted(&self) -> bool {
        matches!(self.content, Content::Text { substituted: true, .. })
    }

    fn read(
        node: &Node,
        name: &str,
        kind: &'static Kind,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let content = match kind {
            Kind::Text | Kind::Template => {
                let text = node.text(diagnostics)?.to_owned();
                let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
                Content::Text { text, substituted }
            }
            Kind::Integer { min, max } => Content::Integer(node.integer(*min..=*max, diagnostics)?),
            Kind::Boolean => Content::Boolean(node.boolean(diagnostics)?),
            Kind::Duration => Content::Duration(node.duration(diagnostics)?),
            Kind::Bytes => Content::Bytes(node.bytes(diagnostics)?),
            Kind::Address => Content::Address(node.address(diagnostics)?),
            Kind::Choice(choices) => Content::Choice(node.one_of(choices, diagnostics)?),
            Kind::List(kind) => Content::List(node.list_of(diagnostics, |node, diagnostics| {
                Self::read(node, name, kind, diagnostics)
            })?),
            Kind::OneOrMore(kind) if !matches!(node.value, Value::List(_)) => {
                Content::List(vec![Self::read(node, name, kind, diagnostics)?])
            }
            Kind::OneOrMore(kind) => {
                Content::List(node.list_of(diagnostics, |node, diagnostics| {
                    Self::read(node, name, kind, diagnostics)
                })?)
            }
            Kind::Map(kind) => {
                let map = node.map(name, diagnostics)?;
                let entry = |(key, node): (&Key, &Node)| {
                    Self::read(node, &key.text, kind, diagnostics)
                        .map(|setting| (key.clone(), setting))
                };
                let entries: Vec<Option<(Key, Self)>> = map.iter().map(entry).collect();
                Content::Map(entries.into_iter().collect::<Option<Vec<_>>>()?)
            }
            Kind::Section(schema) => {
                Content::Section(Settings::read(node, name, schema, diagnostics)?)
            }
            Kind::Secret => Content::Secret(node.secret(diagnostics)?),
        };
        Some(Self { span: node.span.clone(), content })
    }

    /// Where it stands.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// A text or a template.
    pub fn text(&self) -> Option<&str> {
        if let Content::Text { text, .. } = &self.content { Some(text) } else { None }
    }

    /// A whole number.
    pub fn integer(&self) -> Option<i64> {
        if let Content::Integer(integer) = self.content { Some(integer) } else { None }
    }

    /// A boolean.
    pub fn boolean(&self) -> Option<bool> {
        if let Content::Boolean(boolean) = self.content { Some(boolean) } else { None }
    }

    /// A duration.
    pub fn duration(&self) -> Option<Duration> {
        if let Content::Duration(duration) = self.content { Some(duration) } else { None }
    }

    /// A size in bytes.
    pub fn bytes(&self) -> Option<u64> {
        if let Content::Bytes(bytes) = self.content { Some(bytes) } else { None }
    }

    /// An address.
    pub fn address(&self) -> Option<&Address> {
        if let Content::Address(address) = &self.content { Some(address) } else { None }
    }

    /// The chosen word.
    pub fn choice(&self) -> Option<&'static str> {
        if let Content::Choice(choice) = self.content { Some(choice) } else { None }
    }

    /// The elements of a list.
    pub fn list(&self) -> Option<&[Setting]> {
        if let Content::List(list) = &self.content { Some(list) } else { None }
    }

    /// The keys and values of a map whose keys the user chooses.
    pub fn map(&self) -> Option<&[(Key, Setting)]> {
        if let Content::Map(map) = &self.content { Some(map) } else { None }
    }

    /// A section.
    pub fn section(&self) -> Option<&Settings> {
        if let Content::Section(section) = &self.content { Some(section) } else { None }
    }

    /// A reference to a secret.
    pub fn secret(&self) -> Option<&SecretReference> {
        if let Content::Secret(secret) = &self.content { Some(secret) } else { None }
    }
}
