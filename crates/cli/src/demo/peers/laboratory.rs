//! The laboratory's results: several groups in one message, preliminary, final and corrected, with remarks.
//!
//! It writes `$` between components and `%` between repetitions, flags as `+` and `--`, and one
//! time as 2026-01-31 12:00.

use pipehat_dictionary::Version;
use pipehat_message::AcknowledgmentCode;
use pipehat_testdata::{System, Told, Topic};

use super::{Peer, Speech};
use crate::demo::draft::{Draft, other_name, reformat};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate};
use crate::demo::system::System::{Registry, Ward};

pub(super) const LAB_RESULTS: Peer =
    Peer { channel: "lab-results", system: laboratory, speak: result };

/// A flag as table 0078 has it, and as the laboratory writes it.
const FLAGS: [(&str, &str); 6] =
    [("N", ""), ("H", "+"), ("L", "-"), ("HH", "++"), ("LL", "--"), ("A", "!")];

/// What must be reported to public health: SARS-CoV-2.
const REPORTABLE: &[u8] = b"94500-6";

/// A remark with all that could be taken for a delimiter here.
const REMARK: &str = "Called to the ward at once: costs $5 & is 100% sure | ^ ~ \\ stay";

fn laboratory() -> System {
    System {
        application: "LABOR".to_owned(),
        facility: "LABORATORY".to_owned(),
        control_id_prefix: "LAB".to_owned(),
        encoding_characters: *b"$%\\&",
        ..System::new(Version::V2_5, &[Topic::LaboratoryResults])
    }
}

fn result(draft: &mut Draft<'_>, random: &mut Random, _: &Told) -> Speech {
    if random.once_in(3) {
        draft.rewrite_each("NTE", "-3", |_| Some(REMARK.to_owned()));
    }
    let arrivals = arrivals(draft);
    let lanes = vec![draft.text("PID-3.1")];
    draft.rewrite_each("OBX", "-8", |flag| other_name(&FLAGS, flag));
    draft.rewrite_each("OBR", "-22", |time| reformat(time, "YYYY-MM-DD hh:mm"));
    let (acknowledgment, fate) = match random.below(250) {
        0 | 1 => {
            draft.clear("PID-3");
            let why = "the laboratory left the patient's number out";
            (AcknowledgmentCode::Ae, Fate::Parked { code: "program.park", why })
        }
        2 => {
            draft.set_each("OBR", "-2", "");
            (AcknowledgmentCode::Ae, Fate::Rejected)
        }
        _ => (AcknowledgmentCode::Aa, Fate::Arrives(arrivals)),
    };
    Speech { lanes, acknowledgment, fate }
}

/// What one OBR and what follows it says, for the message that is made of it.
#[derive(Debug, Default)]
struct Group {
    last_observation: usize,
    first_note: Option<usize>,
    is_reportable: bool,
}

/// One message for each group at the ward, and one without names at the registry where it must be reported.
fn arrivals(draft: &Draft<'_>) -> Vec<Arrival> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut observations, mut notes) = (0, 0);
    for name in draft.segments() {
        observations += usize::from(name == b"OBX");
        notes += usize::from(name == b"NTE");
        match (name, groups.last_mut()) {
            (b"OBR", _) => groups.push(Group::default()),
            (b"OBX", Some(group)) => {
                group.last_observation = observations;
                group.is_reportable |=
                    draft.bytes(&format!("OBX({observations})-3.1")) == REPORTABLE;
            }
            (b"NTE", Some(group)) => group.first_note = group.first_note.or(Some(notes)),
            _ => {}
        }
    }
    let control_id = draft.text("MSH-10");
    let (whole, mut arrivals) = (groups.len() == 1, Vec::new());
    for (at, group) in (1..).zip(&groups) {
        let part = if whole { control_id.clone() } else { format!("{control_id}.{at}") };
        let of_order = |field: &str| draft.bytes(&format!("OBR({at}){field}"));
        let of_observation =
            |field: &str| draft.bytes(&format!("OBX({}){field}", group.last_observation));
        let time = String::from_utf8_lossy(&of_order("-22")).into_owned();
        // The laboratory does not mark what is as usual.
        let flag = match of_observation("-8") {
            flag if flag == b"N" => Vec::new(),
            flag => flag,
        };
        let note = group.first_note.map(|at| draft.bytes(&format!("NTE({at})-3")));
        let arrival = Arrival::new(Ward, &part)
            .same(draft, &["PID-3.1", "PID-5.1"])
            .with_bytes("OBR-2.1", of_order("-2.1"))
            .with_bytes("OBR-4.1", of_order("-4.1"))
            .with("OBR-22", reformat(&time, "YYYYMMDDhhmm").unwrap_or_default())
            .with_bytes("OBR-25", of_order("-25"))
            .with_bytes("OBX(last)-5", of_observation("-5"))
            .with_bytes("OBX(last)-8", flag)
            .with_bytes("NTE-3", note.unwrap_or_default());
        arrivals.push(arrival);
        if group.is_reportable {
            let registry = Arrival::new(Registry, &part)
                .with("MSH-5", "REGISTRY")
                .same(draft, &["PID-3.1"])
                .with("PID-5", "")
                .with("PID-11", "")
                .with_bytes("OBX-3.1", REPORTABLE.to_vec());
            arrivals.push(registry);
        }
    }
    arrivals
}
