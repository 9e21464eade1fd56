//! Rules of R4 across elements that a message may leave unmet, each by its key.

use pipehat_resource::definitions::TypeDefinition;

use super::Run;
use super::tree::{Child, Leaf, NodeId};
use crate::finding::FindingKind;
use crate::plan::NO_CHOICE;

impl<'a> Run<'a> {
    /// Completes an element by R4's invariants; false where it can't be.
    pub(super) fn keeps_invariants(
        &mut self,
        node: NodeId,
        definition: &'static TypeDefinition,
    ) -> bool {
        self.lacking = None;
        match definition.name() {
            // ext-1: either a value or extensions.
            "Extension" => {
                let children: Vec<NodeId> = self.tree.children(node).collect();
                children.into_iter().any(|child| {
                    let name = self.tree.node(child).map(|own| self.plan.names.text(own.name));
                    name.is_some_and(|name| !matches!(name, "url" | "id")) && self.says(child)
                })
            }
            // cpt-2: a system where there is a value.
            "ContactPoint" => {
                if self.has(node, "value") && !self.has(node, "system") {
                    self.declare_absent(node, definition, "system");
                }
                // How nobody is reached says nothing: `^PRN^PH` without a number.
                self.has_one(node, &["value", "extension"], "value")
            }
            // att-1: a type where there are data. Of what nobody says, it is bytes (RFC 2046 §4.5.1).
            "Attachment" => {
                if self.has(node, "data") && !self.has(node, "contentType") {
                    self.put_text(node, definition, "contentType", "application/octet-stream");
                }
                true
            }
            // qty-3: a system where there is a code; without one the code is a text.
            "Quantity" | "Age" | "Duration" | "Count" | "Distance" | "Money" => {
                if self.has(node, "code") && !self.has(node, "system") {
                    self.code_as_unit(node);
                }
                true
            }
            // An identifier without its value names nothing.
            "Identifier" => self.has_one(node, &["value"], "value"),
            // Without its data it says nothing.
            "SampledData" => self.has_one(node, &["data"], "data"),
            // rng-2: low is not above high.
            "Range" => {
                let is_reversed = self.is_reversed(node);
                self.lacking = is_reversed.then_some("low that is not above its high");
                !is_reversed
            }
            // What two rows tell the same is told once.
            "CodeableConcept" => {
                self.tree.unite_same(node, &|left, right| left == right);
                true
            }
            // org-1: a name or an identifier.
            "Organization" => {
                self.without_home(node);
                self.has_one(node, &["name", "identifier"], "name or identifier")
            }
            // pat-1: details, or an organization.
            "Patient.contact" => self.has_one(
                node,
                &["name", "telecom", "address", "organization"],
                "name, telecom, address or organization",
            ),
            // app-1: a type or an actor.
            "Appointment.participant" => self.has_one(node, &["type", "actor"], "type or actor"),
            "Condition" => {
                self.without_clinical_status(node);
                self.condition(node, definition);
                true
            }
            "AllergyIntolerance" => {
                self.without_clinical_status(node);
                true
            }
            "DocumentReference" => {
                self.with_content(node, definition);
                true
            }
            "Appointment" => {
                self.appointment(node, definition);
                true
            }
            _ => true,
        }
    }

    fn is_reversed(&self, range: NodeId) -> bool {
        let bound = |name: &str| {
            let quantity = self.plan.names.find(name).and_then(|id| self.tree.find(range, id))?;
            self.text_of(quantity, "value")?.parse::<f64>().ok()
        };
        matches!((bound("low"), bound("high")), (Some(low), Some(high)) if low > high)
    }

    /// Whether one of these says anything; else that is what is lacking.
    fn has_one(&mut self, node: NodeId, names: &[&str], words: &'static str) -> bool {
        let is_there = names.iter().any(|name| self.has(node, name));
        self.lacking = Some(words).filter(|_| !is_there);
        is_there
    }

    /// Whether a member of this name says anything.
    fn has(&self, node: NodeId, name: &str) -> bool {
        self.plan.names.find(name).is_some_and(|id| self.has_member(node, id))
    }

