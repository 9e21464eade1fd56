//! What it costs to translate a result of 2 KB, side by side with its parse and with writing the Bundle as text; and to
//! compile the tables, as at the start and for each overlay.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_config::{Diagnostics, Node, SourceFile};
use pipehat_message::Message;
use pipehat_translate::{LineageLimits, Overlay, Settings, Translator};

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A result of 2 KB with 25 segments.
fn result() -> Vec<u8> {
    let mut text = String::from(
        "MSH|^~\\&|LAB|GENERAL|EHR|GENERAL|20260101120000+0100||ORU^R01^ORU_R01|1|P|2.5.1\r\
         PID|1||4711^^^GENERAL^MR||Muster^Anna^^^^^L||19700101|F|||Main Street 1^^Town^^12345^USA^H\r\
         PV1|1|I|WARD^12^A^GENERAL||||1234^Doe^Jane^^^^^^GENERAL|||MED|||||||||V1^^^GENERAL^VN\r\
         ORC|RE|O1^EHR|F1^LAB||CM||||20260101110000|||1234^Doe^Jane^^^^^^GENERAL\r\
         OBR|1|O1^EHR|F1^LAB|CBC^Complete blood count^L|||20260101113000||||||||1234^Doe^Jane\r\
         NTE|1|L|Slightly haemolytic\r",
    );
    for number in 1..=18 {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "OBX|{number}|NM|{}-1^Some observation^LN||{number}.5|mmol/L^^UCUM|1.0-20.0|N|||F|||20260101115000\r",
            700 + number
        );
    }
    text.push_str("SPM|1|S1^LAB||BLD^Blood^HL70487\r");
    text.into_bytes()
}

fn translating(criterion: &mut Criterion) {
    let bytes = result();
    let message = Message::parse(&bytes).expect("a message");
    let settings =
        Settings { system_base: Some("https://good.example/id".into()), ..Settings::default() };
    let translator = Translator::new(settings);
    let translation = translator.to_fhir_with_lineage(&message, LineageLimits::KEPT);
    let bundle = translation.bundle;
    if let Some(lineage) = &translation.lineage {
        let sizes = (bytes.len(), bundle.to_json().len(), lineage.as_bytes().len());
        println!("oru_2kb: {} bytes, its Bundle {}, its lineage {}", sizes.0, sizes.1, sizes.2);
    }
    let mut group = criterion.benchmark_group("oru_2kb");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse", |bencher| bencher.iter(|| Message::parse(black_box(&bytes))));
    group.bench_function("write the bundle", |bencher| {
        bencher.iter(|| black_box(&bundle).to_json())
    });
    group.bench_function("copy the bundle", |bencher| bencher.iter(|| black_box(&bundle).clone()));
    group.bench_function("translate", |bencher| {
        bencher.iter(|| translator.to_fhir(black_box(&message)));
    });
    group.bench_function("translate with lineage", |bencher| {
        bencher.iter(|| translator.to_fhir_with_lineage(black_box(&message), LineageLimits::KEPT));
    });
    group.finish();
}

fn compiling(criterion: &mut Criterion) {
    let file = SourceFile::new("site.yaml", "systems: { GOOD: https://good.example/mrn }");
    let mut diagnostics = Diagnostics::new();
    let node = Node::parse(&file, &mut diagnostics).expect("an overlay");
    criterion.bench_function("compile the tables", |bencher| {
        bencher.iter(|| Overlay::read(black_box(&node), &mut diagnostics));
    });
}

criterion_group!(benches, translating, compiling);
criterion_main!(benches);
