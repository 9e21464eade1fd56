use proptest::prelude::*;

use super::*;
use crate::testing::{any_message, any_place, text};

const HEADER: &str = "MSH|^~\\&|ADT1\r";

/// Each difference as a line: the path, what stands there on the left, and on the right.
fn shown(left: &str, right: &str) -> Vec<String> {
    let parse = |text: &str| Message::parse(text.as_bytes()).expect("a message").into_owned();
    let (left, right) = (parse(left), parse(right));
    let value = |value: Option<Value<'_>>| match value {
        None => "-".to_owned(),
        Some(value) => format!("<{}>", String::from_utf8_lossy(value.raw())),
    };
    differences(&left, &right)
        .iter()
        .map(|difference| {
            let path = difference.path().map_or("?".to_owned(), ToString::to_string);
            format!("{path} {} {}", value(difference.left.value), value(difference.right.value))
        })
        .collect()
}

/// Compares what follows a header.
#[track_caller]
fn check(left: &str, right: &str, expected: &[&str]) {
    assert_eq!(shown(&format!("{HEADER}{left}"), &format!("{HEADER}{right}")), expected);
}

#[test]
fn the_smallest_parts_that_differ_are_told() {
    check("PID|1||A^B^C", "PID|1||A^X^C", &["PID-3.2 <B> <X>"]);
    check("PID|1||A&B^C", "PID|1||A&X^C", &["PID-3.1.2 <B> <X>"]);
    check("PID|1||A&B", "PID|1||A&X", &["PID-3.1.2 <B> <X>"]);
    check("PID|1||A~B", "PID|1||A~X", &["PID-3[2] <B> <X>"]);
    check("PID|1||A~B^C", "PID|1||A~B^X", &["PID-3[2].2 <C> <X>"]);
    check("PID|1||A", "PID|1||X", &["PID-3 <A> <X>"]);
    check("PID|1||A^B", "PID|1||X^Y", &["PID-3.1 <A> <X>", "PID-3.2 <B> <Y>"]);
}

#[test]
fn absent_empty_and_null_differ() {
    check("PID|1", "PID|1|", &["PID-2 - <>"]);
    check("PID|1|", "PID|1|\"\"", &["PID-2 <> <\"\">"]);
    check("PID|1|A^B", "PID|1|\"\"", &["PID-2 <A^B> <\"\">"]);
    check("PID|1|", "PID|1|A^B", &["PID-2 <> <A^B>"]);
    check("PID|1|A", "PID|1|A^", &["PID-2.2 - <>"]);
    check("PID|1|A", "PID|1|A~B", &["PID-2[2] - <B>"]);
}

#[test]
fn an_added_or_removed_segment_moves_nothing_else() {
    let many = "PID|1\rOBX|1|NM|A||5\rOBX|2|NM|B||6\rOBX|3|NM|C||7";
    let fewer = "PID|1\rOBX|1|NM|A||5\rOBX|3|NM|C||7";
    check(many, fewer, &["OBX(2) <OBX|2|NM|B||6> -"]);
    check(fewer, many, &["OBX(2) - <OBX|2|NM|B||6>"]);
    // One changed as well: it stays with the one it is most like.
    let changed = "PID|1\rOBX|1|NM|A||5\rOBX|3|NM|C||8";
    check(many, changed, &["OBX(2) <OBX|2|NM|B||6> -", "OBX(3)-5 <7> <8>"]);
}

#[test]
fn a_place_has_its_own_path_on_each_side() {
    let left = format!("{HEADER}OBX|3|C|7");
    let right = format!("{HEADER}OBX|2|B|6\rOBX|3|C|8");
    let (left, right) = (left.into_bytes(), right.into_bytes());
    let (left, right) = (Message::parse(&left).unwrap(), Message::parse(&right).unwrap());
    let found = differences(&left, &right);
    let changed = found.last().expect("OBX-3 differs");
    assert_eq!(changed.left.path.as_ref().map(ToString::to_string).as_deref(), Some("OBX-3"));
    assert_eq!(changed.right.path.as_ref().map(ToString::to_string).as_deref(), Some("OBX(2)-3"));
    assert_eq!((changed.left.segment_index, changed.right.segment_index), (Some(1), Some(2)));
}

#[test]
fn a_moved_segment_is_removed_and_added() {
    check("NK1|1\rPV1|1|I\rAL1|1", "PV1|1|I\rAL1|1\rNK1|1", &["NK1 <NK1|1> -", "NK1 - <NK1|1>"]);
}

#[test]
fn equal_segments_pair_in_their_order() {
    let line = "NTE|1||same";
    check(&[line; 3].join("\r"), &[line; 3].join("\r"), &[]);
    check(&[line; 3].join("\r"), &[line; 2].join("\r"), &["NTE(3) <NTE|1||same> -"]);
}

