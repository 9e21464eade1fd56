//! Queries and what they are read as.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::search::ExactNumber;
use crate::search::{
    Criterion, ReferenceCriterion, SortBy, TokenCriterion, entry::ParameterId, query::Include,
};

const OPTIONS: SearchOptions<'_> = SearchOptions {
    base_url: "http://here.example/fhir/R4",
    handling: Handling::Strict,
    // 2024-01-01
    now: 1_704_067_200_000_000,
    compartment: None,
    only_criteria: false,
};

fn parse(url: &str, handling: Handling) -> Result<ParsedSearch, Vec<SearchProblem>> {
    let (types, query) = url.split_once('?').unwrap_or((url, ""));
    let types: Vec<&str> = types.split(',').filter(|name| !name.is_empty()).collect();
    let options = SearchOptions { handling, ..OPTIONS };
    Search::parse(&types, &query_pairs(query), &Registry::standard(), &options)
}

/// What a search is read as, a line for each thing it asks for.
fn described(parsed: &ParsedSearch) -> String {
    let search = &parsed.search;
    let mut lines: Vec<String> = search.filters.iter().map(filter).collect();
    if !search.sort.is_empty() {
        let keys: Vec<String> = search
            .sort
            .iter()
            .map(|key| {
                let by = match &key.by {
                    SortBy::Id => "_id".to_owned(),
                    SortBy::LastUpdated => "_lastUpdated".to_owned(),
                    SortBy::Parameter(ids) => names(ids),
                };
                format!("{}{by}", if key.descending { "-" } else { "" })
            })
            .collect();
        lines.push(format!("sort {}", keys.join(", ")));
    }
    for Include { direction, iterate, source, references, target } in &search.includes {
        let references = match references.len() {
            0..5 => names(references),
            count => format!("{count} references"),
        };
        let iterate = if *iterate { " iterate" } else { "" };
        lines.push(format!("{direction:?}{iterate} {source} {references} {target:?}"));
    }
    if let Some(count) = search.count {
        lines.push(format!("count {count}"));
    }
    if search.total != super::super::Total::default() {
        lines.push(format!("total {:?}", search.total));
    }
    if search.summary != super::super::Summary::default() {
        lines.push(format!("summary {:?}", search.summary));
    }
    if !search.elements.is_empty() {
        lines.push(format!("elements {}", search.elements.join(" ")));
    }
    lines.extend(parsed.warnings.iter().map(|warning| format!("ignored {warning}")));
    lines.join("\n")
}

fn names(ids: &[ParameterId]) -> String {
    ids.iter().map(|id| name(*id)).collect::<Vec<_>>().join(" ")
}

fn name(id: ParameterId) -> String {
    let names = Registry::standard().names(id).unwrap();
    format!("{}.{}", names.resource_type, names.code)
}

fn filter(asked: &Filter) -> String {
    let several = |filters: &[Filter], word: &str| {
        format!("({})", filters.iter().map(filter).collect::<Vec<_>>().join(word))
    };
    match asked {
        Filter::Parameter { parameter, criteria } => {
            let criteria: Vec<String> = criteria.iter().map(criterion).collect();
            format!("{} {}", name(*parameter), criteria.join(" | "))
        }
        Filter::Composite { alternatives } => {
            let alternatives: Vec<String> = alternatives
                .iter()
                .map(|components| {
                    let components: Vec<String> = components
                        .iter()
                        .map(|(id, asked)| format!("{} {}", name(*id), criterion(asked)))
                        .collect();
                    components.join(" & ")
                })
                .collect();
            format!("[{}]", alternatives.join(" | "))
        }
        Filter::Missing { parameter, missing } => format!("{} missing {missing}", name(*parameter)),
        Filter::Id(ids) => format!("id {}", ids.join(" ")),
        Filter::LastUpdated(spans) => {
            let spans: Vec<String> = spans
                .iter()
                .map(|(prefix, range)| date(prefix.code(), range.from, range.to))
                .collect();
            format!("lastUpdated {}", spans.join(" | "))
        }
        Filter::Type(types) => format!("type {}", types.join(" ")),
        Filter::Chain { reference, targets } => {
            let mut text = format!("{} -> ", name(*reference));
            for (at, target) in targets.iter().enumerate() {
                let separator = if at == 0 { "" } else { " | " };
                _ = write!(text, "{separator}{}: {}", target.resource_type, filter(&target.filter));
            }
            text
        }
        Filter::Has { reference, filter: inner, .. } => {
            format!("<- {} {{{}}}", name(*reference), filter(inner))
        }
        Filter::FullText { whole, words } => {
            format!("{} {}", if *whole { "content" } else { "text" }, words.join("+"))
        }
        Filter::Compartment { resource_type, id, .. } => format!("in {resource_type}/{id}"),
        Filter::All(filters) => several(filters, " and "),
        Filter::Any(filters) => several(filters, " or "),
        Filter::Not(inner) => format!("not {}", filter(inner)),
    }
}

