//! From rows to a plan.

use hashbrown::HashMap;
use pipehat_dictionary::Version;
use pipehat_message::SegmentName;
use pipehat_resource::definitions::{
    BindingStrength, Primitive, TypeDefinition, TypeKind, ValueSet,
};

use super::element::{Resolved, resolve};
use super::fitting::{CodeUse, NO_VALUE, OTHER_SEGMENT, misfit, narrative, other_type};
use super::message_map::MessageMap;
use super::requirements::Requirements;
use super::rule_run::runs;
use super::unread::Unread;
use super::{
    Action, Coded, DatatypeMap, DatatypeRule, JoinedPiece, Link, Origin, Place, Plan,
    PrimitiveRule, Rule, SegmentMap, Source, Step, Test,
};
use crate::condition::{Condition, FieldRef, Name, parse_condition};
use crate::expression::{Conversion, Expression, Piece, parse_expression};
use crate::table::{Row, RowTable};
use crate::target::{Instance, TargetStep, parse_target};

/// Datatype maps within datatype maps: no value is nested deeper.
const DEPTH_MAX: usize = 6;

/// Compiles all rows.
pub(crate) fn compile(rows: &[Row]) -> Plan {
    let mut groups: [Vec<(&str, Vec<&Row>)>; 4] = Default::default();
    let mut places: HashMap<(RowTable, &str), usize> = HashMap::new();
    for row in rows {
        let Some(group) = groups.get_mut(row.table as usize) else { continue };
        let place = *places.entry((row.table, row.map())).or_insert_with(|| {
            group.push((row.map(), Vec::new()));
            group.len() - 1
        });
        if let Some((_, own)) = group.get_mut(place) {
            own.push(row);
        }
    }
    let [messages, segments, datatypes, codesystems] = groups;
    let mut compiler = Compiler {
        plan: Plan::default(),
        datatype_rows: datatypes.iter().map(|(name, rows)| (*name, rows.as_slice())).collect(),
        datatype_maps: HashMap::new(),
        segment_maps: HashMap::new(),
        depth: 0,
    };
    compiler.plan.well_known = super::WellKnown::of(&mut compiler.plan.names);
    for (name, rows) in &codesystems {
        compiler.vocabulary(name, rows);
    }
    for (name, rows) in &segments {
        compiler.segment(name, rows);
    }
    compiler.plan.parent_result = TypeDefinition::named("Observation")
        .and_then(|observation| compiler.segment_map(PARENT_RESULT, observation));
    for name in DOSED {
        let origin = compiler.origin(Origin::new(&format!("segments TQ1[{name}] TQ1-12")));
        compiler.plan.conjunctions.push((name, origin));
    }
    for (name, rows) in &messages {
        let map = MessageMap::compile(&mut compiler, name, rows);
        compiler.plan.message_names.insert((*name).into(), compiler.plan.messages.len());
        compiler.plan.messages.push(map);
    }
    compiler.unread_maps(&datatypes);
    (compiler.plan.keeps, compiler.plan.unread_keeps) = super::keeps::keeps(&compiler);
    compiler.plan.whose = super::keeps::whose();
    compiler.plan.moves = super::keeps::moves();
    let mut codes: Vec<_> = compiler.plan.keeps.iter().flat_map(super::Keep::codes).collect();
    codes.sort_unstable();
    codes.dedup();
    let rows = |code| {
        let rows = compiler.plan.keeps.iter().enumerate();
        let own = rows.filter(|(_, row)| row.codes().any(|own| own == code));
        (code, own.map(|(at, _)| at).collect())
    };
    compiler.plan.keep_codes = codes.into_iter().map(rows).collect();
    compiler.plan.made = super::made::MadeOf::of(&compiler.plan);
    compiler.plan.requirements = Requirements::of_types(&compiler.plan.names);
    compiler.plan
}

/// Types with a list of dosages.
pub(crate) const DOSED: [&str; 2] = ["MedicationRequest", "MedicationDispense"];

/// What the results below an OBR with a parent result are told besides.
const PARENT_RESULT: &str = "OBR[Observation-Parent]";

/// What is being compiled.
pub(super) struct Compiler<'r> {
    pub(super) plan: Plan,
    datatype_rows: HashMap<&'r str, &'r [&'r Row]>,
    datatype_maps: HashMap<(&'r str, &'static str), u32>,
    segment_maps: HashMap<&'r str, Vec<u32>>,
    depth: usize,
}

