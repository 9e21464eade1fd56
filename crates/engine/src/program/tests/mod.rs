//! Programs as whole channels: a message in, a verdict out.

mod bots;
mod changes;
mod character_sets;
mod conditions;
mod edits;
mod groups;
mod limits;
mod lineage;
mod lookups;
mod properties;
mod routing;
mod splits;
mod validation;

use bytes::Bytes;
use pipehat_connectors::{BotOutcome, Found};

use super::{ProgramInput, Verdict};
use crate::effects::LookupAnswer;
use crate::project::testing::{TestEffects, channel, files, load, peer, run};

const HEADER: &str = "MSH|^~\\&|ADT1|GOOD|LAB|CITY|202407221200||ADT^A01|C1|P|2.5.1";

/// Runs `steps` (the YAML below `steps:`) on the message of these lines after a header.
///
/// Expected are the lines after the header as they go out, one text for each output, or in words
/// how the message ended.
#[track_caller]
fn check(steps: &str, lines: &str, expected: &[&str]) {
    let outcome = outcome(&format!("steps:\n{steps}\n{DESTINATION}"), lines);
    assert_eq!(outcome, expected);
}

const DESTINATION: &str = "destinations:\n  out:\n    mllp: { connect: 127.0.0.1:2 }\n";

fn message(lines: &str) -> Bytes {
    let text =
        if lines.is_empty() { format!("{HEADER}\n") } else { format!("{HEADER}\n{lines}\n") };
    Bytes::from(text.replace('\n', "\r"))
}

#[track_caller]
fn outcome(rest: &str, lines: &str) -> Vec<String> {
    let spec = channel(rest);
    told(run(&spec, &message(lines)))
}

/// Runs a channel whose bot `names` gives this; none where it isn't asked yet.
fn run_bot(rest: &str, bytes: &Bytes, outcome: Option<BotOutcome>) -> Verdict {
    let files = files(rest)
        .with("bots/names.yaml", "bot: names")
        .with("bots/names.ts", "export async function handler() {}");
    let loaded = load(&files);
    let project = loaded
        .project
        .unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(pipehat_config::Colour::Never)));
    let spec = &project.channels[0];
    let answer = outcome.map(|outcome| LookupAnswer::Found(Found::One(outcome.to_bytes())));
    let mut effects =
        TestEffects { answers: answer.into_iter().collect(), ..TestEffects::default() };
    let input = ProgramInput { bytes, channel: &spec.name, peer: &peer() };
    spec.program.run(&input, &mut effects)
}

fn told(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Filtered { by, why: None } => vec![format!("filtered by {}", by.step())],
        Verdict::Filtered { by, why: Some(why) } => {
            vec![format!("filtered by {}: {why}", by.step())]
        }
        Verdict::Waits { lookup } => vec![format!("waits for {}", lookup.search())],
        Verdict::Rejected { code, text, .. } => vec![format!("rejected {} {text}", code.as_str())],
        Verdict::Parked { code, reason, at, .. } => {
            vec![format!("parked {code} {}: {reason}", at.step())]
        }
        Verdict::Routed { outputs, findings, .. } => {
            let outputs = outputs.iter().map(|output| {
                let text = String::from_utf8_lossy(&output.bytes).replace('\r', "\n");
                let text = text.trim_end();
                let shown = text.strip_prefix(HEADER).unwrap_or(text).trim_start();
                match output.destination {
                    0 => shown.to_owned(),
                    other => format!("{other}: {shown}"),
                }
            });
            let findings = findings.iter().map(|finding| {
                let path = finding.path.as_deref().unwrap_or("-");
                format!(
                    "finding {} {path} {} times {}",
                    finding.code,
                    finding.at.step(),
                    finding.count
                )
            });
            outputs.chain(findings).collect()
        }
    }
}
