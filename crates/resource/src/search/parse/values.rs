//! Values by the kind of their parameter: prefixes, systems, references.

use super::super::date::parse_date;
use super::super::entry::ParameterKind;
use super::super::fold::fold;
use super::super::number::{ImpliedRange, parse_number};
use super::super::query::{
    Comparator, Criterion, DateRange, ReferenceCriterion, StringMatch, TokenCriterion, UriMatch,
};
use super::super::registry::Targets;
use super::Reader;
use super::escape::{split, split_once, unescape};
use super::problem::{Problem, empty, invalid, not_supported, quoted};
use crate::definitions::{CodeSystem, ValueSet};

impl Reader<'_> {
    /// What one value asks for. `text` still has its escapes.
    pub(super) fn criterion(
        &self,
        kind: ParameterKind,
        targets: &Targets,
        modifier: Option<&str>,
        text: &str,
    ) -> Result<Criterion, Problem> {
        match (kind, modifier) {
            (ParameterKind::String, _) => string(modifier, text),
            (ParameterKind::Token, _) => self.token(modifier, text).map(Criterion::Token),
            (ParameterKind::Reference, _) => {
                self.reference(targets, modifier, text).map(Criterion::Reference)
            }
            (ParameterKind::Uri, _) => uri(modifier, text),
            (
                ParameterKind::Date | ParameterKind::Number | ParameterKind::Quantity,
                Some(modifier),
            ) => Err(no_modifier(kind, modifier, ":missing")),
            (ParameterKind::Date, None) => {
                let (comparator, range) = self.date(text)?;
                Ok(Criterion::Date { comparator, range })
            }
            (ParameterKind::Number, None) => {
                let (comparator, ImpliedRange { value, low, high }) = number(text)?;
                Ok(Criterion::Number { comparator, value, low, high })
            }
            (ParameterKind::Quantity, None) => quantity(text),
            (ParameterKind::Composite | ParameterKind::Special, _) => {
                Err(not_supported("a value of this kind can't stand here"))
            }
        }
    }

    /// A prefix and a date.
    pub(super) fn date(&self, text: &str) -> Result<(Comparator, DateRange), Problem> {
        let (comparator, rest) = prefix(text);
        let range = parse_date(rest).ok_or_else(|| {
            invalid(
                "expected a date as in `2024`, `2024-03`, `2024-03-09` or `2024-03-09T10:00:00Z`, behind a prefix \
                 like `ge` if wanted (a `+` is written `%2B` in a URL)",
            )
        })?;
        if comparator != Comparator::Approximately {
            return Ok((comparator, range));
        }
        let tenth = |at: i64| self.options.now.saturating_sub(at).saturating_abs() / 10;
        let range = DateRange {
            from: range.from.saturating_sub(tenth(range.from)),
            to: range.to.saturating_add(tenth(range.to)),
        };
        Ok((comparator, range))
    }

    fn token(&self, modifier: Option<&str>, text: &str) -> Result<TokenCriterion, Problem> {
        match modifier {
            None | Some("not") => token(text),
            Some("text") => {
                let folded = fold(&unescape(text));
                if folded.is_empty() { Err(empty()) } else { Ok(TokenCriterion::Text(folded)) }
            }
            Some("of-type") => of_type(text),
            Some("in" | "not-in") => in_value_set(&unescape(text)),
            Some("below") => related(text, |system, own, asked| system.is_a(own, asked)),
            Some("above") => related(text, |system, own, asked| system.is_a(asked, own)),
            Some(modifier) => Err(no_modifier(
                ParameterKind::Token,
                modifier,
                ":missing, :not, :text, :of-type, :in, :not-in, :above, :below",
            )),
        }
    }

    fn reference(
        &self,
        targets: &Targets,
        modifier: Option<&str>,
        text: &str,
    ) -> Result<ReferenceCriterion, Problem> {
        match modifier {
            None => self.referred(targets.only(), text),
            Some("identifier") => token(text).map(ReferenceCriterion::Identifier),
            Some(named) if self.registry.is_resource_type(named) => {
                if !targets.allows(named) {
                    return Err(invalid(format!("the parameter does not refer to {named}")));
                }
                self.referred(Some(named), text)
            }
            Some("above" | "below") => {
                Err(not_supported("hierarchies of resources are not followed"))
            }
            Some(modifier) => Err(no_modifier(
                ParameterKind::Reference,
                modifier,
                ":missing, :not, :identifier, or a resource type",
            )),
        }
    }

    fn referred(&self, only: Option<&str>, text: &str) -> Result<ReferenceCriterion, Problem> {
        let (address, version) = match split_once(text, '|') {
            Some((address, version)) => (unescape(address), Some(unescape(version))),
            None => (unescape(text), None),
        };
        let base = self.options.base_url;
        let local = if base.is_empty() {
            None
        } else {
            address.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'))
        };
        let relative = local.unwrap_or(&address);
        if is_id(relative) {
            return Ok(ReferenceCriterion::Local {
                resource_type: only.map(str::to_owned),
                id: relative.to_owned(),
            });
        }
        if let Some((resource_type, id)) = relative_reference(relative)
            && self.registry.is_resource_type(resource_type)
        {
            return Ok(ReferenceCriterion::Local {
                resource_type: Some(resource_type.to_owned()),
                id: id.to_owned(),
            });
        }
        if address.contains(':') {
            return Ok(ReferenceCriterion::Url { url: address, version });
        }
        Err(invalid("expected an id, `TYPE/ID` or an absolute address"))
    }
}

