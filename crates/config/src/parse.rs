//! From YAML events to a tree, within limits.
//!
//! Taken from YAML: block and flow style, all five ways of writing a scalar, comments, anchors and aliases. Refused,
//! with a word about what to write instead: several documents, tags, merge keys, keys that are not a single value,
//! keys that are there twice.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle as YamlStyle, Span as YamlSpan, Tag};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::{Key, Map, Node, Scalar, ScalarStyle, Value};
use crate::source::{SourceFile, Span};
use crate::syntax;

/// What a file may have at most. The defaults are far above what a person writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes_max: usize,
    /// Maps and lists within one another.
    pub depth_max: usize,
    /// Maps, lists and scalars, where an anchor counts twice and an alias as all that it stands for.
    pub nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 4 * 1024 * 1024, depth_max: 64, nodes_max: 250_000 }
    }
}

impl Node {
    /// Reads the tree of a file. `None` when it can't be read as a tree; then at least one error was added.
    /// An empty file is a [`Value::Null`].
    pub fn parse(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::parse_within(file, Limits::default(), diagnostics)
    }

    /// As [`Node::parse`], with limits of your own.
    pub fn parse_within(
        file: &Arc<SourceFile>,
        limits: Limits,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if file.text().len() > limits.bytes_max {
            let message = format!("this file has more than {} bytes", limits.bytes_max);
            diagnostics.push(
                Diagnostic::error_in_file("config.too-large", file.name(), message).with_help(
                    "split it into several files, and keep data such as code tables in `tables/`",
                ),
            );
            return None;
        }
        let offsets = Offsets::of(file.text());
        let mut builder = Builder {
            file,
            offsets,
            limits,
            diagnostics,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            root: None,
        };
        let mut parser = Parser::new_from_str(file.text());
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            match event {
                Ok((Event::DocumentStart(_), span)) if documents > 0 => {
                    let span = builder.span(span);
                    builder.diagnostics.push(
                        Diagnostic::error(
                            "config.multiple-documents",
                            &span,
                            "a second document starts here",
                        )
                        .with_help(
                            "`---` begins a new document: remove the line, or make two files of it",
                        ),
                    );
                    return None;
                }
                Ok((Event::DocumentStart(_), _)) => documents += 1,
                Ok((event, span)) => builder.take(event, span)?,
                Err(error) => {
                    let at = builder.offsets.byte(error.marker().index());
                    let open = builder.open_brackets();
                    syntax::explain(file, at, error.info(), &open, builder.diagnostics);
                    return None;
                }
            }
        }
        let empty = Node { span: Span::new(file, 0, 0), value: Value::Null };
        Some(builder.root.unwrap_or(empty))
    }
}

/// The parser counts characters, spans count bytes.
struct Offsets {
    /// Byte offset of every character; empty when all are one byte long.
    bytes: Vec<usize>,
    length: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(index, _)| index).collect()
        };
        Self { bytes, length: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            return character.min(self.length);
        }
        self.bytes.get(character).copied().unwrap_or(self.length)
    }
}

/// A map or list that is not finished.
struct Frame {
    start: usize,
    anchor: usize,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, seen: HashMap<String, Span>, key: PendingKey },
}

enum PendingKey {
    /// The next node is a key.
    None,
    /// The next node is the value of this key.
    Key(Key),
    /// The next node is the value of something that is no key, which was reported.
    Refused,
}

struct Builder<'b> {
    file: &'b Arc<SourceFile>,
    offsets: Offsets,
    limits: Limits,
    diagnostics: &'b mut Diagnostics,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    nodes: usize,
    root: Option<Node>,
}

/// How large a tree is.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let within = |children: &mut dyn Iterator<Item = &Node>| {
            children.map(Self::of).fold(Self { nodes: 1, depth: 1 }, |all, child| Self {
                nodes: all.nodes + child.nodes,
                depth: all.depth.max(child.depth + 1),
            })
        };
        match &node.value {
            Value::Null | Value::Scalar(_) => Self { nodes: 1, depth: 0 },
            Value::List(nodes) => within(&mut nodes.iter()),
            Value::Map(map) => within(&mut map.iter().map(|(_, node)| node)),
        }
    }
}

