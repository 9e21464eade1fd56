//! Numbers on the command line: the errors say what the number is and where it is found.

use std::ops::RangeInclusive;

fn read(text: &str, what: &str) -> Result<u64, String> {
    text.parse().map_err(|_| what.to_owned())
}

/// Of a message.
pub(crate) fn message(text: &str) -> Result<u64, String> {
    read(
        text,
        "a message is named by its number, such as 1234: `pipehat messages find` shows it as ID (by MSH-10 with \
         --control-id, by a patient's number with --id)",
    )
}

/// Of a bot's run.
pub(crate) fn run(text: &str) -> Result<u64, String> {
    read(text, "a run is named by its number, such as 17: `pipehat bot runs` shows it first")
}

/// Of a change of the datastore that a Subscription was not told.
pub(crate) fn change(text: &str) -> Result<u64, String> {
    read(
        text,
        "a change is named by its number, such as 4711: `pipehat subscriptions dead-letters` shows it",
    )
}

/// How many.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    read(text, "write a whole number in digits, such as 100")
}

/// How many at most, of what comes in pages.
pub(crate) fn page(text: &str) -> Result<u16, String> {
    const PAGE: RangeInclusive<u16> = 1..=1000;
    let number = text.parse().ok().filter(|number| PAGE.contains(number));
    number.ok_or_else(|| "write a whole number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_with_where_to_find_one() {
        assert_eq!(message("1234"), Ok(1234));
        for text in ["abc", "", "-1", "1.5", "99999999999999999999"] {
            let told = [message(text), run(text), change(text), count(text)];
            assert!(told.iter().all(Result::is_err), "{text}");
        }
        assert!(message("abc").is_err_and(|error| error.contains("pipehat messages find")));
        assert_eq!(page("1000"), Ok(1000));
        assert!(page("0").is_err() && page("1001").is_err() && page("x").is_err());
    }
}