/// Whether a text can be a logical id (FHIR R4 §2.24.0.1).
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// The type and the id of `TYPE/ID` or `TYPE/ID/_history/VERSION`.
pub(crate) fn relative_reference(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('/');
    let (resource_type, id) = (parts.next()?, parts.next()?);
    let rest = (parts.next(), parts.next(), parts.next());
    let form = match rest {
        (None, ..) => true,
        (Some("_history"), Some(version), None) => is_id(version),
        _ => false,
    };
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    (form && is_type && is_id(id)).then_some((resource_type, id))
}

fn no_modifier(kind: ParameterKind, modifier: &str, known: &str) -> Problem {
    not_supported(format!(
        "a {} parameter has no modifier {}; it has {known}",
        kind.code(),
        quoted(modifier)
    ))
}

/// A prefix and what follows it (FHIR R4 §3.1.1.4.3).
fn prefix(text: &str) -> (Comparator, &str) {
    text.split_at_checked(2)
        .and_then(|(prefix, rest)| Some((Comparator::of_code(prefix)?, rest)))
        .unwrap_or((Comparator::Equal, text))
}

fn number(text: &str) -> Result<(Comparator, ImpliedRange), Problem> {
    let (comparator, rest) = prefix(text);
    let range = parse_number(rest.trim(), comparator).ok_or_else(|| {
        invalid("expected a number as in `5.4` or `1e2`, behind a prefix like `gt` if wanted")
    })?;
    Ok((comparator, range))
}

fn quantity(text: &str) -> Result<Criterion, Problem> {
    let parts = split(text, '|');
    let given = |part: &&str| Some(unescape(part)).filter(|text| !text.is_empty());
    let (number_text, system, code) = match parts.as_slice() {
        [number] => (number, None, None),
        [number, system, code] => (number, given(system), given(code)),
        _ => {
            return Err(invalid(
                "expected `NUMBER`, `NUMBER|SYSTEM|CODE` or `NUMBER||UNIT`, as in `5.4|http://unitsofmeasure.org|mg`",
            ));
        }
    };
    let (comparator, ImpliedRange { value, low, high }) = number(number_text)?;
    Ok(Criterion::Quantity { comparator, value, low, high, system, code })
}

fn string(modifier: Option<&str>, text: &str) -> Result<Criterion, Problem> {
    let text = unescape(text);
    let match_by = match modifier {
        None => StringMatch::Start,
        Some("contains") => StringMatch::Contains,
        Some("exact") => return Ok(Criterion::String { match_by: StringMatch::Exact, text }),
        Some(modifier) => {
            return Err(no_modifier(
                ParameterKind::String,
                modifier,
                ":missing, :exact, :contains",
            ));
        }
    };
    let text = fold(&text);
    if text.is_empty() { Err(empty()) } else { Ok(Criterion::String { match_by, text }) }
}

