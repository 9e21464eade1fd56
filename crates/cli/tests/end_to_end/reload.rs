//! Changes of the project directory while it runs: all of a change or nothing, and nobody who is
//! not concerned notices.

use serde_json::Value;

use crate::harness::{Link, Pipehat, Project, Sample, Sink, eventually, free_port, texts, until};

fn channel(project: &Project, name: &str, port: u16, steps: &str, destinations: &[(&str, &Sink)]) {
    let mut text = format!("channel: {name}\nsource: {{ mllp: {{ listen: 127.0.0.1:{port} }} }}\n");
    if !steps.is_empty() {
        text.push_str(&format!("steps: [ {steps} ]\n"));
    }
    if !destinations.is_empty() {
        text.push_str("destinations:\n");
    }
    for (name, sink) in destinations {
        text.push_str(&format!(
            "  {name}:\n    mllp: {{ connect: {} }}\n    retry: {{ first: 20ms, most: 100ms }}\n",
            sink.address()
        ));
    }
    project.write(&format!("channels/{name}.yaml"), &text);
}

fn revision(node: &Pipehat, name: &str) -> Value {
    node.api().channel(name)["revision"].clone()
}

fn connections(node: &Pipehat, name: &str) -> (Value, Value) {
    let channel = node.api().channel(name);
    (
        channel["health"]["connections_total"].clone(),
        channel["destinations"][0]["health"]["connections_total"].clone(),
    )
}

#[test]
fn changed_steps_take_effect_on_open_connections() {
    let sink = Sink::new();
    let (changing, other) = (free_port(), free_port());
    let project = Project::new();
    channel(&project, "changing", changing, "{ set: { MSH-5: ONE } }", &[("to", &sink)]);
    channel(&project, "other", other, "", &[("to", &sink)]);
    let node = project.up();
    let mut link = Link::open(&node.address("changing"));
    let mut aside = Link::open(&node.address("other"));
    assert_eq!(link.ask(&Sample::new("R", 1, 1).bytes()).code(), "AA");
    let first = sink.wait_for(1);
    assert!(String::from_utf8_lossy(&first[0]).contains("|WARD|ONE|"));
    assert_eq!(aside.ask(&Sample::new("O", 1, 1).bytes()).code(), "AA");
    sink.wait_for(2);
    let (before, aside_before) = (revision(&node, "changing"), revision(&node, "other"));
    let connected = (connections(&node, "changing"), connections(&node, "other"));

    channel(&project, "changing", changing, "{ set: { MSH-5: TWO } }", &[("to", &sink)]);
    eventually("the change takes effect", || revision(&node, "changing") != before);
    assert_eq!(link.ask(&Sample::new("R", 1, 2).bytes()).code(), "AA");
    assert_eq!(aside.ask(&Sample::new("O", 1, 2).bytes()).code(), "AA");
    let messages = sink.wait_for(4);
    let changed =
        messages.iter().find(|message| String::from_utf8_lossy(message).contains("|R-1-2|"));
    let changed = String::from_utf8_lossy(changed.expect("it arrives")).into_owned();
    assert!(changed.contains("|WARD|TWO|"), "{changed}");
    assert_eq!(revision(&node, "other"), aside_before);
    assert_eq!(
        (connections(&node, "changing"), connections(&node, "other")),
        connected,
        "the same connections in both channels, on both sides"
    );
}

