//! What learning from a message and checking it costs, beside the bare parse.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_dictionary::profile::{Learner, ProfileConstraints};
use pipehat_dictionary::validation::{Level, Validator};
use pipehat_message::Message;

/// A result of some 2 KB with 16 observations, of one of many patients.
fn result(number: usize) -> Vec<u8> {
    let mut text = format!(
        "MSH|^~\\&|LIS|LAB2|HIS|GENERAL|202501311200{:02}||ORU^R01^ORU_R01|M{number}|P|2.5.1|||AL|NE\r\
         PID|1||P{number:06}^^^LAB^MR~S{number}^^^SSA^SS||DOE{number}^JO^A^^^^L||198001{:02}|{}|||{number} MAIN ST^^TOWN^ST^{number:05}^US^H||555{number:04}^PRN^PH|||S\r\
         PV1|1|I|N{}^{}^A^GENERAL||||{number}^DOC^TOR^^^^MD|||MED||||1|||{number}^DOC^TOR|IP|V{number}\r\
         ORC|RE|O{number}^HIS|F{number}^LIS||CM\r\
         OBR|1|O{number}^HIS|F{number}^LIS|CBC^Complete Blood Count^L|||20250131110000|||||||20250131113000||{number}^DOC^TOR||||||20250131120000||HM|F\r",
        number % 60,
        number % 28 + 1,
        ["F", "M"][number % 2],
        number % 8,
        number % 30,
    );
    for row in 1..=16 {
        text.push_str(&format!(
            "OBX|{row}|NM|{}-{row}^Analyte number {row}^LN^A{row}^Analyte^L||{}.{row}|mmol/l^millimole per litre^UCUM|3.5-9.5|{}|||F|||20250131114500||{row}^TECH\r",
            700 + row,
            (number + row) % 20,
            ["N", "H", "L", "N"][(number + row) % 4],
        ));
    }
    text.into_bytes()
}

fn learning(criterion: &mut Criterion) {
    let messages: Vec<Vec<u8>> = (0..512).map(result).collect();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    let mut group = criterion.benchmark_group("profile");
    group.throughput(Throughput::Elements(messages.len() as u64));
    println!("{} bytes a message", bytes / messages.len());
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            for message in &messages {
                let _ = black_box(Message::parse(message));
            }
        });
    });
    let parsed: Vec<Message<'_>> =
        messages.iter().filter_map(|message| Message::parse(message).ok()).collect();
    let mut learner = Learner::default();
    group.bench_function("learn", |bencher| {
        bencher.iter(|| parsed.iter().for_each(|message| learner.learn(message)));
    });
    let mut learner = Learner::default();
    parsed.iter().for_each(|message| learner.learn(message));
    let profile = Arc::new(learner.profile("lab2"));
    group.bench_function("check", |bencher| {
        bencher.iter(|| {
            let mut count = 0;
            parsed.iter().for_each(|message| profile.check(message, &mut |_| count += 1));
            black_box(count)
        });
    });
    let constraints = ProfileConstraints::new(profile);
    let mut validator = Validator::new(Level::Standard);
    group.bench_function("validate", |bencher| {
        bencher.iter(|| {
            for message in &parsed {
                black_box(validator.validate(message, &constraints).is_empty());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, learning);
criterion_main!(benches);
