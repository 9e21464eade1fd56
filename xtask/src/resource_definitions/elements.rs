//! Types and their own elements.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Published, list, text};

const STRUCTURE: &str = "http://hl7.org/fhir/StructureDefinition/";
const SYSTEM_STRING: &str = "http://hl7.org/fhirpath/System.String";
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// Above this, a path is no id with `de-` before it (64 characters, R4 §2.24.0.1), and its element has no definition
/// of its own among the published ones.
const DATA_ELEMENT_PATH_MAX: usize = 61;

/// Groups that are additions to the published profiles.
const ADDITIONS: &[&str] = &[
    "DeviceDefinition.classification",
    "EvidenceVariable.characteristic.definitionBy",
    "EvidenceVariable.characteristic.timeFromEvent",
];

/// All types, each with the elements that it adds to its base.
pub(super) struct Tree {
    types: Vec<Type>,
}

struct Type {
    name: String,
    kind: &'static str,
    base: String,
    is_abstract: bool,
    elements: Vec<Element>,
}

struct Element {
    name: String,
    least: u64,
    most: String,
    types: String,
    flags: String,
    strength: String,
    value_set: String,
}

impl Tree {
    pub(super) fn of(published: &Published) -> Result<Self> {
        let leaves: HashMap<&str, &Value> =
            published.leaves.iter().map(|(path, leaf)| (path.as_str(), leaf)).collect();
        let mut tree = Self { types: Vec::new() };
        for structure in &published.structures {
            tree.structure(structure, published, &leaves)?;
        }
        tree.prune();
        Ok(tree)
    }

    fn structure(
        &mut self,
        structure: &Value,
        published: &Published,
        leaves: &HashMap<&str, &Value>,
    ) -> Result<()> {
        let name = text(structure, "type");
        let kind = match text(structure, "kind") {
            "resource" => "resource",
            "primitive-type" => "primitive",
            "complex-type" => "complex",
            other => bail!("{name} is of the unknown kind {other}"),
        };
        let first = self.types.len();
        self.types.push(Type {
            name: name.to_owned(),
            kind,
            base: text(structure, "baseDefinition").trim_start_matches(STRUCTURE).to_owned(),
            is_abstract: structure["abstract"].as_bool().unwrap_or_default(),
            elements: Vec::new(),
        });
        for element in list(&structure["snapshot"], "element") {
            let path = text(element, "path");
            // An element of a base stands in the base's own section; `base.path` names where it was defined.
            let Some((owner, member)) = path.rsplit_once('.') else { continue };
            let is_own = text(&element["base"], "path") == path;
            if !is_own || kind == "primitive" || ADDITIONS.iter().any(|own| path.starts_with(own)) {
                continue;
            }
            let element = if is_group(element) || matches!(name, "Element" | "Resource") {
                element
            } else {
                match leaves.get(path) {
                    Some(leaf) => leaf,
                    // What `Resource` and `Element` define is in no definition of a leaf.
                    None if matches!(name, "DomainResource" | "BackboneElement" | "Extension") => {
                        element
                    }
                    None if path.len() > DATA_ELEMENT_PATH_MAX => element,
                    None => continue,
                }
            };
            let group = list(element, "type")
                .iter()
                .find(|own| matches!(text(own, "code"), "BackboneElement" | "Element"));
            if let Some(group) = group {
                self.types.push(Type {
                    name: path.to_owned(),
                    kind: "backbone",
                    base: text(group, "code").to_owned(),
                    is_abstract: false,
                    elements: Vec::new(),
                });
            }
            let own = element_of(path, member, element);
            match self.types[first..].iter_mut().find(|own| own.name == owner) {
                Some(owner) => owner.elements.push(own),
                None => bail!("{path} stands in nothing"),
            }
        }
        for (path, leaf) in &published.leaves {
            let Some((owner, member)) = path.rsplit_once('.') else { continue };
            let Some(owner) = self.types[first..].iter_mut().find(|own| own.name == owner) else {
                continue;
            };
            let is_inherited = matches!(member, "id" | "extension" | "modifierExtension")
                || text(&leaf["base"], "path") != path;
            if kind != "primitive"
                && !is_inherited
                && owner.elements.iter().all(|own| own.name != member)
            {
                owner.elements.push(element_of(path, member, leaf));
            }
        }
        Ok(())
    }