#[test]
fn a_broken_file_changes_nothing() {
    let sink = Sink::new();
    let (port, new) = (free_port(), free_port());
    let project = Project::new();
    channel(&project, "adt", port, "{ set: { MSH-5: ONE } }", &[("to", &sink)]);
    let node = project.up();
    let mut link = Link::open(&node.address("adt"));
    assert_eq!(link.ask(&Sample::new("R", 1, 1).bytes()).code(), "AA");
    let before = revision(&node, "adt");

    // One sound change and one with a mistake: neither takes effect.
    channel(&project, "new", new, "", &[("to", &sink)]);
    channel(&project, "adt", port, "{ sett: { MSH-5: TWO } }", &[("to", &sink)]);
    let api = node.api();
    let refused = until("the change is refused", || {
        api.get("/api/v1/status")["refused_configuration"].as_str().map(str::to_owned)
    });
    assert!(refused.contains("channels/adt.yaml:3:"), "{refused}");
    assert!(refused.contains("`set`"), "a suggestion: {refused}");
    // Who reads the log alone knows where to look, too.
    let printed = project.printed();
    let line = printed.lines().find(|line| line.contains("changed configuration refused"));
    assert!(line.is_some_and(|line| line.contains("channels/adt.yaml:3:")), "{printed}");
    assert_eq!(revision(&node, "adt"), before);
    assert!(Link::try_open(&format!("127.0.0.1:{new}")).is_err(), "all or nothing");
    assert_eq!(link.ask(&Sample::new("R", 1, 2).bytes()).code(), "AA");
    let messages = sink.wait_for(2);
    assert!(String::from_utf8_lossy(&messages[1]).contains("|WARD|ONE|"));
    let (status, body) = api.call("POST", "/api/v1/apply", None);
    assert_eq!(status, 409, "{}", String::from_utf8_lossy(&body));

    channel(&project, "adt", port, "{ set: { MSH-5: TWO } }", &[("to", &sink)]);
    eventually("the mended change takes effect", || revision(&node, "adt") != before);
    assert_eq!(api.get("/api/v1/status")["refused_configuration"], Value::Null);
    assert_eq!(link.ask(&Sample::new("R", 1, 3).bytes()).code(), "AA");
    let messages = sink.wait_for(3);
    assert!(String::from_utf8_lossy(&messages[2]).contains("|WARD|TWO|"));
    Link::open(&format!("127.0.0.1:{new}"));
}

#[test]
fn channels_come_and_go() {
    let sink = Sink::new();
    let (kept, second) = (free_port(), free_port());
    let project = Project::new();
    channel(&project, "kept", kept, "", &[("to", &sink)]);
    let node = project.up();
    let mut link = Link::open(&node.address("kept"));
    link.ask(&Sample::new("K", 1, 1).bytes());

    channel(&project, "second", second, "", &[("to", &sink)]);
    let mut other = Link::open(&format!("127.0.0.1:{second}"));
    assert_eq!(other.ask(&Sample::new("S", 1, 1).bytes()).code(), "AA");
    sink.wait_for(2);

    project.remove("channels/second.yaml");
    eventually("nobody listens any more", || {
        Link::try_open(&format!("127.0.0.1:{second}")).is_err()
    });
    assert!(other.receive().is_err(), "the connection is closed");
    assert_eq!(link.ask(&Sample::new("K", 1, 2).bytes()).code(), "AA");

    // It comes back, and knows what it had.
    channel(&project, "second", second, "", &[("to", &sink)]);
    let mut other = Link::open(&format!("127.0.0.1:{second}"));
    assert_eq!(other.ask(&Sample::new("S", 1, 2).bytes()).code(), "AA");
    sink.wait_for(4);
    let api = node.api();
    eventually("all is delivered", || api.counter("second", "delivered") == 2);
    api.proof();
}

