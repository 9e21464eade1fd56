//! Every limit: what is just allowed, and what is one too many.

use bytes::Bytes;

use super::{DESTINATION, message, told};
use crate::program::ProgramInput;
use crate::program::run::RunLimits;
use crate::project::testing::{TestEffects, channel, files, load, peer};

/// The codes of what is wrong with a channel.
fn codes(rest: &str) -> Vec<&'static str> {
    load(&files(rest)).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[track_caller]
fn check(allowed: &str, refused: &str, code: &str) {
    assert_eq!(codes(allowed), [] as [&str; 0]);
    assert_eq!(codes(refused), [code]);
}

#[test]
fn steps_are_counted() {
    let steps = |count: usize| format!("steps:\n{}", "  - clear: PID-3\n".repeat(count));
    check(&steps(2_000), &steps(2_001), "channel.too-many-steps");
}

#[test]
fn steps_nest_so_deep() {
    let steps = |depth: usize| {
        let open = "[ { when: PID exists, do: ".repeat(depth);
        let close = " } ]".repeat(depth);
        format!("steps: {open}[ {{ clear: PID-3 }} ]{close}\n")
    };
    check(&steps(16), &steps(17), "channel.too-deep");
}

#[test]
fn each_nests_so_deep() {
    let steps = |depth: usize| {
        let open: String = (0..depth).map(|depth| format!("[ {{ each: ZZ{depth}, do: ")).collect();
        let close = " } ]".repeat(depth);
        format!("steps: {open}[ {{ clear: PID-3 }} ]{close}\n")
    };
    check(&steps(4), &steps(5), "channel.too-deep");
}

#[test]
fn destinations_and_index_paths_are_counted() {
    let destinations = |count: usize| {
        let one = |number| format!("  d{number}: {{ mllp: {{ connect: 127.0.0.1:1 }} }}\n");
        format!("destinations:\n{}", (0..count).map(one).collect::<String>())
    };
    check(&destinations(256), &destinations(257), "channel.destinations");
    let index = |count: usize| {
        let one = |number| format!("  p{number}: PID-3.1\n");
        format!("index:\n{}", (0..count).map(one).collect::<String>())
    };
    check(&index(16), &index(17), "channel.index");
}

#[test]
fn patterns_take_so_much_memory() {
    check(
        "accept: 'PID-3 matches \"[a-z]{10}\"'\n",
        "accept: 'PID-3 matches \"(\\w{200}){200}\"'\n",
        "channel.expression",
    );
}

/// How a message ends under other limits.
fn under(limits: RunLimits, steps: &str, lines: &str) -> Vec<String> {
    let spec = channel(&format!("steps:\n{steps}\n{DESTINATION}"));
    let mut program = spec.program.clone();
    program.limits = limits;
    let (bytes, peer): (Bytes, _) = (message(lines), peer());
    let input = ProgramInput { bytes: &bytes, channel: "test", peer: &peer };
    told(program.run(&input, &mut TestEffects::default()))
}

#[test]
fn outputs_are_counted() {
    let limits = RunLimits { outputs_max: 3, ..RunLimits::DEFAULT };
    let split = "  - split: { each: FT1 }";
    assert_eq!(under(limits, split, "FT1|1\nFT1|2\nFT1|3").len(), 3);
    assert_eq!(
        under(limits, split, "FT1|1\nFT1|2\nFT1|3\nFT1|4"),
        ["parked program.too-many-outputs steps[1].split: it would become more than 3 messages"]
    );
    let twice = "  - split: { each: FT1 }\n  - split: { each: OBX }";
    assert_eq!(
        under(limits, twice, "FT1|1\nOBX|1\nOBX|2\nFT1|2\nOBX|1\nOBX|2"),
        ["parked program.too-many-outputs destinations.out: it would become more than 3 messages"]
    );
}

#[test]
fn bytes_of_outputs_are_counted() {
    // Two parts of 75 bytes, their control ids included.
    let part = message("FT1|1").len() + "NEW1".len() - "C1".len();
    let both = RunLimits { output_bytes_max: 2 * part, ..RunLimits::DEFAULT };
    let split = "  - split: { each: FT1 }";
    assert_eq!(under(both, split, "FT1|1\nFT1|2").len(), 2);
    let less = RunLimits { output_bytes_max: 2 * part - 1, ..RunLimits::DEFAULT };
    let ended = under(less, split, "FT1|1\nFT1|2");
    assert!(ended.concat().starts_with("parked program.outputs-too-large"), "{ended:?}");
}

#[test]
fn the_work_of_each_is_bounded() {
    let bytes = message("OBX|1\nOBX|2").len() as u64;
    let each = "  - each: OBX\n    do: [ { set: { OBX-2: x } } ]";
    let enough = RunLimits { each_work_max: 2 * bytes, ..RunLimits::DEFAULT };
    assert_eq!(under(enough, each, "OBX|1\nOBX|2"), ["OBX|1|x\nOBX|2|x"]);
    let less = RunLimits { each_work_max: 2 * bytes - 1, ..RunLimits::DEFAULT };
    assert_eq!(
        under(less, each, "OBX|1\nOBX|2"),
        [
            "parked program.each-too-large steps[1].each: `each` would go over 2 places of a message this large"
        ]
    );
}

#[test]
fn pad_fills_up_so_far() {
    let padded = |count: usize| {
        let steps = format!("  - set: {{ PID-2: '{{PID-1|pad({count}, \"0\")}}' }}");
        under(RunLimits::DEFAULT, &steps, "PID|1").concat().len() - "PID|1|".len()
    };
    assert_eq!((padded(1_000), padded(1_001)), (1_000, 1_000));
}
