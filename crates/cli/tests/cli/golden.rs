//! Whole sessions beside what they print. `UPDATE_GOLDEN=1` writes them anew; review the difference.

use std::fmt::Write as _;
use std::fs;

use crate::running::{golden, run};

/// Runs commands with `golden/input` as their directory and compares all they say with `golden/NAME.txt`.
#[track_caller]
fn check(name: &str, commands: &[&[&str]]) {
    let mut session = String::new();
    for arguments in commands {
        let output = run(arguments, b"");
        let shown: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
        writeln!(session, "$ pipehat {}", shown.join(" ")).unwrap();
        session.push_str(&String::from_utf8(output.stdout).expect("text"));
        let error = String::from_utf8(output.stderr).expect("text");
        for line in error.lines() {
            writeln!(session, "2> {line}").unwrap();
        }
        writeln!(session, "exit {}\n", output.status.code().expect("no signal")).unwrap();
    }
    let path = golden().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &session).expect("golden files can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(session, expected, "{} differs; UPDATE_GOLDEN=1 writes it", path.display());
}

fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{argument}'")
    }
}

#[test]
fn show() {
    check(
        "show",
        &[
            &["message", "show", "admit.hl7"],
            &["message", "show", "batch.hl7"],
            &["message", "show", "batch.hl7", "--message", "2", "--json"],
            &["message", "show", "admit.hl7", "--color", "always"],
        ],
    );
}

#[test]
fn dictionary() {
    check(
        "dictionary",
        &[
            &["dictionary", "PID-3"],
            &["dictionary", "table", "0001"],
            &["dictionary", "ORU_R01"],
            &["dictionary", "ADT^A08", "--version", "2.9"],
            &["dictionary", "EVN", "CX.5.1", "--version", "2.3"],
            &["dictionary", "MSA-1", "--all-versions"],
            &["dictionary", "MSA-1", "--json"],
            &["dictionary", "search", "visit number"],
            &["dictionary", "search", "visit number", "--json"],
            &["dictionary", "search", "no such words"],
            &["dictionary", "ORU_R10"],
            &["dictionary", "ORU"],
            &["dictionary", "SIU"],
            &["dictionary", "SIU", "--json"],
            &["dictionary", "PDI"],
            &["dictionary", "CX.99"],
            &["dictionary", "table", "9999"],
            &["dictionary", "table 0141", "--version", "2.1"],
            &["dictionary", "search visit number"],
            &["dictionary", "PRT-3"],
            &["dictionary", "PID-99", "PID-1"],
            &["dictionary", "PID", "--version", "2.55"],
            &["dictionary", "search"],
        ],
    );
}

#[test]
fn groups() {
    check(
        "groups",
        &[
            &["message", "show", "result.hl7"],
            &["message", "get", "result.hl7", "/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX-5"],
            &["message", "get", "result.hl7", "/ORDER_OBSERVATION(*)/OBX(*)-5"],
            &["message", "get", "result.hl7", "/ORDER_OBSERVATION(2)/NTE-3", "--json"],
            &["message", "get", "result.hl7", "/ORDER_OBSERVATOIN/OBX-5"],
            &["message", "get", "result.hl7", "/ORDER_OBSERVATION/PID-5"],
            &["message", "set", "result.hl7", "/ORDER_OBSERVATION(2)/NTE(+1)-3=a new note"],
            &["message", "set", "result.hl7", "/ORDER_OBSERVATION(3)/OBX-5=nowhere"],
        ],
    );
}

#[test]
fn get() {
    check(
        "get",
        &[
            &["message", "get", "admit.hl7", "PID-5.1"],
            &["message", "get", "admit.hl7", "PID-5", "PID-8", "PID-9"],
            &["message", "get", "admit.hl7", "OBX(*)-5"],
            &["message", "get", "admit.hl7", "PID-40", "PID-5.2"],
            &[
                "message",
                "get",
                "admit.hl7",
                "PID-5",
                "PID-5.2",
                "PID-8",
                "PID-9",
                "PID-40",
                "NK1-1",
                "--json",
            ],
            &[
                "message",
                "get",
                "admit.hl7",
                "PID-5.2",
                "OBX(*)-5",
                "NK1(*)-1",
                "PID-3[last].1",
                "--json",
                "--raw",
            ],
            &["message", "get", "batch.hl7", "MSH-10", "--message", "2"],
        ],
    );
}

#[test]
fn diff() {
    check(
        "diff",
        &[
            &["message", "diff", "admit.hl7", "admit.hl7"],
            &["message", "diff", "admit.hl7", "changed.hl7"],
            &[
                "message",
                "diff",
                "admit.hl7",
                "changed.hl7",
                "--ignore",
                "PID",
                "--ignore",
                "MSH-7",
                "--json",
            ],
            &["message", "diff", "batch.hl7", "admit.hl7"],
            &[
                "message",
                "diff",
                "admit.hl7",
                "changed.hl7",
                "--ignore",
                "PID-5",
                "--color",
                "always",
            ],
        ],
    );
}

