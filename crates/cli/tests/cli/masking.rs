//! `pipehat mask` with files of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value as Json;

use crate::running::run;

const MESSAGE: &str = "MSH|^~\\&|ADT|NORTH|||20260105081500||ADT^A08|C1|P|2.4\rPID|1||4711^^^NORTH^MR||Weissenberg^Anna\r";

#[test]
fn files_are_masked_into_a_directory_with_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("feed/more")).unwrap();
    fs::write(path("feed/a.hl7"), MESSAGE).unwrap();
    fs::write(path("feed/more/b.hl7"), MESSAGE.repeat(2)).unwrap();
    let arguments = |into: &str| {
        ["mask", "--json", "--key", "site.key", "--into", into, "feed"].map(|argument| {
            match argument {
                "mask" | "--json" | "--key" | "--into" => argument.to_owned(),
                name => path(name).display().to_string(),
            }
        })
    };
    let output = run(&arguments("out").each_ref().map(String::as_str), b"");
    assert_eq!(output.status.code(), Some(0));
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["files"], &summary["messages"]), (&2.into(), &3.into()));
    assert_eq!(fs::metadata(path("site.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(path("out/a.hl7")).unwrap();
    assert!(!first.contains("Weissenberg") && first.len() == MESSAGE.len());
    assert_eq!(fs::read_to_string(path("out/more/b.hl7")).unwrap(), first.repeat(2));

    let again = run(&arguments("again").each_ref().map(String::as_str), b"");
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(fs::read_to_string(path("again/a.hl7")).unwrap(), first, "the key is read again");
    let over = run(&arguments("out").each_ref().map(String::as_str), b"");
    assert_eq!(over.status.code(), Some(3), "nothing is overwritten");
}

#[test]
fn a_message_that_cannot_be_masked_is_left_out() {
    let unknown = MESSAGE.replace("2.4", "2.4||||||KLINGON");
    let output = run(&["mask", "-"], [unknown.as_str(), MESSAGE].concat().as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.len(), MESSAGE.len());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("message 1 left out") && !error.contains("Weissenberg"), "{error}");
}
