//! `docs/connectors.md`: every setting of every connector, from their descriptors.

use std::fmt::Write as _;

use pipehat_config::{FieldSchema, Kind, Required};
use pipehat_connectors::{
    Answer, CONNECTORS, Descriptor, DestinationDescriptor, OnRefusal, PayloadFormat, SFTP_SERVER,
};

use crate::page::cell;

const HEAD: &str = "\
<!-- Made from the connectors' own descriptors by `cargo xtask docs`; change it there. -->

# Connectors

A channel has one source and any number of destinations; under each stands one connector with its
settings. What belongs to the channel or to the destination whatever the connector (`reply`,
`order`, `retry`, `on`, `when`, `steps`) is in [the guide](guide.md).

How values are written:

| type | written like |
| --- | --- |
| text | `lab` or `\"lab: north\"` |
| duration | `250ms`, `30s`, `5m`, `2h`, `7d` |
| size | `64KiB`, `8MiB`, `50MB` |
| address | `host:port`, `0.0.0.0:2575`, `[::1]:2575` |
| secret | `secret:NAME`: the variable `PIPEHAT_SECRET_NAME`, or a file `NAME` in the folder that `PIPEHAT_SECRETS` names, or in `/run/secrets` |

`${NAME}` and `${NAME:-default}` put in environment variables anywhere. Paths of files and folders
are seen from the project directory.
";

/// The page.
pub(crate) fn text() -> String {
    let mut page = String::from(HEAD);
    for connector in CONNECTORS {
        write_connector(&mut page, connector);
    }
    page.push_str(SFTP);
    write_fields(&mut page, SFTP_SERVER);
    page.push_str(
        "\nWhat it may tell an operator: [the codes that begin with `sftp.`](codes.md#sftp)\n",
    );
    page
}

/// SFTP is not for channels yet, but for bots.
const SFTP: &str = "
## `sftp`: SFTP servers

Files on other people's servers, over SSH. Servers are named in `pipehat.yaml`; bots use those that they are
[granted](bots-server.md#files-on-sftp-servers). They are no source or destination of channels yet.

```yaml
sftp:
  laboratory:
    connect: sftp.example.org:22
    user: pipehat
    key: secret:laboratory-key
    host_key: SHA256:uNiVztksCsDhcc0u9e8BrMz2rMTo4FMQkJ1Ew3sZq0o
    directory: /outbox
```
";

fn write_connector(page: &mut String, connector: &Descriptor) {
    let Descriptor { name, title, doc, .. } = connector;
    // Writing to a string can't fail.
    let _ = write!(page, "\n## `{name}`: {title}\n\n{doc}\n");
    if let Some(source) = &connector.source {
        let _ = write!(page, "\n### `{name}` as a source\n");
        write_example(page, "source", name, source.schema);
        write_formats(page, "Receives", source.formats);
        write_fields(page, source.schema);
    }
    if let Some(destination) = &connector.destination {
        let _ = write!(page, "\n### `{name}` as a destination\n");
        write_example(page, "destinations", name, destination.schema);
        write_formats(page, "Sends", destination.formats);
        if let Some(field) = destination.shorthand {
            let _ =
                write!(page, "\n`{name}: VALUE` is short for `{name}: {{ {field}: VALUE }}`.\n");
        }
        write_fields(page, destination.schema);
        write_answers(page, destination.answers, "destination");
        write_interruptions(page, destination);
    }
    if let Some(lookup) = &connector.lookup {
        let _ = write!(page, "\n### `{name}` in a `lookup` step\n");
        write_example(page, "lookup", name, lookup.schema);
        if let Some(field) = lookup.shorthand {
            let _ =
                write!(page, "\n`{name}: VALUE` is short for `{name}: {{ {field}: VALUE }}`.\n");
        }
        write_fields(page, lookup.schema);
        write_answers(page, lookup.answers, "step");
    }
    let _ = write!(
        page,
        "\nWhat it may tell an operator: [the codes that begin with `{name}.`](codes.md#{name})\n"
    );
}

/// The shortest section that works: what must be there.
fn write_example(page: &mut String, section: &str, name: &str, schema: &[FieldSchema]) {
    let settings: Vec<String> = schema
        .iter()
        .filter(|field| matches!(field.required, Required::Yes))
        .map(|field| format!("{}: {}", field.name, field.example))
        .collect();
    let settings = settings.join(", ");
    let _ = match section {
        "source" => write!(page, "\n```yaml\nsource:\n  {name}: {{ {settings} }}\n```\n"),
        "lookup" => write!(
            page,
            "\n```yaml\nsteps:\n  - lookup:\n      {name}: {{ {settings} }}\n      search: \"Patient?identifier={{PID-3.1}}\"\n      \
             into: {{ PID-2.1: id }}\n```\n"
        ),
        _ => write!(
            page,
            "\n```yaml\ndestinations:\n  partner:\n    {name}: {{ {settings} }}\n```\n"
        ),
    };
}

/// What the messages may be (`format` of the channel); HL7 v2 alone needs no word.
fn write_formats(page: &mut String, does: &str, formats: &[PayloadFormat]) {
    let names = |format: &PayloadFormat| match format {
        PayloadFormat::Hl7 => "HL7 v2",
        PayloadFormat::Json => "JSON",
    };
    if formats != [PayloadFormat::Hl7] {
        let names: Vec<&str> = formats.iter().map(names).collect();
        let _ = write!(page, "\n{does} {}.\n", names.join(" or "));
    }
}

fn write_fields(page: &mut String, schema: &'static [FieldSchema]) {
    page.push_str("\n| setting | type | left out | what it does | example |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for field in schema {
        let left_out = match field.required {
            Required::Yes => "**required**".to_owned(),
            Required::No => "—".to_owned(),
            Required::Default(default) => format!("`{default}`"),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | `{}` |",
            field.name,
            cell(&kind(field.kind)),
            cell(&left_out),
            cell(field.doc),
            cell(field.example)
        );
    }
    for field in schema {
        if let Some(inner) = section(field.kind) {
            let _ = write!(page, "\nInside `{}`:\n", field.name);
            write_fields(page, inner);
        }
    }
}

/// The keys of a section, in a list or map of sections too.
fn section(mut kind: Kind) -> Option<&'static [FieldSchema]> {
    loop {
        match kind {
            Kind::Section(fields) => return Some(fields),
            Kind::List(inner) | Kind::OneOrMore(inner) | Kind::Map(inner) => kind = *inner,
            _ => return None,
        }
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Integer { min, max } => format!("whole number, {min} to {max}"),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Bytes => "size".to_owned(),
        Kind::Address => "address".to_owned(),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::List(inner) => format!("list of: {}", self::kind(*inner)),
        Kind::OneOrMore(inner) => format!("{0}, or list of: {0}", self::kind(*inner)),
        Kind::Map(inner) => format!("names, each with: {}", self::kind(*inner)),
        Kind::Section(_) => "section, below".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Template => "text with places".to_owned(),
    }
}