    /// Takes out the groups nothing was left of, and what refers to them.
    fn prune(&mut self) {
        loop {
            let empty: HashSet<String> = self
                .types
                .iter()
                .filter(|own| own.kind == "backbone" && own.elements.is_empty())
                .map(|own| own.name.clone())
                .collect();
            if empty.is_empty() {
                return;
            }
            self.types.retain(|own| !empty.contains(&own.name));
            for own in &mut self.types {
                own.elements.retain(|element| !empty.contains(&element.types));
            }
        }
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.types.iter().any(|own| own.name == name)
    }

    pub(super) fn has_element(&self, owner: &str, member: &str) -> bool {
        self.types.iter().any(|own| {
            own.name == owner && own.elements.iter().any(|element| element.name == member)
        })
    }

    /// Whether the type at the start of a path, or one it is based on, has this invariant by inheritance.
    pub(super) fn base_of(&self, name: &str) -> Option<&str> {
        self.types.iter().find(|own| own.name == name).map(|own| own.base.as_str())
    }

    /// The value sets that elements are bound to with this strength.
    pub(super) fn bound(&self, strength: &str) -> Vec<&str> {
        let mut urls: Vec<&str> = self
            .types
            .iter()
            .flat_map(|own| &own.elements)
            .filter(|element| element.strength == strength)
            .map(|element| element.value_set.as_str())
            .collect();
        urls.sort_unstable();
        urls.dedup();
        urls
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::from(
            "# FHIR 4.0.1: types (name, kind, base, abstract), each with its own elements\n\
             # (name, min, max, types, flags: Summary Modifier simple-Quantity Content-reference, binding, value set).\n",
        );
        for own in &self.types {
            let _ = write!(out, "{}\t{}\t{}", own.name, own.kind, own.base);
            out.push_str(if own.is_abstract { "\tabstract\n" } else { "\n" });
            for element in &own.elements {
                let line = [
                    "",
                    &element.name,
                    &element.least.to_string(),
                    &element.most,
                    &element.types,
                    &element.flags,
                    &element.strength,
                    &element.value_set,
                ]
                .join("\t");
                out.push_str(line.trim_end_matches('\t'));
                out.push('\n');
            }
        }
        out
    }
}

/// Whether an element has elements of its own, or is one that has; those have no definition as a leaf.
fn is_group(element: &Value) -> bool {
    element["contentReference"].is_string()
        || list(element, "type")
            .iter()
            .any(|own| matches!(text(own, "code"), "BackboneElement" | "Element"))
}

fn element_of(path: &str, member: &str, element: &Value) -> Element {
    let mut flags = String::new();
    if element["isSummary"] == true {
        flags.push('S');
    }
    if element["isModifier"] == true {
        flags.push('M');
    }
    let mut types = Vec::new();
    if let Some(reference) = element["contentReference"].as_str() {
        flags.push('C');
        types.push(reference.trim_start_matches('#').to_owned());
    }
    for own in list(element, "type") {
        let mut code = text(own, "code");
        if code == SYSTEM_STRING {
            // Resource.id is published as a string; its rules are those of the type id (R4 §2.1.28).
            code = list(own, "extension")
                .iter()
                .find(|extension| extension["url"] == FHIR_TYPE)
                .map_or("string", |extension| text(extension, "valueUrl"));
            if path == "Resource.id" {
                code = "id";
            }
        }
        if matches!(code, "BackboneElement" | "Element") {
            code = path;
        }
        if list(own, "profile").iter().any(|profile| {
            profile.as_str().is_some_and(|profile| profile.ends_with("/SimpleQuantity"))
        }) {
            flags.push('Q');
        }
        let targets: Vec<&str> = list(own, "targetProfile")
            .iter()
            .filter_map(|target| target.as_str()?.rsplit('/').next())
            .collect();
        types.push(if targets.is_empty() {
            code.to_owned()
        } else {
            format!("{code}({})", targets.join(","))
        });
    }
    let binding = &element["binding"];
    let value_set = text(binding, "valueSet").split('|').next().unwrap_or_default();
    Element {
        name: member.to_owned(),
        least: element["min"].as_u64().unwrap_or_default(),
        most: text(element, "max").to_owned(),
        types: types.join("|"),
        flags,
        strength: if value_set.is_empty() { "" } else { text(binding, "strength") }.to_owned(),
        value_set: value_set.to_owned(),
    }
}
