//! Usage, cardinality and length, each with what contradicts it.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};

use super::super::constraint::{Length, UsageConstraint};
use super::condition;
use crate::element::{Cardinality, Usage};

/// `usage` with the `when` beside it.
pub(super) fn usage_constraint(fields: &mut Fields<'_, '_>) -> Option<UsageConstraint> {
    let when_node = fields.take("when");
    let when = when_node.and_then(|node| condition(node, fields.diagnostics()));
    let usage_node = fields.map().get("usage");
    let read = fields.optional("usage", usage);
    if let Some(node) = when_node.filter(|_| usage_node.is_none()) {
        fields.diagnostics().push(
            Diagnostic::error(
                "profile.usage",
                &node.span,
                "there is no usage that this could decide",
            )
            .with_help("add `usage: C(R/O)`: required when it holds, optional when not"),
        );
    }
    let (usage, otherwise) = read?;
    let depends = otherwise != usage;
    if let Some(node) = usage_node.filter(|_| depends != when_node.is_some()) {
        let (message, help) = if depends {
            ("a conditional usage needs its condition", "add `when: …`, or write R, RE, O or X")
        } else {
            (
                "this usage does not depend on a condition",
                "write `C(R/O)`: R when it holds, O when not",
            )
        };
        fields
            .diagnostics()
            .push(Diagnostic::error("profile.usage", &node.span, message).with_help(help));
        return None;
    }
    Some(UsageConstraint { usage, otherwise, when })
}

/// `R`, or `C(R/O)`. `C` alone is `C(R/X)` and `CE` is `C(RE/X)` (HL7 v2.5.1 §2.12.6.6).
pub(super) fn usage(node: &Node, diagnostics: &mut Diagnostics) -> Option<(Usage, Usage)> {
    let text = node.text_not_empty(diagnostics)?;
    let found = match text {
        "C" => Some((Usage::Required, Usage::NotSupported)),
        "CE" => Some((Usage::RequiredOrEmpty, Usage::NotSupported)),
        "B" | "W" => None,
        text => match text.strip_prefix("C(").and_then(|rest| rest.strip_suffix(')')) {
            Some(inner) => inner.split_once('/').and_then(|(when, otherwise)| {
                let read = |code: &str| {
                    Usage::from_code(code)
                        .filter(|usage| matches!(usage.code(), "R" | "RE" | "O" | "X"))
                };
                Some((read(when)?, read(otherwise)?)).filter(|(when, otherwise)| when != otherwise)
            }),
            None => Usage::from_code(text).map(|usage| (usage, usage)),
        },
    };
    if found.is_none() {
        let near = nearest(text, ["R", "RE", "O", "C", "CE", "X"]);
        diagnostics.push(
            Diagnostic::error("profile.usage", &node.span, "this is no usage")
                .with_nearest(near)
                .with_help("the usages are R (required), RE (required or empty), O (optional), X (not supported), and C(R/O) with a `when`"),
        );
    }
    found
}

/// `0..1`, `1..*`, or one number for both ends.
pub(super) fn range(
    node: &Node,
    most: u32,
    diagnostics: &mut Diagnostics,
) -> Option<(u32, Option<u32>)> {
    let text = node.text_not_empty(diagnostics)?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|&number| digits && number <= most)
    };
    let found = match text.split_once("..") {
        Some((least, "*")) => number(least).map(|least| (least, None)),
        Some((least, most)) => number(least).zip(number(most).map(Some)),
        None => number(text).map(|number| (number, Some(number))),
    };
    let found = found.filter(|(least, most)| most.is_none_or(|most| *least <= most));
    if found.is_none() {
        diagnostics.push(
            Diagnostic::error("profile.range", &node.span, "this is no range")
                .with_help("write the least and the most, as in `0..1`, `1..4` or `1..*`, or one number for exactly that"),
        );
    }
    found
}

fn cardinality(node: &Node, diagnostics: &mut Diagnostics) -> Option<Cardinality> {
    let (least, most) = range(node, u32::from(u16::MAX) - 1, diagnostics)?;
    let number = |number: u32| u16::try_from(number).ok();
    Some(Cardinality { least: number(least)?, most: most.and_then(number) })
}

/// `cardinality`, which must not say otherwise than the usage beside it (HL7 v2.5.1 §2.12.6.5: R has a least of one, X of
/// none).
pub(super) fn cardinality_beside(
    usage: Option<&UsageConstraint>,
    fields: &mut Fields<'_, '_>,
) -> Option<Cardinality> {
    let usage = usage.filter(|usage| usage.when.is_none()).map(|usage| usage.usage);
    fields.optional("cardinality", |node, diagnostics| {
        let read = cardinality(node, diagnostics)?;
        let (message, help) = match usage {
            Some(Usage::Required) if read.least == 0 => {
                let most = read.most.filter(|most| *most > 0);
                let most = most.map_or("*".to_owned(), |most| most.to_string());
                let help = format!("write `1..{most}`, or `usage: RE` for what may be missing");
                ("what is required is there at least once", help)
            }
            Some(Usage::NotSupported) if read.least > 0 => {
                let help = "remove the cardinality, or the usage X";
                ("what is not supported is never there", help.to_owned())
            }
            _ => return Some(read),
        };
        diagnostics.push(Diagnostic::error("profile.range", &node.span, message).with_help(help));
        None
    })
}

pub(super) fn length(node: &Node, diagnostics: &mut Diagnostics) -> Option<Length> {
    let (least, most) = range(node, u32::MAX - 1, diagnostics)?;
    Some(Length { least, most })
}
