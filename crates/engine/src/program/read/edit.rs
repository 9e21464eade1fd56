//! Steps that change a message.

use pipehat_config::{Diagnostic, Diagnostics, Fields, Node, Span};
use pipehat_message::{CharsetSpec, Occurrence, SegmentName};

use super::fragment::{key_reference, report, warn_of_unknown};
use super::{Owner, Reader, Whole};
use crate::program::reference::{Reference, Scope, Use};
use crate::program::step::{Action, Anchor, Assignment, Source, Written};
use crate::program::template::Template;
use crate::program::verdict::StepPlace;

impl Reader<'_> {
    /// What a step of this name does.
    pub(super) fn action(
        &mut self,
        (name, node): (&str, &Node),
        place: &StepPlace,
        whole: &Whole<'_>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        match name {
            "accept" => Some(Action::Accept(self.condition(node, scope, diagnostics)?)),
            "filter" => self.filter(node, scope, diagnostics),
            "set" => self.set(node, scope, diagnostics),
            "copy" => self.copy(node, Source::Stays, scope, diagnostics),
            "move" => self.copy(node, Source::IsCleared, scope, diagnostics),
            "clear" => Some(Action::Clear(self.places(node, scope, diagnostics)?)),
            "remove" => {
                let places = self.places(node, scope, diagnostics)?;
                self.no_segments(node, &places, diagnostics)?;
                Some(Action::Remove(places))
            }
            "add_segment" => self.add_segment(node, scope, diagnostics),
            "remove_segment" => self.remove_segment(node, scope, diagnostics),
            "keep" => self.keep(node, scope, diagnostics),
            "map" => self.map(node, scope, diagnostics),
            "date" => self.date(node, scope, diagnostics),
            "join" => self.join(node, scope, diagnostics),
            "split" => self.split(node, scope, diagnostics),
            "park" => {
                let reason = node.text_not_empty(diagnostics)?;
                Some(Action::Park { reason: reason.into() })
            }
            "reject" => self.reject(node, whole, diagnostics),
            "validate" => self.validate(node, whole, diagnostics),
            "route" => self.route(node, whole, diagnostics),
            "lookup" => self.lookup(node, place, scope, diagnostics),
            "bot" => self.bot(node, place, whole, scope, diagnostics),
            "translate" => self.translate(node, place, scope, diagnostics),
            _ => None,
        }
    }

    fn set(&self, node: &Node, scope: &Scope, diagnostics: &mut Diagnostics) -> Option<Action> {
        let assignments = self.assignments(node, "set", scope, scope, diagnostics)?;
        self.not_appended_twice(node, assignments.iter().map(|one| &one.to), diagnostics)?;
        Some(Action::Set(assignments))
    }

    /// Refuses a second `[+1]` in one field: people mean the one they just added.
    pub(super) fn not_appended_twice<'a>(
        &self,
        node: &Node,
        places: impl Iterator<Item = &'a Reference>,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let mut seen: Vec<&Reference> = Vec::new();
        for to in places.filter(|to| to.path().repetition() == Some(Occurrence::Next)) {
            let same = |other: &&Reference| {
                other.path().segment() == to.path().segment()
                    && other.path().field() == to.path().field()
            };
            if seen.iter().any(same) {
                let key =
                    node.as_map().and_then(|map| map.entry(to.written())).map(|(key, _)| &key.span);
                diagnostics.push(
                    Diagnostic::error(
                        "channel.appended-twice",
                        key.unwrap_or(&node.span),
                        "each `[+1]` adds a repetition of its own",
                    )
                    .with_help("write `[last]` for the one that was just added"),
                );
                return None;
            }
            seen.push(to);
        }
        Some(())
    }

    /// `PATH: VALUE` entries; the values are seen from `scope`, the places from `places`.
    fn assignments(
        &self,
        node: &Node,
        name: &str,
        scope: &Scope,
        places: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Box<[Assignment]>> {
        let map = node.map(name, diagnostics)?;
        if map.is_empty() {
            diagnostics.push(
                Diagnostic::error("channel.nothing-to-set", &node.span, "nothing is set here")
                    .with_help("write a path and its value: `{ MSH-4: GENERAL }`"),
            );
            return None;
        }
        let mut assignments = Vec::new();
        for (key, value) in map.iter() {
            let to = key_reference(key, places, Use::Write, diagnostics)
                .and_then(|to| self.writable(to, &key.span, diagnostics));
            let value = self.written(value, to.as_ref(), scope, diagnostics);
            assignments.push(to.zip(value).map(|(to, value)| Assignment { to, value }));
        }
        assignments.into_iter().collect::<Option<Vec<_>>>().map(Vec::into_boxed_slice)
    }

    fn written(
        &self,
        node: &Node,
        to: Option<&Reference>,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Written> {
        if node.as_map().is_some() {
            let mut fields = Fields::of(node, "value", diagnostics)?;
            let raw = fields.required("raw", |node, diagnostics| {
                let raw = node.text_not_empty(diagnostics)?;
                let is_fit = to.is_none_or(|to| {
                    fits(raw, to, node, diagnostics) && names_a_set(raw, to, node, diagnostics)
                });
                is_fit.then(|| raw.to_owned())
            });
            return fields.finish().then_some(Written::Raw(raw?.into()));
        }
        let text = node.text(diagnostics)?;
        if text.is_empty() {
            diagnostics.push(
                Diagnostic::error("channel.nothing-to-set", &node.span, "this text is empty")
                    .with_help("to empty a field, use `clear`; HL7's `\"\"` (delete what you know) is written '\"\"'"),
            );
            return None;
        }
        let template = Template::parse(text, scope, self.time_zone.as_ref())
            .map_err(|error| report("channel.template", node, error, diagnostics))
            .ok()?;
        warn_of_unknown(node, scope, diagnostics);
        if let (Some(to), Some(text)) = (to, template.literal())
            && !names_a_set(text, to, node, diagnostics)
        {
            return None;
        }
        if let (Some(to), Some(at)) =
            (to, template.literal().and_then(|text| text.find(['^', '~'])))
        {
            let span = node.sub_span_of_bytes(at, at + 1);
            diagnostics.push(
                Diagnostic::warning(
                    "channel.delimiter-in-text",
                    &span,
                    "this character is written as text, not as a delimiter",
                )
                .with_help(format!(
                    "to write components, name each one ({}.1), or write the value as {{ raw: \"…\" }}",
                    to.written()
                )),
            );
        }
        Some(Written::Text(template))
    }

    /// Refuses places that can't be written.
    pub(super) fn writable(
        &self,
        to: Reference,
        span: &Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<Reference> {
        let path = to.path();
        let position = path.field().map(|field| field.get());
        let (message, help) = if path.segment() == SegmentName::MSH
            && position.is_some_and(|position| position <= 2)
        {
            (
                "MSH-1 and MSH-2 say how the message is to be read, and can't be changed",
                "remove this line".to_owned(),
            )
        } else if position.is_none() {
            (
                "this names a whole segment",
                format!("name a field of it, such as `{}-1`", to.written()),
            )
        } else {
            if path.segment().as_bytes() == b"PID"
                && position == Some(3)
                && path.component().is_none_or(|component| component.get() == 4)
            {
                self.names_authority.set(true);
            }
            return Some(to);
        };
        diagnostics.push(Diagnostic::error("channel.not-writable", span, message).with_help(help));
        None
    }

    /// The place a step writes to.
    pub(super) fn target(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Reference> {
        let to = self.reference(node, scope, Use::Write, diagnostics)?;
        self.writable(to, &node.span, diagnostics)
    }

    fn copy(
        &self,
        node: &Node,
        source: Source,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let name = if source == Source::Stays { "copy" } else { "move" };
        let mut fields = Fields::of(node, name, diagnostics)?;
        let from = fields.required("from", |node, diagnostics| {
            let from = self.reference(node, scope, Use::Read, diagnostics)?;
            if source == Source::IsCleared {
                self.writable(from, &node.span, diagnostics)
            } else {
                Some(from)
            }
        });
        let to = fields.required("to", |node, diagnostics| self.target(node, scope, diagnostics));
        let place = fields.key_span("from").map_or_else(|| node.span.clone(), Clone::clone);
        let place = fields.map().get("from").map_or(place, |node| node.span.clone());
        if let (Some(from), Some(to)) = (&from, &to) {
            check_sizes(from, to, &place, fields.diagnostics());
        }
        fields.finish().then_some(Action::Copy { from: from?, to: to?, source })
    }

    /// One path or a list of them.
    fn places(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Box<[Reference]>> {
        let one = |node: &Node, diagnostics: &mut Diagnostics| {
            let place = self.reference(node, scope, Use::WriteEach, diagnostics)?;
            self.writable_or_segment(place, node, diagnostics)
        };
        if node.as_scalar().is_some() {
            return one(node, diagnostics).map(|place| [place].into());
        }
        node.list_of(diagnostics, one).map(Vec::into_boxed_slice)
    }

    fn writable_or_segment(
        &self,
        place: Reference,
        node: &Node,
        diagnostics: &mut Diagnostics,
    ) -> Option<Reference> {
        if place.depth() == 0 && place.path().segment() != SegmentName::MSH {
            return Some(place);
        }
        self.writable(place, &node.span, diagnostics)
    }

    fn no_segments(
        &self,
        node: &Node,
        places: &[Reference],
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        if places.iter().all(|place| place.depth() > 0) {
            return Some(());
        }
        diagnostics.push(
            Diagnostic::error("channel.not-writable", &node.span, "this names a whole segment")
                .with_help("use `remove_segment` for it"),
        );
        None
    }

    fn keep(&self, node: &Node, scope: &Scope, diagnostics: &mut Diagnostics) -> Option<Action> {
        self.not_in_each("keep", node, scope, diagnostics)?;
        let one = |node: &Node, diagnostics: &mut Diagnostics| {
            let place = self.reference(node, scope, Use::ReadEach, diagnostics)?;
            let path = place.path();
            let help = if path.segment() == SegmentName::MSH {
                "MSH stays whole: without it there is no message; `clear` empties a field of it"
            } else if place.is_numbered() || !path.groups().is_empty() {
                "a segment means every one of its name: write it without number and group"
            } else if path.subcomponent().is_some() {
                "name the component: it is kept with all its subcomponents"
            } else if matches!(path.repetition(), Some(Occurrence::Last)) {
                "write `[1]`, or `[*]` for every repetition"
            } else {
                return Some(path.clone());
            };
            let message = format!("`keep` does not take `{}`", place.written());
            diagnostics
                .push(Diagnostic::error("channel.path", &node.span, message).with_help(help));
            None
        };
        let places = node.list_of(diagnostics, one)?;
        Some(Action::Keep(places.into()))
    }

    fn add_segment(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        if node.as_scalar().is_some() {
            let name = self.segment_name(node, scope, diagnostics)?;
            return Some(Action::AddSegment { name, at: Anchor::End, fields: [].into() });
        }
        let mut fields = Fields::of(node, "add_segment", diagnostics)?;
        let name = fields
            .required("segment", |node, diagnostics| self.segment_name(node, scope, diagnostics));
        let after =
            fields.optional("after", |node, diagnostics| self.anchors(node, scope, diagnostics));
        let before =
            fields.optional("before", |node, diagnostics| self.anchors(node, scope, diagnostics));
        let values = fields.optional("fields", |node, diagnostics| {
            let values = self.assignments(node, "fields", scope, &Scope::default(), diagnostics)?;
            self.own_fields(node, name, &values, diagnostics).then_some(values)
        });
        if let (Some(_), Some(span)) =
            (fields.key_span("after"), fields.key_span("before").cloned())
        {
            fields.diagnostics().push(
                Diagnostic::error("channel.two-places", &span, "a segment stands at one place")
                    .with_help("keep either `after` or `before`"),
            );
        }
        let at = match (after, before) {
            (Some(after), _) => Anchor::After(after),
            (None, Some(before)) => Anchor::Before(before),
            (None, None) => Anchor::End,
        };
        let sound = fields.finish();
        sound.then_some(Action::AddSegment { name: name?, at, fields: values.unwrap_or_default() })
    }

    fn segment_name(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<SegmentName> {
        let reference = self.reference(node, &Scope::default(), Use::Read, diagnostics)?;
        let name = reference.path().segment();
        let (message, help) = if reference.depth() > 0 || reference.is_numbered() {
            ("the name of a segment belongs here", format!("write `{name}`"))
        } else if name == SegmentName::MSH {
            ("a message has only one MSH", "it is there already: use `set`".to_owned())
        } else if scope.goes_over(name) {
            (
                "an `each` around goes over these segments, and would never end",
                "add segments of another name, or after the `each`".to_owned(),
            )
        } else {
            return Some(name);
        };
        diagnostics.push(Diagnostic::error("channel.segment", &node.span, message).with_help(help));
        None
    }

    fn anchors(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Box<[Reference]>> {
        let one = |node: &Node, diagnostics: &mut Diagnostics| {
            let anchor = self.reference(node, scope, Use::Read, diagnostics)?;
            if anchor.depth() == 0 {
                return Some(anchor);
            }
            diagnostics.push(
                Diagnostic::error(
                    "channel.segment",
                    &node.span,
                    "the name of a segment belongs here",
                )
                .with_help(format!("write `{}`", anchor.path().segment())),
            );
            None
        };
        if node.as_scalar().is_some() {
            return one(node, diagnostics).map(|anchor| [anchor].into());
        }
        node.list_of(diagnostics, one).map(Vec::into_boxed_slice)
    }

    /// The fields of a new segment are its own.
    fn own_fields(
        &self,
        node: &Node,
        name: Option<SegmentName>,
        values: &[Assignment],
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let Some(name) = name else { return true };
        let other =
            values.iter().find(|value| value.to.path().segment() != name || value.to.is_numbered());
        let Some(other) = other else { return true };
        let written = other.to.written();
        let key = node.as_map().and_then(|map| map.entry(written)).map(|(key, _)| &key.span);
        diagnostics.push(
            Diagnostic::error(
                "channel.segment",
                key.unwrap_or(&node.span),
                "only fields of the new segment belong here",
            )
            .with_help(format!("write `{name}-1` and so on; set other fields in a `set` step")),
        );
        false
    }

    fn remove_segment(
        &self,
        node: &Node,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Action> {
        let mut place = self.reference(node, scope, Use::WriteEach, diagnostics)?;
        let (message, help) = if place.depth() > 0 {
            (
                "the name of a segment belongs here",
                format!("write `{}`; for a field use `clear` or `remove`", place.path().segment()),
            )
        } else if place.path().segment() == SegmentName::MSH {
            (
                "the MSH segment can't be removed",
                "a message is nothing without it; use `filter` to end a message".to_owned(),
            )
        } else {
            place.every_segment();
            return Some(Action::RemoveSegment(place));
        };
        diagnostics.push(Diagnostic::error("channel.segment", &node.span, message).with_help(help));
        None
    }

    pub(super) fn only_for_channels(
        &self,
        name: &str,
        node: &Node,
        whole: &Whole<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        if whole.owner == Owner::Channel {
            return Some(());
        }
        diagnostics.push(
            Diagnostic::error(
                "channel.step-of-channel",
                &node.span,
                format!("`{name}` is about the whole message, not about one destination"),
            )
            .with_help("move it to the `steps` of the channel; use `filter` to keep a message from this destination"),
        );
        None
    }
}

/// A raw value may not have delimiters that end the place it is written to.
fn fits(raw: &str, to: &Reference, node: &Node, diagnostics: &mut Diagnostics) -> bool {
    let forbidden: &[char] = match (to.depth(), to.names_repetition()) {
        (1, false) => &['|'],
        (1, true) => &['|', '~'],
        (2, _) => &['|', '~', '^'],
        _ => &['|', '~', '^', '&'],
    };
    let wrong =
        raw.find(|character: char| forbidden.contains(&character) || character.is_control());
    let Some(at) = wrong else { return true };
    let span = node.sub_span_of_bytes(at, at + 1);
    diagnostics.push(
        Diagnostic::error(
            "channel.raw-value",
            &span,
            format!("this character would end `{}`", to.written()),
        )
        .with_help("leave it out, or escape it (`\\F\\` for |, `\\R\\` for ~, `\\S\\` for ^, `\\T\\` for &)"),
    );
    false
}

/// What is written into MSH-18 says which set the message goes out in.
fn names_a_set(value: &str, to: &Reference, node: &Node, diagnostics: &mut Diagnostics) -> bool {
    let path = to.path();
    let is_msh_18 =
        path.segment() == SegmentName::MSH && path.field().is_some_and(|field| field.get() == 18);
    if !is_msh_18 || CharsetSpec::from_msh18(value.as_bytes()).is_ok() {
        return true;
    }
    diagnostics.push(
        Diagnostic::error("channel.charset", &node.span, "there is no such character set")
            .with_help("write it as in HL7 table 0211, such as `UNICODE UTF-8` or `8859/1`: the message goes out in it"),
    );
    false
}

/// A larger part of a message does not fit into a smaller one.
fn check_sizes(from: &Reference, to: &Reference, span: &Span, diagnostics: &mut Diagnostics) {
    let names = ["segment", "field", "component", "subcomponent"];
    let name = |depth: u8| names.get(usize::from(depth)).copied().unwrap_or("part");
    let (message, help) = if from.depth() == 0 {
        (
            "this names a whole segment".to_owned(),
            format!("name a field of it, such as `{}-1`", from.written()),
        )
    } else if from.depth() < to.depth() {
        (
            format!(
                "`{}` is a whole {}, and `{}` only a {}",
                from.written(),
                name(from.depth()),
                to.written(),
                name(to.depth())
            ),
            format!("name the part that is meant: `{}.1`", from.written()),
        )
    } else if from.depth() == 1
        && !from.names_repetition()
        && to.depth() == 1
        && to.names_repetition()
    {
        (
            format!(
                "`{}` is the field with all its repetitions, and `{}` only one",
                from.written(),
                to.written()
            ),
            format!("name one of them: `{}[1]`", from.written()),
        )
    } else {
        return;
    };
    diagnostics.push(Diagnostic::error("channel.copy", span, message).with_help(help));
}
