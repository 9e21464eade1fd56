//! Cases as FHIR R4 resources: a patient who comes once, what is found and what is given.
//!
//! [`Case`] makes the same JSON from the same seed and number, of the sizes and in the mix that a feed leaves behind in
//! a store: of ten resources five are Observations, one each is a Patient, an Encounter, a Condition, a
//! DiagnosticReport and a MedicationRequest. Two cases never share a record number.
//!
//! The resources are valid by the base specification; they claim no profile.

use std::fmt::Write as _;

use crate::moment::{DAY, Moment};
use crate::people::{CULTURES, Patient};
use crate::random::{below, mix, pick};

/// How many resources a case has.
pub const RESOURCES_EACH: usize = 10;

/// How many of them are Observations.
pub const OBSERVATIONS_EACH: usize = 5;

/// The system of the record numbers.
pub const RECORD_SYSTEM: &str = "https://hospital.example/records";

/// Cases come within ten years from 1 January 2015.
const START: i64 = 1_420_070_400;
/// See [`START`].
pub const FIRST_YEAR: i64 = 2015;
/// How many years cases are spread over.
pub const YEARS: u64 = 10;

/// What is measured: LOINC code, display, unit (UCUM), the reference range, and digits behind the point.
type Test = (&'static str, &'static str, &'static str, f64, f64, usize);

const TESTS: &[Test] = &[
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 70.0, 99.0, 0),
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.6, 1.2, 2),
    ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 136.0, 145.0, 0),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3.5, 5.1, 1),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 12.0, 17.5, 1),
    ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 4.5, 11.0, 1),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 150.0, 400.0, 0),
    ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", 0.0, 5.0, 1),
    ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume]", "U/L", 7.0, 56.0, 0),
    ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 0.4, 4.0, 2),
];

const CONDITIONS: &[(&str, &str)] = &[
    ("I10", "Essential (primary) hypertension"),
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("J18.9", "Pneumonia, unspecified organism"),
    ("N39.0", "Urinary tract infection, site not specified"),
    ("S72.0", "Fracture of neck of femur"),
    ("K35.8", "Acute appendicitis, other and unspecified"),
];

const MEDICATIONS: &[(&str, &str)] = &[
    ("860975", "metformin hydrochloride 500 MG Oral Tablet"),
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("308182", "amoxicillin 250 MG Oral Capsule"),
    ("198440", "acetaminophen 500 MG Oral Tablet"),
    ("197361", "amlodipine 5 MG Oral Tablet"),
];

const WARDS: &[&str] = &["Medicine A", "Medicine B", "Surgery", "Cardiology", "Orthopaedics"];

/// What is asked of a case's seed.
mod ask {
    pub(super) const BEGAN: u64 = 1;
    pub(super) const STAY: u64 = 2;
    pub(super) const CONDITION: u64 = 3;
    pub(super) const MEDICATION: u64 = 4;
    pub(super) const WARD: u64 = 5;
    pub(super) const TEST: u64 = 6;
    pub(super) const VALUE: u64 = 20;
}

/// A patient and one stay.
#[derive(Debug, Clone)]
pub struct Case {
    seed: u64,
    number: u64,
    patient: Patient,
    began: Moment,
}

impl Case {
    /// The case of a number.
    pub fn new(seed: u64, number: u64) -> Self {
        let seed = mix(seed, number);
        let began = below(mix(seed, ask::BEGAN), YEARS * 365 * DAY.unsigned_abs());
        let began = Moment(START).plus(i64::try_from(began).unwrap_or(0));
        static ALL: std::sync::LazyLock<Vec<&'static crate::people::Culture>> =
            std::sync::LazyLock::new(|| CULTURES.iter().collect());
        let patient = Patient::new(mix(seed, 77), number, began, &ALL);
        Self { seed, number, patient, began }
    }

    /// The patient's record number.
    pub fn record_number(&self) -> String {
        format!("{:08}", self.number)
    }

