//! Messages written from resources, a second and a core.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pipehat_dictionary::Version;
use pipehat_resource::json;
use pipehat_translate::LineageLimits;
use pipehat_translate::to_v2::{Profile, Resources, Stamp, Wanted, Writer};

const CASES: [(&str, &str); 3] = [
    ("ADT^A03", include_str!("../golden/to_v2/discharge.json")),
    ("ORM^O01", include_str!("../golden/to_v2/order.json")),
    ("ORU^R01", include_str!("../golden/to_v2/result.json")),
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("to_v2");
    let writer = Writer::new(Profile::default());
    for (event, text) in CASES {
        let Ok(bundle) = json::parse(text.as_bytes()) else { continue };
        let wanted = Wanted { event, version: Version::V2_5_1, order_control: None, lineage: None };
        let Ok(time) = "2026-05-06T08:00:00Z".parse() else { continue };
        let stamp = Stamp { time, offset: jiff::tz::Offset::UTC, control_id: "C1" };
        group.throughput(Throughput::Elements(1));
        group.bench_function(event, |bencher| {
            bencher.iter(|| {
                let resources = Resources::of_bundle(black_box(&bundle));
                writer.write(&wanted, &resources, &stamp)
            });
        });
        let followed = Wanted { lineage: Some(LineageLimits::KEPT), ..wanted };
        group.bench_function(format!("{event} with lineage"), |bencher| {
            bencher.iter(|| {
                let resources = Resources::of_bundle(black_box(&bundle));
                writer.write(&followed, &resources, &stamp)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