impl Builder<'_> {
    fn span(&self, span: YamlSpan) -> Span {
        let (start, end) = (span.start.index(), span.end.index());
        Span::new(self.file, self.offsets.byte(start), self.offsets.byte(end))
    }

    /// The flow maps and lists that are open, outermost first: their brackets.
    fn open_brackets(&self) -> Vec<Span> {
        let spans =
            self.frames.iter().map(|frame| Span::new(self.file, frame.start, frame.start + 1));
        spans.filter(|span| matches!(span.text(), "{" | "[")).collect()
    }

    fn take(&mut self, event: Event<'_>, yaml_span: YamlSpan) -> Option<()> {
        let span = self.span(yaml_span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &span);
                self.count(1, 0, &span)?;
                let node = self.scalar(&text, style, span);
                self.remember(anchor, &node)?;
                self.finish(node);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &span);
                self.count(1, 1, &span)?;
                let kind = FrameKind::List(Vec::new());
                self.frames.push(Frame { start: span.start(), anchor, kind });
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), &span);
                self.count(1, 1, &span)?;
                let kind = FrameKind::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: PendingKey::None,
                };
                self.frames.push(Frame { start: span.start(), anchor, kind });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span)?,
            Event::Alias(anchor) => self.alias(anchor, &span)?,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Some(())
    }

    /// Counts nodes that are about to be added, `depth` levels below the open ones.
    fn count(&mut self, nodes: usize, depth: usize, span: &Span) -> Option<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        let Limits { nodes_max, depth_max, .. } = self.limits;
        if self.nodes > nodes_max {
            let message = format!("this file has more than {nodes_max} values");
            let help = "an alias (`*name`) counts as all that it stands for; keep data such as code tables in `tables/`";
            self.diagnostics
                .push(Diagnostic::error("config.too-many-values", span, message).with_help(help));
            return None;
        }
        if self.frames.len() + depth > depth_max {
            let message =
                format!("more than {depth_max} maps and lists stand within one another here");
            self.diagnostics.push(
                Diagnostic::error("config.too-deep", span, message).with_help(
                    "check the indentation: each line seems to belong to the one above it",
                ),
            );
            return None;
        }
        Some(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        if tag.is_some() {
            self.diagnostics.push(
                Diagnostic::error(
                    "config.tag",
                    span,
                    "a word that begins with `!` is a YAML tag, which has no meaning here",
                )
                .with_help(
                    "remove the tag; if the `!` belongs to the text, put the text in quotes",
                ),
            );
        }
    }

    fn scalar(&mut self, text: &str, style: YamlStyle, span: Span) -> Node {
        let style = match style {
            YamlStyle::Plain => ScalarStyle::Plain,
            YamlStyle::SingleQuoted => ScalarStyle::SingleQuoted,
            YamlStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
            YamlStyle::Literal => ScalarStyle::Literal,
            YamlStyle::Folded => ScalarStyle::Folded,
        };
        if style == ScalarStyle::Plain && text.is_empty() {
            return Node { span: self.nothing(&span), value: Value::Null };
        }
        // The parser ends a scalar where the next thing begins.
        let trimmed = span.text().trim_end_matches([' ', '\t', '\r', '\n']).len();
        let span = Span::new(self.file, span.start(), span.start() + trimmed);
        Node { span, value: Value::Scalar(Scalar::new(text.to_owned(), style)) }
    }

    /// The place of what is not there: its key, or the sign before it.
    fn nothing(&self, span: &Span) -> Span {
        if let Some(Frame { kind: FrameKind::Map { key: PendingKey::Key(key), .. }, .. }) =
            self.frames.last()
        {
            return key.span.clone();
        }
        let before = self.file.text().get(..span.start()).unwrap_or_default();
        let end = before.trim_end().len();
        Span::new(self.file, end.saturating_sub(1), end)
    }

    /// Keeps what an alias may stand for. The copy counts, too: anchors within anchors would multiply.
    fn remember(&mut self, anchor: usize, node: &Node) -> Option<()> {
        if anchor > 0 {
            let size = Size::of(node);
            self.count(size.nodes, 0, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Some(())
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Option<()> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            // Known to the parser, but not finished: it is within itself.
            self.diagnostics.push(
                Diagnostic::error(
                    "config.unknown-alias",
                    span,
                    "this alias stands within what it stands for",
                )
                .with_help("write the lines out instead of using `&` and `*`"),
            );
            self.finish(Node { span: span.clone(), value: Value::Null });
            return Some(());
        };
        let size = *size;
        let expands = |builder: &mut Self| builder.count(size.nodes, size.depth, span);
        let node =
            (self.nodes.saturating_add(size.nodes) <= self.limits.nodes_max).then(|| node.clone());
        expands(self)?;
        self.finish(node?);
        Some(())
    }

    fn close(&mut self, end: &Span) -> Option<()> {
        let Frame { start, anchor, kind } = self.frames.pop()?;
        // A flow map or list ends with its bracket; a block one where its last value ends.
        let end_of = |last: Option<usize>| {
            if matches!(end.text(), "}" | "]") { end.end() } else { last.unwrap_or(start) }
        };
        let (value, end) = match kind {
            FrameKind::List(nodes) => {
                let end = end_of(nodes.last().map(|node| node.span.end()));
                (Value::List(nodes), end)
            }
            FrameKind::Map { entries, .. } => {
                let end =
                    end_of(entries.last().map(|(key, node)| node.span.end().max(key.span.end())));
                (Value::Map(Map::new(entries)), end)
            }
        };
        let node = Node { span: Span::new(self.file, start, end), value };
        self.remember(anchor, &node)?;
        self.finish(node);
        Some(())
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node) {
        let Some(frame) = self.frames.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut frame.kind {
            FrameKind::List(nodes) => nodes.push(node),
            FrameKind::Map { entries, seen, key } => {
                match std::mem::replace(key, PendingKey::None) {
                    PendingKey::None => *key = pending_key(node, seen, self.diagnostics),
                    PendingKey::Key(known) => entries.push((known, node)),
                    PendingKey::Refused => {}
                }
            }
        }
    }
}

