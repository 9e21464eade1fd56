//! Quantities (FHIRPath N1 §4.1.9): a number with a UCUM unit or a calendar duration.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::Decimal;
use super::temporal::TimeUnit;
use super::ucum;
use crate::json::Value;

const UCUM: &str = "http://unitsofmeasure.org";

/// A number with a unit.
#[derive(Debug, Clone)]
pub struct Quantity<'a> {
    value: Decimal,
    unit: Unit<'a>,
}

#[derive(Debug, Clone, PartialEq)]
enum Unit<'a> {
    /// A UCUM code, or what a FHIR quantity has in place of one.
    Code(Cow<'a, str>),
    /// `4 days`: of the calendar, not so many seconds.
    Calendar(TimeUnit),
}

/// Calendar durations, by the words for one and for several.
const CALENDAR: [(TimeUnit, &str, &str, &str); 8] = [
    (TimeUnit::Year, "year", "years", "a"),
    (TimeUnit::Month, "month", "months", "mo"),
    (TimeUnit::Week, "week", "weeks", "wk"),
    (TimeUnit::Day, "day", "days", "d"),
    (TimeUnit::Hour, "hour", "hours", "h"),
    (TimeUnit::Minute, "minute", "minutes", "min"),
    (TimeUnit::Second, "second", "seconds", "s"),
    (TimeUnit::Millisecond, "millisecond", "milliseconds", "ms"),
];

impl<'a> Quantity<'a> {
    /// A number with a UCUM unit.
    pub(super) fn ucum(value: Decimal, unit: impl Into<Cow<'a, str>>) -> Self {
        Self { value, unit: Unit::Code(unit.into()) }
    }

    /// A plain number: its unit is `1`.
    pub(super) fn of_number(value: Decimal) -> Self {
        Self::ucum(value, "1")
    }

    /// A number with a calendar duration's word.
    pub(super) fn calendar(value: Decimal, word: &str) -> Option<Self> {
        let (unit, ..) =
            CALENDAR.iter().find(|(_, one, several, _)| [*one, *several].contains(&word))?;
        Some(Self { value, unit: Unit::Calendar(*unit) })
    }

    /// A FHIR Quantity: by its code, or by its unit where it has none. One with a comparator is no number (R4 §2.9.1.1).
    pub(super) fn of_fhir(quantity: &'a Value) -> Option<Self> {
        if quantity.get("comparator").is_some() {
            return None;
        }
        let value = Decimal::parse(quantity.get("value")?.as_number()?.as_str())?;
        let unit = quantity.text("code").or_else(|| quantity.text("unit")).unwrap_or("1");
        let is_calendar = quantity.text("system").is_none_or(|system| system != UCUM)
            && quantity.text("code").is_none();
        match Self::calendar(value, unit).filter(|_| is_calendar) {
            Some(calendar) => Some(calendar),
            None => Some(Self::ucum(value, unit)),
        }
    }

