//! Messages in sets other than UTF-8: what steps read of them, and what goes out.

use bytes::Bytes;
use pipehat_connectors::{BotOutcome, BotResult};
use pipehat_message::Charset;

use super::run_bot;
use crate::program::Verdict;

const HL7: &str = "destinations:\n  out:\n    mllp: { connect: 127.0.0.1:2 }\n";
const STORE: &str = "destinations:\n  out:\n    fhir: { base: \"http://127.0.0.1:3/fhir\" }\n";

fn set(name: &str) -> Charset {
    Charset::from_name(name).unwrap_or_else(|| panic!("no set {name}"))
}

/// A message of this MSH-18 in the set of this name.
fn message(msh18: &str, name: &str, family: &str) -> Bytes {
    let text = format!(
        "MSH|^~\\&|A|B|C|D|20260105||ADT^A28^ADT_A05|1|P|2.5||||||{msh18}\rPID|1||7^^^&1.2.3&ISO^MR||{family}^X\r"
    );
    Bytes::from(set(name).encode(&text).expect("the set has it").into_owned())
}

fn run(rest: &str, input: &Bytes, returned: Option<Bytes>) -> Verdict {
    let outcome = returned
        .map(|bytes| BotOutcome { result: BotResult::Text(bytes), ..BotOutcome::default() });
    run_bot(rest, input, outcome)
}

#[track_caller]
fn out(verdict: Verdict) -> Bytes {
    match verdict {
        Verdict::Routed { mut outputs, .. } if outputs.len() == 1 => outputs.remove(0).bytes,
        other => panic!("{other:?}"),
    }
}

/// MSH-18, the set, a name in it, and another.
const SETS: [(&str, &str, &str, &str); 6] = [
    ("GB 18030-2000", "GB 18030-2000", "李小龙", "王"),
    ("BIG-5", "BIG-5", "李小龍", "許功蓋"),
    ("~ISO IR87", "ISO IR87", "山田", "表"),
    ("SHIFT_JIS", "SHIFT_JIS", "表示", "ソ"),
    ("8859/2", "8859/2", "Łoś", "Żółć"),
    ("UNICODE UTF-8", "UNICODE UTF-8", "Łoś", "王"),
];

#[test]
fn names_become_fhir_in_every_set() {
    for (msh18, name, family, _) in SETS {
        let input = message(msh18, name, family);
        let bundle = out(run(&format!("steps: [{{ translate: fhir }}]\n{STORE}"), &input, None));
        let bundle = String::from_utf8(bundle.to_vec()).expect("JSON is UTF-8");
        assert!(bundle.contains(&format!("\"family\":\"{family}\"")), "{msh18}: {bundle}");
    }
}

#[test]
fn a_bot_is_given_and_gives_the_set_of_msh_18() {
    for (msh18, name, family, other) in SETS {
        let (input, returned) = (message(msh18, name, family), message(msh18, name, other));
        let waits = run(&format!("steps: [bot: names]\n{HL7}"), &input, None);
        let Verdict::Waits { lookup } = waits else { panic!("{waits:?}") };
        assert_eq!(lookup.body, input, "{msh18}");
        // What follows it reads what it returned, and changes it.
        let steps = "steps:\n  - bot: names\n  - set: { PID-8: F }";
        let sent = out(run(&format!("{steps}\n{HL7}"), &input, Some(returned.clone())));
        let text = set(name).decode(&returned).text.replace("^X\r", "^X|||F\r");
        assert_eq!(set(name).decode(&sent).text, text, "{msh18}");
        let steps = "steps: [bot: names, translate: fhir]";
        let bundle = out(run(&format!("{steps}\n{STORE}"), &input, Some(returned)));
        assert!(String::from_utf8_lossy(&bundle).contains(other), "{msh18}");
    }
}

#[test]
fn a_bot_may_return_another_set() {
    let returned = message("UNICODE UTF-8", "UNICODE UTF-8", "Łoś");
    for (msh18, name, family, _) in SETS {
        let input = message(msh18, name, family);
        let steps = "steps:\n  - bot: names\n  - set: { PID-9.1: Żak }";
        let sent = out(run(&format!("{steps}\n{HL7}"), &input, Some(returned.clone())));
        let expected = String::from_utf8_lossy(&returned).replace("^X\r", "^X||||Żak\r");
        assert_eq!(String::from_utf8_lossy(&sent), expected, "{msh18}");
    }
}

