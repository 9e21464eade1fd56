//! What it costs to say what a resource is found by, beside the bare parse, and to read searches.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use pipehat_resource::json::parse;
use pipehat_resource::search::{Registry, Search, SearchOptions, extract, fold, query_pairs};

const RESOURCES: [(&str, &str); 3] = [
    ("patient", include_str!("../golden/search/patient.json")),
    ("observation", include_str!("../golden/search/observation.json")),
    ("observation_components", include_str!("../golden/search/observation_components.json")),
];

const QUERIES: [(&str, &str); 4] = [
    ("Patient", "identifier=http://example.org/mrn|0017"),
    (
        "Observation",
        "patient=p1&code=http://loinc.org|2339-0&date=ge2024-01-01&_sort=-date&_count=50",
    ),
    ("Observation", "subject.name=smith"),
    ("Patient", "_has:Observation:patient:code-value-quantity=http://loinc.org|2339-0$gt5"),
];

fn extraction(criterion: &mut Criterion) {
    let start = Instant::now();
    let registry = Registry::standard();
    println!("first use: {} numbers in {:?}", registry.ids().count(), start.elapsed());
    let mut group = criterion.benchmark_group("extract");
    for (name, text) in RESOURCES {
        let resource = parse(text.as_bytes()).expect("it is JSON");
        let compact = resource.to_json();
        let start = Instant::now();
        let entries = extract(&resource, &registry, "http://here.example", 0).len();
        println!("{name}: {} bytes, {entries} values, first {:?}", compact.len(), start.elapsed());
        group.bench_function(format!("{name}/parse"), |bencher| {
            bencher.iter(|| parse(black_box(compact.as_bytes())));
        });
        group.bench_function(format!("{name}/extract"), |bencher| {
            bencher.iter(|| extract(black_box(&resource), &registry, "http://here.example", 0));
        });
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let registry = Registry::standard();
    let options = SearchOptions::default();
    let mut group = criterion.benchmark_group("search");
    for (resource_type, query) in QUERIES {
        group.bench_function(format!("{resource_type}?{query}"), |bencher| {
            bencher.iter(|| {
                Search::parse(&[resource_type], &query_pairs(black_box(query)), &registry, &options)
            });
        });
    }
    group.finish();
    criterion
        .bench_function("fold/ascii", |bencher| bencher.iter(|| fold(black_box("Smith Jones"))));
    criterion.bench_function("fold/accents", |bencher| {
        bencher.iter(|| fold(black_box("Łukasz O'Neill-Müller")))
    });
}

criterion_group!(benches, extraction, reading);
criterion_main!(benches);