#[test]
fn a_port_moves_without_touching_the_destination() {
    let sink = Sink::new();
    let (old, new) = (free_port(), free_port());
    let project = Project::new();
    channel(&project, "adt", old, "", &[("to", &sink)]);
    let node = project.up();
    let mut link = Link::open(&format!("127.0.0.1:{old}"));
    link.ask(&Sample::new("R", 1, 1).bytes());
    sink.wait_for(1);
    let (_, to_sink) = connections(&node, "adt");

    channel(&project, "adt", new, "", &[("to", &sink)]);
    let mut moved = Link::open(&format!("127.0.0.1:{new}"));
    assert_eq!(moved.ask(&Sample::new("R", 1, 2).bytes()).code(), "AA");
    sink.wait_for(2);
    assert!(Link::try_open(&format!("127.0.0.1:{old}")).is_err());
    assert_eq!(connections(&node, "adt").1, to_sink);

    // Two channels swap their ports.
    channel(&project, "other", old, "{ set: { MSH-5: OTHER } }", &[("to", &sink)]);
    // Its port takes connections a little before it is shown.
    eventually("the other is there", || {
        let status = node.api().get("/api/v1/status");
        let channels = status["channels"].as_array().expect("the status lists channels");
        channels.iter().any(|channel| channel["name"] == "other")
    });
    let before = revision(&node, "other");
    channel(&project, "adt", old, "", &[("to", &sink)]);
    channel(&project, "other", new, "{ set: { MSH-5: OTHER } }", &[("to", &sink)]);
    eventually("they have swapped", || revision(&node, "other") != before);
    let mut other = Link::open(&format!("127.0.0.1:{new}"));
    assert_eq!(other.ask(&Sample::new("O", 1, 1).bytes()).code(), "AA");
    let messages = sink.wait_for(3);
    assert!(String::from_utf8_lossy(&messages[2]).contains("|OTHER|"));
}

#[test]
fn a_port_that_is_taken_is_refused_and_the_old_one_stays() {
    let sink = Sink::new();
    let port = free_port();
    let project = Project::new();
    channel(&project, "adt", port, "", &[("to", &sink)]);
    let node = project.up();
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = foreign.local_addr().expect("an address").port();
    channel(&project, "adt", taken, "", &[("to", &sink)]);
    let api = node.api();
    eventually("the change is refused", || {
        api.get("/api/v1/status")["refused_configuration"].is_string()
    });
    let mut link = Link::open(&format!("127.0.0.1:{port}"));
    assert_eq!(link.ask(&Sample::new("R", 1, 1).bytes()).code(), "AA");
    sink.wait_for(1);
}

#[test]
fn destinations_come_and_go_and_what_was_queued_for_one_is_parked() {
    let (first, second) = (Sink::new(), Sink::new());
    let dead = free_port();
    let port = free_port();
    let project = Project::new();
    channel(&project, "adt", port, "", &[("first", &first)]);
    let node = project.up();
    let api = node.api();
    let mut link = Link::open(&node.address("adt"));
    link.ask(&Sample::new("R", 1, 1).bytes());
    first.wait_for(1);

    channel(&project, "adt", port, "", &[("first", &first), ("second", &second)]);
    eventually("there are two destinations", || {
        api.channel("adt")["destinations"].as_array().is_some_and(|all| all.len() == 2)
    });
    link.ask(&Sample::new("R", 1, 2).bytes());
    assert_eq!(texts(&second.wait_for(1)), texts(&[Sample::new("R", 1, 2).bytes()]));
    first.wait_for(2);

    // A third, which is dead and then taken away with what waits for it.
    let text = std::fs::read_to_string(project.directory().join("channels/adt.yaml"));
    let text = text.expect("the file can be read");
    project.write(
        "channels/adt.yaml",
        &format!("{text}  third:\n    mllp: {{ connect: 127.0.0.1:{dead} }}\n"),
    );
    eventually("there are three destinations", || {
        api.channel("adt")["destinations"].as_array().is_some_and(|all| all.len() == 3)
    });
    for number in 3..=5 {
        assert_eq!(link.ask(&Sample::new("R", 1, number).bytes()).code(), "AA");
    }
    first.wait_for(5);
    assert_eq!(api.counter("adt", "in_flight"), 3);
    channel(&project, "adt", port, "", &[("first", &first)]);
    eventually("what was queued is parked", || api.counter("adt", "parked") == 3);
    assert_eq!(api.counter("adt", "in_flight"), 0);
    assert_eq!(link.ask(&Sample::new("R", 1, 6).bytes()).code(), "AA");
    first.wait_for(6);
    api.proof();
}
