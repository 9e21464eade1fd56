//! All expressions that R4 itself has.

use super::super::{Context, Expression, Item};
use super::sample;
use crate::definitions::TypeDefinition;
use crate::json::{Object, Value};

const INVARIANTS: &str = include_str!("../../../golden/fhirpath/invariants.tsv");

fn rows(text: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        [(); 3].map(|()| columns.next().expect("three columns"))
    })
}

/// SubscriptionStatus and the types it speaks of are R4B's.
const NOT_OF_R4: [&str; 1] = ["dom-r4b"];

#[test]
fn every_invariant_evaluates() {
    let mut failed = Vec::new();
    let mut count = 0;
    for [key, path, text] in rows(INVARIANTS) {
        let expression =
            Expression::parse(text).unwrap_or_else(|error| panic!("{key}: {error}: {text}"));
        let type_name = path.split('.').next().expect("a type");
        // Invariants of data types and of elements are evaluated where they stand; here it is enough that the
        // owner is one of them.
        let is_resource = TypeDefinition::named(type_name).is_some_and(|own| own.is_a("Resource"));
        for choice in 0..4 {
            let root = if is_resource {
                sample::resource(type_name, choice)
            } else {
                sample::resource("Observation", choice)
            };
            let context = Context::new(super::now()).with_resource(&root);
            for item in owners(&root, path) {
                count += 1;
                if let Err(error) = expression.evaluate_on(&item, &context) {
                    failed.push(format!("{key} {path}: {error}"));
                }
            }
        }
    }
    failed.dedup();
    failed.retain(|line| !NOT_OF_R4.iter().any(|key| line.starts_with(key)));
    assert_eq!(failed, [""; 0]);
    assert!(count > 800, "{count}");
}

/// The elements of a resource at a path, or something of that type.
fn owners<'a>(root: &'a Value, path: &str) -> Vec<Item<'a>> {
    static EMPTY: Value = Value::Object(Object::new());

    let path = path.split('[').next().unwrap_or(path);
    if root.resource_type() != path.split('.').next() {
        return vec![Item::element(Some(&EMPTY), None, path), Item::element(None, None, path)];
    }
    let mut items = vec![Item::resource(root)];
    for name in path.split('.').skip(1) {
        let mut found = Vec::new();
        items.iter().for_each(|item| super::super::navigate::members(item, name, &mut found));
        items = found;
    }
    items
}

const SEARCH_PARAMETERS: &str = include_str!("../../../definitions/search-parameters.tsv");

/// Its element is not one of R4's.
const FINDS_NOTHING: [&str; 1] = ["DeviceDefinition classification"];

#[test]
fn every_search_parameter_evaluates_and_finds() {
    let mut silent = Vec::new();
    let mut count = 0;
    for line in SEARCH_PARAMETERS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [type_name, code, _, _, text, ..] = columns.as_slice() else {
            panic!("{line}");
        };
        if text.is_empty() {
            continue;
        }
        count += 1;
        let expression =
            Expression::parse(text).unwrap_or_else(|error| panic!("{type_name} {code}: {error}"));
        let owner =
            if ["Resource", "DomainResource"].contains(type_name) { "Patient" } else { type_name };
        let finds = (0..14).any(|choice| {
            let root = sample::resource(owner, choice);
            let context = Context::new(super::now());
            match expression.evaluate(&root, &context) {
                Ok(items) => !items.is_empty(),
                Err(error) => panic!("{type_name} {code}: {error}: {text}"),
            }
        });
        let name = format!("{type_name} {code}");
        if !finds && !FINDS_NOTHING.contains(&name.as_str()) {
            silent.push(name);
        }
    }
    assert_eq!(silent, [""; 0]);
    assert!(count > 1600, "{count}");
}
