//! read and vread (FHIR R4 §3.1.0.2, §3.1.0.3).

use http::StatusCode;
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::{ResourceKey, StoredVersion};

use super::access::Permission;
use super::address::version_number;
use super::answer::Answer;
use super::binary::raw;
use super::problem::Problem;
use super::request::Request;
use super::service::FhirService;

impl FhirService {
    /// The newest version.
    pub(super) async fn read(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        let version = self.visible(request, key, None).await?;
        self.shown(request, &version)
    }

    /// One version.
    pub(super) async fn version_read(
        &self,
        request: &Request,
        key: &ResourceKey,
        version: &str,
    ) -> Result<Answer, Problem> {
        let number = version_number(version).ok_or_else(|| no_version(key))?;
        let version = self.visible(request, key, Some(number)).await?;
        self.shown(request, &version)
    }

    /// A version that is there and that the client may see.
    pub(super) async fn visible(
        &self,
        request: &Request,
        key: &ResourceKey,
        version: Option<u64>,
    ) -> Result<StoredVersion, Problem> {
        let principal = &request.setting.principal;
        let filter = principal.require(&key.resource_type, Permission::Read)?;
        let found = match version {
            None => self.datastore.read(key).await?.ok_or_else(|| missing(key))?,
            Some(number) => {
                self.datastore.version(key, number).await?.ok_or_else(|| no_version(key))?
            }
        };
        // Another's is as none: nobody learns that it is or was there.
        if let Some(filter) = filter
            && !self.version_fits(&filter, &found).await?
        {
            return Err(if version.is_none() { missing(key) } else { no_version(key) });
        }
        there(Some(&found), || missing(key))?;
        Ok(found)
    }

    /// A version as it goes out: not at all where the client has it, as bytes where a Binary's are wanted.
    pub(super) fn shown(
        &self,
        request: &Request,
        version: &StoredVersion,
    ) -> Result<Answer, Problem> {
        if request.conditions.not_modified(version.version, version.last_updated) {
            return Ok(Answer::empty(StatusCode::NOT_MODIFIED).about(version));
        }
        let answer = Answer::stored(StatusCode::OK, version);
        if version.key.resource_type == "Binary"
            && let Some(content) =
                version.body.as_deref().and_then(|body| raw(body, &request.wanted))
        {
            return Ok(Answer { content, ..answer });
        }
        request.wanted.resource()?;
        Ok(answer)
    }
}

/// A version that was not deleted (FHIR R4 §3.1.0.2: 410).
pub(super) fn there(
    found: Option<&StoredVersion>,
    never: impl FnOnce() -> Problem,
) -> Result<&StoredVersion, Problem> {
    let found = found.ok_or_else(never)?;
    if found.body.is_none() { Err(gone(found)) } else { Ok(found) }
}

pub(super) fn missing(key: &ResourceKey) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        IssueCode::NotFound,
        format!("{}/{} does not exist", key.resource_type, key.id),
    )
}

pub(super) fn no_version(key: &ResourceKey) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        IssueCode::NotFound,
        format!("{}/{} has no such version", key.resource_type, key.id),
    )
}

fn gone(version: &StoredVersion) -> Problem {
    let key = &version.key;
    Problem::new(
        StatusCode::GONE,
        IssueCode::Deleted,
        format!("{}/{} was deleted", key.resource_type, key.id),
    )
    .about(version)
}
