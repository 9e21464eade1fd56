//! Statuses of HTTP as the answers that `on:` names: each has a line of its own, or is its class.

use http::StatusCode;

use crate::{Answer, OnRefusal};

/// A status with a line of its own.
pub(crate) const fn status(
    name: &'static str,
    class: &'static str,
    default: OnRefusal,
    doc: &'static str,
) -> Answer {
    Answer { name, class: Some(class), default, doc }
}

/// Which answer a status is. `answers` has `3xx`, `4xx`, `5xx`, and last what is none of them.
pub(crate) fn of_status(answers: &'static [Answer], status: StatusCode) -> &'static Answer {
    let class = match status.as_u16() {
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    };
    let own = answers.iter().find(|answer| answer.name == status.as_str());
    own.unwrap_or_else(|| named(answers, class))
}

/// The answer of that name; the last where there is none.
pub(crate) fn named(answers: &'static [Answer], name: &str) -> &'static Answer {
    static NONE: Answer =
        Answer { name: "other", class: None, default: OnRefusal::Park, doc: "Anything else." };
    let own = answers.iter().find(|answer| answer.name == name);
    own.or(answers.last()).unwrap_or(&NONE)
}
