//! Where the check is: written out only when there is something to report.

use crate::outcome::PathStep;

/// A member's name that is longer, or holds anything but letters and digits, is not repeated to people.
const NAME_SHOWN_MAX: usize = 64;

/// A place in a resource: a member of what stands at `parent`, and which of its items.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    parent: Option<&'a Frame<'a>>,
    /// The member of the JSON object; of the root, its type.
    member: &'a str,
    /// The element's name, where it is another: `value` for `valueQuantity`.
    name: &'a str,
    item: Option<usize>,
    pub(super) depth: usize,
}

impl<'a> Frame<'a> {
    pub(super) fn root(resource_type: &'a str) -> Self {
        Self { parent: None, member: resource_type, name: resource_type, item: None, depth: 0 }
    }

    pub(super) fn member(&'a self, member: &'a str, name: &'a str) -> Self {
        Self { parent: Some(self), member, name, item: None, depth: self.depth + 1 }
    }

    pub(super) fn item(&self, item: usize) -> Self {
        Self { item: Some(item), ..*self }
    }

    pub(super) fn expression(&self) -> String {
        let mut out = match self.parent {
            Some(parent) => parent.expression() + ".",
            None => String::new(),
        };
        out.push_str(shown(self.name));
        if let Some(item) = self.item {
            out.push_str(&format!("[{item}]"));
        }
        out
    }

    pub(super) fn path(&self) -> Vec<PathStep> {
        let Some(parent) = self.parent else { return Vec::new() };
        let mut path = parent.path();
        path.push(PathStep::Member(self.member.to_owned()));
        path.extend(self.item.map(PathStep::Item));
        path
    }
}

/// A name as it may be shown: what is no name could be anything.
pub(super) fn shown(name: &str) -> &str {
    let is_name = name.len() <= NAME_SHOWN_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { name } else { "…" }
}
