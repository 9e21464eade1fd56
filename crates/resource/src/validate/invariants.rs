//! Invariants, by FHIRPath.

use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;

use super::place::Frame;
use super::structure::{Check, Scope};
use crate::definitions::{Invariant, TypeDefinition, all_types};
use crate::fhirpath::{Context, Expression, Item, Limits};
use crate::json::Value;
use crate::outcome::{Issue, IssueCode, Severity};

/// Steps that one rule takes at most on one element. Most take some tens; those about a Bundle take 25 for each of
/// its entries.
const STEPS_MAX: u64 = 2_000_000;

/// A rule, read when it is first needed.
struct Rule {
    invariant: &'static Invariant,
    expression: OnceLock<Option<Expression>>,
}

/// The rules that each type defines, by its place among the types.
static RULES: LazyLock<Vec<Vec<Rule>>> = LazyLock::new(|| {
    let rule = |invariant| Rule { invariant, expression: OnceLock::new() };
    all_types().iter().map(|own| Invariant::of(own.name()).iter().map(rule).collect()).collect()
});

impl Rule {
    fn expression(&self) -> Option<&Expression> {
        // Every expression that is carried can be read: a test reads them.
        self.expression.get_or_init(|| Expression::parse(self.invariant.expression).ok()).as_ref()
    }
}

impl Check {
    /// Checks the rules of a type, and of those it is based on, on one of its values.
    pub(super) fn invariants(
        &mut self,
        value: &Value,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
        scope: Scope<'_>,
    ) {
        let mut next = Some(definition);
        while let Some(own) = next {
            next = own.base();
            let Some(rules) = RULES.get(own.index()).filter(|rules| !rules.is_empty()) else {
                continue;
            };
            for rule in rules {
                match rule.invariant.element {
                    None => {
                        let item = Item::element(Some(value), None, definition.name());
                        self.invariant(rule, &item, place, scope);
                    }
                    Some(name) => {
                        self.invariant_of_element(rule, name, value, definition, place, scope)
                    }
                }
            }
        }
    }

    fn invariant_of_element(
        &mut self,
        rule: &'static Rule,
        name: &'static str,
        value: &Value,
        definition: &'static TypeDefinition,
        place: &Frame<'_>,
        scope: Scope<'_>,
    ) {
        let Some(element) = definition.element_named(name) else { return };
        for own in element.types() {
            let place = place.member(own.member(), name);
            for (at, value) in value.items(own.member()).iter().enumerate() {
                let item = Item::element(Some(value), None, own.code());
                let place = if element.is_list() { place.item(at) } else { place };
                self.invariant(rule, &item, &place, scope);
            }
        }
    }

