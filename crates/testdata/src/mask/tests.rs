use pipehat_message::CharsetRule;
use proptest::prelude::*;

use super::*;

const ADMISSION: &str = "MSH|^~\\&|ADT|NORTH HOSPITAL|LAB|NORTH|20260105081500+0100||ADT^A01^ADT_A01|CTL0001|P|2.5.1|||AL|NE||UNICODE UTF-8\r\
EVN|A01|20260105081500\r\
PID|1||4711001^5^M10^NORTH^MR~987-65-4321^^^USA^SS||Weissenberg^Änne-Marie^B^^Dr||19310412|F||2106-3^White^HL70005|12 Lindenallee^Top 4^Graz^ST^80011-1234^AUT||+43 316 5550199^PRN^PH^^43^316^5550199~^NET^Internet^anne@example.org|||M|CAT|88001122^^^NORTH^AN|987-65-4321||||Leoben\r\
PV1|1|I|2W^201^A^NORTH||||1234^Adler^Otto^^^Dr^MD|||||||||||V0099881^^^NORTH^VN||||||||||||||||||||||||||20260105080000\r\
OBX|1|NM|718-7^Hemoglobin^LN||13.2|g/dL|12.0-16.0|N|||F|||20260104073000\r\
OBX|2|ST|8251-1^Comment^LN||Weissenberg called, no pain since 20251230||||||F\r\
NTE|1||Spoke with Mrs Weissenberg (tel 316 5550199), daughter Grete. MRN 4711001.\r\
ZPI|1|secret words 123|keep\r";

fn masker() -> Masker {
    Masker::new(Key::new([9; 32]), Options::default())
}

fn masked(message: &str) -> String {
    let result = masker().mask(message.as_bytes()).expect("a message that can be masked");
    String::from_utf8(result.bytes).expect("UTF-8 as before")
}

fn get<'m>(message: &'m Message<'_>, path: &str) -> &'m str {
    let path = path.parse().expect("a path");
    message.get(&path).map_or("", |value| std::str::from_utf8(value.raw()).expect("UTF-8"))
}

#[test]
fn what_tells_a_person_goes_and_the_rest_stays() {
    let result = masked(ADMISSION);
    for telling in [
        "Weissenberg",
        "Änne",
        "Marie",
        "4711001",
        "987-65-4321",
        "19310412",
        "Lindenallee",
        "Graz",
        "5550199",
        "anne@example.org",
        "88001122",
        "Leoben",
        "Adler",
        "Otto",
        "V0099881",
        "Grete",
        "secret",
        "CTL0001",
        "20260105",
        "20251230",
    ] {
        assert!(!result.contains(telling), "{telling} survived:\n{}", result.replace('\r', "\n"));
    }
    let message = Message::parse(result.as_bytes()).expect("a message");
    for (path, value) in [
        ("MSH-3", "ADT"),
        ("MSH-4", "NORTH HOSPITAL"),
        ("MSH-9", "ADT^A01^ADT_A01"),
        ("PID-3.4", "NORTH"),
        ("PID-8", "F"),
        ("PID-10.2", "White"),
        ("PID-11.4", "ST"),
        ("PV1-2", "I"),
        ("PV1-3", "2W^201^A^NORTH"),
        ("OBX-3", "718-7^Hemoglobin^LN"),
        ("OBX-5", "13.2"),
        ("OBX-7", "12.0-16.0"),
    ] {
        assert_eq!(get(&message, path), value, "{path}");
    }
    assert_eq!(result.len(), ADMISSION.len());
    assert!(result.contains("called, no pain since 20"));
}

#[test]
fn systems_and_units_stay_with_all_their_components() {
    let systems = "ADT^1.2.840.99999.7^ISO|NORTH HOSPITAL^lab.test^DNS|LAB^^L,M,N|";
    let message = ADMISSION
        .replace("ADT|NORTH HOSPITAL|LAB|", systems)
        .replace("|g/dL|", "|g/dL^gram per deciliter^UCUM|")
        .replace("4711001^5^M10^NORTH^MR", "4711001^5^M10^NORTH&1.2.840.99999.8&ISO^MR");
    let result = masked(&message);
    for kept in [systems, "|g/dL^gram per deciliter^UCUM|", "^NORTH&1.2.840.99999.8&ISO^MR"] {
        assert!(result.contains(kept), "{kept} went:\n{}", result.replace('\r', "\n"));
    }
}

