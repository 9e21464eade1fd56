//! `$everything`: a patient or an encounter with all that belongs to it (FHIR R4 §8.1.14.1, §8.11.11.1).

use pipehat_resource::definitions::Compartment;
use pipehat_resource::outcome::IssueCode;
use pipehat_resource::search::{
    Comparator, Criterion, DateRange, Filter, Include, IncludeDirection, Parameter, ParameterKind,
    Registry, Search, parse_date,
};
use pipehat_store::datastore::ResourceKey;

use super::answer::Answer;
use super::paging::count;
use super::problem::Problem;
use super::query_string::Query;
use super::request::Request;
use super::search::{AFTER, AskedPage, compartment_types};
use super::service::FhirService;
use super::unknown_parameters::{self, FORM};

/// What belongs to the care of a patient without being in the compartment comes along where it is referred to.
const COMES_ALONG: [&str; 12] = [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Medication",
    "Device",
    "HealthcareService",
    "Substance",
    "Endpoint",
    "Questionnaire",
    "Specimen",
    "Binary",
];

/// Parameters about the time of care; `start` and `end` go by the first that a type has.
const CARE_DATES: [&str; 4] = ["date", "onset-date", "authoredon", "period"];

/// What may be said of it.
const PARAMETERS: &[&str] = &["start", "end", "_since", "_type", "_count", AFTER];

impl FhirService {
    /// A page of everything about a patient or an encounter.
    pub(super) async fn everything(
        &self,
        request: &Request,
        key: &ResourceKey,
        query: &Query,
    ) -> Result<Answer, Problem> {
        self.visible(request, key, None).await?;
        let Some(compartment) = Compartment::named(&key.resource_type) else {
            return Err(super::operation::not_supported("everything"));
        };
        let warnings = unknown_parameters::passed_over(query, PARAMETERS, request.prefer.handling)?;
        let registry = self.parameters.registry();
        let search = asked(&registry, compartment, key, query)?;
        let visible = self.visible_types(request, &[])?;
        let mut understood = query.clone();
        understood.retain(|name, _| {
            name != AFTER && (PARAMETERS.contains(&name) || FORM.contains(&name))
        });
        let path = format!("{}/{}/$everything", key.resource_type, key.id);
        let page = AskedPage::of(request, path, search, understood, visible, warnings);
        self.search_page(request, page.once(key)).await
    }
}

fn asked(
    registry: &Registry,
    compartment: &'static Compartment,
    key: &ResourceKey,
    query: &Query,
) -> Result<Search, Problem> {
    let mut types: Vec<&str> = compartment_types(compartment);
    let wanted: Vec<&str> = query
        .pairs()
        .iter()
        .filter(|(name, _)| name == "_type")
        .flat_map(|(_, value)| value.split(','))
        .filter(|name| !name.is_empty())
        .collect();
    if let Some(unknown) = wanted.iter().find(|name| !registry.is_resource_type(name)) {
        let _ = unknown;
        return Err(Problem::bad_request(
            IssueCode::Value,
            "_type names a type that R4 does not have",
        )
        .at_location("_type"));
    }
    // The audit is not part of the record, nor found by a search that finds others too.
    types.retain(|name| *name != "AuditEvent" || wanted.contains(name));
    if !wanted.is_empty() {
        types.retain(|name| wanted.contains(name));
    }
    let parameters = types
        .iter()
        .flat_map(|name| compartment.parameters(name).iter().map(move |code| (*name, *code)))
        .filter_map(|(name, code)| registry.find(name, code).map(|parameter| parameter.id()))
        .collect();
    let mut filters = vec![Filter::Compartment {
        resource_type: key.resource_type.clone(),
        id: key.id.clone(),
        parameters,
    }];
    if let Some(since) = date(query, "_since")? {
        filters.push(Filter::LastUpdated(vec![(Comparator::GreaterOrEqual, since)]));
    }
    // What has no date of care is always of interest.
    for (name, comparator) in [("start", Comparator::EndsBefore), ("end", Comparator::StartsAfter)]
    {
        let Some(range) = date(query, name)? else { continue };
        let care_date = |name: &&str| CARE_DATES.iter().find_map(|code| registry.find(name, code));
        for parameter in types.iter().filter_map(care_date) {
            if parameter.kind() == ParameterKind::Date {
                let criteria = vec![Criterion::Date { comparator, range }];
                let outside = Filter::Parameter { parameter: parameter.id(), criteria };
                filters.push(Filter::Not(Box::new(outside)));
            }
        }
    }
    let includes =
        if wanted.is_empty() { includes(registry, compartment, &types) } else { Vec::new() };
    Ok(Search {
        resource_types: types.into_iter().map(str::to_owned).collect(),
        filters,
        includes,
        count: count(query)?.and_then(|count| u32::try_from(count).ok()),
        ..Search::default()
    })
}

fn includes(registry: &Registry, compartment: &Compartment, types: &[&str]) -> Vec<Include> {
    let mut includes = Vec::new();
    // An encounter is not understood without whose it is; a patient is there already.
    let subject = (compartment.name() == "Encounter").then_some("Patient");
    let along = |parameter: &&Parameter| {
        let mut targets = COMES_ALONG.iter().copied().chain(subject);
        targets.any(|target| parameter.targets().allows(target))
    };
    for name in types {
        let references: Vec<_> = registry
            .parameters(name)
            .filter(|parameter| parameter.kind() == ParameterKind::Reference)
            .filter(along)
            .map(|parameter| parameter.id())
            .collect();
        if !references.is_empty() {
            includes.push(Include {
                direction: IncludeDirection::Forward,
                iterate: false,
                source: (*name).to_owned(),
                references,
                target: None,
            });
        }
    }
    includes
}

fn date(query: &Query, name: &'static str) -> Result<Option<DateRange>, Problem> {
    match query.first(name) {
        None => Ok(None),
        Some(text) => parse_date(text).map(Some).ok_or_else(|| {
            Problem::bad_request(IssueCode::Value, format!("{name} is a date such as 2024-03-01"))
                .at_location(name)
        }),
    }
}
