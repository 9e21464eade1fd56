//! Limits, at the limit and one past it.

use std::time::{Duration, Instant};

use pipehat_config::{Diagnostics, Limits, Node, SUBSTITUTED_BYTES_MAX, SourceFile};

use crate::channel::TestEnvironment;

fn codes(text: &str, limits: Limits) -> Vec<&'static str> {
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse_within(&SourceFile::new("a.yaml", text), limits, &mut diagnostics);
    assert_eq!(node.is_none(), diagnostics.is_err());
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn bytes() {
    let limits = Limits { bytes_max: 4, ..Limits::default() };
    assert!(codes("a: 1", limits).is_empty());
    assert_eq!(codes("a: 12", limits), ["config.too-large"]);
}

#[test]
fn depth() {
    let limits = Limits { depth_max: 3, ..Limits::default() };
    assert!(codes("[[[1]]]", limits).is_empty());
    assert_eq!(codes("[[[[1]]]]", limits), ["config.too-deep"]);
    assert!(codes("- - - 1", limits).is_empty());
    assert_eq!(codes("- - - - 1", limits), ["config.too-deep"]);
    assert!(codes("[&a [1], [*a]]", limits).is_empty());
    assert_eq!(codes("[&a [1], [[*a]]]", limits), ["config.too-deep"]);
}

#[test]
fn values() {
    let limits = Limits { nodes_max: 5, ..Limits::default() };
    assert!(codes("[1, 2, 3, 4]", limits).is_empty());
    assert_eq!(codes("[1, 2, 3, 4, 5]", limits), ["config.too-many-values"]);
    // The list, the inner one with its element, that kept for the alias, and what the alias stands for.
    let limits = Limits { nodes_max: 7, ..Limits::default() };
    assert!(codes("[&a [1], *a]", limits).is_empty());
    assert_eq!(codes("[&a [1], *a, 2]", limits), ["config.too-many-values"]);
    assert_eq!(codes("[&a [1, 2], *a]", limits), ["config.too-many-values"]);
    assert!(codes("[&a [1, 2]]", limits).is_empty());
    assert_eq!(codes("[&a [1, 2], 3]", limits), ["config.too-many-values"]);
}

#[test]
fn aliases_that_multiply_are_refused_at_once() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let started = Instant::now();
    assert_eq!(codes(&text, Limits::default()), ["config.too-many-values"]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_alias_within_itself_is_refused() {
    assert_eq!(codes("a: 1", Limits::default()), [""; 0]);
    let mut diagnostics = Diagnostics::new();
    Node::parse(&SourceFile::new("a.yaml", "a: &x [1, *x]\n"), &mut diagnostics);
    assert_eq!(diagnostics.iter().next().map(|one| one.code), Some("config.unknown-alias"));
}

#[test]
fn large_and_deep_files_end_soon() {
    let started = Instant::now();
    for unit in [
        "[",
        "- ",
        "{",
        "? ",
        "a: ",
        "\"",
        "'",
        "x: |\n",
        "&a ",
        "!t ",
        "\t",
        "a:\n",
        "- a: [1, {b: 2}]\n",
    ] {
        let text = unit.repeat(200_000 / unit.len());
        let mut diagnostics = Diagnostics::new();
        Node::parse(&SourceFile::new("a.yaml", text), &mut diagnostics);
        let _rendered = diagnostics.to_string();
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn what_variables_put_in() {
    let read = |text: &str| {
        let mut diagnostics = Diagnostics::new();
        let mut node =
            Node::parse(&SourceFile::new("a.yaml", text), &mut diagnostics).expect("YAML");
        node.substitute(&TestEnvironment, &mut diagnostics);
        diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>()
    };
    let padding = "y".repeat(SUBSTITUTED_BYTES_MAX - 600_000);
    assert!(read(&format!("a: ${{LONG}}\nb: ${{NONE:-{padding}}}\n")).is_empty());
    assert_eq!(read(&format!("a: ${{LONG}}\nb: ${{NONE:-{padding}y}}\n")), ["config.too-large"]);
}

#[test]
fn many_mistakes_in_one_long_line_are_shown_soon() {
    let started = Instant::now();
    let keys: Vec<String> = (0..20_000).map(|key| format!("listen{key}: x")).collect();
    let text = format!("channel: a\nsource: {{ mllp: {{ {} }} }}\n", keys.join(", "));
    let (_, diagnostics) = crate::channel::read(&SourceFile::new("a.yaml", text));
    assert!(diagnostics.len() > 100);
    assert!(diagnostics.to_string().lines().all(|line| line.len() < 2_000));
    assert!(
        diagnostics
            .records()
            .iter()
            .all(|record| record.excerpt.as_ref().is_some_and(|line| line.len() < 5_000))
    );
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
