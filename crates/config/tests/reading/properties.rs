//! Nothing that stands in a file makes reading it panic, and every place lies within the file.

use std::sync::Arc;

use pipehat_config::{Colour, Diagnostics, Excerpt, Node, SourceFile, Span, Value, nearest};
use proptest::prelude::*;

use crate::channel;

fn check_span(file: &Arc<SourceFile>, span: &Span) {
    let text = file.text();
    assert!(span.start() <= span.end() && span.end() <= text.len(), "{span:?}");
    assert!(text.is_char_boundary(span.start()) && text.is_char_boundary(span.end()));
    let at = span.line_column();
    assert_eq!(
        file.offset(at.line, at.column),
        Some(span.start().min(visible(file, span.start())))
    );
    let _rendered = Excerpt::new(span, "here").render(Colour::Always);
}

/// The line end of a Windows file counts as one place.
fn visible(file: &SourceFile, offset: usize) -> usize {
    let before = file.text().get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let line = file.line(before.matches('\n').count() + 1);
    offset.min(line_start + line.len())
}

fn check_node(file: &Arc<SourceFile>, node: &Node) {
    check_span(file, &node.span);
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            let count = scalar.text().chars().count();
            for start in 0..=count.min(20) {
                let span = node.sub_span(start, start + 1);
                check_span(file, &span);
                assert!(node.span.start() <= span.start() && span.end() <= node.span.end());
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| check_node(file, node)),
        Value::Map(map) => map.iter().for_each(|(key, node)| {
            check_span(file, &key.span);
            check_node(file, node);
        }),
    }
}

fn check(text: &str) {
    let file = SourceFile::new("channels/any.yaml", text);
    let (channel, diagnostics) = channel::read(&file);
    assert_eq!(channel.is_none(), diagnostics.is_err());
    for diagnostic in &diagnostics {
        let labels = diagnostic.labels.iter().map(|label| &label.span);
        for span in diagnostic.span().into_iter().chain(labels) {
            assert_eq!(span.file().name(), file.name());
            check_span(&file, span);
        }
    }
    let rendered = diagnostics.render(Colour::Never);
    assert!(rendered.chars().all(|character| character == '\n' || !character.is_control()));
    let parsed = Node::parse(&file, &mut Diagnostics::new());
    parsed.iter().for_each(|node| check_node(&file, node));
}

/// Pieces from which something like a channel file comes about.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "channel: a\n",
        "source:\n",
        "  mllp:\n",
        "    listen: ",
        "0.0.0.0:1",
        "\n",
        "  ",
        "\t",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        ":",
        ",",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "# x\n",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "${LISTEN}",
        "${HIDDEN:-x}",
        "$${",
        "secret:x",
        "ä",
        "山",
        "\u{301}",
        "\u{feff}",
        "\r\n",
        "\r",
        "\\",
        "\\x41",
        "?",
        "retry:",
        "idle_timeout: 5",
        "tls: ",
        "key: ",
        "\u{85}",
        "\u{2028}",
        "\0",
        "\u{1b}[31m",
        "@",
        "`",
        "null",
        "~",
        "allow: ",
        "labels: ",
        "accept: a == b",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_places_lie_within_the_file(text in ".{0,200}") {
        check(&text);
    }

    #[test]
    fn nothing_like_yaml_panics_and_places_lie_within_the_file(text in yamlish()) {
        check(&text);
    }

    #[test]
    fn a_quoted_text_is_read_as_it_is_and_its_characters_are_found(text in "[ -~äß山\u{301}]{1,40}") {
        let quoted = format!("x: 1\nv: '{}'\n", text.replace('\'', "''"));
        let file = SourceFile::new("a.yaml", quoted);
        let node = Node::parse(&file, &mut Diagnostics::new()).expect("a quoted text is YAML");
        let value = node.as_map().and_then(|map| map.get("v")).expect("the key is there");
        prop_assert_eq!(value.as_scalar().map(|scalar| scalar.text()), Some(text.as_str()));
        for (index, character) in text.chars().enumerate() {
            let found = value.sub_span(index, index + 1);
            let expected = if character == '\'' { "''".to_owned() } else { character.to_string() };
            prop_assert_eq!(found.text(), expected);
        }
    }

    #[test]
    fn the_nearest_word_is_one_of_the_candidates(word in "\\PC{0,80}", candidates in prop::collection::vec("[a-z_]{0,12}", 0..6)) {
        let candidates: Vec<&str> = candidates.iter().map(String::as_str).collect();
        let found = nearest(&word, candidates.iter().copied());
        prop_assert!(found.is_none_or(|found| candidates.contains(&found)));
        if candidates.contains(&word.as_str()) && !word.is_empty() {
            prop_assert_eq!(found, Some(word.as_str()));
        }
    }
}
