//! `pipehat bench`: that every figure is measured and nothing is left behind. The figures themselves are of no use here.

use std::fs;
use std::process::Command;

use serde_json::Value;

fn pipehat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipehat"));
    command.env_clear();
    command
}

#[test]
fn everything_is_measured_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let output = pipehat()
        .args(["bench", "--for", "100ms", "--connections", "2,1", "--message", "adt", "--json"])
        .arg("--data")
        .arg(directory.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["message"]["bytes"], 1024);
    assert!(result["machine"]["cores"].as_u64() >= Some(1));
    let rows = result["rows"].as_array().unwrap();
    let count = |what: &str| rows.iter().filter(|row| row["what"] == what).count();
    for what in [
        "write + fdatasync, growing file",
        "write + fdatasync, preallocated file",
        "acknowledging peer, keeps nothing",
        "journal, not sealed",
        "journal, sealed",
        "intake",
        "relay",
    ] {
        assert_eq!(count(what), 2, "{what}");
    }
    for what in
        ["intake, not sealed", "relay, not indexed", "relay, not sealed, not indexed", "relay-bot"]
    {
        assert_eq!(count(what), 1, "{what}");
    }
    assert_eq!(count("  from sender to receiver"), 6);
    for row in rows {
        assert!(row["messages"].as_u64() > Some(0), "{row}");
        assert!(row["p50_ms"].as_f64() > Some(0.0), "{row}");
        assert!(row["p50_ms"].as_f64() <= row["max_ms"].as_f64(), "{row}");
    }
    let intake = rows.iter().find(|row| row["what"] == "intake, not sealed").unwrap();
    let unsealed = intake["written_per_message"].as_f64();
    assert!(unsealed > Some(200.0), "what is kept was written: {intake}");
    assert!(intake["memory_bytes"].as_u64() > Some(1_000_000), "{intake}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "the data is removed");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, said) in [
        (&["--for", "10ms"][..], "100ms at least"),
        (&["--connections", "0"], "0 is not in 1..=1024"),
        (&["--connections", "1025"], "1025 is not in 1..=1024"),
        (&["--for", "1000000h"], "too little room"),
        (&["--data", "/nowhere"], "no folder that can be written to"),
    ] {
        let output = pipehat().arg("bench").args(arguments).output().expect("the binary runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        assert!(error.contains(said), "`{said}` is not in: {error}");
    }
}

#[test]
fn the_datastore_is_filled_measured_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let output = pipehat()
        .args([
            "bench",
            "datastore",
            "--for",
            "100ms",
            "--clients",
            "3,1",
            "--resources",
            "200",
            "--json",
        ])
        .arg("--data")
        .arg(directory.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = result["rows"].as_array().unwrap();
    for (what, is_ours) in [
        ("write + fdatasync", false),
        ("fixed answer", false),
        ("read", true),
        ("by identifier", true),
        ("by name prefix", true),
        ("by dates, sorted", true),
        ("by chain", true),
        ("create", true),
        ("update", true),
        ("transaction of 20", true),
    ] {
        let of: Vec<_> = rows.iter().filter(|row| row["what"] == what).collect();
        assert_eq!(of.len(), 2, "{what}");
        for row in of {
            // On a busy machine a window of this length may see none end.
            assert!(row["requests"].is_u64(), "{row}");
            assert_eq!(row["failed"], 0, "{row}");
            assert_eq!(row["memory_bytes"].as_u64() > Some(1_000_000), is_ours, "{row}");
        }
    }
    let requests: u64 = rows.iter().filter_map(|row| row["requests"].as_u64()).sum();
    assert!(requests > 0, "{result}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "the data is removed");
}

#[test]
fn a_filled_store_stays_and_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let output = pipehat()
            .args([
                "bench",
                "datastore",
                "--for",
                "100ms",
                "--clients",
                "1",
                "--only",
                "identifier",
            ])
            .arg("--filled")
            .arg(directory.path())
            .args(more)
            .output()
            .expect("the binary runs");
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, _, said) = run(&["--resources", "100", "--fill-only"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, table, said) = run(&["--resources", "100"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(table.contains("filled before") && table.contains("by identifier"), "{table}");
    let (code, _, said) = run(&["--resources", "1000"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("10 patients, fewer than the 100"), "{said}");
}
