//! Resources and what they are found by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::rules::Rule;
use super::*;
use crate::definitions::resource_types;
use crate::json::{Object, parse};
use crate::search::{ExactNumber, TokenValue};
use crate::validate::tests::generated::filled;

const BASE_URL: &str = "http://here.example/fhir/R4";

/// One line for each value: the parameter, the instance of a composite one, the value.
fn described(resource: &Value) -> String {
    let registry = Registry::standard();
    let mut text = String::new();
    for entry in extract(resource, &registry, BASE_URL, 0) {
        let names = registry.names(entry.parameter).unwrap();
        assert_eq!(Some(&*names.resource_type), resource.resource_type());
        assert!(fits(registry.kind(entry.parameter), &entry.value), "{}: {entry:?}", names.code);
        let instance = match entry.instance {
            0 => String::new(),
            instance => format!("[{instance}]"),
        };
        text.push_str(&format!("{}{instance}\t{}\n", names.code, value(&entry.value)));
    }
    text
}

fn fits(kind: Option<ParameterKind>, value: &IndexValue) -> bool {
    matches!(
        (kind, value),
        (Some(ParameterKind::String), IndexValue::String { .. })
            | (Some(ParameterKind::Token), IndexValue::Token(_))
            | (Some(ParameterKind::Reference), IndexValue::Reference { .. })
            | (Some(ParameterKind::Date), IndexValue::Date { .. })
            | (Some(ParameterKind::Number), IndexValue::Number { .. })
            | (Some(ParameterKind::Quantity), IndexValue::Quantity { .. })
            | (Some(ParameterKind::Uri), IndexValue::Uri(_))
    )
}

fn value(value: &IndexValue) -> String {
    let or_star = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    match value {
        IndexValue::String { exact, folded } => format!("{exact:?} {folded:?}"),
        IndexValue::Token(found) => token(found),
        IndexValue::Reference { resource_type, id, url, version, identifier } => {
            let mut text = match (id, url) {
                (Some(id), _) => format!("{}/{id}", or_star(resource_type)),
                (None, Some(url)) => format!("<{url}> {}", or_star(resource_type)),
                (None, None) => format!("{} by identifier", or_star(resource_type)),
            };
            if let Some(version) = version {
                text.push_str(&format!(" version {version}"));
            }
            if let Some(identifier) = identifier {
                text.push_str(&format!(" identifier {}", token(identifier)));
            }
            text
        }
        IndexValue::Date { from, to } => {
            let shown = |at: i64| match at {
                i64::MIN => "before".to_owned(),
                i64::MAX => "ever".to_owned(),
                at => jiff::Timestamp::from_microsecond(at).unwrap().to_string(),
            };
            format!("{} .. {}", shown(*from), shown(*to))
        }
        IndexValue::Number { value, low, high } => {
            format!("{value} [{}, {}]", end(low), end(high))
        }
        IndexValue::Quantity { value, low, high, system, code, unit } => format!(
            "{value} [{}, {}] {} {} {}",
            end(low),
            end(high),
            or_star(system),
            or_star(code),
            or_star(unit)
        ),
        IndexValue::Uri(uri) => format!("<{uri}>"),
    }
}

fn end(of: &ExactNumber) -> String {
    match of {
        of if *of == ExactNumber::BELOW_ALL => "-inf".to_owned(),
        of if *of == ExactNumber::ABOVE_ALL => "inf".to_owned(),
        of => format!("{}{}", of.nearest(), of.rest().map_or("", |_| "…")),
    }
}

fn token(found: &TokenValue) -> String {
    let mut text = format!(
        "{}|{}",
        found.system.as_deref().unwrap_or(""),
        found.code.as_deref().unwrap_or("-")
    );
    if let Some(shown) = &found.text {
        text.push_str(&format!(" {shown:?}"));
    }
    for (system, code) in &found.of_type {
        text.push_str(&format!(" of {system}|{code}"));
    }
    text
}

/// Each resource in `golden/search` stands beside what it is found by. `UPDATE_GOLDEN=1` writes that anew.
#[test]
fn golden_resources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/search");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        count += 1;
        let resource = parse(&fs::read(&path).unwrap()).unwrap();
        let found = described(&resource);
        let expected = path.with_extension("tsv");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", path.display());
    }
    assert!(count >= 15, "{count} resources");
}

