//! Many senders tell of many patients at the same time, and the node is killed in between: there is one Patient for each
//! person, merges are right, and the order of each person is kept.
//!
//! `PIPEHAT_TEST_PATIENTS=500 cargo test --release -p pipehat-cli --test end_to_end identity_stress -- --nocapture` is the
//! long run; it prints figures.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Api, Connection, Link, Project, Random, eventually, free_port};
use crate::workflows::files;

const SENDERS: usize = 32;

/// How many messages a sender has under way, which only Pipehat keeps in order.
const AT_ONCE: usize = 6;

/// What a message of a person does.
#[derive(Debug, Clone)]
struct Told {
    person: usize,
    event: &'static str,
    /// PID-3.1
    number: String,
    /// MRG-1.1
    retired: Option<String>,
    family: String,
    /// EVN-2, as seconds behind a fixed day's start.
    second: u32,
    control_id: String,
}

impl Told {
    fn bytes(&self) -> Vec<u8> {
        let Self { event, number, family, second, control_id, .. } = self;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let time = format!("20260105{hour:02}{minute:02}{second:02}+0100");
        let visit = match event {
            &"A40" => String::new(),
            _ => format!("PV1|1|I|2W||||||||||||||||V{number}^^^NORTH^VN\r"),
        };
        let merge = self.retired.as_ref().map(|retired| format!("MRG|{retired}^^^NORTH^MR\r"));
        format!(
            "MSH|^~\\&|ADT|NORTH|PIPEHAT|NORTH|{time}||ADT^{event}|{control_id}|P|2.5.1\r\
             EVN|{event}|{time}\r\
             PID|1||{number}^^^NORTH^MR||{family}^Test||19800101|F\r{visit}{}",
            merge.unwrap_or_default()
        )
        .into_bytes()
    }
}

/// What has to be known of a person in the end.
struct Person {
    /// The number that remains, first, and those that were retired.
    numbers: Vec<String>,
    family: String,
    /// The names in the order in which they were told, where one sender tells all of them.
    told: Option<Vec<String>>,
}

/// The messages of each sender in their order, and what is to come of them.
///
/// Every second person is told by one sender, all at the same time of day: there only their order says which is the
/// latest. The others are told by all senders, in no order at all: there the time of the event does.
fn plan(patients: usize, random: &mut Random) -> (Vec<Vec<Told>>, Vec<Person>) {
    let mut senders: Vec<Vec<Told>> = vec![Vec::new(); SENDERS];
    let mut people = Vec::new();
    let mut count = 0_u32;
    let mut told = |person, event, number: &str, retired: Option<&str>, family: &str, second| {
        count += 1;
        Told {
            person,
            event,
            number: number.to_owned(),
            retired: retired.map(str::to_owned),
            family: family.to_owned(),
            second,
            control_id: format!("S{count}"),
        }
    };
    for person in 0..patients {
        let number = format!("{person}-0");
        let retired: Vec<String> =
            (1..=random.below(3)).map(|nth| format!("{person}-{nth}")).collect();
        let is_ordered = person % 2 == 0;
        let mut messages = Vec::new();
        let mut second = 100;
        let mut next_second = || {
            if !is_ordered {
                second += 7;
            }
            second
        };
        let mut names = Vec::new();
        for retired in &retired {
            let family = format!("Retired{retired}");
            messages.push(told(person, "A01", retired, None, &family, next_second()));
            messages.push(told(person, "A08", retired, None, &family, next_second()));
        }
        for nth in 0..3 {
            let event = if nth == 0 { "A01" } else { "A08" };
            names.push(format!("Name{person}x{nth}"));
            messages.push(told(person, event, &number, None, &names[nth], next_second()));
        }
        for retired in &retired {
            names.push(format!("Merged{retired}"));
            let family = names.last().expect("it was pushed");
            messages.push(told(person, "A40", &number, Some(retired), family, next_second()));
        }
        names.push(format!("Last{person}"));
        messages.push(told(person, "A08", &number, None, &names[names.len() - 1], next_second()));
        people.push(Person {
            numbers: std::iter::once(number).chain(retired).collect(),
            family: names[names.len() - 1].clone(),
            told: is_ordered.then_some(names),
        });
        let sender = person / 2 % SENDERS;
        for message in messages {
            let to = if is_ordered { sender } else { random.below(SENDERS as u64) as usize };
            senders[to].push(message);
        }
    }
    for messages in &mut senders {
        interleave(messages, random);
    }
    (senders, people)
}

