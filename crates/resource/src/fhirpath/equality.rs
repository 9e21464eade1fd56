//! When items are equal, equivalent, or before another (N1 §6.1, §6.2), and sets by equality.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::Decimal;
use super::budget::Budget;
use super::error::EvaluationProblem;
use super::item::{Item, Scalar};
use super::quantity::Quantity;
use super::temporal::DateTime;
use crate::json::{Object, Value};

type Answer<T> = Result<T, EvaluationProblem>;

/// Below this many, pairs are compared; above, strings are hashed.
const PAIRS_MAX: usize = 8;

/// `=` of collections: in the order they stand. Nothing where it cannot be known.
pub(super) fn equal_collections(
    one: &[Item<'_>],
    two: &[Item<'_>],
    budget: &Budget,
) -> Answer<Option<bool>> {
    if one.is_empty() || two.is_empty() {
        return Ok(None);
    }
    if one.len() != two.len() {
        return Ok(Some(false));
    }
    let mut result = Some(true);
    for (one, two) in one.iter().zip(two) {
        match equal(one, two, budget)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => result = None,
        }
    }
    Ok(result)
}

/// `~` of collections: in any order.
pub(super) fn equivalent_collections(
    one: &[Item<'_>],
    two: &[Item<'_>],
    budget: &Budget,
) -> Answer<bool> {
    if one.len() != two.len() {
        return Ok(false);
    }
    let mut open: Vec<&Item<'_>> = two.iter().collect();
    for item in one {
        let mut found = None;
        for (position, other) in open.iter().enumerate() {
            if equivalent(item, other, budget)? {
                found = Some(position);
                break;
            }
        }
        match found {
            Some(position) => drop(open.swap_remove(position)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether two items are equal. Nothing where it cannot be known.
pub(super) fn equal(one: &Item<'_>, two: &Item<'_>, budget: &Budget) -> Answer<Option<bool>> {
    budget.spend(1)?;
    match (one.scalar(), two.scalar()) {
        (Some(one), Some(two)) => Ok(equal_scalars(&one, &two)),
        (None, None) => match (one, two) {
            (Item::Element(one), Item::Element(two)) => {
                let (one, two) = (one.value().or(one.sibling()), two.value().or(two.sibling()));
                match (one, two) {
                    (Some(one), Some(two)) => equal_json(one, two, budget).map(Some),
                    _ => Ok(Some(false)),
                }
            }
            (Item::Type(one), Item::Type(two)) => {
                Ok(Some(one.namespace == two.namespace && one.name == two.name))
            }
            _ => Ok(Some(false)),
        },
        _ => Ok(Some(false)),
    }
}

fn equal_scalars(one: &Scalar<'_>, two: &Scalar<'_>) -> Option<bool> {
    match (one, two) {
        (Scalar::Boolean(one), Scalar::Boolean(two)) => Some(one == two),
        (Scalar::String(one), Scalar::String(two)) => Some(one == two),
        (Scalar::Integer(one), Scalar::Integer(two)) => Some(one == two),
        _ => match order(one, two) {
            Some(order) => order.map(Ordering::is_eq),
            None => Some(false),
        },
    }
}

/// The order of two values: nothing for types that have none between them, nothing within for one that
/// cannot be known.
#[expect(clippy::option_option, reason = "no order and an unknown one are different answers")]
pub(super) fn order(one: &Scalar<'_>, two: &Scalar<'_>) -> Option<Option<Ordering>> {
    Some(match (one, two) {
        (Scalar::String(one), Scalar::String(two)) => Some(one.cmp(two)),
        (Scalar::Integer(one), Scalar::Integer(two)) => Some(one.cmp(two)),
        (Scalar::Date(one), Scalar::Date(two)) => one.compare(*two),
        (Scalar::Time(one), Scalar::Time(two)) => one.compare(*two),
        (Scalar::Date(_) | Scalar::DateTime(_), Scalar::Date(_) | Scalar::DateTime(_)) => {
            date_time(one)?.compare(date_time(two)?)
        }
        (Scalar::Quantity(one), Scalar::Quantity(two)) => one.compare(two),
        (Scalar::Quantity(one), two) => one.compare(&Quantity::of_number(number(two)?)),
        (one, Scalar::Quantity(two)) => Quantity::of_number(number(one)?).compare(two),
        _ => Some(number(one)?.compare(number(two)?)),
    })
}

fn date_time(scalar: &Scalar<'_>) -> Option<DateTime> {
    match scalar {
        Scalar::Date(date) => Some((*date).into()),
        Scalar::DateTime(value) => Some(*value),
        _ => None,
    }
}

/// The number, of an integer or a decimal.
pub(super) fn number(scalar: &Scalar<'_>) -> Option<Decimal> {
    match scalar {
        Scalar::Integer(value) => Some((*value).into()),
        Scalar::Decimal(value) => Some(*value),
        _ => None,
    }
}

/// Whether two items are equivalent: like, for a human.
pub(super) fn equivalent(one: &Item<'_>, two: &Item<'_>, budget: &Budget) -> Answer<bool> {
    budget.spend(1)?;
    match (one.scalar(), two.scalar()) {
        (Some(one), Some(two)) => Ok(equivalent_scalars(&one, &two)),
        (None, None) => match (one.json(), two.json()) {
            (Some(one), Some(two)) => equivalent_json(one, two, budget),
            _ => Ok(equal(one, two, budget)? == Some(true)),
        },
        _ => Ok(false),
    }
}

fn equivalent_scalars(one: &Scalar<'_>, two: &Scalar<'_>) -> bool {
    match (one, two) {
        (Scalar::String(one), Scalar::String(two)) => equivalent_texts(one, two),
        (Scalar::Quantity(one), Scalar::Quantity(two)) => one.is_like(two),
        _ => match (number(one), number(two)) {
            (Some(one), Some(two)) => equivalent_numbers(one, two),
            _ => equal_scalars(one, two) == Some(true),
        },
    }
}

/// To the digits of the one that has fewer.
fn equivalent_numbers(one: Decimal, two: Decimal) -> bool {
    let scale = one.scale().min(two.scale());
    one.rounded(scale).compare(two.rounded(scale)) == Ordering::Equal
}

/// Without case, and any white space as one blank.
fn equivalent_texts(one: &str, two: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .map(|character| if character.is_whitespace() { ' ' } else { character })
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    plain(one) == plain(two)
}

/// Whether two JSON values are equal as elements: numbers by their value, members in any order.
fn equal_json(one: &Value, two: &Value, budget: &Budget) -> Answer<bool> {
    budget.spend(1)?;
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => {
            Ok(match (Decimal::parse(one.as_str()), Decimal::parse(two.as_str())) {
                (Some(one), Some(two)) => one.compare(two) == Ordering::Equal,
                _ => one == two,
            })
        }
        (Value::Array(one), Value::Array(two)) => {
            if one.len() != two.len() {
                return Ok(false);
            }
            for (one, two) in one.iter().zip(two) {
                if !equal_json(one, two, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(one), Value::Object(two)) => members_match(one, two, budget, equal_json),
        _ => Ok(one == two),
    }
}

fn equivalent_json(one: &Value, two: &Value, budget: &Budget) -> Answer<bool> {
    budget.spend(1)?;
    match (one, two) {
        (Value::String(one), Value::String(two)) => Ok(equivalent_texts(one, two)),
        (Value::Number(one), Value::Number(two)) => {
            Ok(match (Decimal::parse(one.as_str()), Decimal::parse(two.as_str())) {
                (Some(one), Some(two)) => equivalent_numbers(one, two),
                _ => one == two,
            })
        }
        (Value::Array(one), Value::Array(two)) => {
            if one.len() != two.len() {
                return Ok(false);
            }
            let mut open: Vec<&Value> = two.iter().collect();
            for value in one {
                let mut found = None;
                for (position, other) in open.iter().enumerate() {
                    if equivalent_json(value, other, budget)? {
                        found = Some(position);
                        break;
                    }
                }
                match found {
                    Some(position) => drop(open.swap_remove(position)),
                    None => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Object(one), Value::Object(two)) => {
            members_match(one, two, budget, equivalent_json)
        }
        _ => Ok(one == two),
    }
}

fn members_match(
    one: &Object,
    two: &Object,
    budget: &Budget,
    alike: fn(&Value, &Value, &Budget) -> Answer<bool>,
) -> Answer<bool> {
    if one.len() != two.len() {
        return Ok(false);
    }
    for (name, value) in one.iter() {
        budget.spend(two.len() / 8)?;
        match two.get(name) {
            Some(other) if alike(value, other, budget)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether an item equals one of the collection.
pub(super) fn is_in(item: &Item<'_>, items: &[Item<'_>], budget: &Budget) -> Answer<bool> {
    for other in items {
        if equal(item, other, budget)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The collection without what is equal to an earlier item.
pub(super) fn distinct<'a>(mut items: Vec<Item<'a>>, budget: &Budget) -> Answer<Vec<Item<'a>>> {
    if items.len() > 1 {
        let marks = repeated(&items, budget)?;
        let mut marks = marks.iter();
        items.retain(|_| marks.next() == Some(&false));
    }
    Ok(items)
}

/// Which items are equal to an earlier one.
pub(super) fn repeated(items: &[Item<'_>], budget: &Budget) -> Answer<Vec<bool>> {
    let mut marks = Vec::with_capacity(items.len());
    let mut kept: Vec<&Item<'_>> = Vec::new();
    let mut texts: HashSet<&str> = HashSet::new();
    let hashes = items.len() > PAIRS_MAX;
    for item in items {
        // A string equals strings only.
        let text = if hashes { plain_text(item) } else { None };
        let is_repeated = match text {
            Some(text) => {
                budget.spend(1)?;
                !texts.insert(text)
            }
            None => {
                let mut is_repeated = false;
                for other in &kept {
                    if equal(item, other, budget)? == Some(true) {
                        is_repeated = true;
                        break;
                    }
                }
                if !is_repeated {
                    kept.push(item);
                }
                is_repeated
            }
        };
        marks.push(is_repeated);
    }
    Ok(marks)
}

/// The text of an item that is a string and nothing else.
fn plain_text<'s>(item: &'s Item<'_>) -> Option<&'s str> {
    match item.scalar()? {
        Scalar::String(text) => Some(text),
        _ => None,
    }
}