/// The v2 side of a map.
#[derive(Clone, Copy)]
pub(super) enum Context {
    Segment(Name),
    /// By the data type's name, if it is a name.
    Datatype(Option<Name>),
}

/// Of a row of ours without an element: its field, and why it has none.
fn reason(row: &Row) -> Option<(Name, u16, &str)> {
    let place = FieldRef::parse(row.id()).filter(|_| row.is_ours && row.cell("attr").is_empty())?;
    Some((place.name?, place.numbers[0], row.cell("comment")))
}

/// `CX` and `Identifier` of `CX[Identifier]`, `MessageHeader.source` of `HD[MessageHeader.source-name]`.
pub(super) fn map_names(map: &str) -> Option<(&str, &str)> {
    let (from, to) = map.split_once('[')?;
    let to = to.strip_suffix(']')?;
    Some((from, to.split_once('-').map_or(to, |(to, _)| to)))
}

impl<'r> Compiler<'r> {
    pub(super) fn unread(&mut self, unread: Unread) {
        self.plan.unread.push(unread);
    }

    pub(super) fn origin(&mut self, origin: Origin) -> u32 {
        self.plan.origins.push(origin);
        u32::try_from(self.plan.origins.len() - 1).unwrap_or(u32::MAX)
    }

    /// The segment map of this name for this type.
    pub(super) fn segment_map(&self, name: &str, root: &'static TypeDefinition) -> Option<u32> {
        let maps = self.segment_maps.get(name)?;
        maps.iter()
            .copied()
            .find(|map| self.plan.segments.get(*map as usize).is_some_and(|map| map.root == root))
    }

    fn vocabulary(&mut self, name: &str, rows: &[&Row]) {
        let index = u32::try_from(self.plan.vocabularies.len()).unwrap_or(u32::MAX);
        let mut vocabulary = super::Vocabulary::default();
        for row in rows {
            vocabulary.add(row, row.overlay.is_some());
        }
        self.plan.vocabularies.push(vocabulary);
        self.plan.vocabulary_names.insert(name.into(), index);
        self.plan.vocabulary_names.insert(plain(name), index);
    }

