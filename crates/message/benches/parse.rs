//! Parsing, path reads and edits, beside a bare scan of the same bytes for segment ends.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pipehat_message::{Message, Path};

/// A patient admission of about 1 KB.
fn admission() -> Vec<u8> {
    let text = "MSH|^~\\&|REGADT|NORTHSIDE|LABSYS|NORTHSIDE|20260301093015||ADT^A01^ADT_A01|N0000471|P|2.5.1|||AL|NE\r\
        EVN|A01|20260301093012|||OP471^FERN^IRIS\r\
        PID|1||8841207^^^NORTHSIDE^MR~990-44-1207^^^NATIONAL^SS||MARLOWE^TESSA^JUNE^^MS||19790412|F||2106-3|14 ORCHARD LANE^^FAIRHAVEN^WA^98225^USA^H||^PRN^PH^^1^360^5550142|^WPN^PH^^1^360^5550177|ENG|M|NON|A4471120^^^NORTHSIDE^AN|||||||||||N\r\
        PD1|||NORTHSIDE CLINIC^^4471|2214^OKAFOR^BEN^^^DR\r\
        NK1|1|MARLOWE^THEO|SPO|14 ORCHARD LANE^^FAIRHAVEN^WA^98225|^PRN^PH^^1^360^5550143||EC\r\
        PV1|1|I|4W^412^1^NORTHSIDE||||2214^OKAFOR^BEN^^^DR|3318^LINDQVIST^ASA^^^DR||MED|||||||2214^OKAFOR^BEN^^^DR|IP|V4471120^^^NORTHSIDE^VN|||||||||||||||||||||||||20260301092500\r\
        PV2|||^CHEST PAIN AND COUGH|||||20260301|20260305|4|||||||||||||||N\r\
        GT1|1||MARLOWE^TESSA^JUNE||14 ORCHARD LANE^^FAIRHAVEN^WA^98225|^PRN^PH^^1^360^5550142\r\
        AL1|1|DA|70618^PENICILLIN^L|SV|HIVES\r\
        DG1|1||J18.9^PNEUMONIA, UNSPECIFIED^I10|PNEUMONIA|20260301|A\r\
        IN1|1|PPO^PREFERRED|88012|SOUND HEALTH|PO BOX 120^^SEATTLE^WA^98101|||GRP4471||||20260101|20261231\r";
    text.as_bytes().to_vec()
}

/// A laboratory result of about 2 KB.
fn result() -> Vec<u8> {
    let mut text = String::from(
        "MSH|^~\\&|LABSYS|NORTHSIDE|REGADT|NORTHSIDE|20260301101500||ORU^R01^ORU_R01|L0009912|P|2.5.1\r\
         PID|1||8841207^^^NORTHSIDE^MR||MARLOWE^TESSA^JUNE||19790412|F\r\
         OBR|1|P4471|F9912|24323-8^Comprehensive metabolic panel^LN|||20260301094500|||||||||2214^OKAFOR^BEN\r",
    );
    for number in 1..=20 {
        let _ = write!(
            text,
            "OBX|{number}|NM|{}-{}^Analyte {number}^LN||{}.{number}|mmol/L|3.5-5.1|N|||F|||20260301094500\r",
            2000 + number,
            number % 10,
            number * 3 % 17,
        );
    }
    text.into_bytes()
}

fn paths(texts: &[&str]) -> Vec<Path> {
    texts.iter().map(|text| Path::parse(text).expect("the path is sound")).collect()
}

fn reading(criterion: &mut Criterion) {
    let ten = paths(&[
        "MSH-9.1",
        "MSH-9.2",
        "MSH-10",
        "MSH-12",
        "PID-3.1",
        "PID-3[2].1",
        "PID-5.1",
        "PID-8",
        "PV1-19.1",
        "PV1-44",
    ]);
    for (name, bytes) in [("1 KB admission", admission()), ("2 KB result", result())] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("bare scan for segment ends", |bencher| {
            bencher.iter(|| memchr::memchr2_iter(b'\r', b'\n', black_box(&bytes)).count());
        });
        group.bench_function("parse", |bencher| {
            bencher.iter(|| Message::parse(black_box(&bytes)));
        });
        group.bench_function("parse and read 10 paths", |bencher| {
            bencher.iter(|| {
                let message = Message::parse(black_box(&bytes)).expect("the message is sound");
                ten.iter()
                    .filter_map(|path| message.get(path))
                    .map(|v| v.raw().len())
                    .sum::<usize>()
            });
        });
        let message = Message::parse(&bytes).expect("the message is sound");
        group.bench_function("read 10 paths", |bencher| {
            bencher.iter(|| {
                let values = ten.iter().filter_map(|path| black_box(&message).get(path));
                values.map(|value| value.raw().len()).sum::<usize>()
            });
        });
        group.finish();
    }
}

fn editing(criterion: &mut Criterion) {
    let bytes = result();
    let message = Message::parse(&bytes).expect("the message is sound");
    let four = paths(&["MSH-4", "PID-3[+1].1", "OBR-16.1", "OBX(10)-8"]);
    let mut group = criterion.benchmark_group("2 KB result");
    group.bench_function("copy", |bencher| {
        bencher.iter(|| black_box(&message).clone().into_owned())
    });
    group.bench_function("copy and 4 edits", |bencher| {
        bencher.iter(|| {
            let mut message = black_box(&message).clone();
            for path in &four {
                message.set_text(path, b"changed").expect("the path can be set");
            }
            message
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    reading(&mut criterion);
    editing(&mut criterion);
    criterion.final_summary();
}
