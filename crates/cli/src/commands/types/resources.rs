//! FHIR R4's types as TypeScript interfaces, from the definitions: `Patient`, `PatientContact`, `HumanName`…
//!
//! Names are those of `@medplum/fhirtypes`, which bots import: a group of elements is called by its path without the
//! points, `Reference` and `Bundle` take the type they hold.

use std::fmt::Write as _;

use pipehat_resource::definitions::{
    BindingStrength, Element, ElementType, Primitive, TypeDefinition, TypeKind, ValueSet,
    all_types, resource_types,
};

/// A value set with more codes is not written out: editors are slow with long unions, and people don't read them.
const CODES_MAX: usize = 60;

const HEAD: &str = "\
// FHIR R4 (4.0.1), written by `pipehat types`.

/** The names of resource types. */
export type ResourceType = Resource['resourceType'];

/** The resource of a type, by its name. */
export type ExtractResource<K extends ResourceType> = Extract<Resource, { resourceType: K }>;

/** A bot, as it identifies itself. */
export interface Bot {
  resourceType: 'Bot';
  id?: string;
  meta?: Meta;
  identifier?: Identifier[];
  name?: string;
}

/** A setting by its name: `event.secrets['KEY'].valueString`. */
export interface ProjectSetting {
  name: string;
  valueString?: string;
}
";

/// All of them, as one file.
pub(super) fn declarations() -> String {
    let mut text = HEAD.to_owned();
    let mut names = Vec::new();
    for resource in resource_types() {
        names.push(resource.name());
    }
    text.push_str("\n/** A resource of any type. */\nexport type Resource =\n  | Bot\n");
    for (place, name) in names.iter().enumerate() {
        let end = if place + 1 == names.len() { ";" } else { "" };
        // Writing into a string does not fail.
        let _ = writeln!(text, "  | {name}{end}");
    }
    for definition in all_types() {
        if definition.kind() != TypeKind::Primitive
            && !(definition.kind() == TypeKind::Resource && definition.is_abstract())
        {
            interface(&mut text, definition);
        }
    }
    text
}

fn interface(text: &mut String, definition: &TypeDefinition) {
    let name = interface_name(definition.name());
    let parameter = match definition.name() {
        "Reference" | "Bundle" | "Bundle.entry" => "<T extends Resource = Resource>",
        _ => "",
    };
    let _ = writeln!(text, "\nexport interface {name}{parameter} {{");
    if definition.kind() == TypeKind::Resource {
        let _ = writeln!(text, "  resourceType: '{name}';");
    }
    for element in definition.elements() {
        for element_type in element.types() {
            member(text, definition, element, element_type);
        }
    }
    text.push_str("}\n");
}

fn member(text: &mut String, owner: &TypeDefinition, element: &Element, own: &ElementType) {
    if let Some(binding) = element.binding() {
        let strength = match binding.strength {
            BindingStrength::Required => "required",
            BindingStrength::Extensible => "extensible",
            BindingStrength::Preferred => "preferred",
            BindingStrength::Example => "example",
        };
        let _ = writeln!(text, "  /** Codes ({strength}): {} */", binding.value_set);
    }
    let mark = if element.min() > 0 && !element.is_choice() { "" } else { "?" };
    let list = if element.is_list() { "[]" } else { "" };
    let value = value_type(owner, element, own);
    let value = if element.is_list() && value.contains('|') { format!("({value})") } else { value };
    let _ = writeln!(text, "  {}{mark}: {value}{list};", own.member());
    // `id` and `url` of elements and extensions are no primitives with parts of their own (R4 §2.6.2.1).
    let is_plain = matches!(element.name(), "id") || own.code() == "xhtml";
    if own.definition().kind() == TypeKind::Primitive && !is_plain {
        let sibling = if element.is_list() { "(Element | null)[]" } else { "Element" };
        let _ = writeln!(text, "  _{}?: {sibling};", own.member());
    }
}

fn value_type(owner: &TypeDefinition, element: &Element, own: &ElementType) -> String {
    let definition = own.definition();
    if let Some(primitive) = definition.primitive() {
        return match primitive {
            Primitive::Boolean => "boolean".to_owned(),
            Primitive::Decimal
            | Primitive::Integer
            | Primitive::PositiveInt
            | Primitive::UnsignedInt => "number".to_owned(),
            Primitive::Code => codes(element).unwrap_or_else(|| "string".to_owned()),
            _ => "string".to_owned(),
        };
    }
    match definition.name() {
        "Reference" => {
            let targets = own.targets();
            if targets.is_empty() || targets.contains(&"Resource") {
                "Reference".to_owned()
            } else {
                format!("Reference<{}>", targets.join(" | "))
            }
        }
        "Resource" if owner.name() == "Bundle.entry" => "T".to_owned(),
        "Bundle.entry" => "BundleEntry<T>".to_owned(),
        name => interface_name(name),
    }
}

/// The codes of a required binding, where they are few enough to be read.
fn codes(element: &Element) -> Option<String> {
    let binding = element.binding()?;
    if binding.strength != BindingStrength::Required {
        return None;
    }
    let value_set = ValueSet::named(binding.value_set)?;
    let codes: Vec<_> = value_set.codes().map(|(_, code)| format!("'{code}'")).collect();
    (1..=CODES_MAX).contains(&codes.len()).then(|| codes.join(" | "))
}

/// `PatientContact` of `Patient.contact`.
fn interface_name(name: &str) -> String {
    let mut interface = String::with_capacity(name.len());
    for part in name.split('.') {
        let mut characters = part.chars();
        interface.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        interface.push_str(characters.as_str());
    }
    interface
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(interface: &str, line: &str) {
        let all = declarations();
        let from = all
            .split_once(&format!("\nexport interface {interface} {{\n"))
            .unwrap_or_else(|| panic!("no interface {interface}"))
            .1;
        let own = from.split_once("\n}\n").map_or(from, |(own, _)| own);
        assert!(own.lines().any(|one| one == line), "{interface} has no line `{line}`:\n{own}");
    }

    #[test]
    fn elements_become_members() {
        check("Patient", "  resourceType: 'Patient';");
        check("Patient", "  birthDate?: string;");
        check("Patient", "  _birthDate?: Element;");
        check("Patient", "  name?: HumanName[];");
        check("Patient", "  gender?: 'female' | 'male' | 'other' | 'unknown';");
        check("Patient", "  contact?: PatientContact[];");
        check("Patient", "  managingOrganization?: Reference<Organization>;");
        check("Patient", "  deceasedBoolean?: boolean;");
        check("Patient", "  deceasedDateTime?: string;");
        check("HumanName", "  given?: string[];");
        check("HumanName", "  _given?: (Element | null)[];");
        check("Observation", "  code: CodeableConcept;");
        check("Observation", "  valueQuantity?: Quantity;");
        check("QuestionnaireResponseItem", "  linkId: string;");
        check("QuestionnaireResponseItem", "  item?: QuestionnaireResponseItem[];");
        check("Extension", "  url: string;");
        check("Timing", "  repeat?: TimingRepeat;");
        check("Age", "  value?: number;");
    }

    #[test]
    fn bundles_and_references_know_what_they_hold() {
        check("Bundle<T extends Resource = Resource>", "  entry?: BundleEntry<T>[];");
        check("BundleEntry<T extends Resource = Resource>", "  resource?: T;");
        check("Reference<T extends Resource = Resource>", "  reference?: string;");
        check("Patient", "  contained?: Resource[];");
        check("Annotation", "  authorString?: string;");
    }
}