    fn segment(&mut self, name: &'r str, rows: &[&'r Row]) {
        let Some((segment, root)) = map_names(name) else { return };
        let (Some(segment), Some(root)) = (Name::parse(segment), TypeDefinition::named(root))
        else {
            for row in rows {
                match reason(row) {
                    Some((name, field, text)) => {
                        self.plan.reasons.of_segments.insert((name, field), text.into());
                    }
                    None if row.cell("attr").is_empty() => {}
                    None => self.unread(Unread::new(row, "map", "no segment, or no type")),
                }
            }
            return;
        };
        let mut rules = Vec::new();
        for row in rows {
            let mut each = false;
            if let Some(rule) = self.rule(row, root, Context::Segment(segment), &mut each) {
                rules.push((rule, each));
            }
        }
        // `component[each]`: of the field whose repetitions make the components.
        let mut counts: HashMap<u16, usize> = HashMap::new();
        for (rule, each) in &rules {
            if let (Source::Field(field, ..), true) = (rule.source, each) {
                *counts.entry(field).or_default() += 1;
            }
        }
        let counted = counts.into_iter().max_by_key(|(field, count)| (*count, *field));
        let counted = counted.map(|(field, _)| field);
        let rules = rules.into_iter().map(|(mut rule, each)| {
            let own = matches!(rule.source, Source::Field(field, ..) if Some(field) == counted);
            rule.each = counted.filter(|_| each && !own);
            rule
        });
        let rules = folded(rules.collect());
        let index = u32::try_from(self.plan.segments.len()).unwrap_or(u32::MAX);
        for (_, field, text) in rows.iter().filter_map(|row| reason(row)) {
            self.plan.reasons.of_maps.insert((index, field), text.into());
        }
        self.plan.segments.push(SegmentMap::new(segment, root, runs(rules)));
        self.segment_maps.entry(name).or_default().push(index);
    }

    /// The datatype map of this name (or the one written with other capitals), applied to a type.
    fn datatype(&mut self, name: &str, end: &'static TypeDefinition) -> Option<u32> {
        let found = self
            .datatype_rows
            .get_key_value(name)
            .or_else(|| self.datatype_rows.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)));
        let (name, rows) = found.map(|(name, rows)| (*name, *rows))?;
        if let Some(index) = self.datatype_maps.get(&(name, end.name())) {
            return Some(*index);
        }
        if self.depth >= DEPTH_MAX {
            return None;
        }
        let index = u32::try_from(self.plan.datatypes.len()).ok()?;
        self.plan.datatypes.push(DatatypeMap::default());
        self.datatype_maps.insert((name, end.name()), index);
        self.depth += 1;
        let from = map_names(name).and_then(|(from, _)| Name::parse(from));
        let mut rules = Vec::new();
        for row in rows {
            let mut each = false;
            rules.extend(self.rule(row, end, Context::Datatype(from), &mut each));
        }
        self.depth -= 1;
        if let Some(map) = self.plan.datatypes.get_mut(index as usize) {
            *map = DatatypeMap::new(rules);
        }
        Some(index)
    }

    /// Compiles a row; what can't be run is listed.
    fn rule(
        &mut self,
        row: &Row,
        root: &'static TypeDefinition,
        context: Context,
        each: &mut bool,
    ) -> Option<Rule> {
        let attr = row.cell("attr");
        if attr.is_empty() {
            return None;
        }
        match self.try_rule(row, root, context, each) {
            Ok(rule) => Some(rule),
            Err((column, problem)) => {
                self.unread(Unread::new(row, column, problem));
                None
            }
        }
    }

    fn try_rule(
        &mut self,
        row: &Row,
        root: &'static TypeDefinition,
        context: Context,
        each: &mut bool,
    ) -> Result<Rule, (&'static str, String)> {
        let source = source(row, context).ok_or_else(|| ("id", not_a_source(row, context)))?;
        let own = FieldRef::parse(row.id()).unwrap_or(FieldRef::OWN);
        let condition = match row.cell("antlr") {
            "" => None,
            text => Some(
                parse_condition(text)
                    .ok_or(("antlr", "no condition that can be read".to_owned()))?,
            ),
        };
        let on_absence =
            condition.as_ref().is_some_and(|condition| condition.wants_absence(own, false));
        let test = match &condition {
            None => None,
            Some(condition) => Some(self.test(condition, context).map_err(|text| ("antlr", text))?),
        };
        let text = format!("{} {} {}", row.table.name(), row.map(), row.id());
        let origin = Origin::new(text.trim_end());
        if row.cell("attr") == "$none" {
            let origin = self.origin(origin);
            return Ok(Rule {
                source,
                condition: test,
                on_absence,
                another: 0,
                path: Box::new([]),
                repeats: false,
                each: None,
                action: Action::Nothing,
                origin,
            });
        }
        let target =
            parse_target(row.cell("attr")).ok_or(("attr", "no path of elements".to_owned()))?;
        let (another, steps) = match target.steps.split_first() {
            Some((TargetStep::Another(instance), rest)) => match instance {
                Instance::Numbered(number) => (*number, rest),
                _ => return Err(("attr", "several instances at once".into())),
            },
            _ => (0, target.steps.as_slice()),
        };
        if let Some(link) = self.link(another, steps) {
            let origin = self.origin(origin);
            return Ok(Rule {
                source,
                condition: test,
                on_absence,
                another,
                path: Box::new([]),
                repeats: true,
                each: None,
                action: Action::Link(link),
                origin,
            });
        }
        let is_resource = root.kind() == TypeKind::Resource;
        let another = if another == 1 && !is_resource { 0 } else { another };
        let mut resolved =
            resolve(&mut self.plan.names, root, steps).map_err(|problem| ("attr", problem))?;
        let assign = match (&target.assigned, row.cell("assign")) {
            (Some(text), _) => Some(Expression::Constant(text.clone())),
            (None, "") => None,
            (None, text) => Some(parse_expression(text).ok_or((
                "assign",
                "neither a text in quotes, nor joined fields, nor a conversion".to_owned(),
            ))?),
        };
        let action = match assign {
            Some(assign) => self.assignment(row, &resolved, assign, context)?,
            None => self.action(row, &mut resolved)?,
        };
        if let Action::Primitive(own) = &action
            && let Some(problem) = misfit(source, context, own)
        {
            return Err(("attr", problem));
        }
        // The official row of PV2-12 is told as a finding when it comes.
        if let Action::Primitive(own) = &action
            && row.overlay.is_some()
            && let Some(problem) = narrative(own)
        {
            return Err(("attr", problem));
        }
        *each = resolved.has_each;
        let origin = self.origin(origin);
        Ok(Rule {
            source,
            condition: test,
            on_absence: on_absence && matches!(action, Action::Constant(..) | Action::Named(..)),
            another,
            path: resolved.steps.into(),
            repeats: resolved.repeats || another > 0,
            each: None,
            action,
            origin,
        })
    }

    /// `[1].partOf.reference(Location[2])`
    fn link(&mut self, another: u16, steps: &[TargetStep]) -> Option<Link> {
        let [TargetStep::Element(name, _), TargetStep::Element(reference, _), last] = steps else {
            return None;
        };
        let TargetStep::Resource(resource, Instance::Numbered(to)) = last else { return None };
        let own = TypeDefinition::named(resource)?;
        let member = own.member(name).filter(|_| **reference == *"reference")?;
        let definition = member.element_type.definition();
        let name = self.plan.names.id(member.element.name());
        Some(Link { from: another, to: *to, name, definition })
    }

    fn assignment(
        &mut self,
        row: &Row,
        resolved: &Resolved,
        assign: Expression,
        context: Context,
    ) -> Result<Action, (&'static str, String)> {
        let primitive = resolved
            .end
            .primitive()
            .ok_or_else(|| ("assign", format!("a text for {}", resolved.end.name())))?;
        Ok(match assign {
            Expression::Constant(text) => {
                if let Some(set) = required_codes(resolved)
                    && set.system_of(&text).is_none()
                {
                    return Err(("assign", "a code that FHIR does not allow here".into()));
                }
                if let Some(problem) = primitive.problem_of(&text) {
                    return Err(("assign", format!("{NO_VALUE}{}: {problem}", primitive.name())));
                }
                Action::Constant(text, primitive)
            }
            Expression::Joined(pieces) => {
                let mut joined = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    joined.push(match piece {
                        Piece::Text(text) => JoinedPiece::Text(text),
                        Piece::Field(field) => JoinedPiece::Place(
                            place(field, context).map_err(|text| ("assign", text))?,
                        ),
                    });
                }
                Action::Joined(joined, primitive)
            }
            Expression::Named(conversion) => {
                let vocabulary = self.vocabulary_of(row);
                Action::Named(conversion, primitive, vocabulary, row.cell("type") == "HD")
            }
        })
    }

    /// What to do with the value itself.
    fn action(
        &mut self,
        row: &Row,
        resolved: &mut Resolved,
    ) -> Result<Action, (&'static str, String)> {
        let named = row.cell("dt_map");
        let v2_type = row.cell("type");
        let vocabulary = self.vocabulary_of(row);
        // A reference whose map makes a resource.
        if resolved.end.name() == "Reference"
            && let Some(own) = map_names(named).and_then(|(_, to)| resource_named(to))
        {
            resolved.resource(own).map_err(|problem| ("dt_map", problem))?;
        }
        let end = resolved.end;
        if resolved.element.is_some_and(|(element, owner)| {
            element.name() == "contentType" && owner.name() == "Attachment"
        }) {
            return Ok(Action::Named(Conversion::Media, Primitive::Code, None, false));
        }
        if resolved
            .element
            .is_some_and(|(element, owner)| element.name() == "url" && owner.name() == "Extension")
        {
            return Err(("attr", "an extension's url that nothing assigns".into()));
        }
        if let Some(vocabulary) = vocabulary {
            self.code_use(vocabulary, resolved);
        }
        if let Some(primitive) = end.primitive()
            && (named.is_empty() || is_simple(named))
        {
            return Ok(Action::Primitive(PrimitiveRule {
                primitive,
                vocabulary,
                codes: required_codes(resolved),
                is_formatted: matches!(v2_type, "FT" | "TX" | "varies"),
                is_whole: matches!(v2_type, "ST" | "FT" | "TX" | "varies" | ""),
                is_code_system: resolved.element.is_some_and(|(element, owner)| {
                    element.name() == "system"
                        && matches!(owner.name(), "Coding" | "Quantity" | "Identifier")
                }),
                is_coding_code: resolved.element.is_some_and(|(element, owner)| {
                    element.name() == "code" && owner.name() == "Coding"
                }),
            }));
        }
        if let Some(problem) = other_type(named, end) {
            return Err(("dt_map", problem));
        }
        let fallback = format!("{v2_type}[{}]", end.name());
        let name = if named.is_empty() { fallback.as_str() } else { named };
        let Some(map) = self.datatype(name, end) else {
            let column = if named.is_empty() { "attr" } else { "dt_map" };
            return Err((column, format!("no datatype map {name}")));
        };
        Ok(Action::Datatype(DatatypeRule {
            map,
            vocabulary,
            coded: match end.name() {
                "CodeableConcept" => Coded::Concept,
                "Coding" => Coded::Coding,
                _ => Coded::No,
            },
            codings: bound_codings(resolved),
            hl7_table: hl7_table(row.id()),
        }))
    }

    /// Keeps where the codes of a vocabulary go.
    fn code_use(&mut self, vocabulary: u32, resolved: &Resolved) {
        let primitive = resolved.end.primitive();
        let allowed = match primitive {
            Some(_) => required_codes(resolved),
            None => bound_codings(resolved),
        };
        let element = resolved.element.map_or_else(
            || resolved.end.name().to_owned(),
            |(element, owner)| format!("{}.{}", owner.name(), element.name()),
        );
        let element = element.into_boxed_str();
        self.plan.code_uses.push(CodeUse { vocabulary, element, primitive, allowed });
    }

    fn vocabulary_of(&mut self, row: &Row) -> Option<u32> {
        let name = row.cell("vocab_map");
        if name.is_empty() {
            return None;
        }
        let names = &self.plan.vocabulary_names;
        let found = names.get(name).or_else(|| names.get(&plain(name))).copied();
        if found.is_none() {
            self.unread(Unread::new(row, "vocab_map", "no such code system map"));
        }
        found
    }

    /// A message's condition: all its places are fields.
    pub(super) fn test_of_message(&mut self, condition: &Condition, segment: Name) -> Test {
        self.test(condition, Context::Segment(segment)).unwrap_or_else(|_| Test::Or(Box::new([])))
    }

    /// A condition that is asked at any segment; nothing where it names places of its own.
    pub(super) fn test_anywhere(&self, condition: &Condition) -> Option<Test> {
        // No segment is called so: all places are looked for by their segments.
        self.test(condition, Context::Segment(Name(*b"   "))).ok()
    }

    fn test(&self, condition: &Condition, context: Context) -> Result<Test, String> {
        let at = |of: &FieldRef| place(*of, context);
        let all = |parts: &[Condition]| -> Result<Box<[Test]>, String> {
            parts.iter().map(|part| self.test(part, context)).collect()
        };
        Ok(match condition {
            Condition::Valued(of) => Test::Valued(at(of)?),
            Condition::In(of, texts) => Test::In(at(of)?, texts.clone().into()),
            Condition::Same(one, other) => Test::Same(at(one)?, at(other)?),
            Condition::After(one, other) => Test::After(at(one)?, at(other)?),
            Condition::Count(of, how, number) => Test::Count(at(of)?, *how, *number),
            Condition::Length(of, how, number) => Test::Length(at(of)?, *how, *number),
            Condition::Numeric(of) => Test::Numeric(at(of)?),
            Condition::Compared(of) => Test::Compared(at(of)?),
            Condition::Date(of) => Test::Date(at(of)?),
            Condition::Time(of) => Test::Time(at(of)?),
            Condition::Not(inner) => Test::Not(Box::new(self.test(inner, context)?)),
            Condition::And(parts) => Test::And(all(parts)?),
            Condition::Or(parts) => Test::Or(all(parts)?),
        })
    }

    /// Lists datatype maps that no row leads to, row by row.
    fn unread_maps(&mut self, datatypes: &[(&'r str, Vec<&'r Row>)]) {
        for (name, rows) in datatypes {
            let is_used = self.datatype_maps.keys().any(|(own, _)| own == name);
            for row in rows.iter().filter(|row| !is_used && !row.cell("attr").is_empty()) {
                self.unread(Unread::new(row, "map", "no row leads to this map"));
            }
        }
    }
}

