//! `pipehat mask` with files of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value as Json;

use crate::running::{pipehat, run};

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

/// The most memory it has held once this message is masked. The message that follows is never finished.
#[cfg(target_os = "linux")]
fn peak_bytes(message: &str) -> usize {
    let next = [MESSAGE, &"NTE|1||a\r".repeat(64 * 1024)].concat();
    let mut child = pipehat()
        .args(["mask", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = [message, &next].concat();
    let writer = std::thread::spawn(move || {
        // What takes it from here is ended in the middle of it.
        stdin.write_all(input.as_bytes()).ok();
        stdin
    });
    let mut masked = vec![0; message.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut masked).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(writer.join());
    assert!(masked.starts_with(b"MSH|") && masked != message.as_bytes());
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn a_message_of_any_shape_costs_a_few_times_its_size() {
    const MESSAGE_BYTES: usize = 2_000_000;
    // A table of distinct values has just doubled at this size; all else stays below five.
    const TIMES_MAX: usize = 12;
    let of = |start: &str, part: &dyn Fn(usize) -> String| {
        let mut message = [MESSAGE, start].concat();
        let mut count = 0;
        while message.len() < MESSAGE_BYTES {
            message.push_str(&part(count));
            count += 1;
        }
        message + "\r"
    };
    let rest = peak_bytes(&[MESSAGE, &"NTE|1||a\r".repeat(2_000)].concat());
    for (shape, message) in [
        ("segments", of("OBR|1", &|count| format!("\rOBX|{count}|NM|1^A^L||1|g|1-2|N|||F"))),
        ("fields", of("ZPI", &|_| "|a".to_owned())),
        ("repetitions", of("ZPI|a", &|_| "~a".to_owned())),
        ("subcomponents", of("GT1|1||||^^^^1", &|_| "&1".to_owned())),
        ("words", of("NTE|1||a", &|_| " 1 a".to_owned())),
        ("parts of a word", of("NTE|1||a", &|_| ".-a".to_owned())),
        ("secrets", of("PID|1||a", &|count| format!("~a{count:x}"))),
    ] {
        let cost = peak_bytes(&message).saturating_sub(rest);
        assert!(
            cost <= TIMES_MAX * message.len(),
            "{shape}: {cost} bytes of memory for a message of {}",
            message.len()
        );
    }
}
