//! Whole projects: broken ones, the examples, and cases.

use std::path::{Path, PathBuf};

use pipehat_config::Colour;

use super::cases::{CaseUpdate, Mismatch, run_cases};
use super::files::{DirectoryFiles, MemoryFiles};
use super::load::{Loaded, Project};
use super::testing::{TestEnvironment, files, load};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every broken project under `golden/check` against its `expected.txt`.
#[test]
fn broken_projects_are_told_in_words_for_their_owners() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/check");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&golden)
        .expect("the folder of golden cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 20, "twenty differently broken configurations are promised");
    let mut wrong = Vec::new();
    for folder in folders {
        let loaded = load(&DirectoryFiles::new(&folder));
        assert!(loaded.project.is_none(), "{} is not broken", folder.display());
        let told = loaded.diagnostics.render(Colour::Never);
        let expected = folder.join("expected.txt");
        if update {
            std::fs::write(&expected, &told).expect("the expectation is written");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every code a broken project shows is explained.
#[test]
fn every_code_is_explained() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/check");
    for entry in std::fs::read_dir(golden).expect("the folder of golden cases") {
        let loaded = load(&DirectoryFiles::new(entry.expect("an entry").path()));
        for diagnostic in &loaded.diagnostics {
            let known = super::CODES.iter().chain(pipehat_config::CODES);
            let known = known.map(|known| known.code);
            let known = known.chain(pipehat_connectors::SFTP_CODES.iter().map(|known| known.code));
            let known = known.filter(|known| *known == diagnostic.code).count();
            assert_eq!(known, 1, "{}", diagnostic.code);
        }
    }
}

#[test]
fn the_examples_load_and_pass_their_cases() {
    for name in ["intake", "lookup", "query", "relay", "strict"] {
        let files = DirectoryFiles::new(repository().join("examples").join(name));
        let directory = repository().join("examples").join(name);
        let Loaded { project, diagnostics } =
            Project::load(&directory, &TestEnvironment, &TestEnvironment);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(Colour::Never));
        let run = run_cases(&project.expect("a project"), &files, None);
        assert!(run.passed(), "{name}: {run:#?}");
        assert!(run.cases.len() >= 2, "{name}");
    }
}

#[test]
fn a_revision_changes_with_the_file_and_the_tables_it_uses() {
    let revision = |files: &MemoryFiles| {
        let project = load(files).project.expect("a sound project");
        project.channels.first().expect("one channel").revision
    };
    let rest = "steps: [ { map: { field: PID-8, table: gender } } ]\n";
    let one = revision(&files(rest));
    assert_eq!(one, revision(&files(rest)));
    assert_ne!(one, revision(&files(&format!("{rest}# more\n"))));
    assert_eq!(one, revision(&files(rest).with("tables/other.csv", "a,b\n1,2\n")));
    assert_ne!(one, revision(&files(rest).with("tables/gender.csv", "a,b\n1,2\n")));
}

#[test]
fn a_fingerprint_changes_with_the_section_only() {
    let prints = |rest: &str| {
        let project = load(&files(rest)).project.expect("a sound project");
        let channel = project.channels.first().expect("one channel");
        let destination = channel.destinations.first().expect("one destination");
        (channel.source.fingerprint, destination.fingerprint)
    };
    let destination =
        |rest: &str| format!("destinations: {{ a: {{ mllp: {{ connect: {rest} }} }} }}\n");
    let one = prints(&destination("127.0.0.1:1"));
    assert_eq!(
        one,
        prints(&format!("steps: [ {{ clear: PID-3 }} ]\n{}", destination("127.0.0.1:1")))
    );
    let other = prints(&destination("127.0.0.1:2"));
    assert_eq!(one.0, other.0);
    assert_ne!(one.1, other.1);
}

#[test]
fn secrets_and_variables_stay_out_of_what_is_told() {
    let loaded = load(&files("accept: '${TEST_SITE} ='\n"));
    let told = loaded.diagnostics.render(Colour::Never);
    assert!(loaded.diagnostics.is_err() && !told.contains("GENERAL"), "{told}");
}

const CASE: &str = "MSH|^~\\&|A|B\nPID|1||a|||||M\n";

fn with_cases(files: &[(&str, &str)]) -> (super::CasesRun, String) {
    let mut project = super::testing::files(
        "steps: [ { map: { field: PID-8, table: gender } } ]\ndestinations: { out: { mllp: { connect: 127.0.0.1:1 } } }\n",
    );
    for (path, content) in files {
        project = project.with(*path, *content);
    }
    let loaded = load(&project).project.expect("a sound project");
    let run = run_cases(&loaded, &project, None);
    let told = run.diagnostics.render(Colour::Never);
    (run, told)
}

#[test]
fn a_case_passes_when_everything_comes_out_as_expected() {
    let out = "MSH|^~\\&|A|B\r\nPID|1||a|||||male\r\n";
    let (run, _) = with_cases(&[("tests/test/a/in.hl7", CASE), ("tests/test/a/out.out.hl7", out)]);
    assert!(run.passed(), "{run:?}");
    let parked = CASE.replace("|M", "|X");
    for ended in ["parked", "parked program.map-no-match\n"] {
        let (run, _) =
            with_cases(&[("tests/test/a/in.hl7", &parked), ("tests/test/a/ended.txt", ended)]);
        assert!(run.passed(), "{run:?}");
    }
}

#[track_caller]
fn mismatches(files: &[(&str, &str)]) -> (Vec<Mismatch>, Vec<CaseUpdate>) {
    let (run, told) = with_cases(files);
    assert_eq!(told, "");
    let [report] = run.cases.as_slice() else { panic!("one case: {run:?}") };
    (report.mismatches.clone(), report.updates.clone())
}

#[test]
fn a_case_that_differs_names_the_fields() {
    let out = "MSH|^~\\&|A|B\nPID|1||b|||||M\n";
    let (found, updates) =
        mismatches(&[("tests/test/a/in.hl7", CASE), ("tests/test/a/out.out.hl7", out)]);
    let [Mismatch::Differs { file, differences }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(file, "out.out.hl7");
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "PID-3 (Patient Identifier List): expected `b`, found `a`",
            "PID-8 (Administrative Sex): expected `M`, found `male`"
        ]
    );
    let [update] = updates.as_slice() else { panic!("{updates:?}") };
    assert_eq!(update.path, "tests/test/a/out.out.hl7");
    assert_eq!(update.content.as_deref(), Some(&b"MSH|^~\\&|A|B\nPID|1||a|||||male\n"[..]));
}

