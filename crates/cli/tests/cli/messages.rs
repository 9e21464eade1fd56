//! `pipehat message`, byte by byte.

use std::fs;
use std::process::Stdio;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::running::{golden, json as run_json, pipehat, run, stdout};

fn admit() -> Vec<u8> {
    fs::read(golden().join("input/admit.hl7")).expect("a golden input")
}

#[test]
fn the_json_tree_leaves_nothing_out() {
    let framed = [b"\x0b", &admit()[..], b"\r\n\x1c\r"].concat();
    for message in
        [admit(), framed, b"MSH|^~\\&#|A\r\n\r\nPID|\xff\xfe\n".to_vec(), b"MSH|^~".to_vec()]
    {
        let tree = run_json(&["message", "show", "--json"], &message);
        let text = |json: &Json| json.as_str().expect("text").to_owned();
        let mut joined = text(&tree["start"]);
        for segment in tree["segments"].as_array().expect("a list") {
            joined += &text(&segment["raw"]);
            joined += &text(&segment["end"]);
            // The parts of each level joined are the level above.
            let delimiters = &tree["delimiters"];
            for (index, field) in segment["fields"].as_array().expect("a list").iter().enumerate() {
                let is_delimiters = segment["name"] == "MSH" && index < 2;
                for repetition in field["repetitions"].as_array().expect("a list") {
                    for component in repetition["components"].as_array().expect("a list") {
                        let parts = component["subcomponents"].as_array().expect("a list");
                        let parts: Vec<_> = parts.iter().map(|part| text(&part["raw"])).collect();
                        let delimiter = delimiters["subcomponent"].as_str().unwrap_or("");
                        assert_eq!(parts.join(delimiter), text(&component["raw"]));
                        assert!(!is_delimiters || parts.len() == 1);
                    }
                }
            }
        }
        let charset = pipehat_message::Charset::from_name(&text(&tree["character_set"]));
        let bytes =
            charset.expect("a known set").encode(&joined).expect("the same set").into_owned();
        assert_eq!(bytes, message);
    }
}

#[test]
fn keys_are_as_they_were_typed_and_values_as_decoded() {
    let paths =
        ["PID(1)-5[1].1", "PID-5.1", "PID-3", "OBX(*)-5", "OBX(*)-99", "PID-40", "PID-8", "PID-9"];
    let arguments: Vec<&str> =
        ["message", "get", "-"].into_iter().chain(paths).chain(["--json"]).collect();
    assert_eq!(
        run_json(&arguments, &admit()),
        json!({
            "PID(1)-5[1].1": "Müller",
            "PID-5.1": "Müller",
            "PID-3": "4711^^^GOOD^MR~99^^^X",
            "OBX(*)-5": ["line\\.br\\two&x", "ends in a tab\t and \r"],
            "OBX(*)-99": [],
            "PID-40": null,
            "PID-8": "\"\"",
            "PID-9": "",
        })
    );
}

#[test]
fn undecodable_bytes_are_kept() {
    let message = b"MSH|^~\\&|||||||||P|2.5||||||UNICODE UTF-8\rPID|a\xe9b\r";
    let found = run_json(&["message", "get", "-", "PID-1", "--json"], message);
    assert_eq!(found["PID-1"], "a\u{10FEE9}b");
    assert_eq!(stdout(&["message", "get", "-", "PID-1"], message), b"a\\xe9b\n");
    let found =
        run_json(&["message", "get", "-", "PID-1", "--json", "--charset", "8859/1"], message);
    assert_eq!(found["PID-1"], "aéb");
}

