//! What values mean.

use std::time::Duration;

use pipehat_config::{Diagnostics, Fields, Node, SourceFile, Value, schema_mistakes};

use crate::channel::{self, MLLP, TestEnvironment};

fn substituted(yaml: &str) -> (Node, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let mut node = Node::parse(&SourceFile::new("a.yaml", yaml), &mut diagnostics).expect("YAML");
    node.substitute(&TestEnvironment, &mut diagnostics);
    (node, diagnostics)
}

#[track_caller]
fn check_substitution(scalar: &str, expected: Result<&str, &str>) {
    let (node, diagnostics) = substituted(&format!("v: '{scalar}'\n"));
    let text = node
        .as_map()
        .and_then(|map| map.get("v"))
        .and_then(Node::as_scalar)
        .map(|scalar| scalar.text());
    match expected {
        Ok(expected) => assert_eq!((text, diagnostics.to_string().as_str()), (Some(expected), "")),
        Err(code) => assert_eq!(diagnostics.iter().map(|one| one.code).collect::<Vec<_>>(), [code]),
    }
}

#[test]
fn variables_are_put_in_after_parsing() {
    check_substitution("at ${LISTEN}!", Ok("at 127.0.0.1:2575!"));
    check_substitution("${NONE:-a:-b}", Ok("a:-b"));
    check_substitution("${EMPTY:-filled}${EMPTY}", Ok("filled"));
    check_substitution("${NONE:-}", Ok(""));
    check_substitution("$${LISTEN} $ $5 {} $$", Ok("${LISTEN} $ $5 {} $$"));
    check_substitution("${LINES}", Ok("a: 1\nb: [2, 3]"));
    check_substitution("${NONE}", Err("config.unset-variable"));
    check_substitution("${LISTEN", Err("config.variable"));
    check_substitution("${PID-3.1}", Err("config.variable"));
    check_substitution("${}", Err("config.variable"));
    check_substitution("${secret:adt-key}", Err("config.variable"));
}

#[test]
fn a_value_put_in_is_a_scalar_whatever_it_looks_like() {
    let (node, _) = substituted("v: ${LINES}\n");
    assert!(matches!(
        node.as_map().and_then(|map| map.get("v")).map(|node| &node.value),
        Some(Value::Scalar(_))
    ));
    assert!(!format!("{node:?}").contains("[2, 3]"));
}

#[test]
fn scalars_are_kept_as_written() {
    let (node, _) =
        substituted("[NO, 010, 1e3, 1_000, ~, null, 12:30:45, 2026-01-02, .inf, 'x']\n");
    let texts: Vec<&str> = node
        .as_list()
        .unwrap_or_default()
        .iter()
        .filter_map(Node::as_scalar)
        .map(|scalar| scalar.text())
        .collect();
    assert_eq!(
        texts,
        ["NO", "010", "1e3", "1_000", "~", "null", "12:30:45", "2026-01-02", ".inf", "x"]
    );
}

#[test]
fn settings_hold_values_defaults_and_places() {
    let yaml = "channel: adt-in
source:
  mllp:
    listen: ${LISTEN}
    tls: { cert: adt.pem, key: secret:adt-key }
    idle_timeout: 90s
    message_bytes_max: 1MB
    keep_alive: \"false\"
    on_error: retry
    allow: [10.0.0.0/8, 192.168.0.0/16]
    labels: { ward: north }
    greeting: ${HIDDEN}
";
    let (channel, diagnostics) = channel::read(&SourceFile::new("channels/a.yaml", yaml));
    let channel = channel.unwrap_or_else(|| panic!("{diagnostics}"));
    let mllp = &channel.mllp;
    assert_eq!(channel.name, "adt-in");
    assert_eq!(mllp.address("listen").map(ToString::to_string).as_deref(), Some("127.0.0.1:2575"));
    assert_eq!(mllp.duration("idle_timeout"), Some(Duration::from_secs(90)));
    assert_eq!(mllp.duration("ack_timeout"), None);
    assert_eq!(mllp.bytes("message_bytes_max"), Some(1_000_000));
    assert_eq!(mllp.integer("connections_max"), Some(100));
    assert_eq!(mllp.boolean("keep_alive"), Some(false));
    assert_eq!(mllp.choice("on_error"), Some("retry"));
    assert_eq!(mllp.texts("allow"), ["10.0.0.0/8", "192.168.0.0/16"]);
    let labels = mllp.map("labels").unwrap_or_default();
    assert_eq!(
        labels.first().map(|(key, value)| (key.text.as_str(), value.text())),
        Some(("ward", Some("north")))
    );
    let tls = mllp.section("tls").expect("the section is there");
    assert_eq!(tls.text("cert"), Some("adt.pem"));
    let key = tls.secret("key").expect("a reference");
    assert_eq!((key.name(), key.to_string().as_str()), ("adt-key", "secret:adt-key"));
    assert_eq!(key.resolve(&TestEnvironment).map(|secret| secret.expose().len()), Some(10));
    assert_eq!(
        mllp.span_of("listen").map(ToString::to_string).as_deref(),
        Some("channels/a.yaml:4:13")
    );
    assert!(mllp.is_default("connections_max") && !mllp.is_default("listen"));
    assert_eq!(mllp.text("greeting"), Some("opensesame"));
    assert!(!format!("{channel:?}").contains("opensesame"));
}

#[test]
fn the_schema_of_these_tests_is_sound_and_a_wrong_one_is_not() {
    use pipehat_config::{FieldSchema, Kind, Required};
    assert_eq!(schema_mistakes(MLLP), [""; 0]);
    const WRONG: &[FieldSchema] = &[
        FieldSchema {
            name: "a",
            kind: Kind::Duration,
            required: Required::Default("5"),
            doc: "D.",
            example: "5s",
        },
        FieldSchema {
            name: "a",
            kind: Kind::Boolean,
            required: Required::No,
            doc: "",
            example: "yes",
        },
    ];
    assert_eq!(schema_mistakes(WRONG).len(), 4);
}

#[test]
fn keys_that_the_user_chooses_are_others() {
    let file = SourceFile::new("a.yaml", "fixed: 1\nlab: x\nward: y\n");
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics).expect("YAML");
    let mut fields = Fields::of(&node, "destinations", &mut diagnostics).expect("a map");
    assert_eq!(fields.required("fixed", |node, d| node.integer(0..=1, d)), Some(1));
    let others: Vec<&str> = fields.others().iter().map(|(key, _)| key.text.as_str()).collect();
    assert_eq!(others, ["lab", "ward"]);
    assert!(fields.finish());
}

#[test]
fn integers_hold_their_bounds() {
    let read = |text: &str| {
        let file = SourceFile::new("a.yaml", text);
        let mut diagnostics = Diagnostics::new();
        let node = Node::parse(&file, &mut diagnostics).expect("YAML");
        node.integer(1..=10, &mut diagnostics)
    };
    assert_eq!(["0", "1", "10", "11"].map(read), [None, Some(1), Some(10), None]);
}
