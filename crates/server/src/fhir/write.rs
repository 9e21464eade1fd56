//! create, update, patch and delete, with and without conditions (FHIR R4 §3.1.0.4 to §3.1.0.8).

use http::{HeaderName, StatusCode};
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::{Value, parse};
use pipehat_resource::kept::{Items, Keeps, Others};
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::patch::{FhirPathPatch, Patch};
use pipehat_resource::search::Filter;
use pipehat_store::datastore::{
    Applied, Group, Interaction, Outcome, Precondition, Refusal, ResourceKey, Rules, SearchRequest,
    StoredVersion,
};

use super::access::{Allowed, Permission, forbidden, outside};
use super::answer::Answer;
use super::conditional_reference::refuse_in_patch;
use super::conditions::Tag;
use super::given_back::{condition_scope, deleted, may_ask_unlooked, patch_refusal, refusal};
use super::negotiation::ContentKind;
use super::problem::Problem;
use super::query_string::Query;
use super::read::missing;
use super::request::Request;
use super::resource::{Incoming, new_id};
use super::service::FhirService;
use super::subscriptions::{criteria_type, runs_bot, sign};

/// How often a change that needs a look first is tried, when others change the same.
const LOOKS_MAX: usize = 5;

/// The media type of RFC 6902.
const JSON_PATCH: &str = "application/json-patch+json";

/// The media types of patches.
const PATCHES_TAKEN: &str =
    "application/json-patch+json, application/fhir+json, application/merge-patch+json";

/// Where the criteria of a conditional interaction stand.
const ADDRESS: &str = "the address";

/// Types that only the server itself makes: the audit is no one's to write.
const NOT_CHANGED: [&str; 1] = ["AuditEvent"];

impl FhirService {
    /// `POST Type`.
    pub(super) async fn create(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.create_interaction(request, resource_type, None).await?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(self.changed(request, &outcome, "created").await)
    }

    /// What a create asks of the datastore.
    pub(super) async fn create_interaction(
        &self,
        request: &Request,
        resource_type: &str,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        let scope = request.setting.principal.require(resource_type, Permission::Create)?;
        let mut incoming = Incoming::read(request, resource_type)?;
        incoming.set_id(&new_id());
        let mut resource = self.validated(incoming)?;
        self.bind_references(request, &mut resource).await?;
        self.fits(scope.as_ref(), &resource).await?;
        may_subscribe(request, &mut resource)?;
        let by_address = self.create_criteria(request, resource_type);
        let condition = match &request.conditions.if_none_exist {
            Some(query) => Some((query, "If-None-Exist")),
            None => by_address.as_ref().map(|query| (query, ADDRESS)),
        };
        let if_none_exist = match condition {
            Some((query, place)) => {
                let scope = request.setting.principal.require(resource_type, Permission::Search)?;
                Some(self.criteria(request, resource_type, query, place, scope)?)
            }
            None => None,
        };
        Ok(Interaction::Create { resource, if_none_exist, full_url })
    }

    /// Search parameters in the address of a create. Some clients (fhirpy) ask for a conditional create so; to pass
    /// over them would make the second resource that they want to rule out. Parameters that begin with `_` and are
    /// not of the type are about the form of the answer, or another server's.
    fn create_criteria(&self, request: &Request, resource_type: &str) -> Option<Query> {
        if resource_type == "Binary" || request.query.is_empty() {
            return None;
        }
        let registry = self.parameters.registry();
        let mut query = request.query.clone();
        query.retain(|name, _| {
            let code = name.split([':', '.']).next().unwrap_or_default();
            !code.starts_with('_') || code == "_has" || registry.find(resource_type, code).is_some()
        });
        (!query.is_empty()).then_some(query)
    }

    /// `PUT Type/id`.
    pub(super) async fn update(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        for _ in 0..LOOKS_MAX {
            let interaction = self.update_interaction(request, key, None).await?;
            match self.apply_one(request, interaction).await {
                Err(problem) if is_race(request, &problem) => {}
                outcome => return Ok(self.changed(request, &outcome?, "updated").await),
            }
        }
        Err(Refusal::Contention.into())
    }

