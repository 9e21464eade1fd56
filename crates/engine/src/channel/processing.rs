//! Runs a channel's program on one message, and makes of what it came to the record that is kept.
//!
//! Nothing here waits, and nothing is kept: what a program asks of the outside and is not known yet is given back, and the
//! conductor runs the program again with the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::conductor::{Services, Work};
use super::intake::now;
use super::reply;
use crate::effects::{Effect, Effects, LookupAnswer, LookupRequest, Recording};
use crate::program::{self, ProgramInput};
use crate::project::ChannelSpec;
use crate::record::{
    BodyRef, Disposition, Ended, OutputRecord, Processed, ProcessedOutcome, TranslationRecord,
};

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) enum Ran {
    /// The message is through the steps.
    Through(Box<Processed>),
    /// It is run again, with these effects and the answer to this.
    Waits { lookup: LookupRequest, effects: Vec<Effect> },
}

/// Runs the channel's program on one message. Deterministic given bytes, revision and effects; those that are known
/// are not asked for again.
pub(super) fn run_program(
    spec: &ChannelSpec,
    services: &Services,
    work: &Work,
    known: Vec<Effect>,
) -> Ran {
    let processed_at = now();
    let incoming = &work.incoming;
    let through =
        |outcome| Ran::Through(Box::new(without_steps(spec, work, processed_at, outcome)));
    if incoming.is_control() {
        return through(link_control());
    }
    if incoming.acknowledges.is_some() {
        return through(application_acknowledgment(spec));
    }
    let mut effects = Recording::after(known, LiveEffects { services });
    let input = ProgramInput { bytes: &incoming.bytes, peer: &incoming.peer, channel: &spec.name };
    let verdict = catch_unwind(AssertUnwindSafe(|| spec.program.run(&input, &mut effects)));
    let mut findings = Vec::new();
    let mut reply = None;
    let mut translations = Vec::new();
    let noticed_by = |noticed: Vec<program::Finding>| {
        noticed.into_iter().map(|finding| {
            let path = finding.path.as_deref().unwrap_or_default();
            let place = format!("{path} {}", finding.at).trim().to_owned();
            (finding.code.to_owned(), place, u64::from(finding.count))
        })
    };
    if incoming.control_id_reused {
        findings.push(("receive.control-id-reused".to_owned(), "MSH-10".to_owned(), 1));
    }
    let ended = |disposition, code: &str, detail: String| {
        ProcessedOutcome::Ended(Ended { disposition, code: code.to_owned(), detail })
    };
    let outcome = match verdict {
        // What the panic says is not shown: it may hold values.
        Err(_) => {
            let detail = "a defect of Pipehat: the steps ended in a panic".to_owned();
            ended(Disposition::Parked, "program.failed", detail)
        }
        Ok(program::Verdict::Waits { lookup }) => {
            return Ran::Waits { lookup, effects: effects.into_effects() };
        }
        Ok(program::Verdict::Filtered { by, why }) => {
            let detail = why.map_or_else(|| by.to_string(), |why| format!("{by}: {why}"));
            ended(Disposition::Filtered, "program.filtered", detail)
        }
        Ok(program::Verdict::Rejected { code, text, at, errors, findings: noticed }) => {
            // What the sender is told names no file of ours.
            findings.push(("program.rejected".to_owned(), at.to_string(), 1));
            findings.extend(noticed_by(noticed));
            if !errors.is_empty() {
                let control_id = services.ids.application_acknowledgment(work.message);
                reply = Some(reply::refusing(
                    &incoming.bytes,
                    code,
                    &text,
                    &errors,
                    &control_id,
                    processed_at,
                ));
            }
            ended(Disposition::Rejected, code.as_str(), text.to_string())
        }
        Ok(program::Verdict::Parked { code, reason, at, findings: noticed }) => {
            findings.extend(noticed_by(noticed));
            ended(Disposition::Parked, code, format!("{reason} ({at})"))
        }
        Ok(program::Verdict::Routed {
            outputs,
            translations: made,
            findings: noticed,
            reply: given,
        }) => {
            findings.extend(noticed_by(noticed));
            reply = given;
            translations = made.into_iter().map(translation).collect();
            routed(spec, &incoming.bytes, outputs)
        }
    };
    Ran::Through(Box::new(Processed {
        channel: Arc::clone(&spec.name),
        message: work.message,
        at: processed_at,
        revision: spec.revision.0,
        lanes: work.lanes.clone(),
        file: incoming.peer.file.as_deref().map(Arc::from),
        effects: effects.into_effects(),
        findings,
        outcome,
        reply,
        translations,
    }))
}

