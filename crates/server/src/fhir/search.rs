//! search: of a type, of all, in a compartment (FHIR R4 §3.1.1).

use http::StatusCode;
use pipehat_resource::definitions::Compartment;
use pipehat_resource::outcome::{Issue, IssueCode, operation_outcome};
use pipehat_resource::search::{
    Criterion, Filter, Handling as SearchHandling, ParsedSearch, ProblemKind, ReferenceCriterion,
    Search, SearchOptions, SearchProblem, Summary, TokenCriterion, Total,
};
use pipehat_store::datastore::{ResourceKey, SearchPage, SearchRequest};

use super::access::{Allowed, Permission, Principal, forbidden, lacks};
use super::address::SearchScope;
use super::answer::Answer;
use super::bundle::BundleWriter;
use super::paging::{PAGE_DEFAULT, PAGE_MAX, page_link};
use super::prefer::Handling;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::resource::new_id;
use super::service::FhirService;

/// The parameter that says where the page before ended.
pub(super) const AFTER: &str = "_after";

impl FhirService {
    /// A page of a search.
    pub(super) async fn search(
        &self,
        request: &Request,
        scope: &SearchScope,
    ) -> Result<Answer, Problem> {
        let asked = self.search_asked(request, scope)?;
        self.search_page(request, asked).await
    }

    /// What a search asks of the datastore.
    pub(super) fn search_asked(
        &self,
        request: &Request,
        scope: &SearchScope,
    ) -> Result<AskedPage, Problem> {
        let registry = self.parameters.registry();
        let mut options = SearchOptions {
            base_url: &request.setting.base,
            handling: match request.prefer.handling {
                Handling::Strict => SearchHandling::Strict,
                Handling::Lenient => SearchHandling::Lenient,
            },
            now: request.setting.now,
            ..SearchOptions::default()
        };
        let members;
        let (types, path): (Vec<&str>, String) = match scope {
            SearchScope::All => (Vec::new(), String::new()),
            SearchScope::Type(name) => (vec![name], name.clone()),
            SearchScope::Compartment(key, member) => {
                let Some(compartment) = Compartment::named(&key.resource_type) else {
                    return Err(Problem::new(
                        StatusCode::NOT_FOUND,
                        IssueCode::NotSupported,
                        format!("R4 has no compartment of a {}", key.resource_type),
                    ));
                };
                options.compartment = Some((&key.resource_type, &key.id));
                let path = format!("{}/{}", key.resource_type, key.id);
                match member {
                    Some(member) => {
                        if compartment.parameters(member).is_empty() && *member != key.resource_type
                        {
                            return Err(Problem::new(
                                StatusCode::NOT_FOUND,
                                IssueCode::NotSupported,
                                format!(
                                    "no {member} is in the compartment of a {}",
                                    key.resource_type
                                ),
                            ));
                        }
                        (vec![member], format!("{path}/{member}"))
                    }
                    None => {
                        members = compartment_types(compartment);
                        (members.clone(), format!("{path}/*"))
                    }
                }
            }
        };
        let mut query = request.query.clone();
        query.retain(|name, _| name != AFTER);
        let mut parsed = Search::parse(&types, query.pairs(), &registry, &options)
            .map_err(|problems| refused_criteria(&problems))?;
        pass_over_events(&mut parsed.search, &query);
        confine(&request.setting.principal, &mut parsed.search.filters)?;
        let visible = self.visible_types(request, &parsed.search.resource_types)?;
        Ok(AskedPage::new(request, path, parsed, visible))
    }

    /// The scopes' filters by type, empty where everything may be seen.
    pub(super) fn visible_types(
        &self,
        request: &Request,
        searched: &[String],
    ) -> Result<Vec<(String, Option<Filter>)>, Problem> {
        let principal = &request.setting.principal;
        if principal.sees_all() {
            return Ok(Vec::new());
        }
        for name in searched {
            principal.require(name, Permission::Search)?;
        }
        let registry = self.parameters.registry();
        let visible: Vec<_> = registry
            .resource_types()
            .filter_map(|name| match principal.allowed(name, Permission::Search) {
                Allowed::Nothing => None,
                Allowed::All => Some((name.to_owned(), None)),
                Allowed::Where(filter) => Some((name.to_owned(), Some(filter))),
            })
            .collect();
        if visible.is_empty() {
            let text =
                "this client has no scope to search: it needs one such as `system/Patient.s`";
            return Err(forbidden(text));
        }
        Ok(visible)
    }

    /// Asks for the page and writes its Bundle.
    pub(super) async fn search_page(
        &self,
        request: &Request,
        asked: AskedPage,
    ) -> Result<Answer, Problem> {
        let page = match (asked.only_total, asked.request.visible.is_empty()) {
            (true, true) => {
                let total = self.datastore.count(&asked.request.search).await?;
                SearchPage { total: Some(total), ..SearchPage::default() }
            }
            _ => self.datastore.search(&asked.request).await?,
        };
        Ok(Answer::text(asked.bundle(request, &page)))
    }

