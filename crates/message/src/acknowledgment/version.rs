//! What the forms of MSH-9, MSA and ERR depend on.

/// The minor and patch numbers of a `2.x.y` version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    minor: u8,
    patch: u8,
}

impl Version {
    /// What is answered where a sender's version is absent or not one: the most widespread.
    const ASSUMED: Self = Self { minor: 5, patch: 1 };

    /// Reads MSH-12.1.
    pub(super) fn of(version_id: &[u8]) -> Self {
        Self::parse(version_id).unwrap_or(Self::ASSUMED)
    }

    fn parse(version_id: &[u8]) -> Option<Self> {
        let digits = str::from_utf8(version_id).ok()?.trim().strip_prefix("2.")?;
        let (minor, patch) = digits.split_once('.').unwrap_or((digits, "0"));
        Some(Self { minor: minor.parse().ok()?, patch: patch.parse().ok()? })
    }

    fn is_at_least(self, minor: u8, patch: u8) -> bool {
        self >= Self { minor, patch }
    }

    /// MSH-9.2 in an acknowledgment: from v2.3 on.
    pub(super) fn has_trigger_event(self) -> bool {
        self.is_at_least(3, 0)
    }

    /// MSH-9.3: from v2.3.1 on.
    pub(super) fn has_message_structure(self) -> bool {
        self.is_at_least(3, 1)
    }

    /// MSA-3: withdrawn in v2.7.
    pub(super) fn has_message_text(self) -> bool {
        !self.is_at_least(7, 0)
    }

    /// MSA-6: from v2.2 on, superseded by ERR in v2.4.
    pub(super) fn has_error_condition(self) -> bool {
        self.is_at_least(2, 0) && !self.is_at_least(4, 0)
    }

    /// ERR-2 to ERR-8, one segment for each error: from v2.5 on. Before, ERR-1 with a repetition for each.
    pub(super) fn has_error_location(self) -> bool {
        self.is_at_least(5, 0)
    }

    /// QAK: from v2.3 on.
    pub(super) fn has_query_acknowledgment(self) -> bool {
        self.is_at_least(3, 0)
    }

    /// RSP^K22 has the structure of RSP^K21: in v2.5 to v2.6, by table 0354.
    pub(super) fn shares_query_structures(self) -> bool {
        self.is_at_least(5, 0) && !self.is_at_least(7, 0)
    }

    /// CWE with a coding system table `HL7nnnn`, and 0357 at all: ERR-1 of v2.1 is a plain text.
    pub(super) fn has_coded_error(self) -> bool {
        self.is_at_least(2, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered() {
        let all = [
            "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8",
            "2.8.1", "2.8.2", "2.9", "2.10",
        ];
        let versions: Vec<_> = all.iter().map(|text| Version::parse(text.as_bytes())).collect();
        assert!(versions.iter().all(Option::is_some));
        assert!(versions.is_sorted());
        for odd in ["", "2", "3.0", "2.x", "2.5.", "2.300", "v2.5"] {
            assert_eq!(Version::of(odd.as_bytes()), Version::ASSUMED, "{odd}");
        }
    }
}
