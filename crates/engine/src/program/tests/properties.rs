//! What holds for every message, whatever is in it.

use bytes::Bytes;
use pipehat_message::CharsetRule;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::program::Verdict;
use crate::project::testing::{channel, run};

/// Every kind of step once.
const EVERY_STEP: &str = "order: by PID-3[*].1, MRG-1.1
accept: not (MSH-9.1 = \"NO\") or any(OBX-5) matches \"^a+$\"
steps:
  - split: batch
  - filter: { when: PID-8 = \"FILTER\" }
  - set: { MSH-4: \"{MSH-3|upper}{now}\", \"PID-3[+1].1\": x, \"PID-3[last].4\": y }
  - set: { PID-9: { raw: \"A^B&C\" } }
  - copy: { from: PID-5, to: PID-6 }
  - move: { from: \"PID-3[2].1\", to: PID-2.1 }
  - clear: [PID-7, \"OBX(*)-3[2]\"]
  - remove: PID-4[1]
  - add_segment: { segment: ZPI, after: [PV1, PID], fields: { ZPI-1: \"{PID-3.1}\" } }
  - remove_segment: NTE
  - each: OBX
    do:
      - map: { field: OBX-8, table: gender, otherwise: keep }
      - date: { field: OBX-14, write: iso, otherwise: clear }
      - each: OBX-5
        do: [ { set: { OBX-5.2: \"{OBX-1}\" } } ]
      - remove_segment: OBX
        when: OBX-2 = \"X\"
  - each: PID-3
    do: [ { remove: PID-3, when: PID-3.1 = \"b\" } ]
  - join: { from: \"OBX(*)-5\", with: \"~\", to: PID-23 }
  - split: { each: OBR, control_ids: numbered }
  - when: PID-8 = \"PARK\"
    do: [ { park: look } ]
    else:
      - reject: { code: AE, text: no }
        when: PID-8 = \"REJECT\"
  - route: [a, b]
    when: PID-8 = \"ROUTE\"
destinations:
  a:
    when: count(OBX) < 5
    mllp: { connect: 127.0.0.1:1 }
  b:
    steps: [ { date: { field: MSH-7, read_zone: UTC, otherwise: keep } } ]
    mllp: { connect: 127.0.0.1:2 }
";

fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "PID", "OBR", "OBX", "NTE", "PV1", "ORC", "MSH", "BHS", "MRG", "pid"
        ])
        .prop_map(str::to_owned),
        "[A-Z]{2,4}",
    ];
    (name, "([|^~&\\\\]|[a-z0-9\"é]|FILTER|PARK|2024|\\\\T\\\\){0,40}")
        .prop_map(|(name, rest)| format!("{name}|{rest}"))
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(line(), 0..12)
        .prop_map(|lines| format!("MSH|^~\\&|a|b|||||ADT^A01|1\r{}", lines.join("\r")).into_bytes())
}

proptest! {
    #[test]
    fn nothing_panics(bytes in prop_oneof![text(), prop::collection::vec(any::<u8>(), 0..400)]) {
        thread_local! {
            static SPEC: std::sync::Arc<crate::project::ChannelSpec> = channel(EVERY_STEP);
        }
        SPEC.with(|spec| {
            let bytes = Bytes::from(bytes);
            let verdict = run(spec, &bytes);
            // Deterministic: the same again.
            assert_eq!(run(spec, &bytes), verdict);
            assert!(!spec.program.lane_keys(&bytes, 1).is_empty());
        });
    }

    #[test]
    fn what_no_step_touches_stays(bytes in text()) {
        thread_local! {
            static SPEC: std::sync::Arc<crate::project::ChannelSpec> = channel(&format!(
                "steps: [ {{ set: {{ ZZZ-1: x }} }}, {{ clear: ZZZ }} ]\n{}", super::DESTINATION
            ));
        }
        SPEC.with(|spec| {
            let bytes = Bytes::from(bytes);
            if let Verdict::Routed { outputs, .. } = run(spec, &bytes) {
                let has_it = bytes.windows(4).any(|window| window == b"\rZZZ");
                for output in outputs.iter().filter(|_| !has_it) {
                    prop_assert_eq!(&output.bytes, &bytes);
                    prop_assert!(output.bytes.as_ptr() == bytes.as_ptr());
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn setting_one_field_changes_one_field(bytes in text()) {
        thread_local! {
            static SPEC: std::sync::Arc<crate::project::ChannelSpec> = channel(&format!(
                "steps: [ {{ set: {{ MSH-6: x }} }} ]\n{}", super::DESTINATION
            ));
        }
        SPEC.with(|spec| {
            let bytes = Bytes::from(bytes);
            if let Verdict::Routed { outputs, .. } = run(spec, &bytes) {
                let output = outputs.first().map(|output| output.bytes.clone()).unwrap_or_default();
                let places: Vec<String> = crate::project::differences(&bytes, &output, CharsetRule::Declared)
                    .into_iter()
                    .map(|difference| difference.place)
                    .collect();
                prop_assert_eq!(places, ["MSH-6"]);
            }
            Ok(())
        })?;
    }
}