    /// What an update asks of the datastore.
    pub(super) async fn update_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        let scope = request.setting.principal.require(&key.resource_type, Permission::Update)?;
        let mut incoming = Incoming::read(request, &key.resource_type)?;
        match incoming.id() {
            None if incoming.is_raw() => incoming.set_id(&key.id),
            None => {
                return Err(Problem::of(
                    StatusCode::BAD_REQUEST,
                    &[Issue::error(
                        IssueCode::Required,
                        "the resource has no id; it must be that of the address",
                    )
                    .at(format!("{}.id", key.resource_type))],
                ));
            }
            Some(id) if id != key.id => {
                return Err(Problem::of(
                    StatusCode::BAD_REQUEST,
                    &[Issue::error(
                        IssueCode::Value,
                        "the resource's id is not that of the address",
                    )
                    .at(format!("{}.id", key.resource_type))],
                ));
            }
            Some(_) => incoming.set_id(&key.id),
        }
        let kept = match incoming.is_raw() && request.security_context.is_none() {
            true => self.keep_security_context(key, &mut incoming).await?,
            false => None,
        };
        let mut resource = self.validated(incoming)?;
        self.bind_references(request, &mut resource).await?;
        self.fits(scope.as_ref(), &resource).await?;
        may_subscribe(request, &mut resource)?;
        let bounded = scope.is_some();
        let keeps = keeps(request, &key.resource_type, bounded)?;
        let precondition = match self.look(request, key, scope, bounded).await? {
            Look::NotNeeded => match (request.conditions.precondition()?, kept) {
                (Precondition::None, Some(version)) => Precondition::Version(version),
                (asked, _) => asked,
            },
            Look::At(version) => Precondition::Version(version.version),
            Look::Never | Look::Deleted => Precondition::Absent,
            // What would be stored elsewhere would be answered in the same words.
            Look::Hidden => return Err(outside(&key.resource_type)),
        };
        Ok(Interaction::Update { resource, precondition, keeps, full_url })
    }

    /// Bytes say nothing of who may see them: what the Binary said before stays (FHIR R4 §2.38.4, `X-Security-Context`).
    /// The version it was taken from.
    async fn keep_security_context(
        &self,
        key: &ResourceKey,
        incoming: &mut Incoming,
    ) -> Result<Option<u64>, Problem> {
        let found = self.datastore.read(key).await?.filter(|found| found.body.is_some());
        let Some(found) = found else { return Ok(None) };
        if let Some(context) = resource_of(&found)?.get("securityContext") {
            incoming.set_security_context(context.clone());
        }
        Ok(Some(found.version))
    }

    /// `PUT Type?…`.
    pub(super) async fn conditional_update(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.conditional_update_interaction(request, resource_type, None).await?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(self.changed(request, &outcome, "updated").await)
    }

    /// What a conditional update asks of the datastore.
    pub(super) async fn conditional_update_interaction(
        &self,
        request: &Request,
        resource_type: &str,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        let scope = request.setting.principal.require(resource_type, Permission::Update)?;
        let incoming = Incoming::read(request, resource_type)?;
        let mut resource = self.validated(incoming)?;
        self.bind_references(request, &mut resource).await?;
        self.fits(scope.as_ref(), &resource).await?;
        may_subscribe(request, &mut resource)?;
        self.leaves_hidden(scope.as_ref(), &resource).await?;
        let keeps = keeps(request, resource_type, scope.is_some())?;
        let scope = condition_scope(request, resource_type, scope)?;
        let search = self.criteria(request, resource_type, &request.query, ADDRESS, scope)?;
        let precondition = request.conditions.precondition()?;
        let new_id = new_id();
        Ok(Interaction::ConditionalUpdate {
            search,
            resource,
            new_id,
            precondition,
            keeps,
            full_url,
        })
    }

    /// Refuses a resource that would be stored under the id of one that the filter hides, deleted or not: in the words of
    /// an update by that id.
    async fn leaves_hidden(&self, scope: Option<&Filter>, resource: &Value) -> Result<(), Problem> {
        let (Some(scope), Some(resource_type), Some(id)) =
            (scope, resource.resource_type(), resource.id())
        else {
            return Ok(());
        };
        let key = ResourceKey { resource_type: resource_type.to_owned(), id: id.to_owned() };
        match self.datastore.read(&key).await? {
            Some(found) if !self.version_fits(scope, &found).await? => Err(outside(resource_type)),
            _ => Ok(()),
        }
    }

    /// `PATCH Type/id`.
    pub(super) async fn patch(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        for _ in 0..LOOKS_MAX {
            let interaction = self.patch_interaction(request, key).await?;
            match self.apply_one(request, interaction).await {
                Err(problem) if is_race(request, &problem) => {}
                outcome => return Ok(self.changed(request, &outcome?, "patched").await),
            }
        }
        Err(Refusal::Contention.into())
    }

    /// What a patch asks of the datastore.
    pub(super) async fn patch_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        let scope = request.setting.principal.require(&key.resource_type, Permission::Update)?;
        may_patch(request, &key.resource_type)?;
        let patch = patch_of(request)?;
        leaves_signature(&key.resource_type, &patch)?;
        refuse_in_patch(request, &patch)?;
        let asked = request.conditions.precondition()?;
        let key = key.clone();
        let parts = matches!(request.setting.principal.seen(&key.resource_type), Allowed::Where(_));
        let bounded = scope.is_some() || parts || may_not_run_all(request, &key.resource_type);
        let found = match self.look(request, &key, scope.clone(), bounded).await? {
            Look::NotNeeded => {
                may_ask_unlooked(request, &key.resource_type, &patch)?;
                return Ok(Interaction::Patch { key, patch, precondition: asked });
            }
            Look::Never | Look::Deleted | Look::Hidden => return Err(missing(&key)),
            Look::At(found) => found,
        };
        let sight = self.may_ask(request, &found, scope.as_ref(), &patch).await?;
        let precondition = Precondition::Version(found.version);
        if !bounded {
            return Ok(Interaction::Patch { key, patch, precondition });
        }
        // What the patch makes must still be the client's to write.
        let resource = resource_of(&found)?;
        let rules = self.parameters.rules();
        let resource = rules
            .patch(&resource, &patch, request.setting.now)
            .map_err(|refusal| patch_refusal(&key.resource_type, sight, refusal))?;
        self.fits(scope.as_ref(), &resource).await?;
        may_run(request, &resource)?;
        Ok(Interaction::Update { resource, precondition, keeps: None, full_url: None })
    }

    /// `PATCH Type?…`.
    pub(super) async fn conditional_patch(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        changeable(resource_type)?;
        let scope = request.setting.principal.require(resource_type, Permission::Update)?;
        let parts = matches!(request.setting.principal.seen(resource_type), Allowed::Where(_));
        if scope.is_some() || parts || may_not_run_all(request, resource_type) {
            let scope = condition_scope(request, resource_type, scope)?;
            // What it makes of which resource is to be looked at: first the one is found, then it is patched by its
            // id, bound to the version that was looked at.
            let search = self.criteria(request, resource_type, &request.query, ADDRESS, scope)?;
            let asked = SearchRequest { search, visible: Vec::new(), limit: 2, after: None };
            let page = self.datastore.search(&asked).await?;
            return match page.matches.as_slice() {
                [] if request.only_if_found => Ok(Answer::empty(StatusCode::OK)),
                [] => Err(Refusal::NoneMatches.into()),
                [one] => self.patch(request, &one.version.key).await,
                _ => Err(refusal(request, Refusal::SeveralMatch)),
            };
        }
        let interaction = self.conditional_patch_interaction(request, resource_type)?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(self.changed(request, &outcome, "patched").await)
    }

    /// What a conditional patch asks of the datastore.
    pub(super) fn conditional_patch_interaction(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        let scope = request.setting.principal.require(resource_type, Permission::Update)?;
        may_patch(request, resource_type)?;
        if scope.is_some() {
            // What it makes of which resource is known only to the datastore, which knows no scopes.
            return Err(forbidden(
                "a client whose scope to update has a filter can't patch by a condition in a transaction; patch by id",
            ));
        }
        if may_not_run_all(request, resource_type) {
            return Err(forbidden(
                "a client that may not run bots can't patch a Subscription by a condition in a transaction; patch by id",
            ));
        }
        let scope = condition_scope(request, resource_type, None)?;
        let search = self.criteria(request, resource_type, &request.query, ADDRESS, scope)?;
        let patch = patch_of(request)?;
        may_ask_unlooked(request, resource_type, &patch)?;
        leaves_signature(resource_type, &patch)?;
        refuse_in_patch(request, &patch)?;
        let precondition = request.conditions.precondition()?;
        let if_found = request.only_if_found;
        Ok(Interaction::ConditionalPatch { search, patch, precondition, if_found })
    }

    /// `DELETE Type/id`.
    pub(super) async fn delete(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        for _ in 0..LOOKS_MAX {
            let interaction = self.delete_interaction(request, key).await?;
            match self.apply_one(request, interaction).await {
                Err(problem) if is_race(request, &problem) => {}
                outcome => return Ok(self.changed(request, &outcome?, "deleted").await),
            }
        }
        Err(Refusal::Contention.into())
    }

    /// What a delete asks of the datastore.
    pub(super) async fn delete_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        let scope = request.setting.principal.require(&key.resource_type, Permission::Delete)?;
        let bounded = scope.is_some();
        let precondition = match self.look(request, key, scope, bounded).await? {
            Look::NotNeeded | Look::Deleted => request.conditions.precondition()?,
            // To say that it is deleted would be wrong of another's, which is as none.
            Look::Never | Look::Hidden => return Err(missing(key)),
            Look::At(found) => Precondition::Version(found.version),
        };
        Ok(Interaction::Delete { key: key.clone(), precondition })
    }

    /// `DELETE Type?…`.
    pub(super) async fn conditional_delete(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.conditional_delete_interaction(request, resource_type)?;
        let any = request.conditions.if_match == Some(Tag::Any);
        match self.apply_one(request, interaction).await {
            Ok(Outcome::Deleted(none)) if any && none.is_empty() => {
                Err(Problem::from(Refusal::NothingToMatch).at_location("If-Match"))
            }
            Ok(outcome) => Ok(self.changed(request, &outcome, "deleted").await),
            // FHIR R4 §3.1.0.7.1: none is deleted as one that never was.
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                Ok(deleted(&[], request.prefer.give_back))
            }
            Err(problem) => Err(problem),
        }
    }

    /// What a conditional delete asks of the datastore.
    pub(super) fn conditional_delete_interaction(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        let scope = request.setting.principal.require(resource_type, Permission::Delete)?;
        let scope = condition_scope(request, resource_type, scope)?;
        let search = self.criteria(request, resource_type, &request.query, ADDRESS, scope)?;
        let precondition = request.conditions.precondition()?;
        Ok(Interaction::ConditionalDelete { search, several: false, precondition })
    }

    /// Applies one interaction.
    pub(super) async fn apply_one(
        &self,
        request: &Request,
        interaction: Interaction,
    ) -> Result<Outcome, Problem> {
        let group = Group { interactions: vec![interaction], now: request.setting.now };
        match self.datastore.apply(group).await? {
            Applied::Refused(refused) => Err(refusal(request, refused.refusal)),
            Applied::Done(mut outcomes) => {
                self.parameters.notice(&outcomes);
                outcomes.pop().ok_or_else(unanswered)
            }
        }
    }

    /// Whether the client may read a version.
    async fn may_read(&self, request: &Request, version: &StoredVersion) -> Result<bool, Problem> {
        match request.setting.principal.allowed(&version.key.resource_type, Permission::Read) {
            Allowed::Nothing => Ok(false),
            Allowed::All => Ok(true),
            Allowed::Where(filter) => self.version_fits(&filter, version).await,
        }
    }

    /// Looks at what stands there, where that decides: for `If-Match: *`, which asks for any version, and for a
    /// client that is `bounded`: it sees only a part of the type, or may not write all that a patch could make. The change is then bound to the version that was looked at.
    async fn look(
        &self,
        request: &Request,
        key: &ResourceKey,
        scope: Option<Filter>,
        bounded: bool,
    ) -> Result<Look, Problem> {
        let any = request.conditions.if_match == Some(Tag::Any);
        let asked = request.conditions.precondition()?;
        if !any && !bounded {
            return Ok(Look::NotNeeded);
        }
        let found = self.datastore.read(key).await?;
        let hidden = match (&scope, &found) {
            (Some(scope), Some(found)) => !self.version_fits(scope, found).await?,
            _ => false,
        };
        if hidden
            && let Some(found) = &found
            && self.may_read(request, found).await?
        {
            return Err(outside(&key.resource_type));
        }
        let never = found.is_none();
        let Some(found) = found.filter(|found| found.body.is_some() && !hidden) else {
            return match (any, asked) {
                (true, _) => Err(Problem::new(
                    StatusCode::PRECONDITION_FAILED,
                    IssueCode::Conflict,
                    "If-Match: * asks for a resource that exists; there is none",
                )
                .at_location("If-Match")),
                (false, Precondition::Version(expected)) if never || hidden => {
                    Err(Refusal::VersionConflict { key: key.clone(), expected, current: 0 }.into())
                }
                (false, _) if hidden => Ok(Look::Hidden),
                (false, Precondition::None) if never => Ok(Look::Never),
                (false, Precondition::None) => Ok(Look::Deleted),
                (false, _) => Ok(Look::NotNeeded),
            };
        };
        match asked {
            // Refused here: until the datastore looks, it may be the version that stands there, unseen by us.
            Precondition::Version(expected) if expected != found.version => {
                let key = key.clone();
                Err(Refusal::VersionConflict { key, expected, current: found.version }.into())
            }
            Precondition::Absent => Ok(Look::NotNeeded),
            Precondition::Version(_) | Precondition::None => Ok(Look::At(found)),
        }
    }
}

