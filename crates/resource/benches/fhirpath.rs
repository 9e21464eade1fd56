//! What a server asks of a resource when it is written: the expressions of its search parameters.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use jiff::Timestamp;
use pipehat_resource::fhirpath::{Context, Expression};
use pipehat_resource::json::{self, Value};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","lastUpdated":"2026-03-01T09:30:15Z"},
"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Fairhaven"}}],
"identifier":[{"use":"usual","system":"urn:oid:1.2.36.146.595.217.0.1","value":"8841207"},{"system":"urn:oid:2.16.840.1","value":"990-44-1207"}],
"active":true,"name":[{"use":"official","family":"Marlowe","given":["Tessa","June"]},{"use":"nickname","given":["Tess"]}],
"telecom":[{"system":"phone","value":"360 555 0142","use":"home"},{"system":"email","value":"tessa@example.org"}],
"gender":"female","birthDate":"1979-04-12","deceasedBoolean":false,
"address":[{"line":["14 Orchard Lane"],"city":"Fairhaven","state":"WA","postalCode":"98225","country":"USA"}],
"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},
"contact":[{"name":{"family":"Marlowe","given":["Theo"]},"telecom":[{"system":"phone","value":"360 555 0143"}]}],
"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en"}]}}],
"generalPractitioner":[{"reference":"Practitioner/2214"}],"managingOrganization":{"reference":"Organization/4471"}}"#;

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2026-03-01T09:30:15Z"},
"identifier":[{"system":"urn:lab","value":"F9912-1"}],"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"2823-3","display":"Potassium"}]},
"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2026-03-01T09:45:00Z",
"issued":"2026-03-01T10:15:00Z","performer":[{"reference":"Organization/4471"}],
"valueQuantity":{"value":4.10,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"},
"interpretation":[{"coding":[{"code":"N"}]}],
"referenceRange":[{"low":{"value":3.5,"unit":"mmol/L"},"high":{"value":5.1,"unit":"mmol/L"}}]}"#;

const PATIENT_PARAMETERS: [&str; 20] = [
    "Patient.active",
    "Patient.address",
    "Patient.address.city",
    "Patient.address.country",
    "Patient.address.postalCode",
    "Patient.address.use",
    "Patient.birthDate",
    "(Patient.deceased as dateTime)",
    "Patient.deceased.exists() and Patient.deceased != false",
    "Patient.telecom.where(system='email')",
    "Patient.name.family",
    "Patient.gender",
    "Patient.generalPractitioner",
    "Patient.name.given",
    "Patient.identifier",
    "Patient.communication.language",
    "Patient.link.other",
    "Patient.name",
    "Patient.managingOrganization",
    "Patient.telecom.where(system='phone')",
];

const OBSERVATION_PARAMETERS: [&str; 20] = [
    "Observation.basedOn",
    "Observation.category",
    "Observation.code",
    "Observation.code | Observation.component.code",
    "Observation.dataAbsentReason | Observation.component.dataAbsentReason",
    "(Observation.value as Quantity) | (Observation.value as SampledData) | (Observation.component.value as Quantity)",
    "Observation.component.code",
    "Observation.effective",
    "Observation.derivedFrom",
    "Observation.encounter",
    "Observation.focus",
    "Observation.hasMember",
    "Observation.identifier",
    "Observation.subject.where(resolve() is Patient)",
    "Observation.performer",
    "Observation.status",
    "Observation.subject",
    "(Observation.value as CodeableConcept)",
    "(Observation.value as dateTime) | (Observation.value as Period)",
    "(Observation.value as Quantity) | (Observation.value as SampledData)",
];

fn parsed(text: &str) -> Value {
    json::parse(text.as_bytes()).expect("the sample is JSON")
}

fn evaluations(criterion: &mut Criterion, name: &str, resource: &str, texts: &[&str]) {
    let resource = parsed(resource);
    let expressions: Vec<_> =
        texts.iter().map(|text| Expression::parse(text).expect("an expression")).collect();
    let context = Context::new(Timestamp::UNIX_EPOCH);
    let mut group = criterion.benchmark_group("evaluate");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for expression in &expressions {
                black_box(expression.evaluate(&resource, &context).expect("a result"));
            }
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    evaluations(&mut criterion, "20 parameters of a Patient", PATIENT, &PATIENT_PARAMETERS);
    evaluations(
        &mut criterion,
        "20 parameters of an Observation",
        OBSERVATION,
        &OBSERVATION_PARAMETERS,
    );
    criterion.bench_function("parse 20 expressions", |bencher| {
        bencher.iter(|| {
            for text in &OBSERVATION_PARAMETERS {
                black_box(Expression::parse(text).expect("an expression"));
            }
        });
    });
    // For scale: reading the resource itself.
    criterion.bench_function("parse the Observation", |bencher| {
        bencher.iter(|| parsed(black_box(OBSERVATION)));
    });
    criterion.final_summary();
}