#[test]
fn acknowledge() {
    let own = ["--control-id", "C1", "--timestamp", "20250102030405", "--lf"];
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["message", "ack", "admit.hl7"],
        vec![
            "message",
            "ack",
            "admit.hl7",
            "--code",
            "AE",
            "--text",
            "unknown ward",
            "--error-location",
            "PV1-3",
            "--error-code",
            "204",
        ],
        vec!["message", "ack", "batch.hl7", "--message", "2", "--code", "AR", "--text", "no"],
        vec!["message", "ack", "prose.txt"],
    ];
    commands.iter_mut().for_each(|command| command.extend(own));
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    check("acknowledge", &commands);
}

#[test]
fn errors() {
    check(
        "errors",
        &[
            &["message", "get", "absent.hl7", "PID-3"],
            &["message", "get", "prose.txt", "PID-3"],
            &["message", "get", "admit.hl7"],
            &["message", "get", "admit.hl7", "PID.3"],
            &["message", "get", "admit.hl7", "PID-3[2.1"],
            &["message", "get", "admit.hl7", "pid-3"],
            &["message", "get", "batch.hl7", "PID-3", "--message", "3"],
            &["message", "get", "admit.hl7", "PID-3", "--charset", "EBCDIC"],
            &["message", "set", "admit.hl7", "PID-8"],
            &["message", "set", "admit.hl7", "PID-3-1=x"],
            &["message", "set", "admit.hl7", "MSH-2=x"],
            &["message", "set", "admit.hl7", "NK1-2=x"],
            &["message", "set", "admit.hl7", "PID-5.1=山田"],
            &["message", "set", "admit.hl7", "PID-5.1=a^b", "--raw"],
            &["message", "set", "-", "PID-8=F", "--in-place"],
            &["message", "ack", "admit.hl7", "--code", "OK"],
            &["message", "ack", "admit.hl7", "--error-code", "105"],
            &["message", "ack", "admit.hl7", "--error-location", "PID.3", "--error-code", "101"],
            &["message", "diff", "-", "-"],
            &["message", "diff", "admit.hl7", "changed.hl7", "--ignore", "7"],
            &["message", "escape", "--delimiters", "|^^"],
            &["message", "split", "prose.txt", "--into", "never"],
            &["generate", "XYZ"],
            &["generate", "ORU^R77"],
            &["generate", "ADT^A01", "--version", "3"],
            &["generate", "ADT^A01", "--version", "2.2", "--charset", "8859/1"],
            &["generate", "ADT^A01", "--charset", "klingon"],
            &["generate", "ADT^A01", "--start", "yesterday"],
            &["generate", "ADT^A01", "--json"],
            &["generate", "ADT^A01", "--window", "2"],
            &["generate", "ADT^A01", "-o", "absent/a.hl7"],
            &["send", "localhost", "admit.hl7"],
            &["send", "http://localhost:1", "admit.hl7"],
            &["send", "localhost:1", "prose.txt"],
            &["send", "localhost:1", "admit.hl7", "--rate", "fast"],
            &["send", "localhost:1", "admit.hl7", "--tls"],
            &["send", "localhost:1", "admit.hl7", "--ca", "absent.pem"],
            &["listen", "localhost:0", "--cert", "absent.pem"],
            &["new", "."],
            &["mesage"],
            &["--color", "pink", "new", "x"],
        ],
    );
}

#[test]
fn validate() {
    check(
        "validate",
        &[
            &["message", "validate", "clean.hl7"],
            &["message", "validate", "flawed.hl7"],
            &["message", "validate", "flawed.hl7", "--level", "lenient"],
            &["message", "validate", "flawed.hl7", "--level", "strict", "--show", "information"],
            &["message", "validate", "flawed.hl7", "--version", "2.3", "--show", "error"],
            &["message", "validate", "clean.hl7", "--fail-on", "warning", "--json"],
            &["message", "validate", "flawed.hl7", "clean.hl7", "prose.txt"],
            &["message", "validate", "flawed.hl7", "--json"],
            &["message", "validate", "nothing.hl7"],
            &["message", "validate", "clean.hl7", "--level", "harsh"],
            &["message", "validate", "clean.hl7", "--version", "3"],
        ],
    );
}