#[test]
fn lines_that_are_no_segments_are_compared_whole() {
    check("PID|1\rmore text|a", "PID|1\rmore text|a", &[]);
    check("PID|1\rmore text|a", "PID|1\rmore text|b", &["? <more text|a> <more text|b>"]);
}

#[test]
fn segment_ends_and_framing_are_no_difference() {
    let (left, right) = ("MSH|^~\\&|A\rPID|1\r", "\u{b}MSH|^~\\&|A\r\n\r\nPID|1\u{1c}\r");
    assert_eq!(shown(left, right), [""; 0]);
}

#[test]
fn other_delimiters_are_a_difference_of_the_header_alone() {
    let left = "MSH|^~\\&|A\rPID|1||A^B&C~D|\\F\\#";
    let right = "MSH#!*%+#A\rPID#1##A!B+C*D#|%F%";
    assert_eq!(shown(left, right), ["MSH-1 <|> <#>", "MSH-2 <^~\\&> <!*%+>"]);
    let right = "MSH#!*%+#A\rPID#1##A!B+X*D#|%F%";
    assert_eq!(shown(left, right).last().map(String::as_str), Some("PID-3.2.2 <C> <X>"));
}

#[test]
fn an_escape_sequence_differs_from_its_meaning() {
    check("NTE|1||a\\X41\\", "NTE|1||aA", &["NTE-3 <a\\X41\\> <aA>"]);
}

#[test]
fn what_no_path_reaches_is_compared_as_a_whole() {
    let most = usize::from(Path::POSITION_MAX);
    let long = |count: usize, last: &str| format!("ZZZ{}{last}", "|".repeat(count));
    let path = format!("ZZZ-{most} <a> <b>");
    check(&long(most, "a"), &long(most, "b"), &[&path]);
    let found = shown(
        &format!("{HEADER}{}", long(most + 1, "a")),
        &format!("{HEADER}{}", long(most + 1, "b")),
    );
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("ZZZ <ZZZ|"));
}

#[test]
fn large_messages_that_share_nothing_are_aligned_in_time() {
    let many = |mark: char, count: usize| -> String {
        (0..count).map(|number| format!("OBX|{number}||{mark}{number}\r")).collect()
    };
    // Above what is weighed: names decide.
    let found =
        shown(&format!("{HEADER}{}", many('a', 1_100)), &format!("{HEADER}{}", many('b', 1_101)));
    assert_eq!(found.len(), 1_101);
    assert_eq!(found[0], "OBX-3 <a0> <b0>");
    assert_eq!(found[1_100], "OBX(1101) - <OBX|1100||b1100>");
}

proptest! {
    #[test]
    fn a_message_does_not_differ_from_itself(bytes in any_message()) {
        let message = Message::parse(&bytes).unwrap();
        prop_assert!(differences(&message, &message).is_empty());
    }

    #[test]
    fn every_line_is_aligned_once(left in any_message(), right in any_message()) {
        let (left, right) = (Message::parse(&left).unwrap(), Message::parse(&right).unwrap());
        let (left, right) = (lines(&left), lines(&right));
        let pairs = align::pairs(&left, &right);
        let lefts: Vec<_> = pairs.iter().filter_map(|pair| pair.left).collect();
        let rights: Vec<_> = pairs.iter().filter_map(|pair| pair.right).collect();
        prop_assert_eq!(lefts, (0..left.len()).collect::<Vec<_>>());
        prop_assert_eq!(rights, (0..right.len()).collect::<Vec<_>>());
    }

    #[test]
    fn swapping_the_messages_finds_no_fewer_places(left in any_message(), right in any_message()) {
        let (left, right) = (Message::parse(&left).unwrap(), Message::parse(&right).unwrap());
        prop_assert_eq!(
            differences(&left, &right).is_empty(),
            differences(&right, &left).is_empty()
        );
    }

    #[test]
    fn an_edit_is_found_and_nothing_else(bytes in any_message(), place in any_place(), raw in text()) {
        let message = Message::parse(&bytes).unwrap();
        let path = place.in_message(&message);
        let mut edited = message.clone();
        prop_assume!(edited.set_raw(&path, &raw).is_ok());
        let lines = |message: &Message<'_>| -> Vec<Vec<u8>> {
            message.segments().map(|segment| segment.raw().to_vec()).collect()
        };
        let found = differences(&message, &edited);
        prop_assert_eq!(found.is_empty(), lines(&message) == lines(&edited));
        // An edit within a segment shows in that segment only, as long as it is the only one of its kind.
        let named = message.segments().filter(|s| s.segment_name() == Some(path.segment()));
        if named.count() == 1 {
            for difference in &found {
                prop_assert_eq!(difference.path().map(Path::segment), Some(path.segment()));
            }
        }
    }
}