/// Judges what stands where a key belongs.
fn pending_key(
    node: Node,
    seen: &mut HashMap<String, Span>,
    diagnostics: &mut Diagnostics,
) -> PendingKey {
    let Value::Scalar(scalar) = &node.value else {
        let message = format!("expected a key here, found {}", node.value.kind());
        let curly = node.span.text().starts_with('{');
        let help = if curly {
            "text that begins with `{` must be in quotes; otherwise write `key: value`"
        } else {
            "write `key: value`, with a single word as the key"
        };
        diagnostics
            .push(Diagnostic::error("config.expected-key", &node.span, message).with_help(help));
        return PendingKey::Refused;
    };
    if scalar.text() == "<<" && scalar.style() == ScalarStyle::Plain {
        diagnostics.push(
            Diagnostic::error(
                "config.merge-key",
                &node.span,
                "`<<` (a YAML merge key) has no meaning here",
            )
            .with_help("write the keys out"),
        );
        return PendingKey::Refused;
    }
    let key = Key { text: scalar.text().to_owned(), span: node.span };
    if let Some(first) = seen.get(&key.text) {
        diagnostics.push(
            Diagnostic::error(
                "config.duplicate-key",
                &key.span,
                format!("the key `{}` is there twice", key.text),
            )
            .with_suggestion("again here")
            .with_label(first, "first here")
            .with_help("keep one of the two; only one value can count"),
        );
        return PendingKey::Refused;
    }
    seen.insert(key.text.clone(), key.span.clone());
    PendingKey::Key(key)
}