#[test]
fn profile() {
    check(
        "profile",
        &[
            &["profile", "learn", "lab-before.hl7"],
            &["profile", "learn", "prose.txt"],
            &["profile", "learn", "lab-before.hl7", "-o", "profiles/lab2.yaml"],
            &["profile", "compare", "lab-before.hl7", "lab-before.hl7"],
            &["profile", "compare", "lab-before.hl7", "lab-after.hl7"],
            &["profile", "compare", "lab-before.hl7", "lab-after.hl7", "--json"],
            &["profile", "compare", "profiles/lab2.yaml", "lab-after.hl7", "--quiet"],
            &["profile", "import", "lab2.xml"],
            &["profile", "import", "prose.txt"],
            &["message", "validate", "lab-before.hl7", "--profile", "lab2"],
            &["message", "validate", "lab-wrong.hl7", "--profile", "lab2"],
            &["message", "validate", "lab-wrong.hl7", "--profile", "profiles/broken.yaml"],
            &["message", "validate", "lab-wrong.hl7", "--profile", "lab3"],
            &["message", "validate", "lab-wrong.hl7", "--profile", "lab2", "--json"],
            &["message", "show", "lab-wrong.hl7", "--profile", "lab2"],
            &["message", "show", "lab-wrong.hl7", "--profile", "lab2", "--json"],
            &["message", "show", "lab-wrong.hl7", "--profile", "lab3"],
            &[
                "message",
                "diff",
                "lab-wrong.hl7",
                "lab-after.hl7",
                "--profile",
                "lab2",
                "--message",
                "1",
            ],
        ],
    );
}

#[test]
fn help() {
    check(
        "help",
        &[
            &["message", "--help"],
            &["message", "show", "--help"],
            &["message", "get", "--help"],
            &["message", "set", "--help"],
            &["message", "ack", "--help"],
            &["message", "diff", "--help"],
            &["message", "validate", "--help"],
            &["message", "split", "--help"],
            &["profile", "--help"],
            &["profile", "learn", "--help"],
            &["profile", "compare", "--help"],
            &["profile", "import", "--help"],
            &["message", "escape", "--help"],
            &["message", "unescape", "--help"],
            &["generate", "--help"],
            &["send", "--help"],
            &["listen", "--help"],
            &["new", "--help"],
            &["completions", "--help"],
        ],
    );
}

#[test]
fn datastore() {
    check(
        "datastore",
        &[
            &["datastore", "--help"],
            &["datastore", "export", "--help"],
            &["datastore", "import", "--help"],
            &["datastore", "reindex", "--help"],
            &["datastore", "stats", "--help"],
            &["datastore", "verify", "--help"],
            &["datastore", "export", "--type", "patient"],
            &["datastore", "import", "no-such-file.ndjson"],
            &["datastore", "stats", "--project", "no-such-folder"],
        ],
    );
}

#[test]
fn the_help_groups_the_commands() {
    for arguments in [&["help"][..], &["--help"], &["-h"]] {
        let output = run(arguments, b"");
        let help = String::from_utf8(output.stdout).expect("text");
        let places = [
            "Build a project:\n  new ",
            "\n\nWork with messages:\n  message ",
            "\n\nExit codes:\n",
        ];
        let found: Vec<_> = places.iter().map(|place| help.find(place)).collect();
        assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{help}");
        assert_eq!(output.status.code(), Some(0));
    }
    let output = run(&[], b"");
    assert_eq!(output.status.code(), Some(2), "no command is a mistake");
    assert!(
        output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("Exit codes:")
    );
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], b"");
        let script = String::from_utf8(output.stdout).expect("text");
        for command in ["unescape", "listen", "completions"] {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
}

#[test]
fn mask() {
    check(
        "mask",
        &[
            &["mask", "--key", "masking.key", "identified.hl7"],
            &["mask", "--key", "masking.key", "--mask-text", "--allow", "ZPI-2", "identified.hl7"],
            &["mask", "identified.hl7", "batch.hl7"],
            &["mask", "--key", "prose.txt", "identified.hl7"],
            &["mask", "--allow", "PID-3[2]", "identified.hl7"],
            &["mask", "missing.hl7"],
        ],
    );
}

#[test]
fn client() {
    check("client", &[&["client", "--help"], &["client", "add", "--help"]]);
}

#[test]
fn translate_to_v2() {
    let at = ["--control-id", "C1", "--timestamp", "2026-05-06T08:00:00Z", "--lf"];
    let to_v2 = |more: &[&'static str]| {
        let command = ["message", "translate", "discharge.json", "--to", "v2"];
        [&command[..], more, &at[..]].concat()
    };
    check(
        "translate-to-v2",
        &[
            &to_v2(&["--event", "ADT^A03"]),
            &to_v2(&["--event", "ADT^A03", "--version", "2.3", "--profile", "receiver.yaml"]),
            &to_v2(&["--event", "ADT^A31", "--root", "Patient/p1", "--json"]),
            &to_v2(&["--event", "ADT^A03", "--profile", "receiver.yaml", "--lineage"]),
            &to_v2(&["--event", "ADT^A03", "--profile", "mistaken.yaml"]),
            &to_v2(&["--event", "ADT^A03", "--root", "Encounter/e2"]),
            &to_v2(&["--event", "ADT^A02"]),
            &to_v2(&["--event", "OML^O21", "--version", "2.3"]),
            &to_v2(&["--event", "OML^O21", "--version", "2.9"]),
            &to_v2(&["--event", "ORU^R01"]),
            &to_v2(&[]),
            &["message", "translate", "admit.hl7", "--to", "v2", "--event", "ADT^A03"],
        ],
    );
}