fn criterion(asked: &Criterion) -> String {
    match asked {
        Criterion::String { match_by, text } => format!("{match_by:?} {text:?}"),
        Criterion::Token(asked) => token(asked),
        Criterion::Reference(ReferenceCriterion::Local { resource_type, id }) => {
            format!("{}/{id}", resource_type.as_deref().unwrap_or("?"))
        }
        Criterion::Reference(ReferenceCriterion::Url { url, version }) => {
            format!("<{url}> {version:?}")
        }
        Criterion::Reference(ReferenceCriterion::Identifier(asked)) => {
            format!("identifier {}", token(asked))
        }
        Criterion::Date { comparator, range } => date(comparator.code(), range.from, range.to),
        Criterion::Number { comparator, value, low, high } => {
            format!("{} {}", comparator.code(), numbers(value, low, high))
        }
        Criterion::Quantity { comparator, value, low, high, system, code } => {
            let numbers = numbers(value, low, high);
            format!("{} {numbers} {system:?} {code:?}", comparator.code())
        }
        Criterion::Uri { match_by, uri } => format!("{match_by:?} <{uri}>"),
    }
}

fn numbers(value: &ExactNumber, low: &ExactNumber, high: &ExactNumber) -> String {
    format!("{} [{}, {})", value.nearest(), low.nearest(), high.nearest())
}

fn token(asked: &TokenCriterion) -> String {
    match asked {
        TokenCriterion::Code(code) => format!("*|{code}"),
        TokenCriterion::SystemCode(system, code) => format!("{system}|{code}"),
        TokenCriterion::NoSystem(code) => format!("|{code}"),
        TokenCriterion::System(system) => format!("{system}|*"),
        TokenCriterion::Text(text) => format!("text {text:?}"),
        TokenCriterion::OfType { type_system, type_code, value } => {
            format!("{value} of {type_system}|{type_code}")
        }
        TokenCriterion::OneOf(codes) => format!("{codes:?}"),
    }
}

fn date(prefix: &str, from: i64, to: i64) -> String {
    let shown = |at: i64| {
        jiff::Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |at| at.to_string())
    };
    format!("{prefix} {}..{}", shown(from), shown(to))
}

#[track_caller]
fn check(url: &str, expected: &str) {
    let found = match parse(url, Handling::Strict) {
        Ok(parsed) => described(&parsed),
        Err(problems) => {
            problems.iter().map(|problem| format!("{problem:?}")).collect::<Vec<_>>().join("\n")
        }
    };
    assert_eq!(found, expected, "{url}");
}

#[track_caller]
fn check_problem(url: &str, kind: ProblemKind, expected: &str) {
    let problems = parse(url, Handling::Strict).map(|parsed| described(&parsed)).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown.join("\n"), expected, "{url}");
    assert!(problems.iter().all(|problem| problem.kind == kind), "{url}: {problems:?}");
}

#[test]
fn strings() {
    check("Patient?name=Müller", "Patient.name Start \"muller\"");
    check("Patient?name=a,B\\,c", "Patient.name Start \"a\" | Start \"b c\"");
    check("Patient?name:exact=M%C3%BCller%20", "Patient.name Exact \"Müller \"");
    check("Patient?name:contains=%25_", "Patient.name Contains \"%_\"");
    check("Patient?family=a&family=b", "Patient.family Start \"a\"\nPatient.family Start \"b\"");
    check("Patient?family:missing=true", "Patient.family missing true");
    check_problem(
        "Patient?family:like=x",
        ProblemKind::NotSupported,
        "`family:like`: a string parameter has no modifier `like`; it has :missing, :exact, :contains",
    );
    check_problem(
        "Patient?family:missing=yes",
        ProblemKind::Invalid,
        "`family:missing`: `:missing` is `true` or `false`",
    );
}

