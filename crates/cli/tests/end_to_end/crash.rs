//! Killed again and again under load, it loses nothing, keeps the order and changes no byte
//! (promises 1 to 5 and 8).
//!
//! `PIPEHAT_CRASH_ROUNDS` makes it longer, `PIPEHAT_CRASH_SEED` repeats a run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{
    Api, Link, Project, Random, Reply, Sample, Sink, check_lanes, eventually, field, free_port,
    gender_table,
};

/// Kills in a run of the test suite: some seconds.
const ROUNDS: u64 = 14;

/// A node is killed at most so long after it was ready.
const LIFE_MAX: Duration = Duration::from_millis(900);

/// Messages that senders may be ahead of the slowest partner: enough for a backlog at every kill,
/// few enough to drain at the end.
const AHEAD_MAX: usize = 1_500;

/// Messages after which a sender sends an old one again.
const REPEAT_EVERY: u64 = 25;

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let rounds = setting("PIPEHAT_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("PIPEHAT_CRASH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64
    });
    println!("PIPEHAT_CRASH_SEED={seed} PIPEHAT_CRASH_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let site = Site::new();
    let feeds: Vec<Arc<Feed>> = vec![
        Feed::new("A", &site.relay, 1, 6, random.next()),
        Feed::new("B", &site.relay, 1, 3, random.next()),
        Feed::new("C", &site.relay, 32, 9, random.next()),
        Feed::new("D", &site.relay, 200, 5, random.next()),
        Feed::new("S", &site.strict, 16, 4, random.next()),
    ];
    let node = site.project.up();
    let relay = Arc::new(Progress::towards([&site.target, &site.windowed]));
    let strict = Arc::new(Progress::towards([&site.single]));
    let senders: Vec<_> = feeds
        .iter()
        .map(|feed| {
            let progress = if feed.address == site.strict { &strict } else { &relay };
            let (feed, progress) = (Arc::clone(feed), Arc::clone(progress));
            thread::spawn(move || feed.run(&progress))
        })
        .collect();

    let mut node = Some(node);
    for round in 0..rounds {
        let life = Duration::from_micros(random.below(LIFE_MAX.as_micros() as u64));
        thread::sleep(life);
        node.take().expect("a node runs").kill();
        site.after_kill();
        let started = site.project.up();
        if round % 5 == 4 {
            started.api().proof();
        }
        node = Some(started);
    }
    feeds.iter().for_each(|feed| feed.stop());
    for sender in senders {
        sender.join().expect("a sender ends well");
    }

    let node = node.expect("a node runs");
    let api = node.api();
    eventually("everything is delivered", || {
        ["relay", "strict"].iter().all(|channel| api.counter(channel, "in_flight") == 0)
    });
    site.check(&feeds, &api);
    assert!(node.stop().success(), "it stops in good order");
    site.project.prove();
    let printed = site.project.printed();
    assert!(!printed.contains("panicked"), "{printed}");
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// The project under test and its partners.
struct Site {
    project: Project,
    /// Where the channels listen.
    relay: String,
    strict: String,
    /// Eight connections.
    target: Arc<Sink>,
    /// One connection with a window.
    windowed: Arc<Sink>,
    /// One connection of the channel that keeps strict order.
    single: Arc<Sink>,
}

impl Site {
    fn new() -> Self {
        let project = Project::new();
        let (relay, strict) = (free_port(), free_port());
        let target = Arc::new(Sink::new());
        let windowed = Arc::new(Sink::new());
        let single = Arc::new(Sink::new());
        project.write("pipehat.yaml", "journal: { chunk: 4MiB }\n");
        project.write("tables/gender.csv", gender_table());
        std::fs::create_dir_all(project.folder().join("out")).expect("a folder can be made");
        project.write(
            "channels/relay.yaml",
            &format!(
                "channel: relay
source: {{ mllp: {{ listen: 127.0.0.1:{relay} }} }}
order: by PID-3.1
steps:
  - set: {{ MSH-5: LAB }}
  - set: {{ MSH-6: GENERAL }}
  - map: {{ field: PID-8, table: gender, otherwise: keep }}
  - copy: {{ from: PID-3.1, to: PID-2 }}
destinations:
  target:
    mllp: {{ connect: {}, connections: 8 }}
    retry: {{ first: 20ms, most: 200ms }}
  windowed:
    mllp: {{ connect: {}, window: 8 }}
    retry: {{ first: 20ms, most: 200ms }}
  folder:
    when: MSH-9.2 = \"A04\"
    file: {{ folder: ../out }}
",
                target.address(),
                windowed.address()
            ),
        );
        project.write(
            "channels/strict.yaml",
            &format!(
                "channel: strict
source: {{ mllp: {{ listen: 127.0.0.1:{strict} }} }}
order: strict
destinations:
  single:
    mllp: {{ connect: {} }}
    retry: {{ first: 20ms, most: 200ms }}
",
                single.address()
            ),
        );
        Self {
            project,
            relay: format!("127.0.0.1:{relay}"),
            strict: format!("127.0.0.1:{strict}"),
            target,
            windowed,
            single,
        }
    }

    fn sinks(&self) -> [&Arc<Sink>; 3] {
        [&self.target, &self.windowed, &self.single]
    }

    /// What the killed process had sent is taken down before another process can send.
    fn after_kill(&self) {
        for sink in self.sinks() {
            sink.wait_disconnected();
            sink.next_run();
        }
    }

    fn check(&self, feeds: &[Arc<Feed>], api: &Api) {
        let mut expected: [BTreeMap<String, Vec<Sample>>; 3] = Default::default();
        let (mut relayed, mut strict, mut repeated) = (0, 0, 0);
        for feed in feeds {
            let state = feed.state.lock().expect("senders have ended");
            assert_eq!(state.acknowledged.len(), state.samples.len(), "{} ended", feed.name);
            repeated += state.repeated;
            for sample in &state.samples {
                let [by_patient, files, in_sequence] = &mut expected;
                if feed.address == self.strict {
                    strict += 1;
                    in_sequence.entry(feed.name.clone()).or_default().push(sample.clone());
                    continue;
                }
                relayed += 1;
                by_patient.entry(sample.patient_id()).or_default().push(sample.clone());
                if sample.trigger == "A04" {
                    files.entry(sample.patient_id()).or_default().push(sample.clone());
                }
            }
        }
        let [by_patient, files, in_sequence] = &expected;
        let patient = |bytes: &[u8]| field(bytes, "PID-3.1");
        let more = [
            check_lanes("target", &self.target, by_patient, patient, Sample::relayed),
            check_lanes("windowed", &self.windowed, by_patient, patient, Sample::relayed),
            check_lanes(
                "single",
                &self.single,
                in_sequence,
                |bytes| field(bytes, "MSH-3"),
                Sample::bytes,
            ),
        ];
        check_files(&self.project.folder().join("out"), files);

        let proof = api.proof();
        for (name, count) in [("relay", relayed), ("strict", strict)] {
            let channels = proof["channels"].as_array().expect("channels").iter();
            let channel = channels.clone().find(|channel| channel["name"] == name);
            let counters = &channel.expect("the proof has the channel")["counters"];
            assert_eq!(counters["delivered"], count, "each message once: {counters}");
            assert_eq!(counters["in_flight"], 0);
            assert_eq!(counters["parked"], 0);
            assert_eq!(counters["rejected"], 0);
        }
        println!(
            "{relayed} relayed, {strict} strict, {repeated} sent again; delivered again {more:?}"
        );
    }
}

/// Checks the files: one for each message, whole, numbered by acceptance.
fn check_files(folder: &std::path::Path, expected: &BTreeMap<String, Vec<Sample>>) {
    let mut found: BTreeMap<String, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if name.starts_with('.') {
            continue;
        }
        let number = name.split('-').nth(1).and_then(|number| number.parse().ok());
        let number = number.unwrap_or_else(|| panic!("{name} names its message"));
        let bytes = std::fs::read(&path).expect("the file can be read");
        found.entry(field(&bytes, "PID-3.1")).or_default().push((number, bytes));
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (patient, samples) in expected {
        let files = found.get_mut(patient).expect("checked above");
        files.sort();
        let id = |bytes: &Vec<u8>| field(bytes, "MSH-10");
        let ids: Vec<String> = files.iter().map(|(_, bytes)| id(bytes)).collect();
        let wanted: Vec<String> = samples.iter().map(Sample::control_id).collect();
        assert_eq!(ids, wanted, "the files of {patient}");
        for ((_, bytes), sample) in files.iter().zip(samples) {
            assert!(*bytes == sample.relayed(), "the bytes of {}", sample.control_id());
        }
    }
}

/// How far the senders of a channel are ahead of its partners.
struct Progress {
    sent: AtomicUsize,
    sinks: Vec<Arc<Sink>>,
}

impl Progress {
    fn towards<const N: usize>(sinks: [&Arc<Sink>; N]) -> Self {
        Self { sent: AtomicUsize::new(0), sinks: sinks.map(Arc::clone).into() }
    }

    fn may_send(&self) -> bool {
        let least = self.sinks.iter().map(|sink| sink.count()).min().unwrap_or(0);
        self.sent.load(Ordering::Acquire) < least + AHEAD_MAX
    }

    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::AcqRel);
    }
}

