//! Message maps: which segment maps make which resources, and how these refer to each other.

use hashbrown::HashMap;
use pipehat_dictionary::Version;
use pipehat_resource::definitions::{TypeDefinition, TypeKind};

use super::compile::Compiler;
use super::element::resolve;
use super::unread::Unread;
use super::{Step, Test};
use crate::condition::{Name, parse_condition};
use crate::table::Row;
use crate::target::{Instance, TargetStep, parse_target};

const UNREADABLE: &str = "no condition that can be read";

/// The map of a message structure.
#[derive(Debug)]
pub(crate) struct MessageMap {
    pub(crate) name: Box<str>,
    /// The message structure whose groups its rows name.
    pub(crate) structure: Box<str>,
    /// The segment groups that rows name; the first is the message.
    pub(crate) groups: Vec<GroupDefinition>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) rows: Vec<MessageRow>,
    /// Rows by their group and segment.
    pub(crate) places: HashMap<(u16, Name), Vec<u16>>,
    /// The groups in which a segment has rows.
    pub(crate) homes: HashMap<Name, Vec<u16>>,
    /// Segments that `:follow:` names.
    pub(crate) anchors: Vec<Name>,
    /// Why a segment at its place is mapped to nothing, and when that is so.
    pub(crate) reasons: HashMap<(u16, Name), (Option<Test>, Box<str>)>,
}

/// A segment group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupDefinition {
    pub(crate) name: Box<str>,
    pub(crate) parent: u16,
    /// The slots at home in it or in groups within: with each of its occurrences they are empty again.
    pub(crate) slots: Vec<u16>,
}

impl GroupDefinition {
    fn new(name: &str, parent: u16) -> Self {
        Self { name: name.into(), parent, slots: Vec::new() }
    }
}

/// A resource that rows name: `Patient[1]`.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) resource: &'static TypeDefinition,
    instance: Instance,
    /// The group around all rows that name it: with each of its occurrences it is another resource.
    pub(crate) home: u16,
    pub(crate) is_observation: bool,
    /// The segment that tells each of an order's doses, where it is of doses.
    pub(crate) dose: Option<Name>,
}

impl Slot {
    /// `Appointment[0]`: what is taken out of the Appointment.
    pub(crate) fn is_taken_out(&self) -> bool {
        self.instance == Instance::Numbered(0)
    }
}

/// One row of a message map.
#[derive(Debug)]
pub(crate) struct MessageRow {
    pub(crate) segment: Name,
    pub(crate) follow: Option<Name>,
    /// `PID[2]`: the second of its group only.
    pub(crate) occurrence: Option<usize>,
    pub(crate) condition: Option<Test>,
    pub(crate) slot: u16,
    /// From the slot's resource to what the map is applied to.
    pub(crate) path: Box<[Step]>,
    /// `None`: only references are set.
    pub(crate) map: Option<u32>,
    pub(crate) references: Vec<ReferenceRule>,
    /// The same for all rows of a segment at its place.
    pub(crate) place: u16,
}

/// `Encounter[1].subject.reference=Patient[1].id`
#[derive(Debug)]
pub(crate) struct ReferenceRule {
    pub(crate) from: SlotRef,
    pub(crate) path: Box<[Step]>,
    pub(crate) to: ReferenceTo,
}

/// A resource that a reference names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SlotRef {
    Slot(u16),
    /// The last of its type.
    Latest(&'static TypeDefinition),
}

/// The right side of a reference.
#[derive(Debug)]
pub(crate) enum ReferenceTo {
    Resource(SlotRef),
    Constant(Box<str>),
}

/// Where a row stands by its id.
struct RowPlace {
    groups: Vec<Box<str>>,
    segment: Name,
    follow: Option<Name>,
    occurrence: Option<usize>,
}

/// `ORU_R01.PATIENT_RESULT.PATIENT.PID`, `ADT_A01:follow:PID.ROL`, `ADT_A17.PID[2]`
fn place(id: &str) -> Option<RowPlace> {
    let mut follow = None;
    let mut parts: Vec<&str> = Vec::new();
    for part in id.split('.') {
        let part = match part.split_once(":follow:") {
            Some((part, anchor)) => {
                follow = Some(Name::parse(anchor)?);
                part
            }
            None => part,
        };
        parts.push(part);
    }
    let last = parts.pop()?;
    let (segment, occurrence) = match last.split_once('[') {
        Some((segment, number)) => (segment, Some(number.strip_suffix(']')?.parse().ok()?)),
        None => (last, None),
    };
    // `<ORC|RXA>` is a choice, which makes no group (HL7 v2.5.1 §2.12).
    let groups =
        parts.into_iter().skip(1).filter(|part| *part != "CHOICE").map(Box::from).collect();
    Some(RowPlace { groups, segment: Name::parse(segment)?, follow, occurrence })
}