#[test]
fn tokens() {
    check("Patient?gender=male", "Patient.gender *|male");
    check("Patient?identifier=http://a|1", "Patient.identifier http://a|1");
    check("Patient?identifier=|1,http://a|", "Patient.identifier |1 | http://a|*");
    check("Patient?identifier=a\\|b", "Patient.identifier *|a|b");
    check("Patient?gender:not=male,female", "not Patient.gender *|male | *|female");
    check("Observation?code:text=Blood%20PRESS", "Observation.code text \"blood press\"");
    check("Patient?identifier:of-type=s|MR|1", "Patient.identifier 1 of s|MR");
    check("Patient?active=true", "Patient.active *|true");
    check_problem(
        "Patient?identifier:of-type=MR|1",
        ProblemKind::Invalid,
        "`identifier:of-type`: `:of-type` is `TYPE-SYSTEM|TYPE-CODE|VALUE`, as in \
         `http://terminology.hl7.org/CodeSystem/v2-0203|MR|1`",
    );
    check_problem(
        "Patient?identifier=1,|",
        ProblemKind::Invalid,
        "`identifier`: value 2: expected a code, `SYSTEM|CODE`, `|CODE` or `SYSTEM|`",
    );
    check_problem(
        "Patient?gender:exact=male",
        ProblemKind::NotSupported,
        "`gender:exact`: a token parameter has no modifier `exact`; it has :missing, :not, :text, :of-type, :in, \
         :not-in, :above, :below",
    );
}

#[test]
fn references() {
    check("Observation?subject=Patient/1", "Observation.subject Patient/1");
    check("Observation?subject=1", "Observation.subject ?/1");
    check("Observation?patient=1", "Observation.patient Patient/1");
    check("Observation?subject:Patient=1", "Observation.subject Patient/1");
    check(
        "Observation?subject=http://here.example/fhir/R4/Patient/1/_history/2",
        "Observation.subject Patient/1",
    );
    check(
        "Observation?subject=http://there.example/Patient/1,urn:uuid:2",
        "Observation.subject <http://there.example/Patient/1> None | <urn:uuid:2> None",
    );
    check(
        "PlanDefinition?depends-on=http://a/b|2",
        "PlanDefinition.depends-on <http://a/b> Some(\"2\")",
    );
    check("Observation?subject:identifier=http://a|1", "Observation.subject identifier http://a|1");
    check_problem(
        "Observation?subject=Patiens/1",
        ProblemKind::Invalid,
        "`subject`: expected an id, `TYPE/ID` or an absolute address",
    );
    check_problem(
        "Observation?subject:Practitioner=1",
        ProblemKind::Invalid,
        "`subject:Practitioner`: the parameter does not refer to Practitioner",
    );
}

#[test]
fn dates_and_numbers() {
    check(
        "Patient?birthdate=1970",
        "Patient.birthdate eq 1970-01-01T00:00:00Z..1970-12-31T23:59:59.999999Z",
    );
    check(
        "Patient?birthdate=ge1970-01&birthdate=lt1970-02-03",
        "Patient.birthdate ge 1970-01-01T00:00:00Z..1970-01-31T23:59:59.999999Z\n\
         Patient.birthdate lt 1970-02-03T00:00:00Z..1970-02-03T23:59:59.999999Z",
    );
    check(
        "Observation?date=sa2020-01-01T10:00:00%2B02:00,eb2019",
        "Observation.date sa 2020-01-01T08:00:00Z..2020-01-01T08:00:00.999999Z | eb \
         2019-01-01T00:00:00Z..2019-12-31T23:59:59.999999Z",
    );
    // The ends are ten years and nine years (and a bit) away.
    check(
        "Patient?birthdate=ap2014",
        "Patient.birthdate ap 2012-12-31T19:12:00Z..2015-11-25T16:47:59.999999Z",
    );
    check("RiskAssessment?probability=gt0.80", "RiskAssessment.probability gt 0.8 [0.795, 0.805)");
    check("RiskAssessment?probability=1e2", "RiskAssessment.probability eq 100 [95, 105)");
    check("RiskAssessment?probability=ap100", "RiskAssessment.probability ap 100 [90, 110)");
    check(
        "Observation?value-quantity=5.4|http://u|mg,le5.40||mg,ne5",
        "Observation.value-quantity eq 5.4 [5.35, 5.45) Some(\"http://u\") Some(\"mg\") | le 5.4 [5.395, 5.405) None \
         Some(\"mg\") | ne 5 [4.5, 5.5) None None",
    );
    check_problem(
        "Patient?birthdate=xx1970",
        ProblemKind::Invalid,
        "`birthdate`: expected a date as in `2024`, `2024-03`, `2024-03-09` or `2024-03-09T10:00:00Z`, behind a prefix \
         like `ge` if wanted (a `+` is written `%2B` in a URL)",
    );
    check_problem(
        "RiskAssessment?probability=high",
        ProblemKind::Invalid,
        "`probability`: expected a number as in `5.4` or `1e2`, behind a prefix like `gt` if wanted",
    );
    check_problem(
        "Observation?value-quantity=5|mg",
        ProblemKind::Invalid,
        "`value-quantity`: expected `NUMBER`, `NUMBER|SYSTEM|CODE` or `NUMBER||UNIT`, as in \
         `5.4|http://unitsofmeasure.org|mg`",
    );
}

