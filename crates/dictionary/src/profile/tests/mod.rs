//! A profile's file, what it says of messages, and what is learned from them.

mod checking;
mod comparing;
mod groups;
mod importing;
mod learning;
mod reading;
mod validating;

use std::collections::BTreeSet;

use pipehat_config::{Colour, Diagnostics, Node, SourceFile};

use super::{CodeTables, Profile};

/// One code table, `wards`.
struct Wards;

impl CodeTables for Wards {
    fn codes(&self, name: &str) -> Option<BTreeSet<Box<str>>> {
        (name == "wards").then(|| ["N1", "N2"].into_iter().map(Box::from).collect())
    }

    fn names(&self) -> Vec<String> {
        vec!["wards".to_owned()]
    }
}

/// Reads a profile called `lab2`; its mistakes as they are shown.
fn read(text: &str) -> Result<Profile, String> {
    let file = SourceFile::new("profiles/lab2.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics);
    let profile = node.and_then(|node| Profile::read(&node, "lab2", &Wards, &mut diagnostics));
    diagnostics.sort();
    profile.ok_or_else(|| diagnostics.render(Colour::Never))
}

/// A profile that says this, beside its name and version.
#[track_caller]
fn profile(text: &str) -> Profile {
    let text = format!("profile: lab2\nversion: 2.5.1\n{text}");
    read(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
