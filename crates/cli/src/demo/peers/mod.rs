//! The systems that send: what each tells of the hospital's one story, how it writes, and what must come of it.
//!
//! The story is that of `pipehat_testdata::Hospital`. A peer here is one of its systems with a few changes on top: codes
//! and dates of its own, and what goes wrong now and then.

mod clinic;
mod laboratory;
mod registration;
mod scheduling;
mod ward;

use pipehat_message::AcknowledgmentCode;
use pipehat_testdata::{Hospital, HospitalSettings, Selection, System, Told};

pub(crate) use clinic::batch;

use super::draft::Draft;
use super::random::Random;
use super::sending::{Fate, Sending};

/// Minutes by which the hospital's time is ahead of UTC.
const ZONE_MINUTES: i16 = 60;

/// A peer: a system of the world, and what it does differently.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The channel it sends to.
    pub(crate) channel: &'static str,
    /// What it tells of, and how it writes.
    system: fn() -> System,
    /// What it changes, and what must come of the message.
    speak: fn(&mut Draft<'_>, &mut Random, &Told) -> Speech,
}

/// What must come of a message.
#[derive(Debug)]
struct Speech {
    lanes: Vec<String>,
    acknowledgment: AcknowledgmentCode,
    fate: Fate,
}

impl Speech {
    /// It is taken, and this comes of it.
    fn taken(lanes: Vec<String>, fate: Fate) -> Self {
        Self { lanes, acknowledgment: AcknowledgmentCode::Aa, fate }
    }
}

const PEERS: [Peer; 7] = [
    registration::ADMISSIONS,
    ward::LAB_ORDERS,
    laboratory::LAB_RESULTS,
    ward::PHARMACY_ORDERS,
    scheduling::APPOINTMENTS,
    ward::CHARGES,
    clinic::VACCINATIONS,
];

/// The hospital of this seed, of which the peers tell.
pub(crate) fn hospital(seed: u64) -> Hospital {
    let settings = HospitalSettings {
        seed,
        zone_minutes: ZONE_MINUTES,
        waits_for_orders: true,
        ..HospitalSettings::default()
    };
    let systems = PEERS.iter().map(|peer| (peer.system)()).collect();
    Hospital::new(&settings, systems).expect("the peers' systems are sound")
}

/// Once in so many messages registration tells something that nothing else follows from.
const BESIDES: u64 = 30;

/// What the peers say, one message after another.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// What each does differently is a matter of its own chance.
    random: [Random; PEERS.len()],
    besides: Vec<Selection>,
}

impl Conversation {
    /// That of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let registration = (registration::ADMISSIONS.system)().version;
        let besides = registration::BESIDES.iter().map(|event| {
            Selection::parse(event, registration).expect("an event of registration's version")
        });
        Self {
            random: PEERS.map(|peer| Random::of(seed, peer.channel)),
            besides: besides.collect(),
        }
    }

    /// What happens next in the hospital, as the peer sends it whose business it is.
    pub(crate) fn next(&mut self, hospital: &mut Hospital) -> Option<Sending> {
        let mut bytes = Vec::new();
        let [registration, ..] = &mut self.random;
        let told = if registration.once_in(BESIDES) {
            let at = registration.below(self.besides.len());
            hospital.tell(0, self.besides.get(at)?, &mut bytes)?
        } else {
            hospital.next(&mut bytes)?
        };
        let (peer, random) = (PEERS.get(told.system)?, self.random.get_mut(told.system)?);
        Some(peer.send(&bytes, random, &told))
    }
}

impl Peer {
    fn send(&self, bytes: &[u8], random: &mut Random, told: &Told) -> Sending {
        let mut draft = Draft::new(bytes);
        let control_id = draft.text("MSH-10");
        let Speech { lanes, acknowledgment, fate } = (self.speak)(&mut draft, random, told);
        let bytes = draft.finish();
        Sending { channel: self.channel, control_id, bytes, lanes, acknowledgment, fate }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    fn sendings(seed: u64, count: usize) -> Vec<Sending> {
        let (mut world, mut conversation) = (hospital(seed), Conversation::new(seed));
        let one = |_| {
            let sending = conversation.next(&mut world).expect("there is always something to tell");
            // Every order arrives at once.
            if let Fate::Arrives(arrivals) = &sending.fate {
                for order in arrivals.iter().flat_map(|arrival| &arrival.orders) {
                    world.received(order);
                }
            }
            sending
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_messages() {
        let bytes = |seed| -> Vec<u8> {
            sendings(seed, 300).into_iter().flat_map(|sending| sending.bytes).collect()
        };
        assert_eq!(bytes(3), bytes(3));
        assert_ne!(bytes(3), bytes(4));
    }

    #[test]
    fn every_peer_tells_its_share_in_its_own_dialect() {
        let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
        let mut fates: HashSet<(&str, &str)> = HashSet::new();
        let mut ids = HashSet::new();
        let mut text: BTreeMap<&str, String> = BTreeMap::new();
        for sending in sendings(1, 6000) {
            *shares.entry(sending.channel).or_default() += 1;
            assert!(ids.insert(sending.control_id.clone()), "{}", sending.control_id);
            let fate = match &sending.fate {
                Fate::Arrives(arrivals) => {
                    assert!(!arrivals.is_empty());
                    let refused = arrivals.iter().any(|arrival| arrival.refused.is_some());
                    if refused { "refused" } else { "arrives" }
                }
                Fate::Filtered => "filtered",
                Fate::Parked { .. } => "parked",
                Fate::Rejected => "rejected",
            };
            fates.insert((sending.channel, fate));
            let latin: String = sending.bytes.iter().copied().map(char::from).collect();
            text.entry(sending.channel).or_default().push_str(&latin);
        }
        for peer in &PEERS {
            assert!(shares.get(peer.channel).is_some_and(|count| *count > 60), "{shares:?}");
        }
        let expected = [
            ("admissions", "arrives"),
            ("admissions", "filtered"),
            ("lab-orders", "arrives"),
            ("lab-results", "arrives"),
            ("lab-results", "parked"),
            ("lab-results", "rejected"),
            ("pharmacy-orders", "arrives"),
            ("pharmacy-orders", "filtered"),
            ("pharmacy-orders", "parked"),
            ("appointments", "arrives"),
            ("charges", "arrives"),
            ("charges", "refused"),
            ("vaccinations", "arrives"),
            ("vaccinations", "filtered"),
        ];
        assert_eq!(fates, HashSet::from(expected));
        for (channel, mark) in [
            ("admissions", "MSH|^~\\&|REGIS|FRONT DESK|HOSPITAL|"),
            ("admissions", "^M11^REG^MR"),
            ("admissions", "\rZPI|1|"),
            ("lab-orders", "^^WARD"),
            ("lab-results", "MSH|$%\\&|LABOR|LABORATORY|"),
            ("lab-results", "|++|"),
            ("pharmacy-orders", "|Milligramm"),
            ("appointments", "Ambulanz S\u{fc}d"),
            ("appointments", "\nSCH|"),
            ("charges", "\r\nFT1|1|"),
        ] {
            assert!(text.get(channel).is_some_and(|text| text.contains(mark)), "{channel}: {mark}");
        }
    }
}
