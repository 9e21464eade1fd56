//! The demo hospital from the command line, as a script runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipehat"));
    command.arg("demo").args(arguments).env_remove("PIPEHAT_LOG");
    command.output().expect("the binary runs")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}"))
}

fn rows<'v>(summary: &'v Value, name: &str) -> &'v [Value] {
    summary.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Eight seconds: long enough for the laboratory to break off, go down and come back.
#[test]
fn a_short_run_accounts_for_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("hospital");
    let kept_text = kept.to_str().expect("a path");
    let output = demo(&["--headless", "--for", "8s", "--json", "--dir", kept_text]);
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    assert_eq!(summary.get("as_expected"), Some(&Value::Bool(true)), "{summary:#}");
    assert_eq!(summary.pointer("/proof/holds"), Some(&Value::Bool(true)));
    assert_eq!(number(&summary, "/unaccounted"), 0);
    assert_eq!(number(&summary, "/parked_unexplained"), 0);

    let (sent, arrived) = (number(&summary, "/sent"), number(&summary, "/arrived"));
    assert!(sent > 200 && arrived > sent, "{sent} sent, {arrived} arrived");
    assert_eq!(rows(&summary, "channels").len(), 7);
    for channel in rows(&summary, "channels") {
        assert!(number(channel, "/received") > 0, "{channel}");
        assert_eq!(number(channel, "/in_flight"), 0, "{channel}");
    }
    assert_eq!(rows(&summary, "destinations").len(), 10);
    for destination in rows(&summary, "destinations") {
        assert_eq!(number(destination, "/queued"), 0, "{destination}");
    }
    for system in rows(&summary, "systems").iter().filter(|one| number(one, "/expected") > 0) {
        assert_eq!(number(system, "/expected"), number(system, "/arrived"), "{system}");
    }
    // The laboratory failed, and that was seen.
    let to_laboratory = rows(&summary, "destinations").iter();
    let retries: u64 = to_laboratory.map(|one| number(one, "/retries")).sum();
    assert!(retries > 0, "{summary:#}");

    // What is kept can be looked into, and is not overwritten.
    assert!(kept.join("channels/admissions.yaml").is_file());
    assert!(kept.join("data").is_dir());
    let again = demo(&["--headless", "--for", "1s", "--dir", kept_text]);
    assert_eq!(again.status.code(), Some(3));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("is not empty"), "{said}");
}

/// Where a partner gets other contents than the simulation expects, the demo must say so: what
/// would never fail proves nothing.
#[test]
fn a_run_that_changes_contents_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital");
    for part in ["channels", "tables"] {
        std::fs::create_dir(folder.path().join(part)).expect("a folder");
        for entry in std::fs::read_dir(project.join(part)).expect("the example") {
            let entry = entry.expect("an entry");
            let text = std::fs::read_to_string(entry.path()).expect("a text");
            let changed = text.replace(",CLINIC", ",BROOM CUPBOARD");
            std::fs::write(folder.path().join(part).join(entry.file_name()), changed)
                .expect("written");
        }
    }
    let changed = folder.path().to_str().expect("a path");
    let kept = folder.path().join("kept");
    let kept = kept.to_str().expect("a path");
    let output =
        demo(&["--headless", "--for", "4s", "--json", "--project", changed, "--dir", kept]);
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(1), "{summary:#}");
    let problems = rows(&summary, "problems").iter().filter_map(Value::as_str);
    let found =
        problems.filter(|problem| problem.contains("another AIL-3.1 than expected")).count();
    assert!(found > 0, "{summary:#}");
}