/// What a look at a resource before its change found.
enum Look {
    /// Nobody looked, or what was asked for decides by itself.
    NotNeeded,
    /// This version stands there.
    At(StoredVersion),
    /// Nothing ever stood there.
    Never,
    /// What stood there was deleted.
    Deleted,
    /// What stands there, or stood there last, is not the client's to see.
    Hidden,
}

/// Whether a refusal only says that another was faster after a look.
fn is_race(request: &Request, problem: &Problem) -> bool {
    let asked = &request.conditions;
    let bound = matches!(asked.if_match, None | Some(Tag::Any)) && asked.if_none_match.is_empty();
    bound && problem.is_version_conflict()
}

/// The resource of a version.
pub(super) fn resource_of(version: &StoredVersion) -> Result<Value, Problem> {
    let body = version.body.as_deref().unwrap_or_default();
    parse(body.as_bytes()).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            IssueCode::Exception,
            "a stored resource can't be read",
        )
    })
}

/// A JSON Patch, a FHIRPath Patch (FHIR R4 §3.1.0.6.2) or a JSON Merge Patch. The last is none of R4's: clients such as
/// fhirpy send it, as plain JSON.
fn patch_of(request: &Request) -> Result<Value, Problem> {
    let not_taken = |problem: Problem| {
        problem.with_header(HeaderName::from_static("accept-patch"), PATCHES_TAKEN)
    };
    let kinds = [ContentKind::JsonPatch, ContentKind::MergePatch, ContentKind::Resource];
    let patch =
        request.content.json(&kinds, JSON_PATCH).map_err(|problem| match problem.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => not_taken(problem),
            _ => problem,
        })?;
    // In a Bundle a patch comes as a Binary (FHIR R4 §3.1.0.7, "Patch in transactions").
    let patch = super::binary::json_of(&patch).unwrap_or(patch);
    let is_fhirpath = patch.resource_type() == Some("Parameters");
    let wrong = match request.content.kind() {
        Some(ContentKind::JsonPatch) if patch.as_array().is_none() => {
            Some("a JSON Patch is an array of operations (RFC 6902 §3)")
        }
        Some(ContentKind::MergePatch) if patch.as_object().is_none() => {
            Some("a JSON Merge Patch of a resource is an object (RFC 7396 §2)")
        }
        Some(ContentKind::MergePatch) if is_fhirpath => {
            Some("send a FHIRPath Patch with Content-Type: application/fhir+json")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Problem::bad_request(IssueCode::Structure, wrong));
    }
    let read = if is_fhirpath {
        FhirPathPatch::read(&patch).map(drop)
    } else {
        Patch::read(&patch).map(drop)
    };
    match read {
        Ok(()) => Ok(patch),
        Err(error) => Err(Problem::bad_request(IssueCode::Structure, error.to_string())),
    }
}

