//! Where the elements of outputs came from: what translations know of it goes along with what they make, and is no part of
//! it. Nothing is asked for it and no step reads it, so that it changes no output and no replay.

use std::sync::Arc;

use bytes::Bytes;
use pipehat_translate::{LineageLimits, PackedLineage};

use super::run::Run;
use super::verdict::{Output, StepPlace, Translation};

/// The most translations of one message whose lineage is kept: a message that is split into more has none for the rest.
const TRANSLATIONS_MAX: usize = 1_000;

/// The most bytes of lineage that are kept with one message.
const LINEAGE_BYTES_MAX: usize = 4 * LineageLimits::KEPT.packed_bytes_max;

/// Whether a translation keeps its lineage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepsLineage {
    /// It does, as far as it is not larger than may be.
    #[default]
    Yes,
    /// It does not.
    No,
}

impl KeepsLineage {
    /// How much it may make.
    pub(super) fn limits(self) -> Option<LineageLimits> {
        match self {
            Self::Yes => Some(LineageLimits::KEPT),
            Self::No => None,
        }
    }
}

/// The lineage of one translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Nobody wanted it.
    NotWanted,
    /// It is larger than may be kept.
    TooLarge,
    /// Packed.
    Kept(Bytes),
}

impl Followed {
    pub(super) fn of(wanted: KeepsLineage, lineage: Option<PackedLineage>) -> Self {
        match (wanted, lineage) {
            (KeepsLineage::No, _) => Self::NotWanted,
            (KeepsLineage::Yes, None) => Self::TooLarge,
            (KeepsLineage::Yes, Some(lineage)) => Self::Kept(lineage.into_bytes().into()),
        }
    }
}

/// The translations of a message.
#[derive(Debug, Default)]
pub(super) struct Translations {
    all: Vec<Translation>,
    bytes: usize,
    /// The one that the message at hand went through last.
    pub(super) last: Option<u16>,
}

impl Run<'_> {
    /// The message at hand went through a translation.
    pub(super) fn translated(&mut self, at: &StepPlace, bot: Option<&Arc<str>>, lineage: Followed) {
        let lineage = match lineage {
            Followed::NotWanted => return,
            Followed::TooLarge => None,
            Followed::Kept(packed) => Some(packed),
        };
        let own = &mut self.translations;
        let bytes = own.bytes.saturating_add(lineage.as_ref().map_or(0, Bytes::len));
        let lineage = lineage.filter(|_| bytes <= LINEAGE_BYTES_MAX);
        let number = u16::try_from(own.all.len()).ok();
        let Some(number) = number.filter(|_| own.all.len() < TRANSLATIONS_MAX) else {
            own.last = None;
            self.find("translate.lineage-not-kept", None, at);
            return;
        };
        let is_kept = lineage.is_some();
        if is_kept {
            own.bytes = bytes;
        }
        let (bot, before) = (bot.cloned(), own.last);
        own.all.push(Translation { at: at.clone(), bot, before, lineage });
        own.last = Some(number);
        if !is_kept {
            self.find("translate.lineage-not-kept", None, at);
        }
    }

    /// Those that outputs went through.
    pub(super) fn translations_of_outputs(&mut self) -> Vec<Translation> {
        let all = std::mem::take(&mut self.translations.all);
        let outputs = self.outputs_mut();
        let mut is_used = vec![false; all.len()];
        for output in outputs.iter() {
            let mut next = output.translation;
            while let Some(number) = next {
                let number = usize::from(number);
                let Some(used) = is_used.get_mut(number).filter(|used| !**used) else { break };
                *used = true;
                next = all.get(number).and_then(|translation| translation.before);
            }
        }
        renumber(all, &is_used, outputs)
    }
}

/// Only those that are used, in their order.
fn renumber(all: Vec<Translation>, is_used: &[bool], outputs: &mut [Output]) -> Vec<Translation> {
    let mut count = 0_u16;
    let numbers: Vec<Option<u16>> = is_used
        .iter()
        .map(|is_used| {
            let number = is_used.then_some(count);
            count = count.saturating_add(u16::from(*is_used));
            number
        })
        .collect();
    let renumbered = |number: u16| numbers.get(usize::from(number)).copied().flatten();
    for output in outputs {
        output.translation = output.translation.and_then(renumbered);
    }
    let used = all.into_iter().zip(is_used).filter(|(_, is_used)| **is_used);
    used.map(|(translation, _)| Translation {
        before: translation.before.and_then(renumbered),
        ..translation
    })
    .collect()
}
