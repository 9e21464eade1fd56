//! One hospital that several systems tell of, each of what is its business and in its own way.

use crate::generator::{Generator, Made, Settings, SettingsError};
use crate::scene::ORDERS_MAX;
use crate::selection::Selection;
use crate::system::System;
use crate::world::Goods;
use pipehat_dictionary::Version;

/// What decides what happens in a hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HospitalSettings {
    /// Another seed is another hospital.
    pub seed: u64,
    /// Seconds since 1970 at which the simulated time begins, in the hospital's own time.
    pub start: i64,
    /// Minutes by which that time is ahead of UTC.
    pub zone_minutes: i16,
    /// Whether results wait until [`Hospital::received`] says that the filler has the order. Without, orders are
    /// received as they are told.
    pub waits_for_orders: bool,
}

impl Default for HospitalSettings {
    /// As [`Settings::new`] has them, without waiting.
    fn default() -> Self {
        let Settings { seed, start, zone_minutes, .. } = Settings::new(Version::V2_5_1);
        Self { seed, start, zone_minutes, waits_for_orders: false }
    }
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which of the systems told it, counted from 0 in the order they were given.
    pub system: usize,
    /// The message.
    pub made: Made,
    /// The placer's numbers (ORC-2) of what was newly ordered and can be [received](Hospital::received).
    pub placed: Vec<String>,
}

/// A hospital and its systems: one stream of what happens, told by those whose business it is.
///
/// The caller sets the pace by asking for the next message; simulated time goes on from one to the next. All systems
/// tell of the same people, visits, orders and appointments. What is the business of none happens without a message.
///
/// ```
/// use pipehat_dictionary::Version;
/// use pipehat_testdata::{Hospital, HospitalSettings, System, Topic};
///
/// let registration = System {
///     application: "ADT1".to_owned(),
///     ..System::new(Version::V2_5_1, &[Topic::Admissions])
/// };
/// let wards = System::new(Version::V2_3, &[Topic::LaboratoryOrders, Topic::Prescriptions]);
/// let mut hospital = Hospital::new(&HospitalSettings::default(), vec![registration, wards]).unwrap();
/// let mut bytes = Vec::new();
/// for _ in 0..100 {
///     bytes.clear();
///     let told = hospital.next(&mut bytes).unwrap();
///     assert_eq!(told.system == 0, told.made.message_code == "ADT");
/// }
/// ```
#[derive(Debug)]
pub struct Hospital {
    generator: Generator,
}

impl Hospital {
    /// A hospital that has been open for some time, with these systems.
    pub fn new(settings: &HospitalSettings, systems: Vec<System>) -> Result<Self, SettingsError> {
        let HospitalSettings { seed, start, zone_minutes, waits_for_orders } = *settings;
        // The version is that of each system.
        let settings = Settings { seed, start, zone_minutes, ..Settings::new(Version::V2_5_1) };
        let mut generator = Generator::with_systems(&settings, systems)?;
        generator.waits_for_orders = waits_for_orders;
        generator.plan_stays();
        Ok(Self { generator })
    }