#[test]
fn intervals_and_times_of_day_stay() {
    let result = masked(ADMISSION);
    let message = Message::parse(result.as_bytes()).expect("a message");
    let day = |path: &str| date::day_of(get(&message, path)).expect("a date");
    assert_eq!(day("MSH-7") - day("OBX-14"), 1);
    assert!(get(&message, "MSH-7").ends_with("081500+0100"));
}

#[test]
fn the_old_are_ninety() {
    let result = masked(ADMISSION);
    let message = Message::parse(result.as_bytes()).expect("a message");
    let sent: i64 = get(&message, "MSH-7")[..4].parse().expect("a year");
    assert_eq!(get(&message, "PID-7"), format!("{:04}0101", sent - 90));
}

#[test]
fn nothing_tells_the_age_of_the_old() {
    let message = ADMISSION.replace(
        "OBX|2|ST|8251-1^Comment^LN||Weissenberg called, no pain since 20251230",
        "OBX|2|ST|8251-1^Comment^LN||born 12.04.1931, 1931, aged 94, 94|||||F\rOBX|3|DT|21112-8^Birth date^LN||19310412||||||F\rOBX|4|NM|30525-0^Age^LN||94|a",
    );
    let result = masked(&message);
    let message = Message::parse(result.as_bytes()).expect("a message");
    let said = get(&message, "OBX(2)-5");
    for telling in ["1931", "94", "12.04."] {
        assert!(!said.contains(telling), "{telling} survived: {said}");
    }
    assert_eq!(get(&message, "OBX(3)-5"), get(&message, "PID-7"));
    assert_eq!(get(&message, "OBX(4)-5"), "90");
}

#[test]
fn an_allowance_spares_no_name_and_may_be_unused() {
    let allow = ["PID-5", "QQQ-1"].map(|path| path.parse().expect("an allowance")).to_vec();
    let mut masker = Masker::new(Key::new([9; 32]), Options { allow, ..Options::default() });
    let result = masker.mask(ADMISSION.as_bytes()).expect("masked").bytes;
    let result = String::from_utf8(result).expect("UTF-8");
    assert!(!result.contains("Marie") && !result.contains("Weissenberg"));
    assert_eq!(masker.unused_allowances().collect::<Vec<_>>(), [1]);
}

#[test]
fn dates_in_unknown_fields_are_dates_still() {
    let result = masked(&ADMISSION.replace("ZPI|1|secret words 123", "ZPI|1|20260104"));
    let message = Message::parse(result.as_bytes()).expect("a message");
    assert_eq!(get(&message, "ZPI-2"), &get(&message, "OBX-14")[..8]);
}

#[test]
fn the_same_person_is_the_same_pseudonym_everywhere() {
    let result = masked(ADMISSION);
    let message = Message::parse(result.as_bytes()).expect("a message");
    let family = get(&message, "PID-5.1");
    assert!(get(&message, "NTE-3").contains(family) && get(&message, "OBX(2)-5").contains(family));
    let other = masked(&ADMISSION.replace("Weissenberg^Änne", "WEISSENBERG^ÄNNE"));
    let other = Message::parse(other.as_bytes()).expect("a message");
    assert_eq!(get(&other, "PID-5.1"), family.to_uppercase());
    assert_eq!(get(&other, "PID-3.1"), get(&message, "PID-3.1"));
}

#[test]
fn a_right_check_digit_is_right_again() {
    let digit = check_digit("4711001", "M10").expect("digits");
    let result = masked(&ADMISSION.replace("4711001^5^M10", &format!("4711001^{digit}^M10")));
    let message = Message::parse(result.as_bytes()).expect("a message");
    let expected = check_digit(get(&message, "PID-3.1"), "M10").expect("digits");
    assert_eq!(get(&message, "PID-3.2"), expected.to_string());
}