#[test]
fn a_case_that_ends_otherwise_says_how_and_where() {
    let (found, updates) =
        mismatches(&[("tests/test/a/in.hl7", CASE), ("tests/test/a/ended.txt", "filtered\n")]);
    let [Mismatch::Ended { expected, actual, .. }, Mismatch::NotExpected { file, .. }] =
        found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!((expected.as_str(), actual.as_str()), ("filtered", "delivered"));
    assert_eq!(file, "out.out.hl7");
    let removed = updates.iter().find(|update| update.path.ends_with("ended.txt"));
    assert_eq!(removed.expect("an update").content, None);
}

#[test]
fn a_case_without_expectations_fails() {
    let (found, updates) = mismatches(&[("tests/test/a/in.hl7", CASE)]);
    assert_eq!(found, [Mismatch::NothingExpected]);
    assert_eq!(updates.len(), 1);
    let extra = "MSH|^~\\&|A|B\nPID|1||a|||||male\n";
    let (found, _) = mismatches(&[
        ("tests/test/a/in.hl7", CASE),
        ("tests/test/a/out.out.hl7", extra),
        ("tests/test/a/out.out.2.hl7", extra),
    ]);
    assert_eq!(found, [Mismatch::Missing { file: "out.out.2.hl7".to_owned() }]);
}

#[test]
fn the_sender_and_the_time_of_a_case_can_be_set() {
    let project = super::testing::files(
        "accept: peer.address = \"10.1.1.1\"\nsteps: [ { set: { PID-2: \"{now}\" } } ]\ndestinations: { out: { mllp: { connect: 127.0.0.1:1 } } }\n",
    )
    .with("tests/test/a/in.hl7", "MSH|^~\\&|A|B\nPID|1\n")
    .with("tests/test/a/case.yaml", "now: 2024-02-29T12:00:00Z\npeer: { address: 10.1.1.1 }\n")
    .with("tests/test/a/out.out.hl7", "MSH|^~\\&|A|B\nPID|1|20240229120000+0000\n");
    let loaded = load(&project).project.expect("a sound project");
    let run = run_cases(&loaded, &project, None);
    assert!(run.passed() && run.cases.len() == 1, "{run:?}");
}

#[test]
fn cases_of_unknown_channels_and_without_a_message_are_mistakes() {
    let (run, told) =
        with_cases(&[("tests/tset/a/in.hl7", CASE), ("tests/test/b/out.out.hl7", CASE)]);
    assert!(!run.passed() && run.cases.is_empty());
    assert!(told.contains("did you mean `test`?") && told.contains("`in.hl7`"), "{told}");
}

