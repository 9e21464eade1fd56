//! From a channel's file to a program: the steps as they are written.
//!
//! | step | does |
//! | --- | --- |
//! | `accept: EXPRESSION` | goes on only with messages for which it holds; the others end filtered |
//! | `filter: { when: EXPRESSION }` | ends messages for which it holds, or every one without `when` |
//! | `set: { PATH: TEXT, … }` | writes text; [templates](super::template) are filled in; `{ raw: "A^B" }` writes a value with delimiters |
//! | `copy: { from: PATH, to: PATH }` | copies what stands there, delimiters and escapes included; nothing where it is empty |
//! | `move: { from: PATH, to: PATH }` | the same, and empties the source |
//! | `clear: PATH` or a list | empties places |
//! | `remove: PATH` or a list | takes repetitions or other parts out; what follows moves up |
//! | `add_segment: { segment: ZPI, after: PID, fields: { ZPI-1: … } }` | adds a segment `after` the last or `before` the first of the segments named, or at the end |
//! | `remove_segment: ZPI` | removes every ZPI; `ZPI(2)` the second; inside `each: ZPI` the current one |
//! | `keep: [PID-3, PID-5.1, SCH]` | of the message goes on what is named, and MSH; nothing else |
//! | `each: OBX` or `each: PID-3`, with `do` | does the steps for every segment or repetition; inside, paths mean [the current one](super::reference), and `each: OBX` in `each: OBR` goes over the OBX that follow this OBR |
//! | `map: { field: PATH, table: NAME, to: PATH, column: NAME, otherwise: … }` | puts what the [table](super::table) says in place of a code |
//! | `date: { field: PATH, read: PATTERN, write: PATTERN, read_zone: …, write_zone: …, to: PATH, otherwise: … }` | [rewrites a date](super::date) |
//! | `join: { from: [PATH, …], with: TEXT, to: PATH }` | writes the values there are, one after another |
//! | `split: batch` | as the first step: each message of a batch is handled on its own |
//! | `split: { each: OBR, control_ids: new }` | one message for each such segment with what follows it, or with `each: /ORDER_OBSERVATION/OBR` for each such segment group; `control_ids: numbered` adds `.1`, `.2`… |
//! | `park: REASON` | sets the message aside for a person |
//! | `reject: { code: AE, text: TEXT }` | refuses the message |
//! | `lookup: { fhir: local, search: "Patient?identifier={PID-3.1}", into: { PATH: FHIRPATH, … } }` | [searches](super::search_template) in a FHIR datastore, and takes [values](super::lookup) from what is found; `several: park`, `first` or `otherwise`; `otherwise` for the whole step, or beside one `value` |
//! | `bot: NAME` or `bot: { name: NAME, result: message, retry: … }` | [runs a bot](super::bot) on the message; what it returns goes on, or to the sender (`result: reply`), or nowhere (`ignored`) |
//! | `translate: fhir` or `translate: { to: fhir, time_zone: …, system_base: …, sender: …, identifier_systems: […], other_patient: take, overlay: mappings/NAME.yaml }` | makes a FHIR Bundle of [HL7 v2](super::translate) |
//! | `translate: { to: v2, event: auto, version: "2.5.1", receiver: receivers/NAME.yaml, receiving_application: …, … }` | makes HL7 v2 of a FHIR resource or Bundle; `auto` for the event that the change is; with `orders: OML^O21` for that in place of ORM^O01 |
//! | `validate: { level: standard, profile: NAME, on_error: park }` | checks the message against the standard, and a partner's profile; one with errors is rejected, parked or reported |
//! | `route: [NAME, …]` | ends the steps: the message goes to these destinations and no others |
//! | `when: EXPRESSION` with `do`, `else` | does the one or the other |
//!
//! Any step may have a `when` beside it. `otherwise` is `park` where it is left out: nothing
//! unknown goes on unless the file says so; the others are `keep`, `clear` and `{ default: TEXT }`.
//! A destination's own `when` holds after a `route`, too.

mod bot;
mod each;
mod edit;
mod flow;
mod fragment;
mod lookup;
mod steps;
mod translate;
mod value;

pub(crate) use fragment::{report, warn_of_unknown};
pub(crate) use translate::translation;
pub(crate) use value::time_zone;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span};
use pipehat_connectors::{GivenChanges, PayloadFormat};
use pipehat_message::CharsetRule;
use pipehat_script::JsonGiven;

