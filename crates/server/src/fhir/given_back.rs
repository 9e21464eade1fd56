//! What a change gives back, and to whom.
//!
//! A change must not show what a read would not. What a client sent is its own, and comes back; all else that stands
//! there (what a patch made of a resource, what `If-None-Exist` found) goes to clients that may read or search it, and
//! the others get `return=minimal`, which FHIR R4 §3.1.0.1.7 allows always. A patch of what a client may not see does not
//! ask about it either, and what is wrong with it is not told: each refusal would say what stands there.

use http::StatusCode;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};
use pipehat_resource::search::Filter;
use pipehat_store::datastore::{Outcome, Refusal, StoredVersion};

use super::access::{Allowed, Permission, forbidden};
use super::address::Call;
use super::answer::{Answer, AnswerContent};
use super::negotiation::ContentKind;
use super::prefer::GiveBack;
use super::problem::Problem;
use super::request::{Content, Request};
use super::service::FhirService;
use super::write::resource_of;

impl FhirService {
    /// The answer to a change that happened. Where an outcome is wanted, it also says what is doubtful about a
    /// SearchParameter: one that finds nothing is taken all the same.
    pub(super) async fn changed(&self, request: &Request, outcome: &Outcome, what: &str) -> Answer {
        let (Outcome::Created(version) | Outcome::Updated(version) | Outcome::Unchanged(version)) =
            outcome
        else {
            return changed(outcome, request.prefer.give_back, what);
        };
        // It has happened: that what is seen can't be found out now is no failure of the change.
        let shown = is_own(request, outcome) || self.sees(request, version).await.unwrap_or(false);
        let give_back = match request.prefer.give_back {
            GiveBack::Representation if !shown => GiveBack::Minimal,
            asked => asked,
        };
        let answer = changed(outcome, give_back, what);
        if give_back == GiveBack::Representation
            && request.prefer.binary_url
            && version.key.resource_type == "Binary"
            && let Ok(mut binary) = resource_of(version)
            && let Some(object) = binary.as_object_mut()
        {
            let url = format!("{}/Binary/{}", request.setting.base, version.key.id);
            object.set("url", url.into());
            return Answer { content: AnswerContent::Made(binary.to_json()), ..answer };
        }
        let wanted = shown
            && give_back == GiveBack::Outcome
            && version.key.resource_type == "SearchParameter";
        if !wanted {
            return answer;
        }
        match resource_of(version) {
            Ok(resource) => {
                let mut issues = vec![Issue::information(what)];
                issues.extend(self.parameters.findings(&resource));
                let content = AnswerContent::Made(operation_outcome(&issues).to_json());
                Answer { content, ..answer }
            }
            _ => answer,
        }
    }

    /// Whether the client may see a version, by a read or by a search.
    async fn sees(&self, request: &Request, version: &StoredVersion) -> Result<bool, Problem> {
        match request.setting.principal.seen(&version.key.resource_type) {
            Allowed::Nothing => Ok(false),
            Allowed::All => Ok(true),
            Allowed::Where(filter) => self.version_fits(&filter, version).await,
        }
    }

    /// Refuses a patch of a version that asks what the client does not see; whether it sees it. `own` is the filter
    /// that the version meets already.
    pub(super) async fn may_ask(
        &self,
        request: &Request,
        version: &StoredVersion,
        own: Option<&Filter>,
        patch: &Value,
    ) -> Result<Sight, Problem> {
        let seen = match (request.setting.principal.seen(&version.key.resource_type), own) {
            (Allowed::All, _) => true,
            (Allowed::Where(filter), Some(own)) if filter == *own => true,
            _ => self.sees(request, version).await?,
        };
        if seen {
            return Ok(Sight::Seen);
        }
        asks_nothing(&version.key.resource_type, patch)?;
        Ok(Sight::Unseen)
    }
}

/// Whether a client sees what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Seen,
    Unseen,
}

/// Refuses a patch by a client that may not see all of a type, of a resource that nobody looks at before.
pub(super) fn may_ask_unlooked(
    request: &Request,
    resource_type: &str,
    patch: &Value,
) -> Result<(), Problem> {
    match request.setting.principal.seen(resource_type) {
        Allowed::All => Ok(()),
        Allowed::Nothing | Allowed::Where(_) => asks_nothing(resource_type, patch),
    }
}

/// A refusal by the datastore, in words that the client may hear.
pub(super) fn refusal(request: &Request, refusal: Refusal) -> Problem {
    if refusal == Refusal::SeveralMatch
        && let Some(condition) = condition(request)
    {
        let text = format!("the condition `{condition}` matches more than one resource");
        return Problem::new(StatusCode::PRECONDITION_FAILED, IssueCode::MultipleMatches, text);
    }
    let resource_type = match &request.call {
        Call::Patch(key) => &key.resource_type,
        Call::ConditionalPatch(name) => name,
        _ => return refusal.into(),
    };
    let sight = match request.setting.principal.seen(resource_type) {
        Allowed::All => Sight::Seen,
        Allowed::Nothing | Allowed::Where(_) => Sight::Unseen,
    };
    patch_refusal(resource_type, sight, refusal)
}

/// What a conditional interaction asks by: the type and the names of the parameters, without their values.
fn condition(request: &Request) -> Option<String> {
    let (name, query) = match &request.call {
        Call::Create(name) => (name, request.conditions.if_none_exist.as_ref()?),
        Call::ConditionalUpdate(name)
        | Call::ConditionalPatch(name)
        | Call::ConditionalDelete(name) => (name, &request.query),
        _ => return None,
    };
    let names: Vec<&str> = query.pairs().iter().map(|(name, _)| name.as_str()).collect();
    Some(format!("{name}?{}", names.join("&")))
}

