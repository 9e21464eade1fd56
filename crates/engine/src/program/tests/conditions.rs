//! What expressions say of a message.

use super::{message, outcome};
use crate::program::Verdict;
use crate::project::testing::{channel, files, load, run};

const PATIENT: &str = "PID|1||4711^^^GOOD^MR~007^^^CITY^PI||Duck^Donald||19340609|M||\"\"|\nOBX|1|NM|A||7.50||||\nOBX|2|NM|B||10|||HH|\nOBX|3|ST|C||a\\T\\b|||L|\nZPI|x";

#[track_caller]
fn check(expression: &str, expected: bool) {
    let quoted = expression.replace('\'', "''");
    let spec = channel(&format!("accept: '{quoted}'\n"));
    let verdict = run(&spec, &message(PATIENT));
    let accepted = matches!(verdict, Verdict::Routed { .. });
    assert_eq!(accepted, expected, "{expression}");
    // The opposite is the opposite: nothing fails at run time.
    let spec = channel(&format!("accept: 'not ({quoted})'\n"));
    let refused = matches!(run(&spec, &message(PATIENT)), Verdict::Filtered { .. });
    assert_eq!(refused, expected, "not ({expression})");
}

#[test]
fn comparisons_of_text() {
    check("PID-8 = \"M\"", true);
    check("PID-8 != \"M\"", false);
    check("PID-8 = \"m\"", false);
    check("MSH-9.2 in [\"A01\", \"A04\"]", true);
    check("MSH-9.2 not in [\"A01\", \"A04\"]", false);
    check("PID-5.1 < \"Eagle\"", true);
    check("PID-5.2 contains \"nal\"", true);
    check("PID-5.2 starts with \"Don\"", true);
    check("PID-5.2 ends with \"Don\"", false);
    check("PID-3[2].1 = MSH-10", false);
    check("OBX(3)-5 = \"a&b\"", true);
}

#[test]
fn numbers_compare_as_numbers_and_identifiers_as_text() {
    check("OBX-5 = 7.5", true);
    check("OBX-5 = \"7.5\"", false);
    check("OBX(2)-5 > 9", true);
    check("OBX(2)-5 > OBX-5", true);
    check("PID-3[2].1 = \"7\"", false);
    check("PID-3[2].1 = 7", true);
    check("OBX-5 in [1, 7.5]", true);
    check("PID-5.1 > 5", true);
    check("PID-7 >= \"19340609\"", true);
}

#[test]
fn absent_values_compare_false() {
    for absent in ["PID-2", "PID-10", "PID-40.2", "ZZZ-1", "OBX(9)-1"] {
        check(&format!("{absent} = \"x\""), false);
        check(&format!("{absent} != \"x\""), false);
        check(&format!("{absent} < 5"), false);
        check(&format!("{absent} not in [\"x\"]"), false);
        check(&format!("{absent} contains \"x\""), false);
        check(&format!("{absent} matches \".*\""), false);
        check(&format!("PID-8 = {absent}"), false);
        check(&format!("{absent} exists"), false);
    }
}

#[test]
fn absent_empty_and_null_are_told_apart() {
    check("PID-2 is empty", true);
    check("PID-2 is null", false);
    check("PID-10 is null", true);
    check("PID-10 null", true);
    check("PID-10 is empty", false);
    check("PID-40 is empty", true);
    check("PID-8 is not empty", true);
    check("PID-8 is not null", true);
    check("ZPI exists", true);
    check("ZPX exists", false);
    check("ZPX not exists", true);
    check("ZPX empty", true);
}