#[test]
fn an_unknown_character_set_is_told_and_stops_nothing() {
    let message = "MSH|^~\\&|||||||||P|2.5||||||KLINGON\rPID|é\r".as_bytes();
    let output = run(&["message", "get", "-", "PID-1"], message);
    assert_eq!(output.stdout, "é\n".as_bytes());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--charset"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn whole_messages_in_wide_and_shifting_sets_are_read_and_changed() {
    let text = "MSH|^~\\&|A||||||ADT|M1|P|2.5||||||UNICODE UTF-16\rPID|1||9||山田^太郎\r";
    let wide: Vec<u8> = "\u{feff}"
        .chars()
        .chain(text.chars())
        .flat_map(|c| (u32::from(c) as u16).to_le_bytes())
        .collect();
    let found = run_json(&["message", "get", "-", "PID-5.1", "--json"], &wide);
    assert_eq!(found["PID-5.1"], "山田");
    let changed = stdout(&["message", "set", "-", "PID-5.1=鈴木"], &wide);
    let expected: Vec<u8> = "\u{feff}"
        .chars()
        .chain(text.replace("山田", "鈴木").chars())
        .flat_map(|c| (u32::from(c) as u16).to_le_bytes())
        .collect();
    assert_eq!(changed, expected);

    // ISO 2022: the second byte of a character may look like a delimiter.
    let iso_2022 = b"MSH|^~\\&|A||||||ADT|M1|P|2.5||||||~ISO IR87\rPID|1||9||\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B\r";
    let found = run_json(&["message", "get", "-", "PID-5", "PID-3", "--json"], iso_2022);
    assert_eq!(found, json!({"PID-5": "山田^太郎", "PID-3": "9"}));
    let changed = stdout(&["message", "set", "-", "PID-3=8"], iso_2022);
    let expected: Vec<u8> = iso_2022.to_vec();
    let position = expected.windows(4).position(|window| window == b"||9|").expect("PID-3");
    let mut expected = expected;
    expected[position + 2] = b'8';
    assert_eq!(changed, expected);
}

#[test]
fn setting_changes_nothing_else() {
    let message = b"\x0bMSH|^~\\&|A|B\r\n\nPID|1||X\\Q\\^~&||||||\xe9\n\nZZZ|\r\r\x1c\r".to_vec();
    let same = stdout(&["message", "set", "-", "MSH-3=A", "PID-1=1"], &message);
    assert_eq!(same, message);
    let changed = stdout(&["message", "set", "-", "PID-1=2", "ZZZ-1=a|b", "MSH-4="], &message);
    assert_eq!(
        changed,
        b"\x0bMSH|^~\\&|A|\r\n\nPID|2||X\\Q\\^~&||||||\xe9\n\nZZZ|a\\F\\b\r\r\x1c\r"
    );
    let raw = stdout(&["message", "set", "-", "ZZZ-1=a^b&c\\F\\", "--raw"], &message);
    assert!(raw.ends_with(b"\nZZZ|a^b&c\\F\\\r\r\x1c\r"));
}

#[test]
fn one_message_of_a_batch_is_set_and_the_rest_stays() {
    let batch = fs::read_to_string(golden().join("input/batch.hl7")).expect("a golden input");
    let changed = stdout(&["message", "set", "batch.hl7", "PID-3=9", "--message", "2"], b"");
    assert_eq!(String::from_utf8(changed).unwrap(), batch.replace("PID|||2", "PID|||9"));
}

#[test]
fn setting_in_place_replaces_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.hl7");
    fs::write(&file, admit()).unwrap();
    let path = file.to_str().unwrap();
    assert!(stdout(&["message", "set", path, "PID-8=F", "--in-place"], b"").is_empty());
    let found = run_json(&["message", "get", path, "PID-8", "PID-5.1", "--json"], b"");
    assert_eq!(found, json!({"PID-8": "F", "PID-5.1": "Müller"}));
    // A refused change leaves the file as it is.
    let before = fs::read(&file).unwrap();
    let output = run(&["message", "set", path, "PID-8=M", "NK1-1=x", "--in-place"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read(&file).unwrap(), before);
    let other = directory.path().join("b.hl7");
    stdout(&["message", "set", path, "PID-8=M", "-o", other.to_str().unwrap()], b"");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(
        run_json(&["message", "get", other.to_str().unwrap(), "PID-8", "--json"], b""),
        json!({"PID-8": "M"})
    );
}