#[test]
fn a_chosen_case_runs_alone() {
    let project = super::testing::files("")
        .with("tests/test/a/in.hl7", CASE)
        .with("tests/test/b/in.hl7", CASE)
        .with("tests/test/a/ended.txt", "kept")
        .with("tests/test/b/ended.txt", "kept");
    let loaded = load(&project).project.expect("a sound project");
    let names = |wanted: Option<&str>| -> Vec<String> {
        let run = run_cases(&loaded, &project, wanted);
        run.cases.into_iter().map(|report| report.folder()).collect()
    };
    assert_eq!(names(None), ["tests/test/a", "tests/test/b"]);
    assert_eq!(names(Some("test")), ["tests/test/a", "tests/test/b"]);
    assert_eq!(names(Some("test/b")), ["tests/test/b"]);
    assert_eq!(names(Some("other")), [] as [&str; 0]);
}

const SEARCHED: &str = r#"[{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:s","value":"a"}]},
    {"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:s","value":"b"}]},
    {"resourceType":"Patient","id":"p3","identifier":[{"system":"urn:s","value":"b"}]},
    {"resourceType":"Group","id":"a","identifier":[{"system":"urn:s","value":"a"}]}]"#;

/// Runs the case of a channel that searches for PID-3.1; `in.hl7` has this one.
fn with_lookup(search: &str, id: &str, files: &[(&str, &str)]) -> (super::CasesRun, String) {
    let mut project = super::testing::files(&format!(
        "steps: [ {{ lookup: {{ fhir: local, search: \"{search}\", into: {{ PID-2.1: id }} }} }} ]\n\
         destinations: {{ out: {{ mllp: {{ connect: 127.0.0.1:1 }} }} }}\n"
    ));
    project = project.with("tests/test/a/in.hl7", format!("MSH|^~\\&|A|B\nPID|1||{id}\n"));
    for (path, content) in files {
        project = project.with(*path, *content);
    }
    let loaded = load(&project);
    let Some(loaded) = loaded.project else {
        panic!("{}", loaded.diagnostics.render(Colour::Never))
    };
    let run = run_cases(&loaded, &project, None);
    let told = run.diagnostics.render(Colour::Never);
    (run, told)
}

const BY_IDENTIFIER: &str = "Patient?identifier=urn:s|{PID-3.1}";

#[test]
fn a_case_searches_the_resources_beside_it() {
    let out = |patient: &str| format!("MSH|^~\\&|A|B\nPID|1|{patient}|a\n");
    let out_p1 = ("tests/test/a/out.out.hl7", out("p1"));
    let out_p1 = (out_p1.0, out_p1.1.as_str());
    let passes = |id: &str, files: &[(&str, &str)]| {
        let (run, told) = with_lookup(BY_IDENTIFIER, id, files);
        assert!(run.passed(), "{run:#?} {told}");
    };
    passes("a", &[out_p1, ("tests/test/a/datastore.json", SEARCHED)]);
    passes("a", &[out_p1, ("tests/test/datastore.json", SEARCHED)]);
    let own = ("tests/test/a/datastore.json", "[]");
    let parked = ("tests/test/a/ended.txt", "parked program.lookup-no-match");
    passes("a", &[parked, own, ("tests/test/datastore.json", SEARCHED)]);
    passes("c", &[parked, ("tests/test/datastore.json", SEARCHED)]);
    let several = ("tests/test/a/ended.txt", "parked program.lookup-several");
    passes("b", &[several, ("tests/test/datastore.json", SEARCHED)]);
    // An answer word for word, as a resource or as the Bundle of a server.
    let bundle =
        r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"p1"}}]}"#;
    for answer in [r#"{"resourceType":"Patient","id":"p1"}"#, bundle] {
        passes("a", &[out_p1, ("tests/test/a/lookup.json", answer), own]);
    }
    let refused = r#"{"resourceType":"OperationOutcome"}"#;
    let parked = ("tests/test/a/ended.txt", "parked program.lookup-refused");
    passes("a", &[parked, ("tests/test/a/lookup.json", refused)]);
}

#[test]
fn a_case_that_can_not_answer_says_so() {
    let check = |search: &str, files: &[(&str, &str)], expected: &str| {
        let (run, told) = with_lookup(search, "a", files);
        assert!(!run.passed() && told.contains(expected), "{told}");
    };
    check(BY_IDENTIFIER, &[], "does not say what it finds");
    let second = [("tests/test/a/lookup.2.json", SEARCHED)];
    check(BY_IDENTIFIER, &second, "does not say what it finds");
    let searched = [("tests/test/datastore.json", SEARCHED)];
    check("Patient?organization.name={PID-3.1}", &searched, "does not follow references");
    check("Patient?own={PID-3.1}\", custom: [ own ], otherwise: \"keep", &searched, "`own`");
    check(BY_IDENTIFIER, &[("tests/test/a/datastore.json", "[{}]")], "no `resourceType`");
    check(BY_IDENTIFIER, &[("tests/test/a/lookup.json", "{")], "these are no FHIR resources");
}