#[test]
fn postal_codes_of_other_countries_go_whole() {
    let american = masked(&ADMISSION.replace("^AUT|", "^USA|"));
    let message = Message::parse(american.as_bytes()).expect("a message");
    assert_eq!(get(&message, "PID-11.5"), "80000-0000");
    let austrian = masked(ADMISSION);
    let message = Message::parse(austrian.as_bytes()).expect("a message");
    assert!(!get(&message, "PID-11.5").starts_with("80011"));
}

#[test]
fn an_allowed_field_stays_but_for_names() {
    let allow = vec!["ZPI-2".parse().expect("an allowance")];
    let mut masker = Masker::new(Key::new([9; 32]), Options { allow, ..Options::default() });
    let message = ADMISSION.replace("secret words 123", "secret words Weissenberg");
    let result =
        String::from_utf8(masker.mask(message.as_bytes()).expect("masked").bytes).expect("UTF-8");
    assert!(result.contains("secret words ") && !result.contains("Weissenberg"));
}

#[test]
fn another_key_makes_another_person() {
    let mut other = Masker::new(Key::new([10; 32]), Options::default());
    let result = other.mask(ADMISSION.as_bytes()).expect("masked");
    assert_ne!(result.bytes, masked(ADMISSION).into_bytes());
}

#[test]
fn the_character_set_stays() {
    let text = "MSH|^~\\&|A|B|C|D|20260105||ADT^A08|1|P|2.3|||||| 8859/1\rPID|1||77||Müller^Jörg\r";
    let text = text.replace(" 8859/1", "8859/1");
    let bytes = Charset::LATIN_1.encode(&text).expect("Latin-1").into_owned();
    let result = masker().mask(&bytes).expect("masked").bytes;
    assert_eq!(result.len(), bytes.len());
    assert!(Charset::LATIN_1.decode(&result).text.chars().filter(|c| !c.is_ascii()).count() == 2);
}

#[test]
fn an_unknown_character_set_fails() {
    let message = ADMISSION.replace("UNICODE UTF-8", "KLINGON");
    assert!(matches!(masker().mask(message.as_bytes()), Err(MaskError::Charset(_))));
    let charset = CharsetRule::Override(Charset::UTF_8);
    let mut told = Masker::new(Key::new([9; 32]), Options { charset, ..Options::default() });
    assert!(told.mask(message.as_bytes()).is_ok());
}

#[test]
fn the_envelope_of_a_batch_is_masked_too() {
    let mut masker = masker();
    let mut check = |lines: &str, kept: &str, gone: &str| {
        let result = masker.mask_envelope(lines.as_bytes()).expect("an envelope").bytes;
        let result = String::from_utf8(result).expect("UTF-8");
        assert_eq!(result.len(), lines.len());
        assert!(result.contains(kept) && !result.contains(gone), "{result}");
    };
    check(
        "BHS|^~\\&|LAB|NORTH|||20260105||Weissenberg 4711\r",
        "BHS|^~\\&|LAB|NORTH|||2",
        "Weissenberg",
    );
    check(
        "FHS#*~!$#LAB#NORTH###20260105##Weissenberg.hl7\r",
        "FHS#*~!$#LAB#NORTH###2",
        "Weissenberg",
    );
    check("BTS|3|of Weissenberg\r", "BTS|3|of ", "Weissenberg");
    check("left by Weissenberg\n", "left by ", "Weissenberg");
    check("\r\n\r\n", "\r", "x");
}

#[test]
fn documents_are_filled() {
    let message = ADMISSION.replace(
        "OBX|2|ST|8251-1^Comment^LN||Weissenberg called, no pain since 20251230",
        "OBX|2|ED|8251-1^Comment^LN||^application^pdf^Base64^JVBERi0xLjQK",
    );
    assert!(masked(&message).contains("^application^pdf^Base64^AAAAAAAAAAAA|"));
}

proptest! {
    #[test]
    fn any_message_is_masked_or_refused(body in "[A-Z0-9a-zäß ^~&|\\\\.\r-]{0,300}") {
        let message = format!("MSH|^~\\&|A|B|C|D|20260105||ADT^A08|1|P|2.5\rPID|1||77||Name^First\r{body}");
        let result = masker().mask(message.as_bytes());
        if let Ok(masked) = result {
            prop_assert_eq!(masked.bytes.len(), message.len());
        }
    }
}
