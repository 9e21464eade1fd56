//! What of the resources stays as it stands, where they stand already: the message does not speak of it.

use std::borrow::Cow;
use std::ops::Range;

use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::{Object, Value};
use pipehat_resource::kept::Keeps;

use super::json::Writer;
use super::required::DATA_ABSENT_REASON;
use super::test::Here;
use super::tree::NodeId;
use super::{Resource, Run};
use crate::OtherPatient;
use crate::condition::Name;
use crate::plan::{Is, Keep, MessageMap};

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
        let Some((_, rows)) = plan.keep_codes.iter().find(|(own, _)| *own == code) else {
            return Vec::new();
        };
        let event = self.event();
        let rows = rows.iter().filter_map(|row| plan.keeps.get(*row));
        let rows: Vec<&'a Keep> = rows.filter(|keep| keep.is_of(code, &event)).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let mut kept = Vec::new();
        for index in 0..self.resources.len() {
            let is_told = |own: &&Resource| !own.is_dropped && !own.is_taken_out;
            let Some(own) = self.resources.get(index).filter(is_told) else { continue };
            let (root, segment, definition) = (own.root, own.segment, own.definition);
            let is_direct = own.is_direct;
            let here = Here { segment, field: 0, value: None, own: None };
            let mut keeps = Keeps::default();
            for row in rows.iter().filter(|row| row.resource == definition) {
                if row.told.is_some_and(|(element, is)| !self.is(root, element, is)) {
                    continue;
                }
                if !row.any.is_empty() && !self.has_any(&row.any) {
                    continue;
                }
                if row.condition.as_ref().is_none_or(|test| self.holds(test, &here)) {
                    row.add(&mut keeps);
                    if row.rest() == Some("*") && is_direct {
                        self.tell_rest(root, segment, definition, &mut keeps);
                    }
                    self.take_items_out(row, root, segment, &mut keeps);
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

    /// Whether what stands of one patient isn't told of another here: by this message, and by who sends it.
    pub(super) fn holds_to_patients(&self, map: Option<&MessageMap>) -> bool {
        if self.settings.other_patient == Some(OtherPatient::Take) {
            return false;
        }
        let code = map.and_then(|map| map.name.split('_').next()).unwrap_or_default();
        let mut moves = self.plan.moves.iter().filter(|(own, _)| *own == code).peekable();
        if moves.peek().is_none() {
            return true;
        }
        let event = self.event();
        !moves.any(|(_, only)| only.is_none_or(|only| only == event))
    }

    /// MSH-9.2
    fn event(&self) -> Cow<'a, str> {
        let event = self.view.repetitions(0, 9).next().map(|message| message.part(2));
        event.map(|event| self.first_text(&event)).unwrap_or_default()
    }

    /// Says which elements the message tells though it makes none of them: a field is `""`, or has what has no home there.
    fn tell_rest(
        &self,
        root: NodeId,
        segment: usize,
        definition: &'static TypeDefinition,
        keeps: &mut Keeps,
    ) {
        let own = self.own_segments(segment);
        // Of a merge MRG tells of the other record.
        let prior = Name(*b"MRG");
        let is_prior = self.view.name(segment) == Some(prior);
        let is_told =
            |field: &(Name, u16)| (is_prior || field.0 != prior) && self.has_field(&own, *field);
        let made = self.plan.made.elements.iter().filter(|made| made.resource == definition);
        for made in made {
            let (name, within) = made.path;
            let mut node = self.tree.find(root, name);
            if let Some(within) = within {
                node = node.and_then(|node| self.tree.find(node, within));
            }
            let is_made = node.is_some_and(|node| self.says_more_than_absent(node));
            if !is_made && made.fields.iter().any(is_told) {
                keeps.tell(made.text.clone());
            }
        }
    }

    /// Has items of a list go where a field is `""`, or makes no item: those that a row names by it, and extensions by the rules
    /// that make them.
    fn take_items_out(&self, row: &Keep, root: NodeId, segment: usize, keeps: &mut Keeps) {
        let Some(list) = row.list() else { return };
        let of_extensions = list == "extension";
        if row.gone.is_empty() && !of_extensions {
            return;
        }
        let own = self.own_segments(segment);
        let named = row.gone.iter().map(|(segment, field, key)| ((*segment, *field), *key));
        let named = named.filter(|(field, _)| self.is_deleted(&own, *field));
        let made = self.plan.made.extensions.iter().filter(|made| {
            of_extensions
                && made.resource == row.resource
                && self.has_field(&own, made.field)
                && !self.has_extension(root, &made.url)
        });
        let mut without: Vec<Box<str>> = named.map(|(_, key)| key.into()).collect();
        for made in made {
            if !without.contains(&made.url) {
                without.push(made.url.clone());
            }
        }
        if let Some(items) = keeps.items_mut().last_mut().filter(|_| !without.is_empty()) {
            items.without.extend(without);
        }
    }

    /// The segments that tell of a resource: from the one that it is made by to the next that makes such another, or that is
    /// of another patient.
    fn own_segments(&self, segment: usize) -> Range<usize> {
        let name = self.view.name(segment);
        let all = self.view.len();
        // A message is of one appointment, for whose patients it is.
        if name == Some(Name(*b"MSH")) || name == Some(Name(*b"SCH")) {
            return 0..all;
        }
        let is_next = |at: &usize| {
            let other = self.view.name(*at);
            other == name || other == Some(Name(*b"PID"))
        };
        segment..(segment + 1..all).find(is_next).unwrap_or(all)
    }

    fn has_field(&self, own: &Range<usize>, (name, field): (Name, u16)) -> bool {
        let mut segments = own.clone().filter(|segment| self.view.name(*segment) == Some(name));
        segments.any(|segment| field == 0 || !self.view.field(segment, field).is_empty())
    }

    /// Whether a field is `""`.
    fn is_deleted(&self, own: &Range<usize>, (name, field): (Name, u16)) -> bool {
        let mut segments = own.clone().filter(|segment| self.view.name(*segment) == Some(name));
        segments.any(|segment| self.view.field(segment, field) == b"\"\"")
    }

    fn has_extension(&self, root: NodeId, url: &str) -> bool {
        let extension = self.plan.well_known.extension;
        let is_it = |own: &NodeId| {
            self.tree.node(*own).is_some_and(|node| node.name == extension)
                && self.text_of(*own, "url").is_some_and(|own| own == url)
        };
        self.tree.children(root).any(|own| is_it(&own))
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

    /// Whether an element says more than that it is not known (R4 data-absent-reason).
    fn says_more_than_absent(&self, node: NodeId) -> bool {
        let extension = self.plan.well_known.extension;
        let is_reason = |own: NodeId| {
            self.tree.node(own).is_some_and(|node| node.name == extension)
                && self.text_of(own, "url").is_some_and(|own| own == DATA_ABSENT_REASON)
        };
        let mut children = self.tree.children(node).peekable();
        children.peek().is_none() || !children.all(is_reason)
    }

    fn is(&self, root: NodeId, element: &str, is: Is) -> bool {
        match is {
            Is::Told => self.tells(root, element),
            Is::Absent => !self.tells(root, element),
            Is::Unknown => self.text_of(root, element).is_some_and(|own| own == "unknown"),
        }
    }

    /// Whether a resource has a value here; of the content of a document, whether that is there.
    fn tells(&self, root: NodeId, element: &str) -> bool {
        if element == "content" {
            self.has_content(root)
        } else {
            let node = self.plan.names.find(element).and_then(|name| self.tree.find(root, name));
            let is_primitive = |node| self.tree.node(node).is_some_and(|node| node.is_primitive);
            let has_more = |node| self.tree.first_child(node).is_some();
            self.text_of(root, element).is_some()
                || node.is_some_and(|node| !is_primitive(node) && has_more(node))
        }
    }
}
