//! Nothing takes more than it may, and nothing panics.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::super::{
    Context, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, Expression, Limits, ParseProblem,
};
use super::{PATIENT, check, evaluated, now, read};

fn problem(expression: &str) -> Option<ParseProblem> {
    Expression::parse(expression).err().map(|error| error.problem)
}

#[test]
fn length_is_limited() {
    let expression = |bytes: usize| format!("'{}'", "a".repeat(bytes - 2));
    assert_eq!(problem(&expression(EXPRESSION_BYTES_MAX)), None);
    assert_eq!(problem(&expression(EXPRESSION_BYTES_MAX + 1)), Some(ParseProblem::Length));
}

#[test]
fn depth_is_limited() {
    for (open, close) in [("(", ")"), ("iif(true, ", ")"), ("a[", "]"), ("1 + (", ")")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(problem(&nested(EXPRESSION_DEPTH_MAX / 2)), None, "{open}");
        assert_eq!(problem(&nested(2 * EXPRESSION_DEPTH_MAX)), Some(ParseProblem::Depth), "{open}");
        check(&nested(EXPRESSION_DEPTH_MAX / 2).replace("a[", "1["), &{
            let root = read(PATIENT);
            evaluated(
                &nested(EXPRESSION_DEPTH_MAX / 2).replace("a[", "1["),
                &root,
                &Context::new(now()),
            )
        });
    }
    assert_eq!(problem(&format!("{}1", "-".repeat(10_000))), Some(ParseProblem::Depth));
    // Long is not deep.
    assert_eq!(problem(&format!("1{}", " + 1".repeat(10_000))), None);
    assert_eq!(problem(&format!("a{}", ".a".repeat(10_000))), None);
}

fn limited(expression: &str, limits: Limits) -> String {
    let root = read(PATIENT);
    let context = Context::new(now()).with_limits(limits);
    evaluated(expression, &root, &context)
}

#[test]
fn evaluation_is_limited() {
    let limits = Limits { steps_max: 1000, items_max: 8, string_bytes_max: 16 };
    let check = |expression: &str, expected: &str| {
        assert_eq!(limited(expression, limits), expected, "{expression}");
    };
    check("(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8).count()", "8");
    check(
        "(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9).count()",
        "error: column 4: a collection has more than 8 items",
    );
    check("descendants()", "error: column 1: a collection has more than 8 items");
    check("'12345678' & '12345678'", "'1234567812345678'");
    check("'12345678' & '123456789'", "error: column 12: a string has more than 16 bytes");
    check("'aaaa'.replace('a', '12345')", "error: column 8: a string has more than 16 bytes");
    check(
        "'aaaa'.replaceMatches('a', '12345')",
        "error: column 8: a string has more than 16 bytes",
    );
    check("('12345678' | '123456789').join()", "error: column 28: a string has more than 16 bytes");
    let eight = "(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8)";
    let nested = format!("{eight}.all({eight}.all({eight}.all(true)))");
    let result = limited(&nested, Limits { items_max: 100, ..limits });
    assert!(result.ends_with("the expression takes more than 1000 steps"), "{result}");
}

#[test]
fn hostile_expressions_end() {
    for expression in [
        "Patient.repeat($this)",
        "(1).repeat($this + 1)",
        "('a').repeat($this & $this)",
        "descendants().select(%resource.descendants()).select(%resource.descendants())",
        "descendants().select('a' & 'b').select(%resource.descendants().toString()).join()",
        "'a'.repeat(replaceMatches('a', 'aaaaaaaaaaaaaaaa'))",
        "descendants().where('a'.matches('(' & 'a' & '{1,200}){1,200}'))",
    ] {
        let started = std::time::Instant::now();
        let result = limited(expression, Limits { steps_max: 200_000, ..Limits::default() });
        assert!(started.elapsed().as_secs() < 20, "{expression}: {result}");
    }
}

/// Expressions, most of them nearly right.
fn expressions() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        proptest::sample::select(vec![
            "Patient",
            "name",
            "given",
            "birthDate",
            "extension",
            "value",
            "$this",
            "$index",
            "%resource",
            "1",
            "2.50",
            "'a'",
            "@2015",
            "@2015-02-04T10:00:00Z",
            "@T10:30",
            "4 days",
            "1 'mg'",
            "{}",
            "true",
            "(",
            ")",
            "[",
            "]",
            ".",
            ",",
            "+",
            "-",
            "*",
            "/",
            "|",
            "&",
            "=",
            "!=",
            "~",
            "<",
            ">=",
            "div",
            "mod",
            "and",
            "or",
            "xor",
            "implies",
            "in",
            "contains",
            "is",
            "as",
            "Quantity",
            "where(",
            "select(",
            "first()",
            ".first()",
            ".exists()",
            ".count()",
            ".repeat(",
            ".substring(",
            ".matches(",
            ".toString()",
            ".toQuantity()",
            ".power(",
            ".round(",
            ".resolve()",
            ".descendants()",
            ".not()",
            ".toDateTime()",
            ".iif(",
            ".aggregate(",
            ".combine(",
            ".ofType(",
            ".replaceMatches(",
            ".abs()",
            ".sqrt()",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    let separator = prop_oneof![Just(""), Just(" ")];
    proptest::collection::vec((words, separator), 0..24)
        .prop_map(|words| words.into_iter().map(|(word, end)| word + end).collect())
}

proptest! {
    #[test]
    fn no_expression_panics(expression in expressions()) {
        limited(&expression, Limits { steps_max: 20_000, items_max: 2_000, string_bytes_max: 2_000 });
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        limited(&text, Limits { steps_max: 20_000, items_max: 2_000, string_bytes_max: 2_000 });
    }
}
