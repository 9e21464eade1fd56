//! What a search asks for ([`Search`]), and what a resource is found by ([`IndexEntry`]).
//!
//! Both speak of search parameters by [`ParameterId`]: a number for one parameter of one resource type,
//! good for as long as the registry that gave it. A store keeps its own lasting numbers and finds them by
//! the parameter's names.

mod codes;
mod date;
mod entry;
mod exact;
mod extract;
mod fold;
mod matching;
mod number;
mod parse;
mod phonetic;
mod query;
mod registry;

pub use codes::ImpossibleCode;
pub use date::parse_date;
pub use entry::{IndexEntry, IndexValue, ParameterId, ParameterKind, TokenValue};
pub use exact::{DIGITS_MAX, ExactNumber, has_long_number};
pub use extract::{ENTRIES_MAX, extract};
pub use fold::fold;
pub use matching::full_text;
pub use parse::{
    ALTERNATIVES_MAX, CHAIN_STEPS_MAX, CONDITIONS_MAX, Handling, NAME_BYTES_MAX, PARAMETERS_MAX,
    ParsedSearch, ProblemKind, SearchOptions, SearchProblem, VALUE_BYTES_MAX, VALUES_MAX,
    query_pairs, query_text, query_value,
};
pub use query::{
    Chained, Comparator, Criterion, DateRange, Filter, Include, IncludeDirection,
    ReferenceCriterion, Search, SortBy, SortKey, StringMatch, Summary, TokenCriterion, Total,
    UriMatch,
};
pub use registry::{
    Component, Parameter, ParameterNames, ParameterRefused, Registry, Targets, leads_nowhere,
};