#[test]
fn one_or_every_place() {
    check("OBX-8 = \"HH\"", false);
    check("any(OBX-8) = \"HH\"", true);
    check("any(OBX(*)-8) in [\"HH\", \"LL\"]", true);
    check("all(OBX-8) = \"HH\"", false);
    check("all(OBX-5) exists", true);
    check("all(OBX-8) exists", false);
    check("any(PID-3.4) = \"CITY\"", true);
    check("all(PID-3.1) matches \"^[0-9]+$\"", true);
    check("all(ZZZ-1) = \"x\"", false);
    check("any(ZZZ-1) exists", false);
    check("count(OBX) = 3", true);
    check("count(PID-3) > 2", false);
}

#[test]
fn joined_and_nested() {
    check("PID-8 = \"F\" or PID-8 = \"M\" and ZPI exists", true);
    check("(PID-8 = \"F\" or PID-8 = \"M\") and ZPX exists", false);
    check("not PID-8 = \"F\" and not ZPX exists", true);
    check("not (not (PID-8 = \"M\"))", true);
}

#[test]
fn functions_of_values() {
    check("upper(PID-5.1) = \"DUCK\"", true);
    check("lower(PID-5.1) = \"duck\"", true);
    check("length(PID-3.1) = 4", true);
    check("length(PID-3.1) > 10", false);
    check("first(PID-7, 4) = \"1934\"", true);
    check("last(PID-7, 2) = \"09\"", true);
    check("substring(PID-7, 5, 2) = \"06\"", true);
    check("substring(PID-7, 5) = \"0609\"", true);
    check("substring(PID-7, 50) exists", false);
    check("before(MSH-7, \"12\") = \"20240722\"", true);
    check("after(PID-5.2, \"o\") = \"nald\"", true);
    check("after(PID-5.2, \"x\") exists", false);
    check("replace(PID-5.2, \"nald\", \"\") = \"Do\"", true);
    check("digits(PID-3.1) = \"4711\"", true);
    check("pad(PID-3[2].1, 5, \"0\") = \"00007\"", true);
    check("default(PID-2, \"none\") = \"none\"", true);
    check("default(PID-10, PID-8) = \"M\"", true);
    check("upper(PID-2) = \"X\"", false);
}

#[test]
fn facts_of_the_message() {
    check("channel = \"test\"", true);
    check("peer.address = \"10.0.0.7\"", true);
    check("peer.identity contains \"lab\"", true);
    check("peer.file exists", false);
    check("peer.file is empty", true);
    check("header(\"x-site\") = \"north\"", true);
    check("header(\"other\") exists", false);
}

#[test]
fn a_filter_names_its_place() {
    assert_eq!(outcome("accept: PID-8 = \"F\"\n", PATIENT), ["filtered by accept"]);
    let steps = "steps:\n  - set: { MSH-4: X }\n  - filter: { when: PID-8 = \"M\" }\n";
    assert_eq!(outcome(steps, PATIENT), ["filtered by steps[2].filter"]);
}

/// The text, where the mistake is, what is said and what is proposed.
#[track_caller]
fn refused(expression: &str, at: &str, message: &str, help: &str) {
    let quoted = expression.replace('\'', "''");
    let loaded = load(&files(&format!("accept: '{quoted}'\n")));
    let diagnostic = loaded.diagnostics.iter().next().expect("a mistake");
    let span = diagnostic.span().expect("a place");
    assert_eq!(
        (span.text(), diagnostic.message.as_str(), diagnostic.help.as_deref().unwrap_or("")),
        (at, message, help),
        "{expression}"
    );
}

