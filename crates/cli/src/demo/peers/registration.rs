//! The registration system: who comes, moves, goes, and who two people turn out to be.
//!
//! It writes birth dates as 31.12.1980, sexes as w, m and d, its own names for those who assign numbers, and the
//! insurance number in a segment of its own (ZPI).

use pipehat_dictionary::Version;
use pipehat_testdata::{System, Told, Topic};

use super::{Peer, Speech};
use crate::demo::draft::{Draft, other_name, reformat};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate};
use crate::demo::system::System::{Billing, Laboratory, Pharmacy};

pub(super) const ADMISSIONS: Peer =
    Peer { channel: "admissions", system: registration, speak: admission };

/// People who are known without a visit, and allergies, of which nobody here wants to know.
pub(super) const BESIDES: [&str; 4] = ["ADT^A28", "ADT^A31", "ADT^A31", "ADT^A60"];

const SEXES: [(&str, &str); 4] = [("F", "w"), ("M", "m"), ("O", "d"), ("U", "?")];
const AUTHORITIES: [(&str, &str); 2] = [("GENHOSP", "REG"), ("NATREG", "STN")];
const VISIT_KINDS: [(&str, &str); 3] = [("I", "STATIONARY"), ("O", "AMBULANT"), ("E", "EMERGENCY")];

fn registration() -> System {
    System {
        application: "REGIS".to_owned(),
        facility: "FRONT DESK".to_owned(),
        receiving_application: "HOSPITAL".to_owned(),
        control_id_prefix: "REG".to_owned(),
        ..System::new(Version::V2_5_1, &[Topic::Admissions])
    }
}

fn admission(draft: &mut Draft<'_>, _: &mut Random, told: &Told) -> Speech {
    let lanes = [draft.text("PID-3.1"), draft.text("MRG-1.1")];
    let fate = match told.made.trigger_event {
        "A60" => Fate::Filtered,
        trigger => Fate::Arrives(arrivals(draft, trigger)),
    };
    draft.rewrite("PID-7", |date| reformat(date, "DD.MM.YYYY"));
    draft.rewrite("PID-8", |sex| other_name(&SEXES, sex));
    for place in ["PID-3[1].4", "PID-3[2].4", "MRG-1.4"] {
        draft.rewrite(place, |authority| other_name(&AUTHORITIES, authority));
    }
    let insurance = draft.text("IN1-36");
    if !insurance.is_empty() {
        draft.remove_segments("IN1");
        draft.remove_segments("IN2");
        draft.push_segment(&format!("ZPI|1|{insurance}"));
    }
    Speech::taken(lanes.into_iter().filter(|number| !number.is_empty()).collect(), fate)
}

/// What must arrive: what the world says, for the channel undoes what registration does to it.
fn arrivals(draft: &Draft<'_>, trigger: &str) -> Vec<Arrival> {
    let insurance = draft.text("IN1-36");
    // The insurance number stands behind the numbers there are.
    let insurance_at =
        if draft.text("PID-3[2].1").is_empty() { "PID-3[2].1" } else { "PID-3[3].1" };
    let known = |at| {
        let arrival = Arrival::new(at, &draft.text("MSH-10")).with("MSH-3", "PIPEHAT").same(
            draft,
            &[
                "PID-3[1].1",
                "PID-3[1].4",
                "PID-5.1",
                "PID-7",
                "PID-8",
                "PID-11.1",
                "MRG-1.1",
                "MRG-1.4",
            ],
        );
        let arrival = match insurance_at {
            "PID-3[3].1" => arrival.same(draft, &["PID-3[2].1", "PID-3[2].4"]),
            _ => arrival,
        };
        if insurance.is_empty() { arrival } else { arrival.with(insurance_at, &insurance) }
    };
    let class = draft.text("PV1-2");
    let mut arrivals = vec![known(Laboratory).with("ZPI-2", &insurance)];
    if matches!(class.as_str(), "I" | "E") {
        arrivals.push(known(Pharmacy).with("ZPI-2", ""));
    }
    if !matches!(trigger, "A28" | "A31") {
        let kind = other_name(&VISIT_KINDS, &class).unwrap_or(class);
        arrivals.push(known(Billing).with("MSH-5", "BILLING").with("PV1-2", kind));
    }
    arrivals
}