    fn declare_absent(&mut self, node: NodeId, definition: &'static TypeDefinition, name: &str) {
        let (Some(member), Some(id)) = (definition.member(name), self.plan.names.find(name)) else {
            return;
        };
        let own = member.element_type.definition();
        let child = Child {
            name: id,
            is_list: false,
            is_primitive: own.primitive().is_some(),
            definition: own,
            choice: NO_CHOICE,
            label: 0,
        };
        self.absent(node, child, own);
    }

    fn put_text(
        &mut self,
        node: NodeId,
        definition: &'static TypeDefinition,
        name: &str,
        text: &'static str,
    ) {
        let (Some(member), Some(id)) = (definition.member(name), self.plan.names.find(name)) else {
            return;
        };
        let child = Child {
            name: id,
            is_list: false,
            is_primitive: true,
            definition: member.element_type.definition(),
            choice: NO_CHOICE,
            label: 0,
        };
        let added = self.tree.child(node, child);
        self.tree.set_leaf(added, Leaf::Text(text.into()));
    }

    /// org-2 and org-3: an organization's address or telephone is nobody's home.
    fn without_home(&mut self, node: NodeId) {
        let parts: Vec<NodeId> = self.tree.children(node).collect();
        for part in parts {
            let name = self.tree.node(part).map(|own| self.plan.names.text(own.name));
            if !matches!(name, Some("telecom" | "address"))
                || self.text_of(part, "use").as_deref() != Some("home")
            {
                continue;
            }
            let home = self.plan.names.find("use").and_then(|id| self.tree.find(part, id));
            if let Some(home) = home {
                self.tree.remove(part, home);
                self.find_at(
                    FindingKind::ValueUnfit,
                    Self::segment_at(self.completing),
                    "an organization has no home (org-2, org-3): the use is left out",
                );
            }
        }
    }

    /// The code of a quantity whose system nobody says is its unit as written.
    fn code_as_unit(&mut self, node: NodeId) {
        let Some(code) = self.tree.find(node, self.plan.well_known.code) else { return };
        let leaf = self.tree.leaf(code).clone();
        self.tree.remove(node, code);
        let Some(unit) = self.plan.names.find("unit") else { return };
        if self.tree.find(node, unit).is_none_or(|own| !self.says(own)) {
            let child = self.text_child(unit);
            let unit = self.tree.child(node, child);
            self.tree.set_leaf(unit, leaf);
        }
    }

    /// app-2 and app-3: start and end both, but of what is proposed, waited for or cancelled. An end follows from the
    /// start and the duration; else it is declared unknown.
    fn appointment(&mut self, node: NodeId, definition: &'static TypeDefinition) {
        if self.has(node, "start") && !self.has(node, "end") {
            self.end_by_duration(node, definition);
        }
        let status = self.text_of(node, "status");
        let may_be_open = matches!(status.as_deref(), Some("proposed" | "cancelled" | "waitlist"));
        let (start, end) = (self.has(node, "start"), self.has(node, "end"));
        if start && end || may_be_open && start == end {
            return;
        }
        if !start {
            self.declare_absent(node, definition, "start");
        }
        if !end {
            self.declare_absent(node, definition, "end");
        }
    }

    /// ait-2 and con-5: what was entered in error has no clinical status.
    fn without_clinical_status(&mut self, node: NodeId) {
        let find = |name: &str| self.plan.names.find(name).and_then(|id| self.tree.find(node, id));
        let (Some(clinical), Some(verification)) =
            (find("clinicalStatus"), find("verificationStatus"))
        else {
            return;
        };
        let is_error = self.tree.children(verification).any(|coding| {
            self.text_of(coding, "code").is_some_and(|code| code == "entered-in-error")
        });
        if is_error {
            self.tree.remove(node, clinical);
        }
    }

