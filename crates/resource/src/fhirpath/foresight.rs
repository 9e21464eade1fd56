//! What can be told of an expression before it is evaluated: names that lead nowhere, and codes that never stand there.
//!
//! Evaluation takes a name that no definition has as empty. Who writes an expression for resources of R4 meant another
//! name then. Told is only what is certain: where a part may be anything (what `resolve()` finds, a contained resource),
//! whatever follows it passes.

use std::fmt;

use super::error::column;
use super::expression::Expression;
use super::function::FunctionId;
use super::model::Type;
use super::syntax::{Call, Literal, Node, NodeKind, Operator, TypeOperation, TypeTarget};
use super::token::Dollar;
use crate::definitions::{BindingStrength, Element, ElementType, TypeDefinition, ValueSet};

/// A part of an expression that can't be meant so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The column it stands in, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: DoubtProblem,
}

/// What can't be meant so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoubtProblem {
    /// No such element.
    Element {
        /// Of which type.
        owner: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// Such a path begins at another type.
    Type {
        /// The type that is named.
        name: String,
        /// What there is.
        found: &'static str,
    },
    /// No such variable: the evaluation would fail.
    Variable {
        /// Its name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The element never has this code: its value set, from which its codes must be, has none of that name.
    Code {
        /// The code.
        code: String,
        /// The value set's codes.
        known: Vec<&'static str>,
    },
}

impl fmt::Display for DoubtProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element { owner, name, .. } => {
                write!(formatter, "{owner} has no element `{name}`")
            }
            Self::Type { name, found } => {
                write!(formatter, "what stands here is of type {found}, and not {name}")
            }
            Self::Variable { name, .. } => write!(formatter, "there is no variable `%{name}`"),
            Self::Code { code, .. } => write!(formatter, "no `{code}` is among the codes there"),
        }
    }
}

impl DoubtProblem {
    /// What is written, and what could be meant.
    pub fn alternatives(&self) -> (&str, Vec<&str>) {
        match self {
            Self::Element { name, known, .. } => (name, known.clone()),
            Self::Type { name, .. } => (name, Vec::new()),
            Self::Variable { name, known } => (name, known.iter().map(String::as_str).collect()),
            Self::Code { code, known } => (code, known.clone()),
        }
    }
}

impl Expression {
    /// What of it can't be meant so, where it is evaluated on a resource of this type; `variables` are those it is given,
    /// each with the type of its resource.
    pub fn doubts(&self, resource_type: &str, variables: &[(&str, &str)]) -> Vec<Doubt> {
        let mut reader = Reader::new(resource_type, variables);
        let root = reader.root.clone();
        reader.node(self.node(), &root);
        let mut doubts = reader.doubts;
        doubts.sort_by_key(|(at, _)| *at);
        let text = self.as_str();
        let told = |(at, problem)| Doubt { column: column(text, at), problem };
        doubts.into_iter().map(told).collect()
    }

    /// The value sets that all codes it leads to must be from; none where they may be any.
    pub fn required_codes(&self, resource_type: &str) -> Option<Vec<&'static ValueSet>> {
        let mut reader = Reader::new(resource_type, &[]);
        let root = reader.root.clone();
        reader.node(self.node(), &root).bound()
    }
}

/// Of what types the items of a collection are; none where they may be of any.
#[derive(Debug, Clone, Default)]
struct Seen(Option<Vec<Typed>>);

#[derive(Debug, Clone, Copy)]
struct Typed {
    definition: &'static TypeDefinition,
    /// Where its codes must be from.
    codes: Option<&'static ValueSet>,
}

impl Seen {
    const ANYTHING: Self = Self(None);
    const NOTHING: Self = Self(Some(Vec::new()));

    fn of(name: &str) -> Self {
        Self(TypeDefinition::named(name).map(|definition| vec![Typed { definition, codes: None }]))
    }

    fn bound(&self) -> Option<Vec<&'static ValueSet>> {
        let types = self.0.as_ref().filter(|types| !types.is_empty())?;
        types.iter().map(|one| one.codes).collect()
    }

    fn with(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(mut own, other)| {
            own.extend(other);
            own
        }))
    }
}

struct Reader<'v> {
    root: Seen,
    variables: Vec<(&'v str, Seen)>,
    doubts: Vec<(usize, DoubtProblem)>,
}

