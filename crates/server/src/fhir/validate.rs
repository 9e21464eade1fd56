//! What a resource must be to be stored, and `$validate` (FHIR R4 §3.2.0.4).

use http::StatusCode;
use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::{Issue, IssueCode, locate, operation_outcome};
use pipehat_resource::search::{
    Criterion, Filter, Parameter, Search, SortBy, SortKey, TokenCriterion, UriMatch,
};
use pipehat_resource::validate::{Checks, ProfileLibrary, Wanted, validate_profile};
use pipehat_store::datastore::{ResourceKey, SearchRequest};

use super::access::Permission;
use super::answer::Answer;
use super::negotiation::ContentKind;
use super::operation::value_of;
use super::problem::Problem;
use super::request::Request;
use super::resource::Incoming;
use super::service::FhirService;
use super::write::resource_of;

/// As many profiles that a resource claims are looked at.
const CLAIMED_MAX: usize = 20;

/// As many profiles, value sets and code systems are looked up for one resource.
const LOOKS_MAX: usize = 500;

impl FhirService {
    /// A resource that may be stored.
    pub(super) fn validated(&self, incoming: Incoming) -> Result<Value, Problem> {
        self.check(incoming.resource(), incoming.text())?;
        Ok(incoming.into_resource())
    }

    /// Refuses a resource that must not be stored.
    ///
    /// # Errors
    /// 400 where it is no resource of R4 by its structure, 422 where it is one that breaks a rule (FHIR R4
    /// §3.1.0.4.1).
    pub(super) fn check(&self, resource: &Value, text: Option<&str>) -> Result<(), Problem> {
        let issues = self.findings(resource, text);
        if !issues.iter().any(Issue::is_error) {
            return Ok(());
        }
        let basic = |issue: &Issue| {
            matches!(
                issue.code,
                IssueCode::Structure | IssueCode::Required | IssueCode::Value | IssueCode::Invalid
            )
        };
        let status = if issues.iter().filter(|issue| issue.is_error()).any(basic) {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        Err(Problem::of(status, &issues))
    }

    /// Everything there is to say about a resource.
    pub(super) fn findings(&self, resource: &Value, text: Option<&str>) -> Vec<Issue> {
        let mut issues = pipehat_resource::validate::validate(resource, Checks::All);
        let valid = !issues.iter().any(Issue::is_error);
        if valid && resource.resource_type() == Some("SearchParameter") {
            issues.extend(self.parameters.findings(resource));
        }
        if valid
            && resource.resource_type() == Some("Subscription")
            && let Some(subscriptions) = &self.subscriptions
        {
            issues.extend(subscriptions.findings(resource));
        }
        if let Some(text) = text {
            locate(&mut issues, text);
        }
        issues
    }

    /// `$validate`: always an OperationOutcome, with 200, unless the call itself is wrong or names a profile that
    /// can't be looked at (the operation's definition: "it SHALL return an error").
    pub(super) async fn validate(
        &self,
        request: &Request,
        resource_type: &str,
        key: Option<&ResourceKey>,
    ) -> Result<Answer, Problem> {
        request.setting.principal.require(resource_type, Permission::Read)?;
        let asked = Asked::read(request)?;
        let profile = asked.profile.as_deref().filter(|profile| !is_of_r4(profile, resource_type));
        let mut profiles = Profiles::default();
        if let Some(profile) = profile {
            self.gather(&mut profiles, vec![profile.to_owned()]).await?;
            if profiles.library.profile(profile).is_none() {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    IssueCode::NotSupported,
                    "no StructureDefinition here has this address, or it is none that constrains a type of R4",
                )
                .at_location("profile"));
            }
        }
        let issues = match (asked.mode, asked.resource) {
            (Mode::Delete, _) => {
                let Some(key) = key else {
                    return Err(Problem::bad_request(
                        IssueCode::Required,
                        "mode `delete` is about a resource: call it on Type/id",
                    )
                    .at_location("mode"));
                };
                self.visible(request, key, None).await?;
                Vec::new()
            }
            (mode, None) => {
                // Without a resource, the one that stands there is looked at.
                let Some(key) = key.filter(|_| mode == Mode::Any) else {
                    return Err(Problem::bad_request(
                        IssueCode::Required,
                        "there is no resource to validate",
                    ));
                };
                let found = self.visible(request, key, None).await?;
                let body = found.body.as_deref().unwrap_or_default();
                match pipehat_resource::json::parse(body.as_bytes()) {
                    Ok(resource) => {
                        let mut issues = self.findings(&resource, None);
                        let found = self.profiled(&resource, profiles).await?;
                        add_new(&mut issues, found);
                        issues
                    }
                    Err(error) => vec![Issue::error(IssueCode::Structure, error.to_string())],
                }
            }
            (mode, Some((resource, text))) => {
                let mut issues = self.findings(&resource, text);
                let mut found = self.profiled(&resource, profiles).await?;
                if let Some(text) = text {
                    locate(&mut found, text);
                }
                add_new(&mut issues, found);
                if resource.resource_type() != Some(resource_type) {
                    let text = format!("expected a resource of the type {resource_type}");
                    issues.push(Issue::error(IssueCode::Value, text).at("resourceType"));
                }
                let expected = key.map(|key| key.id.as_str());
                let id_at = || format!("{resource_type}.id");
                match (mode, resource.id(), expected) {
                    (Mode::Update, None, _) => issues.push(
                        Issue::error(IssueCode::Required, "an update needs an id").at(id_at()),
                    ),
                    (Mode::Update | Mode::Any, Some(id), Some(expected)) if id != expected => {
                        issues.push(
                            Issue::error(IssueCode::Value, "the id is not that of the address")
                                .at(id_at()),
                        );
                    }
                    _ => {}
                }
                issues
            }
        };
        Ok(Answer::made(&operation_outcome(&issues)))
    }
}

