//! A StructureDefinition, read.

use std::collections::BTreeSet;

use crate::definitions::{BindingStrength, TypeDefinition};
use crate::fhirpath::Expression;
use crate::json::Value;
use crate::outcome::Severity;

/// As many elements may a profile have.
pub const ELEMENTS_MAX: usize = 10_000;

/// The addresses of R4's own definitions begin so.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Why a StructureDefinition is no profile that can be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It is another resource.
    #[error("expected a StructureDefinition")]
    NotADefinition,
    /// It has no address.
    #[error("the StructureDefinition has no url")]
    NoUrl,
    /// It defines a type rather than to constrain one.
    #[error(
        "only a StructureDefinition with the derivation `constraint` of a type of R4 is a profile"
    )]
    NotAConstraint,
    /// It has too many elements.
    #[error("the StructureDefinition has more than {ELEMENTS_MAX} elements")]
    TooLarge,
    /// It has no elements.
    #[error("the StructureDefinition has neither a snapshot nor a differential")]
    Empty,
}

/// A profile.
#[derive(Debug, Clone)]
pub struct Profile {
    pub(super) url: String,
    version: Option<String>,
    pub(super) resource_type: &'static TypeDefinition,
    /// The profile whose rules hold as well; none where a snapshot has them, or where it is R4's own type.
    pub(super) base: Option<String>,
    pub(super) root: Node,
}

/// An element of a profile, or a slice of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The element's name; of a choice without `[x]`.
    pub(super) name: String,
    pub(super) min: u32,
    /// `None`: any number.
    pub(super) max: Option<u32>,
    pub(super) types: Vec<TypeRule>,
    pub(super) fixed: Option<Value>,
    pub(super) pattern: Option<Value>,
    pub(super) binding: Option<Bound>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) length_max: Option<u64>,
    /// The path of the element it is defined as.
    pub(super) content: Option<String>,
    /// What it asks for that is not checked.
    pub(super) unchecked: Vec<&'static str>,
    pub(super) slicing: Option<Slicing>,
    pub(super) slices: Vec<(String, Node)>,
    pub(super) children: Vec<Node>,
}

/// A type that an element may have.
#[derive(Debug, Clone)]
pub(super) struct TypeRule {
    pub(super) code: String,
    /// One of which the value keeps to.
    pub(super) profiles: Vec<String>,
    /// What a reference may lead to.
    pub(super) targets: Vec<String>,
}

/// A binding.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) strength: BindingStrength,
    pub(super) value_set: String,
}

/// A rule by FHIRPath.
#[derive(Debug, Clone)]
pub(super) struct Constraint {
    pub(super) key: String,
    pub(super) severity: Severity,
    pub(super) human: String,
    /// `None` where it can't be read.
    pub(super) expression: Option<Expression>,
}

/// How values are told apart.
#[derive(Debug, Clone)]
pub(super) struct Slicing {
    /// `type` and `path`.
    pub(super) discriminators: Vec<(String, String)>,
    pub(super) rules: SlicingRules,
    pub(super) is_ordered: bool,
}

/// Whether other values than those of slices may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlicingRules {
    Open,
    OpenAtEnd,
    Closed,
}

impl Profile {
    /// Reads a StructureDefinition.
    ///
    /// # Errors
    /// What it lacks to be checked against.
    pub fn read(definition: &Value) -> Result<Self, ProfileError> {
        if definition.resource_type() != Some("StructureDefinition") {
            return Err(ProfileError::NotADefinition);
        }
        let url = definition.text("url").ok_or(ProfileError::NoUrl)?.to_owned();
        let resource_type = definition.text("type").and_then(TypeDefinition::named);
        let is_constraint = definition.text("derivation") == Some("constraint");
        let resource_type =
            resource_type.filter(|_| is_constraint).ok_or(ProfileError::NotAConstraint)?;
        let elements = |name: &str| definition.get(name).map(|own| own.items("element"));
        let snapshot = elements("snapshot").filter(|elements| !elements.is_empty());
        let differential = elements("differential").filter(|elements| !elements.is_empty());
        let has_snapshot = snapshot.is_some();
        let elements = snapshot.or(differential).ok_or(ProfileError::Empty)?;
        if elements.len() > ELEMENTS_MAX {
            return Err(ProfileError::TooLarge);
        }
        let mut root = Node { name: resource_type.name().to_owned(), ..Node::default() };
        for element in elements {
            place(&mut root, element);
        }
        let base = definition.text("baseDefinition").filter(|_| !has_snapshot);
        let base = base.filter(|base| core_type(base).is_none()).map(str::to_owned);
        let version = definition.text("version").map(str::to_owned);
        Ok(Self { url, version, resource_type, base, root })
    }

    /// Its canonical address, without a version.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its version.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The type it constrains.
    pub fn resource_type(&self) -> &'static str {
        self.resource_type.name()
    }

    /// The other profiles that its rules name.
    pub fn profiles_named(&self) -> BTreeSet<&str> {
        let mut named: BTreeSet<&str> = self.base.as_deref().into_iter().collect();
        self.root.visit(&mut |node| {
            for rule in &node.types {
                let all = rule.profiles.iter().chain(&rule.targets);
                named.extend(all.map(String::as_str).filter(|url| core_type(url).is_none()));
            }
        });
        named
    }

    /// The value sets of its required bindings.
    pub fn value_sets_named(&self) -> BTreeSet<&str> {
        let mut named = BTreeSet::new();
        self.root.visit(&mut |node| {
            let bound = node.binding.iter().filter(|own| own.strength == BindingStrength::Required);
            named.extend(bound.map(|own| own.value_set.as_str()));
        });
        named
    }
}

