//! What intake does with every message before it is journalled: deframe it, read its header, build its acknowledgment.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipehat_message::mllp::{Decoder, Event, Limits, encode_frame};
use pipehat_message::{AcknowledgmentBuilder, Delimiters, Header, escape, unescape};

const READ_BYTES: usize = 64 * 1024;

fn message(bytes: usize) -> Vec<u8> {
    let mut message = b"MSH|^~\\&|REG|GENERAL|LAB|NORTH|20240102030405||ADT^A01^ADT_A01|C-0000001|P|2.5.1|||AL|NE|GBR|8859/1\r".to_vec();
    while message.len() < bytes {
        message
            .extend_from_slice(b"OBX|1|ST|1234-5^Test^LN||value of a test without a name||||||F\r");
    }
    message
}

fn frames(payload: &[u8], total_bytes: usize) -> Vec<u8> {
    let mut input = Vec::new();
    while input.len() < total_bytes {
        encode_frame(payload, &mut input);
    }
    input
}

fn decode(input: &[u8]) -> usize {
    let mut decoder = Decoder::new(Limits::new(64 * 1024 * 1024));
    let mut payload_bytes = 0;
    for read in input.chunks(READ_BYTES) {
        decoder.buffer_mut(READ_BYTES).extend_from_slice(read);
        for event in decoder.by_ref() {
            if let Event::Frame(payload) = event {
                payload_bytes += payload.len();
            }
        }
    }
    payload_bytes
}

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    group.sample_size(10);
    let inputs = [
        ("1 KB frames", frames(&message(1024), 8 * 1024 * 1024)),
        ("one of 50 MB", frames(&message(50 * 1024 * 1024), 1)),
    ];
    for (name, input) in inputs {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| decode(black_box(&input))));
        group.bench_function(format!("{name}: bare copy"), |bencher| {
            bencher.iter(|| {
                let mut copy = Vec::with_capacity(input.len());
                input.chunks(READ_BYTES).for_each(|read| copy.extend_from_slice(read));
                copy.len()
            });
        });
    }
    group.finish();
}

fn header(criterion: &mut Criterion) {
    let message = message(1024);
    criterion.bench_function("header", |bencher| {
        bencher.iter(|| {
            let header = Header::read(black_box(&message)).expect("a readable header");
            (header.message_code(), header.trigger_event(), header.control_id())
        });
    });
    criterion.bench_function("acknowledgment", |bencher| {
        bencher.iter(|| {
            let header = Header::read(black_box(&message)).expect("a readable header");
            AcknowledgmentBuilder::new(&header).control_id("OWN-1").timestamp("20240102").build()
        });
    });
}

fn escapes(criterion: &mut Criterion) {
    let plain = black_box(&b"a value of the usual length"[..]);
    let marked = black_box(&br"a value with \F\ and \T\ in it"[..]);
    let delimiters = Delimiters::STANDARD;
    criterion.bench_function("escape plain", |bencher| bencher.iter(|| escape(plain, &delimiters)));
    criterion
        .bench_function("unescape plain", |bencher| bencher.iter(|| unescape(plain, &delimiters)));
    criterion.bench_function("unescape marked", |bencher| {
        bencher.iter(|| unescape(marked, &delimiters))
    });
}

criterion_group!(intake, framing, header, escapes);
criterion_main!(intake);
