//! Steps that look values up, rewrite dates, join, split, refuse, validate and route.

use std::sync::Arc;

use jiff::tz::TimeZone;
use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, nearest};
use pipehat_dictionary::profile::ProfileConstraints;
use pipehat_dictionary::validation::Level;
use pipehat_message::{AcknowledgmentCode, SegmentName};

use super::fragment::report;
use super::{Reader, Whole};
use crate::program::SyntaxError;
use crate::program::date::{DateForm, ZoneFrom};
use crate::program::date_pattern::DatePattern;
use crate::program::expression::Expression;
use crate::program::reference::{Reference, Scope, Use};
use crate::program::step::{Action, ControlIds, Otherwise, Parts, Split};
use crate::program::table::{Table, TableColumn};
use crate::program::validation::{OnError, Validation};

impl Reader<'_> {
    pub(super) fn filter(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        if node.is_null() {
            return Some(Action::Filter(Expression::Constant(true)));
        }
        if node.as_scalar().is_some() {
            diagnostics.push(
                Diagnostic::error(
                    "channel.step-form",
                    &node.span,
                    "it is not clear whether messages like this shall go on or end here",
                )
                .with_help("write `accept: …` for those that go on, or `filter: { when: … }` for those that end here"),
            );
            return None;
        }
        let mut fields = Fields::of(node, "filter", diagnostics)?;
        let present = fields.contains("when");
        let when =
            fields.optional("when", |node, diagnostics| self.condition(node, scope, diagnostics));
        let sound = fields.finish();
        if present {
            return sound.then_some(Action::Filter(when?));
        }
        sound.then_some(Action::Filter(Expression::Constant(true)))
    }

    pub(super) fn map(
        &mut self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut fields = Fields::of(node, "map", diagnostics)?;
        let (field, to) = self.field_and_target(&mut fields, scope);
        let table_node = fields.map().get("table");
        let table = fields.required("table", |node, diagnostics| self.table(node, diagnostics));
        let column = fields.optional("column", |node, diagnostics| {
            let name = node.text_not_empty(diagnostics)?;
            let table = table.as_ref()?.as_ref()?;
            column(table, name, node, diagnostics)
        });
        let column_named = fields.contains("column");
        let otherwise = otherwise(&mut fields);
        let sound = fields.finish();
        // A table that could not be read is reported where it stands.
        let table = table.flatten().filter(|_| table_node.is_some() && sound)?;
        let column = if column_named { column? } else { TableColumn::FIRST };
        let field = field?;
        let to = to.unwrap_or_else(|| field.clone());
        Some(Action::Map { field, to, table, column, otherwise: otherwise? })
    }

    /// `field`, which is read, and `to`, which is written where it is not the same.
    fn field_and_target(
        &self,
        fields: &mut Fields<'_, '_>,
        scope: &Scope,
    ) -> (Option<Reference>, Option<Reference>) {
        let has_target = fields.contains("to");
        let field = fields.required("field", |node, diagnostics| {
            let field = self.reference(node, scope, Use::Read, diagnostics)?;
            if has_target && field.depth() > 0 {
                return Some(field);
            }
            self.writable(field, &node.span, diagnostics)
        });
        let to = fields.optional("to", |node, diagnostics| self.target(node, scope, diagnostics));
        (field, to)
    }

    fn table(&mut self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Option<Arc<Table>>> {
        let name = node.text_not_empty(diagnostics)?;
        if let Some(table) = self.tables.get(name) {
            self.used.insert(name.to_owned());
            return Some(table.clone());
        }
        let names = self.tables.keys().map(String::as_str);
        let message = "there is no such code table";
        let mut error = Diagnostic::error("channel.unknown-table", &node.span, message);
        error = match nearest(name.trim_end_matches(".csv"), names) {
            Some(near) => error.with_nearest(Some(near)),
            None if self.tables.is_empty() => {
                error.with_help("put a CSV file into the folder `tables`: its name without `.csv` is the table's name")
            }
            None => {
                let names: Vec<String> = self.tables.keys().take(10).map(|name| format!("`{name}`")).collect();
                error.with_help(format!("the tables there are: {}", names.join(", ")))
            }
        };
        diagnostics.push(error);
        None
    }

    pub(super) fn date(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut fields = Fields::of(node, "date", diagnostics)?;
        let (field, to) = self.field_and_target(&mut fields, scope);
        let read = fields.optional("read", |node, diagnostics| {
            date_pattern(node, DatePattern::parse_to_read, diagnostics)
        });
        let write = fields.optional("write", |node, diagnostics| {
            date_pattern(node, DatePattern::parse, diagnostics)
        });
        let read_zone = fields.optional("read_zone", time_zone);
        let write_zone_span = fields.key_span("write_zone").cloned();
        let write_zone = fields.optional("write_zone", time_zone);
        let otherwise = otherwise(&mut fields);
        let something =
            ["read", "write", "read_zone", "write_zone"].iter().any(|key| fields.contains(key));
        if !something {
            let span = fields.span().clone();
            fields.diagnostics().push(
                Diagnostic::error("channel.nothing-to-do", &span, "this changes nothing")
                    .with_help("say how the date is written (`read`), and how it shall be (`write`, `write_zone`)"),
            );
        }
        let hl7 = || DatePattern::parse("hl7").expect("`hl7` is a pattern");
        let read = read.unwrap_or_else(hl7);
        if let (Some(span), None, None) = (&write_zone_span, &read_zone, &self.time_zone)
            && !read.reads_offset()
        {
            fields.diagnostics().push(
                Diagnostic::error(
                    "channel.zone-unknown",
                    span,
                    "it is not known which time zone the date comes from",
                )
                .with_help("add `read_zone`, or `time_zone` for the whole channel"),
            );
        }
        let from_channel = self.time_zone.clone().map(|zone| (zone, ZoneFrom::Channel));
        let form = DateForm {
            read,
            write: write.unwrap_or_else(hl7),
            read_zone: read_zone.map(|zone| (zone, ZoneFrom::Step)).or(from_channel),
            write_zone,
        };
        let sound = fields.finish();
        let field = field?;
        let to = to.unwrap_or_else(|| field.clone());
        sound.then_some(Action::Date { field, to, form: Box::new(form), otherwise: otherwise? })
    }

    pub(super) fn join(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut fields = Fields::of(node, "join", diagnostics)?;
        let from = fields.required("from", |node, diagnostics| {
            let one = |node: &Node, diagnostics: &mut Diagnostics| {
                self.reference(node, scope, Use::ReadEach, diagnostics)
            };
            if node.as_scalar().is_some() {
                return one(node, diagnostics).map(|from| vec![from]);
            }
            node.list_of(diagnostics, one)
        });
        let with =
            fields.optional("with", |node, diagnostics| node.text(diagnostics).map(str::to_owned));
        let to = fields.required("to", |node, diagnostics| self.target(node, scope, diagnostics));
        let sound = fields.finish();
        sound.then_some(Action::Join {
            from: from?.into(),
            with: with.unwrap_or_else(|| " ".to_owned()).into(),
            to: to?,
        })
    }

    pub(super) fn split(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        if node.as_scalar().is_some_and(|scalar| scalar.text() == "batch") {
            diagnostics.push(
                Diagnostic::error(
                    "channel.split",
                    &node.span,
                    "`split: batch` is the first step of a channel, before anything is read",
                )
                .with_help("move it to the top of the channel's `steps`"),
            );
            return None;
        }
        if node.as_scalar().is_some() {
            diagnostics.push(
                Diagnostic::error("channel.split", &node.span, "it is not said how to split")
                    .with_help("write `split: batch`, or `split: { each: OBR }`"),
            );
            return None;
        }
        let mut fields = Fields::of(node, "split", diagnostics)?;
        let each = fields.required("each", |node, diagnostics| {
            let mut reference =
                self.reference(node, &Scope::default(), Use::ReadEach, diagnostics)?;
            if reference.depth() == 0 && !reference.path().groups().is_empty() {
                reference.every_segment();
                return Some(Parts::Groups(reference.path().clone()));
            }
            let name = reference.path().segment();
            if reference.depth() == 0 && !reference.is_numbered() && name != SegmentName::MSH {
                return Some(Parts::Segments(name));
            }
            diagnostics.push(
                Diagnostic::error(
                    "channel.segment",
                    &node.span,
                    "the name of a repeated segment belongs here",
                )
                .with_help("write the segment that begins each part, such as `OBR` or `FT1`"),
            );
            None
        });
        let control_ids = fields.optional("control_ids", |node, diagnostics| {
            node.one_of(&["new", "numbered"], diagnostics)
        });
        if !scope.is_empty() {
            let span = fields.span().clone();
            fields.diagnostics().push(
                Diagnostic::error("channel.split", &span, "a message can't be split inside `each`")
                    .with_help("split it before: inside `each` only its parts are looked at"),
            );
        }
        let control_ids = match control_ids {
            Some("numbered") => ControlIds::Numbered,
            _ => ControlIds::New,
        };
        fields.finish().then_some(Action::Split(Split { each: each?, control_ids }))
    }

    pub(super) fn reject(
        &self,
        node: &Node,
        whole: &Whole<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.only_for_channels("reject", node, whole, diagnostics)?;
        let mut fields = Fields::of(node, "reject", diagnostics)?;
        let code = fields.required("code", |node, diagnostics| {
            let code = node.one_of(&["AE", "AR", "CE", "CR"], diagnostics)?;
            AcknowledgmentCode::from_bytes(code.as_bytes())
        });
        let text = fields.required("text", |node, diagnostics| {
            node.text_not_empty(diagnostics).map(str::to_owned)
        });
        let sound = fields.finish();
        sound.then_some(Action::Reject { code: code?, text: text?.into() })
    }

    pub(super) fn validate(
        &mut self,
        node: &Node,
        whole: &Whole<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut fields = Fields::of(node, "validate", diagnostics)?;
        let level = fields.optional("level", |node, diagnostics| {
            let name = node.one_of(&["lenient", "standard", "strict"], diagnostics)?;
            Level::named(name)
        });
        let profile_there = fields.contains("profile");
        let profile =
            fields.optional("profile", |node, diagnostics| self.profile(node, diagnostics));
        let on_error = fields.optional("on_error", |node, diagnostics| {
            node.one_of(&["park", "reject", "report"], diagnostics)
        });
        let code_node = fields.take("code");
        let code = code_node.and_then(|node| {
            let code = node.one_of(&["AE", "AR"], fields.diagnostics())?;
            AcknowledgmentCode::from_bytes(code.as_bytes())
        });
        if let (Some(node), Some("park" | "report") | None) = (code_node, on_error) {
            fields.diagnostics().push(
                Diagnostic::error("channel.unused-setting", &node.span, "nobody is told this code")
                    .with_help("write `on_error: reject` beside it, or remove the line"),
            );
        }
        let sound = fields.finish();
        if on_error == Some("reject") {
            self.only_for_channels("validate: { on_error: reject }", node, whole, diagnostics)?;
        }
        let on_error = match on_error {
            Some("reject") => OnError::Reject(code.unwrap_or(AcknowledgmentCode::Ae)),
            Some("report") => OnError::Report,
            _ => OnError::Park,
        };
        let level = level.unwrap_or_default();
        let sound = sound && profile_there == profile.is_some();
        sound.then_some(Action::Validate(Validation { level, profile, on_error }))
    }

    /// The profile of a name; one with mistakes was told of already.
    fn profile(
        &mut self,
        node: &Node,
        diagnostics: &mut Diagnostics,
    ) -> Option<ProfileConstraints> {
        let name = node.text_not_empty(diagnostics)?;
        if let Some(profile) = self.profiles.get(name) {
            self.used_profiles.insert(name.to_owned());
            return profile.clone();
        }
        let near = nearest(name, self.profiles.keys().map(String::as_str));
        diagnostics.push(
            Diagnostic::error("channel.profile", &node.span, "there is no such profile")
                .with_nearest(near)
                .with_help(format!(
                    "add the file `profiles/{name}.yaml`; `pipehat profile learn` makes one from messages"
                )),
        );
        None
    }

    pub(super) fn route(
        &self,
        node: &Node,
        whole: &Whole<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        self.only_for_channels("route", node, whole, diagnostics)?;
        let one = |node: &Node, diagnostics: &mut Diagnostics| {
            let name = node.text_not_empty(diagnostics)?;
            let found = self.destinations.iter().position(|own| *own == name);
            if let Some(index) = found {
                return u16::try_from(index).ok();
            }
            let mut error = Diagnostic::error(
                "channel.unknown-destination",
                &node.span,
                "this channel has no such destination",
            );
            error = match nearest(name, self.destinations.iter().copied()) {
                Some(near) => error.with_nearest(Some(near)),
                None => error.with_help("add it under `destinations`, or name one that is there"),
            };
            diagnostics.push(error);
            None
        };
        let targets = if node.as_scalar().is_some() {
            vec![one(node, diagnostics)?]
        } else {
            node.list_of(diagnostics, one)?
        };
        if targets.is_empty() {
            diagnostics.push(
                Diagnostic::error(
                    "channel.unknown-destination",
                    &node.span,
                    "no destination is named here",
                )
                .with_help("name one; to end a message here use `filter`"),
            );
            return None;
        }
        Some(Action::Route(targets.into()))
    }
}

