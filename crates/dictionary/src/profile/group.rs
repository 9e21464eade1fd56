//! What a profile says about segment groups, and about segments and fields where they stand in one.

use std::collections::BTreeMap;
use std::fmt;

use pipehat_message::{Occurrence, Path, SegmentName};

use super::constraint::{Profile, SegmentConstraint, UsageConstraint};
use super::place::Place;
use crate::element::Cardinality;
use crate::group_path::{GroupPathProblem, cardinality_on_way, check_group_path};
use crate::structure::Structure;

/// The names of the groups from the message down to one, as in `/PATIENT_RESULT/ORDER_OBSERVATION`.
///
/// As in paths, a group that does not stand directly in the one before stands anywhere within it: `/ORDER_OBSERVATION`
/// needs no `/PATIENT_RESULT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupWay(Box<[Box<str>]>);

/// What is said about a segment group.
#[derive(Debug, Clone, Default)]
pub struct GroupConstraint {
    /// Whether what is around it has to have it.
    pub usage: Option<UsageConstraint>,
    /// How often what is around it has it.
    pub cardinality: Option<Cardinality>,
    /// What is said about segments in it, and about what is in them.
    pub segments: BTreeMap<SegmentName, SegmentConstraint>,
}

impl GroupWay {
    /// Reads the way to a group.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A path ends with a segment; any will do.
        let path = Path::parse(&format!("{text}/MSH")).map_err(|error| error.to_string())?;
        match Self::of(&path)? {
            Some(way) => Ok(way),
            None => Err("this is no segment group: write it as `/PATIENT_RESULT/PATIENT`".into()),
        }
    }

    /// The way to the group that a path goes through; none of a path without groups.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, String> {
        if path.groups().iter().any(|step| step.occurrence != Occurrence::FIRST) {
            return Err("this names one segment group, and a profile speaks of all of them".into());
        }
        let names: Box<[Box<str>]> = path.groups().iter().map(|step| step.name.clone()).collect();
        Ok((!names.is_empty()).then_some(Self(names)))
    }

    /// From its names; none where there are none.
    pub fn of_names(names: &[&str]) -> Option<Self> {
        (!names.is_empty()).then(|| Self(names.iter().map(|&name| Box::from(name)).collect()))
    }

    /// The names, the outermost first.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// The group's own name.
    pub fn name(&self) -> &str {
        self.0.last().map_or("", |name| name)
    }

    /// The names of the groups around it.
    pub(super) fn around(&self) -> &[Box<str>] {
        self.0.split_last().map_or(&[], |(_, around)| around)
    }

    /// How often the standard has the group, or a segment in it, in what is around it.
    pub(super) fn cardinality_in(
        &self,
        structure: Structure,
        segment: Option<SegmentName>,
    ) -> Option<Cardinality> {
        cardinality_on_way(structure, self.names(), segment)
    }

    /// Why no message of the profile has the group, or the segment in it; none where one has.
    pub(super) fn problem(
        &self,
        profile: &Profile,
        segment: Option<SegmentName>,
    ) -> Option<GroupPathProblem> {
        // A segment of a site's own can stand in any group.
        let segment = segment.map_or_else(|| "ZZZ".to_owned(), |segment| segment.to_string());
        let path = Path::parse(&format!("{self}/{segment}")).ok()?;
        let structures = profile.messages.iter().filter_map(|message| {
            let trigger = message.trigger.as_deref()?;
            profile.version.event(&message.code, trigger)?.structure()
        });
        let structures: Vec<Option<Structure>> = structures.map(Some).collect();
        let is_of_one = structures.len() == profile.messages.len() && !structures.is_empty();
        let among = if is_of_one { structures } else { vec![None] };
        let mut problem = None;
        for structure in among {
            match check_group_path(&path, structure) {
                Ok(()) => return None,
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        problem
    }
}

impl fmt::Display for GroupWay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(formatter, "/{name}"))
    }
}

impl Place {
    /// Reads a place, in a segment group or wherever its segment stands.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(super) fn parse_in_group(text: &str) -> Result<(Option<GroupWay>, Self), String> {
        if !text.starts_with('/') {
            return Ok((None, Self::parse(text)?));
        }
        let path = Path::parse(text).map_err(|error| error.to_string())?;
        let way = GroupWay::of(&path)?;
        let inner = text.rsplit_once('/').map_or(text, |(_, inner)| inner);
        Ok((way, Self::parse(inner)?))
    }
}