/// A name without capitals and signs: `Yes/NoIndicator` and `YesNoIndicator` are one.
fn plain(name: &str) -> Box<str> {
    let letters = name.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, '[' | ']'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Datatype maps of v2 types without components: their values convert by the FHIR type.
fn is_simple(map: &str) -> bool {
    matches!(
        map_names(map).map(|(from, _)| from),
        Some("DTM" | "TS" | "DT" | "TM" | "NM" | "ST" | "FT" | "TX" | "SI" | "ID" | "IS")
    )
}

fn resource_named(name: &str) -> Option<&'static TypeDefinition> {
    // `PL[location]`
    let mut letters = name.chars();
    let first = letters.next()?.to_uppercase();
    let name: String = first.chain(letters).collect();
    TypeDefinition::named(&name).filter(|own| own.kind() == TypeKind::Resource)
}

/// The codings that a required binding of a CodeableConcept allows.
fn bound_codings(resolved: &Resolved) -> Option<&'static ValueSet> {
    let (element, _) = resolved.element?;
    let binding =
        element.binding().filter(|binding| binding.strength == BindingStrength::Required)?;
    (resolved.end.name() == "CodeableConcept").then_some(())?;
    ValueSet::named(binding.value_set)
}

/// Where a rule makes one text of all repetitions of its field, it runs once, and so do those that say something of the same
/// element by the same field: the url of an extension that has the text.
fn folded(mut rules: Vec<Rule>) -> Vec<Rule> {
    let first = |rule: &Rule| match (rule.source, rule.path.first()) {
        (Source::Field(field, ..), Some(Step::Child { name, instance, .. })) => {
            Some((field, *name, *instance))
        }
        _ => None,
    };
    let folds = |rule: &&Rule| matches!(rule.action, Action::Named(Conversion::Lines, ..));
    let once: Vec<_> = rules.iter().filter(folds).filter_map(first).collect();
    for rule in &mut rules {
        rule.repeats &= first(rule).is_none_or(|own| !once.contains(&own));
    }
    rules
}

