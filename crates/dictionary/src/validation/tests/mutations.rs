//! Twenty ways to break a message, each found at the path where it was broken.

use super::{ADMIT, Level, RESULT, findings};

/// What is changed in which message, and what must be among the findings.
const MUTATIONS: [(&str, &str, &str, &str); 20] = [
    (ADMIT, "|4711^^^GENERAL^MR|", "||", "PID-3 required-field-missing"),
    (ADMIT, "PV1|1|I|", "PV1|1||", "PV1-2 required-field-missing"),
    (ADMIT, "|P|2.5.1", "||2.5.1", "MSH-11 required-field-missing"),
    (ADMIT, "19700101", "19700231", "PID-7.1 date-malformed"),
    (ADMIT, "EVN||20260101120000", "EVN||01/01/2026", "EVN-2.1 date-malformed"),
    (RESULT, "|20260101113000|", "|202601011261|", "OBR-7.1 date-malformed"),
    (RESULT, "|14.5|", "|fourteen|", "OBX-5 number-malformed"),
    (RESULT, "OBX|2|", "OBX|B|", "OBX(2)-1 sequence-id-malformed"),
    (RESULT, "|N|||F|", "|N|||9|", "OBX-11 code-unknown"),
    (RESULT, "|HM|F\n", "|HM|9\n", "OBR-25 code-unknown"),
    (ADMIT, "Muster^Anna^^^^^L||", "Muster^Anna^^^^^9||", "PID-5.7 code-unknown"),
    (
        ADMIT,
        "PV1|1|I|WARD^12^A^GENERAL",
        "PV1|1|I|WARD^12^A^GENERAL^^^^^^^^x",
        "PV1-3.12 component-undefined",
    ),
    (RESULT, "718-7^Haemoglobin^LN", "718-7^Haemo&globin^LN", "OBX-3.2.2 subcomponent-undefined"),
    (ADMIT, "|F|||Main", "|F~M|||Main", "PID-8[2] field-repeats"),
    (ADMIT, "|1|P|2.5.1", "|123456789012345678901|P|2.5.1", "MSH-10 value-too-long"),
    (RESULT, "883-9^Blood group^LN", "883-9^Blood \\?\\ group^LN", "OBX(2)-3.2 escape-unknown"),
    (ADMIT, "EVN||20260101120000\n", "", "EVN segment-missing"),
    (
        ADMIT,
        "EVN||20260101120000\n",
        "EVN||20260101120000\nAL1|1|DA^Drug allergy^HL70127|PCN^Penicillin^L|MO\n",
        "AL1 segment-misplaced",
    ),
    (RESULT, "OBX|1|NM|", "OBX|1|ZZ|", "OBX-2 value-type-unknown"),
    (RESULT, "OBX|1|NM|", "junk\nOBX|1|NM|", "line 6 line-not-segment"),
];

#[test]
fn each_mutation_is_found_at_its_path() {
    for (message, old, new, expected) in MUTATIONS {
        assert_eq!(message.matches(old).count(), 1, "{old:?} stands once in the message");
        let found = findings(&message.replace(old, new), Level::Standard);
        let named = found
            .iter()
            .any(|one| one.split_once(' ').is_some_and(|(_, place)| place.starts_with(expected)));
        assert!(named, "{old:?} -> {new:?}: {expected} is not among {found:?}");
    }
}
