//! The sequence number protocol (HL7 v2.5.1 §2.10.1): which number a receiver expects, and which
//! numbers of our own are used up.
//!
//! A sender numbers its messages in MSH-13, one after another; the receiver remembers the last
//! number it kept, refuses what would leave a gap, and says in MSA-4 which number it expects. The
//! number is part of the record that keeps the message, so that a restart knows it. Each sending
//! application and facility (MSH-3, MSH-4) is a link of its own.
//!
//! Decisions only. A number counts as taken while its record is on the way to the disk, and is
//! given back when the record is lost.

use std::collections::BTreeMap;

use pipehat_connectors::Attempt;
use pipehat_message::{Acknowledgment, Header};

/// Links of one channel: more senders than an interface has.
pub(crate) const LINKS_MAX: usize = 256;

/// The bytes of a link's name.
const LINK_BYTES_MAX: usize = 256;

/// What MSA-4 says of a link that has no number yet: the next one is taken, whatever it is.
pub(crate) const ANY: i64 = -1;

/// A message's place in the protocol, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkNumber {
    /// The link: sending application and facility.
    pub link: String,
    /// MSH-13: a message's number, 0 to start the link, -1 to begin to count anew.
    pub number: i64,
}

impl LinkNumber {
    /// Whether it has no content, and only says something about the link.
    pub fn is_control(&self) -> bool {
        self.number <= 0
    }
}

/// What a link says to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgment {
    /// It has its turn, or is about the link; MSA-4 is this.
    Taken { number: LinkNumber, expected: i64 },
    /// Its number was taken before. It is either that very message, or a sender that counts wrongly.
    Before { expected: i64 },
    /// Messages before it are missing.
    Gap { expected: i64 },
    /// MSH-13 is missing.
    Missing { expected: i64 },
    /// MSH-13 is no number of the protocol.
    NoNumber { expected: i64 },
    /// It names no sender, or one too many.
    NoLink,
}

/// The links of one channel.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<String, Link>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// The last number on stable storage.
    kept: Option<i64>,
    /// The next number to be taken; none: any.
    next: Option<i64>,
}

impl Links {
    /// The links as the books know them.
    pub(crate) fn new(kept: &BTreeMap<String, i64>) -> Self {
        let link = |(name, kept): (&String, &i64)| {
            (name.clone(), Link { kept: Some(*kept), next: Some(kept.saturating_add(1)) })
        };
        Self { links: kept.iter().map(link).collect() }
    }

    /// Judges a message by its header, and takes its number if it is its turn.
    pub(crate) fn judge(&mut self, header: &Header<'_>) -> Judgment {
        let sender = [header.sending_application(), header.sending_facility()];
        let name = sender.map(String::from_utf8_lossy).join("|");
        let known = self.links.contains_key(&name);
        if name.len() > LINK_BYTES_MAX || (!known && self.links.len() >= LINKS_MAX) {
            return Judgment::NoLink;
        }
        let link = self.links.entry(name.clone()).or_default();
        let expected = link.next.unwrap_or(ANY);
        let written = header.sequence_number().trim_ascii();
        if written.is_empty() {
            return Judgment::Missing { expected };
        }
        let number = str::from_utf8(written).ok().and_then(|text| text.parse::<i64>().ok());
        let taken = |number, expected| {
            let number = LinkNumber { link: name, number };
            Judgment::Taken { number, expected }
        };
        match (number, link.next) {
            (None | Some(..-1 | i64::MAX), _) => Judgment::NoNumber { expected },
            (Some(-1), _) => {
                link.next = None;
                taken(-1, ANY)
            }
            (Some(0), _) => taken(0, expected),
            (Some(number), Some(next)) if number < next => Judgment::Before { expected },
            (Some(number), Some(next)) if number > next => Judgment::Gap { expected },
            (Some(number), _) => {
                link.next = Some(number.saturating_add(1));
                taken(number, number)
            }
        }
    }

    /// The record of a message that was taken is on stable storage.
    pub(crate) fn kept(&mut self, number: &LinkNumber) {
        let link = self.links.entry(number.link.clone()).or_default();
        match number.number {
            -1 => link.kept = None,
            0 => {}
            number => link.kept = Some(number),
        }
    }

    /// It is not, and neither is any that came after it.
    pub(crate) fn lost(&mut self, number: &LinkNumber) {
        if let Some(link) = self.links.get_mut(&number.link) {
            link.next = link.kept.map(|kept| kept.saturating_add(1));
        }
    }
}

/// Whether a delivery that ended by this try may have reached the partner, now or before.
pub(crate) fn may_be_sent(attempt: &Attempt) -> bool {
    match attempt {
        // What can't be sent as it is never was; but for a defect of ours, of which nobody knows.
        Attempt::Impossible { code, .. } => *code == "delivery.failed",
        Attempt::Delivered { .. }
        | Attempt::Refused { .. }
        | Attempt::NotSent { .. }
        | Attempt::Interrupted { .. } => true,
    }
}

