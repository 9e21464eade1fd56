//! What is packed is unpacked again; what is damaged is an error.

use pipehat_message::Message;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::{Settings, Translator};

const NAMES: [&str; 5] = ["Patient", "identifier", "value", "coding", "name"];
const SEGMENTS: [&str; 3] = ["PID", "OBX", "NK1"];
const RULES: [&str; 9] = [
    "segments PID[Patient] PID-3",
    "datatypes CX[Identifier] CX.1",
    "datatypes MSG[Coding] MSG",
    "to_v2 PID(Patient) 8",
    "to_v2",
    "",
    "segments ZPD[Patient] ZPD-02",
    " PID-3",
    "Regel über ein Z-Segment",
];

/// Rows as people read them.
type Shown = Vec<(String, Vec<String>, String)>;

fn shown(lineage: &Lineage) -> Shown {
    let row = |source: &Source| {
        let paths = source.paths.iter().map(ToString::to_string).collect();
        (source.element.to_string(), paths, source.rule.to_string())
    };
    lineage.sources.iter().map(row).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let index = prop_oneof![Just(None), (0..4_u32).prop_map(Some), any::<u32>().prop_map(Some)];
    (0..NAMES.len() as u32, index).prop_map(|(name, index)| Step { name, index })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = (0..NAMES.len() as u32, 0..5_u32)
        .prop_map(|(name, entry)| Step { name, index: Some(entry) });
    (first, vec(step(), 0..20)).prop_map(|(first, rest)| {
        let mut steps = vec![first];
        steps.extend(rest);
        steps
    })
}

fn field_place() -> impl Strategy<Value = FieldPlace> {
    let number = || prop_oneof![0..3_u32, any::<u32>()];
    (0..SEGMENTS.len() as u32, (number(), number()), (number(), number(), number())).prop_map(
        |(segment, (occurrence, field), (repetition, component, subcomponent))| FieldPlace {
            segment,
            occurrence,
            field,
            repetition,
            component,
            subcomponent,
        },
    )
}

fn text_of_steps(steps: &[Step]) -> String {
    let mut text = String::new();
    for (depth, step) in steps.iter().enumerate() {
        match (depth, step.index) {
            (0, Some(entry)) => text.push_str(&format!("Bundle.entry[{entry}].resource")),
            (_, Some(index)) => text.push_str(&format!(".{}[{index}]", NAMES[step.name as usize])),
            (_, None) => text.push_str(&format!(".{}", NAMES[step.name as usize])),
        }
    }
    text
}

fn text_of_place(place: FieldPlace) -> String {
    let mut text = SEGMENTS[place.segment as usize].to_owned();
    for (number, from, before, behind) in [
        (place.occurrence, 2, "(", ")"),
        (place.field, 1, "-", ""),
        (place.repetition, 2, "[", "]"),
        (place.component, 1, ".", ""),
        (place.subcomponent, 1, ".", ""),
    ] {
        if number >= from {
            text.push_str(&format!("{before}{number}{behind}"));
        }
    }
    text
}