/// Whether each segment of a name is a dose under an order, which is a resource of its own.
fn is_dose(segment: Name, resource: &TypeDefinition) -> bool {
    matches!(
        (&segment.0, resource.name()),
        (b"RXA", "MedicationAdministration")
            | (b"RXD", "MedicationDispense")
            | (b"RXG", "MedicationRequest")
    )
}

impl MessageMap {
    /// Compiles the rows of one map. Slots are named by all rows before references are read.
    pub(super) fn compile(compiler: &mut Compiler<'_>, name: &str, rows: &[&Row]) -> Self {
        let mut map = Self {
            name: name.into(),
            structure: structure_of(name).into(),
            groups: vec![GroupDefinition::new("", 0)],
            slots: Vec::new(),
            rows: Vec::new(),
            places: HashMap::new(),
            homes: HashMap::new(),
            anchors: Vec::new(),
            reasons: HashMap::new(),
        };
        let mut read: Vec<(&Row, RowPlace, u16, u16, Vec<TargetStep>)> = Vec::new();
        for row in rows.iter().copied() {
            if row.cell("target").is_empty() {
                // A segment that the table knows here, and maps to nothing.
                if !row.id().starts_with('/')
                    && let Some(place) = place(row.id())
                {
                    let group = map.group(&place.groups);
                    map.places.entry((group, place.segment)).or_default();
                    if row.is_ours {
                        let condition = match row.cell("antlr") {
                            "" => None,
                            text => match parse_condition(text) {
                                Some(own) => Some(compiler.test_of_message(&own, place.segment)),
                                None => {
                                    compiler.unread(Unread::new(row, "antlr", UNREADABLE));
                                    continue;
                                }
                            },
                        };
                        let reason = (condition, row.cell("comment").into());
                        map.reasons.insert((group, place.segment), reason);
                    }
                }
                continue;
            }
            let Some(place) = place(row.id()) else {
                compiler.unread(Unread::new(row, "id", "no segment"));
                continue;
            };
            let target =
                parse_target(row.cell("target")).filter(|target| target.assigned.is_none());
            let Some((resource, instance, rest)) = target.and_then(slot_of) else {
                compiler.unread(Unread::new(row, "target", "no resource"));
                continue;
            };
            let group = map.group(&place.groups);
            let slot = map.slot(resource, instance, group);
            if let Some(anchor) = place.follow
                && !map.anchors.contains(&anchor)
            {
                map.anchors.push(anchor);
            }
            if rest.is_empty()
                && is_dose(place.segment, resource)
                && let Some(own) = map.slots.get_mut(usize::from(slot))
            {
                own.dose = Some(place.segment);
            }
            read.push((row, place, group, slot, rest));
        }
        for (row, place, group, slot, rest) in read {
            map.row(compiler, row, &place, group, slot, &rest);
        }
        map.settle_slots();
        map
    }

    /// Tells each group its slots. The message's own stay filled.
    fn settle_slots(&mut self) {
        for (slot, at) in self.slots.iter().zip(0u16..) {
            let mut group = slot.home;
            while group != 0
                && let Some(own) = self.groups.get_mut(usize::from(group))
            {
                own.slots.push(at);
                group = own.parent;
            }
        }
    }

