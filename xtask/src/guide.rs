//! Tests that the examples in `docs/guide.md` are accepted by the product.
//!
//! A fenced block says after its language what it is: a file of the project (`yaml
//! channels/adt-in.yaml`, `csv tables/gender.csv`), a part of a channel (`yaml steps`, `yaml
//! destinations`, `yaml channel`), or conditions, one a line (`expressions`).

use std::path::Path;

use pipehat_config::{Diagnostic, Environment, SecretText};
use pipehat_connectors::{CONNECTORS, Secrets, UnknownSecret};
use pipehat_engine::project::{LoadContext, MemoryFiles, Project};

use crate::page::root;

const SOURCE: &str = "source: { mllp: { listen: 127.0.0.1:0 } }\ntime_zone: Europe/Vienna\n";
/// The channel that the guide begins with.
const ADT: &str = "channels/adt-in.yaml";
const LAB: &str = "  lab:\n    mllp: { connect: 127.0.0.1:2576 }\n";

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<SecretText> {
        None
    }
}

impl Secrets for Nothing {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "there is none".to_owned() })
    }
}

/// A fenced block: what stands after its fence, and its lines.
struct Block<'t> {
    info: &'t str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(Block { info, text: text.map(|line| format!("{line}\n")).collect() });
    }
    blocks
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

/// The whole project that a block's part makes.
fn channel(number: usize, block: &Block<'_>) -> Option<(String, String)> {
    let head = format!("channel: block-{number}\n{SOURCE}");
    let file = match block.info {
        "yaml steps" => {
            format!("{head}steps:\n{}destinations:\n{LAB}", indented(&block.text, "  "))
        }
        "yaml destinations" => format!("{head}destinations:\n{}", indented(&block.text, "  ")),
        "yaml channel" => format!("{head}{}destinations:\n{LAB}", block.text),
        "expressions" => {
            let steps: String = block
                .text
                .lines()
                .map(|line| format!("  - when: '{line}'\n    do: [{{ set: {{ MSH-3: A }} }}]\n"))
                .collect();
            format!("{head}steps:\n{steps}destinations:\n{LAB}")
        }
        _ => return None,
    };
    Some((format!("channels/block-{number}.yaml"), file))
}

#[test]
fn the_examples_of_the_guide_are_in_order() {
    let guide = std::fs::read_to_string(root().join("docs/guide.md")).expect("the guide");
    let blocks = blocks(&guide);
    let mut files = MemoryFiles::new();
    let mut parts = 0;
    for (number, block) in blocks.iter().enumerate() {
        let path = block.info.split_once(' ').map_or("", |(_, path)| path);
        if path.contains('.') {
            files = files.with(path, block.text.clone());
        } else if let Some((path, text)) = channel(number, block) {
            parts += 1;
            files = files.with(path, text);
        }
    }
    assert!(parts > 10, "the guide's blocks are no longer found");
    let loaded = Project::load_from(&LoadContext {
        files: &files,
        directory: Path::new("/nowhere"),
        environment: &Nothing,
        secrets: &Nothing,
        connectors: CONNECTORS,
    });
    // The share that files go to is on no other machine.
    let is_share = |own: &Diagnostic| own.code == "file.write-failed" && own.file() == ADT;
    let is_in_order = loaded.diagnostics.iter().all(is_share);
    assert!(loaded.project.is_some() && is_in_order, "{}", loaded.diagnostics);
}