/// The profiles asked for, and what is known of them.
#[derive(Debug, Default)]
struct Profiles {
    asked: Vec<String>,
    library: ProfileLibrary,
}

impl FhirService {
    /// What the profiles asked for, and those that the resource claims, say of it.
    async fn profiled(
        &self,
        resource: &Value,
        mut profiles: Profiles,
    ) -> Result<Vec<Issue>, Problem> {
        let Some(resource_type) = resource.resource_type() else { return Ok(Vec::new()) };
        let claimed = resource.get("meta").map(|meta| meta.items("profile")).unwrap_or_default();
        let claimed = claimed.iter().filter_map(Value::as_str);
        let claimed = claimed.filter(|url| !is_of_r4(url, resource_type)).take(CLAIMED_MAX);
        self.gather(&mut profiles, claimed.map(str::to_owned).collect()).await?;
        let mut issues = Vec::new();
        for url in &profiles.asked {
            add_new(&mut issues, validate_profile(resource, url, &profiles.library));
        }
        Ok(issues)
    }

    /// Looks up profiles, and what they name in their turn.
    async fn gather(&self, profiles: &mut Profiles, urls: Vec<String>) -> Result<(), Problem> {
        for url in urls {
            if !profiles.asked.contains(&url) {
                profiles.asked.push(url);
            }
        }
        let mut looks = 0;
        loop {
            let wanted = profiles.library.wanted(&profiles.asked);
            if wanted.is_empty() {
                return Ok(());
            }
            for one in wanted {
                looks += 1;
                let found = match &one {
                    _ if looks > LOOKS_MAX => None,
                    Wanted::Profile(url) => self.canonical("StructureDefinition", url).await?,
                    Wanted::ValueSet(url) => self.canonical("ValueSet", url).await?,
                    Wanted::CodeSystem(url) => self.canonical("CodeSystem", url).await?,
                };
                profiles.library.add(one, found.as_ref());
            }
        }
    }

