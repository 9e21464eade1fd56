//! Translates every message of a directory and says how that went: which kinds of findings, what is not valid.
//!
//! `MESSAGES=DIR cargo run --release -p pipehat-translate --example corpus [NAME]` (NAME: only files whose name has it, and
//! their Bundles are printed).

use std::collections::BTreeMap;
use std::{env, fs};

use pipehat_message::{BatchPartKind, Batches, Message};
use pipehat_resource::json::Value;
use pipehat_resource::validate::{Checks, validate};
use pipehat_translate::{Settings, Translator};

fn main() {
    let directory = env::var("MESSAGES").expect("MESSAGES names a directory of messages");
    let wanted = env::args().nth(1);
    let translator = Translator::new(Settings::default());
    let mut files: Vec<_> = fs::read_dir(directory).expect("it can be read").flatten().collect();
    files.sort_by_key(|file| file.file_name());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fields: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let (mut messages, mut unread, mut entries) = (0usize, 0usize, 0usize);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let Ok(bytes) = fs::read(file.path()) else { continue };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in Batches::new(&bytes) {
            if part.kind == BatchPartKind::Message {
                parts.push(part.content());
            }
        }
        for part in parts {
            let Ok(message) = Message::parse(part) else {
                unread += 1;
                continue;
            };
            messages += 1;
            let translation = translator.to_fhir(&message);
            if wanted.is_some() {
                println!("{}", translation.bundle.to_pretty_json());
                for finding in &translation.findings {
                    println!("{:?} {} {}", finding.kind, finding.path, finding.text);
                }
            }
            for finding in &translation.findings {
                *kinds.entry(finding.kind.as_str()).or_default() += 1;
                let place: String = finding.path.split(['[', '(']).next().unwrap_or("").to_owned();
                *fields.entry(format!("{} {place}", finding.kind.as_str())).or_default() += 1;
            }
            entries += translation.bundle.items("entry").len();
            for issue in validate(&translation.bundle, Checks::All) {
                if issue.is_error() {
                    let place = issue.expression.clone().unwrap_or_default();
                    let kind = typed(&translation.bundle, &place);
                    let text = format!("{kind}: {}", issue.text);
                    problems.entry(text).or_insert((0, name.clone())).0 += 1;
                }
            }
        }
    }
    println!("{messages} messages, {unread} not read, {entries} resources");
    println!("{kinds:?}");
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (place, count) in fields.iter().take(60) {
        println!("{count:6} {place}");
    }
    println!("not valid:");
    for (text, (count, name)) in &problems {
        println!("{count:6} {text} [{name}]");
    }
}

/// The place in terms of the entry's resource type.
fn typed(bundle: &Value, place: &str) -> String {
    let Some(rest) = place.strip_prefix("Bundle.entry[") else { return place.to_owned() };
    let Some((index, rest)) = rest.split_once(']') else { return place.to_owned() };
    let entry = index.parse().ok().and_then(|index: usize| bundle.items("entry").get(index));
    let kind = entry.and_then(|entry| entry.get("resource")?.resource_type()).unwrap_or("?");
    let path: String = rest.chars().filter(|sign| !sign.is_ascii_digit()).collect();
    format!("{kind}{}", path.replace(".resource", ""))
}