/// What stays as it stands. What the datastore makes of it must be all the client's to write; and the client must see what
/// stands, for whether the two fit together, or lead to the same, tells of it.
fn keeps(request: &Request, resource_type: &str, bounded: bool) -> Result<Option<Keeps>, Problem> {
    let Some(keeps) = &request.keeps else { return Ok(None) };
    if bounded && !keeps.takes_nothing() {
        return Err(forbidden(
            "a client whose scope to update has a filter can't keep elements of what stands; send the whole resource",
        ));
    }
    if !matches!(request.setting.principal.seen(resource_type), Allowed::All) {
        return Err(forbidden(format!(
            "only a client that may read what stands can keep elements of it, or have it compared, by a scope such as `system/{resource_type}.ru`; send the whole resource, without the mark"
        )));
    }
    // Of these the server looks at what is sent before it takes it.
    if matches!(resource_type, "Subscription" | "SearchParameter" | "Bot") {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            IssueCode::NotSupported,
            format!("elements of a {resource_type} can't be kept; send the whole resource"),
        ));
    }
    for path in keeps.elements().chain(keeps.told()) {
        match path.strip_suffix('*').map(|above| above.trim_end_matches('.')) {
            None => may_be_kept(resource_type, path)?,
            Some("") => {}
            Some(above) => may_be_kept(resource_type, above)?,
        }
    }
    for items in keeps.items() {
        may_keep_items(resource_type, items)?;
    }
    for path in keeps.same() {
        may_be_same(resource_type, path)?;
    }
    // Whether two Patients were merged is told by the answer.
    if keeps.same().next().is_some()
        && !matches!(request.setting.principal.seen("Patient"), Allowed::All)
    {
        return Err(forbidden(
            "only a client that may read Patients can have it found out whether two were merged, by a scope such as `system/Patient.r`; send the resource without the mark",
        ));
    }
    Ok(Some(keeps.clone()))
}