/// A message that goes through no steps.
fn without_steps(
    spec: &ChannelSpec,
    work: &Work,
    at: jiff::Timestamp,
    outcome: ProcessedOutcome,
) -> Processed {
    Processed {
        channel: Arc::clone(&spec.name),
        message: work.message,
        at,
        revision: spec.revision.0,
        lanes: Vec::new(),
        file: None,
        effects: Vec::new(),
        findings: Vec::new(),
        outcome,
        reply: None,
        translations: Vec::new(),
    }
}

/// A translation as it is kept.
fn translation(made: program::Translation) -> TranslationRecord {
    TranslationRecord {
        at: made.at.to_string(),
        bot: made.bot.map(|bot| bot.to_string()),
        before: made.before,
        lineage: made.lineage,
    }
}

/// A message that only starts a link, or begins to count anew, goes nowhere (HL7 v2.5.1 §2.10.1 f).
fn link_control() -> ProcessedOutcome {
    ProcessedOutcome::Ended(Ended {
        disposition: Disposition::Filtered,
        code: "receive.link-control".to_owned(),
        detail: "MSH-13 is 0 or -1: it has no content".to_owned(),
    })
}

/// An application acknowledgment goes to its destination as it is.
fn application_acknowledgment(spec: &ChannelSpec) -> ProcessedOutcome {
    match spec.reply.application() {
        Some(destination) => ProcessedOutcome::Routed(vec![OutputRecord {
            destination: Arc::clone(destination),
            bytes: BodyRef::AsReceived,
            translation: None,
        }]),
        None => ProcessedOutcome::Ended(Ended {
            disposition: Disposition::Parked,
            code: "delivery.destination-removed".to_owned(),
            detail: "`reply` names no destination for application acknowledgments".to_owned(),
        }),
    }
}

/// Names the destinations of the outputs.
fn routed(spec: &ChannelSpec, received: &Bytes, outputs: Vec<program::Output>) -> ProcessedOutcome {
    let outputs: Vec<OutputRecord> = outputs
        .into_iter()
        .filter_map(|output| {
            let destination = spec.destinations.get(usize::from(output.destination))?;
            if spec.reply.application() == Some(&destination.name) {
                return None;
            }
            let untouched =
                output.bytes.as_ptr() == received.as_ptr() && output.bytes.len() == received.len();
            let bytes = if untouched { BodyRef::AsReceived } else { BodyRef::Own(output.bytes) };
            let destination = Arc::clone(&destination.name);
            Some(OutputRecord { destination, bytes, translation: output.translation })
        })
        .collect();
    if !outputs.is_empty() {
        return ProcessedOutcome::Routed(outputs);
    }
    // A channel without destinations is there to keep what it receives.
    let application = usize::from(spec.reply.application().is_some());
    let (disposition, code, detail) = if spec.destinations.len() == application {
        (Disposition::Delivered, "kept", "the channel has no destinations: kept in the journal")
    } else {
        (Disposition::Filtered, "program.no-destination", "no destination wanted it")
    };
    ProcessedOutcome::Ended(Ended { disposition, code: code.to_owned(), detail: detail.to_owned() })
}

struct LiveEffects<'s> {
    services: &'s Services,
}

impl Effects for LiveEffects<'_> {
    fn now(&mut self) -> jiff::Timestamp {
        now()
    }

    fn control_id(&mut self) -> String {
        self.services.ids.fresh(now())
    }

    /// The conductor asks, and runs the program again.
    fn lookup(&mut self, _: &LookupRequest) -> Option<LookupAnswer> {
        None
    }
}