use self::bot::{JsonResult, JsonSent};
use self::flow::{always_ends, reached};
use self::translate::Translations;
use super::expression::Expression;
use super::lane::Lanes;

use super::reference::{Reference, Scope, Use};
use super::run::RunLimits;
use super::step::{Action, Step};
use super::table::Table;
use super::translate::TranslationSettings;
use super::verdict::StepPlace;
use super::{DestinationProgram, Program, split};
use crate::project::{BotName, Mappings, Profiles};

/// The code tables of a project; those that could not be read have no content.
pub(crate) type Tables = BTreeMap<String, Option<Arc<Table>>>;

/// A channel's file, as far as the program is concerned.
pub(crate) struct ProgramSource<'n> {
    /// The channel's own place in its file.
    pub(crate) channel: &'n Span,
    pub(crate) accept: Option<&'n Node>,
    pub(crate) steps: Option<&'n Node>,
    pub(crate) destinations: Vec<DestinationSource<'n>>,
    pub(crate) lanes: Lanes,
    pub(crate) charset: CharsetRule,
    pub(crate) time_zone: Option<TimeZone>,
    pub(crate) format: PayloadFormat,
    /// The connectors that a `lookup` can ask.
    pub(crate) connectors: &'n [&'static str],
    /// The bots of the project.
    pub(crate) bots: &'n [&'n str],
    /// What their handlers give that is JSON for certain.
    pub(crate) bots_of_json: &'n BTreeMap<BotName, JsonGiven>,
    /// Which changes of resources its messages tell of.
    pub(crate) changes: GivenChanges,
    /// The type of the resources that its messages are, where they are all of one.
    pub(crate) resource_type: Option<&'n str>,
}

/// A destination's part of the program.
pub(crate) struct DestinationSource<'n> {
    pub(crate) name: &'n str,
    pub(crate) span: &'n Span,
    pub(crate) when: Option<&'n Node>,
    pub(crate) steps: Option<&'n Node>,
    /// What its connector sends.
    pub(crate) sends: &'static [PayloadFormat],
}

/// A program, and the code tables and profiles it uses.
pub(crate) struct ReadProgram {
    pub(crate) program: Option<Program>,
    pub(crate) tables: BTreeSet<String>,
    pub(crate) profiles: BTreeSet<String>,
    pub(crate) bots: BTreeSet<String>,
    /// The paths of overlays and receivers.
    pub(crate) mappings: BTreeSet<String>,
    pub(crate) translation: TranslationSettings,
    /// What each destination is sent.
    pub(crate) formats: Vec<PayloadFormat>,
    /// What the `lookup` steps ask, by their numbers.
    pub(crate) lookups: Vec<LookupNode>,
    /// The steps that make the reply to the sender.
    pub(crate) replying: Vec<Span>,
    /// The translations that know numbers of authorities without a URI by their sender, and the destination whose step
    /// each is, where it is one's.
    pub(crate) kept_by_sender: Vec<(Span, Option<usize>)>,
}

/// What a `lookup` step asks, and by which rules: read with the connectors.
pub(crate) struct LookupNode {
    pub(crate) connector: &'static str,
    pub(crate) asked: Asked,
    pub(crate) node: Node,
    pub(crate) retry: Option<Node>,
    pub(crate) on: Option<Node>,
    pub(crate) place: StepPlace,
}

/// Whom a step asks.
pub(crate) enum Asked {
    /// What a connector reaches.
    Connector,
    /// A bot of the project.
    Bot(Arc<str>),
}

/// What can be asked of messages that are JSON.
const BESIDE_JSON: &str = "what stands beside the message: `fhir.change`, `fhir.type`, `header(\"…\")`, `peer.address`, `channel`";

const ACTIONS: [&str; 22] = [
    "bot",
    "translate",
    "accept",
    "filter",
    "set",
    "copy",
    "move",
    "clear",
    "remove",
    "add_segment",
    "remove_segment",
    "keep",
    "map",
    "date",
    "join",
    "split",
    "park",
    "reject",
    "validate",
    "lookup",
    "route",
    "each",
];

