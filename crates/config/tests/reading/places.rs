//! Where characters of a scalar's text stand in the file.

use pipehat_config::{Diagnostics, Node, SourceFile};

/// Reads the value of the key `v` and gives the file's text of the places of `wanted` in it, as `line:column text`.
fn place(yaml: &str, wanted: &str) -> String {
    let file = SourceFile::new("a.yaml", yaml);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics).unwrap_or_else(|| panic!("{diagnostics}"));
    let value = node.as_map().and_then(|map| map.get("v")).expect("the key is there");
    let text = value.as_scalar().expect("a scalar").text();
    let start = text.find(wanted).unwrap_or_else(|| panic!("{text:?} has {wanted:?}"));
    let span = value.sub_span_of_bytes(start, start + wanted.len());
    let at = span.line_column();
    format!("{}:{} {}", at.line, at.column, span.text())
}

#[track_caller]
fn check(yaml: &str, wanted: &str, expected: &str) {
    assert_eq!(place(yaml, wanted), expected, "{yaml}");
    let windows = yaml.replace('\n', "\r\n");
    assert_eq!(place(&windows, wanted), expected, "{windows:?}");
}

#[test]
fn plain_and_quoted_scalars_are_exact() {
    check("v: PID-3 == 4\n", "==", "1:10 ==");
    check("v:    PID-3 == 4 # remark\n", "== 4", "1:13 == 4");
    check("ä: 1\nv: müde == 4\n", "==", "2:9 ==");
    check("v: 'it''s == 4'\n", "==", "1:11 ==");
    check("v: 'it''s == 4'\n", "'", "1:7 ''");
    check("v: \"a\\\"b\\u00e4 == \\x41\"\n", "==", "1:16 ==");
    check("v: \"a\\\"b\\u00e4 == \\x41\"\n", "ä", "1:9 \\u00e4");
    check("v: \"a\\\"b\\u00e4 == \\x41\"\n", "A", "1:19 \\x41");
    check("{ w: 1, v: [ ][0] }\n".replace("[ ][0]", "x == y").as_str(), "==", "1:14 ==");
}

#[test]
fn scalars_of_several_lines_are_exact_too() {
    check("v: one\n  two ==\n  three\n", "==", "2:7 ==");
    check("v: one\n  two\n\n  three == 4\n", "three", "4:3 three");
    check("v: 'one\n  two == 3'\n", "==", "2:7 ==");
    check("v: \"one\n  two == 3\"\n", "==", "2:7 ==");
    check("v: \"one \\\n  two == 3\"\n", "==", "2:7 ==");
    check("v: |\n  one\n  two == 3\n", "==", "3:7 ==");
    check("v: |\n  one\n\n    two == 3\n", "two", "4:5 two");
    check("v: |2\n    one == 3\n", "==", "2:9 ==");
    check("v: |\n\n  one == 3\n", "==", "3:7 ==");
    check("v: >-\n  one\n  two == 3\n", "==", "3:7 ==");
    check("v: >\n  one\n\n  two\n    three == 3\n\n  four\n", "four", "7:3 four");
    check("v: |+\n  one == 1\n\n", "==", "2:7 ==");
}

#[test]
fn the_end_of_a_text_is_a_place() {
    let file = SourceFile::new("a.yaml", "v: 'PID-3 ='\n");
    let node = Node::parse(&file, &mut Diagnostics::new()).expect("YAML");
    let value = node.as_map().and_then(|map| map.get("v")).expect("the key is there");
    let end = value.sub_span(7, 7);
    assert_eq!((end.line_column().column, end.text()), (12, ""));
    assert_eq!(value.sub_span(7, 8).line_column().column, 12);
    assert_eq!(value.sub_span(70, 80).line_column().column, 12);
    assert_eq!(node.sub_span(0, 1), node.span);
}
