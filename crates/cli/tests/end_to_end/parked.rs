//! What was set aside: released, discarded, sent again through the API; and a lane that stands
//! still until a person decides (promise 4: nothing leaves by itself).

use serde_json::{Value, json};

use crate::harness::{Api, Link, Project, Sample, Sink, eventually, gender_table, texts, until};

/// Parks A03 by a step, and whatever has a sex that the table does not know by a failure.
fn project(sink: &Sink, on_failure: &str) -> Project {
    let project = Project::new();
    project.write("tables/gender.csv", gender_table());
    project.write(
        "channels/lab.yaml",
        &format!(
            "channel: lab
source: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
order: by PID-3.1
on_failure: {on_failure}
steps:
  - park: somebody has to look at it
    when: MSH-9.2 = \"A03\"
  - map: {{ field: PID-8, table: gender, otherwise: park }}
destinations:
  lab:
    mllp: {{ connect: {} }}
",
            sink.address()
        ),
    );
    project
}

fn found(api: &Api, sample: &Sample) -> Value {
    until("the index has the message", || {
        api.search(&json!({ "control_id": sample.control_id() })).into_iter().next()
    })
}

fn decide(api: &Api, message: &Value, decision: &str) -> (u16, Value) {
    let path = format!("/api/v1/messages/{}/{decision}", message["id"]);
    let body = json!({ "reason": "a test decides", "by": "a.tester" });
    let (status, answer) = api.call("POST", &path, Some(&body));
    (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

#[test]
fn a_parked_message_waits_for_a_person_and_survives_a_kill() {
    let sink = Sink::new();
    let project = project(&sink, "park");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let (mut released, mut discarded) = (Sample::new("P", 1, 1), Sample::new("P", 1, 2));
    let last = Sample::new("P", 1, 3);
    released.trigger = "A03";
    discarded.trigger = "A03";
    for sample in [&released, &discarded, &last] {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "parked"), 2);
    node.kill();

    let node = project.up();
    let api = node.api();
    assert_eq!(api.counter("lab", "parked"), 2);
    let (status, _) = decide(&api, &found(&api, &last), "release");
    assert_eq!(status, 409, "what was delivered is not parked");
    let (status, answer) = decide(&api, &found(&api, &discarded), "discard");
    assert_eq!((status, &answer["count"]), (200, &json!(1)));
    let (status, _) = decide(&api, &found(&api, &discarded), "discard");
    assert_eq!(status, 409, "a message is discarded once");

    // The step is taken away: released, it goes through the steps as they are now.
    let file = "channels/lab.yaml";
    let text = std::fs::read_to_string(project.directory().join(file)).expect("the file");
    project.write(file, &text.replace("MSH-9.2 = \"A03\"", "MSH-9.2 = \"A99\""));
    api.post("/api/v1/apply", &Value::Null);
    let (status, answer) = decide(&api, &found(&api, &released), "release");
    assert_eq!((status, &answer["count"]), (200, &json!(1)));
    let messages = sink.wait_for(2);
    assert!(String::from_utf8_lossy(&messages[1]).contains(&released.control_id()));
    eventually("it is settled", || api.counter("lab", "delivered") == 2);
    assert_eq!(api.counter("lab", "superseded"), 1);
    assert_eq!(api.counter("lab", "parked"), 0);
    api.proof();

    let (status, answer) = decide(&api, &found(&api, &last), "resend");
    assert_eq!((status, &answer["count"]), (200, &json!(1)));
    let messages = sink.wait_for(3);
    assert_eq!(
        texts(&messages[2..]),
        texts(&messages[..1]),
        "sent again: the same bytes and control id"
    );
    eventually("it is settled", || api.counter("lab", "delivered") == 2);
    api.proof();

    // Every decision stands with the message, with who and why.
    let shown = api.get(&format!("/api/v1/messages/{}", found(&api, &released)["id"]));
    let stages = shown["stages"].as_array().expect("stages");
    let decision = stages.iter().find(|stage| stage["stage"] == "decided").expect("a decision");
    let what = decision["what"].as_str().expect("a sentence");
    assert!(what.contains("a.tester") && what.contains("a test decides"), "{what}");
}

#[test]
fn one_that_is_not_parked_does_not_keep_the_others_from_being_released() {
    let sink = Sink::new();
    let project = project(&sink, "park");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let sample = |number: u64, trigger| {
        let mut sample = Sample::new("P", 1, number);
        sample.trigger = trigger;
        sample
    };
    let samples = [sample(1, "A01"), sample(2, "A03"), sample(3, "A01"), sample(4, "A03")];
    for sample in &samples {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    let ids = samples.each_ref().map(|sample| found(&api, sample)["id"].to_string());
    let decide = |decision: &str, ids: &[&str]| {
        let command = [&["messages", decision, "--reason", "a test decides"], ids].concat();
        let output = project.run(&command);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let [first, second, third, fourth] = ids.each_ref().map(String::as_str);
    let (code, said) = decide("discard", &[first, second, third, fourth]);
    assert_eq!(code, Some(3), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            format!("error: message {first} is not parked"),
            format!("message {second}: discarded"),
            format!("error: message {third} is not parked"),
            format!("message {fourth}: discarded"),
        ]
    );
    assert_eq!(api.counter("lab", "superseded"), 2);
    assert_eq!(decide("resend", &[first]), (Some(0), format!("message {first}: sent again\n")));
    sink.wait_for(3);
    eventually("it is settled", || api.counter("lab", "delivered") == 2);
    api.proof();
}

#[test]
fn two_who_decide_at_once_do_it_once() {
    let sink = Sink::new();
    let project = project(&sink, "park");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let samples: Vec<Sample> = (1..=20).map(|number| Sample::new("T", number, 1)).collect();
    for sample in &samples {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let api = node.api();
    eventually("all is settled", || api.counter("lab", "delivered") == 20);
    let messages: Vec<Value> = samples.iter().map(|sample| found(&api, sample)).collect();
    let mut opened = 0;
    for message in &messages {
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let both: Vec<_> =
                (0..4).map(|_| scope.spawn(|| decide(&api, message, "resend").0)).collect();
            both.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert!(answers.iter().all(|status| [200, 409].contains(status)), "{answers:?}");
        opened += answers.iter().filter(|status| **status == 200).count();
    }
    assert!(opened >= messages.len());
    sink.wait_for(20 + opened);
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(sink.count(), 20 + opened, "as often as was decided");
    api.proof();
    // The lanes still move.
    for sample in &samples {
        let next = Sample { number: 2, ..sample.clone() };
        assert_eq!(link.ask(&next.bytes()).code(), "AA");
    }
    sink.wait_for(40 + opened);
}

#[test]
fn a_failing_message_holds_its_lane_until_a_person_decides() {
    let sink = Sink::new();
    let project = project(&sink, "stop");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let unknown = |sample: &Sample| {
        let text = String::from_utf8(sample.bytes()).expect("ASCII");
        text.replace("|19700101|M", "|19700101|X").into_bytes()
    };
    let held: Vec<Sample> = (1..=3).map(|number| Sample::new("H", 2, number)).collect();
    let other = Sample::new("H", 4, 1);
    link.ask(&unknown(&held[0]));
    link.ask(&held[1].bytes());
    link.ask(&unknown(&held[2]));
    link.ask(&other.bytes());
    let first = sink.wait_for(1);
    assert!(String::from_utf8_lossy(&first[0]).contains(&other.control_id()), "others go on");
    let api = node.api();
    eventually("the message holds its lane", || {
        api.channel("lab")["blocked"].as_array().is_some_and(|blocked| blocked.len() == 1)
    });
    eventually("the other is settled", || api.counter("lab", "in_flight") == 3);
    api.proof();
    node.kill();

    let node = project.up();
    let api = node.api();
    eventually("the message holds its lane again", || {
        api.channel("lab")["blocked"].as_array().is_some_and(|blocked| blocked.len() == 1)
    });
    assert_eq!(sink.count(), 1);
    let (status, _) = decide(&api, &found(&api, &held[0]), "discard");
    assert_eq!(status, 200);
    let messages = sink.wait_for(2);
    assert!(String::from_utf8_lossy(&messages[1]).contains(&held[1].control_id()));
    eventually("the next one holds the lane", || {
        api.channel("lab")["blocked"][0][0] == found(&api, &held[2])["id"]
    });

    // Mended: the table knows the code now, and a release tries again.
    project.write("tables/gender.csv", "from,to\nM,male\nF,female\nX,other\n");
    api.post("/api/v1/apply", &Value::Null);
    let (status, _) = decide(&api, &found(&api, &held[2]), "release");
    assert_eq!(status, 200);
    let messages = sink.wait_for(3);
    assert!(String::from_utf8_lossy(&messages[2]).contains("|19700101|other"));
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "superseded"), 1);
    api.proof();
}

#[test]
fn a_filtered_message_is_no_failure() {
    let sink = Sink::new();
    let project = project(&sink, "stop");
    let file = "channels/lab.yaml";
    let text = std::fs::read_to_string(project.directory().join(file)).expect("the file");
    project.write(file, &format!("{text}accept: MSH-9.2 != \"A28\"\n"));
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    let (mut filtered, next) = (Sample::new("F", 1, 1), Sample::new("F", 1, 2));
    filtered.trigger = "A28";
    for sample in [&filtered, &next] {
        assert_eq!(link.ask(&sample.bytes()).code(), "AA");
    }
    let messages = sink.wait_for(1);
    assert!(String::from_utf8_lossy(&messages[0]).contains(&next.control_id()));
    let api = node.api();
    eventually("all is settled", || api.counter("lab", "in_flight") == 0);
    assert_eq!(api.counter("lab", "filtered"), 1);
    api.proof();
}