impl<'v> Reader<'v> {
    fn new(resource_type: &str, variables: &[(&'v str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, of)| (*name, Seen::of(of))).collect();
        Self { root: Seen::of(resource_type), variables, doubts: Vec::new() }
    }

    fn node(&mut self, node: &Node, focus: &Seen) -> Seen {
        match &node.kind {
            NodeKind::Empty | NodeKind::Literal(_) => Seen::ANYTHING,
            NodeKind::Variable(name) => self.variable(name, node.at),
            NodeKind::Dollar(Dollar::This) => focus.clone(),
            NodeKind::Dollar(Dollar::Index | Dollar::Total) => Seen::ANYTHING,
            NodeKind::Member(name) => self.member(name, node.at, focus),
            NodeKind::TypeOrMember(name, type_) => {
                self.type_or_member(name, *type_, node.at, focus)
            }
            NodeKind::Chain(first, steps) => {
                let mut seen = self.node(first, focus);
                for step in steps {
                    seen = match &step.kind {
                        NodeKind::Call(call) => self.call(call, &seen, focus),
                        NodeKind::Index(index) => {
                            self.node(index, focus);
                            seen
                        }
                        _ => self.node(step, &seen),
                    };
                }
                seen
            }
            NodeKind::Call(call) => self.call(call, focus, focus),
            NodeKind::OfType(operation, name) => match (operation, name.target) {
                (TypeOperation::As | TypeOperation::OfType, Some(TypeTarget::Fhir(type_))) => {
                    of_type(focus, type_)
                }
                _ => Seen::ANYTHING,
            },
            NodeKind::Index(index) => {
                self.node(index, focus);
                focus.clone()
            }
            NodeKind::Negate(operand) | NodeKind::Plus(operand) => {
                self.node(operand, focus);
                Seen::ANYTHING
            }
            NodeKind::Binary(first, rest) => self.binary(first, rest, focus),
        }
    }

    fn variable(&mut self, name: &str, at: usize) -> Seen {
        if let Some((_, seen)) = self.variables.iter().find(|(own, _)| *own == name) {
            return seen.clone();
        }
        const KNOWN: [&str; 6] = ["context", "resource", "rootResource", "ucum", "sct", "loinc"];
        match name {
            "context" | "resource" | "rootResource" => return self.root.clone(),
            _ if KNOWN.contains(&name) || name.starts_with("vs-") || name.starts_with("ext-") => {}
            _ => {
                let known = self.variables.iter().map(|(own, _)| *own).chain(KNOWN);
                let known = known.map(str::to_owned).collect();
                let problem = DoubtProblem::Variable { name: name.to_owned(), known };
                self.doubts.push((at, problem));
            }
        }
        Seen::ANYTHING
    }

    fn member(&mut self, name: &str, at: usize, focus: &Seen) -> Seen {
        let Seen(Some(types)) = focus else { return Seen::ANYTHING };
        // JSON's own member, which is found though no definition has it.
        if name == "resourceType"
            || types.iter().any(|one| Type::of(one.definition).is_any_resource())
        {
            return Seen::ANYTHING;
        }
        let mut found = Vec::new();
        for Typed { definition, .. } in types {
            if let Some(member) = definition.member(name) {
                found.push(typed(member.element, member.element_type));
            } else if let Some(element) = definition.element_named(name) {
                found.extend(element.types().iter().map(|type_| typed(element, type_)));
            } else if definition.primitive().is_some() && matches!(name, "id" | "extension") {
                return Seen::ANYTHING;
            }
        }
        match (found.is_empty(), types.first()) {
            (true, Some(Typed { definition, .. })) => {
                let known = definition.elements().map(Element::name).collect();
                let (owner, name) = (definition.name(), name.to_owned());
                self.doubts.push((at, DoubtProblem::Element { owner, name, known }));
                Seen::NOTHING
            }
            (true, None) => Seen::NOTHING,
            (false, _) => Seen(Some(found)),
        }
    }

    fn type_or_member(&mut self, name: &str, type_: Option<Type>, at: usize, focus: &Seen) -> Seen {
        let (Some(type_), Seen(Some(types))) = (type_, focus) else { return Seen::ANYTHING };
        let fits = |one: &Typed| {
            let own = Type::of(one.definition);
            own.is_a(type_) || type_.is_a(own)
        };
        if let Some(other) = types.first().filter(|_| !types.iter().any(fits)) {
            let problem =
                DoubtProblem::Type { name: name.to_owned(), found: other.definition.name() };
            self.doubts.push((at, problem));
            return Seen::NOTHING;
        }
        of_type(focus, type_)
    }

    /// `input` is what the function is called on, `focus` what its arguments begin at where they are no criterion.
    fn call(&mut self, call: &Call, input: &Seen, focus: &Seen) -> Seen {
        use FunctionId as F;
        match call.function.id {
            F::Where | F::All | F::Exists | F::Select | F::Iif => {
                let results: Vec<_> =
                    call.arguments.iter().map(|argument| self.node(argument, input)).collect();
                match call.function.id {
                    F::Where => input.clone(),
                    F::Select => results.into_iter().next().unwrap_or_default(),
                    F::Iif => results.into_iter().skip(1).reduce(Seen::with).unwrap_or_default(),
                    _ => Seen::ANYTHING,
                }
            }
            // Their argument is evaluated on what it gives, too.
            F::Repeat | F::Aggregate => {
                call.arguments.iter().for_each(|argument| {
                    self.node(argument, &Seen::ANYTHING);
                });
                Seen::ANYTHING
            }
            id => {
                let others: Vec<_> =
                    call.arguments.iter().map(|argument| self.node(argument, focus)).collect();
                match id {
                    F::Single
                    | F::First
                    | F::Last
                    | F::Tail
                    | F::Skip
                    | F::Take
                    | F::Distinct
                    | F::Intersect
                    | F::Exclude
                    | F::Trace => input.clone(),
                    F::Union | F::Combine => others.into_iter().fold(input.clone(), Seen::with),
                    F::Extension => Seen::of("Extension"),
                    _ => Seen::ANYTHING,
                }
            }
        }
    }

    fn binary(&mut self, first: &Node, rest: &[(Operator, Node)], focus: &Seen) -> Seen {
        let (mut before, mut left) = (first, self.node(first, focus));
        for (operator, node) in rest {
            let right = self.node(node, focus);
            let compares = matches!(
                operator,
                Operator::Equal
                    | Operator::NotEqual
                    | Operator::Equivalent
                    | Operator::NotEquivalent
            );
            if compares {
                self.compared(&left, node);
                self.compared(&right, before);
            }
            left = match operator {
                Operator::Union => left.with(right),
                _ => Seen::ANYTHING,
            };
            before = node;
        }
        left
    }

    /// A primitive that stands for a code is compared with a text.
    fn compared(&mut self, seen: &Seen, other: &Node) {
        let NodeKind::Literal(Literal::String(code)) = &other.kind else { return };
        let Seen(Some(types)) = seen else { return };
        if !types.iter().all(|one| one.definition.primitive().is_some()) {
            return;
        }
        let Some(sets) = seen.bound() else { return };
        let known: Vec<_> = sets.iter().flat_map(|set| set.codes()).map(|(_, code)| code).collect();
        if !known.iter().any(|own| **own == **code) {
            let code = code.to_string();
            self.doubts.push((other.at, DoubtProblem::Code { code, known }));
        }
    }
}

fn typed(element: &'static Element, type_: &'static ElementType) -> Typed {
    let binding = element.binding().filter(|one| one.strength == BindingStrength::Required);
    // A CodeableConcept may have other codings beside that from the set.
    let takes_codes = matches!(type_.code(), "code" | "Coding");
    let codes = binding.filter(|_| takes_codes).and_then(|one| ValueSet::named(one.value_set));
    // A set that is not here, or is here without its codes, says nothing.
    let codes = codes.filter(|set| set.codes().next().is_some());
    Typed { definition: type_.definition(), codes }
}

/// Those of a type, as what they are known to be; what is known to be less is then of the type.
fn of_type(focus: &Seen, type_: Type) -> Seen {
    let Seen(Some(types)) = focus else { return Seen::of(type_.name()) };
    let own: Vec<_> =
        types.iter().filter(|one| Type::of(one.definition).is_a(type_)).copied().collect();
    if own.is_empty() { Seen::of(type_.name()) } else { Seen(Some(own)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Registry;

    /// Checks what is told of an expression over an Encounter as it was and is: `column: text`.
    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let parsed = Expression::parse(expression).expect("an expression");
        let variables = [("previous", "Encounter"), ("current", "Encounter")];
        let doubts = parsed.doubts("Encounter", &variables);
        let told: Vec<_> =
            doubts.iter().map(|doubt| format!("{}: {}", doubt.column, doubt.problem)).collect();
        assert_eq!(told, expected, "{expression}");
    }

    #[test]
    fn names_that_lead_nowhere_are_told() {
        check("%previous.statuss = 'finished'", &["11: Encounter has no element `statuss`"]);
        check("%previus.status.empty()", &["1: there is no variable `%previus`"]);
        check("period.begin < now()", &["8: Period has no element `begin`"]);
        check("Encounter.location.place", &["20: Encounter.location has no element `place`"]);
        check("Patient.name", &["1: what stands here is of type Encounter, and not Patient"]);
        check(
            "participant.where(kind.exists()).actor",
            &[
                "19: Encounter.participant has no element `kind`",
                "34: Encounter.participant has no element `actor`",
            ],
        );
        check("extension('a').vale", &["16: Extension has no element `vale`"]);
        check(
            "(location | statusHistory).nosuch",
            &["28: Encounter.location has no element `nosuch`"],
        );
    }

    #[test]
    fn what_may_be_meant_passes() {
        for expression in [
            "%previous.status != 'finished' and %current.status = 'finished'",
            "%current.subject.resolve().name.given.first() = 'A'",
            "contained.where(nosuch = 1).exists()",
            "extension('a').valueString = 'x' or extension('a').value = 'x'",
            "status.extension('x').exists()",
            "(location | statusHistory).period.start < now()",
            "descendants().code = 'x'",
            "%current.resourceType = 'Encounter'",
            "class.code = 'IMP'",
            "Encounter.status in ('planned' | 'arrived')",
            "%resource.ofType(Encounter).status.exists()",
            "location.select(location.identifier).value.exists()",
            "repeat(partOf.resolve()).status.exists()",
            "%`vs-something` = 'x'",
            "iif(status = 'planned', period, statusHistory.period).start.exists()",
            "participant.individual.where($this.reference.contains('1')).exists()",
        ] {
            check(expression, &[]);
        }
    }

    #[test]
    fn codes_that_never_stand_there_are_told() {
        check("%current.status = 'finshed'", &["19: no `finshed` is among the codes there"]);
        check("'nosuch' != status", &["1: no `nosuch` is among the codes there"]);
        check("hospitalization.destination.display = 'x'", &[]);
        let doubts = Expression::parse("status = 'finshed'").expect("one").doubts("Encounter", &[]);
        let (code, known) = doubts.first().expect("one").problem.alternatives();
        assert!(code == "finshed" && known.contains(&"finished"), "{known:?}");
    }

    #[test]
    fn the_expressions_of_r4_lead_somewhere() {
        let registry = Registry::standard();
        let mut told = Vec::new();
        for resource_type in registry.resource_types() {
            for parameter in registry.parameters(resource_type) {
                let Ok(expression) = Expression::parse(parameter.expression()) else { continue };
                for doubt in expression.doubts(resource_type, &[]) {
                    // Paths of all types that have a parameter stand beside each other.
                    if !matches!(doubt.problem, DoubtProblem::Type { .. }) {
                        told.push(format!("{resource_type} {expression}: {}", doubt.problem));
                    }
                }
            }
        }
        told.dedup();
        // A mistake of R4's own: the element is of R5.
        let mistake = "DeviceDefinition has no element `classification`";
        assert_eq!(
            told,
            [format!("DeviceDefinition DeviceDefinition.classification.type: {mistake}")]
        );
    }

    #[test]
    fn codes_of_a_required_binding_are_known() {
        let check = |resource_type: &str, expression: &str, expected: Option<bool>| {
            let parsed = Expression::parse(expression).expect("an expression");
            let sets = parsed.required_codes(resource_type);
            let known = sets.map(|sets| sets.iter().any(|set| set.system_of("finished").is_some()));
            assert_eq!(known, expected, "{expression}");
        };
        check("Encounter", "Encounter.status", Some(true));
        check("Encounter", "Encounter.type", None);
        check("Encounter", "Encounter.status | Encounter.class", None);
        check("Patient", "Patient.gender", Some(false));
        check("Patient", "Patient.active", None);
    }
}