#[test]
fn uris() {
    check("ValueSet?url=http://a/b", "ValueSet.url Exact <http://a/b>");
    check("ValueSet?url:below=http://a/", "ValueSet.url Below <http://a/>");
    check("ValueSet?url:above=http://a/b/c", "ValueSet.url Above <http://a/b/c>");
    check("ValueSet?url=urn:oid:1.2", "ValueSet.url Exact <urn:oid:1.2>");
    for modifier in ["above", "below"] {
        check_problem(
            &format!("ValueSet?url:{modifier}=URN:oid:1.2"),
            ProblemKind::Invalid,
            &format!(
                "`url:{modifier}`: `:above` and `:below` are for URLs, not for URNs such as `urn:oid:…` (FHIR R4 \
                 §3.1.1.4.13)"
            ),
        );
    }
    check(
        "Patient?_profile=http://p&_source:contains=x",
        "Patient._profile Exact <http://p>\nPatient._source Contains <x>",
    );
}

#[test]
fn composites() {
    check(
        "Observation?code-value-quantity=loinc|8480-6$gt140,\\$1$5.4||mg",
        "[Observation.code-value-quantity$1 loinc|8480-6 & Observation.code-value-quantity$2 gt 140 [139.5, 140.5) None \
         None | Observation.code-value-quantity$1 *|$1 & Observation.code-value-quantity$2 eq 5.4 [5.35, 5.45) None \
         Some(\"mg\")]",
    );
    check(
        "Observation?code-value-string:missing=false",
        "Observation.code-value-string$1 missing false",
    );
    check_problem(
        "Observation?code-value-quantity=8480-6",
        ProblemKind::Invalid,
        "`code-value-quantity`: expected 2 values with `$` between: token$quantity",
    );
}

#[test]
fn chains() {
    check(
        "Observation?patient.name=peter",
        "Observation.patient -> Patient: Patient.name Start \"peter\"",
    );
    check(
        "Observation?subject:Patient.organization.name:exact=A",
        "Observation.subject -> Patient: Patient.organization -> Organization: Organization.name Exact \"A\"",
    );
    // Devices, groups and locations have identifiers as well.
    check(
        "Observation?subject.identifier=1",
        "Observation.subject -> Group: Group.identifier *|1 | Device: Device.identifier *|1 | Patient: \
         Patient.identifier *|1 | Location: Location.identifier *|1",
    );
    check(
        "Observation?subject.birthdate=1970",
        "Observation.subject -> Patient: Patient.birthdate eq 1970-01-01T00:00:00Z..1970-12-31T23:59:59.999999Z",
    );
    check("Observation?patient._id=1", "Observation.patient -> Patient: id 1");
    check(
        "Patient?_has:Observation:patient:code=1",
        "<- Observation.patient {Observation.code *|1}",
    );
    check("Patient?_list=a,b", "<- List.item {id a b}");
    check(
        "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent-name=x",
        "<- Observation.patient {<- AuditEvent.entity {AuditEvent.agent-name Start \"x\"}}",
    );
    check(
        "Observation?patient._has:Group:member:_id=102&patient:Patient._has:Encounter:subject:location.name=a",
        "Observation.patient -> Patient: <- Group.member {id 102}\n\
         Observation.patient -> Patient: <- Encounter.subject {Encounter.location -> Location: Location.name Start \"a\"}",
    );
}

