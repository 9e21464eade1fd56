//! What the resources of these tests are found by, worked out apart from the rules of R4: what a store does with
//! values is tested here, not how they come out of a resource.

use std::sync::Arc;

use pipehat_resource::json::Value;
use pipehat_resource::search::{
    IndexEntry, IndexValue, ParameterId, ParameterNames as Names, Registry, Search, TokenValue,
    fold,
};

use crate::datastore::{ParameterNames, R4Rules, Refusal, Rules};

pub(super) struct TestRules {
    pub(super) r4: R4Rules,
    pub(super) registry: Arc<Registry>,
}

impl TestRules {
    fn id(&self, resource_type: &str, code: &str) -> Option<ParameterId> {
        let names = Names { resource_type: resource_type.into(), code: code.to_owned() };
        self.registry.id(&names)
    }
}

impl Rules for TestRules {
    fn parameters(&self) -> Vec<ParameterNames> {
        self.r4.parameters()
    }

    fn extract(&self, resource: &Value) -> Vec<IndexEntry> {
        let resource_type = resource.resource_type().unwrap_or_default();
        let mut entries = Vec::new();
        let mut add = |code: &str, instance: u32, value: IndexValue| {
            if let Some(parameter) = self.id(resource_type, code) {
                entries.push(IndexEntry { parameter, instance, value });
            }
        };
        for tag in resource.get("meta").map_or(&[][..], |meta| meta.items("tag")) {
            add("_tag", 0, IndexValue::Token(coding(tag)));
        }
        for identifier in resource.items("identifier") {
            add("identifier", 0, IndexValue::Token(identifier_token(identifier)));
        }
        for name in resource.items("name") {
            for part in name.items("given").iter().chain(name.items("family")) {
                if let Some(text) = part.as_str() {
                    add("name", 0, string(text));
                }
            }
            if let Some(family) = name.text("family") {
                add("family", 0, string(family));
            }
        }
        for (member, code) in [("gender", "gender"), ("status", "status")] {
            if let Some(text) = resource.text(member) {
                let code_value = Some(text.to_owned());
                let token = TokenValue { code: code_value, ..TokenValue::default() };
                add(code, 0, IndexValue::Token(token));
            }
        }
        for (member, code) in [("birthDate", "birthdate"), ("effectiveDateTime", "date")] {
            if let Some(text) = resource.text(member) {
                add(code, 0, date(text, text));
            }
        }
        if let Some(period) = resource.get("effectivePeriod") {
            let (start, end) = (period.text("start").unwrap(), period.text("end").unwrap());
            add("date", 0, date(start, end));
        }
        for (member, codes) in [
            ("subject", &["subject", "patient"][..]),
            ("encounter", &["encounter"]),
            ("generalPractitioner", &["general-practitioner"]),
            ("managingOrganization", &["organization"]),
            ("partOf", &["partof", "part-of"]),
            ("hasMember", &["has-member"]),
        ] {
            for reference in resource.items(member) {
                for code in codes {
                    add(code, 0, refers(reference));
                }
            }
        }
        for code in resource.get("code").map_or(&[][..], |code| code.items("coding")) {
            add("code", 0, IndexValue::Token(coding(code)));
            add("code-value-quantity$1", 0, IndexValue::Token(coding(code)));
        }
        if let Some(quantity) = resource.get("valueQuantity") {
            add("value-quantity", 0, quantity_value(quantity));
            add("code-value-quantity$2", 0, quantity_value(quantity));
        }
        for (instance, component) in (1..).zip(resource.items("component")) {
            for code in component.get("code").map_or(&[][..], |code| code.items("coding")) {
                add("component-code-value-quantity$1", instance, IndexValue::Token(coding(code)));
            }
            if let Some(quantity) = component.get("valueQuantity") {
                add("component-code-value-quantity$2", instance, quantity_value(quantity));
            }
        }
        if let Some(url) = resource.text("url") {
            add("url", 0, IndexValue::Uri(url.to_owned()));
        }
        entries
    }

    fn fold(&self, text: &str) -> String {
        fold(text)
    }

    fn condition(&self, text: &str, now: i64) -> Option<Search> {
        self.r4.condition(text, now)
    }

    fn patch(&self, resource: &Value, patch: &Value) -> Result<Value, Refusal> {
        self.r4.patch(resource, patch)
    }

    fn fingerprint(&self) -> String {
        "test".to_owned()
    }
}

fn string(text: &str) -> IndexValue {
    IndexValue::String { exact: text.to_owned(), folded: fold(text) }
}

fn coding(coding: &Value) -> TokenValue {
    TokenValue {
        system: coding.text("system").map(str::to_owned),
        code: coding.text("code").map(str::to_owned),
        text: coding.text("display").map(fold),
        of_type: Vec::new(),
    }
}

fn identifier_token(identifier: &Value) -> TokenValue {
    let types = identifier.get("type").map_or(&[][..], |of| of.items("coding"));
    TokenValue {
        system: identifier.text("system").map(str::to_owned),
        code: identifier.text("value").map(str::to_owned),
        text: None,
        of_type: types
            .iter()
            .filter_map(|of| Some((of.text("system")?.to_owned(), of.text("code")?.to_owned())))
            .collect(),
    }
}

fn refers(reference: &Value) -> IndexValue {
    let local = reference.text("reference").and_then(|text| text.split_once('/'));
    IndexValue::Reference {
        resource_type: local.map(|(resource_type, _)| resource_type.to_owned()),
        id: local.map(|(_, id)| id.to_owned()),
        url: None,
        version: None,
        identifier: reference.get("identifier").map(identifier_token),
    }
}

/// From the first day's beginning to the last day's end.
fn date(first: &str, last: &str) -> IndexValue {
    let midnight = |text: &str| {
        let timestamp: jiff::Timestamp = format!("{text}T00:00:00Z").parse().unwrap();
        timestamp.as_microsecond()
    };
    IndexValue::Date { from: midnight(first), to: midnight(last) + 86_400_000_000 - 1 }
}

fn quantity_value(quantity: &Value) -> IndexValue {
    let Some(Value::Number(number)) = quantity.get("value") else { panic!("a quantity's value") };
    let value = number.as_f64();
    let open = quantity.text("comparator") == Some("<");
    IndexValue::Quantity {
        value,
        low: if open { f64::NEG_INFINITY } else { value },
        high: value,
        system: quantity.text("system").map(str::to_owned),
        code: quantity.text("code").map(str::to_owned),
        unit: quantity.text("unit").map(str::to_owned),
    }
}