    fn row(
        &mut self,
        compiler: &mut Compiler<'_>,
        row: &Row,
        place: &RowPlace,
        group: u16,
        slot: u16,
        rest: &[TargetStep],
    ) {
        let Some(resource) = self.slots.get(usize::from(slot)).map(|slot| slot.resource) else {
            return;
        };
        let (path, root) = match resolve(&mut compiler.plan.names, resource, rest) {
            Ok(resolved) => (resolved.steps, resolved.end),
            Err(problem) => return compiler.unread(Unread::new(row, "target", problem)),
        };
        let condition = match row.cell("antlr") {
            "" => None,
            text => match parse_condition(text) {
                Some(condition) => Some(compiler.test_of_message(&condition, place.segment)),
                None => {
                    return compiler.unread(Unread::new(row, "antlr", UNREADABLE));
                }
            },
        };
        let index = match row.cell("segment_map") {
            "" => None,
            name => match compiler.segment_map(name, root) {
                Some(index) => Some(index),
                None => {
                    let problem = "no such map for this type";
                    return compiler.unread(Unread::new(row, "segment_map", problem));
                }
            },
        };
        let references = self.references(compiler, row, slot, root);
        let position = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        let key = (group, place.segment);
        let together = self.places.entry(key).or_default();
        let first = together.first().copied().unwrap_or(position);
        together.push(position);
        let homes = self.homes.entry(place.segment).or_default();
        if !homes.contains(&group) {
            homes.push(group);
        }
        self.rows.push(MessageRow {
            segment: place.segment,
            follow: place.follow,
            occurrence: place.occurrence,
            condition,
            slot,
            path: path.into(),
            map: index,
            references,
            place: first,
        });
    }

    /// The group of this path, made where it is new.
    fn group(&mut self, path: &[Box<str>]) -> u16 {
        let mut group = 0;
        for name in path {
            let found = self
                .groups
                .iter()
                .skip(1)
                .position(|own| own.parent == group && own.name == *name)
                .map(|position| position + 1);
            let index = found.unwrap_or_else(|| {
                self.groups.push(GroupDefinition::new(name, group));
                self.groups.len() - 1
            });
            group = u16::try_from(index).unwrap_or(0);
        }
        group
    }

    /// The rows for a segment in a group: its own, else those of the groups around, else of any group.
    pub(crate) fn rows_at(&self, group: u16, name: Name) -> Option<&[u16]> {
        let mut own = group;
        loop {
            if let Some(rows) = self.places.get(&(own, name)) {
                return Some(rows);
            }
            if own == 0 {
                break;
            }
            own = self.parent(own);
        }
        let homes = self.homes.get(&name)?;
        let nearest =
            homes.iter().find(|home| self.is_within(**home, group)).or_else(|| homes.first())?;
        self.places.get(&(*nearest, name)).map(Vec::as_slice)
    }

    /// A group's name by those around it: `PATIENT.VISIT`.
    pub(crate) fn group_path(&self, group: u16) -> String {
        let mut names = Vec::new();
        let mut next = group;
        while next != 0 {
            names.extend(self.groups.get(usize::from(next)).map(|own| &*own.name));
            next = self.parent(next);
        }
        names.reverse();
        names.join(".")
    }

    /// Whether a group is another or stands within it.
    pub(crate) fn is_within(&self, group: u16, outer: u16) -> bool {
        let mut next = group;
        for _ in 0..self.groups.len() {
            if next == outer {
                return true;
            }
            next = self.parent(next);
        }
        outer == 0
    }

    /// The group of a name within another.
    pub(crate) fn child_group(&self, parent: u16, name: &str) -> Option<u16> {
        let is_child = |group: &GroupDefinition| group.parent == parent && *group.name == *name;
        let index = self.groups.iter().skip(1).position(is_child)?;
        u16::try_from(index + 1).ok()
    }

    pub(crate) fn parent(&self, group: u16) -> u16 {
        self.groups.get(usize::from(group)).map_or(0, |group| group.parent)
    }

