//! history of a resource, of a type and of everything (FHIR R4 §3.1.0.10).

use std::collections::HashSet;

use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::{Filter, parse_date};
use pipehat_store::datastore::{
    ChangeNumber, HistoryQuery, HistoryScope, ResourceKey, StoredVersion,
};

use super::access::{Permission, forbidden};
use super::answer::Answer;
use super::bundle::{BundleWriter, Link};
use super::paging::{PAGE_MAX, count, page_link};
use super::problem::Problem;
use super::read::missing;
use super::request::Request;
use super::resource::new_id;
use super::service::FhirService;

/// The parameter that says where the page before ended.
pub(super) const BEFORE: &str = "_before";

/// What may be said of a history.
pub(super) const PARAMETERS: &[&str] = &["_count", "_since", "_at", BEFORE];

impl FhirService {
    /// Versions, newest first.
    pub(super) async fn history(
        &self,
        request: &Request,
        scope: &HistoryScope,
    ) -> Result<Answer, Problem> {
        let filter = self.may_see(request, scope)?;
        let asked = Asked::read(request)?;
        if asked.limit == 0 {
            let links = [self.history_link(request, scope, "self", None)];
            let bundle = BundleWriter::new("history", &new_id(), request.setting.now, None, &links);
            return Ok(Answer::text(bundle.finish()));
        }
        let query = HistoryQuery {
            scope: scope.clone(),
            since: asked.since,
            at: asked.at,
            before: asked.before,
            // One more tells whether there is a next page.
            limit: asked.limit.saturating_add(1),
        };
        let mut versions = self.datastore.history(&query).await?;
        if versions.is_empty()
            && let HistoryScope::Resource(key) = scope
            && self.datastore.read(key).await?.is_none()
        {
            return Err(missing(key));
        }
        let revived = revived(&versions);
        let more = versions.len() > asked.limit;
        versions.truncate(asked.limit);
        let first_page = asked.before.is_none();
        let last = versions.last().map(|version| version.change).filter(|_| more);
        if let Some(filter) = filter {
            let mut visible = Vec::with_capacity(versions.len());
            for version in versions {
                if self.version_fits(&filter, &version).await? {
                    visible.push(version);
                }
            }
            versions = visible;
            if versions.is_empty()
                && let HistoryScope::Resource(key) = scope
                && !self.any_version_fits(&filter, key).await?
            {
                // Another's is as none.
                return Err(missing(key));
            }
        }
        let total = u64::try_from(versions.len()).ok().filter(|_| first_page && !more);
        let mut links = vec![self.history_link(request, scope, "self", asked.before)];
        if !first_page {
            links.push(self.history_link(request, scope, "first", None));
        }
        if let Some(last) = last {
            links.push(self.history_link(request, scope, "next", Some(last)));
        }
        let mut bundle =
            BundleWriter::new("history", &new_id(), request.setting.now, total, &links);
        for version in &versions {
            let shown = version.body.as_deref().map(|body| request.shape.shown(body));
            let created = version.version == 1 || revived.contains(&version.change);
            bundle.version(&request.setting.base, version, created, shown.as_deref());
        }
        Ok(Answer::text(bundle.finish()))
    }

    /// What versions must meet to be shown: each as it was, so that a patient who moved is seen by each facility for
    /// the time there. The history of everything is for those who see everything.
    fn may_see(&self, request: &Request, scope: &HistoryScope) -> Result<Option<Filter>, Problem> {
        let principal = &request.setting.principal;
        match scope {
            HistoryScope::All if principal.sees_all() => Ok(None),
            HistoryScope::All => Err(forbidden(
                "the history of everything needs a scope to search everything, such as `system/*.s`",
            )),
            HistoryScope::Type(name) => principal.require(name, Permission::Search),
            HistoryScope::Resource(key) => principal.require(&key.resource_type, Permission::Read),
        }
    }

    fn history_link(
        &self,
        request: &Request,
        scope: &HistoryScope,
        relation: &'static str,
        before: Option<ChangeNumber>,
    ) -> Link {
        let path = match scope {
            HistoryScope::All => "_history".to_owned(),
            HistoryScope::Type(name) => format!("{name}/_history"),
            HistoryScope::Resource(key) => format!("{}/{}/_history", key.resource_type, key.id),
        };
        let before = before.map(|before| before.0.to_string());
        page_link(request, &path, relation, &request.query, BEFORE, before.as_deref())
    }
}

/// The versions that stand right behind a deletion, as far as both are among these.
fn revived(versions: &[StoredVersion]) -> HashSet<ChangeNumber> {
    let deletions: HashSet<(&ResourceKey, u64)> = versions
        .iter()
        .filter(|version| version.body.is_none())
        .map(|version| (&version.key, version.version))
        .collect();
    let revived = versions.iter().filter(|version| {
        deletions.contains(&(&version.key, version.version.saturating_sub(1)))
            && version.body.is_some()
    });
    revived.map(|version| version.change).collect()
}

struct Asked {
    since: Option<i64>,
    at: Option<(i64, i64)>,
    before: Option<ChangeNumber>,
    limit: usize,
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Problem> {
        let query = &request.query;
        let date = |name: &'static str| match query.first(name) {
            None => Ok(None),
            Some(text) => parse_date(text).map(Some).ok_or_else(|| {
                Problem::bad_request(
                    IssueCode::Value,
                    format!("{name} is a time such as 2024-03-01T12:00:00Z"),
                )
                .at_location(name)
            }),
        };
        let before = match query.first(BEFORE) {
            None => None,
            Some(text) => Some(text.parse().map(ChangeNumber).map_err(|_| {
                Problem::bad_request(IssueCode::Value, "this page does not exist")
                    .at_location(BEFORE)
            })?),
        };
        Ok(Self {
            since: date("_since")?.map(|range| range.from),
            at: date("_at")?.map(|range| (range.from, range.to)),
            before,
            limit: count(query)?.unwrap_or(super::paging::PAGE_DEFAULT).min(PAGE_MAX),
        })
    }
}
