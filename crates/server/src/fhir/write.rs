//! create, update, patch and delete, with and without conditions (FHIR R4 §3.1.0.4 to §3.1.0.8).

use http::{HeaderName, StatusCode};
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, IssueCode};
use pipehat_resource::patch::Patch;
use pipehat_store::datastore::{
    Applied, Group, Interaction, Outcome, Precondition, Refusal, ResourceKey,
};

use super::access::Permission;
use super::answer::Answer;
use super::conditions::Tag;
use super::negotiation::ContentKind;
use super::prefer::GiveBack;
use super::problem::Problem;
use super::request::Request;
use super::resource::{Incoming, new_id};
use super::service::FhirService;

/// How often a change that needs a look first is tried, when others change the same.
const LOOKS_MAX: usize = 5;

/// The media type of RFC 6902.
const JSON_PATCH: &str = "application/json-patch+json";

/// Types that only the server itself changes once they stand.
const NOT_CHANGED: [&str; 1] = ["AuditEvent"];

impl FhirService {
    /// `POST Type`.
    pub(super) async fn create(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.create_interaction(request, resource_type, None)?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(changed(request, &outcome, "created"))
    }

    /// What a create asks of the datastore.
    pub(super) fn create_interaction(
        &self,
        request: &Request,
        resource_type: &str,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        request.setting.principal.require(resource_type, Permission::Create)?;
        let mut incoming = self.incoming(request, resource_type)?;
        incoming.set_id(&new_id());
        let resource = self.validated(incoming)?;
        let if_none_exist = match &request.conditions.if_none_exist {
            Some(query) => Some(self.criteria(request, resource_type, query, "If-None-Exist")?),
            None => None,
        };
        Ok(Interaction::Create { resource, if_none_exist, full_url })
    }

    /// `PUT Type/id`.
    pub(super) async fn update(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        let mut interaction = self.update_interaction(request, key, None)?;
        for _ in 0..LOOKS_MAX {
            let looked = self.look(request, key).await?;
            if let (Interaction::Update { precondition, .. }, Some(looked)) =
                (&mut interaction, looked)
            {
                *precondition = looked;
            }
            match self.apply_one(request, interaction.clone()).await {
                Err(problem) if self.is_race(request, &problem) => {}
                outcome => return Ok(changed(request, &outcome?, "updated")),
            }
        }
        Err(Refusal::Contention.into())
    }

