//! What translations go by beside HL7's tables: a site's overlays, `mappings/NAME.yaml`, and receivers of HL7 v2,
//! `receivers/NAME.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use pipehat_config::{Diagnostic, Diagnostics, Node, nearest};
use pipehat_translate::Overlay;
use pipehat_translate::to_v2::Profile;

/// The files of a project that translations go by, by their paths; those that could not be read have no content.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    overlays: BTreeMap<String, Option<Overlay>>,
    receivers: BTreeMap<String, Option<Profile>>,
    bytes: BTreeMap<String, Vec<u8>>,
}

/// Where overlays stand.
pub(super) const OVERLAYS: &str = "mappings";

/// Where receivers stand.
pub(super) const RECEIVERS: &str = "receivers";

/// So many paths are told of a project where another is named.
const LISTED_MAX: usize = 8;

impl Mappings {
    /// Takes an overlay, read or not.
    pub(super) fn add_overlay(&mut self, path: String, overlay: Option<Overlay>, bytes: Vec<u8>) {
        self.overlays.insert(path.clone(), overlay);
        self.bytes.insert(path, bytes);
    }

    /// Takes a receiver, read or not.
    pub(super) fn add_receiver(&mut self, path: String, receiver: Option<Profile>, bytes: Vec<u8>) {
        self.receivers.insert(path.clone(), receiver);
        self.bytes.insert(path, bytes);
    }

    /// The bytes of files, as they count for a revision.
    pub(super) fn bytes<'m>(&'m self, paths: &'m BTreeSet<String>) -> Vec<(&'m str, &'m [u8])> {
        let file = |path: &'m String| Some((path.as_str(), self.bytes.get(path)?.as_slice()));
        paths.iter().filter_map(file).collect()
    }

    /// The overlay that a file names; none where there is none, which is then reported, and where it is broken, which its own
    /// file tells.
    pub(crate) fn overlay(
        &self,
        node: &Node,
        used: &mut BTreeSet<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Overlay> {
        named(&self.overlays, (OVERLAYS, "overlay"), node, used, diagnostics)
    }

    /// The receiver that a file names, likewise.
    pub(crate) fn receiver(
        &self,
        node: &Node,
        used: &mut BTreeSet<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Profile> {
        named(&self.receivers, (RECEIVERS, "receiver"), node, used, diagnostics)
    }
}

fn named<T: Clone>(
    known: &BTreeMap<String, Option<T>>,
    (folder, what): (&str, &str),
    node: &Node,
    used: &mut BTreeSet<String>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let path = node.text_not_empty(diagnostics)?;
    if let Some(found) = known.get(path) {
        used.insert(path.to_owned());
        return found.clone();
    }
    let paths = || known.keys().map(String::as_str);
    let as_name = || {
        let names = paths().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".yaml"));
        let near = nearest(path, names)?;
        let ending = format!("/{near}.yaml");
        paths().find(|path| path.ends_with(&ending))
    };
    let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
    let near = nearest(path, paths()).or_else(as_name).filter(|_| !substituted);
    let mut help = format!("write its path in the project: `{folder}/NAME.yaml`");
    let listed: Vec<String> = paths().take(LISTED_MAX).map(|path| format!("`{path}`")).collect();
    if !listed.is_empty() {
        let more = if known.len() > LISTED_MAX { " …" } else { "" };
        help.push_str(&format!("; there are {}{more}", listed.join(", ")));
    }
    let message = format!("there is no {what} `{path}`");
    diagnostics.push(
        Diagnostic::error("project.mapping", &node.span, message)
            .with_nearest(near)
            .with_help(help),
    );
    None
}
