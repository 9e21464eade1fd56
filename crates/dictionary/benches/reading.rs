//! What it costs to find a message's structure and to read it into its groups, side by side with the parse.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_dictionary::{Reading, SegmentHead, resolve};
use pipehat_message::{Header, Message};

/// A result of 2 KB with 25 segments.
fn result() -> Vec<u8> {
    let mut text = String::from(
        "MSH|^~\\&|LAB|GENERAL|EHR|GENERAL|20260101120000||ORU^R01^ORU_R01|1|P|2.5.1\r\
         PID|1||4711^^^GENERAL^MR||Muster^Anna^^^^^L||19700101|F|||Main Street 1^^Town^^12345^USA^H\r\
         PV1|1|I|WARD^12^A^GENERAL||||1234^Doe^Jane^^^^^^GENERAL|||MED||||||||V1^^^GENERAL^VN\r\
         ORC|RE|O1^EHR|F1^LAB||CM||||20260101110000|||1234^Doe^Jane^^^^^^GENERAL\r\
         OBR|1|O1^EHR|F1^LAB|CBC^Complete blood count^L|||20260101113000||||||||1234^Doe^Jane\r\
         NTE|1|L|Slightly haemolytic\r",
    );
    for number in 1..=18 {
        text.push_str(&format!(
            "OBX|{number}|NM|{}-1^Some observation^LN||{number}.5|mmol/L^^UCUM|1.0-20.0|N|||F|||20260101115000\r",
            700 + number
        ));
    }
    text.push_str("SPM|1|S1^LAB||BLD^Blood^HL70487\r");
    text.into_bytes()
}

fn reading(criterion: &mut Criterion) {
    let bytes = result();
    let message = Message::parse(&bytes).expect("a message");
    let header = Header::read(&bytes).expect("a header");
    let structure = resolve(&header).structure.expect("a known structure");
    let mut group = criterion.benchmark_group("oru_2kb");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse", |bencher| bencher.iter(|| Message::parse(black_box(&bytes))));
    group.bench_function("header", |bencher| bencher.iter(|| Header::read(black_box(&bytes))));
    group.bench_function("resolve", |bencher| bencher.iter(|| resolve(black_box(&header))));
    group.bench_function("read", |bencher| {
        let mut reading = Reading::new();
        bencher.iter(|| {
            reading.read(structure, message.segments());
            black_box(reading.groups().len())
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("hostile");
    let pattern = ["OBX", "NTE", "PID", "OBR", "SPM", "ORC", "NTE", "TQ1", "MSH"];
    let head = |name: &&str| SegmentHead::new(name.parse().ok(), || b"NW");
    let heads: Vec<_> = pattern.iter().map(head).collect();
    group.sample_size(10).bench_function("100000_segments", |bencher| {
        let mut reading = Reading::new();
        bencher.iter(|| {
            reading.read(structure, heads.iter().copied().cycle().take(100_000));
            black_box(reading.groups().len())
        });
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
