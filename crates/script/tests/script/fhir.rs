//! What `@medplum/core` does with FHIR by the datastore's own means: FHIRPath, searches on one resource, validation.

use pipehat_script::Output;

use crate::host::{run, text};

/// What an expression over `@medplum/core` gives, as JSON; what it throws, as it is.
fn shown(expression: &str) -> String {
    let source = format!(
        "import {{ evalFhirPath, evalFhirPathTyped, formatSearchQuery, isResourceType, matchesSearchRequest, OperationOutcomeError, parseSearchRequest, toTypedValue, validateResource, validateResourceType }} from '@medplum/core';\n\
         export const handler = (): unknown => {{\n\
           const used = [evalFhirPath, evalFhirPathTyped, formatSearchQuery, isResourceType, matchesSearchRequest, OperationOutcomeError, parseSearchRequest, toTypedValue, validateResource, validateResourceType];\n\
           return [{expression}, used.length];\n\
         }};"
    );
    match run(&source, &text("")) {
        Ok(Output::Json(text)) => text[1..text.len() - 4].to_owned(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.message,
    }
}

#[track_caller]
fn check(expression: &str, expected: &str) {
    assert_eq!(shown(expression), expected, "{expression}");
}

#[track_caller]
fn check_part(expression: &str, part: &str) {
    let shown = shown(expression);
    assert!(shown.contains(part), "{expression}: {shown}");
}

const PATIENT: &str = "{ resourceType: 'Patient', id: '1', active: true, birthDate: '1980-02-03', name: [{ family: 'Muster', given: ['Eva', 'Maria'] }, { family: 'Vor', use: 'maiden' }], _gender: { extension: [{ url: 'x', valueCode: 'y' }] } }";

#[test]
fn fhirpath_is_the_datastores() {
    let on = |path: &str| format!("evalFhirPath(\"{path}\", {PATIENT})");
    check(&on("name.family"), r#"["Muster","Vor"]"#);
    check(&on("Patient.name.where(use = 'maiden').family"), r#"["Vor"]"#);
    check(&on("name.first()"), r#"[{"family":"Muster","given":["Eva","Maria"]}]"#);
    check(&on("name.count() + 1"), "[3]");
    check(&on("birthDate < @1990-01-01 and active"), "[true]");
    check(&on("4 'mg'"), r#"[{"value":4,"unit":"mg"}]"#);
    check(&on("nosuch"), "[]");
    check("evalFhirPath('$this', 'text')", r#"["text"]"#);
    check("evalFhirPath('value > 3', { value: 4, unit: 'mg' })", "[true]");
    check(
        &format!("evalFhirPath('name.family', [{PATIENT}, {PATIENT}])"),
        r#"["Muster","Vor","Muster","Vor"]"#,
    );
    check("evalFhirPath('count()', [1, 2, 3])", "[3]");
    check("evalFhirPath('name', [])", "[]");
    check("evalFhirPath('name', undefined)", "[]");
    check(
        &format!("evalFhirPathTyped('birthDate', [toTypedValue({PATIENT})])"),
        r#"[{"type":"date","value":"1980-02-03"}]"#,
    );
    check(
        &format!("evalFhirPathTyped('gender', [toTypedValue({PATIENT})])"),
        r#"[{"type":"code"}]"#,
    );
    check(
        "evalFhirPathTyped('%limit + 1', [], { '%limit': { type: 'integer', value: 6 } })",
        r#"[{"type":"integer","value":7}]"#,
    );
    check(
        "(() => { try { return evalFhirPath('name.where(', {}) } catch (error: any) { return error instanceof Error } })()",
        "true",
    );
}

#[test]
fn searches_are_held_against_a_resource() {
    let matches = |query: &str| {
        format!("matchesSearchRequest({PATIENT} as any, parseSearchRequest('Patient?{query}'))")
    };
    check(&matches("active=true"), "true");
    check(&matches("family=mus"), "true");
    check(&matches("family:exact=mus"), "false");
    check(&matches("birthdate=ge1980-01-01&birthdate=lt1981-01-01"), "true");
    check(&matches("gender:missing=false"), "false");
    check(&matches("_count=1&_sort=-birthdate"), "true");
    check(
        &format!(
            "matchesSearchRequest({PATIENT} as any, parseSearchRequest('Encounter?status=x'))"
        ),
        "false",
    );
    let told = |query: &str| {
        format!(
            "(() => {{ try {{ return {} }} catch (e: any) {{ return e.message }} }})()",
            matches(query)
        )
    };
    check_part(&told("nosuch=1"), "has no search parameter `nosuch`");
    check_part(&told("organization.name=x"), "depends on other resources");
    check(
        "parseSearchRequest('https://x/fhir/R4/Observation?date=gt2020&code:in=a&_sort=-date,code&_count=5&_include:iterate=Observation:subject')",
        r#"{"resourceType":"Observation","filters":[{"code":"date","operator":"gt","value":"2020"},{"code":"code","operator":"in","value":"a"}],"sortRules":[{"code":"date","descending":true},{"code":"code"}],"count":5,"include":[{"resourceType":"Observation","searchParam":"subject","modifier":"iterate"}]}"#,
    );
    check(
        "parseSearchRequest('Patient', { name: ['a b', 'gt1'], _count: '3' })",
        r#"{"resourceType":"Patient","filters":[{"code":"name","operator":"eq","value":"a b"},{"code":"name","operator":"eq","value":"gt1"}],"count":3}"#,
    );
    let query = "name=a%2Cb&birthdate=ge2020&name%3Aexact=c&_sort=-name&_count=3&_include%3Aiterate=Patient%3Alink";
    check(
        &format!("formatSearchQuery(parseSearchRequest('Patient?{query}'))"),
        &format!("\"?{query}\""),
    );
    check("formatSearchQuery({ resourceType: 'Patient' })", "\"\"");
}

#[test]
fn resources_are_validated() {
    check("validateResource({ resourceType: 'Patient', gender: 'female' } as any)", "[]");
    let told = "(() => { try { return validateResource({ resourceType: 'Patient', gender: 'x', nme: 1 } as any) } catch (e: any) { return [e instanceof OperationOutcomeError, e.outcome.issue.map((it: any) => it.expression[0])] } })()";
    check(told, r#"[true,["Patient.gender","Patient.nme"]]"#);
    let profile = "{ resourceType: 'StructureDefinition', url: 'https://example.org/p', name: 'P', status: 'active', kind: 'resource', abstract: false, type: 'Patient', baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Patient', derivation: 'constraint', snapshot: { element: [{ id: 'Patient', path: 'Patient' }, { id: 'Patient.birthDate', path: 'Patient.birthDate', min: 1, max: '1' }] } }";
    check_part(
        &format!(
            "(() => {{ try {{ return validateResource({{ resourceType: 'Patient' }} as any, {{ profile: {profile} as any }}) }} catch (e: any) {{ return JSON.stringify(e.outcome) }} }})()"
        ),
        "birthDate",
    );
    check(
        "[isResourceType('Patient'), isResourceType('HumanName'), isResourceType('Resource')]",
        "[true,false,false]",
    );
    check(
        "(() => { try { validateResourceType('Patint') } catch (e: any) { return e.message } })()",
        "\"Unknown resource type\"",
    );
}