/// R4 has `value-quantity` find sampled data by the bounds of its values.
#[test]
fn sampled_data_is_found_by_its_bounds() {
    #[track_caller]
    fn check(sampled: &str, expected: &str) {
        let text = format!(
            r#"{{"resourceType":"Observation","valueSampledData":{{"origin":{{"value":10,"unit":"mV",
            "system":"http://unitsofmeasure.org","code":"mV"}},"period":1,"dimensions":1{sampled}}}}}"#
        );
        let found = described(&parse(text.as_bytes()).unwrap());
        let line = found.lines().find_map(|line| line.strip_prefix("value-quantity\t"));
        let shown = line.and_then(|line| line.strip_suffix(" http://unitsofmeasure.org mV mV"));
        assert_eq!(shown.unwrap_or_default(), expected, "{sampled}");
    }
    check(r#","data":"2 -1 4""#, "11.5 [9, 14]");
    check(r#","factor":0.5,"data":"2 E 4""#, "11.5 [11, 12]");
    check(r#","data":"L 1""#, "11 [-inf, 11]");
    check(r#","data":"1 U""#, "11 [11, inf]");
    check(r#","data":"L U""#, "10 [-inf, inf]");
    for none in [r#","data":"E""#, r#","data":"inf nan x 1e999""#, ""] {
        check(none, "");
    }
}

#[test]
fn nearly_all_expressions_are_paths() {
    let registry = Registry::standard();
    let mut others = Vec::new();
    for resource_type in registry.resource_types() {
        for parameter in registry.parameters(resource_type).filter(|own| is_extracted(own)) {
            let is_path = match parameter.rules() {
                Rules::Simple(rule) => rule.is_path(),
                Rules::Composite(rule) => rule.is_path(),
            };
            if !is_path {
                others.push(format!("{resource_type} {}", parameter.code()));
            }
        }
    }
    assert_eq!(
        others,
        [
            "Bundle composition",
            "Bundle message",
            "DeviceDefinition classification",
            "MolecularSequence chromosome-variant-coordinate",
            "MolecularSequence referenceseqid-variant-coordinate",
            "Patient deceased"
        ]
    );
}

/// The types that a kind of parameter takes no value from, by all parameters that lead to nothing else.
#[test]
fn every_expression_leads_to_what_its_kind_takes() {
    let registry = Registry::standard();
    let mut wrong = Vec::new();
    for resource_type in registry.resource_types() {
        for parameter in registry.parameters(resource_type).filter(|own| is_extracted(own)) {
            match parameter.rules() {
                Rules::Simple(rule) => {
                    if !takes_any(parameter.kind(), rule) {
                        wrong.push(format!("{resource_type} {}", parameter.code()));
                    }
                }
                Rules::Composite(rule) => {
                    for (at, component) in parameter.components().iter().enumerate() {
                        if !rule.rules_of(at).any(|rule| takes_any(component.kind(), rule)) {
                            wrong.push(format!("{resource_type} {}${}", parameter.code(), at + 1));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn takes_any(kind: ParameterKind, rule: &Rule) -> bool {
    let Rule::Paths(paths) = rule else { return true };
    paths.types().any(|own| {
        let name = own.name();
        match kind {
            ParameterKind::Date => {
                matches!(name, "date" | "dateTime" | "instant" | "Period" | "Timing")
            }
            ParameterKind::Quantity => {
                own.is_a("Quantity") || matches!(name, "Money" | "Range" | "SampledData")
            }
            ParameterKind::Number => {
                matches!(name, "integer" | "decimal" | "positiveInt" | "Range")
            }
            ParameterKind::Reference => matches!(name, "Reference" | "canonical" | "uri"),
            ParameterKind::Uri => own.is_a("uri"),
            ParameterKind::String => {
                own.is_a("string") || matches!(name, "HumanName" | "Address" | "markdown" | "uri")
            }
            ParameterKind::Token => {
                own.is_a("string")
                    || own.is_a("uri")
                    || matches!(
                        name,
                        "boolean" | "Coding" | "CodeableConcept" | "Identifier" | "ContactPoint"
                    )
            }
            ParameterKind::Composite | ParameterKind::Special => false,
        }
    })
}

/// Plain paths give what FHIRPath gives.
#[test]
fn paths_agree_with_fhirpath() {
    let registry = Registry::standard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/search");
    let mut compared = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What is not valid is read differently.
        if path.extension().is_none_or(|extension| extension != "json")
            || path.file_stem().is_some_and(|name| name == "unusual")
        {
            continue;
        }
        let resource = parse(&fs::read(&path).unwrap()).unwrap();
        compared += agree(&resource, &registry);
    }
    assert!(compared > 100, "{compared} values");
}

/// On a resource of every type with every element, for every choice.
#[test]
fn every_parameter_finds_something() {
    const TURNS: usize = 12;
    let registry = Registry::standard();
    let mut silent: BTreeSet<String> = BTreeSet::new();
    let mut compared = 0;
    for definition in resource_types() {
        let resources: Vec<Value> = (0..TURNS).map(|turn| filled(definition, turn, 0)).collect();
        let mut found = BTreeSet::new();
        for resource in &resources {
            compared += agree(resource, &registry);
            let entries = extract(resource, &registry, BASE_URL, 0);
            for entry in entries {
                assert!(fits(registry.kind(entry.parameter), &entry.value), "{entry:?}");
                found.insert(entry.parameter);
            }
        }
        for parameter in registry.parameters(definition.name()).filter(|own| is_extracted(own)) {
            let ids = match parameter.components() {
                [] => vec![parameter.id()],
                components => components.iter().map(|component| component.id()).collect(),
            };
            if !ids.iter().all(|id| found.contains(id)) {
                silent.insert(format!("{} {}", definition.name(), parameter.code()));
            }
        }
    }
    assert!(compared > 10_000, "{compared} values");
    // What the generated resources do not have: other targets than the first, texts of concepts, entries with ids,
    // elements defined by others. `DeviceDefinition.classification` is no element of R4.
    let expected = [
        "Appointment location",
        "Appointment practitioner",
        "AppointmentResponse location",
        "AppointmentResponse practitioner",
        "Bundle composition",
        "Bundle message",
        "ConceptMap product",
        "DeviceDefinition classification",
        "Person practitioner",
        "Person relatedperson",
        "ServiceRequest order-detail",
    ];
    assert_eq!(silent, expected.map(str::to_owned).into_iter().collect());
}

/// How many values both ways give, which must be the same.
fn agree(resource: &Value, registry: &Registry) -> usize {
    let surroundings = Surroundings { root: resource, base_url: "", now: 0 };
    let mut compared = 0;
    for parameter in registry.parameters(resource.resource_type().unwrap_or_default()) {
        let Rules::Simple(rule @ Rule::Paths(_)) = parameter.rules() else { continue };
        let values = |rule: &Rule| {
            let mut values = Vec::new();
            rule.values(&surroundings, &mut |found| {
                let shown = format!("{} {}", found.type_name, found.value.to_json());
                // A union holds equal items once.
                if !values.contains(&shown) {
                    values.push(shown);
                }
            });
            values
        };
        let fallback = Rule::Fallback(super::fallback::Fallback::of(parameter.expression()));
        let (own, expected) = (values(rule), values(&fallback));
        assert_eq!(own, expected, "{} {}", parameter.code(), parameter.expression());
        compared += own.len();
    }
    compared
}

#[test]
fn paths_of_ones_own_parameters() {
    let text = r#"{"resourceType":"SearchParameter","url":"http://example.org/p","code":"eye","base":["Patient"],
        "type":"token","expression":"Patient.extension('http://example.org/eye').value | Patient.name.count()"}"#;
    let registry = Registry::standard().with(&parse(text.as_bytes()).unwrap()).unwrap();
    let patient = parse(
        br#"{"resourceType":"Patient","extension":[{"url":"http://example.org/eye","valueCode":"blue"}]}"#,
    )
    .unwrap();
    let id = registry.find("Patient", "eye").unwrap().id();
    let found: Vec<String> = extract(&patient, &registry, "", 0)
        .iter()
        .filter(|entry| entry.parameter == id)
        .map(|entry| value(&entry.value))
        .collect();
    assert_eq!(found, ["|blue", "|0"]);
}

#[track_caller]
fn check_path(expression: &str, json: &str, expected: &[&str]) {
    let resource = parse(json.as_bytes()).unwrap();
    let definition =
        crate::definitions::TypeDefinition::named(resource.resource_type().unwrap()).unwrap();
    let rule = Rule::of(expression, Some(definition));
    assert!(rule.is_path(), "{expression}");
    let surroundings = Surroundings { root: &resource, base_url: "", now: 0 };
    let mut found = Vec::new();
    rule.values(&surroundings, &mut |value| {
        found.push(format!("{} {}", value.type_name, value.value.to_json()));
    });
    assert_eq!(found, expected, "{expression}");
}

#[test]
fn paths_lead_to_values() {
    let patient = r##"{"resourceType":"Patient","contained":[{"resourceType":"Group","id":"g"}],
        "name":[{"given":["a","b"]},{"given":["c"]}],"deceasedDateTime":"2020",
        "telecom":[{"system":"email","value":"e"},{"system":"phone","value":"p"}],
        "link":[{"other":{"reference":"Patient/1"}},{"other":{"reference":"#g"}},{"other":{"display":"x"}}]}"##;
    check_path("Patient.name.given", patient, &["string \"a\"", "string \"b\"", "string \"c\""]);
    check_path("Patient.deceased", patient, &["dateTime \"2020\""]);
    check_path("(Patient.deceased as boolean)", patient, &[]);
    check_path("Patient.deceased.as(dateTime)", patient, &["dateTime \"2020\""]);
    check_path("Patient.telecom.where(system='email').value", patient, &["string \"e\""]);
    check_path(
        "Patient.link.other.where(resolve() is Patient).reference",
        patient,
        &["string \"Patient/1\""],
    );
    check_path(
        "Patient.link.other.where(resolve() is Group).reference",
        patient,
        &["string \"#g\""],
    );
    check_path(
        "Patient.gender | Patient.name.given",
        patient,
        &["string \"a\"", "string \"b\"", "string \"c\""],
    );
    check_path("name.family | Patient.deceased", patient, &["dateTime \"2020\""]);
}

/// JSON with members that resources have, of whatever type.
fn any_resource() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "name",
        "given",
        "identifier",
        "code",
        "coding",
        "system",
        "value",
        "valueQuantity",
        "component",
        "subject",
        "reference",
        "effectivePeriod",
        "start",
        "end",
        "period",
        "telecom",
        "meta",
        "tag",
        "lastUpdated",
        "text",
        "birthDate",
        "address",
        "line",
        "contained",
        "deceasedDateTime",
        "url",
        "useContext",
        "extension",
        "event",
        "occurrenceTiming",
        "low",
        "high",
        "display",
        "type",
        "comparator",
    ]);
    let texts = prop::sample::select(vec![
        "Patient/1",
        "#a",
        "urn:uuid:1",
        "2020-01",
        "9999-12-31T23:59:60.9999999-14:00",
        "http://a|b",
        "é",
        "",
        "<",
        "1",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,4})?([eE][1-9]{1,4})?"
            .prop_map(|text| Value::Number(crate::json::Number::new(&text).unwrap())),
        texts.prop_map(Value::string),
        any::<String>().prop_map(Value::String),
    ];
    let inner = leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (Box::from(name), value));
                Value::Object(members.collect::<Object>())
            }),
        ]
    });
    let types = prop::sample::select(vec![
        "Patient",
        "Observation",
        "ValueSet",
        "Bundle",
        "Encounter",
        "MedicationRequest",
        "PlanDefinition",
        "Nothing",
    ]);
    (types, inner).prop_map(|(resource_type, value)| {
        let first = (Box::from("resourceType"), Value::string(resource_type));
        let members = value.as_object().into_iter().flat_map(Object::iter);
        let rest = members.map(|(name, value)| (Box::from(name), value.clone()));
        Value::Object(std::iter::once(first).chain(rest).collect())
    })
}

proptest! {
    #[test]
    fn any_json_is_answered(resource in any_resource()) {
        let registry = Registry::standard();
        for entry in extract(&resource, &registry, BASE_URL, 0) {
            prop_assert!(fits(registry.kind(entry.parameter), &entry.value), "{entry:?}");
            match entry.value {
                IndexValue::Date { from, to } => prop_assert!(from <= to),
                IndexValue::Number { value, low, high }
                | IndexValue::Quantity { value, low, high, .. } => {
                    prop_assert!(value.is_finite());
                    prop_assert!(low.nearest().is_finite() && high.nearest().is_finite());
                }
                IndexValue::String { folded, .. } => prop_assert!(!folded.is_empty()),
                _ => {}
            }
        }
    }
}