/// One sending system, which numbers its messages by patient.
struct Feed {
    name: String,
    address: String,
    /// Unanswered messages at a time.
    window: usize,
    patients: u64,
    seed: u64,
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// All that was sent, in order.
    samples: Vec<Sample>,
    /// The acknowledgment each got first.
    acknowledged: HashMap<String, Reply>,
    /// How many were sent again although they were acknowledged.
    repeated: u64,
}

/// A message on its way.
struct Unanswered {
    sample: Sample,
    bytes: Vec<u8>,
}

impl Feed {
    fn new(name: &str, address: &str, window: usize, patients: u64, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            address: address.to_owned(),
            window,
            patients,
            seed,
            stop: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Sends until it is stopped and all is acknowledged. What was not acknowledged is sent
    /// again, in order, on the next connection.
    fn run(&self, progress: &Progress) {
        let mut random = Random::new(self.seed);
        let mut numbers = vec![0; self.patients as usize];
        let mut unanswered: VecDeque<Unanswered> = VecDeque::new();
        loop {
            let mut link = Link::open(&self.address);
            let again: Vec<&[u8]> = unanswered.iter().map(|sent| &*sent.bytes).collect();
            if link.send(again).is_err() {
                continue;
            }
            loop {
                let mut new = Vec::new();
                while unanswered.len() < self.window && !self.stop.load(Ordering::Acquire) {
                    if !progress.may_send() {
                        break;
                    }
                    progress.sent();
                    let sent = self.next(&mut random, &mut numbers);
                    new.push(sent.bytes.clone());
                    unanswered.push_back(sent);
                }
                if unanswered.is_empty() {
                    if self.stop.load(Ordering::Acquire) {
                        return;
                    }
                    // The partners have to catch up.
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                if link.send(new.iter().map(Vec::as_slice)).is_err() {
                    break;
                }
                let Ok(reply) = link.receive() else { break };
                let answered = unanswered.pop_front().expect("one is unanswered");
                self.acknowledged(answered, reply);
            }
        }
    }

    fn next(&self, random: &mut Random, numbers: &mut [u64]) -> Unanswered {
        let mut state = self.state.lock().expect("no sender panicked");
        if !state.samples.is_empty() && random.one_in(REPEAT_EVERY) {
            // A sender that did not see our acknowledgment, or was restored from a backup.
            let lately = state.samples.len().min(300) as u64;
            let back = random.below(lately) as usize;
            let sample = state.samples[state.samples.len() - 1 - back].clone();
            if state.acknowledged.contains_key(&sample.control_id()) {
                state.repeated += 1;
                return Unanswered { bytes: sample.bytes(), sample };
            }
        }
        let patient = random.below(self.patients);
        let number = numbers.get_mut(patient as usize).expect("there are so many patients");
        *number += 1;
        let mut sample = Sample::new(&self.name, patient, *number);
        if random.one_in(20) {
            sample.trigger = "A04";
        }
        sample.filler = match random.below(400) {
            0 => 300 * 1024,
            1..3 => 70 * 1024,
            _ => random.below(600) as usize,
        };
        state.samples.push(sample.clone());
        Unanswered { bytes: sample.bytes(), sample }
    }

    fn acknowledged(&self, answered: Unanswered, reply: Reply) {
        let control_id = answered.sample.control_id();
        assert_eq!(reply.control_id(), control_id, "replies come in the order of messages");
        assert_eq!(reply.code(), "AA", "{reply:?}");
        let mut state = self.state.lock().expect("no sender panicked");
        match state.acknowledged.get(&control_id) {
            Some(first) => assert_eq!(first, &reply, "a message sent again gets the same reply"),
            None => {
                state.acknowledged.insert(control_id, reply);
            }
        }
    }
}
