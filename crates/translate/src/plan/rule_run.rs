//! Rules of a segment map in runs that read one field: where it is empty, or where what they ask for is not there, all of
//! a run is passed over at once.

use hashbrown::HashMap;

use super::{Place, Rule, Source, Test};

/// Rules that stand together in a map and read the same field.
#[derive(Debug)]
pub(crate) struct RuleRun {
    /// The field; 0 where they read none.
    pub(crate) field: u16,
    /// Whether one of them runs when the field is empty.
    pub(crate) on_absence: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) choice: Option<Choice>,
}

/// What decides among the rules of a run: each wants one of some texts at the same place, as those of OBX-5 at OBX-2.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) place: Place,
    /// Of a text the rules that want it, by their index; a text that is none of these leaves no rule.
    rules: HashMap<Box<[u8]>, Vec<u16>>,
}

impl Choice {
    /// The rules that want this text.
    pub(crate) fn rules(&self, text: &[u8]) -> &[u16] {
        self.rules.get(text).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Cuts the rules of a map into runs; their order stays.
pub(super) fn runs(rules: impl IntoIterator<Item = Rule>) -> Vec<RuleRun> {
    let mut runs: Vec<RuleRun> = Vec::new();
    for rule in rules {
        let field = match rule.source {
            Source::Field(field, ..) => field,
            _ => 0,
        };
        let place = wanted(&rule).map(|(place, _)| place);
        match runs.last_mut() {
            Some(run)
                if run.field == field
                    && run.choice.as_ref().map(|choice| choice.place) == place =>
            {
                run.add(rule);
            }
            _ => {
                let choice = place.map(|place| Choice { place, rules: HashMap::new() });
                let mut run = RuleRun { field, on_absence: false, rules: Vec::new(), choice };
                run.add(rule);
                runs.push(run);
            }
        }
    }
    runs
}

impl RuleRun {
    fn add(&mut self, rule: Rule) {
        let index = u16::try_from(self.rules.len()).unwrap_or(u16::MAX);
        if let (Some(choice), Some((_, texts))) = (&mut self.choice, wanted(&rule)) {
            for text in texts {
                let rules = choice.rules.entry(text.as_bytes().into()).or_default();
                if !rules.contains(&index) {
                    rules.push(index);
                }
            }
        }
        self.on_absence |= rule.on_absence;
        self.rules.push(rule);
    }
}

/// The texts that a rule wants at a place of its segment.
fn wanted(rule: &Rule) -> Option<(Place, Vec<&str>)> {
    let own = match rule.source {
        Source::Field(field, ..) => field,
        _ => 0,
    };
    // Where such a condition fails, the rule still asks whether its value is said twice.
    let test = rule.condition.as_ref().filter(|test| !test.prefers_another_place(own))?;
    wanted_by(test).filter(|(place, _)| matches!(place, Place::Field(other, ..) if *other != 0))
}

/// The place and the texts without one of which a condition fails before it asks for anything else.
fn wanted_by(test: &Test) -> Option<(Place, Vec<&str>)> {
    match test {
        Test::In(place, texts) => Some((*place, texts.iter().map(|text| &**text).collect())),
        Test::And(parts) => wanted_by(parts.first()?),
        Test::Or(parts) => {
            let (first, rest) = parts.split_first()?;
            let (place, mut texts) = wanted_by(first)?;
            for part in rest {
                let (other, more) = wanted_by(part)?;
                if other != place {
                    return None;
                }
                texts.extend(more);
            }
            Some((place, texts))
        }
        _ => None,
    }
}

impl Test {
    /// Whether it asks that another place than the rule's own field has no value: the rule gives way to that one.
    fn prefers_another_place(&self, own: u16) -> bool {
        match self {
            Self::Not(inner) => match **inner {
                Self::Valued(Place::Field(field, ..)) => field != own,
                Self::Valued(Place::Segment(..)) => true,
                _ => false,
            },
            Self::And(parts) => parts.iter().any(|part| part.prefers_another_place(own)),
            _ => false,
        }
    }
}
