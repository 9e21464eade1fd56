//! The report as JUnit XML, the form that build servers read: a suite for each channel.

use std::fmt::Write as _;
use std::time::Duration;

use pipehat_engine::project::{CaseReport, Difference, Mismatch};

use super::{Outcome, report};

/// A case in the report.
pub(in crate::commands) struct JunitCase<'c> {
    pub(in crate::commands) suite: &'c str,
    pub(in crate::commands) name: &'c str,
    pub(in crate::commands) folder: &'c str,
    pub(in crate::commands) mismatches: &'c [Mismatch],
    pub(in crate::commands) is_in_order: bool,
}

pub(super) fn report(outcome: &Outcome) -> String {
    let records = outcome.run.diagnostics.records();
    let errors: Vec<_> = records
        .iter()
        .filter(|record| record.severity == "error")
        .map(|record| [record.file.as_str(), record.code, record.message.as_str()])
        .collect();
    let folders: Vec<_> = outcome.run.cases.iter().map(CaseReport::folder).collect();
    let cases: Vec<_> = outcome
        .run
        .cases
        .iter()
        .zip(&folders)
        .map(|(case, folder)| JunitCase {
            suite: &case.channel,
            name: &case.case,
            folder,
            mismatches: &case.mismatches,
            is_in_order: outcome.is_in_order(case),
        })
        .collect();
    written("pipehat test", &cases, &errors, outcome.took)
}

/// The report; `errors` are files, codes and messages of mistakes in the cases themselves.
pub(in crate::commands) fn written(
    title: &str,
    cases: &[JunitCase<'_>],
    errors: &[[&str; 3]],
    took: Duration,
) -> String {
    let failures = cases.iter().filter(|case| !case.is_in_order).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a string does not fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"{title}\" tests=\"{}\" failures=\"{failures}\" errors=\"{}\" time=\"{:.3}\">",
        cases.len() + errors.len(),
        errors.len(),
        took.as_secs_f64()
    );
    for suite in cases.chunk_by(|one, other| one.suite == other.suite) {
        let channel = suite.first().map_or("", |case| case.suite);
        let failures = suite.iter().filter(|case| !case.is_in_order).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            escaped(channel),
            suite.len()
        );
        for case in suite {
            one(&mut xml, case);
        }
        xml.push_str("  </testsuite>\n");
    }
    if !errors.is_empty() {
        let count = errors.len();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"mistakes in cases\" tests=\"{count}\" errors=\"{count}\">"
        );
        for [file, code, message] in errors {
            let _ = writeln!(
                xml,
                "    <testcase classname=\"mistakes in cases\" name=\"{}\"><error type=\"{}\" \
                 message=\"{}\"/></testcase>",
                escaped(file),
                escaped(code),
                escaped(message)
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn one(xml: &mut String, case: &JunitCase<'_>) {
    let (channel, name) = (escaped(case.suite), escaped(case.name));
    let folder = escaped(case.folder);
    if case.is_in_order {
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{channel}\" name=\"{name}\" file=\"{folder}\"/>"
        );
        return;
    }
    let _ =
        writeln!(xml, "    <testcase classname=\"{channel}\" name=\"{name}\" file=\"{folder}\">");
    // Readers of the format take one failure for a case.
    let message = case.mismatches.first().map(report::sentence).unwrap_or_default();
    let mut text = String::new();
    for mismatch in case.mismatches {
        let _ = writeln!(text, "{}", report::sentence(mismatch));
        match mismatch {
            Mismatch::Differs { differences, .. } => {
                for difference in differences {
                    let Difference { expected, actual, .. } = difference;
                    let place = difference.named_place();
                    let value = |value: &Option<String>| match value {
                        Some(value) => format!("`{value}`"),
                        None => "nothing".to_owned(),
                    };
                    let _ = writeln!(text, "  {place}");
                    let _ = writeln!(text, "    expected {}", value(expected));
                    let _ = writeln!(text, "    actual   {}", value(actual));
                }
            }
            Mismatch::NotExpected { actual, .. } => {
                let _ = writeln!(text, "{actual}");
            }
            Mismatch::NothingExpected | Mismatch::Ended { .. } | Mismatch::Missing { .. } => {}
        }
    }
    let _ = writeln!(
        xml,
        "      <failure type=\"mismatch\" message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&message),
        escaped(text.trim_end())
    );
}

/// Text for XML 1.0, which has no way to write most control characters: they stand as `\xNN`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(control));
            }
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_say_is_written_otherwise() {
        assert_eq!(escaped("a<b>&\"c\"\n"), "a&lt;b&gt;&amp;&quot;c&quot;\n");
        assert_eq!(escaped("\u{b}x\r\u{7f}\u{FFFF}"), "\\x0bx\\x0d\\x7f\u{FFFD}");
    }
}
