//! What people, companies and things are called: with a number that no authority is told of, who they are.
//!
//! Hospital and laboratory number their staff each for itself, and XCN-9 is empty in most feeds: `9^Silva^Rui` of PV1-7 and
//! `9^Tec^Ze` of OBX-16 are two people. Nothing is ever said of the one that is told of the other.

use super::Run;
use super::tree::{Leaf, NodeId};

/// Up to two parts of what something is called: of a person the family name and the first given name.
type Called = [String; 2];

impl Run<'_> {
    /// What a resource is called, as far as that tells who it is; parts that it doesn't have are empty. Case is no difference.
    pub(super) fn called(&self, root: NodeId, resource_type: &str) -> Called {
        let at = |path: &[&str]| self.text_along(root, path);
        match resource_type {
            "Practitioner" => {
                let parts = [at(&["name", "family"]), at(&["name", "given"])];
                let has_parts = parts.iter().any(|part| !part.is_empty());
                if has_parts { parts } else { [at(&["name", "text"]), String::new()] }
            }
            "Organization" => [at(&["name"]), String::new()],
            "Device" => [at(&["deviceName", "name"]), String::new()],
            // Where a place is, its number says within the place around it.
            "Location" => [at(&["name"]), at(&["description"])],
            _ => Called::default(),
        }
    }

    /// Whether two resources are called differently. One may say less than the other.
    pub(super) fn are_called_differently(
        &self,
        one: NodeId,
        other: NodeId,
        resource_type: &str,
    ) -> bool {
        let (one, other) = (self.called(one, resource_type), self.called(other, resource_type));
        let mut parts = one.iter().zip(&other);
        parts.any(|(one, other)| !one.is_empty() && !other.is_empty() && one != other)
    }

    fn text_along(&self, root: NodeId, path: &[&str]) -> String {
        let mut node = root;
        for name in path {
            let found = self.plan.names.find(name).and_then(|name| self.tree.find(node, name));
            let Some(found) = found else { return String::new() };
            node = found;
        }
        match self.tree.leaf(node) {
            Leaf::Text(text) => text.trim().to_lowercase(),
            _ => String::new(),
        }
    }
}