#[test]
fn chains_that_lead_nowhere() {
    check_problem(
        "Observation?subject.nothing=1",
        ProblemKind::Unknown,
        "`subject.nothing`: none of the types that it may refer to has the parameter behind the `.`",
    );
    check_problem(
        "Observation?patient.nothing=1",
        ProblemKind::Unknown,
        "`patient.nothing`: Patient has no search parameter `nothing`; the CapabilityStatement lists those it has",
    );
    check_problem(
        "Observation?code.name=1",
        ProblemKind::Invalid,
        "`code.name`: `code` of Observation is a token parameter; only references can be followed with `.`",
    );
    check_problem(
        "Observation?subject:Practitioner.name=1",
        ProblemKind::Invalid,
        "`subject:Practitioner.name`: `subject` of Observation does not refer to Practitioner",
    );
    check_problem(
        "Patient?_has:Observation:patient=1",
        ProblemKind::Invalid,
        "`_has:Observation:patient`: expected `_has:TYPE:REFERENCE:PARAMETER`, as in `_has:Observation:patient:code`",
    );
    check_problem(
        "Practitioner?_has:Observation:patient:code=1",
        ProblemKind::Invalid,
        "`_has:Observation:patient:code`: `patient` of Observation does not refer to what is searched",
    );
}

#[test]
fn what_every_resource_has_is_missing_in_none() {
    for name in ["_id", "_lastUpdated"] {
        check(&format!("Patient?{name}:missing=true"), "type ");
        check(&format!("Patient?{name}:missing=false"), "()");
        check_problem(
            &format!("Patient?{name}:missing=1"),
            ProblemKind::Invalid,
            &format!("`{name}:missing`: `:missing` is `true` or `false`"),
        );
    }
}

#[test]
fn searches_of_several_types() {
    check(
        "?_id=1,2&_lastUpdated=gt2020",
        "id 1 2\nlastUpdated gt 2020-01-01T00:00:00Z..2020-12-31T23:59:59.999999Z",
    );
    check(
        "?_type=Patient,Person&name=x&gender:not=male",
        "(Patient.name Start \"x\" or Person.name Start \"x\")\n\
         (not Patient.gender *|male and not Person.gender *|male)",
    );
    let parsed = parse("?_type=Patient,Person&_tag=x&_sort=birthdate", Handling::Strict).unwrap();
    assert_eq!(parsed.search.resource_types, ["Patient", "Person"]);
    assert_eq!(
        described(&parsed),
        "(Patient._tag *|x or Person._tag *|x)\nsort Patient.birthdate Person.birthdate"
    );
    let everything = parse("?_security=R", Handling::Strict).unwrap();
    assert!(everything.search.resource_types.is_empty());
    let Some(Filter::Any(types)) = everything.search.filters.first() else { panic!() };
    assert_eq!(types.len(), 147);
    check_problem(
        "?name=x",
        ProblemKind::Unknown,
        "`name`: not every searched type has a search parameter `name`; name types that have it with `_type`",
    );
    check_problem(
        "?_type=Patient,Pat",
        ProblemKind::Invalid,
        "`_type`: value 2 is no resource type of FHIR R4",
    );
    check_problem(
        "Patient?_type=Person",
        ProblemKind::Invalid,
        "`_type`: none of these types is searched here",
    );
}