/// Why a patch can't be applied, or what it makes is not valid: told to who sees what it was applied to.
pub(super) fn patch_refusal(resource_type: &str, sight: Sight, refusal: Refusal) -> Problem {
    match (sight, &refusal) {
        (Sight::Unseen, Refusal::Patch(_) | Refusal::Invalid(_)) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            IssueCode::Processing,
            format!(
                "the patch can't be applied, or what it makes is not valid; why is told to a client that may read it, by a scope such as `system/{resource_type}.r`"
            ),
        ),
        _ => refusal.into(),
    }
}

/// Whether all that is stored came from the client.
fn is_own(request: &Request, outcome: &Outcome) -> bool {
    match request.call {
        // What `If-None-Exist` found is another's.
        Call::Create(_) => matches!(outcome, Outcome::Created(_)),
        // Of what stands something was taken over.
        _ if request.keeps.is_some() && !matches!(outcome, Outcome::Created(_)) => false,
        // Bytes come without what the Binary said of who may see it, which stays.
        Call::Update(_) | Call::ConditionalUpdate(_) => {
            matches!(&request.content, Content::Bytes(ContentKind::Resource, _) | Content::Value(_))
        }
        _ => false,
    }
}

/// Refuses a patch that does something else than write: whether it can be applied would answer it.
fn asks_nothing(resource_type: &str, patch: &Value) -> Result<(), Problem> {
    if only_writes(patch) {
        return Ok(());
    }
    Err(forbidden(format!(
        "this client may not read what it patches: a JSON Patch of it has add, replace and remove only, and a FHIRPath Patch plain paths and no move; `test` and all else need a scope such as `system/{resource_type}.r`"
    )))
}

fn only_writes(patch: &Value) -> bool {
    if let Some(operations) = patch.as_array() {
        return operations
            .iter()
            .all(|operation| matches!(operation.text("op"), Some("add" | "replace" | "remove")));
    }
    if patch.resource_type() != Some("Parameters") {
        // A JSON Merge Patch.
        return true;
    }
    patch.items("parameter").iter().flat_map(|operation| operation.items("part")).all(|part| {
        match part.text("name") {
            Some("type") => part.text("valueCode") != Some("move"),
            Some("path") => part.text("valueString").is_some_and(is_plain_path),
            _ => true,
        }
    })
}

/// Names and positions, without functions and operators.
fn is_plain_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'[' | b']'))
}

/// The answer to a change that happened.
fn changed(outcome: &Outcome, give_back: GiveBack, what: &str) -> Answer {
    match outcome {
        Outcome::Created(version) => {
            Answer::changed(StatusCode::CREATED, version, give_back, "created")
        }
        Outcome::Updated(version) => Answer::changed(StatusCode::OK, version, give_back, what),
        Outcome::Unchanged(version) => {
            Answer::changed(StatusCode::OK, version, give_back, "it stood so already")
        }
        Outcome::Deleted(versions) => deleted(versions, give_back),
        Outcome::Read(Some(version)) => Answer::stored(StatusCode::OK, version),
        Outcome::Read(None) | Outcome::Found(_) => Answer::empty(StatusCode::OK),
    }
}

/// The answer to a deletion.
pub(super) fn deleted(versions: &[StoredVersion], give_back: GiveBack) -> Answer {
    let answer = match give_back {
        GiveBack::Outcome => {
            let said = match versions.len() {
                0 => "nothing stood there".to_owned(),
                1 => "deleted".to_owned(),
                several => format!("{several} resources deleted"),
            };
            Answer::empty(StatusCode::OK).with_outcome(&said)
        }
        GiveBack::Minimal | GiveBack::Representation => Answer::empty(StatusCode::NO_CONTENT),
    };
    match versions {
        [version] => answer.about(version),
        _ => answer,
    }
}

/// The scope of a change by a condition: whether it finds something tells of what stands there, so it finds what the
/// client may search and may change.
pub(super) fn condition_scope(
    request: &Request,
    resource_type: &str,
    own: Option<Filter>,
) -> Result<Option<Filter>, Problem> {
    let searched = request.setting.principal.require(resource_type, Permission::Search)?;
    Ok(match (own, searched) {
        (Some(own), Some(searched)) if own != searched => Some(Filter::All(vec![own, searched])),
        (own, searched) => own.or(searched),
    })
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::only_writes;

    #[test]
    fn what_asks_is_told_from_what_writes() {
        let check = |patch: &str, expected: bool| {
            let patch = parse(patch.as_bytes()).expect("JSON");
            assert_eq!(only_writes(&patch), expected, "{}", patch.to_json());
        };
        check("[]", true);
        check(r#"[{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}]"#, true);
        for op in ["test", "move", "copy"] {
            check(&format!(r#"[{{"op":"{op}","path":"/a","from":"/b"}}]"#), false);
        }
        check(r#"{"status":"final"}"#, true);
        let fhirpath = |kind: &str, path: &str| {
            format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{{"name":"path","valueString":"{path}"}}]}}]}}"#
            )
        };
        check(&fhirpath("replace", "Patient.name[0].family"), true);
        check(&fhirpath("replace", "Patient.name.where(family = 'x')"), false);
        check(&fhirpath("replace", "Patient.name | Patient.contact"), false);
        check(&fhirpath("move", "Patient.name"), false);
    }
}