    /// A document of which only the notification comes (MDM^T01 and its like, HL7 v2.5.1 §9.5) has a content all the same:
    /// R4 requires one, and it says that its data are absent.
    fn with_content(&mut self, node: NodeId, definition: &'static TypeDefinition) {
        if self.has_content(node) {
            return;
        }
        let names = &self.plan.names;
        let (Some(content), Some(attachment)) = (names.find("content"), names.find("attachment"))
        else {
            return;
        };
        let member = |of: &'static TypeDefinition, name| {
            of.member(name).map(|member| member.element_type.definition())
        };
        let Some(content_type) = member(definition, "content") else { return };
        let Some(attachment_type) = member(content_type, "attachment") else { return };
        let child = |name, is_list, definition| Child {
            name,
            is_list,
            is_primitive: false,
            definition,
            choice: NO_CHOICE,
            label: 0,
        };
        let content = match self.tree.find(node, content) {
            Some(own) => own,
            None => self.tree.append(node, child(content, true, content_type)),
        };
        self.absent(content, child(attachment, false, attachment_type), attachment_type);
    }

    /// Whether a DocumentReference has a content, or says where it is.
    pub(super) fn has_content(&self, document: NodeId) -> bool {
        let names = &self.plan.names;
        let (Some(content), Some(attachment)) = (names.find("content"), names.find("attachment"))
        else {
            return false;
        };
        let is_of = |own: &NodeId, name| self.tree.node(*own).is_some_and(|own| own.name == name);
        let mut contents = self.tree.children(document).filter(|own| is_of(own, content));
        contents.any(|own| {
            let mut attachments = self.tree.children(own).filter(|own| is_of(own, attachment));
            attachments.any(|own| self.has(own, "data") || self.has(own, "url"))
        })
    }

    /// con-4: what is abated is not active. Where the message says only that it ended, it is inactive; where it says
    /// both, the status counts.
    fn condition(&mut self, node: NodeId, definition: &'static TypeDefinition) {
        let abated: Vec<NodeId> = self
            .tree
            .children(node)
            .filter(|child| {
                self.tree
                    .node(*child)
                    .is_some_and(|own| self.plan.names.text(own.name).starts_with("abatement"))
                    && self.says(*child)
            })
            .collect();
        if abated.is_empty() {
            return;
        }
        let (Some(id), Some(member)) =
            (self.plan.names.find("clinicalStatus"), definition.member("clinicalStatus"))
        else {
            return;
        };
        let known = self.tree.find(node, id).filter(|own| self.says(*own));
        if let Some(status) = known {
            let is_over = self.tree.children(status).any(|coding| {
                matches!(
                    self.text_of(coding, "code").as_deref(),
                    Some("inactive" | "resolved" | "remission")
                )
            });
            if !is_over {
                abated.into_iter().for_each(|child| self.tree.remove(node, child));
            }
            return;
        }
        let child = Child {
            name: id,
            is_list: false,
            is_primitive: false,
            definition: member.element_type.definition(),
            choice: NO_CHOICE,
            label: 0,
        };
        let status = self.tree.child(node, child);
        let coding = self.coding_child(0);
        let coding = self.tree.append(status, coding);
        let known = self.plan.well_known;
        let texts = [
            (known.system, "http://terminology.hl7.org/CodeSystem/condition-clinical"),
            (known.code, "inactive"),
        ];
        for (name, text) in texts {
            let child = self.text_child(name);
            let node = self.tree.child(coding, child);
            self.tree.set_leaf(node, Leaf::Text(text.into()));
        }
    }

    pub(super) fn text_of(&self, node: NodeId, name: &str) -> Option<String> {
        match self.tree.leaf(self.tree.find(node, self.plan.names.find(name)?)?) {
            Leaf::Text(text) | Leaf::Number(text) => Some(text.to_string()),
            _ => None,
        }
    }

    fn end_by_duration(&mut self, node: NodeId, definition: &'static TypeDefinition) {
        let (Some(start), Some(minutes)) =
            (self.text_of(node, "start"), self.text_of(node, "minutesDuration"))
        else {
            return;
        };
        let end = minutes.parse().ok().and_then(|minutes| crate::value::later(&start, minutes));
        let (Some(end), Some(id), Some(member)) =
            (end, self.plan.names.find("end"), definition.member("end"))
        else {
            return;
        };
        let child = Child {
            name: id,
            is_list: false,
            is_primitive: true,
            definition: member.element_type.definition(),
            choice: NO_CHOICE,
            label: 0,
        };
        let node = self.tree.child(node, child);
        self.tree.set_leaf(node, Leaf::Text(end.into()));
    }
}
