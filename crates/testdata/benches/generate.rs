//! How fast messages are made, by type.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pipehat_dictionary::Version;
use pipehat_testdata::{Generator, Selection, Settings};

fn generate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(1));
    for (version, text) in [
        (Version::V2_5_1, "hospital"),
        (Version::V2_5_1, "ADT^A01"),
        (Version::V2_5_1, "ORU^R01"),
        (Version::V2_3, "hospital"),
        (Version::V2_9_1, "hospital"),
    ] {
        let mut generator = Generator::new(Settings::new(version)).expect("settings that work");
        let selection = Selection::parse(text, version).expect("a type of the version");
        let mut bytes = Vec::with_capacity(64 * 1024);
        group.bench_function(format!("{version} {text}"), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                generator.append(&selection, &mut bytes);
                black_box(bytes.len())
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    generate(&mut criterion);
    criterion.final_summary();
}