impl Program {
    /// Compiles a channel's steps and destinations; reports every mistake.
    pub(crate) fn read(
        source: &ProgramSource<'_>,
        tables: &Tables,
        (profiles, mappings): (&Profiles, &Mappings),
        diagnostics: &mut Diagnostics,
    ) -> ReadProgram {
        let errors_before = diagnostics.errors();
        let mut reader = Reader {
            file: source.channel.file().name().into(),
            tables,
            used: BTreeSet::new(),
            profiles,
            used_profiles: BTreeSet::new(),
            mappings,
            used_mappings: BTreeSet::new(),
            translation: Translations::default(),
            destinations: source.destinations.iter().map(|one| one.name).collect(),
            time_zone: source.time_zone.clone(),
            charset: source.charset,
            steps: 0,
            connectors: source.connectors,
            bots: source.bots,
            bots_of_json: source.bots_of_json,
            json_results: Vec::new(),
            json_sent: Vec::new(),
            used_bots: BTreeSet::new(),
            replying: Vec::new(),
            format: source.format,
            changes: source.changes,
            resource_type: source.resource_type,
            names_authority: Cell::new(false),
            destination: None,
            kept_by_sender: Vec::new(),
            lookups: Vec::new(),
        };
        let accept = source.accept.and_then(|node| {
            let condition = reader.condition(node, &Scope::default(), diagnostics)?;
            let place = reader.place(&node.span, "accept".to_owned());
            Some(Step { place, action: Action::Accept(condition) })
        });
        let mut batches = None;
        let mut steps = Vec::new();
        if let Some(node) = source.steps {
            let list = node.list(diagnostics).unwrap_or_default();
            let list = match list.split_first() {
                Some((first, rest)) if splits_batches(first) => {
                    batches = Some(reader.place(&first.span, "steps[1].split".to_owned()));
                    reader.check_batch_step(first, diagnostics);
                    rest
                }
                _ => list,
            };
            let skipped = usize::from(batches.is_some());
            let whole = Whole { prefix: "steps", skipped, owner: Owner::Channel, depth: 0 };
            steps = reader.list(list, &whole, &Scope::default(), diagnostics);
        }
        let mut destinations = Vec::new();
        let mut formats = Vec::new();
        let common = (reader.format, reader.resource_type, reader.names_authority.get());
        for (index, destination) in source.destinations.iter().enumerate() {
            (reader.format, reader.resource_type, _) = common;
            reader.names_authority.set(common.2);
            reader.destination = Some(index);
            destinations.push(reader.destination(destination, diagnostics));
            formats.push(reader.format);
        }
        reader.check_routed(source, &steps, diagnostics);
        reader.warn_of_json_results(source, diagnostics);
        reader.warn_of_json_sent(source, diagnostics);
        let program = (diagnostics.errors() == errors_before).then(|| Self {
            place: reader.place(source.channel, "channel".to_owned()),
            batches,
            accept,
            steps: steps.into(),
            destinations: destinations.into(),
            lanes: source.lanes.clone(),
            charset: source.charset,
            format: source.format,
            limits: RunLimits::DEFAULT,
            control_id_path: split::control_id_path(),
        });
        ReadProgram {
            program,
            tables: reader.used,
            profiles: reader.used_profiles,
            bots: reader.used_bots,
            mappings: reader.used_mappings,
            translation: reader.translation.of_channel(source.time_zone.clone(), source.charset),
            formats,
            lookups: reader.lookups,
            replying: reader.replying,
            kept_by_sender: reader.kept_by_sender,
        }
    }
}

/// Whose steps are read, and where.
struct Whole<'w> {
    prefix: &'w str,
    /// How many steps of the list stand before these.
    skipped: usize,
    owner: Owner,
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Channel,
    Destination,
}

