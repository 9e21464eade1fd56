//! What holds between fields.

use pipehat_message::SegmentName;

use super::condition::Condition;
use super::place::Place;

/// Where the condition holds, the demand has to be met.
#[derive(Debug, Clone)]
pub struct Rule {
    /// When; none: always.
    pub when: Option<Condition>,
    /// What then.
    pub demand: Demand,
    /// What to say when it is not met.
    pub text: Option<Box<str>>,
}

/// What a rule asks for.
#[derive(Debug, Clone)]
pub enum Demand {
    /// These have to be valued.
    Require(Vec<Place>),
    /// These must not be valued.
    Forbid(Vec<Place>),
    /// This has to hold.
    Hold(Condition),
}

impl Rule {
    /// The segment each of which it is asked of; none: it is asked once of a message.
    pub fn subject(&self) -> Option<SegmentName> {
        match &self.demand {
            Demand::Require(places) | Demand::Forbid(places) => {
                places.first().filter(|place| place.field != 0).map(|place| place.segment)
            }
            Demand::Hold(condition) => condition.subject(),
        }
    }
}