#[test]
fn what_is_shown() {
    check(
        "Patient?_sort=-birthdate,family,_id,-_lastUpdated&_count=0&_total=accurate&_summary=count&_elements=id,name",
        "sort -Patient.birthdate, Patient.family, _id, -_lastUpdated\ncount 0\ntotal Accurate\nsummary Count\n\
         elements id name",
    );
    check(
        "Observation?_include=Observation:patient&_include:iterate=Patient:organization&\
         _include=Observation:subject:Group&_revinclude=Provenance:target",
        "Forward Observation Observation.patient None\nForward iterate Patient Patient.organization None\n\
         Forward Observation Observation.subject Some(\"Group\")\nReverse Provenance Provenance.target None",
    );
    check(
        "Patient?_include=Patient:*&_include=*",
        "Forward Patient Patient.general-practitioner Patient.link Patient.organization None\n\
         Forward Patient Patient.general-practitioner Patient.link Patient.organization None",
    );
    check(
        "Patient?_revinclude=Observation:*",
        "Reverse Observation Observation.focus Observation.patient Observation.performer Observation.subject None",
    );
    check_problem(
        "Patient?_include=Patient:name&_include=Patient&_include=Patient:link:Group",
        ProblemKind::Invalid,
        "`_include`: Patient has no reference parameter `name`\n\
         `_include`: expected `TYPE:PARAMETER`, `TYPE:PARAMETER:TARGET` or `*`, as in `Observation:subject`\n\
         `_include`: `link` of Patient does not refer to Group",
    );
    check_problem(
        "Patient?_count=-1",
        ProblemKind::Invalid,
        "`_count`: expected a number, 0 or more",
    );
    check_problem(
        "Patient?_count=1&_count=2",
        ProblemKind::Invalid,
        "`_count`: may come once only",
    );
    check_problem(
        "Patient?_sort=nothing",
        ProblemKind::Invalid,
        "`_sort`: no searched type has a search parameter `nothing` to sort by",
    );
}

#[test]
fn full_text() {
    check("Patient?_text=Bone%20Marrow,x", "(text bone+marrow or text x)");
    check("Patient?_content=%C3%89t%C3%A9", "content ete");
    check("Patient?_content=pipe%20OR%20zzz", "(content pipe or content zzz)");
    check("Patient?_content=a%20AND%20b%20c", "content a+b+c");
    check("Patient?_content=a%20or%20b", "content a+or+b");
    check(
        "Patient?_content=a%20NOT%20(b%20OR%20%22c%20d%22)",
        "(content a and not (content b or content c+d))",
    );
    check("Patient?_content=NOT%20a%20b", "(content b and not content a)");
}

#[test]
fn value_sets_and_hierarchies() {
    let gender =
        |code: &str| format!("(Some(\"http://hl7.org/fhir/administrative-gender\"), \"{code}\")");
    let all = ["female", "male", "other", "unknown"].map(gender).join(", ");
    check(
        "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender",
        &format!("Patient.gender [{all}]"),
    );
    check(
        "Patient?_filter=gender ni http://hl7.org/fhir/ValueSet/administrative-gender",
        &format!("not Patient.gender [{all}]"),
    );
    check(
        "Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender",
        &format!("not Patient.gender [{all}]"),
    );
    let type_code = |code: &str| format!("(Some(\"http://hl7.org/fhir/issue-type\"), \"{code}\")");
    check(
        "Observation?code:above=http://hl7.org/fhir/issue-type|not-found",
        &format!("Observation.code [{}]", ["not-found", "processing"].map(type_code).join(", ")),
    );
    check(
        "Observation?code:below=http://hl7.org/fhir/issue-type|transient",
        &format!(
            "Observation.code [{}]",
            [
                "exception",
                "incomplete",
                "lock-error",
                "no-store",
                "throttled",
                "timeout",
                "transient"
            ]
            .map(type_code)
            .join(", ")
        ),
    );
    check_problem(
        "Observation?code:below=http://loinc.org|1",
        ProblemKind::NotSupported,
        "`code:below`: the server does not know this code of this system, only small systems of FHIR R4 itself; list \
         the codes with commas",
    );
    check_problem(
        "Observation?code:in=http://x",
        ProblemKind::NotSupported,
        "`code:in`: the server has no value set of this address, only small ones of FHIR R4 itself; list the codes with \
         commas",
    );
}

#[test]
fn compartments() {
    let in_compartment = |types: &[&str], resource_type: &str| {
        let options = SearchOptions { compartment: Some((resource_type, "1")), ..OPTIONS };
        Search::parse(types, &[], &Registry::standard(), &options)
    };
    let found = in_compartment(&["Observation"], "Patient").unwrap().search;
    let [Filter::Compartment { resource_type, id, parameters }] = found.filters.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((resource_type.as_str(), id.as_str()), ("Patient", "1"));
    assert_eq!(names(parameters), "Observation.subject Observation.performer");
    let everything = in_compartment(&[], "Encounter").unwrap().search;
    assert!(everything.resource_types.iter().any(|name| name == "Observation"));
    assert!(everything.resource_types.iter().any(|name| name == "Encounter"));
    assert!(!everything.resource_types.iter().any(|name| name == "Location"));
    assert!(in_compartment(&["Patient"], "Patient").is_ok());
    let problems = in_compartment(&["Location"], "Patient").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "`Location`: resources of this type are never in the compartment of a Patient"
    );
    assert!(in_compartment(&[], "Location").is_err());
}