/// The codes that a required binding allows.
fn required_codes(resolved: &Resolved) -> Option<&'static ValueSet> {
    let (element, _) = resolved.element?;
    let binding =
        element.binding().filter(|binding| binding.strength == BindingStrength::Required)?;
    (resolved.end.primitive() == Some(Primitive::Code)).then_some(())?;
    ValueSet::named(binding.value_set)
}

/// The HL7 table of a field, 0 where it has none.
fn hl7_table(id: &str) -> u16 {
    let table = || {
        let field = FieldRef::parse(id)?;
        let segment = Version::V2_8_2.segment(SegmentName::new(field.name?.0)?)?;
        let [position, 0, _] = field.numbers else { return None };
        segment.field(usize::from(position))?.table_number()
    };
    table().map_or(0, |table| table.get())
}

fn source(row: &Row, context: Context) -> Option<Source> {
    let id = row.id();
    match context {
        Context::Segment(segment) => match FieldRef::parse(id) {
            None => id.is_empty().then_some(Source::Always),
            Some(FieldRef { name, numbers: [0, ..], .. }) => {
                (name == Some(segment)).then_some(Source::Always)
            }
            Some(FieldRef { name, numbers: [field, component, part], .. }) => {
                (name == Some(segment)).then_some(Source::Field(field, component, part))
            }
        },
        Context::Datatype(_) => match FieldRef::parse(id) {
            None => id.is_empty().then_some(Source::Whole),
            Some(FieldRef { numbers: [0, ..], .. }) => Some(Source::Whole),
            Some(FieldRef { numbers: [component, part, _], .. }) => {
                Some(Source::Component(component, part))
            }
        },
    }
}

/// What is wrong with a row that reads nothing.
fn not_a_source(row: &Row, context: Context) -> String {
    match (context, FieldRef::parse(row.id()).and_then(|field| field.name)) {
        (Context::Segment(own), Some(other)) if own != other => {
            format!("`{}` is {OTHER_SEGMENT}{own}, which its map reads", row.id())
        }
        _ => "no field or component".to_owned(),
    }
}

/// Whether HL7 has a segment of this name.
fn is_segment(name: Name) -> bool {
    SegmentName::new(name.0).is_some_and(|name| {
        name.as_str().starts_with('Z') || Version::V2_9_1.segment(name).is_some()
    })
}

fn place(of: FieldRef, context: Context) -> Result<Place, String> {
    let Some(name) = of.name else { return Ok(Place::Own) };
    let [first, second, third] = of.numbers;
    match context {
        Context::Segment(segment) if segment == name => Ok(Place::Field(first, second, third)),
        _ if is_segment(name) => Ok(Place::Segment(name, first, second, third)),
        Context::Segment(_) => Ok(Place::Component(first, second)),
        Context::Datatype(Some(own)) if own == name => Ok(Place::Component(first, second)),
        Context::Datatype(_) => Err(format!("{name} is not at hand here")),
    }
}