    /// The criteria of a conditional interaction: every parameter must be known, and there must be one.
    pub(super) fn criteria(
        &self,
        request: &Request,
        resource_type: &str,
        query: &Query,
        place: &str,
        scope: Option<Filter>,
    ) -> Result<Search, Problem> {
        let options = SearchOptions {
            base_url: &request.setting.base,
            handling: SearchHandling::Strict,
            now: request.setting.now,
            only_criteria: true,
            ..SearchOptions::default()
        };
        let registry = self.parameters.registry();
        let parsed = Search::parse(&[resource_type], query.pairs(), &registry, &options)
            .map_err(|problems| refused_criteria(&problems))?;
        if parsed.search.filters.is_empty() {
            return Err(Problem::bad_request(
                IssueCode::Required,
                format!("{place} has no search parameter; without one everything would match"),
            ));
        }
        if parsed.search.filters.iter().any(names_nobody) {
            return Err(Problem::bad_request(
                IssueCode::Required,
                format!(
                    "{place} has a system and no code behind its `|`: it names nobody, and would match whoever has any of the system; \
                     look whether there is a value before you ask"
                ),
            ));
        }
        let mut search = parsed.search;
        confine(&request.setting.principal, &mut search.filters)?;
        // A client changes only what is its own.
        search.filters.extend(scope);
        Ok(search)
    }
}

/// Whether a condition has a token of a system alone (`identifier=urn:mrn|`): where a message lacks the number, a client
/// makes this of it, and changes whoever is the only one with a number.
fn names_nobody(filter: &Filter) -> bool {
    let of_system = |criterion: &Criterion| {
        matches!(
            criterion,
            Criterion::Token(TokenCriterion::System(_))
                | Criterion::Reference(ReferenceCriterion::Identifier(TokenCriterion::System(_)))
        )
    };
    match filter {
        Filter::Parameter { criteria, .. } => criteria.iter().any(of_system),
        Filter::Composite { alternatives } => {
            alternatives.iter().flatten().any(|(_, criterion)| of_system(criterion))
        }
        Filter::Chain { targets, .. } => targets.iter().any(|target| names_nobody(&target.filter)),
        Filter::Has { filter, .. } => names_nobody(filter),
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(names_nobody),
        // What is left out by a system is no one's name.
        Filter::Not(_)
        | Filter::Missing { .. }
        | Filter::Id(_)
        | Filter::LastUpdated(_)
        | Filter::Type(_)
        | Filter::FullText { .. }
        | Filter::Compartment { .. } => false,
    }
}

/// `_revinclude=*` brings all that refers to what is found but the audit, which is found by a search of its own. One
/// that names AuditEvent stays, and is refused by whoever can't do it.
fn pass_over_events(search: &mut Search, query: &Query) {
    let event = |name: &str| name.split(':').next() == Some("AuditEvent");
    if !query.pairs().iter().any(|(_, value)| event(value)) {
        search.includes.retain(|include| include.source != "AuditEvent");
    }
}