/// Whether a delivery that ended with this reply has used its number up: unless the partner refused
/// it and says that it still expects the number (MSA-4). Where nobody knows it counts as used, for a
/// number given to two messages could make the partner take the second for the first.
pub(crate) fn is_used_up(number: u64, reply: Option<&[u8]>) -> bool {
    let Some(reply) = reply.and_then(|reply| Acknowledgment::read(reply).ok()) else { return true };
    let expected = str::from_utf8(reply.expected_sequence_number()).ok();
    let expected = expected.and_then(|text| text.trim().parse::<u64>().ok());
    reply.code().is_positive() || expected != Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sender: &str, number: &str) -> String {
        format!("MSH|^~\\&|{sender}|F|||||ADT^A01|1|P|2.5.1|{number}\r")
    }

    /// Judges messages one after another; what was taken is kept.
    #[track_caller]
    fn check(links: &mut Links, number: &str, expected: &str) {
        let message = message("A", number);
        let judgment = links.judge(&Header::read(message.as_bytes()).expect("a header"));
        if let Judgment::Taken { number, .. } = &judgment {
            links.kept(number);
        }
        let said = match judgment {
            Judgment::Taken { expected, .. } => format!("taken {expected}"),
            Judgment::Before { expected } => format!("before {expected}"),
            Judgment::Gap { expected } => format!("gap {expected}"),
            Judgment::Missing { expected } => format!("missing {expected}"),
            Judgment::NoNumber { expected } => format!("no number {expected}"),
            Judgment::NoLink => "no link".to_owned(),
        };
        assert_eq!(said, expected, "MSH-13 `{number}`");
    }

    #[test]
    fn numbers_are_taken_in_a_row() {
        let links = &mut Links::default();
        check(links, "0", "taken -1");
        check(links, "7", "taken 7");
        check(links, "0", "taken 8");
        check(links, "9", "gap 8");
        check(links, "8", "taken 8");
        check(links, "8", "before 9");
        check(links, "1", "before 9");
        check(links, "", "missing 9");
        for odd in ["-2", "x", "1.5", "99999999999999999999", "9223372036854775807"] {
            check(links, odd, "no number 9");
        }
        check(links, "-1", "taken -1");
        check(links, "3", "taken 3");
        check(links, "4", "taken 4");
    }

    #[test]
    fn a_number_whose_record_is_lost_is_given_back() {
        let mut links = Links::new(&[("A|F".to_owned(), 5)].into());
        let judge = |links: &mut Links, number: &str| {
            let message = message("A", number);
            links.judge(&Header::read(message.as_bytes()).expect("a header"))
        };
        for number in ["6", "7", "-1", "3"] {
            assert!(matches!(judge(&mut links, number), Judgment::Taken { .. }), "{number}");
        }
        links.kept(&LinkNumber { link: "A|F".to_owned(), number: 6 });
        for number in [7, -1, 3] {
            links.lost(&LinkNumber { link: "A|F".to_owned(), number });
        }
        check(&mut links, "8", "gap 7");
        check(&mut links, "7", "taken 7");
    }

    #[test]
    fn a_number_is_free_again_only_when_the_partner_says_so() {
        let used = |code: &str, expected: &str| {
            let reply = format!("MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|{code}|1||{expected}\r");
            is_used_up(5, Some(reply.as_bytes()))
        };
        assert!(used("AA", "5"), "it echoes the number it took");
        assert!(used("AA", "6") && used("AA", "") && used("AR", "6") && used("AE", "6"));
        assert!(used("AE", "") && used("AE", "x"), "it does not say");
        assert!(!used("AE", "5") && !used("CR", "5") && !used("AR", "5"));
        assert!(is_used_up(5, None) && is_used_up(5, Some(b"no acknowledgment")));
        let impossible = |code| Attempt::Impossible { code, detail: String::new() };
        assert!(!may_be_sent(&impossible("mllp.not-frameable")));
        assert!(may_be_sent(&impossible("delivery.failed")));
    }

    #[test]
    fn there_are_only_so_many_links() {
        let mut links = Links::default();
        let mut judge = |sender: String| {
            let message = message(&sender, "1");
            links.judge(&Header::read(message.as_bytes()).expect("a header"))
        };
        for number in 0..LINKS_MAX {
            assert!(matches!(judge(number.to_string()), Judgment::Taken { .. }));
        }
        assert_eq!(judge("one more".to_owned()), Judgment::NoLink);
        assert!(matches!(judge("0".to_owned()), Judgment::Before { .. }));
        assert_eq!(judge("A".repeat(LINK_BYTES_MAX)), Judgment::NoLink);
    }
}
