//! `$meta`, `$meta-add`, `$meta-delete` (FHIR R4 §3.2.0.5, "Resource: meta").

use pipehat_resource::json::{Object, Value};
use pipehat_resource::outcome::IssueCode;
use pipehat_store::datastore::{
    Interaction, Outcome, Precondition, Refusal, ResourceKey, StoredVersion,
};

use super::access::{Allowed, Permission, forbidden};
use super::address::version_number;
use super::answer::Answer;
use super::problem::Problem;
use super::read::missing;
use super::request::Request;
use super::resource::{parameter, parameters};
use super::service::FhirService;
use super::write::resource_of;

/// The lists of Meta that these operations change.
const LISTS: [&str; 3] = ["profile", "security", "tag"];

/// As many profiles, tags and security labels are told of a type or of everything.
const LABELS_MAX: usize = 1000;

/// How often a change is tried when others change the same resource.
const TRIES_MAX: usize = 10;

impl FhirService {
    /// `$meta`.
    pub(super) async fn meta(
        &self,
        request: &Request,
        key: &ResourceKey,
        version: Option<&str>,
    ) -> Result<Answer, Problem> {
        let version = match version {
            None => None,
            Some(text) => Some(version_number(text).ok_or_else(|| missing(key))?),
        };
        let found = self.visible(request, key, version).await?;
        Ok(Answer::made(&shown(&found)?))
    }

    /// `$meta` of a type or of everything: the profiles, tags and security labels in use.
    pub(super) async fn meta_in_use(
        &self,
        request: &Request,
        resource_type: Option<&str>,
    ) -> Result<Answer, Problem> {
        let principal = &request.setting.principal;
        let registry = self.parameters.registry();
        // A label may say of a resource what only those may know who see it: it is told of types seen whole.
        let types: Vec<String> = match resource_type {
            None if principal.reads_all() => Vec::new(),
            Some(name) => vec![name.to_owned()],
            None => registry.resource_types().map(str::to_owned).collect(),
        };
        let whole = |name: &String| principal.allowed(name, Permission::Read) == Allowed::All;
        let shown: Vec<String> = types.iter().filter(|name| whole(name)).cloned().collect();
        if shown.is_empty() && !types.is_empty() {
            return Err(forbidden(
                "$meta of a type, or of everything, needs a scope to read all of it, such as `system/Patient.r`",
            ));
        }
        let found = self.datastore.labelled(&shown, LABELS_MAX).await?;
        let mut meta = Object::new();
        for version in &found {
            let resource = resource_of(version)?;
            let Some(own) = resource.get("meta").and_then(Value::as_object) else { continue };
            collect(&mut meta, own);
        }
        Ok(Answer::made(&parameters([parameter("return", "valueMeta", meta.into())])))
    }

    /// `$meta-add` and `$meta-delete`.
    pub(super) async fn change_meta(
        &self,
        request: &Request,
        key: &ResourceKey,
        name: &str,
    ) -> Result<Answer, Problem> {
        super::write::changeable(&key.resource_type)?;
        let scope = request.setting.principal.require(&key.resource_type, Permission::Update)?;
        let given = super::operation::parameters_of(request)?;
        let given = given.items("parameter").iter().find(|one| one.text("name") == Some("meta"));
        let Some(given) = given.and_then(|one| one.get("valueMeta")).and_then(Value::as_object)
        else {
            return Err(Problem::bad_request(
                IssueCode::Required,
                "expected a parameter `meta` with a valueMeta",
            ));
        };
        for _ in 0..TRIES_MAX {
            let found = self.visible(request, key, None).await?;
            let mut resource = resource_of(&found)?;
            self.fits(scope.as_ref(), &resource).await?;
            if !change(&mut resource, given, name == "meta-add") {
                return Ok(Answer::made(&shown(&found)?));
            }
            self.check(&resource, None)?;
            self.fits(scope.as_ref(), &resource).await?;
            let interaction = Interaction::Update {
                resource,
                precondition: Precondition::Version(found.version),
                keeps: None,
                full_url: None,
            };
            match self.apply_one(request, interaction).await {
                Ok(Outcome::Updated(version) | Outcome::Unchanged(version)) => {
                    return Ok(Answer::made(&shown(&version)?));
                }
                Ok(_) => return Err(super::write::unanswered()),
                Err(problem) if problem.is_version_conflict() => {}
                Err(problem) => return Err(problem),
            }
        }
        Err(Refusal::Contention.into())
    }
}

