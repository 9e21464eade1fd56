//! Compartments: which resources belong to a Patient, an Encounter…, and by which search parameters.

use anyhow::{Result, ensure};

use super::{Published, list, text as text_of};

pub(super) fn text(published: &Published) -> Result<String> {
    ensure!(published.compartments.len() == 5, "expected R4's five compartments");
    let mut out = String::from(
        "# FHIR 4.0.1: compartments, each with its resource types and their search parameters.\n",
    );
    for compartment in &published.compartments {
        out.push_str(text_of(compartment, "code"));
        out.push('\n');
        for resource in list(compartment, "resource") {
            let parameters: Vec<&str> =
                list(resource, "param").iter().filter_map(serde_json::Value::as_str).collect();
            if !parameters.is_empty() {
                out.push_str(&format!(
                    "\t{}\t{}\n",
                    text_of(resource, "code"),
                    parameters.join("\t")
                ));
            }
        }
    }
    Ok(out)
}
