//! The `lookup` step: where is searched, for what, and what is taken from the answer.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::fhirpath::Expression;
use pipehat_resource::search::Registry;

use super::fragment::{key_reference, report, warn_of_unknown};
use super::value::otherwise;
use super::{Asked, LookupNode, Reader};
use crate::program::SyntaxError;
use crate::program::lookup::{LookupStep, Several, Taken};
use crate::program::reference::{Scope, Use};
use crate::program::search_template::{SearchContext, SearchTemplate};
use crate::program::step::{Action, Otherwise};
use crate::program::verdict::StepPlace;

/// The most lookups of a channel; their numbers have 16 bits, and a person reads the file.
const LOOKUPS_MAX: usize = 256;

impl Reader<'_> {
    pub(super) fn lookup(
        &mut self,
        node: &Node,
        place: &StepPlace,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut fields = Fields::of(node, "lookup", diagnostics)?;
        let asked = fields.exactly_one(self.connectors);
        let custom = fields.optional("custom", |node, diagnostics| {
            node.list_of(diagnostics, |node, diagnostics| {
                node.text_not_empty(diagnostics).map(str::to_owned)
            })
        });
        let custom = custom.unwrap_or_default();
        let search = fields
            .required("search", |node, diagnostics| search(node, &custom, scope, diagnostics));
        let resource_type = search.as_ref().map(|(name, _)| name.as_str());
        let usual = otherwise(&mut fields);
        let into = fields.required("into", |node, diagnostics| {
            let usual = usual.clone().unwrap_or(Otherwise::Park);
            self.taken(node, resource_type, &usual, scope, diagnostics)
        });
        let several = fields.optional("several", |node, diagnostics| {
            Some(match node.one_of(&["park", "first", "otherwise"], diagnostics)? {
                "first" => Several::First,
                "otherwise" => Several::Otherwise,
                _ => Several::Park,
            })
        });
        let (retry, on) = (fields.take("retry"), fields.take("on"));
        let sound = fields.finish();
        let (connector, node) = asked?;
        let lookup = self.next_lookup(node, diagnostics)?;
        self.lookups.push(LookupNode {
            connector,
            asked: Asked::Connector,
            node: node.clone(),
            retry: retry.cloned(),
            on: on.cloned(),
            place: place.clone(),
        });
        let ((resource_type, search), into) = (search?, into?);
        usual?;
        let clock = ["now()", "today()", "timeOfDay()"];
        let reads_clock = |taken: &Taken| clock.iter().any(|f| taken.value.as_str().contains(f));
        sound.then_some(Action::Lookup(Box::new(LookupStep {
            lookup,
            resource_type: resource_type.into(),
            search,
            reads_clock: into.iter().any(reads_clock),
            into: into.into(),
            several: several.unwrap_or_default(),
        })))
    }

    /// The number of the next thing that a step asks.
    pub(super) fn next_lookup(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<u16> {
        let number = u16::try_from(self.lookups.len()).ok();
        let number = number.filter(|number| usize::from(*number) < LOOKUPS_MAX);
        if number.is_none() {
            let message = format!("a channel has at most {LOOKUPS_MAX} lookups and bots");
            diagnostics.push(
                Diagnostic::error("channel.lookup", &node.span, message)
                    .with_help("divide the work among several channels"),
            );
        }
        number
    }

    /// `into: { PATH: FHIRPATH, … }`; in place of a FHIRPath, `{ value: FHIRPATH, otherwise: … }`.
    fn taken(
        &self,
        node: &Node,
        resource_type: Option<&str>,
        usual: &Otherwise,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Taken>> {
        let map = node.map("into", diagnostics)?;
        if map.is_empty() {
            diagnostics.push(
                Diagnostic::error("channel.nothing-to-set", &node.span, "nothing is taken here")
                    .with_help("write a path and what it gets: `{ PID-3.1: \"identifier.first().value\" }`"),
            );
            return None;
        }
        let mut all = Vec::new();
        for (key, node) in map.iter() {
            let to = key_reference(key, scope, Use::Write, diagnostics)
                .and_then(|to| self.writable(to, &key.span, diagnostics));
            let value = taken_value(node, resource_type, usual, diagnostics);
            let taken = to.zip(value);
            all.push(taken.map(|(to, (value, otherwise))| Taken { to, value, otherwise }));
        }
        let all = all.into_iter().collect::<Option<Vec<_>>>()?;
        self.not_appended_twice(node, all.iter().map(|taken| &taken.to), diagnostics)?;
        Some(all)
    }
}

fn taken_value(
    node: &Node,
    resource_type: Option<&str>,
    usual: &Otherwise,
    diagnostics: &mut Diagnostics,
) -> Option<(Expression, Otherwise)> {
    if node.as_map().is_none() {
        return Some((fhirpath(node, resource_type, diagnostics)?, usual.clone()));
    }
    let mut fields = Fields::of(node, "value", diagnostics)?;
    let value =
        fields.required("value", |node, diagnostics| fhirpath(node, resource_type, diagnostics));
    let own =
        if fields.contains("otherwise") { otherwise(&mut fields) } else { Some(usual.clone()) };
    let sound = fields.finish();
    Some((value?, own.filter(|_| sound)?))
}

/// `TYPE?PARAMETERS`.
fn search(
    node: &Node,
    custom: &[String],
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Option<(String, SearchTemplate)> {
    let text = node.text_not_empty(diagnostics)?;
    let registry = Registry::standard();
    let (resource_type, query) = text.split_once('?').unwrap_or((text, ""));
    if !registry.is_resource_type(resource_type) {
        let error = SyntaxError::new(0..resource_type.len(), "R4 has no such type of resource");
        let near = nearest(resource_type, registry.resource_types());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a search begins with it, as in `Patient?identifier={PID-3.1}`".to_owned(),
        };
        report("channel.lookup-search", node, error.help(help), diagnostics);
        return None;
    }
    let context = SearchContext { registry: &registry, resource_type, custom };
    let behind = text.len().saturating_sub(query.len());
    let template = SearchTemplate::parse(query, scope, &context);
    warn_of_unknown(node, scope, diagnostics);
    let template = template.map_err(|error| {
        let error = if query.is_empty() {
            SyntaxError { at: 0..text.len(), ..error }
        } else {
            error.moved(behind)
        };
        report("channel.lookup-search", node, error, diagnostics);
    });
    Some((resource_type.to_owned(), template.ok()?))
}

/// A FHIRPath expression on a resource of this type.
fn fhirpath(
    node: &Node,
    resource_type: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> Option<Expression> {
    let text = node.text_not_empty(diagnostics)?;
    let expression = Expression::parse(text).map_err(|error| {
        let at = text.char_indices().nth(error.column.saturating_sub(1));
        let at = at.map_or(text.len()..text.len(), |(at, character)| at..at + character.len_utf8());
        SyntaxError::new(at, format!("this is no FHIRPath: {}", error.problem))
    });
    let checked = expression.and_then(|expression| {
        let unknown = resource_type.and_then(|name| unknown_element(text, name));
        unknown.map_or(Ok(expression), Err)
    });
    checked.map_err(|error| report("channel.fhirpath", node, error, diagnostics)).ok()
}

/// The element an expression begins with, where the type has none of that name.
fn unknown_element(text: &str, resource_type: &str) -> Option<SyntaxError> {
    let definition = TypeDefinition::named(resource_type)?;
    let name_at = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        (rest.get(..length).unwrap_or_default(), rest.get(length..).unwrap_or_default())
    };
    let (mut name, mut behind) = name_at(0);
    let mut at = 0;
    if name.starts_with(|first: char| first.is_ascii_uppercase()) {
        if name != resource_type {
            let is_type =
                TypeDefinition::named(name).is_some_and(|other| definition.is_a(other.name()));
            if is_type || !behind.is_empty() && !behind.starts_with('.') {
                return None;
            }
            let message = format!("a search for {resource_type} finds no `{name}`");
            let help = format!("begin with an element, or with `{resource_type}.`");
            return Some(SyntaxError::new(0..name.len(), message).help(help));
        }
        at = name.len() + 1;
        (name, behind) = name_at(at);
    }
    let is_element =
        |name: &str| definition.member(name).is_some() || definition.element_named(name).is_some();
    // A function, a literal, a variable: nothing that the definitions know.
    if name.is_empty()
        || behind.starts_with(['(', '`', '\''])
        || !name.starts_with(|first: char| first.is_ascii_lowercase())
        || matches!(name, "true" | "false")
        || is_element(name)
    {
        return None;
    }
    let names: Vec<&str> =
        definition.elements().map(|element| element.name().trim_end_matches("[x]")).collect();
    if names.contains(&name) {
        return None;
    }
    let error =
        SyntaxError::new(at..at + name.len(), format!("{resource_type} has no element `{name}`"));
    Some(match nearest(name, names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("its elements are: {}", names.join(", "))),
    })
}
