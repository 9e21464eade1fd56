//! `docs/validation.md`: every rule of validation, with its severity at each level.

use std::fmt::Write as _;

use pipehat_dictionary::Detail;
use pipehat_dictionary::validation::{CONDITIONAL_RULES, Level, Rule};

use crate::page::cell;

const HEAD: &str = "\
<!-- Made from the rules' own descriptions by `cargo xtask docs`; change them there. -->

# Rules of validation

What `pipehat message validate` and the `validate` step look for, and how bad it is at each level:
**E** error, **W** warning, **I** information, empty where the level does not look. `lenient` is for
feeds that must run whatever they send; `standard`, the default, calls an error what keeps a careful
receiver from reading the message rightly, and a warning what irritates some; `strict` is to the
letter, for those who test what they send. Names are stable.

*Code* is the condition in HL7 table 0357, which an ERR segment reports. Clauses are those of one
version of the standard; other versions have the same rule elsewhere.
";

const COLUMNS: &str = "\
| rule | what it finds | code | lenient | standard | strict | clause |
| --- | --- | --- | --- | --- | --- | --- |
";

/// The page.
pub(crate) fn text() -> String {
    let mut page = String::from(HEAD);
    let _ = write!(page, "\n## Segments, fields and values\n\n{COLUMNS}");
    for rule in Rule::ALL {
        row(&mut page, rule);
    }
    let _ = write!(
        page,
        "\n## Several fields of a segment\n\n\
         What the standard calls conditional. The free definitions do not say what it depends on; these rules \
         are read from its text.\n\n{COLUMNS}"
    );
    for rule in CONDITIONAL_RULES {
        row(&mut page, Rule::Conditional(rule));
    }
    page
}

fn row(page: &mut String, rule: Rule) {
    let severity = |level| rule.severity(level).map_or("", |severity| severity.as_str());
    let [lenient, standard, strict] = Level::ALL.map(severity);
    let segment = match rule {
        Rule::Conditional(rule) => format!("{}: ", String::from_utf8_lossy(rule.segment)),
        _ => String::new(),
    };
    // Writing to a string can't fail.
    let _ = writeln!(
        page,
        "| `{}` | {segment}{} | {} | {lenient} | {standard} | {strict} | {} |",
        rule.id(),
        cell(rule.summary()),
        rule.code().number(),
        cell(&rule.clause(&Detail::None)),
    );
}
