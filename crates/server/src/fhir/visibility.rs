//! Whether a resource meets a scope's filter, as it stands here or as a client wants it to be.
//!
//! Reads and searches ask the datastore; but a version of before, and a resource that is yet to be written, are in no
//! index. So filters are decided on the resource itself ([`Filter::matches`]), and only what they say about other
//! resources (chains, `_has`) asks the datastore.

use std::future::Future;
use std::pin::Pin;

use pipehat_resource::json::Value;
use pipehat_resource::search::{
    Criterion, Filter, IndexEntry, IndexValue, ReferenceCriterion, Search, extract,
};
use pipehat_store::datastore::{
    HistoryQuery, HistoryScope, ResourceKey, SearchRequest, StoredVersion,
};

use super::access::outside;
use super::problem::Problem;
use super::service::FhirService;
use super::write::resource_of;

impl FhirService {
    /// Refuses a resource that is not the client's to write.
    pub(super) async fn fits(
        &self,
        filter: Option<&Filter>,
        resource: &Value,
    ) -> Result<(), Problem> {
        match filter {
            Some(filter) if !self.meets(resource, filter).await? => {
                Err(outside(resource.resource_type().unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }

    /// Whether a version is one that the client may see. A deletion is where the version before it was.
    pub(super) async fn version_fits(
        &self,
        filter: &Filter,
        version: &StoredVersion,
    ) -> Result<bool, Problem> {
        match &version.body {
            Some(_) => self.meets(&resource_of(version)?, filter).await,
            None => {
                let before = version.version.saturating_sub(1);
                match self.datastore.version(&version.key, before).await? {
                    Some(before) if before.body.is_some() => {
                        self.meets(&resource_of(&before)?, filter).await
                    }
                    _ => Ok(false),
                }
            }
        }
    }

    /// Whether any version of a resource is one that the client may see.
    pub(super) async fn any_version_fits(
        &self,
        filter: &Filter,
        key: &ResourceKey,
    ) -> Result<bool, Problem> {
        const PAGE: usize = 50;
        let mut before = None;
        loop {
            let scope = HistoryScope::Resource(key.clone());
            let query = HistoryQuery { scope, since: None, at: None, before, limit: PAGE };
            let versions = self.datastore.history(&query).await?;
            for version in &versions {
                if self.version_fits(filter, version).await? {
                    return Ok(true);
                }
            }
            before = versions.last().map(|version| version.change);
            if versions.len() < PAGE {
                return Ok(false);
            }
        }
    }

    /// Whether what stands under a key now is there and one that the client may see.
    pub(super) async fn key_fits(
        &self,
        filter: &Filter,
        key: &ResourceKey,
    ) -> Result<bool, Problem> {
        match self.datastore.read(key).await? {
            Some(found) if found.body.is_some() => self.version_fits(filter, &found).await,
            _ => Ok(false),
        }
    }

    async fn meets(&self, resource: &Value, filter: &Filter) -> Result<bool, Problem> {
        let entries = extract(resource, &self.parameters.known(), "", 0);
        self.holds(resource, &entries, filter).await
    }

    fn holds<'a>(
        &'a self,
        resource: &'a Value,
        entries: &'a [IndexEntry],
        filter: &'a Filter,
    ) -> Pin<Box<dyn Future<Output = Result<bool, Problem>> + Send + 'a>> {
        Box::pin(async move {
            if let Some(met) = filter.matches(resource, entries) {
                return Ok(met);
            }
            match filter {
                Filter::All(filters) => {
                    for filter in filters {
                        if !self.holds(resource, entries, filter).await? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
                Filter::Any(filters) => {
                    for filter in filters {
                        if self.holds(resource, entries, filter).await? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
                Filter::Not(filter) => Ok(!self.holds(resource, entries, filter).await?),
                // Something it refers to meets the rest of the chain.
                Filter::Chain { reference, targets } => {
                    for entry in entries.iter().filter(|entry| entry.parameter == *reference) {
                        let IndexValue::Reference { resource_type, id: Some(id), .. } =
                            &entry.value
                        else {
                            continue;
                        };
                        for target in targets {
                            let named = resource_type.as_ref();
                            if named.is_some_and(|name| *name != target.resource_type) {
                                continue;
                            }
                            let filters = vec![Filter::Id(vec![id.clone()]), target.filter.clone()];
                            if self.any(&target.resource_type, filters).await? {
                                return Ok(true);
                            }
                        }
                    }
                    Ok(false)
                }
                // Something refers to it and meets the filter. Nothing refers to what has no id yet.
                Filter::Has { resource_type, reference, filter } => {
                    let (Some(own_type), Some(id)) = (resource.resource_type(), resource.id())
                    else {
                        return Ok(false);
                    };
                    let refers = Filter::Parameter {
                        parameter: *reference,
                        criteria: vec![Criterion::Reference(ReferenceCriterion::Local {
                            resource_type: Some(own_type.to_owned()),
                            id: id.to_owned(),
                        })],
                    };
                    self.any(resource_type, vec![refers, (**filter).clone()]).await
                }
                // All others are decided on the resource alone; what is not is not met.
                _ => Ok(false),
            }
        })
    }

    async fn any(&self, resource_type: &str, filters: Vec<Filter>) -> Result<bool, Problem> {
        let search =
            Search { resource_types: vec![resource_type.to_owned()], filters, ..Search::default() };
        let request = SearchRequest { search, visible: Vec::new(), limit: 1, after: None };
        Ok(!self.datastore.search(&request).await?.matches.is_empty())
    }
}