fn uri(modifier: Option<&str>, text: &str) -> Result<Criterion, Problem> {
    let match_by = match modifier {
        None => UriMatch::Exact,
        Some("below") => UriMatch::Below,
        Some("above") => UriMatch::Above,
        Some("contains") => UriMatch::Contains,
        Some(modifier) => {
            return Err(no_modifier(
                ParameterKind::Uri,
                modifier,
                ":missing, :above, :below, :contains",
            ));
        }
    };
    let uri = unescape(text);
    // What begins like an OID is not below it: `urn:oid:1.22` and `urn:oid:1.2` have nothing in common.
    if matches!(match_by, UriMatch::Below | UriMatch::Above) && is_urn(&uri) {
        return Err(invalid(
            "`:above` and `:below` are for URLs, not for URNs such as `urn:oid:…` (FHIR R4 §3.1.1.4.13)",
        ));
    }
    Ok(Criterion::Uri { match_by, uri })
}

fn is_urn(uri: &str) -> bool {
    uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"))
}

/// `CODE`, `SYSTEM|CODE`, `|CODE` or `SYSTEM|` (FHIR R4 §3.1.1.4.10).
pub(super) fn token(text: &str) -> Result<TokenCriterion, Problem> {
    let Some((system, code)) = split_once(text, '|') else {
        return Ok(TokenCriterion::Code(unescape(text)));
    };
    match (unescape(system), unescape(code)) {
        (system, code) if system.is_empty() && code.is_empty() => {
            Err(invalid("expected a code, `SYSTEM|CODE`, `|CODE` or `SYSTEM|`"))
        }
        (system, code) if system.is_empty() => Ok(TokenCriterion::NoSystem(code)),
        (system, code) if code.is_empty() => Ok(TokenCriterion::System(system)),
        (system, code) => Ok(TokenCriterion::SystemCode(system, code)),
    }
}

fn of_type(text: &str) -> Result<TokenCriterion, Problem> {
    let parts: Vec<String> = split(text, '|').into_iter().map(unescape).collect();
    match parts.as_slice() {
        [type_system, type_code, value] if !type_code.is_empty() && !value.is_empty() => {
            Ok(TokenCriterion::OfType {
                type_system: type_system.clone(),
                type_code: type_code.clone(),
                value: value.clone(),
            })
        }
        _ => Err(invalid(
            "`:of-type` is `TYPE-SYSTEM|TYPE-CODE|VALUE`, as in `http://terminology.hl7.org/CodeSystem/v2-0203|MR|1`",
        )),
    }
}

/// The codes of a value set, for `:in`, `:not-in` and the operators `in` and `ni`.
pub(super) fn in_value_set(url: &str) -> Result<TokenCriterion, Problem> {
    let set = ValueSet::named(url).ok_or_else(|| {
        not_supported(
            "the server has no value set of this address, only small ones of FHIR R4 itself; list the codes with commas",
        )
    })?;
    let codes = set.codes().map(|(system, code)| (Some(system.to_owned()), code.to_owned()));
    Ok(TokenCriterion::OneOf(codes.collect()))
}

/// The codes that are related to `SYSTEM|CODE`, for `:above`, `:below` and the operators `sb` and `ss`.
pub(super) fn related(
    text: &str,
    is_related: fn(&CodeSystem, &str, &str) -> bool,
) -> Result<TokenCriterion, Problem> {
    let TokenCriterion::SystemCode(url, asked) = token(text)? else {
        return Err(invalid(
            "expected `SYSTEM|CODE`: only a code of a system has others above and below",
        ));
    };
    let known = CodeSystem::named(&url)
        .and_then(|system| system.concept(&asked).map(|_| system))
        .ok_or_else(|| {
            not_supported(
                "the server does not know this code of this system, only small systems of FHIR R4 itself; list the \
                 codes with commas",
            )
        })?;
    let codes = known
        .concepts()
        .iter()
        .filter(|own| is_related(known, own.code, &asked))
        .map(|own| (Some(url.clone()), own.code.to_owned()));
    Ok(TokenCriterion::OneOf(codes.collect()))
}