#[test]
fn escaping_is_bytes_in_bytes_out() {
    let bytes = b"a|b^c&d~e\\f\xff\x00\r\n";
    let escaped = stdout(&["message", "escape"], bytes);
    assert_eq!(escaped, b"a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\xff\x00\\X0D\\\\X0A\\");
    assert_eq!(stdout(&["message", "unescape", "--delimiters", "|^~\\&"], &escaped), bytes);
    assert_eq!(stdout(&["message", "escape", "--delimiters", "#*+!-"], b"a#|"), b"a!F!|");
    assert_eq!(stdout(&["message", "escape"], b""), b"");
    let output = run(&["message", "escape", "--delimiters", "|^~"], b"a|b");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
}

#[test]
fn an_acknowledgment_ends_its_segments_with_cr() {
    let reply = stdout(&["message", "ack", "admit.hl7", "--code", "AA"], b"");
    let acknowledgment = pipehat_message::Acknowledgment::read(&reply).expect("an acknowledgment");
    assert_eq!(acknowledgment.control_id(), b"MSG1");
    assert_eq!(acknowledgment.header().control_id().len(), 20);
    assert!(reply.ends_with(b"\r") && !reply.contains(&b'\n'));
    let again = stdout(&["message", "ack", "admit.hl7"], b"");
    assert_ne!(
        pipehat_message::Header::read(&again).unwrap().control_id(),
        acknowledgment.header().control_id()
    );
}

#[test]
fn a_batch_is_split_into_files() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("out");
    let output = run(&["message", "split", "batch.hl7", "--into", into.to_str().unwrap()], b"");
    // Its trailer promises a third message.
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("BTS-1 says 3"));
    let second = fs::read(into.join("00002.hl7")).unwrap();
    assert_eq!(second, b"MSH|^~\\&|A||||1||ORU^R01|B2|P|2.3\rPID|||2\r");
    let again = run(&["message", "split", "batch.hl7", "--into", into.to_str().unwrap()], b"");
    assert_eq!(again.status.code(), Some(3), "no file is overwritten");
}

#[test]
fn a_closed_pipe_is_silent() {
    let mut child = pipehat()
        .args(["message", "show"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    let message = [&admit()[..], &b"NTE|1||much to say\r".repeat(20_000)].concat();
    std::io::Write::write_all(&mut input, &message).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_set_is_what_get_gives(
        place in prop::sample::select(vec![
            "PID-5", "PID-5.1", "PID-3[3].4.2", "OBX(2)-5", "MSH-3", "ZZZ-9", "PID-30",
        ]),
        value in "[ -~äß山\\r\\n\\t|^&~\\\\\"]{0,20}",
    ) {
        let message = String::from_utf8_lossy(&admit()).replace("8859/1", "UNICODE UTF-8");
        let change = format!("{place}={value}");
        let changed = stdout(&["message", "set", "-", &change], message.as_bytes());
        let found = run_json(&["message", "get", "-", place, "--json"], &changed);
        prop_assert_eq!(&found[place], &Json::String(value));
    }
}

#[test]
fn what_is_no_number_is_told_with_where_to_find_one() {
    let check = |arguments: &[&str], expected: &str| {
        let output = run(arguments, b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&["messages", "show", "abc"], "a message is named by its number, such as 1234");
    check(&["messages", "discard", "abc", "--reason", "x"], "`pipehat messages find` shows it");
    check(&["bot", "show", "abc"], "`pipehat bot runs` shows it");
    check(&["bot", "runs", "--limit", "0"], "a whole number from 1 to 1000");
    check(&["subscriptions", "redeliver", "--change", "x"], "dead-letters` shows it");
}