/// Names and rules by their number.
struct Named<'n>(&'n [&'n str], &'n [&'n str]);

impl Texts for Named<'_> {
    fn name(&self, name: u32, out: &mut Vec<u8>) {
        pack_word(self.0[name as usize], out);
    }

    fn rule(&self, rule: u32, out: &mut Vec<u8>) {
        pack_rule(self.1[rule as usize], out);
    }
}

fn packer(direction: Direction) -> Packer {
    let mut packer = Packer::new(direction, true, LineageLimits::KEPT);
    SEGMENTS.into_iter().for_each(|name| _ = packer.segment(name));
    packer
}

type Row = (Vec<Vec<Step>>, Vec<FieldPlace>, u32);

fn packed_to_fhir(rows: &[Row]) -> (PackedLineage, Shown) {
    let mut packer = packer(Direction::ToFhir);
    let mut expected = Vec::new();
    for (elements, places, rule) in rows {
        let Some(element) = elements.first() else { continue };
        packer.element(element, places, *rule);
        let paths = places.iter().map(|place| text_of_place(*place)).collect();
        expected.push((text_of_steps(element), paths, RULES[*rule as usize].to_owned()));
    }
    (packer.finish(&Named(&NAMES, &RULES)).expect("it fits"), expected)
}

fn packed_to_v2(rows: &[Row]) -> (PackedLineage, Shown) {
    let mut packer = packer(Direction::ToV2);
    let mut expected = Vec::new();
    for (elements, places, rule) in rows {
        let Some(place) = places.first() else { continue };
        let sources: Vec<&[Step]> = elements.iter().map(Vec::as_slice).collect();
        packer.field(*place, &sources, *rule);
        let paths = elements.iter().map(|steps| text_of_steps(steps)).collect();
        expected.push((text_of_place(*place), paths, RULES[*rule as usize].to_owned()));
    }
    (packer.finish(&Named(&NAMES, &RULES)).expect("it fits"), expected)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    vec((vec(steps(), 0..6), vec(field_place(), 0..6), 0..RULES.len() as u32), 0..12)
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(rows in rows()) {
        for (packed, expected) in [packed_to_fhir(&rows), packed_to_v2(&rows)] {
            let lineage = packed.unpack().expect("it can be read");
            prop_assert_eq!(shown(&lineage), expected);
        }
    }

    #[test]
    fn what_is_cut_changed_or_longer_never_panics(
        rows in rows(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for (packed, _) in [packed_to_fhir(&rows), packed_to_v2(&rows)] {
            let mut bytes = packed.into_bytes();
            for length in 0..bytes.len() {
                let cut = PackedLineage::new(bytes[..length].to_vec());
                prop_assert_eq!(cut.unpack().is_err(), true, "cut at {}", length);
            }
            let longer = PackedLineage::new([&bytes[..], &[0]].concat());
            prop_assert_eq!(longer.unpack().err(), Some(LineageError::Long));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = PackedLineage::new(bytes).unpack();
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = PackedLineage::new(bytes.clone()).unpack();
        let _ = PackedLineage::new([&[1, 1, 1][..], &bytes].concat()).unpack();
    }
}

#[test]
fn a_later_form_is_told_apart_from_damage() {
    for (bytes, expected) in [
        (&[2, 1, 1, 0, 0, 0, 0][..], Err(LineageError::LaterForm)),
        (&[1, 3, 1, 0, 0, 0, 0], Err(LineageError::Damaged)),
        (&[1, 1, 3, 0, 0, 0, 0], Err(LineageError::Damaged)),
        (&[1, 1, 1, 0, 0, 0], Err(LineageError::Short)),
        (&[1, 1, 1, 0, 0, 0, 0], Ok(0)),
        // One element, whose rule there is none of.
        (&[1, 1, 1, 0, 0, 0, 1, 0, 0], Err(LineageError::Damaged)),
    ] {
        let found = PackedLineage::new(bytes.to_vec()).unpack();
        assert_eq!(found.map(|lineage| lineage.sources.len()), expected, "{bytes:?}");
    }
}

/// Small bytes that say more than any translation: a long name, named as deep and as often as may be.
#[test]
fn what_would_grow_too_large_is_refused() {
    let name = "n".repeat(4_096);
    let named = Named(&[&name], &["r"]);
    let limits = LineageLimits { values_max: usize::MAX, packed_bytes_max: usize::MAX };
    let mut packer = Packer::new(Direction::ToFhir, true, limits);
    let steps = [Step { name: 0, index: None }; 64];
    for _ in 0..1_100 {
        packer.element(&steps, &[], 0);
    }
    let packed = packer.finish(&named).expect("it is packed");
    assert!(packed.as_bytes().len() < 16_384);
    assert_eq!(packed.unpack(), Err(LineageError::TooLarge));

    let mut packer = Packer::new(Direction::ToFhir, true, limits);
    packer.element(&[Step { name: 0, index: None }; 65], &[], 0);
    assert_eq!(packer.finish(&named), None, "deeper than any element");
}

const MESSAGE: &[u8] = b"MSH|^~\\&|LAB|G|EHR|G|20260101120000+0100||ADT^A08^ADT_A01|1|P|2.5.1\r\
    EVN||20260101120000+0100\r\
    PID|1||4711^^^GOOD^MR~815^^^GOOD^PI||Muster^Anna||19700101|F\r";

#[test]
fn a_translation_has_as_much_lineage_as_it_may_or_none() {
    let message = Message::parse(MESSAGE).expect("a message");
    let translator = Translator::new(Settings::default());
    let packed = |limits| translator.to_fhir_with_lineage(&message, limits).lineage;
    let whole = packed(LineageLimits::KEPT).expect("it fits");
    let bytes = whole.as_bytes().len();
    let at_most = |packed_bytes_max| LineageLimits { packed_bytes_max, ..LineageLimits::KEPT };
    assert_eq!(packed(at_most(bytes)), Some(whole.clone()));
    assert_eq!(packed(at_most(bytes - 1)), None);
    let values = (0..).find(|values_max| {
        packed(LineageLimits { values_max: *values_max, ..LineageLimits::KEPT }).is_some()
    });
    let sources = whole.unpack().expect("it can be read").sources;
    let followed: usize = sources.iter().map(|source| source.paths.len()).sum();
    assert!(values.is_some_and(|values| values >= followed), "{values:?} of {followed}");
    assert_eq!(translator.to_fhir(&message).lineage, None, "nobody asked");
}

#[test]
fn places_find_what_came_from_them_and_went_to_them() {
    let message = Message::parse(MESSAGE).expect("a message");
    let translation =
        Translator::new(Settings::default()).to_fhir_with_lineage(&message, LineageLimits::KEPT);
    let lineage = translation.lineage.expect("it fits").unpack().expect("it can be read");
    let check = |pattern: &str, expected: &[&str]| {
        let place = PlacePattern::parse(pattern).expect("a place");
        let found = lineage.clone().about(&place).sources;
        let found: Vec<_> = found
            .iter()
            .map(|source| format!("{} {}", source.element.path(), source.paths[0].path()))
            .filter(|row| row.starts_with("Patient") || expected.is_empty())
            .collect();
        assert_eq!(found, expected, "{pattern}");
    };
    let identifiers = [
        "Patient.identifier[0].value PID-3.1",
        "Patient.identifier[0].type.coding[0].code PID-3.5",
        "Patient.identifier[0].type.coding[0].system PID-3.5",
        "Patient.identifier[1].value PID-3[2].1",
        "Patient.identifier[1].type.coding[0].code PID-3[2].5",
        "Patient.identifier[1].type.coding[0].system PID-3[2].5",
    ];
    check("PID-3", &identifiers);
    check("PID(1)-3", &identifiers);
    check("Patient.identifier", &identifiers);
    check("PID-3[2]", &identifiers[3..]);
    check("PID-3[1].1", &identifiers[..1]);
    check("Patient.identifier[1]", &identifiers[3..]);
    check("Patient.identifier.value", &[identifiers[0], identifiers[3]]);
    check("PID-33", &[]);
    check("PID(2)", &[]);
    check("Patient.identifie", &[]);
    check("Bundle.entry[99]", &[]);
    let all = lineage.clone().about(&PlacePattern::parse("PID").expect("a place"));
    assert!(all.sources.len() > identifiers.len());
    let entry = lineage.sources.iter().find(|source| source.element.path() == "Patient.gender");
    let entry = entry.and_then(|source| source.element.entry()).expect("a Patient's entry");
    check(&format!("Bundle.entry[{entry}].resource.identifier[0].value"), &identifiers[..1]);
    for mistake in ["", "PID-", "PID--3", "PID-3[x]", "A b(", "Patient..name", "Bundle.entry[1].x"]
    {
        assert_eq!(PlacePattern::parse(mistake), Err(PlaceError), "{mistake}");
    }
}

/// What this release packs is read for ever: the list of words may only grow at its end.
#[test]
fn form_1_keeps_loading() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/lineage/form-1.txt");
    let message = Message::parse(MESSAGE).expect("a message");
    let translation =
        Translator::new(Settings::default()).to_fhir_with_lineage(&message, LineageLimits::KEPT);
    let packed = translation.lineage.expect("it fits");
    let rows = |packed: &PackedLineage| {
        let lineage = packed.unpack().expect("it can be read");
        let rows = shown(&lineage).into_iter();
        let row = |(element, paths, rule): (String, Vec<String>, String)| {
            format!("{element} <- {} ({rule})\n", paths.join(", "))
        };
        rows.map(row).collect::<String>()
    };
    let digits: String = packed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{digits}\n{}", rows(&packed))).expect("it can be written");
    }
    let fixture = std::fs::read_to_string(path).expect("the fixture can be read");
    let (digits, expected) = fixture.split_once('\n').expect("bytes and rows");
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    });
    assert_eq!(rows(&PackedLineage::new(pairs.collect())), expected);
}

/// The hash of the list as it is: a change that is not an addition at its end breaks what is kept.
#[test]
fn words_stand_where_they_stand() {
    const LINES: usize = 660;
    let text: String = include_str!("words.txt").split_inclusive('\n').take(LINES).collect();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(hash, 0x41d5_43cb_923d_d161, "{hash:#x}");
}