#[test]
fn expressions() {
    check(
        "Patient?_filter=given eq \"Peter\" and birthdate ge 2014-10-10",
        "(Patient.given Equal \"peter\" and Patient.birthdate ge 2014-10-10T00:00:00Z..2014-10-10T23:59:59.999999Z)",
    );
    check(
        "Patient?_filter=family sw a or family ew b and not (gender ne male)",
        "(Patient.family Start \"a\" or (Patient.family End \"b\" and not not Patient.gender *|male))",
    );
    check(
        "Observation?_filter=(subject.name co \"a \\\"b\" or code eq http://loinc.org|1) and value-quantity gt 5||mg",
        "((Observation.subject -> Patient: Patient.name Contains \"a b\" | Location: Location.name Contains \"a b\" or \
         Observation.code http://loinc.org|1) and Observation.value-quantity gt 5 [4.5, 5.5) None Some(\"mg\"))",
    );
}

#[test]
fn mistakes_in_expressions() {
    let check = |text: &str, kind: ProblemKind, expected: &str| {
        check_problem(&format!("Patient?_filter={text}"), kind, &format!("`_filter`: {expected}"));
    };
    check("given", ProblemKind::Invalid, "expected an operator at word 2");
    check("given eq", ProblemKind::Invalid, "expected a value at word 3");
    check("given eq x y", ProblemKind::Invalid, "expected `and`, `or` or the end at word 4");
    check("(given eq x", ProblemKind::Invalid, "expected `)` at word 5");
    check(
        "nothing eq x",
        ProblemKind::Invalid,
        "word 1: Patient has no search parameter `nothing`; the CapabilityStatement lists those it has",
    );
    check(
        "gender gt x",
        ProblemKind::NotSupported,
        "word 1: a token parameter has no operator `gt`",
    );
    check(
        "gender in http://x",
        ProblemKind::NotSupported,
        "word 1: the server has no value set of this address, only small ones of FHIR R4 itself; list the codes with \
         commas",
    );
    check("given eq \"x", ProblemKind::Invalid, "the text at word 3 has no closing quote");
    check(
        "given:exact eq x",
        ProblemKind::Invalid,
        "word 1: modifiers like `exact` have no place in `_filter`; it has operators",
    );
    check(
        "link[type eq x].other eq 1",
        ProblemKind::NotSupported,
        "conditions in brackets are not supported (at word 2); write a chain for each",
    );
}

#[test]
fn what_is_refused() {
    check_problem(
        "Location?near=1|2",
        ProblemKind::NotSupported,
        "`near`: is not supported: positions are not compared",
    );
    check_problem("Patient?name=", ProblemKind::Empty, "`name`: has no value");
    check_problem(
        "Patient?_list=$current-allergies",
        ProblemKind::NotSupported,
        "`_list`: takes the ids of List resources; there are no others",
    );
    check_problem(
        "Patient?Smith Peter=1",
        ProblemKind::Unknown,
        "parameter 1: Patient has no search parameter that; the CapabilityStatement lists those it has",
    );
}

#[test]
fn lenient_handling_passes_over_what_is_unknown() {
    let parsed =
        parse("Patient?nothing=1&name=&family=a,&_format=json", Handling::Lenient).unwrap();
    assert_eq!(
        described(&parsed),
        "Patient.family Start \"a\"\n\
         ignored `nothing`: Patient has no search parameter `nothing`; the CapabilityStatement lists those it has\n\
         ignored `name`: has no value"
    );
    assert_eq!(parsed.understood, [("family".to_owned(), "a,".to_owned())]);
    assert!(parse("Patient?family:x=1", Handling::Lenient).is_err());
}

#[test]
fn conditional_references() {
    let registry = Registry::standard();
    let read = |text: &str| Search::parse_conditional_reference(text, &registry, &OPTIONS);
    assert!(read("Patient/1").is_none());
    assert!(read("http://a/b?c=d").is_none());
    let found = read("Patient?identifier=http://a%7C1&active=true").unwrap().unwrap();
    assert_eq!(found.search.resource_types, ["Patient"]);
    assert_eq!(described(&found), "Patient.identifier http://a|1\nPatient.active *|true");
    let problems = read("Patient?_count=1").unwrap().unwrap_err();
    assert_eq!(problems[0].to_string(), "`_count`: is not allowed here: only what must hold is");
}

