//! What a channel's steps cost: the relay example (two `set`, one `map`, one `copy`) on an ADT of
//! 1 KB, beside copying and parsing the same bytes.

// The macros of criterion make functions without documentation.
#![allow(missing_docs)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use pipehat_config::NoEnvironment;
use pipehat_connectors::{Peer, Secrets, UnknownSecret};
use pipehat_engine::program::ProgramInput;
use pipehat_engine::project::{ChannelSpec, Project};
use pipehat_engine::{Effects, LookupAnswer, LookupRequest};
use pipehat_message::Message;

struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, name: &str) -> Result<Vec<u8>, UnknownSecret> {
        Err(UnknownSecret { name: name.to_owned(), remedy: "benches have none".to_owned() })
    }
}

struct NoEffects;

impl Effects for NoEffects {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn control_id(&mut self) -> String {
        String::new()
    }

    fn lookup(&mut self, _: &LookupRequest) -> Option<LookupAnswer> {
        None
    }
}

/// An admission of 1 KB.
fn admission() -> Bytes {
    let mut text = String::from(
        "MSH|^~\\&|ADT|NORTH|ADT2|CENTRAL|20260105081500||ADT^A01^ADT_A01|A0001|P|2.5.1\r\
         EVN|A01|20260105081500|||CLERK^Example^Carla\r\
         PID|1||10001^^^NORTH^MR~77-1234-9^^^OLD^PI||Sample^Anna^B^^Dr||19800229|2|||\
         1 Example Street^^Sampleton^^00001^XX~2 Other Road^^Sampleton^^00002^XX||\
         ^PRN^PH^^^555^0100~^NET^^anna@example.org||EN|M|||000-00-0000\r\
         NK1|1|Sample^Ben|SPO|1 Example Street^^Sampleton^^00001|^PRN^PH^^^555^0101\r\
         PV1|1|I|2W^201^A^NORTH||||100^Doe^Jane^^^Dr|200^Roe^Richard^^^Dr||MED||||1|||100^Doe^Jane|\
         IN|V0001|||||||||||||||||||||||||20260105081500\r\
         AL1|1|DA|70618^Penicillin^L|SV|Rash|20010101\r\
         DG1|1||I10^Essential hypertension^I10|||A\r\
         IN1|1|PLAN^Example plan|INS1|Example Insurance|3 Cover Lane^^Sampleton^^00003\r",
    );
    while text.len() < 1_024 {
        text.push_str("OBX|1|NM|8302-2^Height^LN||170|cm|||||F\r");
    }
    Bytes::from(text)
}

fn relay() -> Arc<ChannelSpec> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/relay");
    let loaded = Project::load(&directory, &NoEnvironment, &NoSecrets);
    let project = loaded.project.expect("the example is sound");
    Arc::clone(project.channel("relay").expect("the example has this channel"))
}

fn program(criterion: &mut Criterion) {
    let (message, spec, peer) = (admission(), relay(), Peer::default());
    let mut group = criterion.benchmark_group("program");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("copy the bytes", |bencher| {
        bencher.iter(|| black_box(black_box(&message).to_vec()));
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| black_box(Message::parse(black_box(&message))).is_ok());
    });
    group.bench_function("lane keys by PID-3.1", |bencher| {
        bencher.iter(|| black_box(spec.program.lane_keys(black_box(&message), 1)));
    });
    group.bench_function("relay: 2 set, 1 map, 1 copy", |bencher| {
        bencher.iter(|| {
            let input =
                ProgramInput { bytes: black_box(&message), channel: &spec.name, peer: &peer };
            black_box(spec.program.run(&input, &mut NoEffects))
        });
    });
    group.finish();
}

criterion_group!(benches, program);
criterion_main!(benches);
