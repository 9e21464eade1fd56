//! What a search asks for, read and checked: a store has only to answer it.

use super::entry::ParameterId;
use super::exact::ExactNumber;

/// A whole search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// The types searched: one for `GET /Patient?…`, those of `_type` for a search of the whole; empty for all.
    pub resource_types: Vec<String>,
    /// What must hold, all of it.
    pub filters: Vec<Filter>,
    /// The order; empty for the order of creation.
    pub sort: Vec<SortKey>,
    /// What comes along with what is found.
    pub includes: Vec<Include>,
    /// How many are asked for; `None` for the server's own number. 0 asks only for the total.
    pub count: Option<u32>,
    /// Whether the total is wanted.
    pub total: Total,
    /// Which part of each resource is wanted.
    pub summary: Summary,
    /// `_elements`: only these, with what is mandatory.
    pub elements: Vec<String>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// One of the resource's values of `parameter` meets one of `criteria` (OR).
    Parameter {
        /// The parameter.
        parameter: ParameterId,
        /// The criteria, one of which is enough.
        criteria: Vec<Criterion>,
    },
    /// A composite: one instance meets all components of one alternative.
    Composite {
        /// For each alternative, the components with their criterion.
        alternatives: Vec<Vec<(ParameterId, Criterion)>>,
    },
    /// `:missing`.
    Missing {
        /// The parameter; of a composite one its first component, which is there only with all others.
        parameter: ParameterId,
        /// True where no value may be there.
        missing: bool,
    },
    /// `_id`: one of these.
    Id(Vec<String>),
    /// `_lastUpdated`: one of these.
    LastUpdated(Vec<(Comparator, DateRange)>),
    /// One of these types.
    Type(Vec<String>),
    /// `patient.name=…`: it refers to a resource that meets one of these.
    Chain {
        /// The reference parameter.
        reference: ParameterId,
        /// What the target meets: one entry for each type of target the rest of the chain makes sense for.
        targets: Vec<Chained>,
    },
    /// `_has:Observation:patient:code=…`: something that meets `filter` refers to it.
    Has {
        /// The type of what refers.
        resource_type: String,
        /// Its reference parameter.
        reference: ParameterId,
        /// What it meets.
        filter: Box<Filter>,
    },
    /// `_text`: words in the narrative. `_content`: words anywhere.
    FullText {
        /// True for the whole resource, false for the narrative.
        whole: bool,
        /// The words, folded; all must occur.
        words: Vec<String>,
    },
    /// In a compartment: it is the resource itself, or one of these parameters refers to it.
    Compartment {
        /// The type of the compartment's resource.
        resource_type: String,
        /// Its id.
        id: String,
        /// For each searched type the parameters that make it a member.
        parameters: Vec<ParameterId>,
    },
    /// All of them.
    All(Vec<Filter>),
    /// One of them.
    Any(Vec<Filter>),
    /// Not that.
    Not(Box<Filter>),
}

/// The end of one step of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Chained {
    /// The type of the target.
    pub resource_type: String,
    /// What it meets.
    pub filter: Filter,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Criterion {
    /// Text.
    String {
        /// How it is compared.
        match_by: StringMatch,
        /// Folded, but for `Exact`.
        text: String,
    },
    /// A code.
    Token(TokenCriterion),
    /// A reference.
    Reference(ReferenceCriterion),
    /// A time.
    Date {
        /// The prefix.
        comparator: Comparator,
        /// The span that the value's digits mean.
        range: DateRange,
    },
    /// A number.
    Number {
        /// The prefix.
        comparator: Comparator,
        /// The number.
        value: ExactNumber,
        /// The lower end of what its digits mean, inclusive.
        low: ExactNumber,
        /// The upper end, exclusive.
        high: ExactNumber,
    },
    /// A quantity.
    Quantity {
        /// The prefix.
        comparator: Comparator,
        /// The number.
        value: ExactNumber,
        /// The lower end of what its digits mean.
        low: ExactNumber,
        /// The upper end.
        high: ExactNumber,
        /// The unit's system, where one is asked for.
        system: Option<String>,
        /// The unit's code (with a system), or its code or name (without).
        code: Option<String>,
    },
    /// An address.
    Uri {
        /// How it is compared.
        match_by: UriMatch,
        /// The address.
        uri: String,
    },
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringMatch {
    /// It begins so, folded.
    Start,
    /// It holds it, folded.
    Contains,
    /// It ends so, folded (`ew` of `_filter`).
    End,
    /// It is the same, folded (`eq` of `_filter`).
    Equal,
    /// Letter by letter.
    Exact,
}

/// How addresses are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriMatch {
    /// The same.
    Exact,
    /// `:below`: it begins with it.
    Below,
    /// `:above`: what is asked for begins with it.
    Above,
    /// `:contains`.
    Contains,
}