#[test]
fn everything_has_a_limit() {
    let many = |count: usize| "a,".repeat(count) + "a";
    assert!(
        parse(&format!("Patient?family={}", many(ALTERNATIVES_MAX - 1)), Handling::Strict).is_ok()
    );
    check_problem(
        &format!("Patient?family={}", many(ALTERNATIVES_MAX)),
        ProblemKind::TooCostly,
        "`family`: takes at most 2000 values",
    );
    let thrice = |count: usize| {
        let values = many(VALUES_MAX / 2 - 1);
        format!("Patient?family={values}&given={values}{}", "&name=a".repeat(count))
    };
    assert!(parse(&thrice(0), Handling::Strict).is_ok());
    check_problem(
        &thrice(1),
        ProblemKind::TooCostly,
        "`name`: the search has more than 4000 values, counted for each type that it is about; ask for fewer at once, \
         or name the types",
    );
    let parameters = |count: usize| format!("Patient?{}", "family=a&".repeat(count));
    assert!(parse(&parameters(PARAMETERS_MAX), Handling::Strict).is_ok());
    check_problem(
        &parameters(PARAMETERS_MAX + 1),
        ProblemKind::TooCostly,
        "parameter 201: a search has at most 200 parameters",
    );
    let chain = |steps: usize| format!("Location?{}name=x", "partof.".repeat(steps));
    assert!(parse(&chain(CHAIN_STEPS_MAX), Handling::Strict).is_ok());
    let problems = parse(&chain(CHAIN_STEPS_MAX + 1), Handling::Strict).unwrap_err();
    assert_eq!(problems[0].message, "a chain has at most 8 steps");
    for name in
        ["target.target.target.target._id", "target.subject.subject.subject.subject.nothing"]
    {
        let problems = parse(&format!("Provenance?{name}=x"), Handling::Strict).unwrap_err();
        assert_eq!(problems[0].kind, ProblemKind::TooCostly, "{problems:?}");
    }
    let nested = |depth: usize| {
        format!("Patient?_filter={}family eq a{}", "(".repeat(depth), ")".repeat(depth))
    };
    assert!(parse(&nested(20), Handling::Strict).is_ok());
    assert_eq!(parse(&nested(21), Handling::Strict).unwrap_err()[0].kind, ProblemKind::TooCostly);
    assert!(parse(&nested(30_000), Handling::Strict).is_err());
}

/// Pieces that queries are made of, so that what is generated comes near to what is meant.
fn any_query() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "name",
        "family",
        "subject",
        "patient",
        "_has:",
        "Observation",
        "Patient",
        ":",
        ".",
        "=",
        "&",
        ",",
        "$",
        "|",
        "\\",
        "_filter",
        "_sort",
        "_include",
        "_revinclude",
        "*",
        "_text",
        "code",
        "code-value-quantity",
        "gt",
        "5.4",
        "1e999",
        "2024",
        "-02",
        "T10:00",
        "+",
        "%2B",
        "(",
        ")",
        " and ",
        " or ",
        "not",
        " eq ",
        "\"",
        "a",
        "é",
        ":missing",
        ":not",
        ":identifier",
        "_id",
        "_lastUpdated",
        "birthdate",
        "value-quantity",
        "_type",
        "_count",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_query_is_answered(query in any_query()) {
        for types in ["Patient", "Observation", ""] {
            for handling in [Handling::Strict, Handling::Lenient] {
                let pairs = query.split('&').count();
                match parse(&format!("{types}?{query}"), handling) {
                    Ok(parsed) => prop_assert!(parsed.understood.len() <= pairs),
                    Err(problems) => prop_assert!(!problems.is_empty()),
                }
            }
        }
    }

    #[test]
    fn problems_do_not_show_values(value in "[A-Z]{12}") {
        for name in ["birthdate", "identifier:of-type", "_filter", "_sort", "general-practitioner", "_count"] {
            let given = format!("Patient?{name}={value}/x");
            if let Err(problems) = parse(&given, Handling::Strict) {
                for problem in problems {
                    let shows = problem.to_string().contains(&value);
                    prop_assert!(!shows, "{}", problem);
                }
            }
        }
    }
}
