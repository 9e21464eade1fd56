//! A message structure as a tree of segments and groups.

use pipehat_dictionary::{Node, NodeKind, Structure};
use serde_json::{Value as Json, json};

use super::describe::{Line, cardinality};

pub(super) fn lines(structure: Structure) -> Vec<Line> {
    const NAME: usize = 40;
    let mut lines = vec![Line::of(String::new())];
    let mut ends: Vec<usize> = Vec::new();
    for (index, node) in structure.nodes().enumerate() {
        ends.retain(|&end| index < end);
        let indented = format!("  {:indent$}{}", "", name(node), indent = ends.len() * 2);
        let occurs = cardinality(node.cardinality());
        let old = if node.is_deprecated() { "  (deprecated)" } else { "" };
        lines.push(Line::of(format!(
            "{indented:NAME$}  {occurs:5}  {}{old}",
            title(structure, node)
        )));
        if node.descendants() > 0 {
            ends.push(index + 1 + node.descendants());
        }
    }
    lines
}

fn name(node: Node) -> String {
    match node.kind() {
        NodeKind::Segment(name) => name.to_string(),
        NodeKind::Group(name) => name.to_owned(),
        NodeKind::Choice => "one of".to_owned(),
        NodeKind::AnySegment => "any segment".to_owned(),
    }
}

fn title(structure: Structure, node: Node) -> &'static str {
    match node.kind() {
        NodeKind::Segment(name) => {
            structure.version().segment(name).map_or("", |segment| segment.title())
        }
        _ => "",
    }
}

pub(super) fn json(structure: Structure) -> Json {
    children(structure, 0, structure.node_count())
}

fn children(structure: Structure, first: usize, end: usize) -> Json {
    let mut list = Vec::new();
    let mut at = first;
    while let Some(node) = structure.node(at).filter(|_| at < end) {
        let below = at + 1 + node.descendants();
        let kind = match node.kind() {
            NodeKind::Segment(_) => "segment",
            NodeKind::Group(_) => "group",
            NodeKind::Choice => "choice",
            NodeKind::AnySegment => "any",
        };
        let occurs = node.cardinality();
        let mut object = json!({
            "kind": kind,
            "name": name(node),
            "title": title(structure, node),
            "min": occurs.least,
            "max": occurs.most,
        });
        if let (true, Some(object)) = (node.descendants() > 0, object.as_object_mut()) {
            object.insert("content".to_owned(), children(structure, at + 1, below));
        }
        list.push(object);
        at = below;
    }
    Json::Array(list)
}
