//! `pipehat client`: the register on disk, whether a Pipehat runs or not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::running::{json, run, stdout};

struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    fn path(&self) -> String {
        self.0.path().join("data").to_str().expect("a path").to_owned()
    }

    /// Runs `pipehat client …` on it; the exit code and what it said to standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let data = self.path();
        let output = run(&[&["client"], arguments, &["--data", &data]].concat(), b"");
        let error = String::from_utf8(output.stderr).expect("text");
        (output.status.code().expect("no signal"), error)
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let data = self.path();
        json(&[&["client"], arguments, &["--json", "--data", &data]].concat(), b"")
    }

    fn list(&self, arguments: &[&str]) -> String {
        let data = self.path();
        let said = stdout(&[&["client", "list"], arguments, &["--data", &data]].concat(), b"");
        String::from_utf8(said).expect("text")
    }
}

#[test]
fn a_script_adds_a_client_before_anything_runs() {
    let data = Data::new();
    let added = data.json(&["add", "lab", "--scope", "system/*.*"]);
    let text = |name: &str| added[name].as_str().unwrap_or_else(|| panic!("{name}: {added}"));
    assert_eq!(text("client_id").len(), 36);
    assert_eq!(text("client_secret").len(), 64);
    assert_eq!(text("token_url"), "http://127.0.0.1:8103/oauth2/token");
    let file = Path::new(&data.path()).join("clients.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(text("client_secret")));

    let admin = r#"{ "url": "http://127.0.0.1:9", "token": "a-token", "process": 1 }"#;
    std::fs::write(Path::new(&data.path()).join("admin.json"), admin).unwrap();
    let rotated = data.json(&["rotate", "lab"]);
    assert_eq!(rotated["client_id"], added["client_id"]);
    assert_ne!(rotated["client_secret"], added["client_secret"]);
    assert_eq!(rotated["token_url"], "http://127.0.0.1:9/oauth2/token");
}

#[test]
fn clients_are_listed_until_they_are_revoked() {
    let data = Data::new();
    assert_eq!(data.list(&[]), "");
    data.json(&["add", "lab", "--scope", "system/Patient.rs", "--scope", "system/Observation.rs"]);
    data.json(&["add", "ward", "--scope", "system/*.read system/Patient.write"]);
    let listed = data.list(&[]);
    let lab = listed.find("lab").unwrap();
    assert!(listed.find("system/Observation.rs").unwrap() < listed.find("ward").unwrap());
    assert!(lab < listed.find("system/Patient.write").unwrap());
    assert_eq!(data.run(&["revoke", "lab"]).0, 0);
    assert!(!data.list(&[]).contains("lab"));
    assert!(data.list(&["--all"]).contains("revoked"));
    let lines = data.list(&["--all", "--json"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let revoked: Vec<bool> = lines.iter().map(|line| !line["revoked"].is_null()).collect();
    assert_eq!(revoked, [true, false]);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let data = Data::new();
    let check = |arguments: &[&str], code: i32, says: &str| {
        let (exit, error) = data.run(arguments);
        assert_eq!(exit, code, "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    };
    check(&["add", "x"], 2, "--scope");
    check(&["add", "x", "--scope", "system/Patnt.rs"], 2, "no resource type `Patnt`");
    check(&["add", "x", "--scope", "patient/*.rs"], 2, "only `system/` scopes");
    check(&["add", "x", "--scope", "system/Patient.sr"], 2, "`cruds` in this order");
    check(&["add", "x", "--scope", "system/Patient.rs?organisation=1"], 2, "filter");
    check(&["add", "x", "--scope", "system/*.rs?organization=o"], 0, "Patient, ");
    check(&["add", "x", "--scope", "system/*.*", "--jwks", "nothing.json"], 3, "nothing.json");
    check(&["add", "x", "--scope", "system/*.*", "--jwks", "admit.hl7"], 3, "Key Set");
    check(&["revoke", "nobody"], 3, "no client `nobody`");
    check(&["rotate", "nobody"], 3, "no client `nobody`");
    data.json(&["add", "twin", "--scope", "system/*.*"]);
    data.json(&["add", "twin", "--scope", "system/*.*"]);
    check(&["revoke", "twin"], 3, "by its id");
}
