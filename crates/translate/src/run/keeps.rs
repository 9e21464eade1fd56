//! What of the resources stays as it stands, where they stand already: the message does not speak of it.

use pipehat_resource::kept::Keeps;

use super::Run;
use super::test::Here;
use super::tree::NodeId;
use crate::plan::{Keep, MessageMap};

impl<'a> Run<'a> {
    /// What stays of each resource that the message says less of than an update would.
    pub(super) fn keeps(&mut self, map: Option<&MessageMap>) -> Vec<(NodeId, Keeps)> {
        let plan = self.plan;
        let Some(code) = map.and_then(|map| map.name.split('_').next()) else { return Vec::new() };
        if !plan.keep_codes.contains(&code) {
            return Vec::new();
        }
        let event = self.view.repetitions(0, 9).next().map(|message| message.part(2));
        let event = event.map(|event| self.first_text(&event)).unwrap_or_default();
        let rows: Vec<&'a Keep> =
            plan.keeps.iter().filter(|keep| keep.is_of(code, &event)).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let mut kept = Vec::new();
        for index in 0..self.resources.len() {
            let Some(own) = self.resources.get(index).filter(|own| !own.is_dropped) else {
                continue;
            };
            let (root, segment, definition) = (own.root, own.segment, own.definition);
            let here = Here { segment, field: 0, value: None, own: None };
            let mut keeps = Keeps::default();
            for row in rows.iter().filter(|row| row.resource == definition) {
                if row.told.is_some_and(|(element, is_told)| self.tells(root, element) != is_told) {
                    continue;
                }
                if row.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
                    row.add(&mut keeps);
                }
            }
            if !keeps.is_empty() {
                kept.push((root, keeps));
            }
        }
        kept
    }

    /// Whether a resource has a value here; of the content of a document, whether that is there.
    fn tells(&self, root: NodeId, element: &str) -> bool {
        if element == "content" {
            self.has_content(root)
        } else {
            self.text_of(root, element).is_some()
        }
    }
}
