//! The tables, compiled: names resolved against R4's definitions, conditions and targets read, all by index.
//!
//! A plan is made once (the tables' own at the first use, one for each overlay) and only read from then on.

mod compile;
mod element;
mod fitting;
mod keeps;
mod made;
mod message_map;
mod positions;
mod referred;
mod requirements;
mod rule_run;
mod unread;
mod vocabulary;

use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use pipehat_resource::definitions::{Primitive, TypeDefinition, ValueSet};

use crate::condition::{Comparison, Name};
use crate::expression::Conversion;
use crate::lineage::{pack_rule, pack_word};
use crate::table;

pub(crate) use compile::compile;
pub(crate) use element::NO_CHOICE;
pub(crate) use fitting::{CodeUse, NEVER, NO_VALUE, OTHER_SEGMENT};
pub(crate) use keeps::{Is, Keep, Whose};
pub(crate) use made::MadeOf;
pub(crate) use message_map::{MessageMap, MessageRow, ReferenceRule, ReferenceTo, SlotRef};
pub(crate) use positions::Positions;
pub(crate) use requirements::Requirements;
pub(crate) use rule_run::{Choice, RuleRun};
pub(crate) use unread::Unread;
pub(crate) use vocabulary::{Meaning, Vocabulary};

/// The plan of the tables as they are in the repository.
static TABLES: LazyLock<Arc<Plan>> = LazyLock::new(|| Arc::new(compile(&table::rows().0)));

/// Everything that a translation does, as data.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Members of JSON objects, by [`NameId`].
    pub(crate) names: Names,
    pub(crate) well_known: WellKnown,
    pub(crate) messages: Vec<MessageMap>,
    message_names: HashMap<Box<str>, usize>,
    pub(crate) segments: Vec<SegmentMap>,
    /// What the results below an OBR with a parent result (OBR-26) are told besides.
    pub(crate) parent_result: Option<u32>,
    pub(crate) datatypes: Vec<DatatypeMap>,
    pub(crate) vocabularies: Vec<Vocabulary>,
    vocabulary_names: HashMap<Box<str>, u32>,
    /// Where their codes go.
    pub(crate) code_uses: Vec<CodeUse>,
    /// Where each rule stands in the tables, for lineage.
    pub(crate) origins: Vec<Origin>,
    /// Of the types that have several dosages, where it stands how one timing follows another.
    pub(crate) conjunctions: Vec<(&'static str, u32)>,
    /// Why fields have no home.
    pub(crate) reasons: Reasons,
    /// What messages do not speak of.
    pub(crate) keeps: Vec<Keep>,
    /// The message codes of those, each once, with its rows.
    pub(crate) keep_codes: Vec<(&'static str, Vec<usize>)>,
    /// Whose the resources are, by their types.
    pub(crate) whose: Vec<Whose>,
    /// Messages that take things from one patient to another on purpose.
    pub(crate) moves: Vec<(&'static str, Option<&'static str>)>,
    /// Which fields make what stays where they are empty.
    pub(crate) made: MadeOf,
    /// Lines of that table that can't be read.
    pub(crate) unread_keeps: Vec<String>,
    /// What R4 requires of what is made.
    pub(crate) requirements: Requirements,
    /// What is not run.
    pub(crate) unread: Vec<Unread>,
}

impl Plan {
    /// The plan of the tables as they are.
    pub(crate) fn of_tables() -> Arc<Self> {
        Arc::clone(&TABLES)
    }

    /// The message map of this name.
    pub(crate) fn message(&self, name: &str) -> Option<&MessageMap> {
        self.messages.get(*self.message_names.get(name)?)
    }

    /// The vocabulary of this name.
    pub(crate) fn vocabulary(&self, name: &str) -> Option<&Vocabulary> {
        self.vocabularies.get(*self.vocabulary_names.get(name)? as usize)
    }

    /// Which reference says whose the resources of a type are.
    pub(crate) fn whose_it_is(&self, resource: &str) -> Option<&Whose> {
        let at = self.whose.binary_search_by(|own| own.resource.cmp(resource)).ok()?;
        self.whose.get(at)
    }

    /// Where the codes of a vocabulary go.
    pub(crate) fn code_uses(&self, vocabulary: &str) -> impl Iterator<Item = &CodeUse> {
        let number = self.vocabulary_names.get(vocabulary).copied();
        self.code_uses.iter().filter(move |own| Some(own.vocabulary) == number)
    }
}

/// Members that the interpreter itself writes or reads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WellKnown {
    pub(crate) coding: NameId,
    pub(crate) code: NameId,
    pub(crate) system: NameId,
    pub(crate) display: NameId,
    pub(crate) identifier: NameId,
    pub(crate) master_identifier: NameId,
    pub(crate) value: NameId,
    pub(crate) extension: NameId,
    pub(crate) url: NameId,
    pub(crate) value_code: NameId,
    /// `use`
    pub(crate) purpose: NameId,
    pub(crate) sequence: NameId,
}

