//! The wards: what they order from the laboratory and from the pharmacy, and what they charge.

use pipehat_dictionary::Version;
use pipehat_message::AcknowledgmentCode;
use pipehat_testdata::{SegmentEnd, System, Told, Topic};

use super::{Peer, Speech};
use crate::demo::draft::{Draft, other_name, reformat};
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate};
use crate::demo::system::System::{Billing, Laboratory, Pharmacy};

pub(super) const LAB_ORDERS: Peer =
    Peer { channel: "lab-orders", system: lab_orders, speak: lab_order };
pub(super) const PHARMACY_ORDERS: Peer =
    Peer { channel: "pharmacy-orders", system: pharmacy_orders, speak: prescription };
pub(super) const CHARGES: Peer = Peer { channel: "charges", system: charges, speak: charge };

/// What billing says to a charge it does not know.
const UNKNOWN_CHARGE: &str = "charge code is not in the price list";

/// Panels, and what the wards call them.
const TESTS: [(&str, &str); 13] = [
    ("58410-2", "BB"),
    ("51990-0", "ELEK"),
    ("24325-3", "LEBER"),
    ("57698-3", "FETTE"),
    ("3016-3", "TSH"),
    ("1988-5", "CRP"),
    ("34528-0", "GERINN"),
    ("67151-1", "TROP"),
    ("4548-4", "HBA1C"),
    ("24356-8", "URIN"),
    ("94500-6", "CORO"),
    ("24338-6", "BGA"),
    ("630-4", "UKULT"),
];

const UNITS: [(&str, &str); 4] =
    [("mg", "Milligramm"), ("g", "Gramm"), ("ug", "Mikrogramm"), ("[IU]", "IE")];

/// A unit that is in no table.
const UNKNOWN_UNIT: &str = "Messerspitze";

const CHARGE_CODES: [(&str, &str); 7] = [
    ("ROOM2", "ZIMMER"),
    ("CBC", "BB"),
    ("BMP", "ELEK"),
    ("XRCH", "THORAX"),
    ("DRESS", "VERBAND"),
    ("PHYS30", "KG30"),
    ("EDVIS3", "NOTFALL"),
];

/// A charge that billing does not know.
const UNPRICED: &str = "X99";

fn ward(receiver: &str, prefix: &str, topic: Topic) -> System {
    System {
        application: "WARDS".to_owned(),
        receiving_application: receiver.to_owned(),
        control_id_prefix: prefix.to_owned(),
        ..System::new(Version::V2_5, &[topic])
    }
}

/// In enhanced mode: the wards want a commit at once and the application's answer later.
fn lab_orders() -> System {
    System { acknowledgments: Some(("AL", "AL")), ..ward("ANY", "ORD", Topic::LaboratoryOrders) }
}

fn lab_order(draft: &mut Draft<'_>, _: &mut Random, told: &Told) -> Speech {
    const CODES: [&str; 4] = ["OBR(1)-4.1", "OBR(2)-4.1", "OBR(3)-4.1", "OBR(4)-4.1"];
    const NAMES: [&str; 4] = ["OBR(1)-4.2", "OBR(2)-4.2", "OBR(3)-4.2", "OBR(4)-4.2"];
    let count = draft.count("OBR").min(CODES.len());
    let mut arrival = Arrival::new(Laboratory, &draft.text("MSH-10"))
        .with("MSH-6", "LABORATORY")
        .same(draft, &["PID-3.1", "PID-5.2", "ORC-1", "ORC-2.1"])
        .same(draft, CODES.get(..count).unwrap_or_default())
        .same(draft, NAMES.get(..count).unwrap_or_default());
    arrival.orders.clone_from(&told.placed);
    let lanes = vec![draft.text("PID-3.1")];
    let all_known =
        (1..=count).all(|at| other_name(&TESTS, &draft.text(&format!("OBR({at})-4.1"))).is_some());
    draft.rewrite_each("OBR", "-4.1", |code| other_name(&TESTS, code));
    draft.set_each("OBR", "-4.2", "");
    draft.set_each("OBR", "-4.3", "WARD");
    let fate = if all_known {
        Fate::Arrives(vec![arrival])
    } else {
        let why = "the ward ordered a test that is in no table";
        Fate::Parked { code: "program.map-no-match", why }
    };
    Speech { lanes, acknowledgment: AcknowledgmentCode::Ca, fate }
}

