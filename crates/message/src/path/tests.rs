use proptest::prelude::*;

use super::*;

#[test]
fn canonical_paths_are_shown_as_written() {
    for text in [
        "PID",
        "OBX(2)",
        "OBX(*)",
        "OBX(last)",
        "OBX(+1)",
        "PID-3",
        "PID-3[1]",
        "PID-3[2]",
        "PID-3[*]",
        "PID-3[last].1",
        "PID-3[+1].1",
        "PID-3.4",
        "PID-3[2].4.1",
        "OBX(*)-5[*].1.2",
        "OBX(+1)-5",
        "ZP1-9999[999999].9999.9999",
        "/PATIENT_RESULT/ORDER_OBSERVATION(2)/OBX(1)-5".replace("(1)", "").as_str(),
        "/PATIENT_RESULT(*)/PATIENT/PID",
    ] {
        assert_eq!(Path::parse(text).map(|path| path.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn the_same_place_is_the_same_path() {
    for (one, other) in [
        ("PID", "PID(1)"),
        ("PID-3.1", "PID(1)-3[1].1"),
        ("PID-03.01", "PID-3.1"),
        ("/A/PID-3", "/A(1)/PID(1)-3"),
    ] {
        assert_eq!(Path::parse(one), Path::parse(other), "{one} {other}");
    }
    assert_ne!(Path::parse("PID-3"), Path::parse("PID-3[1]"));
}

#[test]
fn parts_are_told() {
    let path = Path::parse("/ORDER(2)/OBX(*)-5[3].1.2").unwrap();
    assert_eq!(path.groups().len(), 1);
    assert_eq!(path.groups().first().map(|group| &*group.name), Some("ORDER"));
    assert_eq!(path.segment().as_str(), "OBX");
    assert_eq!(path.occurrence(), Occurrence::All);
    assert_eq!(path.field().map(NonZeroU16::get), Some(5));
    assert_eq!(path.repetition(), NonZeroU32::new(3).map(Occurrence::At));
    assert_eq!(path.component().map(NonZeroU16::get), Some(1));
    assert_eq!(path.subcomponent().map(NonZeroU16::get), Some(2));
    assert!(path.has_wildcard());
}

/// `marked` has `^` under the wrong character of `text`.
fn check_error(text: &str, caret: &str, kind: PathErrorKind) {
    let error = Path::parse(text).unwrap_err();
    assert_eq!(format!("{}^", " ".repeat(error.at)), caret, "{text}");
    assert_eq!(error.kind, kind, "{text}");
    assert_eq!(error.to_string(), format!("column {}: {kind}", error.at + 1));
    // Every text says what to write instead.
    assert!(
        error.to_string().contains("write ") || error.to_string().contains("add one"),
        "{error}"
    );
}

#[test]
fn errors_point_at_the_character_and_say_what_to_write() {
    use PathErrorKind as Kind;
    let named = |text: &str| text.to_owned();
    check_error("", "^", Kind::Empty);
    check_error("pid-3", "^", Kind::SegmentNameCase(named("PID")));
    check_error("PI-3", "^", Kind::SegmentName);
    check_error("PIDX-3", "^", Kind::SegmentName);
    check_error("3", "^", Kind::SegmentName);
    check_error(" PID", "^", Kind::SegmentName);
    check_error("-3", "^", Kind::SegmentName);
    check_error("PID.3", "   ^", Kind::DotBeforeField(named("PID")));
    check_error("OBX(2).5", "      ^", Kind::DotBeforeField(named("OBX(2)")));
    check_error("OBX[2]-5", "   ^", Kind::SegmentInSquareBrackets(named("OBX")));
    check_error("PID 3", "   ^", Kind::Unexpected);
    check_error("PID-", "    ^", Kind::NumberExpected);
    check_error("PID-x", "    ^", Kind::NumberExpected);
    check_error("PID-0", "    ^", Kind::Zero);
    check_error("PID-3.0", "      ^", Kind::Zero);
    check_error("PID-3[0]", "      ^", Kind::Zero);
    check_error("PID-10000", "    ^", Kind::PositionTooLarge);
    check_error("PID-99999999999999", "    ^", Kind::PositionTooLarge);
    check_error("OBX(1000000)", "    ^", Kind::OccurrenceTooLarge);
    check_error("PID-3(2)", "     ^", Kind::RepetitionInRoundBrackets(named("PID-3")));
    check_error("PID-3-1", "     ^", Kind::HyphenBeforeComponent(named("PID-3")));
    check_error("PID-3.1[2]", "       ^", Kind::RepetitionAfterComponent);
    check_error("PID-3.1.2.3", "         ^", Kind::TooDeep);
    check_error("PID-3.", "      ^", Kind::NumberExpected);
    check_error("PID-3[", "      ^", Kind::OccurrenceExpected);
    check_error("PID-3[]", "      ^", Kind::OccurrenceExpected);
    check_error("PID-3[+2]", "      ^", Kind::OccurrenceExpected);
    check_error("PID-3[first]", "      ^", Kind::OccurrenceExpected);
    check_error("PID-3[2", "       ^", Kind::BracketNotClosed(']'));
    check_error("OBX(2]", "     ^", Kind::BracketNotClosed(')'));
    check_error("PID-3 ", "     ^", Kind::Unexpected);
    check_error("PID-3é", "     ^", Kind::Unexpected);
    check_error("É-3", "^", Kind::SegmentName);
    check_error("PID-3[é]", "      ^", Kind::OccurrenceExpected);
    check_error("OBX(+1)-5[*]", "         ^", Kind::EveryRepetitionOfNew);
    check_error("/", " ^", Kind::GroupName);
    check_error("//PID", " ^", Kind::GroupName);
    check_error("/patient/PID", " ^", Kind::GroupName);
    check_error("/PATIENT_RESULT", "               ^", Kind::GroupWithoutSegment);
    check_error("/A/B(1)", "       ^", Kind::GroupWithoutSegment);
    check_error("/A/", "   ^", Kind::GroupName);
}

#[test]
fn parts_of_a_path_can_be_exchanged() {
    let number = |number| Occurrence::At(NonZeroU32::new(number).unwrap());
    let position = |number| NonZeroU16::new(number).unwrap();
    let obx = Path::of_segment(SegmentName::new(*b"OBX").unwrap());
    assert_eq!(obx.clone().with_repetition(number(2)).to_string(), "OBX");
    assert_eq!(obx.clone().with_component(position(2)).to_string(), "OBX");
    assert_eq!(obx.clone().with_subcomponent(position(2)).to_string(), "OBX");
    let value = obx.with_occurrence(number(3)).with_field(position(5));
    assert_eq!(value.to_string(), "OBX(3)-5");
    let component = value.clone().with_component(position(2));
    assert_eq!(component.to_string(), "OBX(3)-5.2");
    assert_eq!(component, Path::parse("OBX(3)-5[1].2").unwrap());
    let deepest = component.with_repetition(number(4)).with_subcomponent(position(6));
    assert_eq!(deepest.to_string(), "OBX(3)-5[4].2.6");
    assert_eq!(deepest.with_field(position(1)).to_string(), "OBX(3)-1");
}

proptest! {
    #[test]
    fn any_text_is_a_path_or_an_error_within_it(
        text in prop_oneof![".{0,20}", "[A-Z/]{0,4}[-.()\\[\\]0-9*+a-z]{0,12}"],
    ) {
        match Path::parse(&text) {
            Ok(path) => prop_assert_eq!(Path::parse(&path.to_string()), Ok(path)),
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
    }

    #[test]
    fn showing_and_parsing_are_inverse(path in crate::testing::any_path()) {
        prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
    }
}