    /// Reads `4 days` or `5.5 'mg'` or `7`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|character: char| !(character.is_ascii_digit() || "+-.".contains(character)))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let (value, unit) = (Decimal::parse(number)?, unit.trim());
        if unit.is_empty() {
            return Some(Self::of_number(value));
        }
        match unit.strip_prefix('\'').and_then(|unit| unit.strip_suffix('\'')) {
            Some(code) if !code.is_empty() => Some(Self::ucum(value, code.to_owned())),
            Some(_) => None,
            None => Self::calendar(value, unit),
        }
    }

    /// The number.
    pub fn value(&self) -> Decimal {
        self.value
    }

    /// The unit: a UCUM code, or a calendar duration's word.
    pub fn unit(&self) -> &str {
        match &self.unit {
            Unit::Code(code) => code,
            Unit::Calendar(unit) => {
                CALENDAR.iter().find(|(own, ..)| own == unit).map_or("", |(_, one, ..)| one)
            }
        }
    }

    pub(super) fn with_value(&self, value: Decimal) -> Self {
        Self { value, unit: self.unit.clone() }
    }

    pub(super) fn into_owned(self) -> Quantity<'static> {
        let unit = match self.unit {
            Unit::Code(code) => Unit::Code(Cow::Owned(code.into_owned())),
            Unit::Calendar(unit) => Unit::Calendar(unit),
        };
        Quantity { value: self.value, unit }
    }

    /// What it adds to a date or time. The years and months of UCUM are no calendar's (N1 §6.7).
    pub(super) fn duration(&self) -> Option<TimeUnit> {
        match &self.unit {
            Unit::Calendar(unit) => Some(*unit),
            Unit::Code(code) => {
                let (unit, ..) = CALENDAR.iter().find(|(.., ucum)| *ucum == &**code)?;
                (*unit < TimeUnit::Month).then_some(*unit)
            }
        }
    }

    /// Its number in the other's unit. `None` where the one is no measure of the other.
    pub(super) fn in_unit_of(&self, other: &Quantity<'_>) -> Option<Decimal> {
        if self.unit == other.unit {
            return Some(self.value);
        }
        let months = |unit: &Unit<'_>| match unit {
            Unit::Calendar(TimeUnit::Year) => Some(12),
            Unit::Calendar(TimeUnit::Month) => Some(1),
            _ => None,
        };
        if let (Some(own), Some(others)) = (months(&self.unit), months(&other.unit)) {
            return self.value.times(Decimal::from(own))?.over(Decimal::from(others));
        }
        let (own, others) = (ucum::measure(self.definite()?)?, ucum::measure(other.definite()?)?);
        if own.dimension != others.dimension {
            return None;
        }
        self.value.times(own.factor)?.over(others.factor)
    }

    /// The UCUM code that says the same. Years and months of the calendar have none.
    fn definite(&self) -> Option<&str> {
        match &self.unit {
            Unit::Code(code) => Some(code),
            Unit::Calendar(TimeUnit::Year | TimeUnit::Month) => None,
            Unit::Calendar(unit) => {
                CALENDAR.iter().find(|(own, ..)| own == unit).map(|(.., ucum)| *ucum)
            }
        }
    }

    /// The order; nothing where the units do not measure the same.
    pub(super) fn compare(&self, other: &Quantity<'_>) -> Option<Ordering> {
        Some(self.in_unit_of(other)?.compare(other.value))
    }

    /// Whether they are alike: a calendar's year is UCUM's here (N1 §6.1.2).
    pub(super) fn is_like(&self, other: &Quantity<'_>) -> bool {
        let loose = |quantity: &Quantity<'_>| match quantity.unit {
            Unit::Calendar(unit) => {
                let code =
                    CALENDAR.iter().find(|(own, ..)| *own == unit).map_or("", |(.., ucum)| ucum);
                Quantity::ucum(quantity.value, code)
            }
            Unit::Code(_) => quantity.clone().into_owned(),
        };
        let alike = |one: &Quantity<'_>, two: &Quantity<'_>| {
            one.in_unit_of(two).is_some_and(|own| {
                let scale = own.scale().min(two.value.scale());
                own.rounded(scale).compare(two.value.rounded(scale)) == Ordering::Equal
            })
        };
        // Rounding depends on the unit: `4 'g' ~ 4040 'mg'`.
        let (one, two) = (loose(self), loose(other));
        alike(&one, &two) || alike(&two, &one)
    }

    /// The sum in the unit of the first. `None` where they do not measure the same.
    pub(super) fn plus(&self, other: &Quantity<'_>) -> Option<Self> {
        Some(self.with_value(self.value.plus(other.in_unit_of(self)?)?))
    }

    /// The product, where one of them is a plain number.
    pub(super) fn times(&self, other: &Quantity<'_>) -> Option<Quantity<'static>> {
        let value = self.value.times(other.value)?;
        let product = match (self.unit(), other.unit()) {
            (_, "1") => self.with_value(value).into_owned(),
            ("1", _) => other.with_value(value).into_owned(),
            _ => {
                let (own, others) = (self.definite()?, other.definite()?);
                let sign = if others.starts_with('/') { "" } else { "." };
                Quantity::ucum(value, format!("{own}{sign}{others}"))
            }
        };
        Some(product)
    }

    /// The quotient: a plain number for the same unit.
    pub(super) fn over(&self, other: &Quantity<'_>) -> Option<Quantity<'static>> {
        if other.unit() == "1" {
            return Some(self.with_value(self.value.over(other.value)?).into_owned());
        }
        if let Some(own) = self.in_unit_of(other) {
            return Some(Quantity::of_number(own.over(other.value)?));
        }
        // UCUM reads from left to right: a/(b/c) is a/b.c.
        let divisor: String = format!("/{}", other.definite()?)
            .chars()
            .enumerate()
            .map(|(at, sign)| match sign {
                '/' if at > 0 => '.',
                '.' => '/',
                other => other,
            })
            .collect();
        let divisor = divisor.strip_prefix("/.").map_or(divisor.clone(), |rest| format!(".{rest}"));
        let unit = format!("{}{divisor}", self.definite()?);
        Some(Quantity::ucum(self.value.over(other.value)?, unit))
    }
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Code(code) => write!(f, "{} '{code}'", self.value),
            Unit::Calendar(unit) => {
                let (one, several) = CALENDAR
                    .iter()
                    .find(|(own, ..)| own == unit)
                    .map_or(("", ""), |(_, one, several, _)| (*one, *several));
                let word = if self.value.compare(Decimal::ONE).is_eq() { one } else { several };
                write!(f, "{} {word}", self.value)
            }
        }
    }
}