    /// The resource of a canonical address: of its version where one is named, else the one written last.
    async fn canonical(&self, resource_type: &str, url: &str) -> Result<Option<Value>, Problem> {
        let (url, version) = match url.split_once('|') {
            Some((url, version)) => (url, Some(version)),
            None => (url, None),
        };
        let registry = self.parameters.registry();
        let parameter = |code: &str| registry.find(resource_type, code).map(Parameter::id);
        let (Some(own), Some(of_version)) = (parameter("url"), parameter("version")) else {
            return Ok(None);
        };
        let uri = Criterion::Uri { match_by: UriMatch::Exact, uri: url.to_owned() };
        let mut filters = vec![Filter::Parameter { parameter: own, criteria: vec![uri] }];
        if let Some(version) = version {
            let code = Criterion::Token(TokenCriterion::Code(version.to_owned()));
            filters.push(Filter::Parameter { parameter: of_version, criteria: vec![code] });
        }
        let search = Search {
            resource_types: vec![resource_type.to_owned()],
            filters,
            sort: vec![SortKey { by: SortBy::LastUpdated, descending: true }],
            ..Search::default()
        };
        let request = SearchRequest { search, visible: Vec::new(), limit: 1, after: None };
        let page = self.datastore.search(&request).await?;
        page.matches.first().map(|found| resource_of(&found.version)).transpose()
    }
}

/// Adds what was not found yet: a profile repeats rules of R4 and of its base.
fn add_new(issues: &mut Vec<Issue>, found: Vec<Issue>) {
    let known = issues.len();
    for issue in found {
        let before = issues.iter().enumerate().any(|(at, own)| {
            let same = own.code == issue.code && own.expression == issue.expression;
            same && own.is_error() == issue.is_error() && (own.text == issue.text || at < known)
        });
        if !before {
            issues.push(issue);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Any,
    Create,
    Update,
    Delete,
}

struct Asked<'r> {
    mode: Mode,
    profile: Option<String>,
    resource: Option<(Value, Option<&'r str>)>,
}

impl<'r> Asked<'r> {
    fn read(request: &'r Request) -> Result<Self, Problem> {
        let mut mode = request.query.first("mode").map(str::to_owned);
        let mut profile = request.query.first("profile").map(str::to_owned);
        let mut resource = None;
        if !request.content.is_empty() {
            let body = request.content.resource()?;
            if body.resource_type() == Some("Parameters") {
                for parameter in body.items("parameter") {
                    match parameter.text("name") {
                        Some("resource") => {
                            resource = parameter.get("resource").cloned().map(|one| (one, None));
                        }
                        Some("mode") => {
                            mode = value_of(parameter).and_then(Value::as_str).map(str::to_owned);
                        }
                        Some("profile") => {
                            profile =
                                value_of(parameter).and_then(Value::as_str).map(str::to_owned);
                        }
                        _ => {}
                    }
                }
            } else {
                let text = match &request.content {
                    super::request::Content::Bytes(ContentKind::Resource, bytes) => {
                        std::str::from_utf8(bytes).ok()
                    }
                    _ => None,
                };
                resource = Some((body, text));
            }
        }
        let mode = match mode.as_deref() {
            None | Some("profile") => Mode::Any,
            Some("create") => Mode::Create,
            Some("update") => Mode::Update,
            Some("delete") => Mode::Delete,
            Some(_) => {
                return Err(Problem::bad_request(
                    IssueCode::CodeInvalid,
                    "mode is create, update, delete or profile",
                )
                .at_location("mode"));
            }
        };
        Ok(Self { mode, profile, resource })
    }
}

/// Whether a profile is the definition of the type itself, or of what it is made of.
fn is_of_r4(profile: &str, resource_type: &str) -> bool {
    let url = profile.strip_suffix("|4.0.1").unwrap_or(profile);
    let name = url.strip_prefix("http://hl7.org/fhir/StructureDefinition/");
    name.is_some_and(|name| {
        TypeDefinition::named(resource_type).is_some_and(|definition| definition.is_a(name))
    })
}
