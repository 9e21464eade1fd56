//! How long a run takes: a ten-line transformation of an HL7 message, beside what it consists of.

#![allow(missing_docs, reason = "Criterion makes functions without")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use pipehat_message::{Message, Path};
use pipehat_script::{
    Answer, Ask, AskError, Event, Host, Input, Limits, LogLine, Reuse, Script, Worker,
};

/// A host of which nothing is asked.
struct Still;

impl Host for Still {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn ask(&mut self, _: &Ask, _: Duration) -> Result<Answer, AskError> {
        Err(AskError::TimedOut)
    }

    fn log(&mut self, _: LogLine) {}
}

const TRANSFORM: &str = r#"
import { Hl7Message } from "@medplum/core";

export async function handler(client: unknown, event: { input: string }): Promise<unknown> {
  const message = event.input as unknown as Hl7Message;
  const id = message.getSegment("PID")?.getComponent(3, 1) ?? "";
  const family = message.getSegment("PID")?.getComponent(5, 1) ?? "";
  const given = message.getSegment("PID")?.getComponent(5, 2) ?? "";
  const code = message.getSegment("OBR")?.getComponent(4, 1) ?? "";
  const value = message.getSegment("OBX")?.getField(5)?.toString() ?? "";
  message.getSegment("PID")?.setComponent(3, 1, `X${id}`);
  message.getSegment("PID")?.setField(5, `${family.toUpperCase()}^${given}`);
  message.getSegment("OBR")?.setComponent(4, 2, `code ${code}`);
  message.getSegment("OBX")?.setField(5, value.trim());
  return message;
}
"#;

const BY_PATH: &str = r#"
export async function handler(client: unknown, event: { input: string }): Promise<string> {
  const lines = event.input.toString().split("\r");
  const at = lines.findIndex((line) => line.startsWith("PID|"));
  const pid = lines[at].split("|");
  const [family, given] = pid[5].split("^");
  pid[3] = "X" + pid[3];
  pid[5] = `${family.toUpperCase()}^${given}`;
  lines[at] = pid.join("|");
  return lines.join("\r");
}
"#;

const NOTHING: &str = "export const handler = () => undefined;";

/// It keeps a count, so its modules are evaluated for each run.
const FRESH: &str = "let count = 0; export const handler = () => { count++ };";

fn message() -> Vec<u8> {
    let mut message = b"MSH|^~\\&|LAB|GOOD|EHR|GOOD|20240131120000||ORU^R01^ORU_R01|1|P|2.5.1\r\
        PID|1||4711^^^GOOD^MR||Muster^Maria^M||19700101|F|||Street 1^^Town^^12345^DE\r\
        PV1|1|O|WARD^1^2||||1234^Doctor^Dora|||||||||||V1\r\
        OBR|1|P1|F1|24323-8^Comprehensive metabolic panel^LN|||20240131110000\r"
        .to_vec();
    for number in 1..=20 {
        let line = format!(
            "OBX|{number}|NM|2951-2^Sodium^LN||{}.5|mmol/L^^UCUM|135-145|N|||F|||20240131113000\r",
            130 + number
        );
        message.extend(line.into_bytes());
    }
    message
}

fn event() -> Event {
    Event {
        input: Input::Hl7(message()),
        charset: pipehat_message::CharsetRule::Declared,
        content_type: "x-application/hl7-v2+er7".to_owned(),
        secrets: BTreeMap::new(),
        headers: BTreeMap::new(),
        bot: "Bot/1".to_owned(),
    }
}

fn script(source: &str) -> Script {
    let files = BTreeMap::from([("bot.ts".to_owned(), source.to_owned())]);
    Script::load(&files, "bot.ts").expect("it compiles")
}

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("script");
    group.throughput(Throughput::Elements(1));
    let event = event();
    let host = Rc::new(RefCell::new(Still));
    let mut bench = |name: &str, source: &str| {
        let Ok(script) =
            Script::load(&BTreeMap::from([("bot.ts".to_owned(), source.to_owned())]), "bot.ts")
        else {
            return;
        };
        let mut worker = Worker::new(&script, Limits::default());
        let first = worker.run(&event, host.clone());
        if let Err(error) = first.result {
            panic!("{name}: {} {:?}", error.message, error.stack);
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(worker.run(&event, host.clone()).result.is_ok()));
        });
    };
    bench("transform", TRANSFORM);
    bench("transform by split", BY_PATH);
    bench("nothing", NOTHING);
    bench("nothing, modules anew", FRESH);
    let bytes = message();
    let path = |text: &str| -> Path { text.parse().expect("a path") };
    let reads = ["PID-3.1", "PID-5.1", "PID-5.2", "OBR-4.1", "OBX-5"].map(path);
    let writes = ["PID-3.1", "PID-5.1", "OBR-4.2", "OBX-5"].map(path);
    group.bench_function("the same in Rust", |bencher| {
        bencher.iter(|| {
            let mut message = Message::parse(&bytes).expect("a message");
            for path in &reads {
                black_box(message.get(path).map(|value| value.raw().len()));
            }
            for path in &writes {
                message.set_text(path, b"value").expect("it is set");
            }
            black_box(message.as_bytes().len())
        });
    });
    group.finish();
    assert_eq!(script(NOTHING).reuse(), Reuse::Kept);
}

fn compiling(criterion: &mut Criterion) {
    let files = BTreeMap::from([("bot.ts".to_owned(), BY_PATH.to_owned())]);
    criterion.bench_function("script/compile", |bencher| {
        bencher.iter(|| Script::load(black_box(&files), "bot.ts").is_ok());
    });
}

criterion_group!(benches, runs, compiling);
criterion_main!(benches);
