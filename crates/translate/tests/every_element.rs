//! Each element of the resources that messages are made from changes the message or is told by a finding.
//!
//! Of a Bundle for each kind of event, one element of a resource after another is filled with all that R4 defines in it;
//! then each value in it is taken away alone. What makes no difference is lost in silence. `every_element.tsv` says what
//! is passed over, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::tz::Offset;
use pipehat_dictionary::Version;
use pipehat_resource::definitions::{
    BindingStrength, Element, Primitive, TypeDefinition, TypeKind, ValueSet,
};
use pipehat_resource::json::{self, Number, Object, Value};
use pipehat_translate::to_v2::{Profile, Resources, Stamp, Wanted, Writer};

/// Elements within elements that are filled.
const DEPTH_MAX: usize = 4;
/// What a resource is stored as, and what is not told by any message.
const NOT_TOLD: [&str; 8] = [
    "id",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
];

/// Whom and what others refer to: a message says who or what it is, and nothing else of it.
const ONLY_REFERRED: [&str; 6] =
    ["Practitioner", "PractitionerRole", "Organization", "Location", "Device", "HealthcareService"];
const OF_WHOM: [&str; 3] = ["subject", "patient", "beneficiary"];

/// The Bundles, and the event that tells each.
const EVENTS: [(&str, &str); 8] = [
    ("discharge", "ADT^A03"),
    ("discharge", "ADT^A31"),
    ("order", "OML^O21"),
    ("result", "ORU^R01"),
    ("appointment", "SIU^S12"),
    ("vaccination", "VXU^V04"),
    ("document", "MDM^T02"),
    ("charge", "DFT^P03"),
];

/// A message and its findings; nothing where there can be no such message.
fn told(bundle: &Value, event: &str, version: Version) -> Option<(Vec<u8>, BTreeSet<String>)> {
    let profile =
        Profile { system_base: Some("http://synth.example/id/".to_owned()), ..Profile::default() };
    let wanted = Wanted { event, version, order_control: None, lineage: None };
    let stamp = Stamp {
        time: "2026-05-06T08:00:00Z".parse().expect("a time"),
        offset: Offset::UTC,
        control_id: "C1",
    };
    let written = Writer::new(profile).write(&wanted, &Resources::of_bundle(bundle), &stamp);
    let written = written.ok()?;
    let findings = written.findings.iter().map(|own| format!("{} {}", own.path, own.text));
    Some((written.message, findings.collect()))
}

/// Values of their own for elements.
#[derive(Default)]
struct Filler {
    count: usize,
}

impl Filler {
    fn element(
        &mut self,
        element: &Element,
        type_: &'static TypeDefinition,
        depth: usize,
    ) -> Option<Value> {
        let value = match type_.primitive() {
            Some(primitive) => self.primitive(element, primitive),
            None => self.complex(type_, depth)?,
        };
        Some(if element.is_list() { Value::Array(vec![value]) } else { value })
    }

    fn primitive(&mut self, element: &Element, primitive: Primitive) -> Value {
        self.count += 1;
        let count = self.count;
        let required = element.binding().filter(|own| own.strength == BindingStrength::Required);
        let code = required.and_then(|own| ValueSet::named(own.value_set));
        let minute = format!("{:02}:{:02}", count / 60 % 24, count % 60);
        let day = format!("2031-{:02}-{:02}", count / 28 % 12 + 1, count % 28 + 1);
        Value::string(match primitive {
            Primitive::Boolean => return Value::Bool(true),
            Primitive::Decimal
            | Primitive::Integer
            | Primitive::PositiveInt
            | Primitive::UnsignedInt => {
                return Value::Number(Number::new(&count.to_string()).expect("a number"));
            }
            Primitive::Date => day,
            Primitive::DateTime | Primitive::Instant => format!("{day}T{minute}:00Z"),
            Primitive::Time => format!("{minute}:00"),
            Primitive::Code => match code.and_then(|own| own.codes().next()) {
                Some((_, code)) => code.to_owned(),
                None => format!("q{count}"),
            },
            Primitive::Uri | Primitive::Url | Primitive::Canonical => {
                format!("http://q.example/{count}")
            }
            Primitive::Base64Binary => "cQ==".to_owned(),
            _ => format!("q{count}q"),
        })
    }