    /// What an update asks of the datastore.
    pub(super) fn update_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        request.setting.principal.require(&key.resource_type, Permission::Update)?;
        let mut incoming = self.incoming(request, &key.resource_type)?;
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
        let resource = self.validated(incoming)?;
        let precondition = request.conditions.precondition()?;
        Ok(Interaction::Update { resource, precondition, full_url })
    }

    /// `PUT Type?…`.
    pub(super) async fn conditional_update(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.conditional_update_interaction(request, resource_type, None)?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(changed(request, &outcome, "updated"))
    }

    /// What a conditional update asks of the datastore.
    pub(super) fn conditional_update_interaction(
        &self,
        request: &Request,
        resource_type: &str,
        full_url: Option<String>,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        request.setting.principal.require(resource_type, Permission::Update)?;
        let search = self.criteria(request, resource_type, &request.query, "the address")?;
        let incoming = self.incoming(request, resource_type)?;
        let resource = self.validated(incoming)?;
        let precondition = request.conditions.precondition()?;
        let new_id = new_id();
        Ok(Interaction::ConditionalUpdate { search, resource, new_id, precondition, full_url })
    }

    /// `PATCH Type/id`.
    pub(super) async fn patch(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        let mut interaction = self.patch_interaction(request, key)?;
        for _ in 0..LOOKS_MAX {
            let looked = self.look(request, key).await?;
            if let (Interaction::Patch { precondition, .. }, Some(looked)) =
                (&mut interaction, looked)
            {
                *precondition = looked;
            }
            match self.apply_one(request, interaction.clone()).await {
                Err(problem) if self.is_race(request, &problem) => {}
                outcome => return Ok(changed(request, &outcome?, "patched")),
            }
        }
        Err(Refusal::Contention.into())
    }

    /// What a patch asks of the datastore.
    pub(super) fn patch_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        request.setting.principal.require(&key.resource_type, Permission::Update)?;
        let patch = patch_of(request)?;
        let precondition = request.conditions.precondition()?;
        Ok(Interaction::Patch { key: key.clone(), patch, precondition })
    }

    /// `PATCH Type?…`.
    pub(super) async fn conditional_patch(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.conditional_patch_interaction(request, resource_type)?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(changed(request, &outcome, "patched"))
    }

    /// What a conditional patch asks of the datastore.
    pub(super) fn conditional_patch_interaction(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Interaction, Problem> {
        changeable(resource_type)?;
        request.setting.principal.require(resource_type, Permission::Update)?;
        let search = self.criteria(request, resource_type, &request.query, "the address")?;
        let patch = patch_of(request)?;
        let precondition = request.conditions.precondition()?;
        Ok(Interaction::ConditionalPatch { search, patch, precondition })
    }

    /// `DELETE Type/id`.
    pub(super) async fn delete(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Answer, Problem> {
        let interaction = self.delete_interaction(request, key)?;
        let outcome = self.apply_one(request, interaction).await?;
        Ok(changed(request, &outcome, "deleted"))
    }

    /// What a delete asks of the datastore.
    pub(super) fn delete_interaction(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Interaction, Problem> {
        changeable(&key.resource_type)?;
        request.setting.principal.require(&key.resource_type, Permission::Delete)?;
        let precondition = request.conditions.precondition()?;
        Ok(Interaction::Delete { key: key.clone(), precondition })
    }

    /// `DELETE Type?…`.
    pub(super) async fn conditional_delete(
        &self,
        request: &Request,
        resource_type: &str,
    ) -> Result<Answer, Problem> {
        let interaction = self.conditional_delete_interaction(request, resource_type)?;
        match self.apply_one(request, interaction).await {
            Ok(outcome) => Ok(changed(request, &outcome, "deleted")),
            // FHIR R4 §3.1.0.7.1: none is deleted as one that never was.
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                Ok(changed(request, &Outcome::Deleted(Vec::new()), "deleted"))
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
        request.setting.principal.require(resource_type, Permission::Delete)?;
        let search = self.criteria(request, resource_type, &request.query, "the address")?;
        Ok(Interaction::ConditionalDelete { search, several: false })
    }

    /// Applies one interaction.
    pub(super) async fn apply_one(
        &self,
        request: &Request,
        interaction: Interaction,
    ) -> Result<Outcome, Problem> {
        let group = Group { interactions: vec![interaction], now: request.setting.now };
        match self.datastore.apply(group).await? {
            Applied::Refused(refused) => Err(refused.refusal.into()),
            Applied::Done(mut outcomes) => {
                self.parameters.notice(&outcomes);
                outcomes.pop().ok_or_else(unanswered)
            }
        }
    }

    /// For `If-Match: *`, which asks for any version, the one that stands there now.
    async fn look(
        &self,
        request: &Request,
        key: &ResourceKey,
    ) -> Result<Option<Precondition>, Problem> {
        if request.conditions.if_match != Some(Tag::Any) {
            return Ok(None);
        }
        match self.datastore.read(key).await? {
            Some(found) if found.body.is_some() => Ok(Some(Precondition::Version(found.version))),
            _ => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                IssueCode::Conflict,
                "If-Match: * asks for a resource that exists; there is none",
            )
            .at_location("If-Match")),
        }
    }

    /// Whether a refusal only says that another was faster after [`Self::look`].
    fn is_race(&self, request: &Request, problem: &Problem) -> bool {
        request.conditions.if_match == Some(Tag::Any)
            && problem.status() == StatusCode::PRECONDITION_FAILED
    }

    fn incoming(&self, request: &Request, resource_type: &str) -> Result<Incoming, Problem> {
        Incoming::read(request, resource_type)
    }
}

/// The answer to a change that happened.
pub(super) fn changed(request: &Request, outcome: &Outcome, what: &str) -> Answer {
    let give_back = request.prefer.give_back;
    match outcome {
        Outcome::Created(version) => {
            Answer::changed(StatusCode::CREATED, version, give_back, "created")
        }
        Outcome::Updated(version) => Answer::changed(StatusCode::OK, version, give_back, what),
        Outcome::Unchanged(version) => {
            Answer::changed(StatusCode::OK, version, give_back, "it stood so already")
        }
        Outcome::Deleted(versions) => {
            let answer = match give_back {
                GiveBack::Outcome => {
                    let said = match versions.len() {
                        0 => "nothing stood there".to_owned(),
                        1 => "deleted".to_owned(),
                        several => format!("{several} resources deleted"),
                    };
                    Answer::empty(StatusCode::OK).with_outcome(&said)
                }
                GiveBack::Minimal | GiveBack::Representation => {
                    Answer::empty(StatusCode::NO_CONTENT)
                }
            };
            match versions.as_slice() {
                [version] => answer.about(version),
                _ => answer,
            }
        }
        Outcome::Read(Some(version)) => Answer::stored(StatusCode::OK, version),
        Outcome::Read(None) | Outcome::Found(_) => Answer::empty(StatusCode::OK),
    }
}

/// A JSON Patch.
fn patch_of(request: &Request) -> Result<Value, Problem> {
    let patch =
        request.content.json(&[ContentKind::JsonPatch], JSON_PATCH).map_err(
            |problem| match problem.status() {
                StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                    problem.with_header(HeaderName::from_static("accept-patch"), JSON_PATCH)
                }
                _ => problem,
            },
        )?;
    // In a Bundle a JSON Patch comes as a Binary (FHIR R4 §3.1.0.7, "Patch in transactions").
    let patch = super::binary::json_of(&patch).unwrap_or(patch);
    match Patch::read(&patch) {
        Ok(_) => Ok(patch),
        Err(error) => Err(Problem::bad_request(IssueCode::Structure, error.to_string())),
    }
}

pub(super) fn changeable(resource_type: &str) -> Result<(), Problem> {
    if NOT_CHANGED.contains(&resource_type) {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            IssueCode::NotSupported,
            format!("an {resource_type} can't be changed or deleted"),
        )
        .with_header(http::header::ALLOW, "GET, HEAD, POST"));
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