fn shown(version: &StoredVersion) -> Result<Value, Problem> {
    let resource = resource_of(version)?;
    let meta = resource.get("meta").cloned().unwrap_or_else(|| Object::new().into());
    Ok(parameters([parameter("return", "valueMeta", meta)]))
}

/// Adds what is not there yet of another resource's lists.
fn collect(meta: &mut Object, own: &Object) {
    for name in LISTS {
        let mut all: Vec<Value> =
            meta.get(name).and_then(Value::as_array).map(<[_]>::to_vec).unwrap_or_default();
        let before = all.len();
        for one in own.get(name).and_then(Value::as_array).unwrap_or_default() {
            if all.len() < LABELS_MAX && !all.iter().any(|other| same(other, one)) {
                all.push(one.clone());
            }
        }
        if all.len() > before {
            meta.set(name, all.into());
        }
    }
}

/// Adds to or takes from the lists of a resource's meta; says whether that changed anything.
fn change(resource: &mut Value, given: &Object, add: bool) -> bool {
    let Some(object) = resource.as_object_mut() else { return false };
    if object.get("meta").is_none() {
        object.insert(2, "meta", Object::new().into());
    }
    let Some(meta) = object.get_mut("meta").and_then(Value::as_object_mut) else { return false };
    let mut changed = false;
    for name in LISTS {
        let wanted = given.get(name).and_then(Value::as_array).unwrap_or_default();
        if wanted.is_empty() {
            continue;
        }
        let mut own: Vec<Value> =
            meta.get(name).and_then(Value::as_array).map(<[_]>::to_vec).unwrap_or_default();
        let before = own.clone();
        if add {
            for one in wanted {
                if !own.iter().any(|other| same(other, one)) {
                    own.push(one.clone());
                }
            }
        } else {
            own.retain(|other| !wanted.iter().any(|one| same(other, one)));
        }
        if own == before {
            continue;
        }
        changed = true;
        if own.is_empty() {
            meta.remove(name);
        } else {
            meta.set(name, own.into());
        }
    }
    changed
}

/// Codings are the same by system and code, profiles by their address.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            ["system", "code"].iter().all(|name| left.get(name) == right.get(name))
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use pipehat_resource::json::parse;

    use super::*;

    #[test]
    fn lists_grow_and_shrink() {
        let check = |add, resource: &str, given: &str, expected: Option<&str>| {
            let mut resource = parse(resource.as_bytes()).expect("JSON");
            let given = parse(given.as_bytes()).expect("JSON");
            let changed = change(&mut resource, given.as_object().expect("an object"), add);
            let meta = resource.get("meta").map(Value::to_json);
            assert_eq!(changed.then(|| meta.unwrap_or_default()).as_deref(), expected);
        };
        let tagged =
            r#"{"resourceType":"Patient","id":"1","meta":{"tag":[{"system":"s","code":"a"}]}}"#;
        let added = r#"{"tag":[{"system":"s","code":"a"},{"code":"b"}],"profile":["p"]}"#;
        check(true, tagged, r#"{"tag":[{"code":"b"}],"profile":["p"]}"#, Some(added));
        check(true, tagged, r#"{"tag":[{"system":"s","code":"a","display":"A"}]}"#, None);
        check(false, tagged, r#"{"tag":[{"system":"s","code":"a"}]}"#, Some("{}"));
        check(false, tagged, r#"{"tag":[{"system":"t","code":"a"}]}"#, None);
        check(
            true,
            r#"{"resourceType":"Patient","id":"1"}"#,
            r#"{"security":[{"code":"R"}]}"#,
            Some(r#"{"security":[{"code":"R"}]}"#),
        );
    }
}
