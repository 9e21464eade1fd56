//! Which changes a source takes.

use std::sync::{Arc, Mutex, PoisonError};

use pipehat_config::nearest;
use pipehat_resource::json::parse;
use pipehat_resource::search::{
    Handling, ImpossibleCode, ProblemKind, Registry, Search, SearchOptions, SearchProblem, extract,
    query_pairs,
};

use crate::{ChangeKind, GivenChanges};

/// The criteria of a source: a search, and which kinds of change.
pub(super) struct Criteria {
    resource_type: String,
    query: String,
    kinds: Vec<ChangeKind>,
    /// The search as these parameters mean it: the datastore's own may come and change.
    search: Mutex<(Arc<Registry>, Arc<Search>)>,
}

/// The datastore's search parameters don't have what the criteria ask by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotDefined(String);

/// What is wrong with criteria.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    /// What was meant, most likely.
    pub(super) nearest: Option<String>,
    pub(super) help: Option<String>,
}

/// How many codes a mistake lists.
const CODES_SHOWN: usize = 20;

const OWN: &str = "a parameter of the datastore's own is named in `custom`";

impl Mistake {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), nearest: None, help: None }
    }

    fn of_problem(problem: &SearchProblem, resource_type: &str, registry: &Registry) -> Self {
        let mistake = Self::new(problem.to_string());
        if problem.kind != ProblemKind::Unknown {
            return mistake;
        }
        let written = problem.parameter.trim_matches('`');
        let code = written.split([':', '.']).next().unwrap_or_default();
        let known = registry.parameters(resource_type).map(|parameter| parameter.code());
        let nearest = nearest(code, known).map(str::to_owned);
        Self { nearest, help: Some(OWN.to_owned()), ..mistake }
    }
}

impl Criteria {
    /// Reads `Encounter?status=finished`, or a type alone. What the parameters in `custom` mean only the datastore
    /// knows.
    ///
    /// # Errors
    /// All that is wrong with it: names that nobody knows, codes that no resource has, what looks at other resources.
    pub(super) fn parse(
        text: &str,
        custom: &[&str],
        kinds: Vec<ChangeKind>,
    ) -> Result<Self, Vec<Mistake>> {
        let registry = Registry::standard();
        let (resource_type, query) = text.split_once('?').unwrap_or((text, ""));
        if !registry.is_resource_type(resource_type) {
            let message = "criteria begin with a type of resource: `Encounter?status=finished`";
            let nearest = nearest(resource_type, registry.resource_types()).map(str::to_owned);
            return Err(vec![Mistake { nearest, ..Mistake::new(message) }]);
        }
        let known: Vec<&str> = query
            .split('&')
            .filter(|pair| !custom.iter().any(|code| is_code(pair, code)))
            .collect();
        if let Some(unused) =
            custom.iter().find(|code| !query.split('&').any(|pair| is_code(pair, code)))
        {
            let message = format!("`custom` names `{unused}`, and the criteria do not ask by it");
            return Err(vec![Mistake::new(message)]);
        }
        let search = search(resource_type, &known.join("&"), &registry).map_err(|problems| {
            let of = |problem| Mistake::of_problem(problem, resource_type, &registry);
            problems.iter().map(of).collect::<Vec<_>>()
        })?;
        if search.looks_at_others() {
            return Err(vec![Mistake::new(ALONE)]);
        }
        let impossible = search.impossible_codes(&registry);
        if !impossible.is_empty() {
            return Err(impossible.iter().map(impossible_code).collect());
        }
        // One that is not whole stands for no parameters of a datastore.
        let meant_by =
            if custom.is_empty() { registry } else { Arc::new(Registry::clone(&registry)) };
        Ok(Self {
            resource_type: resource_type.to_owned(),
            query: query.to_owned(),
            kinds,
            search: Mutex::new((meant_by, Arc::new(search))),
        })
    }

    /// The type of the resources.
    pub(super) fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Which kinds of change they take.
    pub(super) fn given(&self) -> GivenChanges {
        let deletions = self.kinds.contains(&ChangeKind::Delete);
        match (deletions, self.kinds.iter().any(|kind| *kind != ChangeKind::Delete)) {
            (true, true) => GivenChanges::All,
            (true, false) => GivenChanges::Deletions,
            (false, _) => GivenChanges::Writes,
        }
    }

    /// Whether a change of this kind and type may be one of them, before its resource is read.
    pub(super) fn may_take(&self, kind: ChangeKind, resource_type: &str) -> bool {
        self.kinds.contains(&kind) && self.resource_type == resource_type
    }

    /// Whether a resource meets them, by these parameters.
    ///
    /// # Errors
    /// When the parameters are not those that the criteria ask by.
    pub(super) fn meets(
        &self,
        resource: &str,
        registry: &Arc<Registry>,
    ) -> Result<bool, NotDefined> {
        let search = self.search_by(registry)?;
        let Ok(resource) = parse(resource.as_bytes()) else { return Ok(false) };
        let entries = extract(&resource, registry, "", 0);
        Ok(search.matches(&resource, &entries) == Some(true))
    }

    fn search_by(&self, registry: &Arc<Registry>) -> Result<Arc<Search>, NotDefined> {
        let mut known = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&known.0, registry) {
            let read = search(&self.resource_type, &self.query, registry).map_err(|problems| {
                let first = problems.first().map(ToString::to_string);
                NotDefined(first.unwrap_or_else(|| "this can't be read as a search".to_owned()))
            })?;
            if read.looks_at_others() {
                return Err(NotDefined(ALONE.to_owned()));
            }
            *known = (Arc::clone(registry), Arc::new(read));
        }
        Ok(Arc::clone(&known.1))
    }
}

