//! Says which rows of the mapping tables are not run and have no reason, as lines for `tables/reasons.tsv`.

use pipehat_translate::check_tables;

fn main() {
    let check = check_tables();
    for line in check.unread.iter().chain(&check.unexplained) {
        println!("{line}");
    }
    for line in check.idle_reasons.iter().chain(&check.idle_corrections) {
        println!("idle: {line}");
    }
    for line in &check.misplaced {
        println!("nowhere: {line}");
    }
    println!(
        "{} rows run, {} with a reason not to be, {} without",
        check.rows_run,
        check.rows_reasoned,
        check.unread.len()
    );
}
