//! Makes the files of R4 definitions that `pipehat-resource` carries from the published ones.
//!
//! ```text
//! cargo xtask resource-definitions FOLDER            writes crates/resource/definitions
//! cargo xtask resource-definitions FOLDER --check    says whether they are what FOLDER says
//! ```
//!
//! FOLDER holds `profiles-resources.json`, `profiles-types.json`, `dataelements.json`, `valuesets.json`,
//! `v2-tables.json` and `v3-codesystems.json` as FHIR 4.0.1 publishes them; the copies in circulation have
//! additions of their own to the profiles (newer elements, elements of a product). So what a leaf element is
//! comes from `dataelements.json`, which has one definition for each of them, and elements it does not know
//! are left out.

mod codes;
mod compartments;
mod elements;
mod invariants;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::page::root;

/// Where the files go.
const TARGET: &str = "crates/resource/definitions";

/// Writes the files, or says which are not current.
pub(crate) fn run(folder: &str, check: bool) -> Result<bool> {
    let folder = Path::new(folder);
    let published = Published::read(folder)?;
    let tree = elements::Tree::of(&published)?;
    let files = [
        ("elements.tsv", tree.text()),
        ("invariants.tsv", invariants::text(&published, &tree)?),
        ("codes.tsv", codes::text(&published, &tree)?),
        ("compartments.tsv", compartments::text(&published)?),
    ];
    let mut current = true;
    for (name, text) in files {
        let path = root().join(TARGET).join(name);
        if check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                eprintln!("{TARGET}/{name} is not what {} says", folder.display());
                current = false;
            }
        } else {
            fs::write(&path, text).with_context(|| format!("writing {TARGET}/{name}"))?;
        }
    }
    Ok(current)
}

/// What is published.
struct Published {
    /// Resource types and data types: their StructureDefinitions.
    structures: Vec<Value>,
    /// Compartments.
    compartments: Vec<Value>,
    /// The one definition of each leaf element, by its path, in the published order.
    leaves: Vec<(String, Value)>,
    value_sets: HashMap<String, Value>,
    code_systems: HashMap<String, Value>,
}

impl Published {
    fn read(folder: &Path) -> Result<Self> {
        let mut published = Self {
            structures: Vec::new(),
            compartments: Vec::new(),
            leaves: Vec::new(),
            value_sets: HashMap::new(),
            code_systems: HashMap::new(),
        };
        for name in ["profiles-types.json", "profiles-resources.json"] {
            for resource in resources(folder, name)? {
                match text(&resource, "resourceType") {
                    "StructureDefinition" if is_of_r4(&resource) => {
                        published.structures.push(resource);
                    }
                    "CompartmentDefinition" => published.compartments.push(resource),
                    _ => {}
                }
            }
        }
        for resource in resources(folder, "dataelements.json")? {
            for element in list(&resource["snapshot"], "element") {
                let path = text(element, "path").to_owned();
                if !published.leaves.iter().rev().take(40).any(|(known, _)| *known == path) {
                    published.leaves.push((path, element.clone()));
                }
            }
        }
        for name in ["valuesets.json", "v2-tables.json", "v3-codesystems.json"] {
            for resource in resources(folder, name)? {
                let url = text(&resource, "url").to_owned();
                match text(&resource, "resourceType") {
                    "ValueSet" => published.value_sets.insert(url, resource),
                    "CodeSystem" => published.code_systems.insert(url, resource),
                    _ => None,
                };
            }
        }
        Ok(published)
    }
}

/// A type of its own, not a profile on one, not a logical model, not of another release.
fn is_of_r4(structure: &Value) -> bool {
    text(structure, "fhirVersion") == "4.0.1"
        && text(structure, "derivation") != "constraint"
        && text(structure, "kind") != "logical"
}

fn resources(folder: &Path, name: &str) -> Result<Vec<Value>> {
    let path = folder.join(name);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut bundle: Value =
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
    let Some(entries) = bundle["entry"].as_array_mut() else {
        bail!("{} is no Bundle", path.display());
    };
    Ok(entries.iter_mut().map(|entry| entry["resource"].take()).collect())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// One line, without what separates lines and columns.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
