//! FHIR for built-in modules: FHIRPath, searches on one resource, validation. Pure: nothing outside is asked, and values
//! come and go as JSON.

use std::rc::Rc;

use pipehat_resource::definitions::TypeDefinition;
use pipehat_resource::fhirpath::{Context, Expression, Item};
use pipehat_resource::json::{Object as JsonObject, Value as Json, parse};
use pipehat_resource::outcome::{Issue, operation_outcome};
use pipehat_resource::search::{
    Handling, ParameterKind, Registry, Search, SearchOptions, extract, query_pairs,
};
use pipehat_resource::validate::{
    Checks, Profile, ProfileLibrary, Wanted, validate, validate_profile,
};
use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, Object, Result};

use super::digits::digits;
use super::turn::Turn;

/// The object `fhir` of the native layer.
pub(super) fn object<'js>(ctx: &Ctx<'js>, turn: &Rc<Turn>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let t = Rc::clone(turn);
    object.set(
        "path",
        Func::from(move |ctx: Ctx<'js>, text: String, items: String, variables: String| {
            in_time(&ctx, &t)?;
            path(&t, &text, &items, &variables).or_else(|problem| fail(&ctx, &problem))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "matches",
        Func::from(move |ctx: Ctx<'js>, resource: String, of: String, query: String| {
            in_time(&ctx, &t)?;
            matches(&t, &resource, &of, &query).or_else(|problem| fail(&ctx, &problem))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "validate",
        Func::from(move |ctx: Ctx<'js>, resource: String, profile: Opt<Option<String>>| {
            in_time(&ctx, &t)?;
            let profile = profile.0.flatten();
            issues(&resource, profile.as_deref()).or_else(|problem| fail(&ctx, &problem))
        }),
    )?;
    let t = Rc::clone(turn);
    object.set(
        "digits",
        Func::from(move |text: String| {
            let found = digits(&text);
            (!found.is_empty()).then(|| {
                t.has_digits.set(true);
                Json::from(found).to_json()
            })
        }),
    )?;
    let t = Rc::clone(turn);
    object.set("hasDigits", Func::from(move || t.has_digits.get()))?;
    object
        .set("parameterKind", Func::from(|of: String, code: String| parameter_kind(&of, &code)))?;
    object.set("isResourceType", Func::from(|name: String| is_resource_type(&name)))?;
    Ok(object)
}

fn fail<T>(ctx: &Ctx<'_>, problem: &str) -> Result<T> {
    Err(Exception::throw_message(ctx, problem))
}

/// These take long without the engine looking at the clock in between.
fn in_time(ctx: &Ctx<'_>, turn: &Turn) -> Result<()> {
    if turn.is_over() { fail(ctx, "the time of this run is over") } else { Ok(()) }
}

fn read(text: &str) -> std::result::Result<Json, String> {
    parse(text.as_bytes()).map_err(|error| format!("this is no JSON of FHIR: {error}"))
}

/// One of `{ "type": …, "value": … }`.
fn item(typed: &Json) -> Option<Item<'_>> {
    let value = typed.get("value")?;
    if value.resource_type().is_some() {
        return Some(Item::resource(value));
    }
    Some(Item::element(Some(value), None, typed.text("type").unwrap_or_default()))
}

fn path(
    turn: &Turn,
    text: &str,
    items: &str,
    variables: &str,
) -> std::result::Result<String, String> {
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    let (items, variables) = (read(items)?, read(variables)?);
    let mut context = Context::new(turn.now());
    for (name, typed) in variables.as_object().into_iter().flat_map(JsonObject::iter) {
        // As `%name` has it, and as people write the name.
        let name = name.strip_prefix('%').unwrap_or(name);
        context = context.with_variable(name, item(typed).into_iter().collect());
    }
    let items: Vec<Item<'_>> =
        items.as_array().unwrap_or_default().iter().filter_map(item).collect();
    let found = expression.evaluate_on_all(&items, &context).map_err(|error| error.to_string())?;
    let found: Vec<Json> = found.iter().map(typed).collect();
    Ok(Json::from(found).to_json())
}

