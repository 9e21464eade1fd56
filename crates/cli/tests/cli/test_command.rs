//! `pipehat test`: what it prints, how it exits, what it writes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const CHANNEL: &str = "\
channel: intake
source: { mllp: { listen: \"127.0.0.1:2575\" } }
accept: MSH-9.1 = \"ADT\"
steps:
  - set: { MSH-5: LAB }
destinations:
  lab: { mllp: { connect: \"127.0.0.1:2576\" } }
";

const ADMISSION: &str = "\
MSH|^~\\&|ADT|NORTH|X|NORTH|20260105081500||ADT^A01^ADT_A01|A1|P|2.5.1
PID|1||10001^^^NORTH^MR||Sample^Anna
";

fn project(cases: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "channels/intake.yaml", CHANNEL);
    for (path, content) in cases {
        write(directory.path(), &format!("tests/intake/{path}"), content);
    }
    directory
}

fn write(directory: &Path, path: &str, content: &str) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn test(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pipehat"))
        .arg("test")
        .args(arguments)
        .env_clear()
        .current_dir(directory)
        .output()
        .expect("the binary runs")
}

#[track_caller]
fn check(directory: &Path, arguments: &[&str], exit: i32, said: &[&str]) -> String {
    let output = test(directory, arguments);
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{text}");
    for part in said {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    text
}

#[test]
fn the_places_that_differ_are_shown_with_both_values() {
    let wrong = ADMISSION.replace("|X|", "|OTHER|").replace("^Anna", "");
    let project = project(&[
        ("admit/in.hl7", ADMISSION),
        ("admit/out.lab.hl7", &wrong),
        ("good/in.hl7", ADMISSION),
        ("good/out.lab.hl7", &ADMISSION.replace("|X|", "|LAB|")),
    ]);
    let text = check(
        project.path(),
        &[],
        1,
        &[
            "FAILED   intake/admit\n",
            "tests/intake/admit/out.lab.hl7\n",
            "    MSH-5 (Receiving Application)       expected  OTHER\n",
            "    PID-5.2 (Patient Name, Given Name)  expected  (nothing)\n                                        actual    Anna\n",
            "ok       intake/good\n",
            "1 failed, 1 passed of 2 cases",
        ],
    );
    assert!(!text.contains('\x1b'), "no colour where nobody looks");
    check(
        project.path(),
        &["--color", "always"],
        1,
        &["\x1b[32mOTHER\x1b[0m", "\x1b[31mLAB\x1b[0m"],
    );
    check(project.path(), &[".", "intake/good"], 0, &["1 passed of 1 case"]);
    check(project.path(), &["tests/intake/good"], 0, &["1 passed of 1 case"]);
    check(project.path(), &["--channel", "intake"], 1, &["of 2 cases"]);
    check(project.path(), &[".", "intake/none"], 2, &["there is no case `intake/none`"]);
    check(project.path(), &["--channel", "out"], 2, &["there is no case `out`"]);
}

#[test]
fn update_writes_what_came_out_and_the_next_run_passes() {
    let result = ADMISSION.replace("ADT^A01^ADT_A01", "ORU^R01^ORU_R01");
    let project = project(&[
        ("admit/in.hl7", ADMISSION),
        ("result/in.hl7", &result),
        ("result/out.lab.hl7", &result),
    ]);
    check(project.path(), &["--quiet"], 1, &["says nothing about what must come out", "2 failed"]);
    let said = ["updated  intake/admit", "wrote tests/intake/admit/out.lab.hl7", "2 updated"];
    let text = check(project.path(), &["--update"], 0, &said);
    assert!(!text.contains("says nothing"), "it was written just now: {text}");
    let cases = project.path().join("tests/intake");
    let sent = fs::read_to_string(cases.join("admit/out.lab.hl7")).unwrap();
    assert_eq!(sent, ADMISSION.replace("|X|", "|LAB|"));
    assert_eq!(fs::read_to_string(cases.join("result/ended.txt")).unwrap(), "filtered\n");
    assert!(!cases.join("result/out.lab.hl7").exists(), "what was not sent is not expected");
    check(project.path(), &[], 0, &["2 passed of 2 cases"]);
}

#[test]
fn reports_for_machines_say_the_same() {
    let project = project(&[("a&b/in.hl7", ADMISSION), ("a&b/out.lab.hl7", ADMISSION)]);
    let output = test(project.path(), &["--json", "--junit", "report.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["ok"], &json["failed"]), (&false.into(), &1.into()));
    let difference = &json["cases"][0]["mismatches"][0]["differences"][0];
    assert_eq!(difference["path"], "MSH-5");
    assert_eq!((&difference["expected"], &difference["actual"]), (&"X".into(), &"LAB".into()));
    let xml = fs::read_to_string(project.path().join("report.xml")).unwrap();
    for part in [
        "<testsuites name=\"pipehat test\" tests=\"1\" failures=\"1\" errors=\"0\"",
        "<testsuite name=\"intake\" tests=\"1\" failures=\"1\">",
        "<testcase classname=\"intake\" name=\"a&amp;b\" file=\"tests/intake/a&amp;b\">",
        "<failure type=\"mismatch\" message=\"out.lab.hl7 differs at MSH-5\">",
        "    expected `X`\n    actual   `LAB`",
    ] {
        assert!(xml.contains(part), "`{part}` is not in:\n{xml}");
    }
}

#[test]
fn a_project_without_cases_says_how_to_write_one() {
    let project = project(&[]);
    check(project.path(), &[], 0, &["no cases yet", "tests/intake/first/in.hl7", "--update"]);
}

#[test]
fn what_a_bot_returns_in_a_case_is_asked_for() {
    let project = project(&[("admit/in.hl7", ADMISSION)]);
    let with_bot = CHANNEL.replace("steps:\n", "steps:\n  - bot: names\n");
    write(project.path(), "channels/intake.yaml", &with_bot);
    write(project.path(), "bots/names.ts", "export function handler() {}\n");
    write(project.path(), "bots/names.yaml", "bot: names\n");
    write(project.path(), "pipehat.yaml", "datastore:\n");
    let said =
        ["what the bot `names` returns", "`bot.hl7`", "`true` in `bot.json`", "no case was run"];
    let text = check(project.path(), &[], 1, &said);
    assert!(!text.contains("no cases yet") && !text.contains("datastore.json"), "{text}");
    write(project.path(), "tests/intake/admit/bot.json", "true\n");
    write(project.path(), "tests/intake/admit/out.lab.hl7", &ADMISSION.replace("|X|", "|LAB|"));
    check(project.path(), &[], 0, &["1 passed"]);
}

#[test]
fn mistakes_of_the_project_and_of_the_cases_are_shown() {
    let project = project(&[("admit/out.lab.hl7", ADMISSION)]);
    let said = ["this case has no message", "tests/intake/admit"];
    check(project.path(), &["--junit", "report.xml"], 1, &said);
    let xml = fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(xml.contains("errors=\"1\"") && xml.contains("this case has no message"), "{xml}");
    write(project.path(), "channels/intake.yaml", "channel: intake\n");
    check(project.path(), &[], 1, &["channels/intake.yaml", "no case was run"]);
    let output = test(project.path(), &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["ok"].as_bool(), output.status.code()), (Some(false), Some(1)));
}

#[test]
fn orders_go_out_by_the_message_of_the_sites_choice() {
    // The example, adapted as its documentation says: what a change means (ORC-1) stays what it is.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/orders");
    let directory = tempfile::tempdir().unwrap();
    copy(&example, directory.path());
    let adapt = |path: &str, from: &str, to: &str| {
        let path = directory.path().join(path);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{}", path.display());
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let auto = "event: auto";
    adapt("channels/orders.yaml", auto, "event: auto\n      orders: OML^O21");
    for case in ["new", "held_before", "revoked"] {
        let path = format!("tests/orders/{case}/out.laboratory.hl7");
        adapt(&path, "ORM^O01^ORM_O01", "OML^O21^OML_O21");
    }
    check(directory.path(), &[], 0, &["3 passed of 3 cases"]);

    adapt("channels/orders.yaml", auto, "event: ORM^O01");
    check(directory.path(), &[], 1, &["`orders` chooses by which message `event: auto` tells"]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(drop).unwrap(),
        }
    }
}

#[test]
fn that_a_message_is_refused_does_not_become_what_is_expected_unseen() {
    let project = project(&[
        ("admit/in.hl7", ADMISSION),
        ("admit/out.lab.hl7", &ADMISSION.replace("|X|", "|LAB|")),
    ]);
    write(
        project.path(),
        "channels/intake.yaml",
        &CHANNEL.replace("set: { MSH-5: LAB }", "park: no ward\n    when: PID-3.1 = \"10001\""),
    );
    let said = ["warning: intake/admit now expects that its message is not sent: parked"];
    check(project.path(), &["--update"], 0, &said);
    let text = check(project.path(), &["--update"], 0, &["1 passed"]);
    assert!(!text.contains("now expects"), "{text}");
}
