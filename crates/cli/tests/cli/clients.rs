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
    let (exit, said) = data.run(&["list"]);
    assert!(exit == 3 && said.contains("is no data directory"), "{said}");
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
fn a_resource_stands_for_a_client() {
    let data = Data::new();
    data.json(&["add", "lab", "--scope", "system/*.*"]);
    let (exit, said) = data.run(&["stand-in", "lab", "Device/lab"]);
    assert!(exit == 0 && said.contains("Device/lab stands for lab ("), "{said}");
    assert!(data.list(&[]).contains("  Device/lab stands for it\n"));
    let line: serde_json::Value = serde_json::from_str(data.list(&["--json"]).trim()).unwrap();
    assert_eq!(line["stand_in"], "Device/lab");
    let (exit, said) = data.run(&["stand-in", "lab", "Patient/lab"]);
    assert!(exit == 2 && said.contains("write `Device/ID`"), "{said}");
    assert_eq!(data.run(&["stand-in", "lab"]).0, 2);
    let (exit, said) = data.run(&["stand-in", "lab", "--none"]);
    assert!(exit == 0 && said.contains("nothing stands for lab ("), "{said}");
    assert!(!data.list(&[]).contains("stands for"));
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
    check(&["add", "x", "--scope", "system/*.*", "--jwks", "nothing.json"], 3, "nothing.json");
    check(&["add", "x", "--scope", "system/*.*", "--jwks", "admit.hl7"], 3, "Key Set");
    check(&["add", "x", "--scope", ""], 2, "a scope is empty");
    check(&["add", "x", "--scope", "system/*.*", "--scope", " "], 2, "a scope is empty");
    for command in ["list", "revoke", "rotate"] {
        let named = if command == "list" { &[][..] } else { &["nobody"] };
        check(&[&[command], named].concat(), 3, "is no data directory");
        assert!(!Path::new(&data.path()).exists(), "nothing is made");
    }
    check(&["add", "x", "--scope", "system/*.rs?organization=o"], 0, "Patient, ");
    data.json(&["add", "twin", "--scope", "system/*.*"]);
    check(&["revoke", "nobody"], 3, "no client `nobody`");
    check(&["rotate", "nobody"], 3, "no client `nobody`");
    check(&["add", "twin", "--scope", "system/*.*"], 0, "another client is called `twin`");
    check(&["revoke", "twin"], 3, "by its id");
}

#[test]
fn what_is_made_is_told_and_made_only_where_it_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let add = |more: &[&str]| {
        let arguments = [&["client", "add", "lab", "--scope", "system/*.*"], more].concat();
        let output = crate::running::pipehat()
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (exit, said) = add(&[]);
    assert!(exit == Some(3) && said.contains("there is no project in ."), "{said}");
    assert!(!folder.path().join("data").exists());
    let (exit, said) = add(&["--data", "named/data"]);
    assert!(exit == Some(0) && said.contains("made the data directory named/data"), "{said}");
    let (exit, said) = add(&["--data", "named/data"]);
    assert!(exit == Some(0) && !said.contains("made"), "{said}");
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let (exit, said) = add(&["--data", "mine"]);
    assert!(exit == Some(0) && said.contains("made its clients.json"), "{said}");
    std::fs::write(folder.path().join("pipehat.yaml"), "data: kept\ndatastore:\n").unwrap();
    let (exit, said) = add(&[]);
    assert!(exit == Some(0) && said.contains("made the data directory ./kept"), "{said}");
    std::fs::write(folder.path().join("pipehat.yaml"), "dat: kept\n").unwrap();
    let (exit, said) = add(&[]);
    assert!(exit == Some(3) && said.contains("pipehat.yaml can't be read"), "{said}");
}

#[test]
fn the_token_url_is_the_one_that_works() {
    let project = tempfile::tempdir().unwrap();
    let settings = "http: { listen: 127.0.0.1:8972 }\n\
                    datastore: { base: \"https://fhir.example.org/fhir/R4\", store: secret:absent }\n";
    std::fs::write(project.path().join("pipehat.yaml"), settings).unwrap();
    let directory = project.path().to_str().unwrap();
    let beside = project.path().join("data");
    let elsewhere = Data::new();
    let check = |more: &[&str], expected: &str| {
        let add = ["client", "add", "lab", "--scope", "system/*.*", "--json"];
        let added = json(&[&add, more].concat(), b"");
        assert_eq!(added["token_url"], format!("{expected}/oauth2/token"), "{more:?}");
    };
    let public = "https://fhir.example.org";
    // From any folder, the secret not being there for this user, and before anything ran.
    check(&["--data", beside.to_str().unwrap()], public);
    check(&["--project", directory], public);
    check(&["--project", directory, "--data", &elsewhere.path()], public);
    check(&["--data", &elsewhere.path()], "http://127.0.0.1:8103");
    let admin = r#"{ "url": "http://127.0.0.1:9", "public_url": "https://a.example.org", "token": "t", "process": 1 }"#;
    std::fs::write(Path::new(&elsewhere.path()).join("admin.json"), admin).unwrap();
    check(&["--data", &elsewhere.path()], "https://a.example.org");
    let plain = "http: { listen: 127.0.0.1:8972 }\ndatastore:\n";
    std::fs::write(project.path().join("pipehat.yaml"), plain).unwrap();
    check(&["--data", beside.to_str().unwrap()], "http://127.0.0.1:8972");
}