fn is_code(pair: &str, code: &str) -> bool {
    pair.split(['=', ':']).next() == Some(code)
}

/// What a channel can't tell of a change by itself.
const ALONE: &str = "criteria look at the resource alone: chains and `_has` can't be used";

fn impossible_code(found: &ImpossibleCode) -> Mistake {
    let message = format!(
        "no {} has the code `{}` where `{}` looks for it",
        found.resource_type, found.code, found.parameter
    );
    let mistake = Mistake::new(message);
    if let Some(near) = nearest(&found.code, found.known.iter().copied()) {
        return Mistake { nearest: Some(near.to_owned()), ..mistake };
    }
    let mut shown: Vec<&str> = found.known.iter().copied().take(CODES_SHOWN).collect();
    if found.known.len() > CODES_SHOWN {
        shown.push("…");
    }
    let help = (!shown.is_empty()).then(|| format!("there are {}", shown.join(", ")));
    Mistake { help, ..mistake }
}

fn search(
    resource_type: &str,
    query: &str,
    registry: &Registry,
) -> Result<Search, Vec<SearchProblem>> {
    let options = SearchOptions {
        handling: Handling::Strict,
        only_criteria: true,
        ..SearchOptions::default()
    };
    Ok(Search::parse(&[resource_type], &query_pairs(query), registry, &options)?.search)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::tests::with_ward;

    #[test]
    fn resources_meet_them_or_not() {
        let check = |criteria: &str, resource: &str, expected: bool| {
            let criteria =
                Criteria::parse(criteria, &[], vec![ChangeKind::Create]).expect("criteria");
            let meets = criteria.meets(resource, &Registry::standard());
            assert_eq!(meets, Ok(expected), "{resource}");
        };
        let encounter = |status: &str| {
            format!(
                r#"{{"resourceType":"Encounter","status":"{status}","class":{{"code":"IMP"}}}}"#
            )
        };
        check("Encounter?status=finished", &encounter("finished"), true);
        check("Encounter?status=finished", &encounter("planned"), false);
        check("Encounter?status=finished&class=IMP", &encounter("finished"), true);
        check("Encounter?status=finished&class=AMB", &encounter("finished"), false);
        check("Encounter", &encounter("planned"), true);
        check("Encounter", "no JSON", false);
    }

    #[test]
    fn kinds_and_types_are_looked_at_first() {
        let criteria =
            Criteria::parse("Patient", &[], vec![ChangeKind::Create, ChangeKind::Delete])
                .expect("criteria");
        assert!(criteria.may_take(ChangeKind::Delete, "Patient"));
        assert!(!criteria.may_take(ChangeKind::Update, "Patient"));
        assert!(!criteria.may_take(ChangeKind::Create, "Encounter"));
    }

    #[test]
    fn own_parameters_mean_what_the_datastore_says() {
        let text = "Encounter?status=finished&ward=2w";
        let refused = Criteria::parse(text, &[], Vec::new()).err().expect("it is not known");
        let refused = refused.first().expect("one mistake");
        assert!(refused.message.contains("ward") && refused.help.as_deref() == Some(OWN));
        let criteria = Criteria::parse(text, &["ward"], Vec::new()).expect("criteria");
        let resource = r#"{"resourceType":"Encounter","status":"finished",
            "location":[{"location":{"display":"2W"}}],"type":[{"text":"ICU"}]}"#;
        let meets = |registry: &Arc<Registry>| criteria.meets(resource, registry);
        let undefined = meets(&Registry::standard()).expect_err("nobody defined it");
        assert!(undefined.to_string().contains("ward"), "{undefined}");
        let by_location = with_ward("Encounter.location.location.display");
        assert_eq!(meets(&by_location), Ok(true));
        assert_eq!(meets(&with_ward("Encounter.type.text")), Ok(false));
        assert_eq!(meets(&by_location), Ok(true));
        assert!(meets(&Registry::standard()).is_err(), "it was taken away");
        let other = resource.replace("finished", "planned");
        assert_eq!(criteria.meets(&other, &by_location), Ok(false));

        let unused = Criteria::parse("Encounter", &["ward"], Vec::new()).err();
        assert!(unused.is_some_and(|all| all[0].message.contains("do not ask by it")));
        let typo = Criteria::parse("Encounter?ward=2W&stat=x", &["ward"], Vec::new()).err();
        assert!(typo.is_some_and(|all| all[0].message.contains("stat")));
    }

    #[test]
    fn mistakes_are_explained() {
        let check = |text: &str, expected: &str, nearest: Option<&str>| {
            let all = Criteria::parse(text, &[], Vec::new()).err().expect("a mistake");
            let first = all.first().expect("one");
            assert!(first.message.contains(expected), "{text}: {all:?}");
            assert_eq!(first.nearest.as_deref(), nearest, "{text}: {all:?}");
        };
        check("encounter", "begin with a type", Some("Encounter"));
        check("Encountr?status=finished", "begin with a type", Some("Encounter"));
        check("", "begin with a type", None);
        check("Encounter?statsu=x", "statsu", Some("status"));
        check("Encounter?subject:Patient.name=x", "alone", None);
        check("Encounter?_sort=date", "_sort", None);
        check("Encounter?status=finshed", "no Encounter has the code `finshed`", Some("finished"));
        check("Patient?gender=x", "no Patient has the code `x`", None);
        let both = Criteria::parse("Encounter?statsu=x&clas=IMP", &[], Vec::new()).err();
        assert_eq!(both.map(|all| all.len()), Some(2));
    }
}
