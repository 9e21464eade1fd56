//! What of the resources stays as it stands, where they stand already: the message does not speak of it.

use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::{Object, Value};
use pipehat_resource::kept::Keeps;

use super::json::Writer;
use super::test::Here;
use super::tree::NodeId;
use super::{Resource, Run};
use crate::condition::Name;
use crate::plan::{Keep, MessageMap};

impl<'a> Run<'a> {
    /// What stays of each resource that the message says less of than an update would. `references` are what the resources
    /// are referred to by.
    pub(super) fn keeps(
        &mut self,
        map: Option<&MessageMap>,
        references: &[Option<String>],
    ) -> Vec<(NodeId, Keeps)> {
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
            let is_told = |own: &&Resource| !own.is_dropped && !own.is_taken_out;
            let Some(own) = self.resources.get(index).filter(is_told) else { continue };
            let (root, segment, definition) = (own.root, own.segment, own.definition);
            let here = Here { segment, field: 0, value: None, own: None };
            let mut keeps = Keeps::default();
            for row in rows.iter().filter(|row| row.resource == definition) {
                if row.told.is_some_and(|(element, is_told)| self.tells(root, element) != is_told) {
                    continue;
                }
                if !row.any.is_empty() && !self.has_any(&row.any) {
                    continue;
                }
                if row.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
                    row.add(&mut keeps);
                }
            }
            if !keeps.items().is_empty() {
                self.take_out(definition, &mut keeps, references);
            }
            if !keeps.is_empty() {
                kept.push((root, keeps));
            }
        }
        kept
    }

    /// Whether any of these fields has a value anywhere in the message.
    fn has_any(&self, fields: &[(Name, u16)]) -> bool {
        (0..self.view.len()).any(|segment| {
            let mut own = fields.iter().filter(|(name, _)| self.view.name(segment) == Some(*name));
            own.any(|(_, field)| !self.view.field(segment, *field).is_empty())
        })
    }

    /// Has the items go that the message takes out.
    fn take_out(
        &mut self,
        definition: &'static TypeDefinition,
        keeps: &mut Keeps,
        references: &[Option<String>],
    ) {
        let is_it = |own: &&Resource| own.is_taken_out && own.definition == definition;
        for own in self.resources.iter().filter(is_it) {
            let mut writer = Writer { tree: &mut self.tree, names: &self.plan.names, references };
            let mut taken_out = Object::new();
            writer.members(own.root, &mut taken_out);
            let taken_out = Value::Object(taken_out);
            for items in keeps.items_mut() {
                items.take_out(&taken_out);
            }
        }
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
