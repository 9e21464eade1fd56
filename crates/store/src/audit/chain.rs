//! Marks: each group of records carries a keyed hash over itself and the group before.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::record::AuditRecord;

/// A group's mark covers the groups before it: the first follows this.
pub(super) const FIRST_MARK: [u8; 32] = [0; 32];

/// The keyed hash over a group and the mark before it.
pub(super) struct Chain(Hmac<Sha256>);

impl Chain {
    /// The chain behind a group with this mark.
    pub(super) fn behind(key: &[u8; 32], before: &[u8; 32]) -> Self {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(before);
        Self(mac)
    }

    /// Every field with its length, so that no two records give the same bytes.
    pub(super) fn add(&mut self, number: u64, record: &AuditRecord, query: Option<&[u8]>) {
        self.0.update(&number.to_le_bytes());
        self.0.update(&record.at.to_le_bytes());
        self.0.update(&record.status.to_le_bytes());
        let texts = [
            Some(&*record.request_id),
            record.client.as_deref(),
            record.client_name.as_deref(),
            record.address.as_deref(),
            Some(record.interaction.as_str()),
            record.resource_type.as_deref(),
            record.resource_id.as_deref(),
        ];
        for field in texts.map(|text| text.map(str::as_bytes)).into_iter().chain([query]) {
            let length = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
            self.0.update(&length.to_le_bytes());
            self.0.update(field.unwrap_or_default());
        }
    }

    /// The group's mark.
    pub(super) fn mark(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}