/// The type that an address of R4's own names.
pub(super) fn core_type(url: &str) -> Option<&'static TypeDefinition> {
    let url = url.split('|').next().unwrap_or(url);
    url.strip_prefix(CORE).and_then(TypeDefinition::named)
}

impl Node {
    fn visit<'n>(&'n self, look: &mut impl FnMut(&'n Node)) {
        look(self);
        self.slices.iter().for_each(|(_, slice)| slice.visit(look));
        self.children.iter().for_each(|child| child.visit(look));
    }

    pub(super) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at a path of names below this one.
    pub(super) fn at<'n, 'p>(
        &'n self,
        mut path: impl Iterator<Item = &'p str>,
    ) -> Option<&'n Node> {
        path.try_fold(self, |node, name| node.child(name))
    }
}

/// Puts an element where its id says; where it has none, where its path does.
fn place(root: &mut Node, element: &Value) {
    let path = element.text("path").unwrap_or_default();
    let id = element.text("id").unwrap_or(path);
    let mut id = id.to_owned();
    if let Some(slice) = element.text("sliceName")
        && !id.contains(':')
    {
        id = format!("{id}:{slice}");
    }
    let mut node = root;
    for step in id.split('.').skip(1) {
        let (name, slice) = match step.split_once(':') {
            Some((name, slice)) => (name, Some(slice)),
            None => (step, None),
        };
        let name = name.strip_suffix("[x]").unwrap_or(name);
        let at = match node.children.iter().position(|child| child.name == name) {
            Some(at) => at,
            None => {
                node.children.push(Node { name: name.to_owned(), ..Node::default() });
                node.children.len() - 1
            }
        };
        let Some(child) = node.children.get_mut(at) else { return };
        node = child;
        if let Some(slice) = slice {
            let at = match node.slices.iter().position(|(own, _)| own == slice) {
                Some(at) => at,
                None => {
                    let own = Node { name: name.to_owned(), ..Node::default() };
                    node.slices.push((slice.to_owned(), own));
                    node.slices.len() - 1
                }
            };
            let Some((_, own)) = node.slices.get_mut(at) else { return };
            node = own;
        }
    }
    node.read(element);
}

impl Node {
    fn read(&mut self, element: &Value) {
        let number = |name: &str| {
            let number = element.get(name).and_then(Value::as_number)?.as_i64()?;
            u64::try_from(number).ok()
        };
        self.min = number("min").and_then(|min| u32::try_from(min).ok()).unwrap_or(0);
        self.max = element.text("max").and_then(|max| max.parse().ok());
        self.length_max = number("maxLength");
        self.types = element.items("type").iter().filter_map(type_rule).collect();
        self.fixed = choice(element, "fixed");
        self.pattern = choice(element, "pattern");
        self.binding = element.get("binding").and_then(binding);
        self.constraints = element.items("constraint").iter().filter_map(constraint).collect();
        self.content = element.text("contentReference").and_then(|content| {
            let (_, path) = content.rsplit_once('#')?;
            Some(path.to_owned())
        });
        self.slicing = element.get("slicing").map(slicing);
        for name in ["minValue", "maxValue"] {
            if choice(element, name).is_some() {
                self.unchecked.push(name);
            }
        }
    }
}

/// The value of a choice: `fixedCode`, `patternCodeableConcept`…
fn choice(element: &Value, name: &str) -> Option<Value> {
    let mut members = element.as_object()?.iter();
    let is_it = |member: &str| {
        member
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    members.find(|(member, _)| is_it(member)).map(|(_, value)| value.clone())
}

fn texts(element: &Value, name: &str) -> Vec<String> {
    element.items(name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn type_rule(rule: &Value) -> Option<TypeRule> {
    Some(TypeRule {
        code: rule.text("code")?.to_owned(),
        profiles: texts(rule, "profile"),
        targets: texts(rule, "targetProfile"),
    })
}

fn binding(binding: &Value) -> Option<Bound> {
    let strength = match binding.text("strength")? {
        "required" => BindingStrength::Required,
        "extensible" => BindingStrength::Extensible,
        "preferred" => BindingStrength::Preferred,
        _ => BindingStrength::Example,
    };
    Some(Bound { strength, value_set: binding.text("valueSet")?.to_owned() })
}

fn constraint(constraint: &Value) -> Option<Constraint> {
    let expression = constraint.text("expression")?;
    let severity = match constraint.text("severity") {
        Some("warning") => Severity::Warning,
        _ => Severity::Error,
    };
    Some(Constraint {
        key: constraint.text("key")?.to_owned(),
        severity,
        human: constraint.text("human").unwrap_or_default().to_owned(),
        expression: Expression::parse(expression).ok(),
    })
}

fn slicing(slicing: &Value) -> Slicing {
    let discriminators = slicing
        .items("discriminator")
        .iter()
        .filter_map(|own| Some((own.text("type")?.to_owned(), own.text("path")?.to_owned())));
    Slicing {
        discriminators: discriminators.collect(),
        rules: match slicing.text("rules") {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
        is_ordered: slicing.get("ordered").and_then(Value::as_bool) == Some(true),
    }
}
