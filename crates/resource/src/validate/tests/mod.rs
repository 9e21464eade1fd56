//! Resources of many types, good and bad; golden files under `golden/`.

pub(crate) mod generated;
mod mutated;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Checks, DEPTH_MAX, ISSUES_MAX, validate};
use crate::json::{Value, parse};
use crate::outcome::{Issue, locate, operation_outcome};

fn golden(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the golden files are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(files.len() > 5);
    files
}

fn read(path: &Path) -> (String, Value) {
    let text = fs::read_to_string(path).expect("the golden file can be read");
    let value =
        parse(text.as_bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (text, value)
}

/// The golden resources that are valid.
fn valid() -> Vec<Value> {
    golden("valid").iter().map(|path| read(path).1).collect()
}

/// Issues as lines for people.
fn lines(issues: &[Issue]) -> String {
    let mut out = String::new();
    for issue in issues {
        let place = issue.place.map(|place| format!("{}:{} ", place.line, place.column));
        out.push_str(&format!(
            "{}{} {} {}{}: {}\n",
            place.unwrap_or_default(),
            issue.severity.as_str(),
            issue.code.as_str(),
            issue.expression.as_deref().unwrap_or("-"),
            issue.rule.map(|rule| format!(" ({rule})")).unwrap_or_default(),
            issue.text
        ));
    }
    out
}

#[test]
fn valid_resources_are_valid() {
    for path in golden("valid") {
        let issues = validate(&read(&path).1, Checks::All);
        assert!(issues.is_empty(), "{}:\n{}", path.display(), lines(&issues));
    }
}

#[test]
fn invalid_resources_are_reported() {
    for path in golden("invalid") {
        let (text, value) = read(&path);
        let mut issues = validate(&value, Checks::Structure);
        locate(&mut issues, &text);
        let found = lines(&issues);
        let file = path.with_extension("issues");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &found).expect("the golden file can be written");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, expected, "{}", path.display());
    }
}

#[test]
fn the_number_of_issues_is_bounded() {
    let check = |members: usize, expected: usize| {
        let bad: Vec<String> = (0..members).map(|at| format!("\"x{at}\": 1")).collect();
        let text = format!("{{\"resourceType\": \"Patient\", {}}}", bad.join(", "));
        let value = parse(text.as_bytes()).expect("it is JSON");
        assert_eq!(validate(&value, Checks::All).len(), expected, "of {members}");
    };
    check(ISSUES_MAX - 1, ISSUES_MAX - 1);
    check(ISSUES_MAX, ISSUES_MAX + 1);
    check(ISSUES_MAX * 50, ISSUES_MAX + 1);
}

#[test]
fn the_depth_is_bounded() {
    // Made by a program, not read: reading has a limit of its own.
    let nested = |levels: usize| {
        let member =
            |name: &str, value: Value| Value::Object([(name, value)].into_iter().collect());
        let mut extension = parse(br#"{"url": "a", "valueBoolean": true}"#).expect("it is JSON");
        for _ in 1..levels {
            let mut outer = member("url", "a".into());
            let list = Value::Array(vec![extension]);
            outer.as_object_mut().expect("it is one").set("extension", list);
            extension = outer;
        }
        let mut patient = member("resourceType", "Patient".into());
        let list = Value::Array(vec![extension]);
        patient.as_object_mut().expect("it is one").set("extension", list);
        patient
    };
    assert_eq!(validate(&nested(DEPTH_MAX), Checks::Structure), []);
    let issues = validate(&nested(DEPTH_MAX + 1), Checks::Structure);
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].code.as_str(), "too-costly");
}

#[test]
fn large_resources_are_checked_to_the_end() {
    let count = 20_000;
    let list = |item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    let contained = list(&|at| {
        format!(
            r#"{{"resourceType":"Observation","id":"o{at}","status":"final","code":{{"text":"x"}}}}"#
        )
    });
    let references = list(&|at| format!(r##"{{"reference":"#o{}"}}"##, count - 1 - at));
    let entries = list(&|at| {
        format!(
            r#"{{"fullUrl":"urn:x:{at}","resource":{{"resourceType":"Patient","active":true}}}}"#
        )
    });
    let items = list(&|at| format!(r#"{{"linkId":"{at}","type":"boolean"}}"#));
    for text in [
        format!(
            r#"{{"resourceType":"DiagnosticReport","status":"final","code":{{"text":"x"}},"contained":[{contained}],"result":[{references}]}}"#
        ),
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#),
        format!(r#"{{"resourceType":"Questionnaire","status":"draft","item":[{items}]}}"#),
    ] {
        let resource = parse(text.as_bytes()).expect("it is JSON");
        let issues = validate(&resource, Checks::All);
        assert!(issues.is_empty(), "{}", lines(&issues));
    }
}

#[test]
fn what_is_no_name_is_not_repeated() {
    let value = parse(br#"{"resourceType": "Jo Example 1980", "Jo Example 1980": 1, "a": 1}"#);
    let issues = validate(&value.expect("it is JSON"), Checks::Structure);
    assert!(!lines(&issues).contains("Jo"), "{}", lines(&issues));
    let value = parse(br#"{"resourceType": "Patient", "Jo Example 1980": 1}"#);
    let issues = validate(&value.expect("it is JSON"), Checks::Structure);
    assert_eq!(
        lines(&issues),
        "error structure Patient.\u{2026}: `\u{2026}` is no element of Patient\n"
    );
}

/// Any JSON, of names and values that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "resourceType",
        "id",
        "meta",
        "contained",
        "extension",
        "url",
        "valueString",
        "valueQuantity",
        "_valueString",
        "name",
        "_given",
        "given",
        "subject",
        "reference",
        "entry",
        "resource",
        "text",
        "div",
        "code",
        "coding",
        "x",
    ]);
    let texts = prop::sample::select(vec![
        "",
        "Patient",
        "Observation",
        "Bundle",
        "#",
        "#a",
        "Patient/1",
        "a",
        "<div>",
        "2024-01-01",
        "é",
        "&",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((names.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics(mut value in any_json()) {
        validate(&value, Checks::All);
        if let Value::Object(object) = &mut value {
            for resource_type in ["Patient", "Observation", "Bundle"] {
                object.set("resourceType", resource_type.into());
                validate(&Value::Object(object.clone()), Checks::All);
            }
        }
    }

    /// A valid resource's text with some bytes changed: where it is JSON still, it is valid or has issues at a place.
    #[test]
    fn no_changed_text_panics(which in 0usize..1000, changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 1..4)) {
        let files = golden("valid");
        let mut bytes = fs::read(&files[which % files.len()]).expect("the golden file can be read");
        for (at, letter) in changes {
            let at = at.index(bytes.len());
            bytes[at] = letter.as_bytes()[0];
        }
        if let Ok(value) = parse(&bytes) {
            let mut issues = validate(&value, Checks::All);
            locate(&mut issues, std::str::from_utf8(&bytes).expect("it was read"));
            let outcome = operation_outcome(&issues);
            prop_assert_eq!(validate(&outcome, Checks::All), []);
        }
    }

    #[test]
    fn no_narrative_panics(inner in "[<>/=\"'& a-c;:#x!-]{0,40}") {
        let text = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>");
        crate::narrative::problem(&text);
        crate::narrative::problem(&inner);
    }
}
