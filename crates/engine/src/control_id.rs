//! Control ids (MSH-10) of the messages and acknowledgments we write ourselves.
//!
//! At most 20 characters, the length of MSH-10 up to v2.6: a tag of this installation, then
//! either the number of the message that is acknowledged or a clock that never stands still.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::names::MessageId;

/// The tag that sets one installation's ids apart from another's: 5 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationTag(String);

impl InstallationTag {
    /// A tag of these random bits.
    pub fn of(random: u32) -> Self {
        let mut tag = base36(u64::from(random));
        while tag.len() < 5 {
            tag.insert(0, '0');
        }
        tag.truncate(5);
        Self(tag)
    }

    /// The tag as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes control ids.
#[derive(Debug)]
pub struct ControlIds {
    tag: InstallationTag,
    latest: AtomicU64,
}

impl ControlIds {
    /// Ids under this tag.
    pub fn new(tag: InstallationTag) -> Self {
        Self { tag, latest: AtomicU64::new(0) }
    }

    /// The id of the acknowledgment of a message: always the same, so that a repeated message
    /// gets the same acknowledgment.
    pub fn acknowledgment(&self, message: MessageId) -> String {
        format!("{}A{}", self.tag.0, base36(message.0.get()))
    }

    /// The id of a second reply to a message, the application acknowledgment after an accept
    /// acknowledgment.
    pub fn application_acknowledgment(&self, message: MessageId) -> String {
        format!("{}B{}", self.tag.0, base36(message.0.get()))
    }

    /// An id never given before: microseconds since 1970, or one more than the latest.
    pub fn fresh(&self, now: Timestamp) -> String {
        let clock = now.as_microsecond().max(0).unsigned_abs();
        let after = |latest: u64| Some(clock.max(latest.saturating_add(1)));
        let latest = self.latest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        let id = latest.map_or(clock, |latest| clock.max(latest.saturating_add(1)));
        format!("{}C{}", self.tag.0, base36(id))
    }
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut digits = Vec::with_capacity(13);
    loop {
        let digit = usize::try_from(number % 36).unwrap_or_default();
        digits.push(DIGITS.get(digit).copied().unwrap_or(b'0'));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::Timestamp;
    use pipehat_journal::Position;

    use super::{ControlIds, InstallationTag, base36};
    use crate::names::MessageId;

    #[test]
    fn numbers_are_written_to_base_36() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "Z");
        assert_eq!(base36(36), "10");
        assert_eq!(base36(u64::MAX), "3W5E11264SGSF");
    }

    #[test]
    fn ids_fit_msh_10_of_every_version() {
        let ids = ControlIds::new(InstallationTag::of(u32::MAX));
        let last = MessageId(Position::new(u64::MAX).expect("not zero"));
        assert_eq!(ids.acknowledgment(last).len(), 19);
        assert!(ids.fresh(Timestamp::MAX).len() <= 20);
    }

    #[test]
    fn a_standing_clock_still_gives_new_ids() {
        let ids = ControlIds::new(InstallationTag::of(1));
        let now = Timestamp::UNIX_EPOCH;
        let given: HashSet<_> = (0..1_000).map(|_| ids.fresh(now)).collect();
        assert_eq!(given.len(), 1_000);
    }
}
