//! What a step may ask of the outside, and the record of what it was told.
//!
//! Processing is a function of (bytes, revision, effects): the clock, randomness and every
//! look-up come in through [`Effects`] and nowhere else. Live, an effect is performed and
//! recorded; replayed, it is answered from the record.
//!
//! A lookup takes its time, and a program does not wait: where the answer is not known yet, the run ends, and is done
//! again from the beginning once the answer is there, with all that was asked before answered from the record.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pipehat_connectors::Found;

/// What steps ask of the outside.
pub trait Effects {
    /// The time, for steps that write it.
    fn now(&mut self) -> Timestamp;

    /// A control id (MSH-10) no other message of this installation carries.
    fn control_id(&mut self) -> String;

    /// What a search finds; none where that is not known yet: then the run ends, and is done again when it is.
    fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer>;
}

/// A search that a step asks for. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub struct LookupRequest {
    /// Which of the channel's lookups asks, from 0.
    pub lookup: u16,
    /// The type of resource.
    pub resource_type: Arc<str>,
    /// What must hold of it, as the query of a URL.
    pub query: Arc<str>,
    /// What is sent along: the message that a bot runs on. The question is known by its hash.
    pub body: Bytes,
}

impl LookupRequest {
    /// The search as it is recorded: `Patient?identifier=…`.
    pub fn search(&self) -> String {
        if self.body.is_empty() {
            return format!("{}?{}", self.resource_type, self.query);
        }
        let hash = xxhash_rust::xxh3::xxh3_128(&self.body);
        format!("{}?{}#{hash:032x}", self.resource_type, self.query)
    }
}

impl fmt::Debug for LookupRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LookupRequest")
            .field("lookup", &self.lookup)
            .field("resource_type", &self.resource_type)
            .finish_non_exhaustive()
    }
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupAnswer {
    /// It was answered.
    Found(Found),
    /// It was refused, or given up.
    Refused {
        /// Where and why, without values.
        detail: String,
    },
}

/// One effect as it happened. `Debug` shows no value that a lookup was asked for.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// The clock was read.
    Now(Timestamp),
    /// A control id was made.
    ControlId(String),
    /// Something was searched.
    Lookup {
        /// The search: `Patient?identifier=…`.
        search: String,
        /// What came of it.
        answer: LookupAnswer,
    },
}

impl fmt::Debug for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(now) => formatter.debug_tuple("Now").field(now).finish(),
            Self::ControlId(id) => formatter.debug_tuple("ControlId").field(id).finish(),
            Self::Lookup { answer, .. } => {
                formatter.debug_struct("Lookup").field("answer", answer).finish_non_exhaustive()
            }
        }
    }
}

/// Answers from the record as far as that goes; performs and records what follows.
#[derive(Debug)]
pub struct Recording<E> {
    inner: E,
    effects: Vec<Effect>,
    /// How many of them have been asked for.
    asked: usize,
}

impl<E: Effects> Recording<E> {
    /// Performs by `inner`, and records.
    pub fn new(inner: E) -> Self {
        Self::after(Vec::new(), inner)
    }

    /// Answers from these, in their order; performs by `inner` from where something else is asked.
    pub fn after(known: Vec<Effect>, inner: E) -> Self {
        Self { inner, effects: known, asked: 0 }
    }

    /// What was asked and answered, in order.
    pub fn into_effects(mut self) -> Vec<Effect> {
        self.effects.truncate(self.asked);
        self.effects
    }

    /// The next of the known effects, where it is what is asked now; none ends the record.
    fn known<T>(&mut self, is_asked: impl FnOnce(&Effect) -> Option<T>) -> Option<T> {
        let answer = self.effects.get(self.asked).and_then(is_asked);
        if answer.is_some() {
            self.asked += 1;
        } else {
            self.effects.truncate(self.asked);
        }
        answer
    }

    fn record(&mut self, effect: Effect) {
        self.effects.push(effect);
        self.asked += 1;
    }
}

impl<E: Effects> Effects for Recording<E> {
    fn now(&mut self) -> Timestamp {
        let known = self.known(|effect| match effect {
            Effect::Now(now) => Some(*now),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let now = self.inner.now();
            self.record(Effect::Now(now));
            now
        })
    }

    fn control_id(&mut self) -> String {
        let known = self.known(|effect| match effect {
            Effect::ControlId(id) => Some(id.clone()),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let id = self.inner.control_id();
            self.record(Effect::ControlId(id.clone()));
            id
        })
    }

    fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
        let search = request.search();
        let known = self.known(|effect| match effect {
            Effect::Lookup { search: known, answer } if *known == search => Some(answer.clone()),
            _ => None,
        });
        if known.is_some() {
            return known;
        }
        let answer = self.inner.lookup(request)?;
        self.record(Effect::Lookup { search, answer: answer.clone() });
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what it is asked for, and knows the answer to searches of one type.
    struct Counting(u32);

    impl Effects for Counting {
        fn now(&mut self) -> Timestamp {
            self.0 += 1;
            Timestamp::UNIX_EPOCH
        }

        fn control_id(&mut self) -> String {
            self.0 += 1;
            format!("ID{}", self.0)
        }

        fn lookup(&mut self, request: &LookupRequest) -> Option<LookupAnswer> {
            self.0 += 1;
            let known = &*request.resource_type == "Patient";
            known.then_some(LookupAnswer::Found(Found::Nothing))
        }
    }

    fn request(resource_type: &str) -> LookupRequest {
        LookupRequest {
            lookup: 0,
            resource_type: resource_type.into(),
            query: "a=SECRET".into(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn what_was_told_is_told_again_and_not_asked_again() {
        let mut first = Recording::new(Counting(0));
        let id = first.control_id();
        assert!(first.lookup(&request("Patient")).is_some());
        first.now();
        assert_eq!(first.lookup(&request("Encounter")), None);
        let effects = first.into_effects();
        assert_eq!(effects.len(), 3, "what is not answered is not recorded");

        let mut again = Recording::after(effects.clone(), Counting(0));
        assert_eq!(again.control_id(), id);
        again.lookup(&request("Patient"));
        again.now();
        assert_eq!(again.inner.0, 0);
        assert_eq!(again.into_effects(), effects);
    }

    #[test]
    fn what_is_asked_otherwise_is_asked_anew() {
        let mut first = Recording::new(Counting(0));
        first.control_id();
        first.lookup(&request("Patient"));
        first.now();
        let mut other = Recording::after(first.into_effects(), Counting(10));
        other.control_id();
        let changed = LookupRequest { query: "b=1".into(), ..request("Patient") };
        other.lookup(&changed);
        other.now();
        assert_eq!(other.inner.0, 12, "from the change on nothing is taken from the record");
        assert_eq!(other.into_effects().len(), 3);
    }

    #[test]
    fn debug_shows_no_value() {
        let search = request("Patient").search();
        let resource = bytes::Bytes::from_static(b"SECRET");
        let answer = LookupAnswer::Found(Found::One(resource));
        let text = format!("{:?} {:?}", request("Patient"), Effect::Lookup { search, answer });
        assert!(text.contains("Patient") && !text.contains("SECRET"), "{text}");
    }
}