/// `{ "type": …, "value": … }`; types are FHIR's, also of what an expression computes.
fn typed(item: &Item<'_>) -> Json {
    let (name, value) = match item {
        Item::Element(_) => (item.type_name().unwrap_or("BackboneElement"), item.json().cloned()),
        Item::Boolean(value) => ("boolean", Some(Json::Bool(*value))),
        Item::Integer(value) => ("integer", number(&value.to_string())),
        Item::Decimal(value) => ("decimal", number(&value.to_string())),
        Item::String(text) => ("string", Some(Json::string(text.as_ref()))),
        Item::Date(date) => ("date", Some(Json::string(date.to_string()))),
        Item::DateTime(time) => ("dateTime", Some(Json::string(time.to_string()))),
        Item::Time(time) => ("time", Some(Json::string(time.to_string()))),
        Item::Quantity(quantity) => {
            let unit = Json::string(quantity.unit());
            let members = [("value", number(&quantity.value().to_string())), ("unit", Some(unit))];
            let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            ("Quantity", Some(members.collect::<JsonObject>().into()))
        }
        Item::Type(type_) => {
            let members = [
                ("namespace", Json::string(type_.namespace)),
                ("name", Json::string(type_.name.as_ref())),
            ];
            ("TypeInfo", Some(members.into_iter().collect::<JsonObject>().into()))
        }
    };
    let members = [("type", Some(Json::string(name))), ("value", value)];
    let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    members.collect::<JsonObject>().into()
}

fn number(text: &str) -> Option<Json> {
    pipehat_resource::json::Number::new(text).map(Json::Number)
}

/// Whether a resource meets a search. What the standard has no parameter for is an error: ignored, it would match all.
fn matches(
    turn: &Turn,
    resource: &str,
    resource_type: &str,
    query: &str,
) -> std::result::Result<bool, String> {
    let resource = read(resource)?;
    let registry = Registry::standard();
    let now = turn.now().as_microsecond();
    let options = SearchOptions { handling: Handling::Strict, now, ..SearchOptions::default() };
    let parsed = Search::parse(&[resource_type], &query_pairs(query), &registry, &options);
    let parsed = parsed.map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        told.join("; ")
    })?;
    let entries = extract(&resource, &registry, "", now);
    parsed.search.matches(&resource, &entries).ok_or_else(|| {
        "whether it matches depends on other resources: chains and _has are answered by a search in the datastore".to_owned()
    })
}

/// The issues of an OperationOutcome, as a JSON array.
fn issues(resource: &str, profile: Option<&str>) -> std::result::Result<String, String> {
    let resource = read(resource)?;
    let mut issues = validate(&resource, Checks::All);
    if let Some(profile) = profile {
        issues.extend(by_profile(&resource, &read(profile)?)?);
    }
    if issues.is_empty() {
        return Ok("[]".to_owned());
    }
    let outcome = operation_outcome(&issues);
    Ok(outcome.get("issue").map_or_else(|| "[]".to_owned(), Json::to_json))
}

fn by_profile(resource: &Json, profile: &Json) -> std::result::Result<Vec<Issue>, String> {
    let url = profile.text("url").ok_or("the profile has no url")?;
    Profile::read(profile).map_err(|error| format!("the profile can't be read: {error}"))?;
    let mut library = ProfileLibrary::new();
    library.add(Wanted::Profile(url.to_owned()), Some(profile));
    // Profiles and value sets that it refers to are not known here: what they say is not checked, and told so.
    Ok(validate_profile(resource, url, &library))
}

fn parameter_kind(resource_type: &str, code: &str) -> Option<&'static str> {
    let registry = Registry::standard();
    registry.find(resource_type, code).map(|parameter| match parameter.kind() {
        ParameterKind::Number => "number",
        ParameterKind::Date => "date",
        ParameterKind::String => "string",
        ParameterKind::Token => "token",
        ParameterKind::Reference => "reference",
        ParameterKind::Composite => "composite",
        ParameterKind::Quantity => "quantity",
        ParameterKind::Uri => "uri",
        ParameterKind::Special => "special",
    })
}

fn is_resource_type(name: &str) -> bool {
    TypeDefinition::named(name).is_some_and(|own| own.is_a("Resource") && !own.is_abstract())
}