fn pharmacy_orders() -> System {
    ward("PHARMACY", "RXO", Topic::Prescriptions)
}

fn prescription(draft: &mut Draft<'_>, random: &mut Random, _: &Told) -> Speech {
    const PLACES: [[&str; 3]; 4] = [
        ["RXE(1)-2.2", "RXE(1)-5.1", "RXE(1)-7.2"],
        ["RXE(2)-2.2", "RXE(2)-5.1", "RXE(2)-7.2"],
        ["RXE(3)-2.2", "RXE(3)-5.1", "RXE(3)-7.2"],
        ["RXE(4)-2.2", "RXE(4)-5.1", "RXE(4)-7.2"],
    ];
    // Strict: all in one lane.
    let lanes = vec!["all".to_owned()];
    let mut arrival = Arrival::new(Pharmacy, &draft.text("MSH-10")).same(draft, &["PID-3.1"]);
    for (at, [name, unit, instruction]) in PLACES.iter().take(draft.count("RXE")).enumerate() {
        let dose = draft.text(&format!("RXE({})-3", at + 1));
        let dose = format!("{dose} {}", draft.text(unit));
        arrival = arrival.same(draft, &[name, unit]).with(instruction, dose);
    }
    draft.rewrite_each("RXE", "-5.1", |unit| other_name(&UNITS, unit));
    if random.once_in(15) {
        draft.set_each("ORC", "-1", "HD");
        return Speech::taken(lanes, Fate::Filtered);
    }
    if random.once_in(100) {
        draft.set("RXE(1)-5.1", UNKNOWN_UNIT);
        let why = "the ward used a unit that is in no table";
        let fate = Fate::Parked { code: "program.map-no-match", why };
        return Speech { lanes, acknowledgment: AcknowledgmentCode::Ae, fate };
    }
    Speech::taken(lanes, Fate::Arrives(vec![arrival]))
}

/// The oldest part of the wards' system: HL7 2.3.1, lines ended by CR LF, dates as 31/12/2025.
fn charges() -> System {
    System {
        version: Version::V2_3_1,
        segment_end: SegmentEnd::Both,
        ..ward("BILLING", "CHA", Topic::Charges)
    }
}

fn charge(draft: &mut Draft<'_>, random: &mut Random, _: &Told) -> Speech {
    const PLACES: [[&str; 2]; 4] = [
        ["FT1(1)-4", "FT1(1)-7.1"],
        ["FT1(2)-4", "FT1(2)-7.1"],
        ["FT1(3)-4", "FT1(3)-7.1"],
        ["FT1(4)-4", "FT1(4)-7.1"],
    ];
    let mut arrival =
        Arrival::new(Billing, &draft.text("MSH-10")).same(draft, &["PID-3.1", "PID-5.1"]);
    draft.rewrite_each("FT1", "-7.1", |code| other_name(&CHARGE_CODES, code));
    for [date, code] in PLACES.iter().take(draft.count("FT1")) {
        arrival = arrival.with(date, reformat(&draft.text(date), "YYYYMMDD").unwrap_or_default());
        if random.once_in(110) {
            draft.set(code, UNPRICED);
            arrival = arrival.with(code, UNPRICED);
            arrival.refused = Some(UNKNOWN_CHARGE);
        } else {
            let written = draft.text(code);
            let billed = CHARGE_CODES.iter().find(|(_, own)| *own == written);
            arrival = arrival.with(code, billed.map_or(written.as_str(), |(billed, _)| billed));
        }
    }
    draft.rewrite_each("FT1", "-4", |date| reformat(date, "DD/MM/YYYY"));
    Speech::taken(Vec::new(), Fate::Arrives(vec![arrival]))
}
