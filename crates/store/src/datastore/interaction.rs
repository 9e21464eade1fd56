//! What is asked of a datastore, and what it answers.

use std::sync::Arc;

use pipehat_resource::json::Value;
use pipehat_resource::kept::{Keeps, moved_text};
use pipehat_resource::search::{Filter, Search};

/// A resource's type and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    /// The type, as the definitions spell it.
    pub resource_type: String,
    /// The logical id: 1 to 64 of `A-Z a-z 0-9 - .`.
    pub id: String,
}

/// The place of a version among all of them. The first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ChangeNumber(pub u64);

/// The JSON of a version, with its `meta.versionId` and `meta.lastUpdated`.
pub type Body = Arc<str>;

/// One version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Which resource.
    pub key: ResourceKey,
    /// The version, from 1.
    pub version: u64,
    /// When it was written, in microseconds since 1970 (UTC).
    pub last_updated: i64,
    /// Its place among all versions.
    pub change: ChangeNumber,
    /// What made it.
    pub method: Method,
    /// The JSON; `None` of a deletion.
    pub body: Option<Body>,
}

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A create.
    Post,
    /// An update, or a create by one.
    Put,
    /// A patch.
    Patch,
    /// A deletion.
    Delete,
}

/// Several interactions that are applied together.
#[derive(Debug, Clone)]
pub struct Group {
    /// In the order in which they are applied: DELETE, POST, PUT and PATCH, GET.
    pub interactions: Vec<Interaction>,
    /// The time written into `meta.lastUpdated`, in microseconds since 1970 (UTC). A store makes it later where a
    /// version of the same resource is as new.
    pub now: i64,
}

/// One thing to do. Resources come validated, but for what a patch makes of them.
#[derive(Debug, Clone)]
pub enum Interaction {
    /// A resource with an id of the caller's choice (new, random).
    Create {
        /// The resource, its `id` set.
        resource: Value,
        /// What stands already is the answer (`If-None-Exist`): none, then create; one, that; more, a refusal.
        if_none_exist: Option<Search>,
        /// In a transaction, the `fullUrl` by which others refer to it.
        full_url: Option<String>,
    },
    /// A new version, or the first one under this id.
    Update {
        /// The resource, its `id` set.
        resource: Value,
        /// What must hold.
        precondition: Precondition,
        /// What of a resource that stands there stays as it stands.
        keeps: Option<Keeps>,
        /// In a transaction, the `fullUrl` by which others refer to it.
        full_url: Option<String>,
    },
    /// A new version of the one that matches; the first of a new one where none does.
    ConditionalUpdate {
        /// What finds it.
        search: Search,
        /// The resource. Its `id`, where it has one, must be that of what is found.
        resource: Value,
        /// The id it gets when none is found and it has none.
        new_id: String,
        /// What must hold.
        precondition: Precondition,
        /// What of a resource that stands there stays as it stands.
        keeps: Option<Keeps>,
        /// In a transaction, the `fullUrl` by which others refer to it.
        full_url: Option<String>,
    },
    /// A change of what stands there.
    Patch {
        /// Which.
        key: ResourceKey,
        /// The patch: a JSON Patch, a JSON Merge Patch or a FHIRPath Patch.
        patch: Value,
        /// What must hold.
        precondition: Precondition,
    },
    /// A change of the one that matches.
    ConditionalPatch {
        /// What finds it.
        search: Search,
        /// The patch.
        patch: Value,
        /// What must hold.
        precondition: Precondition,
        /// Whether there is nothing to do where none matches; otherwise that is a refusal.
        if_found: bool,
    },
    /// A deletion. Nothing happens where it is deleted or never was.
    Delete {
        /// Which.
        key: ResourceKey,
        /// What must hold.
        precondition: Precondition,
    },
    /// A deletion of what matches.
    ConditionalDelete {
        /// What finds it.
        search: Search,
        /// Whether several may go; otherwise more than one is a refusal.
        several: bool,
        /// What must hold of each; a version, also that there is one.
        precondition: Precondition,
    },
    /// A read as part of a group.
    Read {
        /// Which.
        key: ResourceKey,
        /// Which version, where not the newest.
        version: Option<u64>,
    },
    /// A search as part of a group.
    Search(Box<SearchRequest>),
}

/// What must hold for a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-Match: W/"3"`: this is the newest version.
    Version(u64),
    /// `If-None-Match: *`: nothing stands there.
    Absent,
}

/// What became of a group.
#[derive(Debug)]
pub enum Applied {
    /// All of it, an outcome for each interaction in their order.
    Done(Vec<Outcome>),
    /// Nothing of it.
    Refused(GroupRefusal),
}

/// Which interaction of a group was refused.
#[derive(Debug)]
pub struct GroupRefusal {
    /// Which, from 0.
    pub interaction: usize,
    /// Why.
    pub refusal: Refusal,
}