/// Reads the name of a time zone.
pub(crate) fn time_zone(node: &Node, diagnostics: &mut Diagnostics) -> Option<TimeZone> {
    let name = node.text_not_empty(diagnostics)?;
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let known: Vec<String> =
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let substituted = node.as_scalar().is_some_and(|scalar| scalar.is_substituted());
    let city = |known: &&String| {
        known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name))
    };
    let near = known.iter().find(city).map(String::as_str);
    let near = near.or_else(|| nearest(name, known.iter().map(String::as_str)));
    let error = Diagnostic::error("channel.time-zone", &node.span, "there is no such time zone")
        .with_help(
            "write it as Region/City, such as `Europe/Berlin` or `America/New_York`, or `UTC`",
        );
    diagnostics.push(error.with_nearest(near.filter(|_| !substituted)));
    None
}

fn column(
    table: &Table,
    name: &str,
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<TableColumn> {
    if let Some(column) = table.column(name) {
        return Some(column);
    }
    let answers = table.columns().iter().skip(1).map(String::as_str);
    let message = format!("the table `{}` has no such column to answer with", table.name());
    let error = Diagnostic::error("channel.unknown-column", &node.span, message);
    let all: Vec<String> = answers.clone().map(|name| format!("`{name}`")).collect();
    diagnostics.push(
        error
            .with_nearest(nearest(name, answers))
            .with_help(format!("its columns are: {}", all.join(", "))),
    );
    None
}

fn date_pattern(
    node: &Node,
    parse: fn(&str) -> Result<DatePattern, SyntaxError>,
    diagnostics: &mut Diagnostics,
) -> Option<DatePattern> {
    let text = node.text_not_empty(diagnostics)?;
    parse(text).map_err(|error| report("channel.date-pattern", node, error, diagnostics)).ok()
}

pub(super) fn otherwise(fields: &mut Fields<'_, '_>) -> Option<Otherwise> {
    if !fields.contains("otherwise") {
        return Some(Otherwise::Park);
    }
    fields.optional("otherwise", |node, diagnostics| {
        if node.as_map().is_some() {
            let mut fields = Fields::of(node, "otherwise", diagnostics)?;
            let text = fields.required("default", |node, diagnostics| {
                node.text_not_empty(diagnostics).map(str::to_owned)
            });
            return fields.finish().then_some(Otherwise::Default(text?.into()));
        }
        Some(match node.one_of(&["park", "keep", "clear"], diagnostics)? {
            "keep" => Otherwise::Keep,
            "clear" => Otherwise::Clear,
            _ => Otherwise::Park,
        })
    })
}
