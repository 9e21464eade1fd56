//! What each level of validation costs, side by side with the bare parse and the reading into groups.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_dictionary::validation::{Level, Standard, Validator};
use pipehat_dictionary::{Reading, resolve};
use pipehat_message::{Header, Message};

/// A result of 2 KB with 25 segments that keeps to the standard.
fn clean() -> Vec<u8> {
    let mut text = String::from(
        "MSH|^~\\&|LAB|GENERAL|EHR|GENERAL|20260101120000||ORU^R01^ORU_R01|1|P|2.5.1\r\
         PID|1||4711^^^GENERAL^MR||Muster^Anna^^^^^L||19700101|F|||Main Street 1^^Town^^12345^USA^H\r\
         PV1|1|I|WARD^12^A^GENERAL||||1234^Doe^Jane^^^^^^GENERAL|||MED|||||||||V1^^^GENERAL^VN\r\
         ORC|RE|O1^EHR|F1^LAB||CM||||20260101110000|||1234^Doe^Jane^^^^^^GENERAL\r\
         OBR|1|O1^EHR|F1^LAB|CBC^Complete blood count^L|||20260101113000|||||||||1234^Doe^Jane||||||20260101120000||HM|F\r\
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

/// The same with a few departures: a bad date, a bad number, an unknown code, a segment out of place.
fn flawed() -> Vec<u8> {
    let text = String::from_utf8(clean()).expect("text");
    text.replace("|19700101|", "|1970-01-01|")
        .replace("|3.5|", "|>3|")
        .replace("|F|||20260101115000\rOBX|9", "|Q|||20260101115000\rPV2||||\rOBX|9")
        .into_bytes()
}

fn validation(criterion: &mut Criterion) {
    let clean = clean();
    let parsed = Message::parse(&clean).expect("a message");
    let found = Validator::new(Level::Strict).validate(&parsed, &Standard).clone();
    assert!(found.is_empty(), "{found:?}");
    for (name, bytes) in [("clean", clean.clone()), ("flawed", flawed())] {
        let message = Message::parse(&bytes).expect("a message");
        let mut group = criterion.benchmark_group(format!("validate_2kb_{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| Message::parse(black_box(&bytes)));
        });
        group.bench_function("structure", |bencher| {
            let header = Header::read(&bytes).expect("a header");
            let mut reading = Reading::new();
            bencher.iter(|| {
                let structure = resolve(black_box(&header)).structure.expect("a known structure");
                reading.read(structure, message.segments());
                black_box(reading.groups().len())
            });
        });
        for level in Level::ALL {
            let mut validator = Validator::new(level);
            group.bench_function(level.as_str(), |bencher| {
                bencher.iter(|| validator.validate(black_box(&message), &Standard).errors());
            });
        }
        let mut validator = Validator::new(Level::Standard);
        group.bench_function("parse_and_standard", |bencher| {
            bencher.iter(|| {
                let message = Message::parse(black_box(&bytes)).expect("a message");
                validator.validate(&message, &Standard).errors()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, validation);
criterion_main!(benches);
