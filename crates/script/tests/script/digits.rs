//! Numbers keep the digits that they came with, as far as a bot passes them on.

use pipehat_script::{Input, Output};

use crate::host::{event, run};

const SEEN: &str = r#"{"resourceType":"Observation","valueQuantity":{"value":0.10,"unit":"g"},"component":[{"valueQuantity":{"value":12345678901234567890.50}},{"valueQuantity":{"value":-1.5e2}}],"note":[{"text":"1.50 digits0.10"}]}"#;

/// What a handler with this body returns of [`SEEN`], its `input`.
fn returned(body: &str) -> String {
    let source = format!(
        "import {{ deepClone }} from '@medplum/core';\n\
         const used = deepClone;\n\
         export const handler = (medplum: unknown, {{ input }}: {{ input: any }}): unknown => {{ {body} }};"
    );
    match run(&source, &event(Input::Json(SEEN.to_owned()))) {
        Ok(Output::Json(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_keep_their_digits() {
    for body in [
        "return input;",
        "return { ...input };",
        "return { ...input, valueQuantity: { ...input.valueQuantity } };",
        "return Object.assign({}, input);",
        "return structuredClone(input);",
        "return deepClone(input);",
        "return deepClone(structuredClone({ ...input, component: input.component.map((own: object) => ({ ...own })) }));",
    ] {
        assert_eq!(returned(body), SEEN, "{body}");
    }
}

#[test]
fn another_number_is_written_as_javascript_has_it() {
    let of = |body: &str| returned(&format!("const own = input.valueQuantity; {body}"));
    assert_eq!(of("own.value = 0.2; return own;"), r#"{"value":0.2,"unit":"g"}"#);
    assert_eq!(of("return [own.value, { value: own.value }];"), r#"[0.1,{"value":0.1}]"#);
    assert_eq!(of("return { ...own, value: undefined };"), r#"{"unit":"g"}"#);
    assert_eq!(of("own.value = '0.10'; return own;"), r#"{"value":"0.10","unit":"g"}"#);
}

/// What a bot makes up of what remembers the digits is no way to write anything but the same number.
#[test]
fn no_text_becomes_a_number_or_anything_else() {
    let kept = "const kept = Object.getOwnPropertySymbols(input.valueQuantity)[0]!;";
    let of = |body: &str| returned(&format!("{kept} {body}"));
    let made = |value: &str, digits: &str| {
        of(&format!("return {{ value: {value}, [kept]: {{ value: {digits} }} }};"))
    };
    assert_eq!(made("1", "'1.00'"), r#"{"value":1.00}"#);
    assert_eq!(made("1", "'1.00,\"x\":1'"), r#"{"value":1}"#);
    assert_eq!(made("1", "'2.00'"), r#"{"value":1}"#);
    assert_eq!(made("1", "{ toString: () => '1.00' }"), r#"{"value":1}"#);
    // Texts that look like what stands for a number while it is written.
    let mark = "\\uE000digits0.10";
    let own = of(&format!("return [input.valueQuantity, '{mark}', {{ '{mark}': 1 }}];"));
    let text = "\u{e000}digits0.10";
    assert_eq!(own, format!(r#"[{{"value":0.10,"unit":"g"}},"{text}",{{"{text}":1}}]"#));
}
