//! Lineage as a table: element, places, rule.

use pipehat_server::TranslationView;

/// The lines of a translation, a heading first; elements stand below the entry of the Bundle that they belong to.
pub(super) fn lines(translation: &TranslationView) -> Vec<String> {
    let mut lines = vec![heading(translation)];
    if let Some(why) = &translation.missing {
        lines.push(format!("      no lineage: {why}"));
    }
    let sources = &translation.lineage;
    let paths: Vec<String> = sources
        .iter()
        .map(
            |source| if source.paths.is_empty() { "-".to_owned() } else { source.paths.join(", ") },
        )
        .collect();
    let names = width(sources.iter().map(|source| source.name.as_str()));
    let places = width(paths.iter().map(String::as_str));
    let mut entry = "";
    for (source, paths) in sources.iter().zip(&paths) {
        let own = entry_of(&source.element);
        if own != entry {
            entry = own;
            lines.push(format!("      {entry}"));
        }
        lines.push(format!("        {:names$}  <-  {paths:places$}  {}", source.name, source.rule));
    }
    lines
}

fn heading(translation: &TranslationView) -> String {
    let made = match translation.to.as_deref() {
        Some("fhir") => "translated into FHIR",
        Some("v2") => "translated into HL7 v2",
        _ => "translated",
    };
    let bot = translation.bot.as_ref().map(|bot| format!(" for the bot {bot}")).unwrap_or_default();
    let outputs = translation.outputs.iter();
    let outputs: Vec<String> =
        outputs.map(|output| format!("{} ({})", output.destination, output.ordinal)).collect();
    format!("    {made}{bot} by {}, to {}:", translation.place, outputs.join(", "))
}

/// `Bundle.entry[6]` of an element in it.
fn entry_of(element: &str) -> &str {
    let end = element.starts_with("Bundle.entry[").then(|| element.find(']')).flatten();
    end.and_then(|end| element.get(..=end)).unwrap_or_default()
}

/// Longer ones than this do not push the others away.
const WIDTH_MAX: usize = 60;

fn width<'t>(texts: impl Iterator<Item = &'t str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).min(WIDTH_MAX)
}

#[cfg(test)]
mod tests {
    use pipehat_server::{OutputView, SourceView};

    use super::*;

    #[test]
    fn elements_stand_below_their_entry_beside_their_places() {
        let source = |element: &str, name: &str, paths: &[&str], rule: &str| SourceView {
            element: element.to_owned(),
            name: name.to_owned(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            rule: rule.to_owned(),
        };
        let output = |ordinal, destination: &str| OutputView {
            ordinal,
            destination: destination.to_owned(),
        };
        let mut translation = TranslationView {
            place: "steps[1].translate, channels/adt.yaml:7:5".to_owned(),
            bot: None,
            to: Some("fhir".to_owned()),
            outputs: vec![output(1, "store"), output(2, "copy")],
            lineage: vec![
                source("Bundle.entry[0].resource.birthDate", "Patient.birthDate", &["PID-7"], "r1"),
                source(
                    "Bundle.entry[1].resource.status",
                    "Encounter.status",
                    &["PV1-2", "PV1-44"],
                    "r2",
                ),
                source("Bundle.entry[1].resource.class", "Encounter.class", &[], "r3"),
            ],
            missing: None,
        };
        let expected = [
            "    translated into FHIR by steps[1].translate, channels/adt.yaml:7:5, to store (1), copy (2):",
            "      Bundle.entry[0]",
            "        Patient.birthDate  <-  PID-7          r1",
            "      Bundle.entry[1]",
            "        Encounter.status   <-  PV1-2, PV1-44  r2",
            "        Encounter.class    <-  -              r3",
        ];
        assert_eq!(lines(&translation), expected);
        translation.lineage.clear();
        (translation.bot, translation.to) = (Some("names".to_owned()), None);
        translation.missing = Some("it was larger than may be kept".to_owned());
        let expected = [
            "    translated for the bot names by steps[1].translate, channels/adt.yaml:7:5, to store (1), copy (2):",
            "      no lineage: it was larger than may be kept",
        ];
        assert_eq!(lines(&translation), expected);
    }
}