/// Refuses an element that there is not, or that stands in a list: nothing would be kept of it.
fn may_be_kept(within: &str, path: &str) -> Result<(), Problem> {
    match Walked::along(within, path) {
        None => Err(not_kept(within, path, NO_SUCH_ELEMENT)),
        Some(walked) if walked.through_list => {
            let why = "it stands in a list, which can be kept as a whole or by its `items`";
            Err(not_kept(within, path, why))
        }
        Some(_) => Ok(()),
    }
}

/// Refuses what is no reference, or is one of several: nothing would be compared.
fn may_be_same(resource_type: &str, path: &str) -> Result<(), Problem> {
    may_be_kept(resource_type, path)?;
    let walked = Walked::along(resource_type, path);
    if walked.is_some_and(|walked| !walked.is_list && walked.value_type == "Reference") {
        return Ok(());
    }
    Err(not_kept(resource_type, path, "it is no single reference, which could lead to the `same`"))
}

/// Refuses what is no list, and what its items don't have.
fn may_keep_items(resource_type: &str, items: &Items) -> Result<(), Problem> {
    may_be_kept(resource_type, &items.element)?;
    let list = Walked::along(resource_type, &items.element).filter(|walked| walked.is_list);
    let Some(list) = list else {
        return Err(not_kept(resource_type, &items.element, "it is no list of `items`"));
    };
    let which = match &items.others {
        Others::Which(at) => Some(at),
        Others::None | Others::All => None,
    };
    for path in items.by.iter().chain(which).flat_map(|at| at.path.split(['+', '|'])) {
        if Walked::along(list.value_type, path).is_none() {
            return Err(not_kept(list.value_type, path, NO_SUCH_ELEMENT));
        }
    }
    items.keeps.iter().try_for_each(|path| may_be_kept(list.value_type, path))
}

