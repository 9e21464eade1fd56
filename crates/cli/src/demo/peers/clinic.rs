//! The vaccination clinic: a batch file with what was given since the one before.

use pipehat_dictionary::Version;
use pipehat_testdata::{System, Told, Topic};

use super::{Peer, Speech};
use crate::demo::draft::Draft;
use crate::demo::random::Random;
use crate::demo::sending::{Arrival, Fate, Sending};
use crate::demo::system::System::Registry;

pub(super) const VACCINATIONS: Peer =
    Peer { channel: "vaccinations", system: clinic, speak: vaccination };

fn clinic() -> System {
    System {
        application: "IMPF".to_owned(),
        facility: "CLINIC".to_owned(),
        receiving_application: "ANY".to_owned(),
        control_id_prefix: "VAC".to_owned(),
        ..System::new(Version::V2_5_1, &[Topic::Vaccinations])
    }
}

fn vaccination(draft: &mut Draft<'_>, random: &mut Random, _: &Told) -> Speech {
    let lanes = vec!["all".to_owned()];
    // Offered, and not given.
    if random.once_in(8) {
        draft.set_each("RXA", "-20", "RE");
        return Speech::taken(lanes, Fate::Filtered);
    }
    let arrival = Arrival::new(Registry, &draft.text("MSH-10"))
        .with("MSH-5", "REGISTRY")
        .same(draft, &["PID-3.1", "PID-5.1", "RXA-5.1", "RXA-15"]);
    Speech::taken(lanes, Fate::Arrives(vec![arrival]))
}

/// A file of these, with batch and file headers that count them.
pub(crate) fn batch(number: u64, sendings: &[Sending]) -> Vec<u8> {
    let header = "|^~\\&|IMPF|CLINIC|REGISTRY||";
    let mut bytes = format!("FHS{header}||||{number}\rBHS{header}\r").into_bytes();
    for sending in sendings {
        bytes.extend_from_slice(&sending.bytes);
    }
    bytes.extend_from_slice(format!("BTS|{}\rFTS|1\r", sendings.len()).as_bytes());
    bytes
}