#[test]
fn a_failing_case_says_what_was_searched() {
    let expected = [("tests/test/a/out.out.hl7", CASE), ("tests/test/datastore.json", SEARCHED)];
    let (run, _) = with_lookup(BY_IDENTIFIER, "c", &expected);
    let Some(Mismatch::Ended { reason, .. }) = run.cases[0].mismatches.first() else {
        panic!("{run:?}")
    };
    assert!(reason.contains("`Patient?identifier=urn:s%7Cc` found nothing"), "{reason}");
}

/// A channel that follows the changes of a datastore, and one case of it.
fn with_change(rest: &str, case: &[(&str, &str)]) -> (super::CasesRun, String) {
    let mut project = MemoryFiles::new().with(
        "channels/test.yaml",
        format!("channel: test\nsource:\n  fhir: {{ on: [create, update, delete] }}\n{rest}"),
    );
    let name = |file: &str| format!("tests/test/a/{file}");
    let input = r#"{"resourceType": "Patient", "id": "p1"}"#;
    project = project.with(name("in.json"), input.to_owned());
    for (path, content) in case {
        project = project.with(name(path), *content);
    }
    let loaded = load(&project);
    let Some(loaded) = loaded.project else {
        panic!("{}", loaded.diagnostics.render(Colour::Never))
    };
    let run = run_cases(&loaded, &project, None);
    let told = run.diagnostics.render(Colour::Never);
    (run, told)
}

const CHOOSING: &str = r#"
accept: fhir.type = "Patient" and not (fhir.id = "hidden")
steps:
  - park: nobody updates
    when: fhir.change = "update" and fhir.version > 2
  - route: [ gone ]
    when: fhir.change = "delete"
destinations:
  written:
    when: fhir.change in ["create", "update"]
    fhir: local
  gone: { fhir: local }
  never: { steps: [ { filter: { when: 'fhir.change exists' } } ], fhir: local }
"#;

/// Laid out otherwise, it is the same JSON.
const SAME: &str = "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"p1\"\n}\n";

#[test]
fn a_channel_of_json_tells_changes_apart_and_its_cases_say_which() {
    let passes = |case: &[(&str, &str)]| {
        let (run, told) = with_change(CHOOSING, case);
        assert!(run.passed(), "{case:?} {run:#?} {told}");
    };
    let (written, gone) = (("out.written.json", SAME), ("out.gone.json", SAME));
    let deleted = ("out.gone.delete.json", SAME);
    passes(&[written, gone]);
    passes(&[("case.yaml", "fhir: { change: update }"), written, gone]);
    passes(&[("case.yaml", "fhir: { change: delete, id: p2, version: 7 }"), deleted]);
    let parked = ("ended.txt", "parked program.park");
    passes(&[("case.yaml", "fhir: { change: update, version: 3 }"), parked]);
    let filtered = ("ended.txt", "filtered");
    passes(&[("case.yaml", "fhir: { change: delete, id: hidden }"), filtered]);
    passes(&[("case.yaml", "fhir: { change: create, type: Group }"), filtered]);

    // A deletion is no write of the same resource.
    let (run, _) = with_change(CHOOSING, &[("case.yaml", "fhir: { change: delete }"), gone]);
    let [Mismatch::NotExpected { file, .. }, Mismatch::Missing { .. }] =
        &run.cases[0].mismatches[..]
    else {
        panic!("{run:#?}")
    };
    assert_eq!(file, "out.gone.delete.json");
    let (run, _) = with_change(CHOOSING, &[written, deleted]);
    assert!(!run.passed(), "{run:#?}");

    let (run, _) = with_change(CHOOSING, &[written]);
    assert!(matches!(run.cases[0].mismatches[..], [Mismatch::NotExpected { .. }]), "{run:#?}");
    let another = ("out.gone.json", r#"{"resourceType": "Patient", "id": "p2"}"#);
    let (run, _) = with_change(CHOOSING, &[written, another]);
    assert!(matches!(run.cases[0].mismatches[..], [Mismatch::Differs { .. }]), "{run:#?}");
}

#[test]
fn a_change_in_a_case_must_be_one() {
    let (_, told) = with_change(CHOOSING, &[("case.yaml", "fhir: { change: deleted }")]);
    assert!(told.contains("did you mean `delete`"), "{told}");
    let project = files("").with("tests/test/a/in.hl7", "MSH|^~\\&|A|B\n");
    let project = project.with("tests/test/a/case.yaml", "fhir: { change: delete }");
    let run = run_cases(&load(&project).project.expect("a project"), &project, None);
    let told = run.diagnostics.render(Colour::Never);
    assert!(told.contains("project.test-change"), "{told}");
}