#[test]
fn what_is_written_into_msh_18_is_what_goes_out() {
    for (msh18, name, ..) in SETS {
        for (wanted_18, wanted, ..) in SETS {
            let input = message(msh18, name, "Zoe");
            let family = if wanted_18.starts_with("8859") { "Łoś" } else { "表" };
            // Only where both have it; a step writes no repetitions by one text.
            if wanted_18.starts_with('~')
                || set(name).encode(family).is_err()
                || set(wanted).encode(family).is_err()
            {
                continue;
            }
            let steps =
                format!("steps:\n  - set: {{ PID-5.1: {family}, MSH-18: \"{wanted_18}\" }}");
            let sent = out(run(&format!("{steps}\n{HL7}"), &input, None));
            let expected = message(wanted_18, wanted, family);
            assert_eq!(sent, expected, "{msh18} to {wanted_18}");
        }
    }
    let steps = "steps:\n  - set: { MSH-18: \"8859/1\" }";
    let latin = message("UNICODE UTF-8", "UNICODE UTF-8", "Müller");
    assert_eq!(
        out(run(&format!("{steps}\n{HL7}"), &latin, None)),
        message("8859/1", "8859/1", "Müller")
    );
    let lacking = message("UNICODE UTF-8", "UNICODE UTF-8", "Łoś");
    let verdict = run(&format!("{steps}\n{HL7}"), &lacking, None);
    assert!(
        matches!(verdict, Verdict::Parked { code: "program.not-in-character-set", .. }),
        "{verdict:?}"
    );
    // ASCII is meant, whatever the bytes are; a set that nobody knows by a code that a table gives.
    for (msh18, family) in [("8859/1", "Müller"), ("UNICODE UTF-8", "Łoś"), ("GB 18030-2000", "李")]
    {
        let input = message(msh18, msh18, family);
        for written in
            ["MSH-18: ASCII", "MSH-18: { raw: \"ASCII~ISO IR100\" }", "MSH-18: \"{PID-8}\""]
        {
            let steps = format!("steps:\n  - set: {{ PID-8: NONSENSE }}\n  - set: {{ {written} }}");
            let verdict = run(&format!("{steps}\n{HL7}"), &input, None);
            assert!(
                matches!(verdict, Verdict::Parked { code: "program.not-in-character-set", .. }),
                "{msh18} {written}: {verdict:?}"
            );
        }
    }
}

/// Checks what goes out of messages in 8859/1 that say otherwise, in a channel that knows.
#[track_caller]
fn check_of_a_wrong_name(steps: &str, returned: Option<Bytes>, expected: &Bytes) {
    for msh18 in ["UNICODE UTF-8", "8859/1", ""] {
        let input = message(msh18, "8859/1", "Müller");
        let rest = format!("charset: 8859/1\nsteps:\n{steps}{HL7}");
        let sent = out(run(&rest, &input, returned.clone()));
        assert_eq!(sent, *expected, "{steps} {msh18}: {}", String::from_utf8_lossy(&sent));
    }
}

#[test]
fn what_is_written_into_msh_18_again_is_what_goes_out() {
    let utf8 = message("UNICODE UTF-8", "UNICODE UTF-8", "Müller");
    let set = "  - set: { MSH-18: \"UNICODE UTF-8\" }\n";
    check_of_a_wrong_name(set, None, &utf8);
    check_of_a_wrong_name(&format!("  - set: {{ MSH-18: \"8859/15\" }}\n{set}"), None, &utf8);
    check_of_a_wrong_name("  - set: { MSH-18: { raw: \"UNICODE UTF-8\" } }\n", None, &utf8);
    let when = "  - set: { MSH-18: \"UNICODE UTF-8\" }\n    when: MSH-12 = \"2.5\"\n";
    check_of_a_wrong_name(when, None, &utf8);
    let more = Bytes::from(String::from_utf8_lossy(&utf8).replace("^X\r", "^X||ö\r"));
    check_of_a_wrong_name(&format!("{set}  - set: {{ PID-7: \"ö\" }}\n"), None, &more);
    // Before and behind a bot, which is given and gives the channel's set.
    let returned = message("UNICODE UTF-8", "8859/1", "Jörg");
    let jorg = message("UNICODE UTF-8", "UNICODE UTF-8", "Jörg");
    check_of_a_wrong_name(&format!("  - bot: names\n{set}"), Some(returned.clone()), &jorg);
    check_of_a_wrong_name(&format!("{set}  - bot: names\n"), Some(returned), &jorg);
}

#[test]
fn a_destination_that_writes_msh_18_again_is_alone() {
    let input = message("UNICODE UTF-8", "8859/1", "Müller");
    let rest = "charset: 8859/1\ndestinations:\n  a:\n    mllp: { connect: 127.0.0.1:2 }\n    steps:\n      - set: { MSH-18: \"UNICODE UTF-8\" }\n  b:\n    mllp: { connect: 127.0.0.1:2 }\n";
    let Verdict::Routed { outputs, .. } = run(rest, &input, None) else { panic!("it goes out") };
    let sent: Vec<_> = outputs.into_iter().map(|output| output.bytes).collect();
    assert_eq!(sent, [message("UNICODE UTF-8", "UNICODE UTF-8", "Müller"), input]);
}