/// What a chain or `_has` asks about other resources is asked only of those that the client may search: whether
/// something is found would tell of the others.
fn confine(principal: &Principal, filters: &mut [Filter]) -> Result<(), Problem> {
    if principal.sees_all() {
        return Ok(());
    }
    for filter in filters {
        match filter {
            Filter::Has { resource_type, filter, .. } => {
                let shown = confine_to(principal, resource_type, filter)?;
                shown.then_some(()).ok_or_else(|| lacks(resource_type, Permission::Search))?;
            }
            Filter::Chain { targets, .. } => {
                let mut shown = Vec::with_capacity(targets.len());
                let first = targets.first().map(|target| target.resource_type.clone());
                for mut target in targets.drain(..) {
                    if confine_to(principal, &target.resource_type, &mut target.filter)? {
                        shown.push(target);
                    }
                }
                if shown.is_empty() {
                    return Err(lacks(&first.unwrap_or_default(), Permission::Search));
                }
                *targets = shown;
            }
            Filter::All(filters) | Filter::Any(filters) => confine(principal, filters)?,
            Filter::Not(filter) => confine(principal, std::slice::from_mut(&mut **filter))?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether the client may search a type; then what is asked of it is asked of what the client's scopes show.
fn confine_to(
    principal: &Principal,
    resource_type: &str,
    filter: &mut Filter,
) -> Result<bool, Problem> {
    let scope = match principal.allowed(resource_type, Permission::Search) {
        Allowed::Nothing => return Ok(false),
        Allowed::All => None,
        Allowed::Where(scope) => Some(scope),
    };
    confine(principal, std::slice::from_mut(filter))?;
    if let Some(scope) = scope {
        let asked = std::mem::replace(filter, Filter::All(Vec::new()));
        *filter = Filter::All(vec![asked, scope]);
    }
    Ok(true)
}

/// The types of a compartment, its own among them.
pub(super) fn compartment_types(compartment: &'static Compartment) -> Vec<&'static str> {
    let mut types = vec![compartment.name()];
    types.extend(
        compartment
            .members()
            .filter(|(name, parameters)| !parameters.is_empty() && *name != compartment.name())
            .map(|(name, _)| name),
    );
    types
}

/// A page of a search, and what its Bundle needs.
#[derive(Debug)]
pub(super) struct AskedPage {
    /// What the datastore is asked.
    pub(super) request: SearchRequest,
    /// Whether nothing but the total is wanted.
    only_total: bool,
    path: String,
    understood: Query,
    warnings: Vec<Issue>,
    /// What is a match on one page, and must not come along on others.
    known: Option<ResourceKey>,
}

impl AskedPage {
    fn new(
        request: &Request,
        path: String,
        parsed: ParsedSearch,
        visible: Vec<(String, Option<Filter>)>,
    ) -> Self {
        let mut understood = Query::default();
        for (name, value) in &parsed.understood {
            understood.push(name, value.as_str());
        }
        for name in ["_format", "_pretty"] {
            if let Some(value) = request.query.first(name) {
                understood.push(name, value);
            }
        }
        let warnings = parsed
            .warnings
            .iter()
            .map(|problem| {
                Issue::warning(IssueCode::NotSupported, format!("{problem}; it was ignored"))
            })
            .collect();
        Self::of(request, path, parsed.search, understood, visible, warnings)
    }

    /// A page of a search made here.
    pub(super) fn of(
        request: &Request,
        path: String,
        mut search: Search,
        understood: Query,
        visible: Vec<(String, Option<Filter>)>,
        warnings: Vec<Issue>,
    ) -> Self {
        let only_total = search.count == Some(0) || search.summary == Summary::Count;
        if only_total {
            search.total = Total::Accurate;
        }
        let wanted = search.count.and_then(|count| usize::try_from(count).ok());
        let limit = if only_total { 0 } else { wanted.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX) };
        let after = request.query.first(AFTER).map(str::to_owned);
        Self {
            request: SearchRequest { search, visible, limit, after },
            only_total,
            path,
            understood,
            warnings,
            known: None,
        }
    }

    /// Without a resource that is a match on one page where it would come along on another.
    pub(super) fn once(self, key: &ResourceKey) -> Self {
        Self { known: Some(key.clone()), ..self }
    }

    /// The Bundle of what was found.
    pub(super) fn bundle(&self, request: &Request, page: &SearchPage) -> String {
        let after = self.request.after.as_deref();
        let link =
            |relation, at| page_link(request, &self.path, relation, &self.understood, AFTER, at);
        let mut links = vec![link("self", after)];
        if after.is_some() {
            links.push(link("first", None));
        }
        if let Some(next) = page.next.as_deref().filter(|_| !self.only_total) {
            links.push(link("next", Some(next)));
        }
        let now = request.setting.now;
        let total = page.total.filter(|_| self.request.search.total != Total::None);
        let mut bundle = BundleWriter::new("searchset", &new_id(), now, total, &links);
        for found in &page.matches {
            let Some(body) = found.version.body.as_deref() else { continue };
            let key = &found.version.key;
            if !found.matched && self.known.as_ref() == Some(key) {
                continue;
            }
            let full_url = format!("{}/{}/{}", request.setting.base, key.resource_type, key.id);
            let mode = if found.matched { "match" } else { "include" };
            bundle.found(&full_url, &request.shape.shown(body), mode);
        }
        if !self.warnings.is_empty() {
            bundle.warnings(&operation_outcome(&self.warnings));
        }
        bundle.finish()
    }
}

/// The refusal of a search or of criteria. What can be answered soon is not wrong: it may be sent again as it is.
pub(super) fn refused_criteria(problems: &[SearchProblem]) -> Problem {
    if !problems.iter().all(|problem| problem.kind == ProblemKind::Indexing) {
        return refused(problems);
    }
    let text = problems.first().map(ToString::to_string).unwrap_or_default();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient, text)
        .with_header(http::header::RETRY_AFTER, "5")
}

/// The refusal of a search.
fn refused(problems: &[SearchProblem]) -> Problem {
    let issues: Vec<Issue> = problems
        .iter()
        .map(|problem| {
            let code = match problem.kind {
                ProblemKind::Unknown | ProblemKind::NotSupported => IssueCode::NotSupported,
                ProblemKind::Indexing => IssueCode::Transient,
                ProblemKind::Empty | ProblemKind::Invalid => IssueCode::Invalid,
                ProblemKind::TooCostly => IssueCode::TooCostly,
            };
            Issue::error(code, problem.to_string())
        })
        .collect();
    Problem::of(StatusCode::BAD_REQUEST, &issues)
}
