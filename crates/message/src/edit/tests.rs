use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::parse::Limits;
use crate::testing::{any_message, any_path, any_place, text};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// Edits `before`, expects `after`, and that the index is what parsing the result anew gives.
fn check(
    before: &str,
    edit: impl FnOnce(&mut Message<'_>) -> Result<(), EditError>,
    expected: Result<&str, EditError>,
) {
    let mut message = Message::parse(before.as_bytes()).unwrap();
    let outcome = edit(&mut message);
    let after = std::str::from_utf8(message.as_bytes()).unwrap();
    match expected {
        Ok(expected) => {
            assert_eq!(outcome, Ok(()));
            assert_eq!(after, expected);
        }
        Err(expected) => {
            assert_eq!(outcome, Err(expected));
            assert_eq!(after, before, "a refused edit must change nothing");
            assert!(!message.is_edited());
        }
    }
    assert_eq!(message.lines, Message::parse(after.as_bytes()).unwrap().lines);
}

/// `check` on the last segment of a small message.
fn check_line(
    before: &str,
    edit: impl FnOnce(&mut Message<'_>) -> Result<(), EditError>,
    expected: &str,
) {
    const HEAD: &str = "MSH|^~\\&|A|B\r";
    const TAIL: &str = "\rZZZ|~^&|\r\n\r";
    let around = |line: &str| format!("{HEAD}{line}{TAIL}");
    check(&around(before), edit, Ok(&around(expected)));
}

#[test]
fn setting_replaces_one_place() {
    let set = |place: &'static str, raw: &'static str| {
        move |message: &mut Message<'_>| message.set_raw(&path(place), raw.as_bytes())
    };
    check_line("PID|1||a~b^c&d|x", set("PID-3", "n"), "PID|1||n|x");
    check_line("PID|1||a~b^c&d|x", set("PID-3[1]", "n^m"), "PID|1||n^m~b^c&d|x");
    check_line("PID|1||a~b^c&d|x", set("PID-3[2].2", "n"), "PID|1||a~b^n|x");
    check_line("PID|1||a~b^c&d|x", set("PID-3[2].2.2", "n"), "PID|1||a~b^c&n|x");
    check_line("PID|1||a~b^c&d|x", set("PID-3[last].1", "n"), "PID|1||a~n^c&d|x");
    check_line("PID|1||a~b^c&d|x", set("PID-3.1", ""), "PID|1||~b^c&d|x");
    check_line("PID|1||a~b^c|x", set("PID-3[*].1", "n"), "PID|1||n~n^c|x");
    check_line("PID|1", set("PID", "PID|2|3"), "PID|2|3");
    check_line("PID", set("PID-1", "1"), "PID|1");
}

#[test]
fn setting_adds_what_is_missing_before_the_place() {
    let set = |place: &'static str, raw: &'static str| {
        move |message: &mut Message<'_>| message.set_raw(&path(place), raw.as_bytes())
    };
    check_line("PID|1", set("PID-4", "n"), "PID|1|||n");
    check_line("PID", set("PID-2[3].4.2", "n"), "PID||~~^^^&n");
    check_line("PID|1|a", set("PID-2[2].2", "n"), "PID|1|a~^n");
    check_line("PID|1|a", set("PID-2.1.3", "n"), "PID|1|a&&n");
    check_line("PID|1|a", set("PID-5", ""), "PID|1|a|||");
    check_line("PID|1|a", set("PID-5[last].1", "n"), "PID|1|a|||n");
    check("MSH|^~\\&", set("MSH-4", "n"), Ok("MSH|^~\\&||n"));
}

#[test]
fn appending_a_repetition_fills_an_empty_field_first() {
    let append = |message: &mut Message<'_>| message.set_raw(&path("PID-2[+1].2"), b"n");
    check_line("PID|1", append, "PID|1|^n");
    check_line("PID||", append, "PID||^n");
    check_line("PID||a|x", append, "PID||a~^n|x");
    check_line("PID||a~|x", append, "PID||a~~^n|x");
    check_line("PID||\"\"|x", append, "PID||\"\"~^n|x");
}

#[test]
fn appending_a_segment_goes_after_its_kind_and_its_notes() {
    let append = |message: &mut Message<'_>| message.set_raw(&path("OBX(+1)-3.2"), b"n");
    check(
        "MSH|^~\\&\nOBX|1\nNTE|1\nNTE|2\nZZZ|1\n",
        append,
        Ok("MSH|^~\\&\nOBX|1\nNTE|1\nNTE|2\nOBX|||^n\nZZZ|1\n"),
    );
    check("MSH|^~\\&\r\nPID|1\r\n", append, Ok("MSH|^~\\&\r\nPID|1\r\nOBX|||^n\r\n"));
    check("MSH|^~\\&\rPID|1", append, Ok("MSH|^~\\&\rPID|1\rOBX|||^n"));
    check("MSH|^~\\&\rPID|1\u{1c}\r", append, Ok("MSH|^~\\&\rPID|1\rOBX|||^n\u{1c}\r"));
    check("MSH|^~\\&", append, Ok("MSH|^~\\&\rOBX|||^n"));
    check(
        "MSH|^~\\&\rPID|1\r",
        |message| message.set_raw(&path("ZPI(+1)"), b"ZPI|1|a^b"),
        Ok("MSH|^~\\&\rPID|1\rZPI|1|a^b\r"),
    );
}

#[test]
fn clearing_trims_nothing() {
    let clear = |place: &'static str| move |message: &mut Message<'_>| message.clear(&path(place));
    check_line("PID|1||a~b|", clear("PID-3"), "PID|1|||");
    check_line("PID|1||a~b", clear("PID-3[2]"), "PID|1||a~");
    check_line("PID|1||a^b&c", clear("PID-3.2.2"), "PID|1||a^b&");
    check_line("PID|1||a^b&c", clear("PID-3.1"), "PID|1||^b&c");
    check_line("PID|1||a~b", clear("PID-3[*].1"), "PID|1||~");
    check_line("PID|1|2", clear("PID"), "PID");
    for absent in ["PID-9", "PID-3[7].2", "PID-1.2", "PID(2)-1", "XXX-1", "PID-3[+1]", "PID(+1)"] {
        check_line("PID|1||a", clear(absent), "PID|1||a");
    }
}

#[test]
fn removing_moves_the_rest_up() {
    let remove =
        |place: &'static str| move |message: &mut Message<'_>| message.remove(&path(place));
    check_line("PID|1|2|3", remove("PID-2"), "PID|1|3");
    check_line("PID|1|2|3", remove("PID-1"), "PID|2|3");
    check_line("PID|1|2|3", remove("PID-3"), "PID|1|2");
    check_line("PID|1", remove("PID-1"), "PID");
    check_line("PID|a~b~c", remove("PID-1[1]"), "PID|b~c");
    check_line("PID|a~b~c", remove("PID-1[last]"), "PID|a~b");
    check_line("PID|a~b~c", remove("PID-1[*]"), "PID|");
    check_line("PID|a~b^x~^c", remove("PID-1[*].1"), "PID|~x~c");
    check_line("PID|a^b&c&d", remove("PID-1.2.2"), "PID|a^b&d");
    check_line("PID|a|x", remove("PID-1[1]"), "PID||x");
    check_line("PID|a^b", remove("PID-1.9"), "PID|a^b");
    check("MSH|^~\\&|A|B\r", remove("MSH-3"), Ok("MSH|^~\\&|B\r"));
}

#[test]
fn removing_segments_takes_their_ends_along() {
    let remove =
        |place: &'static str| move |message: &mut Message<'_>| message.remove(&path(place));
    let message = "MSH|^~\\&\rNTE|1\r\nPID|1\nNTE|2";
    check(message, remove("NTE"), Ok("MSH|^~\\&\rPID|1\nNTE|2"));
    check(message, remove("NTE(last)"), Ok("MSH|^~\\&\rNTE|1\r\nPID|1\n"));
    check(message, remove("NTE(*)"), Ok("MSH|^~\\&\rPID|1\n"));
    check(message, remove("NTE(3)"), Ok(message));
}

#[test]
fn inserting_moves_the_rest_down() {
    let insert = |place: &'static str, raw: &'static str| {
        move |message: &mut Message<'_>| message.insert_raw(&path(place), raw.as_bytes())
    };
    check_line("PID|1|2", insert("PID-1", "n"), "PID|n|1|2");
    check_line("PID|1|2", insert("PID-2", "n~m"), "PID|1|n~m|2");
    check_line("PID|1|2", insert("PID-4", "n"), "PID|1|2||n");
    check_line("PID|a~b", insert("PID-1[1]", "n"), "PID|n~a~b");
    check_line("PID|a~b", insert("PID-1[2]", "n"), "PID|a~n~b");
    check_line("PID|a~b", insert("PID-1[+1]", "n"), "PID|a~b~n");
    check_line("PID||x", insert("PID-1[1]", "n"), "PID|n|x");
    check_line("PID|~b|x", insert("PID-1[1]", "n"), "PID|n~~b|x");
    check_line("PID|a^b", insert("PID-1.2", "n"), "PID|a^n^b");
    check_line("PID|a^b", insert("PID-1.2.1", "n"), "PID|a^n&b");
    check_line("PID|1", insert("PID", "PID|0"), "PID|0\rPID|1");
    check_line("PID|1", insert("PID(+1)-2", "n"), "PID|1\rPID||n");
    let wildcard = EditError::Wildcard(path("PID-1[*]"));
    check("MSH|^~\\&\rPID|1", insert("PID-1[*]", "n"), Err(wildcard));
}

#[test]
fn segments_are_inserted_where_asked() {
    let message = b"MSH|^~\\&\r\nNTE|1\rPID|1";
    let inserted = |at| {
        let mut message = Message::parse(message).unwrap();
        let path = message.insert_segment(at, b"NTE|n")?;
        assert_eq!(message.lines, Message::parse(message.as_bytes()).unwrap().lines);
        assert_eq!(message.get(&path).map(|value| value.raw()), Some(b"NTE|n".as_slice()));
        Ok((path.to_string(), String::from_utf8(message.into_bytes().into_owned()).unwrap()))
    };
    let expect = |path: &str, text: &str| Ok((path.to_owned(), text.to_owned()));
    let before = inserted(InsertAt::Before(1));
    assert_eq!(before, expect("NTE", "MSH|^~\\&\r\nNTE|n\r\nNTE|1\rPID|1"));
    let after = inserted(InsertAt::After(1));
    assert_eq!(after, expect("NTE(2)", "MSH|^~\\&\r\nNTE|1\rNTE|n\r\nPID|1"));
    let end = inserted(InsertAt::End);
    assert_eq!(end, expect("NTE(2)", "MSH|^~\\&\r\nNTE|1\rPID|1\r\nNTE|n"));
    assert_eq!(inserted(InsertAt::After(2)), end);
    assert_eq!(inserted(InsertAt::Before(3)), end);
    assert_eq!(inserted(InsertAt::Before(0)), Err(EditError::Header));
    assert_eq!(inserted(InsertAt::Before(4)), Err(EditError::IndexAbsent { index: 4 }));
    assert_eq!(inserted(InsertAt::After(3)), Err(EditError::IndexAbsent { index: 4 }));
    let end = inserted(InsertAt::After(usize::MAX));
    assert_eq!(end, Err(EditError::IndexAbsent { index: usize::MAX }));
}

#[test]
fn edits_that_would_break_the_message_are_refused() {
    let message = "MSH|^~\\&|A\rPID|1\rBHS|^~\\&|x\r";
    let refused = |place: &str, raw: &str, error: fn(Path) -> EditError| {
        let place = path(place);
        check(
            message,
            |message| message.set_raw(&place, raw.as_bytes()),
            Err(error(place.clone())),
        );
    };
    for place in ["MSH-1", "MSH-2", "MSH-2.1", "MSH", "BHS-1", "FHS-2", "MSH(+1)-2"] {
        refused(place, "x", EditError::Delimiters);
        let place = path(place);
        let error = || Err(EditError::Delimiters(place.clone()));
        check(message, |message| message.clear(&place), error());
        check(message, |message| message.remove(&place), error());
        check(message, |message| message.insert_raw(&place, b"x"), error());
        check(message, |message| message.set_text(&place, b"x"), error());
    }
    refused("/PATIENT/PID-1", "x", EditError::GroupPath);
    refused("PV1-1", "x", EditError::SegmentAbsent);
    refused("PID(2)-1", "x", EditError::SegmentAbsent);
    refused("PID-1", "a|b", |path| EditError::DelimiterInValue { path, at: 1 });
    refused("PID-1[1]", "a~b", |path| EditError::DelimiterInValue { path, at: 1 });
    refused("PID-1.1", "ab^", |path| EditError::DelimiterInValue { path, at: 2 });
    refused("PID-1.1.1", "&", |path| EditError::DelimiterInValue { path, at: 0 });
    for control in ["a\r", "a\n", "a\u{b}", "a\u{1c}"] {
        refused("PID-1", control, |path| EditError::TerminatorInValue { path, at: 1 });
        refused("PID", control, |path| EditError::TerminatorInValue { path, at: 1 });
    }
    for raw in ["", "PI", "PV1|1", "PIDX", "PID^1"] {
        refused("PID", raw, |_| EditError::SegmentName);
        refused("PID(+1)", raw, |_| EditError::SegmentName);
    }
}

#[test]
fn texts_are_escaped() {
    check_line(
        "PID|1",
        |message| message.set_text(&path("PID-2.1"), b"a|b^c&d~e\\f\rg"),
        "PID|1|a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X0D\\g",
    );
    let mut message = Message::parse(b"MSH|^~|A\rPID|1").unwrap();
    let place = path("PID-2");
    assert_eq!(message.set_text(&place, b"plain & simple"), Ok(()));
    let refused = message.set_text(&place, b"a|b");
    assert_eq!(refused, Err(EditError::NoEscapeCharacter(place)));
    let place = path("PID-2.1.2");
    let refused = message.set_text(&place, b"a");
    assert_eq!(refused, Err(EditError::NoSubcomponentSeparator(place)));
    assert_eq!(message.set_raw(&path("PID-2.1.1"), b"a&b"), Ok(()));
    assert_eq!(message.as_bytes(), b"MSH|^~|A\rPID|1|a&b");
}

#[test]
fn an_edit_that_changes_nothing_copies_nothing() {
    let bytes = b"MSH|^~\\&|A\rPID|1||a~b\r".as_slice();
    let mut message = Message::parse(bytes).unwrap();
    message.set_raw(&path("PID-3[2]"), b"b").unwrap();
    message.clear(&path("PID-2")).unwrap();
    message.remove(&path("PV1(*)")).unwrap();
    assert!(!message.is_edited());
    assert!(matches!(message.into_bytes(), Cow::Borrowed(same) if same == bytes));
}

#[test]
fn limits_hold_at_the_limit_and_refuse_one_past() {
    let bytes = b"MSH|^~\\&\rPID|1\rPID|2\r".as_slice();
    let limits = Limits { message_bytes_max: bytes.len() + 5, segments_max: 4 };
    let mut message = Message::parse_with(bytes, &limits).unwrap();
    let too_large = Err(EditError::TooLarge { limit: bytes.len() + 5 });
    assert_eq!(message.set_raw(&path("PID-2"), b"12345"), too_large);
    assert_eq!(message.set_raw(&path("PID(*)-2"), b"12"), too_large);
    assert_eq!(message.as_bytes(), bytes);
    assert_eq!(message.set_raw(&path("PID-2"), b"1234"), Ok(()));
    assert_eq!(message.remove(&path("PID-2")), Ok(()));
    assert_eq!(message.set_raw(&path("ZZZ(+1)-1"), b""), Ok(()));
    let too_many = Err(EditError::TooManySegments { limit: 4 });
    assert_eq!(message.set_raw(&path("ZZZ(+1)"), b"ZZZ"), too_many);
}

#[test]
fn the_widest_padding_stays_within_a_megabyte() {
    let mut message = Message::parse(b"MSH|^~\\&\rPID").unwrap();
    let widest = "PID-9999[999999].9999.9999";
    message.set_raw(&path(widest), b"x").unwrap();
    assert!(message.as_bytes().len() < 1_100_000);
    assert_eq!(message.get(&path(widest)).map(|value| value.raw()), Some(b"x".as_slice()));
}

/// Everything a message says except at one place, for comparing before and after.
fn others(
    message: &Message<'_>,
    edited: &Path,
) -> Vec<(usize, usize, usize, usize, usize, Vec<u8>)> {
    let mut leaves = Vec::new();
    let mut occurrence = 0;
    for (line, segment) in message.segments().enumerate() {
        if segment.segment_name() == Some(edited.segment()) {
            occurrence += 1;
        }
        let this_segment = segment.segment_name() == Some(edited.segment())
            && edited.occurrence() == number(occurrence);
        for (f, field) in segment.fields().enumerate() {
            let this_field =
                this_segment && edited.field().is_some_and(|n| usize::from(n.get()) == f + 1);
            for (r, repetition) in field.repetitions().enumerate() {
                let this_repetition = this_field
                    && edited.repetition().is_none_or(|repetition| repetition == number(r + 1));
                for (c, component) in repetition.components().enumerate() {
                    let this_component = this_repetition
                        && edited.component().is_none_or(|n| usize::from(n.get()) == c + 1);
                    for (s, leaf) in component.subcomponents().enumerate() {
                        let here = this_component
                            && edited.subcomponent().is_none_or(|n| usize::from(n.get()) == s + 1);
                        // Padding makes empty places, which say nothing.
                        if !here && !leaf.is_empty() {
                            leaves.push((line, f, r, c, s, leaf.raw().to_vec()));
                        }
                    }
                }
            }
        }
    }
    leaves
}

fn number(number: usize) -> Occurrence {
    Occurrence::At(NonZeroU32::new(u32::try_from(number).unwrap()).unwrap_or(NonZeroU32::MAX))
}

proptest! {
    #[test]
    fn what_was_set_is_what_is_read_and_the_rest_stays(
        bytes in any_message(),
        chosen in any_place(),
        value in text(),
    ) {
        let before = Message::parse(&bytes).unwrap();
        let place = chosen.in_message(&before);
        let mut after = before.clone();
        if after.set_raw(&place, &value).is_ok() {
            prop_assert_eq!(after.get(&place).map(|found| found.raw()), Some(value.as_slice()));
            prop_assert_eq!(others(&after, &place), others(&before, &place));
            let reread = Message::parse(after.as_bytes()).unwrap();
            prop_assert_eq!(&reread.lines, &after.lines);
        } else {
            prop_assert_eq!(after.as_bytes(), before.as_bytes());
        }
    }

    #[test]
    fn text_comes_back_as_it_went_in(
        bytes in any_message(),
        chosen in any_place(),
        value in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut message = Message::parse(&bytes).unwrap();
        let place = chosen.in_message(&message);
        if message.set_text(&place, &value).is_ok() {
            let found = message.get(&place).unwrap().decoded().into_owned();
            prop_assert_eq!(found, value);
        }
    }

    #[test]
    fn clearing_keeps_every_delimiter_and_every_other_part(
        bytes in any_message(),
        chosen in any_place(),
    ) {
        let before = Message::parse(&bytes).unwrap();
        let place = chosen.in_message(&before);
        let mut after = before.clone();
        if after.clear(&place).is_err() {
            prop_assert!(!after.is_edited());
            return Ok(());
        }
        prop_assert_eq!(others(&after, &place), others(&before, &place));
        match before.get(&place) {
            Some(_) => prop_assert!(after.get(&place).unwrap().is_empty()),
            None => prop_assert_eq!(after.as_bytes(), before.as_bytes()),
        }
    }

    #[test]
    fn removing_what_was_inserted_gives_the_message_back(
        bytes in any_message(),
        chosen in any_place(),
        value in text(),
    ) {
        let before = Message::parse(&bytes).unwrap();
        let place = chosen.in_message(&before);
        // Inserting before an empty only part sets it, and the removal then leaves it empty: also the same bytes.
        let mut after = before.clone();
        if before.get(&place).is_none() || after.insert_raw(&place, &value).is_err() {
            return Ok(());
        }
        prop_assert_eq!(after.get(&place).map(|found| found.raw()), Some(value.as_slice()));
        after.remove(&place).unwrap();
        prop_assert_eq!(after.as_bytes(), before.as_bytes());
        prop_assert_eq!(&after.lines, &before.lines);
    }

    #[test]
    fn the_index_follows_any_row_of_edits(
        bytes in any_message(),
        edits in proptest::collection::vec((0..7_u8, any_path(), text(), 0..6_usize), 1..8),
    ) {
        let mut message = Message::parse(&bytes).unwrap();
        for (kind, place, value, index) in edits {
            let segment = [place.segment().as_bytes().as_slice(), b"|", &value].concat();
            let every = place.clone().with_occurrence(Occurrence::All);
            // Refusals are part of the row: they must leave the message sound as well.
            let _ = match kind {
                0 => message.set_raw(&place, &value),
                1 => message.clear(&every.with_repetition(Occurrence::All)),
                2 => message.remove(&every),
                3 => message.insert_raw(&place, &value),
                4 => message.set_raw(&place.with_occurrence(Occurrence::Next), &value),
                5 => message.insert_segment(InsertAt::After(index), &segment).map(drop),
                _ => message.remove(&Path::of_segment(place.segment())),
            };
            let reread = Message::parse(message.as_bytes()).unwrap();
            prop_assert_eq!(&reread.lines, &message.lines);
            prop_assert_eq!(reread.delimiters(), message.delimiters());
        }
    }
}

#[test]
fn a_message_is_replaced_by_another_and_never_by_none() {
    let before = b"MSH|^~\\&|A\rPID|1||a\r";
    let mut message = Message::parse(before).expect("it is a message");
    assert!(message.rewrite(b"PID|1".to_vec()).is_err());
    assert!(!message.is_edited());
    assert_eq!(message.as_bytes(), before);
    message.rewrite(b"MSH*^~\\&*A\rPID*2\r".to_vec()).expect("it is a message");
    assert!(message.is_edited());
    let path = Path::parse("PID-1").expect("it is a path");
    assert_eq!(message.get(&path).map(|value| value.raw()), Some(&b"2"[..]));
}
