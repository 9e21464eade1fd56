//! What a resource is found by: typed values of its search parameters.

use super::exact::ExactNumber;

/// One search parameter of one resource type, or one component of a composite one. Only the registry that gave
/// it knows its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(pub u32);

/// The types of search parameters (FHIR R4 §3.1.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A number with an implicit precision.
    Number,
    /// A date, a dateTime, an instant, a Period or a Timing.
    Date,
    /// Text compared without case and accents.
    String,
    /// A code with a system, an identifier, a boolean.
    Token,
    /// A reference to a resource.
    Reference,
    /// Several parameters about one element.
    Composite,
    /// A number with a unit.
    Quantity,
    /// An address, compared letter by letter.
    Uri,
    /// A way of its own (`near`).
    Special,
}

/// One value that one parameter finds a resource by.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexEntry {
    /// Which parameter; of a composite one, which component of it.
    pub parameter: ParameterId,
    /// Which element of the resource, where several parameters speak of the same one: the components of a
    /// composite parameter match only within one instance. 0 for others.
    pub instance: u32,
    /// The value.
    pub value: IndexValue,
}

/// A value, by the parameter's type.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexValue {
    /// A text as it stands, and folded (case, accents, punctuation as the search folds what it asks for).
    String {
        /// As it stands, for `:exact`.
        exact: String,
        /// Folded, for the rest and for sorting.
        folded: String,
    },
    /// A code.
    Token(TokenValue),
    /// A reference.
    Reference {
        /// The type of the resource here that it names, or the type it claims to name.
        resource_type: Option<String>,
        /// The id of a resource here (`Patient/17`).
        id: Option<String>,
        /// What it says when it names nothing here: an absolute address, a canonical without its version, `urn:…`.
        url: Option<String>,
        /// The version of a canonical (`…|1.0`) or of a versioned reference.
        version: Option<String>,
        /// `Reference.identifier`, for `:identifier`.
        identifier: Option<TokenValue>,
    },
    /// A span of time in microseconds since 1970 (UTC), from the first to the last inclusive. Open ends are
    /// `i64::MIN` and `i64::MAX`.
    Date {
        /// The first microsecond.
        from: i64,
        /// The last microsecond.
        to: i64,
    },
    /// A number. A single one is exact, both ends the same: what its digits imply counts only in what is asked for
    /// (FHIR R4 §3.1.1.4.5), so that `100.0` finds 100. A Range has its ends; open ones are below or above all.
    Number {
        /// The double next to the number, or the middle of a range, for sorting. It is finite, and lies between the
        /// ends.
        value: f64,
        /// The lower end.
        low: ExactNumber,
        /// The upper end.
        high: ExactNumber,
    },
    /// A quantity, the number as in `Number`; of one with a comparator (`<5`) the ends are open.
    Quantity {
        /// The double next to the number.
        value: f64,
        /// The lower end.
        low: ExactNumber,
        /// The upper end.
        high: ExactNumber,
        /// The unit's system.
        system: Option<String>,
        /// The unit's code.
        code: Option<String>,
        /// The unit for people, which finds a quantity without a code.
        unit: Option<String>,
    },
    /// An address.
    Uri(String),
}

/// A code, an identifier or a boolean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenValue {
    /// The system, where one is given. A `code` element has the one its required binding says, where that is one.
    pub system: Option<String>,
    /// The code, the identifier's value, `true` or `false`. Letter by letter; a case-insensitive system folds here.
    pub code: Option<String>,
    /// What stands beside it for people (display, text, type's text), folded, for `:text`.
    pub text: Option<String>,
    /// The identifier's types as `system` and `code`, for `:of-type`.
    pub of_type: Vec<(String, String)>,
}
