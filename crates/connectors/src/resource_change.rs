//! Which change of a resource a message tells of: what is kept beside the resource, and goes with it to its destinations.

use std::sync::Arc;

use crate::{ChangeKind, FhirChange, FilePart};

/// What happened to which resource. It holds the resource's id and nothing else of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// What happened.
    pub kind: ChangeKind,
    /// The type of the resource.
    pub resource_type: String,
    /// Its logical id.
    pub id: String,
    /// The version that the change made.
    pub version: u64,
}

/// Which changes a source gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GivenChanges {
    /// Its messages tell of no changes.
    #[default]
    None,
    /// Resources that were written.
    Writes,
    /// Deletions alone.
    Deletions,
    /// Resources that were written, and deletions.
    All,
}

impl GivenChanges {
    /// Whether there may be deletions among them.
    pub fn has_deletions(self) -> bool {
        matches!(self, Self::Deletions | Self::All)
    }
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];

    /// The word for it: `create`, `update` or `delete`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl ResourceChange {
    /// Names the number of the last change in a channel's books, and by it the messages that are changes.
    pub const PART_KEY: &str = "fhir changes";

    /// The names under which it is kept and sent.
    pub const NAMES: [&str; 4] = ["fhir-change", "fhir-type", "fhir-id", "fhir-version"];

    /// The names, each with its value.
    pub fn named(&self) -> [(&'static str, String); 4] {
        let [kind, resource_type, id, version] = Self::NAMES;
        [
            (kind, self.kind.as_str().to_owned()),
            (resource_type, self.resource_type.clone()),
            (id, self.id.clone()),
            (version, self.version.to_string()),
        ]
    }

    /// The change that a kept message tells of. Only a source that follows changes can say so: what a sender wrote into
    /// headers of these names deletes nothing.
    pub fn kept(part: Option<&FilePart>, headers: &[(String, String)]) -> Option<Arc<Self>> {
        part.filter(|part| part.key == Self::PART_KEY)?;
        let [kind, resource_type, id, version] = Self::NAMES;
        let text = |name: &str| {
            headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
        };
        let kind = text(kind)?;
        Some(Arc::new(Self {
            kind: ChangeKind::ALL.into_iter().find(|one| one.as_str() == kind)?,
            resource_type: text(resource_type)?.to_owned(),
            id: text(id)?.to_owned(),
            version: text(version)?.parse().ok()?,
        }))
    }
}

impl From<&FhirChange> for ResourceChange {
    fn from(change: &FhirChange) -> Self {
        Self {
            kind: change.kind,
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            version: change.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartOrder;

    fn part(key: &str) -> FilePart {
        FilePart { key: key.to_owned(), index: 7, last: false, order: PartOrder::Later }
    }

    fn headers(change: &ResourceChange) -> Vec<(String, String)> {
        change.named().map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[test]
    fn what_is_kept_is_what_happened() {
        for kind in ChangeKind::ALL {
            let change = ResourceChange {
                kind,
                resource_type: "Patient".to_owned(),
                id: "p1".to_owned(),
                version: 3,
            };
            let kept =
                ResourceChange::kept(Some(&part(ResourceChange::PART_KEY)), &headers(&change));
            assert_eq!(kept.as_deref(), Some(&change));
        }
    }

    #[test]
    fn a_sender_can_not_say_that_something_was_deleted() {
        let change = ResourceChange {
            kind: ChangeKind::Delete,
            resource_type: "Patient".to_owned(),
            id: "p1".to_owned(),
            version: 2,
        };
        assert_eq!(ResourceChange::kept(None, &headers(&change)), None);
        assert_eq!(ResourceChange::kept(Some(&part("a.json")), &headers(&change)), None);
        assert_eq!(ResourceChange::kept(Some(&part(ResourceChange::PART_KEY)), &[]), None);
    }
}