/// What became of an interaction.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The first version.
    Created(StoredVersion),
    /// A new version.
    Updated(StoredVersion),
    /// It stood so already: no new version. Also what `if_none_exist` found.
    Unchanged(StoredVersion),
    /// Deleted (these; none where nothing stood there).
    Deleted(Vec<StoredVersion>),
    /// What was read; `None` where it never was, or where nothing was found that was to be changed if found.
    Read(Option<StoredVersion>),
    /// What was found.
    Found(SearchPage),
}

/// Why an interaction is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing of that id (404).
    #[error("{} does not exist", describe(.0))]
    NotFound(ResourceKey),
    /// Deleted (410).
    #[error("{} was deleted", describe(.0))]
    Gone(ResourceKey),
    /// `If-Match` names another version (412).
    #[error("{}", conflict(.key, *.expected, *.current))]
    VersionConflict {
        /// Which resource.
        key: ResourceKey,
        /// The version asked for.
        expected: u64,
        /// The newest one; 0 where there is none.
        current: u64,
    },
    /// `If-Match` asks for a version, and the condition finds nothing that could have one (412).
    #[error("If-Match asks for a resource that exists, and the condition matches none")]
    NothingToMatch,
    /// `If-None-Match: *`, and it is there (412).
    #[error("{} exists", describe(.0))]
    Exists(ResourceKey),
    /// The condition finds several (412).
    #[error("the condition matches more than one resource")]
    SeveralMatch,
    /// A conditional patch or delete finds none (404).
    #[error("the condition matches no resource")]
    NoneMatches,
    /// The resource names an id, and the condition finds another (400).
    #[error("the resource's id is not that of the resource the condition matches")]
    IdMismatch,
    /// The condition finds none, and the id that the resource names is another's (409).
    #[error("the condition matches no resource, and {} exists", describe(.0))]
    Taken(ResourceKey),
    /// A conditional reference finds none or several (412).
    #[error("the reference `{reference}` matches {matches} resources, expected one")]
    Reference {
        /// Its type and the names of its parameters, without their values.
        reference: String,
        /// How many.
        matches: usize,
    },
    /// A conditional reference is no search that can be asked (400): its type and the names of its parameters.
    #[error("the reference `{0}` is no search that can be asked")]
    Unaskable(String),
    /// The patch does not apply, or what it makes is not valid (422, or 400).
    #[error("the patch can't be applied: {0}")]
    Patch(String),
    /// What a patch made is not valid (422): the findings as an OperationOutcome.
    #[error("the result is not a valid resource")]
    Invalid(Box<Value>),
    /// A reference has to lead to the same, and the resource stands with another (422).
    #[error("{}", moved_text(.resource_type, .element))]
    Moved {
        /// The type of what would be moved.
        resource_type: String,
        /// Which reference: `subject`.
        element: String,
    },
    /// A group speaks of one resource twice (400).
    #[error("{} is changed twice by one transaction", describe(.0))]
    Twice(ResourceKey),
    /// A page is asked for that no search of ours ended at (400).
    #[error("the page can't be found; begin the search again")]
    Page,
    /// Another transaction was in the way, again and again (409).
    #[error("other changes got in the way; try again")]
    Contention,
}

fn conflict(key: &ResourceKey, expected: u64, current: u64) -> String {
    match current {
        0 => format!("{} does not exist", describe(key)),
        _ => format!("{} is at version {current}, not {expected}", describe(key)),
    }
}

fn describe(key: &ResourceKey) -> String {
    format!("{}/{}", key.resource_type, key.id)
}

/// Which versions a history shows.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Of what.
    pub scope: HistoryScope,
    /// Only versions written at or after this, in microseconds since 1970 (UTC).
    pub since: Option<i64>,
    /// Only versions that were current at some time in this span.
    pub at: Option<(i64, i64)>,
    /// Only versions before this one: where the page before ended.
    pub before: Option<ChangeNumber>,
    /// How many at most.
    pub limit: usize,
}

/// Of what a history is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// Everything.
    All,
    /// A type.
    Type(String),
    /// A resource.
    Resource(ResourceKey),
}

/// A page of a search that is asked for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The search.
    pub search: Search,
    /// What else must hold for whoever asks: the filters of a client's scopes, by resource type. A type that is
    /// not there is not shown, where the list is not empty. They bind what is included, too.
    pub visible: Vec<(String, Option<Filter>)>,
    /// How many matches at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// A page of a search.
#[derive(Debug, Clone, Default)]
pub struct SearchPage {
    /// Matches in their order, then what came along.
    pub matches: Vec<SearchMatch>,
    /// How many there are in all, where asked for or known.
    pub total: Option<u64>,
    /// Whether more would have come along than may.
    pub cut: bool,
    /// Where the next page goes on; `None` behind the last. Opaque: letters, digits, `-` and `_`.
    pub next: Option<String>,
}

/// A resource that a search shows.
#[derive(Debug, Clone)]
pub struct SearchMatch {
    /// The resource.
    pub version: StoredVersion,
    /// Whether it matched; otherwise it came along.
    pub matched: bool,
}