impl WellKnown {
    fn of(names: &mut Names) -> Self {
        Self {
            coding: names.id("coding"),
            code: names.id("code"),
            system: names.id("system"),
            display: names.id("display"),
            identifier: names.id("identifier"),
            master_identifier: names.id("masterIdentifier"),
            value: names.id("value"),
            extension: names.id("extension"),
            url: names.id("url"),
            value_code: names.id("valueCode"),
            purpose: names.id("use"),
            sequence: names.id("sequence"),
        }
    }
}

/// What rows of ours without an element say: why the field has none.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    /// By the segment map and the field.
    pub(crate) of_maps: HashMap<(u32, u16), Box<str>>,
    /// Of segments that no resource is made of (`ACC[None]`), by the field.
    pub(crate) of_segments: HashMap<(Name, u16), Box<str>>,
}

/// A JSON member's name, as a number.
pub(crate) type NameId = u16;

/// The names of JSON members.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<&'static str>,
    /// Each as lineage has it.
    packed: Vec<Box<[u8]>>,
    ids: HashMap<&'static str, NameId>,
}

impl Names {
    /// The number of a name.
    pub(crate) fn id(&mut self, text: &'static str) -> NameId {
        *self.ids.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.packed.push(packed(text, pack_word));
            // R4 has some thousand members.
            NameId::try_from(self.texts.len() - 1).unwrap_or(NameId::MAX)
        })
    }

    /// The number of a name that may not be known.
    pub(crate) fn find(&self, text: &str) -> Option<NameId> {
        self.ids.get(text).copied()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The name of a number, as lineage has it.
    pub(crate) fn packed(&self, name: u32) -> &[u8] {
        self.packed.get(name as usize).map(|own| &**own).unwrap_or_default()
    }

    /// The name of a number.
    pub(crate) fn text(&self, id: NameId) -> &'static str {
        self.texts.get(usize::from(id)).copied().unwrap_or_default()
    }
}

/// A text as lineage has it.
fn packed(text: &str, pack: fn(&str, &mut Vec<u8>)) -> Box<[u8]> {
    let mut packed = Vec::new();
    pack(text, &mut packed);
    packed.into_boxed_slice()
}

/// Where a rule stands in the tables, as lineage has it: `segments PID[Patient] PID-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(Box<[u8]>);

impl Origin {
    /// Of a row.
    pub(crate) fn new(text: &str) -> Self {
        Self(packed(text, pack_rule))
    }

    /// As lineage has it.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.0
    }
}

/// A segment map: `PID[Patient]`.
#[derive(Debug)]
pub(crate) struct SegmentMap {
    pub(crate) segment: Name,
    pub(crate) root: &'static TypeDefinition,
    pub(crate) runs: Vec<RuleRun>,
    /// Of each run, the field without which it does nothing.
    pub(crate) reads: Vec<Positions>,
}

impl SegmentMap {
    fn new(segment: Name, root: &'static TypeDefinition, runs: Vec<RuleRun>) -> Self {
        let reads = |run: &RuleRun| match run.on_absence {
            true => Positions::ALWAYS,
            false => Positions::of(run.field),
        };
        let reads = runs.iter().map(reads).collect();
        Self { segment, root, runs, reads }
    }
}

/// A datatype map applied to one FHIR type.
#[derive(Debug, Default)]
pub(crate) struct DatatypeMap {
    pub(crate) rules: Vec<Rule>,
    /// Of each rule, the component without which it does nothing.
    pub(crate) reads: Vec<Positions>,
    /// Of maps that make several resources of one value (PL): what each is part of.
    pub(crate) links: Vec<Link>,
}

