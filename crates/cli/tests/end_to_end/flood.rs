//! Fast senders into a dead destination: memory stays bounded, other channels go on, a kill in the
//! middle of the backlog loses nothing, and in the end all is delivered in order (promises 3, 9
//! and 10).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Link, Pipehat, Project, Sample, Sink, check_lanes, eventually, field, free_port,
};

/// More than a queue tracks one by one, so that the rest is read from the journal.
const MESSAGES: u64 = 24_000;

const SENDERS: u64 = 4;
const PATIENTS: u64 = 25;
const WINDOW: usize = 64;

/// What a flood may add to the process at most.
///
/// A channel holds up to 32 MiB of messages not yet processed; a destination 16 MiB with their
/// bytes, for each some hundred bytes beside them, and 20,000 more by their number only; the
/// duplicate window remembers 100,000 in about 10 MiB; the journal takes 64 MiB that wait for the
/// disk. What else there is, the allocator's own included, fits into as much again. The flood's
/// messages are small: were all of them held instead, it would be more than that only after
/// millions, so the test also looks at how much each one costs.
const GROWTH_BYTES_MAX: u64 = 192 * 1024 * 1024;

fn project(calm: &Sink, dead: u16, listen: u16) -> Project {
    let project = Project::new();
    project.write("pipehat.yaml", "journal: { chunk: 16MiB }\n");
    project.write(
        "channels/flood.yaml",
        &format!(
            "channel: flood
source: {{ mllp: {{ listen: 127.0.0.1:{listen} }} }}
order: by PID-3.1
destinations:
  dead:
    mllp: {{ connect: 127.0.0.1:{dead}, connections: 8 }}
    retry: {{ first: 50ms, most: 500ms }}
"
        ),
    );
    project.write(
        "channels/calm.yaml",
        &format!(
            "channel: calm
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
destinations:
  calm:
    mllp: {{ connect: {} }}
",
            calm.address()
        ),
    );
    project
}

#[test]
fn a_flood_into_a_dead_destination_harms_nobody() {
    let calm = Sink::new();
    let (dead, listen) = (free_port(), free_port());
    let project = project(&calm, dead, listen);
    let node = project.up();
    let resident_before = node.resident_bytes();
    let flood = format!("127.0.0.1:{listen}");
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (flood, sent) = (flood.clone(), Arc::clone(&sent));
            thread::spawn(move || send(&flood, &format!("F{sender}"), &sent))
        })
        .collect();

    // Meanwhile the other channel relays, one message after the other.
    let flooding = Arc::new(AtomicBool::new(true));
    let (relaying, address) = (Arc::clone(&flooding), node.address("calm"));
    let relayed = thread::spawn(move || {
        let mut link = Link::open(&address);
        let mut times = Vec::new();
        while relaying.load(Ordering::Acquire) {
            let sample = Sample::new("CALM", 1, times.len() as u64 + 1);
            let asked = Instant::now();
            assert_eq!(link.ask(&sample.bytes()).code(), "AA");
            times.push(asked.elapsed());
            thread::sleep(Duration::from_millis(2));
        }
        times
    });

    let mut resident_most = resident_before;
    eventually("two thirds of the flood is in", || {
        resident_most = resident_most.max(node.resident_bytes());
        sent.load(Ordering::Acquire) as u64 >= MESSAGES * 2 / 3
    });
    flooding.store(false, Ordering::Release);
    let mut times = relayed.join().expect("the calm channel answers");
    calm.wait_for(times.len());
    times.sort_unstable();
    println!(
        "beside the flood: {} messages, p50 {:?}, p99 {:?}; resident {:?} MiB before, {:?} at most",
        times.len(),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        resident_before.map(|bytes| bytes >> 20),
        resident_most.map(|bytes| bytes >> 20),
    );

    // Killed in the middle of it: the senders go on with the next one.
    node.kill();
    let node = project.up();
    let samples: Vec<Sample> =
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender ends well")).collect();
    assert_eq!(samples.len() as u64, MESSAGES);
    let api = node.api();
    queued(&node);
    let resident_most = resident_most.max(node.resident_bytes());
    if let (Some(before), Some(most)) = (resident_before, resident_most) {
        assert!(most - before < GROWTH_BYTES_MAX, "{} MiB more", (most - before) >> 20);
    }
    api.proof();
    // And with all of the backlog there, part of it beyond what is tracked one by one.
    node.kill();
    let node = project.up();
    queued(&node);

    // It comes to life, and the node dies once more while the backlog drains.
    let alive = Sink::on(dead);
    alive.wait_for(MESSAGES as usize / 3);
    node.kill();
    alive.wait_disconnected();
    alive.next_run();
    let node = project.up();
    drained(&node, &alive, &samples);
    assert!(node.stop().success());
    project.prove();
}

/// Waits until the last messages have gone through the steps.
fn queued(node: &Pipehat) {
    let api = node.api();
    eventually("all of the flood is queued", || {
        api.channel("flood")["destinations"][0]["queued"] == MESSAGES
    });
}

fn drained(node: &Pipehat, alive: &Sink, samples: &[Sample]) {
    let api = node.api();
    eventually("the backlog is delivered", || api.counter("flood", "in_flight") == 0);
    let mut expected: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        expected.entry(sample.patient_id()).or_default().push(sample.clone());
    }
    let patient = |bytes: &[u8]| field(bytes, "PID-3.1");
    let again = check_lanes("dead", alive, &expected, patient, Sample::bytes);
    println!("delivered again after the last kill: {again}");
    let flood = api.channel("flood");
    assert_eq!(flood["counters"]["delivered"], MESSAGES);
    assert_eq!(flood["destinations"][0]["queued"], 0);
    api.proof();
}

/// Sends its part of the flood; what a kill leaves unanswered it sends again.
fn send(address: &str, name: &str, sent: &AtomicUsize) -> Vec<Sample> {
    let own = MESSAGES / SENDERS;
    let samples: Vec<Sample> = (0..own)
        .map(|number| Sample::new(name, number % PATIENTS, number / PATIENTS + 1))
        .collect();
    let mut acknowledged = 0;
    while acknowledged < samples.len() {
        let Ok(mut link) = Link::try_open(address) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut next = acknowledged;
        while acknowledged < samples.len() {
            let until = (acknowledged + WINDOW).min(samples.len());
            let new: Vec<Vec<u8>> = samples[next..until].iter().map(Sample::bytes).collect();
            if link.send(new.iter().map(Vec::as_slice)).is_err() {
                break;
            }
            next = until;
            let Ok(reply) = link.receive() else { break };
            assert_eq!(
                (reply.code().as_str(), reply.control_id()),
                ("AA", samples[acknowledged].control_id())
            );
            acknowledged += 1;
            sent.fetch_add(1, Ordering::AcqRel);
        }
    }
    samples
}