fn write_answers(page: &mut String, answers: &[Answer], owner: &str) {
    if answers.is_empty() {
        return;
    }
    // Writing to a string can't fail.
    let _ = write!(
        page,
        "\nHow partners refuse, and what is done unless `on:` {} says otherwise \
         (`park`, `retry` or `accept`{}):\n\n| answer | what is done | what it means |\n\
         | --- | --- | --- |\n",
        if owner == "step" { "of the step" } else { "beside the connector" },
        if owner == "step" { ": nothing was found" } else { "" },
    );
    for answer in answers {
        let Answer { name, class, default, doc } = answer;
        let class = class.map(|class| format!(" (or `{class}`)")).unwrap_or_default();
        let default = match default {
            OnRefusal::Park => "park",
            OnRefusal::Retry => "retry",
            OnRefusal::Accept => "accept",
        };
        let _ = writeln!(page, "| `{name}`{class} | {default} | {} |", cell(doc));
    }
}

fn write_interruptions(page: &mut String, destination: &DestinationDescriptor) {
    if destination.interruptions.is_empty() {
        return;
    }
    page.push_str(
        "\nOf these, some stand for a send of which nobody knows whether it arrived; \
                   where `on:` does not name them, `on_interrupted` decides:\n\n",
    );
    for (code, name) in destination.interruptions {
        let parked = if destination.unrepeatable.contains(code) {
            ", which is parked where the channel file does not say `on_interrupted`"
        } else {
            ""
        };
        let anchor = crate::code_pages::anchor(code);
        let _ = writeln!(page, "- `{name}`: [`{code}`](codes.md#{anchor}){parked}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connector_has_its_settings_on_the_page() {
        let page = text();
        for connector in CONNECTORS {
            assert!(page.contains(&format!("\n## `{}`: ", connector.name)), "{}", connector.name);
            let sides = [
                connector.source.as_ref().map(|side| side.schema),
                connector.destination.as_ref().map(|side| side.schema),
            ];
            for field in sides.into_iter().flatten().flatten() {
                assert!(page.contains(&format!("\n| `{}` |", field.name)), "{}", field.name);
            }
        }
        assert!(SFTP_SERVER.iter().all(|field| page.contains(&format!("\n| `{}` |", field.name))));
    }

    #[test]
    fn sections_in_sections_are_found() {
        const INNER: &[FieldSchema] = &[];
        const IN_A_LIST: Kind = Kind::Section(INNER);
        assert!(section(Kind::List(&IN_A_LIST)).is_some());
        assert!(section(Kind::List(&Kind::Text)).is_none());
    }
}
