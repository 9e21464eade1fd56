//! An expression as the parser leaves it for evaluation.

use regex::Regex;

use super::function::Function;
use super::item::{Item, System};
use super::model::Type;
use super::quantity::Quantity;
use super::temporal::{Date, DateTime, Time};
use super::{Decimal, token::Dollar};

/// A part of an expression, and the byte it begins at.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    /// `{}`.
    Empty,
    Literal(Literal),
    Variable(Box<str>),
    Dollar(Dollar),
    /// A member of the focus.
    Member(Box<str>),
    /// A capitalised name at the beginning of a path: the type of the focus, or a member.
    TypeOrMember(Box<str>, Option<Type>),
    /// The first part, and what is done to its result, one after another.
    Chain(Box<Node>, Vec<Node>),
    Call(Call),
    /// `is`, `as` and `ofType`, as operators and as functions.
    OfType(TypeOperation, TypeName),
    /// `[…]`.
    Index(Box<Node>),
    Negate(Box<Node>),
    Plus(Box<Node>),
    /// Operators of one precedence, from left to right.
    Binary(Box<Node>, Vec<(Operator, Node)>),
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) arguments: Vec<Node>,
    /// The pattern of `matches` and `replaceMatches`, where it is a literal.
    pub(super) pattern: Option<Regex>,
}

#[derive(Debug, Clone)]
pub(super) enum Literal {
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    String(Box<str>),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    Quantity(Quantity<'static>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeOperation {
    Is,
    As,
    OfType,
}

/// The name of a type, and what it names.
#[derive(Debug, Clone)]
pub(super) struct TypeName {
    pub(super) name: Box<str>,
    pub(super) target: Option<TypeTarget>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TypeTarget {
    System(System),
    Fhir(Type),
    /// A name that the namespace System does not have: nothing is of this type.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Is,
    As,
    Union,
    Greater,
    Less,
    LessOrEqual,
    GreaterOrEqual,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operator {
    /// All, by how they are written.
    pub(super) const ALL: [(&'static str, Self); 24] = [
        ("*", Self::Multiply),
        ("/", Self::Divide),
        ("div", Self::Div),
        ("mod", Self::Mod),
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("&", Self::Concatenate),
        ("is", Self::Is),
        ("as", Self::As),
        ("|", Self::Union),
        (">", Self::Greater),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("~", Self::Equivalent),
        ("!=", Self::NotEqual),
        ("!~", Self::NotEquivalent),
        ("in", Self::In),
        ("contains", Self::Contains),
        ("and", Self::And),
        ("or", Self::Or),
        ("xor", Self::Xor),
        ("implies", Self::Implies),
    ];

    /// How tightly it binds: more is tighter (N1 §6.8).
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Multiply | Self::Divide | Self::Div | Self::Mod => 10,
            Self::Add | Self::Subtract | Self::Concatenate => 9,
            Self::Is | Self::As => 8,
            Self::Union => 7,
            Self::Greater | Self::Less | Self::LessOrEqual | Self::GreaterOrEqual => 6,
            Self::Equal | Self::Equivalent | Self::NotEqual | Self::NotEquivalent => 5,
            Self::In | Self::Contains => 4,
            Self::And => 3,
            Self::Or | Self::Xor => 2,
            Self::Implies => 1,
        }
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}

impl Literal {
    pub(super) fn item(&self) -> Item<'_> {
        match self {
            Self::Boolean(value) => Item::Boolean(*value),
            Self::Integer(value) => Item::Integer(*value),
            Self::Decimal(value) => Item::Decimal(*value),
            Self::String(text) => Item::String((&**text).into()),
            Self::Date(value) => Item::Date(*value),
            Self::DateTime(value) => Item::DateTime(*value),
            Self::Time(value) => Item::Time(*value),
            Self::Quantity(value) => Item::Quantity(value.clone().into()),
        }
    }
}