const NO_SUCH_ELEMENT: &str = "there is no such element";

fn not_kept(within: &str, path: &str, why: &str) -> Problem {
    Problem::bad_request(IssueCode::Value, format!("`{path}` of a {within} can't be kept: {why}"))
}

/// What a path of members leads to.
struct Walked {
    value_type: &'static str,
    is_list: bool,
    /// Whether a list stands before the end.
    through_list: bool,
}

impl Walked {
    fn along(within: &str, path: &str) -> Option<Self> {
        let mut walked: Option<Self> = None;
        for name in path.split('.') {
            let within = walked.as_ref().map_or(within, |own| own.value_type);
            let (element, value_type) = TypeDefinition::named(within)?.element(name)?;
            let through_list = walked.is_some_and(|own| own.is_list || own.through_list);
            walked = Some(Self { value_type, is_list: element.is_list(), through_list });
        }
        walked
    }
}

/// A Subscription sends what it is about to an address of the client's choice: only a client that may read all of
/// a type may have one about it. Which client it was stands in it, so that it ends with the client.
fn may_subscribe(request: &Request, resource: &mut Value) -> Result<(), Problem> {
    if resource.resource_type() != Some("Subscription") {
        return Ok(());
    }
    sign(resource, request.setting.principal.revocable());
    may_run(request, resource)?;
    let Some(about) = criteria_type(resource) else { return Ok(()) };
    match request.setting.principal.require(about, Permission::Read)? {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            IssueCode::Forbidden,
            "this client may read some of these resources only; a Subscription would tell it of all",
        )
        .at_location("Subscription.criteria")),
    }
}

