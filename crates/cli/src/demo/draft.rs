//! A message as the world tells it, on its way to being what a system sends.
//!
//! What a system writes differently is changed here; what the channel must make of it is mostly what stood there
//! before, which is how the simulation knows it.

use pipehat_message::{InsertAt, Message, Path};

/// A message that can still be changed.
#[derive(Debug)]
pub(crate) struct Draft<'m> {
    message: Message<'m>,
}

impl<'m> Draft<'m> {
    /// Of bytes that were generated, which are always a message.
    pub(crate) fn new(bytes: &'m [u8]) -> Self {
        Self { message: Message::parse(bytes).expect("what is generated is a message") }
    }

    /// What stands at a place, without escapes; nothing where there is nothing.
    pub(crate) fn bytes(&self, place: &str) -> Vec<u8> {
        self.message.get(&path(place)).map(|value| value.decoded().into_owned()).unwrap_or_default()
    }

    /// The same as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self, place: &str) -> String {
        String::from_utf8_lossy(&self.bytes(place)).into_owned()
    }

    /// The names of its segments, in their order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.message.segments().map(|segment| segment.name())
    }

    /// How many segments of this name there are.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.segments().filter(|one| *one == name.as_bytes()).count()
    }

    /// Writes something at a place.
    pub(crate) fn set(&mut self, place: &str, text: &str) {
        self.set_bytes(place, text.as_bytes());
    }

    /// Writes bytes of the message's own character set at a place.
    pub(crate) fn set_bytes(&mut self, place: &str, bytes: &[u8]) {
        self.message.set_text(&path(place), bytes).expect("a place that can be written");
    }

    /// Writes something at a place in each segment of a name: `-4.1` in each `OBR`.
    pub(crate) fn set_each(&mut self, name: &str, place: &str, text: &str) {
        for at in 1..=self.count(name) {
            self.set(&format!("{name}({at}){place}"), text);
        }
    }

    /// Writes something else where something stands, if there is something else to write.
    pub(crate) fn rewrite(&mut self, place: &str, other: impl Fn(&str) -> Option<String>) {
        let text = self.text(place);
        if !text.is_empty()
            && let Some(other) = other(&text)
        {
            self.set(place, &other);
        }
    }

    /// The same in each segment of a name.
    pub(crate) fn rewrite_each(
        &mut self,
        name: &str,
        place: &str,
        other: impl Fn(&str) -> Option<String>,
    ) {
        for at in 1..=self.count(name) {
            self.rewrite(&format!("{name}({at}){place}"), &other);
        }
    }

    /// Empties a place.
    pub(crate) fn clear(&mut self, place: &str) {
        self.message.clear(&path(place)).expect("a place that can be emptied");
    }

    /// Takes out all segments of a name.
    pub(crate) fn remove_segments(&mut self, name: &str) {
        self.message.remove(&path(&format!("{name}(*)"))).expect("segments that can be removed");
    }

    /// Adds a segment at the end.
    pub(crate) fn push_segment(&mut self, line: &str) {
        let added = self.message.insert_segment(InsertAt::End, line.as_bytes());
        added.expect("a segment that can be added");
    }

    /// The message's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.message.as_bytes().to_vec()
    }
}

fn path(place: &str) -> Path {
    place.parse().expect("the simulation's paths are fixed texts")
}

/// What someone else calls something: the second of the pair whose first it is.
pub(crate) fn other_name(names: &[(&str, &str)], name: &str) -> Option<String> {
    names.iter().find(|(known, _)| *known == name).map(|(_, other)| (*other).to_owned())
}

/// A time or a date as `YYYYMMDD…` in another order: each letter of `form` that a time has (`Y`, `M`, `D`, `h`, `m`)
/// stands for its next digit.
pub(crate) fn reformat(time: &str, form: &str) -> Option<String> {
    let digit = |at: usize| time.get(at..=at)?.chars().next();
    let (mut year, mut month, mut day, mut hour, mut minute) = (0..4, 4..6, 6..8, 8..10, 10..12);
    let mut written = String::with_capacity(form.len());
    for letter in form.chars() {
        let digits = match letter {
            'Y' => &mut year,
            'M' => &mut month,
            'D' => &mut day,
            'h' => &mut hour,
            'm' => &mut minute,
            letter => {
                written.push(letter);
                continue;
            }
        };
        written.push(digit(digits.next()?)?);
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_other_ways() {
        let reformatted = |time, form| reformat(time, form).unwrap_or_default();
        assert_eq!(reformatted("19801231", "DD.MM.YYYY"), "31.12.1980");
        assert_eq!(reformatted("20260302093059", "YYYY-MM-DD hh:mm"), "2026-03-02 09:30");
        assert_eq!(reformatted("20260302", "hh:mm"), "");
    }

    #[test]
    fn what_is_changed_is_changed_everywhere_and_the_rest_stays() {
        let bytes = b"MSH|$%\\&|A\nOBX|1||N$x||1\nIN1|1\nOBX|2||||2\nOBX|3||N\n";
        let mut draft = Draft::new(bytes);
        draft.rewrite_each("OBX", "-3.1", |code| other_name(&[("N", "$5")], code));
        draft.set_each("OBX", "-5", "0");
        draft.remove_segments("IN1");
        draft.clear("MSH-3");
        draft.push_segment("ZPI|1|7");
        let expected = "MSH|$%\\&|\nOBX|1||\\S\\5$x||0\nOBX|2||||0\nOBX|3||\\S\\5||0\nZPI|1|7\n";
        assert_eq!(String::from_utf8_lossy(&draft.finish()), expected);
    }
}
