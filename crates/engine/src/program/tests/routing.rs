//! Which destinations get what.

use bytes::Bytes;

use super::{message, outcome};
use crate::program::{ProgramInput, StepPlace, Tracer, Verdict};
use crate::project::testing::{TestEffects, channel, peer, run};

const THREE: &str = "destinations:
  lab:
    when: PV1-2 in [\"I\", \"E\"]
    mllp: { connect: 127.0.0.1:1 }
  billing:
    steps: [ { clear: PID-3 } ]
    mllp: { connect: 127.0.0.1:2 }
  archive:
    mllp: { connect: 127.0.0.1:3 }
";

#[test]
fn each_destination_gets_its_own() {
    assert_eq!(
        outcome(THREE, "PID|1||a\nPV1|1|I"),
        ["PID|1||a\nPV1|1|I", "1: PID|1||\nPV1|1|I", "2: PID|1||a\nPV1|1|I"]
    );
    assert_eq!(
        outcome(THREE, "PID|1||a\nPV1|1|O"),
        ["1: PID|1||\nPV1|1|O", "2: PID|1||a\nPV1|1|O"]
    );
}

#[test]
fn a_route_ends_the_steps_and_leaves_the_conditions_in_force() {
    let rest = format!(
        "steps:\n  - when: PID-8 = \"M\"\n    do:\n      - set: {{ PID-9: x }}\n      - route: [lab, archive]\n  - set: {{ PID-9: y }}\n{THREE}"
    );
    assert_eq!(outcome(&rest, "PID|1|||||||M\nPV1|1|O"), ["2: PID|1|||||||M|x\nPV1|1|O"]);
    assert_eq!(
        outcome(&rest, "PID|1|||||||F\nPV1|1|O"),
        ["1: PID|1|||||||F|y\nPV1|1|O", "2: PID|1|||||||F|y\nPV1|1|O"]
    );
}

#[test]
fn what_one_destination_filters_the_others_get() {
    let rest = "destinations:
  a:
    steps: [ { accept: PID-8 = \"F\" }, { set: { PID-9: a } } ]
    mllp: { connect: 127.0.0.1:1 }
  b:
    mllp: { connect: 127.0.0.1:2 }
";
    assert_eq!(outcome(rest, "PID|1|||||||M"), ["1: PID|1|||||||M"]);
    assert_eq!(outcome(rest, "PID|1|||||||F"), ["PID|1|||||||F|a", "1: PID|1|||||||F"]);
}

#[test]
fn no_destination_or_none_that_wants_it_gives_no_output() {
    assert_eq!(outcome("", "PID|1"), Vec::<String>::new());
    let rest = "destinations:\n  a:\n    when: ZZZ exists\n    mllp: { connect: 127.0.0.1:1 }\n";
    assert_eq!(outcome(rest, "PID|1"), Vec::<String>::new());
}

#[test]
fn parked_and_rejected_end_everything() {
    let rest = format!("steps:\n  - park: a person has to look\n    when: ZZZ exists\n{THREE}");
    assert_eq!(
        outcome(&rest, "ZZZ|1"),
        ["parked program.park steps[1].park: a person has to look"]
    );
    let rest = format!(
        "steps:\n  - reject: {{ code: AR, text: not here }}\n    when: ZZZ exists\n{THREE}"
    );
    assert_eq!(outcome(&rest, "ZZZ|1"), ["rejected AR not here"]);
}

#[test]
fn what_no_step_touched_is_shared_and_not_copied() {
    let spec = channel(THREE);
    let received = message("PID|1||a\nPV1|1|I");
    let Verdict::Routed { outputs, .. } = run(&spec, &received) else { panic!("routed") };
    let shared: Vec<bool> =
        outputs.iter().map(|output| output.bytes.as_ptr() == received.as_ptr()).collect();
    assert_eq!(shared, [true, false, true]);
    let edited = channel(&format!("steps: [ {{ set: {{ PID-9: x }} }} ]\n{THREE}"));
    let Verdict::Routed { outputs, .. } = run(&edited, &received) else { panic!("routed") };
    let [first, _, third] = outputs.as_slice() else { panic!("three") };
    assert_eq!(first.bytes.as_ptr(), third.bytes.as_ptr());
}

#[test]
fn lanes_are_of_values_and_not_of_paths() {
    let keys = |order: &str, lines: &str| {
        channel(&format!("order: {order}\n")).program.lane_keys(&message(lines), 7)
    };
    let a = keys("by PID-3.1", "PID|1||a");
    let b = keys("by PID-3.1", "PID|1||b");
    assert_ne!(a, b);
    assert_eq!(a, keys("by PID-3.1, MRG-1.1", "PID|1||a"));
    let mut both = [a.clone(), b].concat();
    both.sort_unstable();
    assert_eq!(keys("by PID-3.1, MRG-1.1", "PID|1||a\nMRG|b"), both);
    assert_eq!(keys("by PID-3.1, MRG-1.1", "PID|1||a\nMRG|a"), a);
    assert_eq!(keys("by PID-3[*].1", "PID|1||a~b"), both);
    assert_eq!(keys("none", "PID|1||a"), [] as [u64; 0]);
    assert_eq!(keys("strict", "PID|1||a"), keys("by PID-3.1", "PID|1||"));
    assert_eq!(keys("by PID-3.1", "PID|1||\"\"").len(), 1);
    let other_seed = channel("order: by PID-3.1\n").program.lane_keys(&message("PID|1||a"), 8);
    assert_ne!(other_seed, a);
    let unreadable = channel("order: by PID-3.1\n").program.lane_keys(&Bytes::from_static(b"x"), 7);
    assert_eq!(unreadable, keys("strict", ""));
}

#[derive(Default)]
struct Steps(Vec<(String, String)>);

impl Tracer for Steps {
    fn step(&mut self, at: &StepPlace, bytes: &[u8]) {
        let last = bytes.split(|byte| *byte == b'\r').rfind(|line| !line.is_empty());
        let last = String::from_utf8_lossy(last.unwrap_or_default()).into_owned();
        self.0.push((at.step().to_owned(), last));
    }
}

#[test]
fn a_trace_tells_every_step_and_what_it_left() {
    let rest = format!(
        "steps:\n  - set: {{ PID-2: x }}\n  - when: PID-2 = \"x\"\n    do: [ {{ clear: PID-3 }} ]\n{THREE}"
    );
    let spec = channel(&rest);
    let (bytes, peer) = (message("PID|1||a"), peer());
    let input = ProgramInput { bytes: &bytes, channel: "test", peer: &peer };
    let mut steps = Steps::default();
    let traced = spec.program.trace(&input, &mut TestEffects::default(), &mut steps);
    assert_eq!(traced, spec.program.run(&input, &mut TestEffects::default()));
    let expected = [
        ("steps[1].set", "PID|1|x|a"),
        ("steps[2].do[1].clear", "PID|1|x|"),
        ("destinations.billing.steps[1].clear", "PID|1|x|"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(at, left)| ((*at).to_owned(), (*left).to_owned())).collect();
    assert_eq!(steps.0, expected);
}

#[test]
fn a_large_message_has_the_lanes_that_a_small_one_has() {
    let keys = |order: &str, lines: String| {
        channel(&format!("order: {order}\n")).program.lane_keys(&message(&lines), 7)
    };
    let few = "PID|1||a~b\rOBX|1|x\rMRG|c";
    let padding = "OBX|2|ED|DOC||aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r".repeat(50_000);
    let long = format!("NTE|1|{}\r", "a".repeat(200_000));
    for order in ["by PID-3[*].1, MRG-1.1", "by PID-3.1", "by OBX-2", "by PV1-1"] {
        let expected = keys(order, few.to_owned());
        for more in [padding.clone(), format!("{long}{padding}")] {
            assert_eq!(keys(order, format!("{few}\r{more}")), expected, "{order}");
        }
    }
    // A segment too long to be kept, and too many of a name: then all of it is read.
    let expected = keys("by NTE-3", "NTE|1||d".to_owned());
    assert_eq!(keys("by NTE-3", format!("NTE|1|{}|d\r{padding}", "a".repeat(200_000))), expected);
    let expected = keys("by OBX(last)-2", "OBX|1|e".to_owned());
    assert_eq!(keys("by OBX(last)-2", format!("{padding}OBX|1|e")), expected);
}
