//! The client against servers: one made up, with every fault, and OpenSSH's own.

mod fake;
mod faults;
mod logins;
mod openssh;
mod settings;
mod ssh;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pipehat_config::{Diagnostics, Node, SourceFile};

use super::SftpServer;
use crate::{BuildContext, Secrets, UnknownSecret};

/// Long enough for a busy machine: only a failing test waits it out.
const LONG: Duration = Duration::from_secs(30);

/// Secrets by name.
#[derive(Default)]
struct Named(BTreeMap<String, String>);

impl Named {
    fn with(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }
}

impl Secrets for Named {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        let found = self.0.get(name).map(|text| text.clone().into_bytes());
        found.ok_or_else(|| UnknownSecret { name: name.to_owned(), remedy: "set it".to_owned() })
    }
}

/// The server of these settings, or what is wrong with them.
fn read(settings: &str, secrets: &Named, project: &Path) -> Result<SftpServer, String> {
    let file = SourceFile::new("pipehat.yaml", format!("laboratory: {{ {settings} }}\n"));
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics).expect("the text is YAML");
    let (key, node) = node.as_map().and_then(|map| map.iter().next()).expect("one server");
    let context = BuildContext { project, secrets, channel: "", datastore: None };
    let server = SftpServer::read(key, node, &context, &mut diagnostics);
    match server {
        Some(server) if !diagnostics.is_err() => Ok(server),
        _ => Err(diagnostics.to_string()),
    }
}
