//! A host for tests, and ways to run a script of one file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use pipehat_script::{
    Answer, Ask, AskError, Begun, Event, Host, Input, Limits, LogLine, Output, Run, RunError,
    Script, Worker,
};

use crate::datastore::Datastore;

/// Answers `fetch` with what was sent, keeps state, and has a small datastore; its clock moves by what is waited for.
pub(crate) struct TestHost {
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<LogLine>,
    pub(crate) asked: Vec<Ask>,
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) datastore: Datastore,
    /// What was begun: when its answer comes, if ever.
    pub(crate) open: BTreeMap<u32, (Option<Timestamp>, Ask)>,
    pub(crate) given_up: Vec<u32>,
    random: u8,
}

impl Default for TestHost {
    fn default() -> Self {
        let now = Timestamp::from_millisecond(1_700_000_000_000).expect("in range");
        let (log, asked, state, datastore, open, given_up) = Default::default();
        Self { now, log, asked, state, datastore, open, given_up, random: 0 }
    }
}

impl Host for TestHost {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random = self.random.wrapping_mul(31).wrapping_add(7);
            *byte = self.random;
        }
    }

    fn ask(&mut self, ask: &Ask, remaining: Duration) -> Result<Answer, AskError> {
        self.asked.push(ask.clone());
        let answer = |status, body: &[u8]| {
            let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
            Ok(Answer { status, headers, body: body.to_vec() })
        };
        match ask {
            Ask::Fetch { url, .. } if url.contains("refused.example/other") => {
                Err(AskError::Refused("the other host is not granted".to_owned()))
            }
            Ask::Fetch { url, .. } if url.contains("refused") => {
                Err(AskError::Refused("the host is not granted".to_owned()))
            }
            // A host that waits as long as it may.
            Ask::Fetch { url, .. } if url.contains("never") => {
                std::thread::sleep(remaining);
                Err(AskError::TimedOut)
            }
            Ask::Fetch { url, .. } if url.contains("absent") => answer(404, b""),
            Ask::Fetch { body, .. } => answer(200, body),
            Ask::StateGet { key } => match self.state.get(key) {
                Some(value) => answer(200, value.as_bytes()),
                None => answer(404, b""),
            },
            Ask::StateSet { key, value } => {
                self.state.insert(key.clone(), value.clone().unwrap_or_default());
                answer(200, b"")
            }
            Ask::StateAdd { key, by } => {
                let known = self.state.get(key).and_then(|known| known.parse().ok());
                let sum = (known.unwrap_or(0_i64) + by).to_string();
                self.state.insert(key.clone(), sum.clone());
                answer(200, sum.as_bytes())
            }
            Ask::Datastore { method, path, headers, body } => {
                Ok(self.datastore.answer(method, path, headers, body))
            }
            Ask::Table { key, .. } if key == "W1" => answer(200, b"WARD ONE"),
            Ask::Table { .. } => answer(404, b""),
            Ask::Send { .. } | Ask::Park { .. } => answer(200, b""),
            Ask::ToFhir { .. } => answer(200, b"{}"),
            _ => Err(AskError::Failed("not here".to_owned())),
        }
    }

    /// `https://hangs.example` never answers, `https://late.example/300` after 300 ms.
    fn begin(&mut self, number: u32, ask: &Ask, remaining: Duration) -> Begun {
        let Ask::Fetch { url, .. } = ask else { return Begun::Answered(self.ask(ask, remaining)) };
        let after = url.strip_prefix("https://late.example/").and_then(|after| after.parse().ok());
        if after.is_none() && !url.contains("hangs") {
            return Begun::Answered(self.ask(ask, remaining));
        }
        let due = after.and_then(|after| self.now.checked_add(Duration::from_millis(after)).ok());
        self.open.insert(number, (due, ask.clone()));
        Begun::Open
    }

    fn next_answer(&mut self, most: Duration) -> Option<(u32, Result<Answer, AskError>)> {
        let until = self.now.checked_add(most).expect("in range");
        let due = self.open.iter().filter_map(|(number, (due, _))| Some((((*due)?), *number)));
        match due.min().filter(|(due, _)| *due <= until) {
            Some((due, number)) => {
                self.now = due.max(self.now);
                let (_, ask) = self.open.remove(&number).expect("it is open");
                Some((number, self.ask(&ask, most)))
            }
            None => {
                self.now = until;
                None
            }
        }
    }

    fn give_up(&mut self, number: u32) {
        self.open.remove(&number);
        self.given_up.push(number);
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.checked_add(duration).expect("in range");
    }

    fn log(&mut self, line: LogLine) {
        self.log.push(line);
    }
}

pub(crate) fn project(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// A script of one file.
pub(crate) fn script(source: &str) -> Script {
    script_of(&[("bot.ts", source)])
}

/// A script of these files, of which the first is run.
pub(crate) fn script_of(files: &[(&str, &str)]) -> Script {
    match Script::load(&project(files), files[0].0) {
        Ok(script) => script,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn event(input: Input) -> Event {
    Event {
        input,
        charset: pipehat_message::CharsetRule::Declared,
        content_type: "text/plain".to_owned(),
        secrets: BTreeMap::from([("KEY".to_owned(), "s3cret".to_owned())]),
        headers: BTreeMap::new(),
        bot: "Bot/1".to_owned(),
    }
}

pub(crate) fn text(input: &str) -> Event {
    event(Input::Text(input.to_owned()))
}

/// Limits that a test can reach.
pub(crate) fn tight() -> Limits {
    Limits {
        wall_time: Duration::from_secs(20),
        cpu_time: Duration::from_secs(2),
        memory: 24 << 20,
        ..Limits::default()
    }
}

pub(crate) fn run_with(worker: &mut Worker, event: &Event) -> (Run, Rc<RefCell<TestHost>>) {
    let host = Rc::new(RefCell::new(TestHost::default()));
    let run = worker.run(event, host.clone());
    (run, host)
}

/// Runs a script of one file once.
pub(crate) fn run(source: &str, event: &Event) -> Result<Output, RunError> {
    run_with(&mut Worker::new(&script(source), tight()), event).0.result
}

/// Checks what the body of a handler returns.
pub(crate) fn check(body: &str, expected: &str) {
    let source = format!("export async function handler(client: any, event: any) {{ {body} }}");
    let result = run(&source, &text("input"));
    let shown = match result {
        Ok(Output::Nothing) => "nothing".to_owned(),
        Ok(Output::Text(text) | Output::Json(text)) => text,
        Ok(Output::Hl7(bytes) | Output::Bytes(bytes)) => format!("{bytes:?}"),
        Err(error) => format!("{:?}: {} {:?}", error.kind, error.message, error.stack),
    };
    assert_eq!(shown, expected, "{body}");
}