impl DatatypeMap {
    fn new(rules: Vec<Rule>) -> Self {
        let reads = |rule: &Rule| match rule.source {
            Source::Component(component, _) if !rule.on_absence => Positions::of(component),
            _ => Positions::ALWAYS,
        };
        let link = |rule: &Rule| match rule.action {
            Action::Link(link) => Some(link),
            _ => None,
        };
        let reads = rules.iter().map(reads).collect();
        let links = rules.iter().filter_map(link).collect();
        Self { rules, reads, links }
    }
}

/// `[1].partOf.reference(Location[2])`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) name: NameId,
    pub(crate) definition: &'static TypeDefinition,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) source: Source,
    pub(crate) condition: Option<Test>,
    /// Whether it runs when its source is empty.
    pub(crate) on_absence: bool,
    /// `[2].use`: 2; 0 where none is named.
    pub(crate) another: u16,
    pub(crate) path: Box<[Step]>,
    /// Whether a list stands in its path, so that repetitions have a place, and not one for all of them.
    pub(crate) repeats: bool,
    /// `component[each]` of another field than the one that repeats: that one.
    pub(crate) each: Option<u16>,
    pub(crate) action: Action,
    pub(crate) origin: u32,
}

/// What a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// No place: it runs always.
    Always,
    /// Of a segment map: a field, its component and subcomponent, 0 for all of it.
    Field(u16, u16, u16),
    /// Of a datatype map: a component and its subcomponent.
    Component(u16, u16),
    /// Of a datatype map: the value.
    Whole,
}

/// A step from an element to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Child {
        name: NameId,
        is_list: bool,
        is_primitive: bool,
        /// The type of its value.
        definition: &'static TypeDefinition,
        /// Of a choice, the name without the type.
        choice: NameId,
        /// `[n]`
        instance: u16,
        /// The first list of the path that is no `[=n]`: repetitions and segments make instances of it.
        takes_repetition: bool,
    },
    /// Into the resource that the element refers to.
    Resource(&'static TypeDefinition),
}

/// What a rule does with its value.
#[derive(Debug)]
pub(crate) enum Action {
    Constant(Box<str>, Primitive),
    Joined(Vec<JoinedPiece>, Primitive),
    Named(Conversion, Primitive, Option<u32>, bool),
    Primitive(PrimitiveRule),
    Datatype(DatatypeRule),
    /// Nothing, on purpose.
    Nothing,
    /// A [`Link`] of the datatype map.
    Link(Link),
}

/// A primitive value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrimitiveRule {
    pub(crate) primitive: Primitive,
    pub(crate) vocabulary: Option<u32>,
    /// The only codes allowed.
    pub(crate) codes: Option<&'static ValueSet>,
    /// FT and TX: formatting commands are laid out.
    pub(crate) is_formatted: bool,
    /// A v2 type without components: delimiters within it are text.
    pub(crate) is_whole: bool,
    /// `Coding.system` and its like: the value names a coding system.
    pub(crate) is_code_system: bool,
    /// `Coding.code`: what the code means says its system too.
    pub(crate) is_coding_code: bool,
}

/// A value by a datatype map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatatypeRule {
    pub(crate) map: u32,
    pub(crate) vocabulary: Option<u32>,
    pub(crate) coded: Coded,
    /// The only codings allowed.
    pub(crate) codings: Option<&'static ValueSet>,
    /// The HL7 table of the field, for the system of codes that name none.
    pub(crate) hl7_table: u16,
}

/// Whether a FHIR type carries codes with systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coded {
    No,
    Coding,
    Concept,
}

/// A piece of a joined text.
#[derive(Debug)]
pub(crate) enum JoinedPiece {
    Text(Box<str>),
    Place(Place),
}

/// A place that a condition or a joined text reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The rule's own value.
    Own,
    /// A component of the value at hand, 0 for all of it.
    Component(u16, u16),
    /// A field of the segment at hand; of the rule's own field, the repetition at hand.
    Field(u16, u16, u16),
    /// A field of another segment, 0 for the segment.
    Segment(Name, u16, u16, u16),
}

/// A condition, by places.
#[derive(Debug)]
pub(crate) enum Test {
    Valued(Place),
    Numeric(Place),
    Compared(Place),
    Date(Place),
    Time(Place),
    In(Place, Box<[Box<str>]>),
    Same(Place, Place),
    /// The first is a later time than the second, as far as both tell.
    After(Place, Place),
    Count(Place, Comparison, u32),
    Length(Place, Comparison, u32),
    Not(Box<Test>),
    And(Box<[Test]>),
    Or(Box<[Test]>),
}