    fn complex(&mut self, type_: &'static TypeDefinition, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX || type_.kind() == TypeKind::Resource || type_.is_abstract() {
            return None;
        }
        let mut object = Object::with_capacity(8);
        for element in type_.elements().filter(|own| is_filled(type_, own)) {
            let Some(own) = element.types().first() else { continue };
            if let Some(value) = self.element(element, own.definition(), depth + 1) {
                object.set(own.member(), value);
            }
        }
        (!object.is_empty()).then_some(Value::Object(object))
    }
}

/// The places of all values in a value.
fn leaves(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object.iter() {
                path.push(name.to_owned());
                leaves(inner, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                path.push(at.to_string());
                leaves(inner, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

/// Takes one value out.
fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Object(object), [name]) => drop(object.remove(name)),
        (Value::Object(object), [name, rest @ ..]) => {
            if let Some(inner) = object.get_mut(name) {
                remove(inner, rest);
            }
        }
        (Value::Array(items), [at]) => drop(items.remove(at.parse().expect("a place"))),
        (Value::Array(items), [at, rest @ ..]) => {
            let at: usize = at.parse().expect("a place");
            remove(items.get_mut(at).expect("an item"), rest);
        }
        _ => panic!("there is no such place"),
    }
}

/// A resource of a Bundle.
fn resource(bundle: &mut Value, at: usize) -> &mut Value {
    let entries = bundle.as_object_mut().and_then(|own| own.get_mut("entry"));
    let entry = entries.and_then(Value::as_array_mut).and_then(|own| own.get_mut(at));
    entry
        .and_then(Value::as_object_mut)
        .and_then(|own| own.get_mut("resource"))
        .expect("a resource")
}

/// Puts a value in its place, instead of what another type of its choice says.
fn put(value: &mut Value, type_: &TypeDefinition, path: &[String], new: Value) {
    match (value, path) {
        (Value::Object(object), [name]) => {
            if let Some((element, _)) = type_.element(name) {
                for own in element.types() {
                    object.remove(own.member());
                }
            }
            object.set(name, new);
        }
        (Value::Object(object), [name, rest @ ..]) => {
            let (_, code) = type_.element(name).expect("an element");
            let type_ = TypeDefinition::named(code).expect("a type");
            put(object.get_mut(name).expect("a member"), type_, rest, new);
        }
        (Value::Array(items), [at, rest @ ..]) => {
            let at: usize = at.parse().expect("a place");
            put(items.get_mut(at).expect("an item"), type_, rest, new);
        }
        _ => panic!("there is no such place"),
    }
}

/// What may stand beside what stands within a value, filled.
fn beside(
    value: &Value,
    type_: &'static TypeDefinition,
    path: &mut Vec<String>,
    tries: &mut Vec<(Vec<String>, Value)>,
) {
    match value {
        Value::Object(object) => {
            // What leads to a resource of the Bundle is told by that.
            if !path.is_empty() && object.get("reference").is_none() {
                for element in type_.elements().filter(|own| is_filled(type_, own)) {
                    let is_there = |member: &str| object.get(member).is_some();
                    if element.types().iter().any(|own| is_there(own.member())) {
                        continue;
                    }
                    let Some(choice) = element.types().first() else { continue };
                    let filled = Filler::default().element(element, choice.definition(), 1);
                    let place = [path.as_slice(), &[choice.member().to_owned()]].concat();
                    tries.extend(filled.map(|value| (place, value)));
                }
            }
            for (name, inner) in object.iter() {
                if matches!(name, "resourceType" | "meta" | "contained" | "extension") {
                    continue;
                }
                let Some((_, code)) = type_.element(name) else { continue };
                let Some(type_) = TypeDefinition::named(code) else { continue };
                path.push(name.to_owned());
                beside(inner, type_, path, tries);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                path.push(at.to_string());
                beside(inner, type_, path, tries);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Whether an element within another is filled.
fn is_filled(type_: &TypeDefinition, element: &Element) -> bool {
    let name = element.name();
    // A reference that leads nowhere says less than who it names.
    let is_away = type_.name() == "Reference" && matches!(name, "reference" | "type");
    let is_passed = NOT_TOLD.contains(&name) && name != "text" && name != "language";
    // Which of several codings a person chose, v2 doesn't say; comparators turn a quantity into another one, and have rows
    // of their own in `modifiers.tsv`.
    !is_passed && !is_away && !matches!(name, "userSelected" | "comparator")
}

/// The exceptions: element and reason.
fn exceptions() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("every_element.tsv").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

#[test]
fn every_element_changes_the_message_or_is_told() {
    let exceptions = exceptions();
    let mut used = BTreeSet::new();
    let mut lost: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let (mut count, mut refused) = (0, BTreeSet::new());
    let version = Version::V2_5_1;
    for (name, event) in EVENTS {
        let file =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/to_v2/{name}.json"));
        let text = std::fs::read_to_string(file).expect("the Bundle");
        let base = json::parse(text.as_bytes()).expect("it is JSON");
        for at in 0..base.items("entry").len() {
            let own = base.items("entry")[at].get("resource").expect("a resource");
            let type_name = own.resource_type().expect("a type").to_owned();
            if !seen.insert(format!("{type_name} {name}"))
                || seen.iter().filter(|it| it.starts_with(&format!("{type_name} "))).count() > 1
            {
                continue;
            }
            let type_ = TypeDefinition::named(&type_name).expect("a type");
            if ONLY_REFERRED.contains(&type_name.as_str()) {
                continue;
            }
            let mut tries: Vec<(Vec<String>, Value)> = Vec::new();
            // Whose it is decides whether it stands in the message.
            let is_asked = |element: &&'static Element| {
                !NOT_TOLD.contains(&element.name()) && !OF_WHOM.contains(&element.name())
            };
            for element in type_.elements().filter(is_asked) {
                for choice in element.types() {
                    let filled = Filler::default().element(element, choice.definition(), 0);
                    let path = vec![choice.member().to_owned()];
                    tries.extend(filled.map(|value| (path, value)));
                }
            }
            beside(own, type_, &mut Vec::new(), &mut tries);
            for (path, value) in tries {
                let mut bundle = base.clone();
                put(resource(&mut bundle, at), type_, &path, value.clone());
                let names = |path: &[String]| -> Vec<String> {
                    path.iter().filter(|own| own.parse::<usize>().is_err()).cloned().collect()
                };
                let Some(whole) = told(&bundle, event, version) else {
                    refused.insert(format!("{type_name}.{}", names(&path).join(".")));
                    continue;
                };
                // What is left out as a whole is told as a whole.
                let place = format!("Bundle.entry[{at}].resource ");
                if whole.1.iter().any(|own| own.starts_with(&place) && own.ends_with("left out")) {
                    continue;
                }
                let mut places = Vec::new();
                leaves(&value, &mut Vec::new(), &mut places);
                for place in places {
                    count += 1;
                    let mut bundle = bundle.clone();
                    let place = [path.as_slice(), &place].concat();
                    remove(resource(&mut bundle, at), &place);
                    if told(&bundle, event, version).is_none_or(|own| own != whole) {
                        continue;
                    }
                    let full = format!("{type_name}.{}", names(&place).join("."));
                    match exceptions.get_key_value(full.as_str()) {
                        Some((own, _)) => drop(used.insert(*own)),
                        None => drop(lost.entry(full).or_default().insert(event.to_owned())),
                    }
                }
            }
        }
    }
    let shown: Vec<String> =
        lost.iter().map(|(path, events)| format!("{path}\t{events:?}")).collect();
    assert!(lost.is_empty(), "of {count}, refused {refused:?}\n{}", shown.join("\n"));
    let idle: Vec<_> = exceptions.keys().filter(|own| !used.contains(*own)).collect();
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
    assert!(count > 1_000, "{count} values");
}
