//! Conditions on a message: small, total, compiled once.
//!
//! ```text
//! MSH-9.1 = "ADT" and MSH-9.2 in ["A01", "A04"]       PID-3[2].1 exists      ZPI exists
//! any(OBX-8) in ["HH", "LL"]                          PV1-44 is empty        PID-30 is null
//! OBX-5 > 7.5 and not (PV1-2 = "O")                   PID-3.1 matches "^\d{7}$"
//! fhir.change = "delete"                              header("X-Site") = "north"
//! upper(PID-5.1) starts with "MC"                     peer.address = "10.0.0.7"
//! ```
//!
//! * A place that is absent, empty or `""` has no value, and every comparison with it is false,
//!   `!=` and `not in` as well. `exists`, `is empty` and `is null` tell the three apart.
//! * `<`, `<=`, `>`, `>=` compare numbers when both sides are numbers, and text otherwise. `=`,
//!   `!=` and `in` compare text, because `007` and `7` are different identifiers, except where
//!   one side is a number without quotes or a count.
//! * `any(PATH)` holds when the comparison holds for one of the places the path matches, `all`
//!   when there is one and it holds for each. Inside them what a path does not number means every
//!   one: `any(OBX-8)` is every OBX, `any(PID-3.4)` every repetition of PID-3.
//! * `matches` looks for the pattern anywhere in the value; `^` and `$` tie it to the ends. It
//!   takes time in proportion to the value, whatever the pattern.
//! * Evaluating never fails.

use pipehat_message::Value;

use super::decimal::Decimal;
use super::facts::Fact;
use super::function::Function;
use super::reference::Reference;
use super::view::View;

/// A condition.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    Constant(bool),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    /// One subject, tested.
    Test {
        subject: Operand,
        test: Test,
    },
    /// Something is said about the place itself, not its value.
    Place {
        reference: Reference,
        quantifier: Quantifier,
        is: PlaceTest,
    },
}

/// Which of the places a path matches must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    First,
    Any,
    All,
}

/// What stands on one side of a comparison.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Path(Reference, Quantifier),
    Text(Box<str>),
    Number(Box<str>),
    Fact(Fact),
    Call(Function, Box<[Operand]>),
    /// How many places a path matches.
    Count(Reference),
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Compare(Comparison, Operand),
    In {
        list: Box<[Operand]>,
        negated: bool,
    },
    Matches(regex::Regex),
    Contains(Operand),
    StartsWith(Operand),
    EndsWith(Operand),
    /// There is a value.
    Valued {
        negated: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceTest {
    Exists,
    Empty,
    Null,
}

impl Expression {
    /// Whether it holds for the message as `view` shows it.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Self::Constant(constant) => *constant,
            Self::And(all) => all.iter().all(|expression| expression.holds(view)),
            Self::Or(any) => any.iter().any(|expression| expression.holds(view)),
            Self::Not(expression) => !expression.holds(view),
            Self::Place { reference, quantifier, is } => is.holds(reference, *quantifier, view),
            Self::Test { subject, test } => test.holds(subject, view),
        }
    }
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LooksAt {
    /// A place in the message.
    pub(super) message: bool,
    /// What happened to a resource.
    pub(super) change: bool,
}

impl Expression {
    /// What it looks at.
    pub(super) fn looks_at(&self) -> LooksAt {
        let mut looks_at = LooksAt::default();
        self.look(&mut looks_at);
        looks_at
    }

    fn look(&self, at: &mut LooksAt) {
        match self {
            Self::Constant(_) => {}
            Self::And(inner) | Self::Or(inner) => inner.iter().for_each(|one| one.look(at)),
            Self::Not(inner) => inner.look(at),
            Self::Place { .. } => at.message = true,
            Self::Test { subject, test } => {
                subject.look(at);
                match test {
                    Test::Compare(_, operand)
                    | Test::Contains(operand)
                    | Test::StartsWith(operand)
                    | Test::EndsWith(operand) => operand.look(at),
                    Test::In { list, .. } => list.iter().for_each(|one| one.look(at)),
                    Test::Matches(_) | Test::Valued { .. } => {}
                }
            }
        }
    }
}