    /// The next that happens and that one of the systems tells of, put behind what is there.
    ///
    /// `None` when no system tells of anything that happens.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Told> {
        let made = self.generator.append_next(out)?;
        Some(self.told(made))
    }

    /// Lets something certain happen now and one of the systems tell of it, with what had to happen before.
    ///
    /// The selection must be of the system's version. `None` when there is no such system.
    pub fn tell(
        &mut self,
        system: usize,
        selection: &Selection,
        out: &mut Vec<u8>,
    ) -> Option<Told> {
        if !self.generator.has_system(system) {
            return None;
        }
        self.generator.speak(system);
        let made = self.generator.append(selection, out);
        Some(self.told(made))
    }

    /// The filler has the order with this number (ORC-2.1): its result will be told some time later.
    ///
    /// Says whether such an order was waiting: not one that was received before, was forgotten because more than 400
    /// others came after it, or is waited for by nobody who would tell its result.
    pub fn received(&mut self, placer_number: &str) -> bool {
        let digits = placer_number.trim_start_matches(|one: char| !one.is_ascii_digit());
        digits.parse().is_ok_and(|number| self.generator.receive(number))
    }

    fn told(&self, made: Made) -> Told {
        let scene = &self.generator.scene;
        let goods = match made.message_code {
            "ORM" | "OML" | "OMG" => scene.orders.first().map(|order| order.goods()),
            "RDE" => Some(Goods::Medication),
            _ => None,
        };
        let orders = scene.orders.iter().take(scene.order_count.min(ORDERS_MAX));
        let placed = orders
            .filter(|order| order.control == "NW")
            .filter(|_| goods.is_some_and(|goods| self.generator.waits_for(goods)))
            .map(|order| format!("{}{}", order.placer().prefix, order.number))
            .collect();
        Told { system: self.generator.speaking, made, placed }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use pipehat_dictionary::validation::{Level, Standard, Validator};
    use pipehat_message::{Message, Path};

    use super::*;
    use crate::{SegmentEnd, Topic};

    /// A registration, wards, and an old laboratory with ways of its own.
    fn systems() -> Vec<System> {
        vec![
            System {
                application: "ADT|1".to_owned(),
                control_id_prefix: "A".to_owned(),
                ..System::new(Version::V2_5_1, &[Topic::Admissions])
            },
            System {
                facility: "NORTH".to_owned(),
                control_id_prefix: "W".to_owned(),
                acknowledgments: Some(("AL", "NE")),
                ..System::new(Version::V2_6, &[Topic::LaboratoryOrders, Topic::Prescriptions])
            },
            System {
                charset: Some("8859/1".to_owned()),
                control_id_prefix: "L".to_owned(),
                encoding_characters: *b"$%\\&",
                segment_end: SegmentEnd::LineFeed,
                ..System::new(Version::V2_3, &[Topic::LaboratoryResults])
            },
        ]
    }

    fn hospital(seed: u64, waits_for_orders: bool) -> Hospital {
        let settings = HospitalSettings { seed, waits_for_orders, ..HospitalSettings::default() };
        Hospital::new(&settings, systems()).expect("settings that work")
    }

    fn value(message: &Message<'_>, path: &str) -> String {
        let path: Path = path.parse().expect("a path");
        let value = message.get(&path).map(|value| value.decoded().into_owned());
        String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
    }

    fn next(hospital: &mut Hospital) -> (Told, Vec<u8>) {
        let mut bytes = Vec::new();
        let told = hospital.next(&mut bytes).expect("something to tell");
        (told, bytes)
    }

    #[test]
    fn each_system_tells_what_is_its_business_in_its_own_way() {
        let mut hospital = hospital(1, false);
        let mut validator = Validator::new(Level::Standard);
        let mut ids = HashSet::new();
        let mut names = HashMap::new();
        let mut told_by = [0; 3];
        for _ in 0..3000 {
            let (told, bytes) = next(&mut hospital);
            told_by[told.system] += 1;
            let message = Message::parse(&bytes).expect("a message");
            let (application, facility, id, version, codes) = [
                ("ADT|1", "GENHOSP", "A", "2.5.1", &["ADT"][..]),
                ("", "NORTH", "W", "2.6", &["ORM", "OML", "RDE"]),
                ("LABORATORY", "GENHOSP", "L", "2.3", &["ORU"]),
            ][told.system];
            assert!(codes.contains(&told.made.message_code));
            if !application.is_empty() {
                assert_eq!(value(&message, "MSH-3"), application);
            }
            assert_eq!(value(&message, "MSH-4"), facility);
            assert_eq!(value(&message, "MSH-10"), format!("{id}{}", told.made.number));
            assert!(ids.insert(value(&message, "MSH-10")));
            assert_eq!(value(&message, "MSH-12"), version);
            assert_eq!(value(&message, "MSH-15"), if told.system == 1 { "AL" } else { "" });
            assert_eq!(bytes.starts_with(b"MSH|$%\\&|"), told.system == 2);
            assert_eq!(bytes.contains(&b'\n'), told.system == 2);
            assert_eq!(bytes.contains(&b'\r'), told.system != 2);
            let findings = validator.validate(&message, &Standard);
            assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
            // They know the same people, as far as they can write their names.
            if told.system < 2 {
                let name = value(&message, "PID-5.1");
                let known = names.entry(value(&message, "PID-3.1")).or_insert(name.clone());
                assert_eq!(*known, name);
            }
        }
        assert!(told_by.iter().all(|count| *count > 200), "{told_by:?}");
        assert!(names.values().any(|name| name.chars().any(|one| one > '\u{ff}')));
    }

    #[test]
    fn results_wait_for_their_orders() {
        let mut hospital = hospital(2, true);
        let mut received = HashSet::new();
        let mut found = HashSet::new();
        let (mut held, mut results, mut cancelled) = (0, 0, 0);
        for _ in 0..4000 {
            let (told, bytes) = next(&mut hospital);
            let message = Message::parse(&bytes).expect("a message");
            match told.made.message_code {
                "ORM" | "OML" => {
                    let is_new = value(&message, "ORC-1") == "NW";
                    assert_eq!(told.placed.is_empty(), !is_new);
                    // What is cancelled is what was ordered in this way, and is still to be done.
                    if !is_new {
                        cancelled += 1;
                        let number = value(&message, "ORC-2.1");
                        assert!(received.contains(&number) && !found.contains(&number));
                    }
                    for (at, number) in told.placed.iter().enumerate() {
                        assert_eq!(value(&message, &format!("ORC({})-2.1", at + 1)), *number);
                        // Every other one never arrives.
                        held += 1;
                        if held % 2 == 0 {
                            assert!(hospital.received(number));
                            assert!(!hospital.received(number));
                            received.insert(number.clone());
                        }
                    }
                }
                "ORU" => {
                    results += 1;
                    for at in 1..=4 {
                        let number = value(&message, &format!("ORC({at})-2.1"));
                        assert!(number.is_empty() || received.contains(&number));
                        found.insert(number);
                    }
                }
                // Nobody tells what is dispensed, so nothing waits.
                "RDE" => assert!(told.placed.is_empty()),
                _ => {}
            }
        }
        assert!(
            results > 300 && cancelled > 5,
            "{results} results of {held}, {cancelled} cancelled"
        );
        assert!(!hospital.received("") && !hospital.received("ORD1") && !hospital.received("x"));
    }

    #[test]
    fn what_is_final_is_only_corrected_and_what_is_preliminary_becomes_final() {
        let mut hospital = hospital(3, false);
        let mut told: HashMap<String, (String, Vec<u8>)> = HashMap::new();
        let mut seen: HashMap<(String, String), usize> = HashMap::new();
        for _ in 0..20_000 {
            let (_, bytes) = next(&mut hospital);
            let message = Message::parse(&bytes).expect("a message");
            if value(&message, "MSH-9.1") != "ORU" {
                continue;
            }
            for at in 1..=4 {
                let number = value(&message, &format!("OBR({at})-2.1"));
                if number.is_empty() {
                    break;
                }
                let status = value(&message, &format!("OBR({at})-25"));
                let before = told.insert(number, (status.clone(), bytes.clone()));
                let before = before.map(|(status, _)| status).unwrap_or_default();
                *seen.entry((before, status)).or_default() += 1;
            }
        }
        let steps: HashSet<(&str, &str)> =
            seen.keys().map(|(one, other)| (one.as_str(), other.as_str())).collect();
        let usual = [("", "P"), ("", "F"), ("P", "P"), ("P", "F"), ("F", "C")];
        assert!(steps.iter().all(|step| usual.contains(step)), "{seen:?}");
        assert!(steps.contains(&("P", "F")) && steps.contains(&("F", "C")), "{seen:?}");
        let open = told.values().filter(|(status, _)| status == "P").count();
        assert!(open < 60, "{open} of {} are still preliminary", told.len());
    }

    #[test]
    fn the_same_seed_tells_the_same() {
        let stream = |seed| -> Vec<u8> {
            let mut hospital = hospital(seed, false);
            (0..300).flat_map(|_| next(&mut hospital).1).collect()
        };
        assert_eq!(stream(5), stream(5));
        assert_ne!(stream(5), stream(6));
    }

    #[test]
    fn something_certain_can_be_told() {
        let mut hospital = hospital(4, false);
        let version = Version::V2_5_1;
        let selection = Selection::parse("ADT^A31", version).expect("a type of the version");
        let mut bytes = Vec::new();
        let told = hospital.tell(0, &selection, &mut bytes).expect("a system");
        assert_eq!((told.system, told.made.trigger_event), (0, "A31"));
        assert!(bytes.starts_with(b"MSH|^~\\&|ADT\\F\\1|"));
        assert_eq!(hospital.tell(3, &selection, &mut bytes), None);
        let nobody = Hospital::new(&HospitalSettings::default(), Vec::new());
        assert_eq!(nobody.err(), Some(SettingsError::NoSystem));
    }

    #[test]
    fn a_hospital_of_which_nobody_tells_anything_is_silent() {
        let silent = vec![System::new(Version::V2_5_1, &[])];
        let mut hospital = Hospital::new(&HospitalSettings::default(), silent).expect("a hospital");
        let mut bytes = Vec::new();
        assert_eq!(hospital.next(&mut bytes), None);
        assert!(bytes.is_empty());
    }
}
