//! The same message through every parser: `cargo bench` here prints all of them in one run.
//!
//! Each crate reads its own way: most split the whole message at once, some copy every value, rust-hl7 and hl7 take
//! paths as text on each read. That is what a user of theirs pays. `hl7v2` is left out for its licence (AGPL).

use std::hint::black_box;

use criterion::{Criterion, Throughput};

const ADMISSION: &str = "MSH|^~\\&|REGADT|NORTHSIDE|LABSYS|NORTHSIDE|20260301093015||ADT^A01^ADT_A01|N0000471|P|2.5.1|||AL|NE\r\
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

const PATHS: [(&str, usize, usize); 10] = [
    ("MSH", 9, 1),
    ("MSH", 9, 2),
    ("MSH", 10, 1),
    ("MSH", 12, 1),
    ("PID", 3, 1),
    ("PID", 5, 1),
    ("PID", 8, 1),
    ("PV1", 3, 2),
    ("PV1", 19, 1),
    ("PV1", 44, 1),
];

/// The bytes the ten values have together: every reader must find the same.
const VALUE_BYTES: usize = 3 + 3 + 8 + 5 + 7 + 7 + 1 + 3 + 8 + 14;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(ADMISSION.len() as u64));
    group.bench_function("bare scan for segment ends", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\r', black_box(ADMISSION).as_bytes()).count());
    });
    group.bench_function("pipehat-message", |bencher| {
        bencher.iter(|| pipehat_message::Message::parse(black_box(ADMISSION).as_bytes()));
    });
    group.bench_function("hl7-v2", |bencher| {
        bencher.iter(|| hl7_v2::Hl7Message::parse(black_box(ADMISSION).as_bytes()));
    });
    group.bench_function("hl7-parser", |bencher| {
        bencher.iter(|| hl7_parser::Message::parse(black_box(ADMISSION)));
    });
    group.bench_function("rust-hl7", |bencher| {
        bencher.iter(|| rusthl7::message::Message::new(black_box(ADMISSION)));
    });
    group.bench_function("er7", |bencher| bencher.iter(|| er7::parse(black_box(ADMISSION))));
    group.bench_function("hl7", |bencher| bencher.iter(|| hl7::v2::parse(black_box(ADMISSION))));
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse and read 10 paths");
    group.throughput(Throughput::Bytes(ADMISSION.len() as u64));

    let paths = PATHS.map(|(segment, field, component)| {
        pipehat_message::Path::parse(&format!("{segment}-{field}.{component}")).unwrap()
    });
    let pipehat = || {
        let message = pipehat_message::Message::parse(black_box(ADMISSION).as_bytes()).unwrap();
        paths.iter().map(|path| message.get(path).unwrap().raw().len()).sum::<usize>()
    };
    assert_eq!(pipehat(), VALUE_BYTES);
    group.bench_function("pipehat-message", |bencher| bencher.iter(pipehat));

    let hl7_v2 = || {
        let message = hl7_v2::Hl7Message::parse(black_box(ADMISSION).as_bytes()).unwrap();
        let lengths = PATHS.iter().map(|(segment, field, component)| {
            // It counts MSH-2 as field 1.
            let field = if *segment == "MSH" { field - 1 } else { *field };
            let field = message.segment(segment).unwrap().field(field).unwrap();
            field.component(*component).unwrap().len()
        });
        lengths.sum::<usize>()
    };
    assert_eq!(hl7_v2(), VALUE_BYTES);
    group.bench_function("hl7-v2", |bencher| bencher.iter(hl7_v2));

    let hl7_parser = || {
        let message = hl7_parser::Message::parse(black_box(ADMISSION)).unwrap();
        let lengths = PATHS.iter().map(|(segment, field, component)| {
            let field = message.segment(segment).unwrap().field(*field).unwrap();
            let component = field.repeat(1).unwrap().component(*component).unwrap();
            component.raw_value().len()
        });
        lengths.sum::<usize>()
    };
    assert_eq!(hl7_parser(), VALUE_BYTES);
    group.bench_function("hl7-parser", |bencher| bencher.iter(hl7_parser));

    // It counts MSH-2 as field 1, and components of a field with repetitions it does not separate.
    let queries = PATHS.map(|(segment, field, component)| {
        let field = if segment == "MSH" { field - 1 } else { field };
        format!("{segment}.F{field}.R1.C{component}")
    });
    let rust_hl7 = || {
        let message = rusthl7::message::Message::new(black_box(ADMISSION));
        queries.iter().map(|query| message.query(query.as_str()).len()).sum::<usize>()
    };
    assert_eq!(rust_hl7(), VALUE_BYTES);
    group.bench_function("rust-hl7", |bencher| bencher.iter(rust_hl7));

    let compiled = PATHS.map(|(segment, field, component)| {
        er7::Path::parse(&format!("{segment}-{field}.{component}")).unwrap()
    });
    let er7 = || {
        let message = er7::parse(black_box(ADMISSION)).unwrap();
        let first = |path| message.query_path_raw(path).first().map_or(0, String::len);
        compiled.iter().map(first).sum::<usize>()
    };
    assert_eq!(er7(), VALUE_BYTES);
    group.bench_function("er7", |bencher| bencher.iter(er7));

    let texts = PATHS.map(|(segment, field, component)| format!("{segment}-{field}.{component}"));
    let hl7 = || {
        let message = hl7::v2::parse(black_box(ADMISSION)).unwrap();
        texts.iter().map(|path| message.get(path).unwrap().unwrap().len()).sum::<usize>()
    };
    assert_eq!(hl7(), VALUE_BYTES);
    group.bench_function("hl7", |bencher| bencher.iter(hl7));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    parse(&mut criterion);
    read(&mut criterion);
    criterion.final_summary();
}