/// What a token is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCriterion {
    /// `code`: of any system.
    Code(String),
    /// `system|code`.
    SystemCode(String, String),
    /// `|code`: without a system.
    NoSystem(String),
    /// `system|`: any code of it.
    System(String),
    /// `:text`: what stands beside it begins so (folded).
    Text(String),
    /// `:of-type=system|code|value`.
    OfType {
        /// The system of the identifier's type.
        type_system: String,
        /// The code of the identifier's type.
        type_code: String,
        /// The identifier's value.
        value: String,
    },
    /// `:in`, `:not-in`, `:above`, `:below` once expanded: one of these codes.
    OneOf(Vec<(Option<String>, String)>),
}

/// What a reference is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceCriterion {
    /// A resource here, of a type where one is known.
    Local {
        /// The type; `None` where only the id was given.
        resource_type: Option<String>,
        /// The id.
        id: String,
    },
    /// Another address or a canonical, perhaps with a version.
    Url {
        /// The address.
        url: String,
        /// The version asked for.
        version: Option<String>,
    },
    /// `:identifier`.
    Identifier(TokenCriterion),
}

/// A prefix (FHIR R4 §3.1.1.4.3).
///
/// With `c` for what is asked for and `e` for a value of the resource, dates compare so: eq `c.from <= e.from &&
/// e.to <= c.to`; ne its opposite; gt `e.to > c.to`; lt `e.from < c.from`; ge and le also eq; sa `e.from > c.to`;
/// eb `e.to < c.from`; ap `e.from <= c.to && e.to >= c.from`.
///
/// Numbers: eq `c.low <= e.low && e.high < c.high`; ne its opposite; gt `e.high > c.value`; lt `e.low < c.value`; ge
/// `e.high >= c.value`; le `e.low <= c.value`; sa `e.low > c.value`; eb `e.high < c.value`; ap `e.low <= c.high &&
/// e.high >= c.low`.
///
/// For ap, what is asked for comes widened by a tenth already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `eq`.
    Equal,
    /// `ne`.
    NotEqual,
    /// `gt`.
    Greater,
    /// `lt`.
    Less,
    /// `ge`.
    GreaterOrEqual,
    /// `le`.
    LessOrEqual,
    /// `sa`.
    StartsAfter,
    /// `eb`.
    EndsBefore,
    /// `ap`.
    Approximately,
}

/// A span of time in microseconds since 1970 (UTC), both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    /// The first microsecond.
    pub from: i64,
    /// The last microsecond.
    pub to: i64,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// What it sorts by.
    pub by: SortBy,
    /// Greatest first.
    pub descending: bool,
}

/// What an order goes by. A resource with several values goes by its least (ascending) or greatest
/// (descending); one without goes last.
#[derive(Debug, Clone, PartialEq)]
pub enum SortBy {
    /// `_id`.
    Id,
    /// `_lastUpdated`.
    LastUpdated,
    /// A parameter; one for each searched type.
    Parameter(Vec<ParameterId>),
}

/// What comes along.
#[derive(Debug, Clone, PartialEq)]
pub struct Include {
    /// `_include` or `_revinclude`.
    pub direction: IncludeDirection,
    /// `:iterate`: also for what was included.
    pub iterate: bool,
    /// The type whose references are followed.
    pub source: String,
    /// Its reference parameters; several for `*`.
    pub references: Vec<ParameterId>,
    /// Only targets of this type.
    pub target: Option<String>,
}

/// Which way references are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeDirection {
    /// `_include`.
    Forward,
    /// `_revinclude`.
    Reverse,
}

/// `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Whatever costs nothing: given when the first page holds all.
    #[default]
    IfKnown,
    /// None.
    None,
    /// Near enough.
    Estimate,
    /// Exactly.
    Accurate,
}

/// `_summary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Summary {
    /// All of it.
    #[default]
    False,
    /// The elements marked for summaries.
    True,
    /// Text, id, meta and mandatory elements.
    Text,
    /// All but the text.
    Data,
    /// Only how many.
    Count,
}
