//! A small channel file as the tests read it: with all readers there are.

use std::sync::Arc;

use pipehat_config::{
    Diagnostics, Environment, FieldSchema, Fields, Kind, Misplaced, Node, Required, SecretText,
    Settings, SourceFile,
};

const fn field(
    name: &'static str,
    kind: Kind,
    required: Required,
    example: &'static str,
) -> FieldSchema {
    FieldSchema { name, kind, required, doc: "For tests.", example }
}

const TLS: &[FieldSchema] = &[
    field("cert", Kind::Text, Required::Yes, "adt.pem"),
    field("key", Kind::Secret, Required::Yes, "secret:adt-key"),
    field("client_ca", Kind::Text, Required::No, "partners.pem"),
];

pub(crate) const MLLP: &[FieldSchema] = &[
    field("listen", Kind::Address, Required::Yes, "0.0.0.0:2575"),
    field("tls", Kind::Section(TLS), Required::No, "{ cert: a.pem, key: secret:a }"),
    field("idle_timeout", Kind::Duration, Required::Default("5m"), "90s"),
    field("ack_timeout", Kind::Duration, Required::No, "10s"),
    field("message_bytes_max", Kind::Bytes, Required::Default("16MiB"), "64KiB"),
    field("connections_max", Kind::Integer { min: 1, max: 10_000 }, Required::Default("100"), "8"),
    field("keep_alive", Kind::Boolean, Required::Default("true"), "false"),
    field("on_error", Kind::Choice(&["park", "retry", "skip"]), Required::Default("park"), "retry"),
    field("allow", Kind::List(&Kind::Text), Required::Default("[]"), "[10.0.0.0/8]"),
    field("greeting", Kind::Template, Required::No, "\"hello {MSH-4}\""),
    field("labels", Kind::Map(&Kind::Text), Required::No, "{ ward: north }"),
];

const MISPLACED: &[Misplaced] =
    &[Misplaced { key: "retry", hint: "`retry` belongs one level up, beside `mllp`" }];

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) mllp: Settings,
}

pub(crate) struct TestEnvironment;

impl Environment for TestEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "LISTEN" => Some("127.0.0.1:2575".to_owned()),
            "HIDDEN" => Some("opensesame".to_owned()),
            "EMPTY" => Some(String::new()),
            "LINES" => Some("a: 1\nb: [2, 3]".to_owned()),
            "LONG" => Some("x".repeat(600_000)),
            _ => None,
        }
    }

    fn secret(&self, name: &str) -> Option<SecretText> {
        (name == "adt-key").then(|| SecretText::new("opensesame"))
    }
}

/// Reads a channel: what it is, and what is wrong.
pub(crate) fn read(file: &Arc<SourceFile>) -> (Option<Channel>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(file, &mut diagnostics).map(|mut node| {
        node.substitute(&TestEnvironment, &mut diagnostics);
        node
    });
    let channel = node.as_ref().and_then(|node| channel(node, &mut diagnostics));
    diagnostics.sort();
    (channel.filter(|_| !diagnostics.is_err()), diagnostics)
}

fn channel(node: &Node, diagnostics: &mut Diagnostics) -> Option<Channel> {
    let mut fields = Fields::of(node, "channel file", diagnostics)?;
    let name = fields.required("channel", |node, d| node.text_not_empty(d).map(str::to_owned));
    let mllp = fields.required("source", |node, d| {
        let mut source = Fields::of(node, "source", d)?;
        let settings = match source.exactly_one(&["mllp", "file"]) {
            Some(("mllp", node)) => {
                let d = source.diagnostics();
                Settings::read_with_hints(node, "mllp", MLLP, MISPLACED, d)
            }
            _ => None,
        };
        source.finish();
        settings
    });
    fields.optional("reply", |node, d| node.one_of(&["received", "processed", "none"], d));
    fields.optional("accept", |node, d| {
        let text = node.text(d)?;
        // A stand-in for the expression compiler: `=` must not be doubled.
        if let Some(at) = text.find("==") {
            let span = node.sub_span_of_bytes(at, at + 2);
            d.error("expression.syntax", &span, "write `=` once");
        }
        Some(())
    });
    fields.optional("retry", |node, d| {
        let mut retry = Fields::of(node, "retry", d)?;
        retry.optional("first", |node, d| node.duration(d));
        retry.optional("give_up", |node, d| node.duration_or_word(&["never"], d).map(|_| ()));
        retry.finish();
        Some(())
    });
    let sound = fields.finish();
    sound.then(|| Some(Channel { name: name?, mllp: mllp? })).flatten()
}