impl PlaceTest {
    fn holds(self, reference: &Reference, quantifier: Quantifier, view: &View<'_>) -> bool {
        let path = reference.at(view.current);
        let mut values = view.message.values(&path);
        match quantifier {
            Quantifier::First => self.of(values.next()),
            Quantifier::Any => values.any(|value| self.of(Some(value))),
            Quantifier::All => {
                let mut values = values.peekable();
                values.peek().is_some() && values.all(|value| self.of(Some(value)))
            }
        }
    }

    fn of(self, value: Option<Value<'_>>) -> bool {
        let filled = value.filter(|value| !value.is_empty());
        match self {
            Self::Exists => filled.is_some_and(|value| !value.is_null()),
            Self::Empty => filled.is_none(),
            Self::Null => filled.is_some_and(|value| value.is_null()),
        }
    }
}

impl Test {
    fn holds(&self, subject: &Operand, view: &View<'_>) -> bool {
        let counts = subject.is_number();
        match subject {
            Operand::Path(reference, Quantifier::Any) => {
                let path = reference.at(view.current);
                view.message
                    .values(&path)
                    .any(|value| self.of(view.value_text(value).as_deref(), counts, view))
            }
            Operand::Path(reference, Quantifier::All) => {
                let path = reference.at(view.current);
                let mut values = view.message.values(&path).peekable();
                values.peek().is_some()
                    && values.all(|value| self.of(view.value_text(value).as_deref(), counts, view))
            }
            Operand::Path(_, Quantifier::First)
            | Operand::Text(_)
            | Operand::Number(_)
            | Operand::Fact(_)
            | Operand::Call(..)
            | Operand::Count(_) => self.of(view.text(subject).as_deref(), counts, view),
        }
    }

    fn of(&self, value: Option<&str>, counts: bool, view: &View<'_>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Valued { negated: true });
        };
        let other = |operand: &Operand, holds: fn(&str, &str) -> bool| {
            view.text(operand).is_some_and(|other| holds(value, &other))
        };
        match self {
            Self::Valued { negated } => !negated,
            Self::Compare(comparison, operand) => view.text(operand).is_some_and(|other| {
                comparison.holds(value, &other, counts || operand.is_number())
            }),
            Self::In { list, negated } => {
                let found = list.iter().any(|operand| {
                    view.text(operand).is_some_and(|other| {
                        Comparison::Equal.holds(value, &other, counts || operand.is_number())
                    })
                });
                found != *negated
            }
            Self::Matches(regex) => regex.is_match(value),
            Self::Contains(operand) => other(operand, |value, other| value.contains(other)),
            Self::StartsWith(operand) => other(operand, |value, other| value.starts_with(other)),
            Self::EndsWith(operand) => other(operand, |value, other| value.ends_with(other)),
        }
    }
}

impl Comparison {
    /// `numbers`: one side is a number as such, so that equality is that of numbers, too.
    fn holds(self, left: &str, right: &str, numbers: bool) -> bool {
        let by_number = match self {
            Self::Equal | Self::NotEqual => numbers,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => true,
        };
        let as_numbers = by_number
            .then(|| Some(Decimal::parse(left)?.compare(&Decimal::parse(right)?)))
            .flatten();
        let ordering = as_numbers.unwrap_or_else(|| left.cmp(right));
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Operand {
    fn look(&self, at: &mut LooksAt) {
        match self {
            Self::Path(..) | Self::Count(_) => at.message = true,
            Self::Fact(Fact::Change(_)) => at.change = true,
            Self::Call(_, arguments) => arguments.iter().for_each(|one| one.look(at)),
            Self::Text(_) | Self::Number(_) | Self::Fact(_) => {}
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Self::Number(_) | Self::Count(_) => true,
            Self::Call(function, _) => *function == Function::Length,
            Self::Path(..) | Self::Text(_) | Self::Fact(_) => false,
        }
    }

    /// Whether it is the same for every message.
    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Self::Text(_) | Self::Number(_) => true,
            Self::Call(_, arguments) => arguments.iter().all(Self::is_fixed),
            Self::Path(..) | Self::Fact(_) | Self::Count(_) => false,
        }
    }
}
