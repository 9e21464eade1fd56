//! Identifiers: who assigned them, and of what kind they are.

use pipehat_resource::fhirpath::Item;
use pipehat_resource::json::Value;

use super::codes::{codings, table_number};
use super::fields::Run;
use super::primitive::text_of;
use super::profile::Hierarchic;

impl Run<'_> {
    pub(super) fn coding_system(&mut self, item: &Item<'_>) -> Option<String> {
        let uri = text_of(item)?;
        let name = self.tables.systems.name(self.profile, &uri);
        name.or_else(|| (!uri.contains(':')).then_some(uri))
    }

    /// The code of table 0203, or what the profile says for the identifier's system.
    pub(super) fn identifier_type(&mut self, item: &Item<'_>) -> Option<String> {
        let identifier = item.json()?;
        if let Some(type_) = identifier.get("type") {
            let is_own = |coding: &&&Value| {
                coding.text("system").is_none_or(|system| table_number(system) == Some("0203"))
            };
            let codings = codings(type_);
            let own = codings.iter().find(is_own);
            if let Some((own, code)) = own.and_then(|own| Some((own, own.text("code")?))) {
                self.coverage.read_concept(type_, own);
                return Some(code.to_owned());
            }
        }
        let system = identifier.text("system")?;
        self.profile.authority_of(system)?.type_code.clone()
    }

    /// Who assigned an identifier: by the profile, by its system, and by what its assigner is called.
    pub(super) fn authority(&mut self, item: &Item<'_>) -> Option<Hierarchic> {
        let identifier = item.json()?;
        let assigner = identifier.get("assigner").and_then(|assigner| self.assigner(assigner));
        let system = identifier.get("system");
        if let Some(source) = system {
            self.coverage.read(source);
        }
        let mut authority = match system.and_then(Value::as_str) {
            Some(system) => {
                if let Some(known) = self.profile.authority_of(system) {
                    return Some(known.authority.clone());
                }
                match self.profile.namespaces_under_base(system).as_deref() {
                    Some([namespace]) => Hierarchic::named(namespace),
                    // Of a sender that names no authority: its application and its facility (a slash in a namespace is
                    // `%2F`).
                    Some(_) => Hierarchic::default(),
                    None => Hierarchic::of_uri(system).unwrap_or_else(|| Hierarchic::named(system)),
                }
            }
            None => Hierarchic::default(),
        };
        if authority.namespace.is_empty() {
            authority.namespace = assigner.unwrap_or_default();
        }
        Some(authority)
    }

    fn assigner(&mut self, assigner: &Value) -> Option<String> {
        if let Some(display) = assigner.get("display") {
            self.coverage.read(display);
            self.read_reference(assigner);
            return display.as_str().map(str::to_owned);
        }
        let number = assigner.get("identifier").and_then(|identifier| identifier.get("value"));
        if let Some(number) = number {
            self.coverage.read(number);
        }
        let identifier = number.and_then(Value::as_str);
        let organization = assigner.text("reference").and_then(|it| self.resources.find(it));
        let of_organization = organization.and_then(|organization| {
            let identifiers = organization.items("identifier").iter();
            let mut values = identifiers.filter_map(|identifier| identifier.text("value"));
            values.next().or_else(|| organization.text("name"))
        });
        let name = identifier.or(of_organization)?.to_owned();
        self.read_reference(assigner);
        Some(name)
    }

    /// Where a reference leads, of which a name was told.
    fn read_reference(&mut self, reference: &Value) {
        for own in ["reference", "type"].iter().filter_map(|member| reference.get(member)) {
            self.coverage.read(own);
        }
    }
}