struct Reader<'r> {
    file: Arc<str>,
    tables: &'r Tables,
    used: BTreeSet<String>,
    profiles: &'r Profiles,
    used_profiles: BTreeSet<String>,
    mappings: &'r Mappings,
    used_mappings: BTreeSet<String>,
    translation: Translations,
    destinations: Vec<&'r str>,
    time_zone: Option<TimeZone>,
    charset: CharsetRule,
    steps: usize,
    connectors: &'r [&'static str],
    bots: &'r [&'r str],
    bots_of_json: &'r BTreeMap<BotName, JsonGiven>,
    /// The steps behind which a message of HL7 v2 is JSON, for its bot returns that.
    json_results: Vec<JsonResult>,
    /// The steps whose bots send JSON.
    json_sent: Vec<JsonSent>,
    used_bots: BTreeSet<String>,
    replying: Vec<Span>,
    /// What the message is at the step that is read.
    format: PayloadFormat,
    changes: GivenChanges,
    /// What the message is about at the step that is read, where that is known.
    resource_type: Option<&'r str>,
    /// Whether a step before may name the authority of a patient's number (PID-3.4).
    names_authority: Cell<bool>,
    /// The destination whose steps are read, from 0.
    destination: Option<usize>,
    kept_by_sender: Vec<(Span, Option<usize>)>,
    lookups: Vec<LookupNode>,
}

/// Whether a step is `split: batch`.
fn splits_batches(node: &Node) -> bool {
    let split = node.as_map().and_then(|map| map.get("split"));
    split.and_then(Node::as_scalar).is_some_and(|scalar| scalar.text() == "batch")
}

impl<'r> Reader<'r> {
    fn place(&self, span: &Span, step: String) -> StepPlace {
        let at = span.line_column();
        StepPlace::new(&self.file, at.line, at.column, step)
    }

    fn check_batch_step(&self, node: &Node, diagnostics: &mut Diagnostics) {
        if let Some(mut fields) = Fields::of(node, "step", diagnostics) {
            self.check_step_of_json(&mut fields);
            fields.take("split");
            fields.misplaced(
                "when",
                "every message of a batch is split; put `when` beside a later step",
            );
            fields.finish();
        }
    }

    fn destination(
        &mut self,
        source: &DestinationSource<'_>,
        diagnostics: &mut Diagnostics,
    ) -> DestinationProgram {
        let scope = Scope::default();
        let when = source.when.and_then(|node| self.condition(node, &scope, diagnostics));
        let prefix = format!("destinations.{}.steps", source.name);
        let steps = source.steps.and_then(|node| {
            let list = node.list(diagnostics)?;
            let whole = Whole { prefix: &prefix, skipped: 0, owner: Owner::Destination, depth: 0 };
            Some(self.list(list, &whole, &scope, diagnostics))
        });
        DestinationProgram {
            name: source.name.into(),
            place: self.place(source.span, format!("destinations.{}", source.name)),
            when,
            steps: steps.unwrap_or_default().into(),
            sends: source.sends,
        }
    }

    /// Reports destinations that no message can reach.
    fn check_routed(
        &self,
        source: &ProgramSource<'_>,
        steps: &[Step],
        diagnostics: &mut Diagnostics,
    ) {
        if !always_ends(steps) {
            return;
        }
        let mut targets = BTreeSet::new();
        reached(steps, &mut targets);
        for (index, destination) in (0_u16..).zip(&source.destinations) {
            if !targets.contains(&index) {
                diagnostics.push(
                    Diagnostic::error(
                        "channel.unreachable-destination",
                        destination.span,
                        format!("no message ever reaches the destination `{}`", destination.name),
                    )
                    .with_help("name it in a `route` step, or remove it"),
                );
            }
        }
    }

    fn condition(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Expression> {
        let condition = fragment::condition(node, scope, diagnostics)?;
        let looks_at = condition.looks_at();
        if looks_at.message && self.format == PayloadFormat::Json {
            let message = "this reads HL7 v2, and the messages of this channel are JSON";
            let error = Diagnostic::error("channel.format", &node.span, message);
            diagnostics.push(error.with_help(format!("ask {BESIDE_JSON}")));
        }
        if looks_at.change && self.changes == GivenChanges::None {
            let message = "the messages of this channel tell of no change of a datastore";
            let error = Diagnostic::error("channel.no-changes", &node.span, message);
            diagnostics.push(error.with_help(
                "only a `fhir` source gives changes; what a sender says of itself is asked by `header(\"…\")` or `peer.…`",
            ));
        }
        Some(condition)
    }

    fn reference(
        &self,
        node: &Node,
        scope: &Scope,
        wanted: Use,
        diagnostics: &mut Diagnostics,
    ) -> Option<Reference> {
        fragment::reference(node, scope, wanted, diagnostics)
    }
}
