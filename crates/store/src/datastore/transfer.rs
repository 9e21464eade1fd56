//! Taking resources out of a datastore and into one, as NDJSON: one resource a line, as FHIR's bulk data has it.

use std::io::{self, BufRead, Write};

use pipehat_resource::definitions::resource_types;
use pipehat_resource::json::{JsonError, Value, parse};

use super::Datastore;
use super::error::DatastoreError;
use super::interaction::{
    Applied, Group, Interaction, Outcome, Precondition, Refusal, ResourceKey,
};
use super::stamp::key_of;

/// How many resources are read or written at once.
const AT_ONCE: usize = 200;

/// How long a line may be.
pub const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why resources could not be taken out or in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file.
    #[error("the file can't be read or written")]
    File(#[from] io::Error),
    /// The datastore.
    #[error("the datastore failed")]
    Datastore(#[from] DatastoreError),
    /// A line is no JSON.
    #[error("line {line} is not JSON: {problem}")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What is wrong; its line counts within the resource.
        problem: JsonError,
    },
    /// A line is longer than may be.
    #[error("line {0} is longer than {LINE_BYTES_MAX} bytes")]
    Long(u64),
    /// A line is nothing that a datastore may hold.
    #[error("line {line}: {unfit}")]
    Unfit {
        /// The line, from 1.
        line: u64,
        /// Why.
        unfit: Unfit,
    },
    /// The datastore refuses a line.
    #[error("line {line} is refused: {refusal}")]
    Refused {
        /// The line, from 1.
        line: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// Why something can't be taken in, whatever else it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no type or no id.
    #[error("this is no resource with a resourceType and an id")]
    Resource,
    /// Nothing of this type could be read, changed or deleted by the API.
    #[error("the resourceType is none of FHIR R4")]
    Type,
    /// Nothing under this id could be read, changed or deleted by the API.
    #[error("the id is not 1 to 64 of `A-Z`, `a-z`, `0-9`, `-` and `.`")]
    Id,
    /// The audit is not to be added to from outside.
    #[error("AuditEvents are the server's own, made of its audit: they can't be taken in")]
    Audit,
    /// It would take the place of the whole.
    #[error("the tag SUBSETTED says that this is only a part of a resource")]
    Part,
}

/// The type and the id under which a resource may be taken in.
///
/// # Errors
/// Why it may not.
pub fn fit(resource: &Value) -> Result<ResourceKey, Unfit> {
    let key = key_of(resource).ok_or(Unfit::Resource)?;
    if !resource_types().any(|known| known.name() == key.resource_type) {
        return Err(Unfit::Type);
    }
    if key.resource_type == "AuditEvent" {
        return Err(Unfit::Audit);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !(1..=64).contains(&key.id.len()) || !key.id.bytes().all(plain) {
        return Err(Unfit::Id);
    }
    let tags = resource.get("meta").map(|meta| meta.items("tag")).unwrap_or_default();
    let is_part = |tag: &Value| {
        tag.text("code") == Some("SUBSETTED")
            && tag.text("system")
                == Some("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")
    };
    if tags.iter().any(is_part) {
        return Err(Unfit::Part);
    }
    Ok(key)
}

/// What became of what was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// New resources.
    pub created: u64,
    /// New versions.
    pub updated: u64,
    /// Resources that stood so already.
    pub unchanged: u64,
}

/// Writes the newest versions of all resources of these types (of all, where none is named), in the order in which
/// they were created; how many.
///
/// # Errors
/// The file or the datastore fails.
pub async fn export(
    store: &dyn Datastore,
    types: &[String],
    out: &mut (dyn Write + Send),
) -> Result<u64, TransferError> {
    let mut written = 0u64;
    let mut after = Some(0);
    while let Some(from) = after {
        let page = store.resources(types, from, AT_ONCE).await?;
        for version in page.versions {
            if let Some(body) = &version.body {
                out.write_all(body.as_bytes())?;
                out.write_all(b"\n")?;
                written = written.saturating_add(1);
            }
        }
        after = page.next;
    }
    out.flush()?;
    Ok(written)
}

/// Takes resources in under the ids they have, as new versions where they are there already; so it may be done again
/// after it was broken off. They are not validated, but for what [`fit`] asks.
///
/// # Errors
/// The first line that can't be taken in; those before it were.
pub async fn import(
    store: &dyn Datastore,
    lines: &mut (dyn BufRead + Send),
    now: i64,
) -> Result<Imported, TransferError> {
    let mut imported = Imported::default();
    let mut line = 0u64;
    let mut waiting: Vec<(u64, Interaction)> = Vec::new();
    let mut keys = std::collections::HashSet::new();
    loop {
        let mut text = Vec::new();
        line = line.saturating_add(1);
        let read = io::Read::take(&mut *lines, LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
        if read as u64 >= LINE_BYTES_MAX {
            return Err(TransferError::Long(line));
        }
        let is_empty = text.iter().all(u8::is_ascii_whitespace);
        let next = if is_empty {
            None
        } else {
            let resource = parse(&text).map_err(|problem| TransferError::Json { line, problem })?;
            let key = fit(&resource).map_err(|unfit| TransferError::Unfit { line, unfit })?;
            let precondition = Precondition::None;
            Some((key, Interaction::Update { resource, precondition, keeps: None, full_url: None }))
        };
        let twice = next.as_ref().is_some_and(|(key, _)| keys.contains(key));
        if waiting.len() >= AT_ONCE || twice || (read == 0 && !waiting.is_empty()) {
            keys.clear();
            take_in(store, std::mem::take(&mut waiting), now, &mut imported).await?;
        }
        if let Some((key, interaction)) = next {
            keys.insert(key);
            waiting.push((line, interaction));
        }
        if read == 0 {
            return Ok(imported);
        }
    }
}

async fn take_in(
    store: &dyn Datastore,
    waiting: Vec<(u64, Interaction)>,
    now: i64,
    imported: &mut Imported,
) -> Result<(), TransferError> {
    let (lines, interactions): (Vec<u64>, Vec<Interaction>) = waiting.into_iter().unzip();
    match store.apply(Group { interactions, now }).await? {
        Applied::Done(outcomes) => {
            for outcome in outcomes {
                let count = match outcome {
                    Outcome::Created(_) => &mut imported.created,
                    Outcome::Updated(_) => &mut imported.updated,
                    _ => &mut imported.unchanged,
                };
                *count = count.saturating_add(1);
            }
            Ok(())
        }
        Applied::Refused(refused) => {
            let line = lines.get(refused.interaction).copied().unwrap_or_default();
            Err(TransferError::Refused { line, refusal: refused.refusal })
        }
    }
}
