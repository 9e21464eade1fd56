//! Learning a profile from what a channel received, and validating by one.

use crate::harness::{Link, Project, eventually};

fn result(number: u64, sex: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LIS|LAB2|HIS|GENERAL|20260102030405||ORU^R01^ORU_R01|R{number}|P|2.5.1\r\
         PID|1||P{number}^^^LAB^MR||Doe^Jo||19700101|{sex}\r\
         OBR|1|O{number}|F{number}|GLU^Glucose^L|||20260102||||||||||||||||||F\r\
         OBX|1|NM|GLU^Glucose^L||{number}|mmol/l|||||F\r\
         ZLB|1|A{number}\r"
    )
    .into_bytes()
}

#[test]
fn a_profile_is_learned_from_a_channel_whether_or_not_pipehat_runs() {
    let project = Project::new();
    project.write("channels/lab.yaml", "channel: lab\nsource: { mllp: { listen: 127.0.0.1:0 } }\n");
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    for number in 1..=12 {
        assert_eq!(link.ask(&result(number, "F")).code(), "AA");
    }
    let learn = || {
        let output = project.run(&["profile", "learn", "--channel", "lab"]);
        String::from_utf8(output.stdout).expect("text")
    };
    // The index follows the journal.
    eventually("all messages are found", || learn().contains("messages: 12\n"));
    let running = learn();
    assert!(running.contains("ZLB: { usage: R, cardinality: 1..1, after: [OBX] }"), "{running}");
    let long_ago = ["profile", "learn", "--channel", "lab", "--until", "2020-01-01T00:00:00Z"];
    let none = project.run(&long_ago);
    assert_eq!(none.status.code(), Some(3), "nothing was received then");
    node.stop();
    assert_eq!(learn(), running, "the journal says the same");
}

#[test]
fn a_sender_is_told_where_a_message_departs_from_the_profile() {
    let project = Project::new();
    project.write(
        "channels/lab.yaml",
        "channel: lab
source: { mllp: { listen: 127.0.0.1:0 } }
reply: processed
steps:
  - validate: { profile: lab2, on_error: reject }
",
    );
    project.write(
        "profiles/lab2.yaml",
        "profile: lab2\nversion: 2.5.1\nfields: { PID-8: { usage: R, values: [F, M] } }\n",
    );
    let node = project.up();
    let mut link = Link::open(&node.address("lab"));
    assert_eq!(link.ask(&result(1, "F")).code(), "AA");
    let refused = link.ask(&result(2, "X"));
    assert_eq!(refused.code(), "AE");
    // A changed profile is a changed channel.
    project.write(
        "profiles/lab2.yaml",
        "profile: lab2\nversion: 2.5.1\nfields: { PID-8: { usage: R, values: [F, M, X] } }\n",
    );
    let mut number = 2;
    eventually("the changed profile counts", || {
        number += 1;
        link.ask(&result(number, "X")).code() == "AA"
    });
}