/// Mixes the messages of persons; those of one person who is told by one sender stay in their order.
fn interleave(messages: &mut Vec<Told>, random: &mut Random) {
    let mut by_person: Vec<Vec<Told>> = Vec::new();
    for message in std::mem::take(messages) {
        match by_person.iter_mut().find(|known| known[0].person == message.person) {
            Some(known) if message.person % 2 == 0 => known.push(message),
            _ => by_person.push(vec![message]),
        }
    }
    for queue in &mut by_person {
        queue.reverse();
    }
    while !by_person.is_empty() {
        let at = random.below(by_person.len() as u64) as usize;
        messages.extend(by_person[at].pop());
        if by_person[at].is_empty() {
            by_person.swap_remove(at);
        }
    }
}

/// The example, listening at a port of ours.
fn example(port: u16) -> Project {
    let project = Project::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/identity");
    for name in ["pipehat.yaml", "channels", "bots", "tables"] {
        for path in files(&folder.join(name)) {
            let text = fs::read_to_string(&path).expect("the example can be read");
            let text =
                text.replace("${PIPEHAT_LISTEN:-127.0.0.1:2575}", &format!("127.0.0.1:{port}"));
            let name = path.strip_prefix(&folder).expect("it is in the folder");
            project.write(&name.to_string_lossy(), &text);
        }
    }
    project
}

