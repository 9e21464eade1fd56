//! The mapping tables of v2 to FHIR: which rows are run, which have a reason not to be, and what is wrong with them.

use pipehat_translate::{TableCheck, check_tables};

/// Says how the tables stand: whole, or with `check` only what is wrong. Whether nothing is.
pub(crate) fn run(check: bool) -> bool {
    let found = check_tables();
    let faults = faults(&found);
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !check {
        println!(
            "{} rows run, {} with a reason not to be, {} faults",
            found.rows_run,
            found.rows_reasoned,
            faults.len()
        );
    }
    faults.is_empty()
}

fn faults(found: &TableCheck) -> Vec<String> {
    let kinds = [
        ("not run, and no reason in reasons.tsv", &found.unread),
        ("a reason that no row needs", &found.idle_reasons),
        ("a correction that changes nothing", &found.idle_corrections),
        ("a row of ours without a comment", &found.unexplained),
        ("a place that no structure has", &found.misplaced),
    ];
    let lines = kinds
        .iter()
        .flat_map(|(kind, lines)| lines.iter().map(move |line| format!("{kind}: {line}")));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_told() {
        let line = |text: &str| vec![text.to_owned()];
        let found = TableCheck {
            unread: line("a"),
            idle_reasons: line("b"),
            idle_corrections: line("c"),
            unexplained: line("d"),
            misplaced: line("e"),
            ..TableCheck::default()
        };
        let faults = faults(&found);
        let ends: Vec<_> = faults.iter().map(|line| line.rsplit(": ").next()).collect();
        assert_eq!(ends, ["a", "b", "c", "d", "e"].map(Some));
    }

    #[test]
    fn the_tables_in_the_repository_have_none() {
        assert_eq!(faults(&check_tables()), Vec::<String>::new());
    }
}