    fn invariant(
        &mut self,
        rule: &'static Rule,
        item: &Item<'_>,
        place: &Frame<'_>,
        scope: Scope<'_>,
    ) {
        let Some(expression) = rule.expression() else { return };
        // None of the rules asks for the time.
        let context = Context::new(Timestamp::UNIX_EPOCH)
            .with_resource(scope.resource)
            .with_root_resource(scope.container)
            .with_limits(Limits { steps_max: STEPS_MAX, ..Limits::default() });
        let invariant = rule.invariant;
        let mut issue = match expression.test(item, &context) {
            Ok(Some(true)) => return,
            Ok(Some(false) | None) => {
                Issue::new(invariant.severity, IssueCode::Invariant, invariant.human)
            }
            Err(error) => {
                let text = format!("the rule {} can't be decided: {error}", invariant.key);
                Issue::new(Severity::Warning, IssueCode::Incomplete, text)
            }
        };
        issue.rule = Some(invariant.key);
        self.push(place, issue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::validate::{Checks, validate};

    #[test]
    fn every_expression_can_be_read() {
        for rule in RULES.iter().flatten() {
            let invariant = rule.invariant;
            if let Err(error) = Expression::parse(invariant.expression) {
                panic!("{}: {error}: {}", invariant.key, invariant.expression);
            }
        }
    }

    /// `expected`: the rules that are broken, and where.
    #[track_caller]
    fn check(json: &str, expected: &[&str]) {
        let resource = parse(json.as_bytes()).expect("it is JSON");
        let issues = validate(&resource, Checks::All);
        let found: Vec<String> = issues
            .iter()
            .map(|issue| {
                let expression = issue.expression.as_deref().unwrap_or_default();
                format!("{expression} {}", issue.rule.unwrap_or(&issue.text))
            })
            .collect();
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn broken_rules_are_found() {
        check(
            r#"{"resourceType": "Patient", "contact": [{"gender": "male"}, {"name": {"text": "x"}}]}"#,
            &["Patient.contact[0] pat-1"],
        );
        check(
            r#"{"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "x",
                "dataAbsentReason": {"text": "x"}}"#,
            &["Observation obs-6"],
        );
        check(
            r#"{"resourceType": "Encounter", "status": "planned", "class": {"code": "x"},
                "period": {"start": "2024-05-18", "end": "2024-05-17"}, "length": {"code": "min", "value": 1}}"#,
            &["Encounter.period per-1", "Encounter.length drt-1", "Encounter.length qty-3"],
        );
        check(
            r#"{"resourceType": "Patient", "telecom": [{"value": "1"}], "photo": [{"data": "QUJD"}]}"#,
            &["Patient.telecom[0] cpt-2", "Patient.photo[0] att-1"],
        );
        check(
            r#"{"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"},
                "prediction": [{"probabilityDecimal": 101}, {"probabilityRange": {"low": {"value": 1, "code": "x", "system": "y"}}}]}"#,
            &[
                "RiskAssessment.prediction[0] ras-2",
                "RiskAssessment.prediction[1].probability ras-1",
            ],
        );
        check(
            r#"{"resourceType": "Bundle", "type": "transaction", "total": 1, "entry": [{"fullUrl": "urn:x:1"}]}"#,
            &["Bundle.entry[0] bdl-5", "Bundle bdl-1", "Bundle bdl-3"],
        );
        check(
            r#"{"resourceType": "Questionnaire", "status": "draft", "name": "not a name", "item": [
                {"linkId": "1", "type": "group"}, {"linkId": "1", "type": "display", "required": true}]}"#,
            &[
                "Questionnaire.item[0] que-1",
                "Questionnaire.item[1] que-6",
                "Questionnaire que-0",
                "Questionnaire que-2",
            ],
        );
        check(
            r#"{"resourceType": "Appointment", "status": "booked", "start": "2024-05-17T08:00:00Z",
                "participant": [{"status": "accepted"}]}"#,
            &["Appointment.participant[0] app-1", "Appointment app-2", "Appointment app-3"],
        );
    }

    #[test]
    fn rules_of_contained_resources_know_their_container() {
        check(
            r##"{"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": "#p"},
                "contained": [{"resourceType": "Patient", "id": "p", "contact": [{"gender": "male"}]}]}"##,
            &["Observation.contained[0].contact[0] pat-1"],
        );
    }

    #[test]
    fn what_is_broken_in_structure_is_not_judged() {
        check(
            r#"{"resourceType": "Encounter", "status": "planned", "class": {"code": "x"},
                "period": {"start": "2024-05-18", "end": 7}}"#,
            &["Encounter.period.end expected a string in quotes"],
        );
    }

    #[test]
    fn what_is_not_there_breaks_no_rule() {
        check(
            r#"{"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"}, "prediction": [{"rationale": "x"}]}"#,
            &[],
        );
        check(r#"{"resourceType": "Questionnaire", "status": "draft"}"#, &[]);
    }

    #[test]
    fn dates_of_different_precision_break_no_rule() {
        check(
            r#"{"resourceType": "Encounter", "status": "planned", "class": {"code": "x"},
                "period": {"start": "2024-05-18", "end": "2024-05"}}"#,
            &[],
        );
    }
}