/// Sends messages without waiting for one another's answers, until each is answered with AA: those whose answers were lost
/// are sent again as they are.
fn send(link: &mut Option<Link>, address: &str, messages: &[Told], gone: &AtomicBool) {
    let mut open: Vec<(&str, Vec<u8>)> =
        messages.iter().map(|told| (told.control_id.as_str(), told.bytes())).collect();
    while !open.is_empty() {
        let Some(connected) = link.as_mut() else {
            match Link::try_open(address) {
                Ok(opened) => *link = Some(opened),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
            continue;
        };
        let mut sent = connected.send(open.iter().map(|(_, bytes)| bytes.as_slice()));
        for _ in 0..open.len() {
            let reply = match sent.and_then(|()| connected.receive()) {
                Ok(reply) => reply,
                Err(error) => {
                    sent = Err(error);
                    break;
                }
            };
            sent = Ok(());
            // A node that is killed, or starts, may take nothing.
            let is_refused = gone.load(Ordering::Acquire) && reply.code() == "AR";
            assert!(reply.code() == "AA" || is_refused, "{reply:?}");
            open.retain(|(control_id, _)| is_refused || *control_id != reply.control_id());
        }
        if sent.is_err() {
            *link = None;
        }
    }
}

#[test]
fn thirty_two_senders_make_one_patient_of_each_person() {
    let patients = std::env::var("PIPEHAT_TEST_PATIENTS");
    let patients = patients.map_or(24, |text| text.parse().expect("a number of patients"));
    let mut random = Random::new(0x1D);
    let (senders, people) = plan(patients, &mut random);
    let total: usize = senders.iter().map(Vec::len).sum();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let project = example(port);
    let node = Mutex::new(Some(project.up()));
    let (done, gone) = (AtomicUsize::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let latencies: Mutex<Vec<Duration>> = Mutex::default();
    let (address, done, gone, latencies) = (&address, &done, &gone, &latencies);
    thread::scope(|scope| {
        for messages in &senders {
            scope.spawn(move || {
                let mut link = None;
                for messages in messages.chunks(AT_ONCE) {
                    let begun = Instant::now();
                    send(&mut link, address, messages, gone);
                    latencies.lock().expect("nobody panicked").push(begun.elapsed());
                    done.fetch_add(messages.len(), Ordering::AcqRel);
                }
            });
        }
        while done.load(Ordering::Acquire) < total / 2 {
            thread::sleep(Duration::from_millis(1));
        }
        gone.store(true, Ordering::Release);
        let mut node = node.lock().expect("nobody panicked");
        node.take().expect("it runs").kill();
        *node = Some(project.up());
    });
    let took = started.elapsed();
    let node = node.into_inner().expect("nobody panicked").expect("it runs");
    let api = node.api();
    eventually("all is processed", || {
        let counter = |name| api.counter("admissions", name);
        counter("received")
            == counter("delivered")
                + counter("superseded")
                + counter("filtered")
                + counter("parked")
    });
    assert_eq!(api.counter("admissions", "parked"), 0, "nobody has to look at anything");
    assert_eq!(
        api.counter("admissions", "delivered"),
        u64::try_from(total).expect("it fits"),
        "each once"
    );
    check(&api, &people);
    let mut latencies = latencies.lock().expect("nobody panicked").clone();
    latencies.sort_unstable();
    println!(
        "{total} messages about {patients} patients from {SENDERS} senders in {took:.1?}, {:.0}/s, killed once; \
         {AT_ONCE} at a time answered within p50 {:.0?}, p99 {:.0?}, max {:.0?}",
        total as f64 / took.as_secs_f64(),
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
        latencies[latencies.len() - 1],
    );
    api.proof();
    assert!(node.stop().success());
    project.prove();
}

fn check(api: &Api, people: &[Person]) {
    let mut connection = Connection::open(api.authority(), &format!("Bearer {}", api.token()))
        .expect("the API listens");
    let mut get = |path: &str| -> Value {
        let answered = connection.call("GET", path, &[], None).expect("it answers");
        assert_eq!(answered.status, 200, "{path}");
        answered.json()
    };
    let mut found = |search: &str| -> Vec<Value> {
        let bundle = get(&format!("/fhir/R4/{search}&_count=1000"));
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect()
    };
    let mut survivors = BTreeSet::new();
    for person in people {
        let (kept, retired) = person.numbers.split_first().expect("everybody has a number");
        for number in &person.numbers {
            let patients =
                found(&format!("Patient?identifier=urn:oid:1.2.36.1.1%7C{number}&active=true"));
            let [patient] = patients.as_slice() else {
                panic!("{} patients of {number}", patients.len())
            };
            survivors.insert(patient["id"].as_str().expect("an id").to_owned());
            let identifiers = patient["identifier"].as_array().expect("identifiers");
            assert_eq!(identifiers.len(), person.numbers.len(), "all numbers of {kept}, each once");
            for identifier in identifiers {
                let is_old = identifier["use"] == "old";
                assert_eq!(is_old, identifier["value"] != kept.as_str(), "{identifier}");
            }
            assert_eq!(
                patient["name"][0]["family"],
                person.family.as_str(),
                "the latest name of {kept}"
            );
            // Those that were merged lead here, and are not active.
            for other in
                found(&format!("Patient?identifier=urn:oid:1.2.36.1.1%7C{number}&active=false"))
            {
                let to = format!("Patient/{}", patient["id"].as_str().expect("an id"));
                assert_eq!(other["link"][0]["type"], "replaced-by");
                assert_eq!(other["link"][0]["other"]["reference"], to.as_str());
                assert!(retired.contains(number), "{number} was retired");
            }
            let visits = found(&format!("Encounter?identifier=urn:oid:1.2.36.1.1%7CV{number}"));
            let [visit] = visits.as_slice() else { panic!("{} visits V{number}", visits.len()) };
            let subject = format!("Patient/{}", patient["id"].as_str().expect("an id"));
            assert_eq!(visit["subject"]["reference"], subject.as_str(), "the visit V{number}");
        }
        let Some(told) = &person.told else { continue };
        let patients =
            found(&format!("Patient?identifier=urn:oid:1.2.36.1.1%7C{kept}&active=true"));
        let id = patients[0]["id"].as_str().expect("an id");
        let mut names: Vec<String> = found(&format!("Patient/{id}/_history?_sort=_lastUpdated"))
            .iter()
            .map(|version| version["name"][0]["family"].as_str().expect("a name").to_owned())
            .collect();
        if names.first() != told.first() {
            names.reverse();
        }
        names.dedup();
        assert_eq!(&names, told, "the names of {kept} in their order");
    }
    assert_eq!(survivors.len(), people.len(), "one patient for each person");
    assert_eq!(found("Patient?active=true").len(), people.len(), "and no other");
}