    /// The patient's (first) family name.
    pub fn family(&self) -> &'static str {
        self.patient.name.family
    }

    fn asked(&self, question: u64) -> u64 {
        mix(self.seed, question)
    }

    /// The Patient. `round` counts how often it was written: the telephone number changes with it.
    pub fn patient(&self, id: Option<&str>, round: u64, out: &mut String) {
        let name = &self.patient.name;
        let (number, address) = (self.number, self.patient.address());
        begin("Patient", id, out);
        put(
            out,
            format_args!(
                r#","identifier":[{{"use":"official","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}}]}},"system":"{RECORD_SYSTEM}","value":"{number:08}","assigner":{{"display":"General Hospital"}}}}],"active":true,"name":[{{"use":"official","family":"{}"#,
                name.family
            ),
        );
        if !name.second.is_empty() {
            put(out, format_args!("{}{}", if name.hyphen { '-' } else { ' ' }, name.second));
        }
        put(out, format_args!(r#"","given":["{}""#, name.given));
        if !name.middle.is_empty() {
            put(out, format_args!(r#","{}""#, name.middle));
        }
        let mut phone = Vec::new();
        self.patient.phone().write(&mut phone);
        let phone = String::from_utf8_lossy(&phone);
        put(
            out,
            format_args!(
                r#"]}}],"telecom":[{{"system":"phone","value":"{phone} x{round}","use":"home"}},{{"system":"email","value":"patient{number}@example.org"}}],"gender":"{}","birthDate":""#,
                match self.patient.sex {
                    "F" => "female",
                    "M" => "male",
                    "O" => "other",
                    _ => "unknown",
                }
            ),
        );
        date(self.patient.born, out);
        let mut postal = Vec::new();
        address.write_postal_code(&mut postal);
        let street = match address.country.number_first() {
            true => format!("{} {}", address.house(), address.street()),
            false => format!("{} {}", address.street(), address.house()),
        };
        put(
            out,
            format_args!(
                r#"","address":[{{"use":"home","type":"physical","line":["{street}"],"city":"{}","postalCode":"{}","country":"{}"}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"{}"}}]}},"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"{}","display":"{}"}}]}},"preferred":true}}],"generalPractitioner":[{{"display":"General Practice {}"}}]}}"#,
                address.city(),
                String::from_utf8_lossy(&postal),
                address.country.code(),
                self.patient.marital,
                self.patient.culture.language.0,
                self.patient.culture.language.1,
                below(self.asked(ask::WARD), 40),
            ),
        );
    }

    /// The Encounter.
    pub fn encounter(&self, id: Option<&str>, subject: &str, out: &mut String) {
        let end =
            self.began.plus(i64::try_from(below(self.asked(ask::STAY), 9 * 86_400)).unwrap_or(0));
        begin("Encounter", id, out);
        put(
            out,
            format_args!(
                r#","identifier":[{{"system":"https://hospital.example/visits","value":"V{:09}"}}],"status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP","display":"inpatient encounter"}},"type":[{{"coding":[{{"system":"http://snomed.info/sct","code":"183452005","display":"Emergency hospital admission"}}]}}],"subject":{{"reference":"{subject}"}},"period":{{"start":""#,
                self.number
            ),
        );
        time(self.began, out);
        out.push_str(r#"","end":""#);
        time(end, out);
        put(
            out,
            format_args!(
                r#""}},"reasonCode":[{{"text":"{}"}}],"hospitalization":{{"dischargeDisposition":{{"text":"home"}}}},"location":[{{"location":{{"display":"{}"}}}}],"serviceProvider":{{"display":"General Hospital"}}}}"#,
                self.condition_code().1,
                pick(self.asked(ask::WARD), WARDS),
            ),
        );
    }

    fn condition_code(&self) -> (&'static str, &'static str) {
        pick(self.asked(ask::CONDITION), CONDITIONS)
    }

    /// An Observation: a laboratory value. `at` counts them, also beyond [`OBSERVATIONS_EACH`].
    pub fn observation(
        &self,
        at: u64,
        id: Option<&str>,
        subject: &str,
        encounter: Option<&str>,
        out: &mut String,
    ) {
        let test = below(self.asked(ask::TEST), TESTS.len() as u64).wrapping_add(at);
        let test = usize::try_from(test).unwrap_or(0) % TESTS.len();
        let (code, display, unit, low, high, digits) = TESTS.get(test).copied().unwrap_or(TESTS[0]);
        // Most values are within the range, some above and below.
        let share = below(self.asked(ask::VALUE + at), 1_400) as f64 / 1_000.0 - 0.2;
        let value = (low + share * (high - low)).max(0.0);
        let (flag, meaning) = match value {
            value if value < low => ("L", "Low"),
            value if value > high => ("H", "High"),
            _ => ("N", "Normal"),
        };
        let taken = self.began.plus(900 + 3_600 * i64::try_from(at % 200).unwrap_or(0));
        begin("Observation", id, out);
        put(
            out,
            format_args!(
                r#","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"{subject}"}},"#
            ),
        );
        if let Some(encounter) = encounter {
            put(out, format_args!(r#""encounter":{{"reference":"{encounter}"}},"#));
        }
        out.push_str(r#""effectiveDateTime":""#);
        time(taken, out);
        out.push_str(r#"","issued":""#);
        time(taken.plus(2_700), out);
        put(
            out,
            format_args!(
                r#"","performer":[{{"display":"Central Laboratory"}}],"valueQuantity":{{"value":{value:.digits$},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}},"interpretation":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"{flag}","display":"{meaning}"}}]}}],"referenceRange":[{{"low":{{"value":{low},"unit":"{unit}"}},"high":{{"value":{high},"unit":"{unit}"}}}}]}}"#
            ),
        );
    }

    fn condition(&self, subject: &str, encounter: &str, out: &mut String) {
        let (code, display) = self.condition_code();
        begin("Condition", None, out);
        put(
            out,
            format_args!(
                r#","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},"verificationStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"confirmed"}}]}},"category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"encounter-diagnosis","display":"Encounter Diagnosis"}}]}}],"code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/icd-10","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"{subject}"}},"encounter":{{"reference":"{encounter}"}},"onsetDateTime":""#
            ),
        );
        date(self.began.plus(-DAY), out);
        out.push_str(r#"","recordedDate":""#);
        time(self.began.plus(1_200), out);
        out.push_str(r#""}"#);
    }

    fn report(&self, subject: &str, encounter: &str, results: &[String], out: &mut String) {
        begin("DiagnosticReport", None, out);
        put(
            out,
            format_args!(
                r#","identifier":[{{"system":"https://hospital.example/orders","value":"L{:09}"}}],"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"LAB","display":"Laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"11502-2","display":"Laboratory report"}}]}},"subject":{{"reference":"{subject}"}},"encounter":{{"reference":"{encounter}"}},"effectiveDateTime":""#,
                self.number
            ),
        );
        time(self.began.plus(900), out);
        out.push_str(r#"","issued":""#);
        time(self.began.plus(7_200), out);
        out.push_str(r#"","performer":[{"display":"Central Laboratory"}],"result":["#);
        for (at, result) in results.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            put(out, format_args!(r#"{comma}{{"reference":"{result}"}}"#));
        }
        out.push_str("]}");
    }

    fn medication(&self, subject: &str, encounter: &str, out: &mut String) {
        let (code, display) = pick(self.asked(ask::MEDICATION), MEDICATIONS);
        begin("MedicationRequest", None, out);
        put(
            out,
            format_args!(
                r#","status":"active","intent":"order","medicationCodeableConcept":{{"coding":[{{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"{subject}"}},"encounter":{{"reference":"{encounter}"}},"authoredOn":""#
            ),
        );
        time(self.began.plus(3_600), out);
        out.push_str(
            r#"","requester":{"display":"Dr. Avery Quinn"},"dosageInstruction":[{"text":"1 tablet twice a day","timing":{"repeat":{"frequency":2,"period":1,"periodUnit":"d"}},"doseAndRate":[{"doseQuantity":{"value":1,"unit":"TAB"}}]}]}"#,
        );
    }

    /// All resources as entries of a transaction that creates them, which refer to one another; without the brackets
    /// around them.
    pub fn entries(&self, out: &mut String) {
        let name = |at: u64| {
            let (high, low) = (self.seed >> 32, self.number & 0xFFFF_FFFF_FFFF);
            format!("urn:uuid:{high:08x}-{at:04x}-4000-8000-{low:012x}")
        };
        let (subject, encounter) = (name(0), name(1));
        let mut results = Vec::new();
        let entry = |full_url: &str,
                     resource_type: &str,
                     out: &mut String,
                     write: &dyn Fn(&mut String)| {
            let comma = if resource_type == "Patient" { "" } else { "," };
            put(out, format_args!(r#"{comma}{{"fullUrl":"{full_url}","resource":"#));
            write(out);
            put(out, format_args!(r#","request":{{"method":"POST","url":"{resource_type}"}}}}"#));
        };
        entry(&subject, "Patient", out, &|out| self.patient(None, 0, out));
        entry(&encounter, "Encounter", out, &|out| self.encounter(None, &subject, out));
        for at in 0..OBSERVATIONS_EACH as u64 {
            let full_url = name(2 + at);
            entry(&full_url, "Observation", out, &|out| {
                self.observation(at, None, &subject, Some(&encounter), out);
            });
            results.push(full_url);
        }
        entry(&name(10), "Condition", out, &|out| self.condition(&subject, &encounter, out));
        entry(&name(11), "DiagnosticReport", out, &|out| {
            self.report(&subject, &encounter, &results, out);
        });
        entry(&name(12), "MedicationRequest", out, &|out| {
            self.medication(&subject, &encounter, out);
        });
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A String takes whatever is written.
    let _ = out.write_fmt(arguments);
}

fn begin(resource_type: &str, id: Option<&str>, out: &mut String) {
    put(out, format_args!(r#"{{"resourceType":"{resource_type}""#));
    if let Some(id) = id {
        put(out, format_args!(r#","id":"{id}""#));
    }
}

fn date(moment: Moment, out: &mut String) {
    let (year, month, day) = moment.date();
    put(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

fn time(moment: Moment, out: &mut String) {
    date(moment, out);
    let of_day = moment.0.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    put(out, format_args!("T{hour:02}:{minute:02}:{second:02}Z"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_makes_one_case_and_another_number_another() {
        let entries = |number| {
            let mut out = String::new();
            Case::new(7, number).entries(&mut out);
            out
        };
        assert_eq!(entries(3), entries(3));
        assert_ne!(entries(3), entries(4));
        let three = entries(3);
        assert_eq!(three.matches(r#""resourceType""#).count(), RESOURCES_EACH);
        assert_eq!(three.matches(r#""resourceType":"Observation""#).count(), OBSERVATIONS_EACH);
        assert_eq!(three.matches(r#""value":"00000003""#).count(), 1);
    }

    #[test]
    fn names_need_no_escape_in_json() {
        for number in 0..2_000 {
            let mut out = String::new();
            Case::new(1, number).patient(Some("p"), 0, &mut out);
            assert!(!out.contains('\\') && out.bytes().all(|byte| byte >= 0x20), "{number}");
        }
    }
}