    fn slot(&mut self, resource: &'static TypeDefinition, instance: Instance, group: u16) -> u16 {
        let found = self
            .slots
            .iter()
            .position(|slot| slot.resource == resource && slot.instance == instance);
        let index = found.unwrap_or_else(|| {
            let is_observation = resource.name() == "Observation";
            self.slots.push(Slot { resource, instance, home: group, is_observation, dose: None });
            self.slots.len() - 1
        });
        let mut home = self.slots.get(index).map_or(0, |slot| slot.home);
        while !self.is_within(group, home) {
            home = self.parent(home);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.home = home;
        }
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    fn references(
        &self,
        compiler: &mut Compiler<'_>,
        row: &Row,
        own: u16,
        root: &'static TypeDefinition,
    ) -> Vec<ReferenceRule> {
        let mut rules = Vec::new();
        for text in row.cell("references").split([';', '\n']).map(str::trim) {
            if text.is_empty() {
                continue;
            }
            match self.reference(compiler, text, own, root) {
                Ok(rule) => rules.extend(rule),
                Err(problem) => {
                    let mut unread = Unread::new(row, "references", problem);
                    text.clone_into(&mut unread.text);
                    compiler.unread(unread);
                }
            }
        }
        rules
    }

    fn reference(
        &self,
        compiler: &mut Compiler<'_>,
        text: &str,
        own: u16,
        root: &'static TypeDefinition,
    ) -> Result<Option<ReferenceRule>, String> {
        let (left, right) = text.split_once('=').ok_or("no assignment")?;
        let left = left.trim().strip_suffix(".reference").unwrap_or(left.trim());
        let target = parse_target(left).ok_or("the left side is no element")?;
        let (resource, instance, path) = slot_of(target).ok_or("the left side is no resource's")?;
        let from = self.slot_named(resource, instance, own).ok_or("no row makes the left side")?;
        let resolved = resolve(&mut compiler.plan.names, resource, &path)?;
        let right = right.trim();
        if let Some(constant) = right.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            resolved.end.primitive().ok_or("a text where an element has parts")?;
            let to = ReferenceTo::Constant(constant.into());
            return Ok(Some(ReferenceRule { from, path: resolved.steps.into(), to }));
        }
        if resolved.end.name() != "Reference" {
            return Err(format!("{} is no Reference", resolved.end.name()));
        }
        let right = right.strip_suffix(".id").unwrap_or(right);
        let (resource, instance) = match right.split_once('[') {
            // `Patient[PID]`: the patient that PID makes.
            Some((name, rest))
                if rest.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase()) =>
            {
                (TypeDefinition::named(name), Instance::Plain)
            }
            _ => match parse_target(right).and_then(slot_of) {
                Some((resource, instance, rest)) if rest.is_empty() => (Some(resource), instance),
                _ => return Err("the right side is no resource".into()),
            },
        };
        let resource = resource.ok_or("no such type")?;
        let mut targets = resolved.element.into_iter().flat_map(|(element, _)| element.targets());
        let is_free =
            resolved.element.is_some_and(|(element, _)| element.targets().next().is_none());
        if !is_free && !targets.any(|target| target == resource.name() || target == "Resource") {
            return Err(format!("a reference that may not lead to {}", resource.name()));
        }
        match self.slot_named(resource, instance, own) {
            Some(to) => Ok(Some(ReferenceRule {
                from,
                path: resolved.steps.into(),
                to: ReferenceTo::Resource(to),
            })),
            // The row's own target, by which it is referred to already.
            None if resource == root => Ok(None),
            None => Err("no row makes the right side".into()),
        }
    }

    fn slot_named(
        &self,
        resource: &'static TypeDefinition,
        instance: Instance,
        own: u16,
    ) -> Option<SlotRef> {
        let is_own = self.slots.get(usize::from(own)).is_some_and(|slot| slot.resource == resource);
        let exact = self
            .slots
            .iter()
            .position(|slot| slot.resource == resource && slot.instance == instance);
        if let Some(index) = exact {
            return Some(SlotRef::Slot(u16::try_from(index).ok()?));
        }
        if instance == Instance::Plain && is_own {
            return Some(SlotRef::Slot(own));
        }
        let made = self.slots.iter().any(|slot| slot.resource == resource);
        (instance == Instance::Plain && made).then_some(SlotRef::Latest(resource))
    }
}

/// The structure of a map that is named by message code and trigger event.
fn structure_of(name: &str) -> &str {
    let Some((code, trigger)) = name.split_once('_') else { return name };
    let version = Version::V2_8_2;
    match version.event(code, trigger).and_then(|event| event.structure()) {
        Some(structure) => structure.base_name(),
        None => name,
    }
}

/// The resource at the head of a target, and what follows.
fn slot_of(
    target: crate::target::Target,
) -> Option<(&'static TypeDefinition, Instance, Vec<TargetStep>)> {
    let mut steps = target.steps.into_iter();
    let TargetStep::Element(name, instance) = steps.next()? else { return None };
    let resource = TypeDefinition::named(&name).filter(|own| own.kind() == TypeKind::Resource)?;
    Some((resource, instance, steps.collect()))
}