#[test]
fn mistakes_point_at_the_character_and_say_what_to_write() {
    refused("PID-8 == \"M\"", "==", "`==` is not known here", "write `=`");
    refused("PID-8 = \"M\" && ZPI exists", "&&", "`&&` is not known here", "write `and`");
    refused("PID-8 <> \"M\"", "<>", "`<>` is not known here", "write `!=`");
    refused(
        "MSH-9.2 = A01",
        "A01",
        "`A01` names a whole segment, which has no single value",
        "name a field (`A01-1`); a text goes in quotes (`\"A01\"`)",
    );
    refused(
        "MSH-9.2 = adt",
        "adt",
        "`adt` is not known here",
        "segment names have capital letters: `ADT`",
    );
    refused(
        "PID-8 = male",
        "male",
        "`male` is not known here",
        "a text goes in quotes: `\"male\"`",
    );
    refused(
        "PID-8",
        "PID-8",
        "`PID-8` alone is no condition",
        "say what about it, as in `PID-8 exists` or `PID-8 = \"A\"`",
    );
    refused(
        "PID-8 exist",
        "exist",
        "this is no test that can follow here",
        "did you mean `exists`?",
    );
    refused(
        "PID-8 = \"M\" an ZPI exists",
        "an",
        "expected `and`, `or` or the end, found `an`",
        "did you mean `and`?",
    );
    refused("PID-8 = \"M", "\"M", "this text has no closing quote", "end it with \"");
    refused(
        "PID-8 = \"\"",
        "\"\"",
        "nothing is ever equal to an empty text",
        "write `is empty`, or `is null` for HL7's `\"\"`",
    );
    refused(
        "\"a\" = \"b\"",
        "\"a\" = \"b\"",
        "this compares two fixed values: its answer never changes",
        "name a field on one side, as in `PV1-2 = \"I\"`",
    );
    refused("(PID-8 = \"M\"", "(", "this `(` is never closed", "write `)` where it ends");
    refused("PID-8 = \"M\")", ")", "this `)` closes nothing", "");
    refused(
        "OBX(*)-8 = \"H\"",
        "OBX(*)-8",
        "`*` names several values where one is needed",
        "write `any(OBX(*)-8)` or `all(OBX(*)-8)`",
    );
    refused(
        "PID-3[+1] exists",
        "PID-3[+1]",
        "`+` names a place that does not exist yet",
        "`[+1]` is for writing; to read the last one, write `[last]`",
    );
    refused(
        "PID-8 in \"M\"",
        "\"M\"",
        "expected `[` and a list, found a text",
        "write a list: `in [\"A01\", \"A04\"]`; for one value `= \"A01\"`",
    );
    refused("PID-8 in []", "]", "this list is empty", "put the values in: `in [\"A01\", \"A04\"]`");
    refused(
        "PID-8 is \"M\"",
        "\"M\"",
        "expected `empty` or `null` after `is`, found a text",
        "to compare, write `=`: `PV1-2 = \"I\"`",
    );
    refused(
        "uper(PID-5.1) = \"A\"",
        "uper",
        "there is no function `uper`",
        "did you mean `upper`?",
    );
    refused(
        "first(PID-5.1) = \"A\"",
        "first",
        "this function takes other arguments",
        "write it like this: `first(PID-3.1, 3)`",
    );
    refused(
        "first(PID-5.1, 0) = \"A\"",
        "0",
        "a whole number from 1 on belongs here",
        "write it like this: `first(PID-3.1, 3)`",
    );
    refused(
        "PID-3 matches \"(\"",
        "\"(\"",
        "this pattern can't be read: unclosed group",
        "put a `\\` before characters that stand for themselves, such as `\\(`",
    );
    refused(
        "PID-0 exists",
        "0",
        "positions are counted from 1, as the standard prints them",
        "write 1 for the first",
    );
    refused("PID-8 =", "=", "expected a path, a text in quotes or a number, found the end", "");
    refused(
        "PID-8 = “M”",
        "“",
        "the character `“` means nothing here",
        "write straight quotes: \"…\"",
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| format!("{}PID-8 exists{}", "(".repeat(levels), ")".repeat(levels));
    let errors = |text: &str| load(&files(&format!("accept: {text}\n"))).diagnostics.errors();
    assert_eq!(errors(&deep(29)), 0);
    assert_eq!(errors(&deep(40)), 1);
    assert_eq!(errors(&format!("{}PID-8 exists", "not ".repeat(100_000))), 1);
}