/// Whoever writes a Subscription that runs a bot runs it.
fn may_run(request: &Request, resource: &Value) -> Result<(), Problem> {
    if resource.resource_type() != Some("Subscription") || !runs_bot(resource) {
        return Ok(());
    }
    match request.setting.principal.require("Bot", Permission::Execute)? {
        None => Ok(()),
        Some(_) => Err(forbidden(
            "this client may run some bots only; a Subscription that runs one is for clients that may run all",
        )
        .at_location("Subscription.channel.endpoint")),
    }
}

/// Whether it must be seen what a patch makes: of a Subscription it could make one that runs a bot.
fn may_not_run_all(request: &Request, resource_type: &str) -> bool {
    let all = || matches!(request.setting.principal.require("Bot", Permission::Execute), Ok(None));
    resource_type == "Subscription" && !all()
}

/// What a patch makes of a Subscription is not known beforehand.
fn may_patch(request: &Request, resource_type: &str) -> Result<(), Problem> {
    if resource_type != "Subscription" || request.setting.principal.reads_all() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        IssueCode::Forbidden,
        "only a client that may read everything may patch a Subscription; update it instead",
    ))
}

/// Which client wrote a Subscription stands among its extensions, so a patch leaves these as they are.
fn leaves_signature(resource_type: &str, patch: &Value) -> Result<(), Problem> {
    if resource_type != "Subscription" {
        return Ok(());
    }
    let is_touched = |pointer: Option<&str>| {
        pointer.is_some_and(|pointer| pointer.is_empty() || pointer.starts_with("/extension"))
    };
    let touches = match patch.as_array() {
        Some(operations) => operations.iter().any(|operation| {
            is_touched(operation.text("path")) || is_touched(operation.text("from"))
        }),
        None => patch.get("extension").is_some(),
    };
    if !touches {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        IssueCode::NotSupported,
        "the extensions of a Subscription can't be patched; update it instead",
    )
    .at_location("Subscription.extension"))
}

pub(super) fn changeable(resource_type: &str) -> Result<(), Problem> {
    if NOT_CHANGED.contains(&resource_type) {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            IssueCode::NotSupported,
            format!(
                "an {resource_type} is the server's own: it can't be created, changed or deleted"
            ),
        )
        .with_header(http::header::ALLOW, "GET, HEAD"));
    }
    Ok(())
}

pub(super) fn unanswered() -> Problem {
    tracing::error!("the datastore gave no outcome for an interaction");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        IssueCode::Exception,
        "the datastore gave no answer; what was asked may have happened",
    )
}
