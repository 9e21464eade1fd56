//! What validation costs beside the bare parse, and what the definitions cost when they are first asked for.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_resource::definitions::{Invariant, TypeDefinition, ValueSet};
use pipehat_resource::json::parse;
use pipehat_resource::validate::{Checks, validate};

const RESOURCES: [(&str, &str); 3] = [
    ("patient", include_str!("../golden/valid/patient.json")),
    ("observation", include_str!("../golden/valid/observation.json")),
    ("medication_request", include_str!("../golden/valid/medication_request.json")),
];

/// The process's memory in KiB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn validation(criterion: &mut Criterion) {
    let before = resident();
    let start = Instant::now();
    black_box(TypeDefinition::named("Patient"));
    let types = start.elapsed();
    black_box(ValueSet::named("http://hl7.org/fhir/ValueSet/administrative-gender"));
    black_box(Invariant::of("Patient"));
    println!(
        "first use: types in {types:?}, with codes and invariants {:?}, {} KiB",
        start.elapsed(),
        resident().saturating_sub(before)
    );
    for (name, text) in RESOURCES {
        let resource = parse(text.as_bytes()).expect("it is JSON");
        let compact = resource.to_json();
        println!("{name}: {} bytes of compact JSON", compact.len());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(compact.len() as u64));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| parse(black_box(compact.as_bytes())));
        });
        for (level, checks) in [("structure", Checks::Structure), ("all", Checks::All)] {
            assert!(validate(&resource, checks).is_empty(), "{name} is valid");
            group.bench_function(level, |bencher| {
                bencher.iter(|| validate(black_box(&resource), checks));
            });
        }
    }
}

criterion_group!(benches, validation);
criterion_main!(benches);
