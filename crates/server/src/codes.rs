//! The codes of the admin API's answers, with cause and remedy.

use pipehat_config::CodeDescription;

const fn code(code: &'static str, cause: &'static str, remedy: &'static str) -> CodeDescription {
    CodeDescription { code, cause, remedy }
}

/// All of them.
pub const CODES: &[CodeDescription] = &[
    code(
        "api.bad-request",
        "The request makes no sense: a value of a wrong form, or one that is missing.",
        "See the message; `/api/v1/openapi.json` describes every call.",
    ),
    code(
        "api.internal",
        "A part of Pipehat failed.",
        "Look at the log, and report this with what it says.",
    ),
    code(
        "api.not-found",
        "There is no such address, channel or message.",
        "Check the number or name; messages are forgotten when `retention` is over.",
    ),
    code(
        "api.token",
        "The token is missing or wrong. Every start makes a new one.",
        "Send the token of `admin.json` in the data directory: `Authorization: Bearer …`.",
    ),
    code(
        "api.unavailable",
        "What the call needs is not there at present: the journal can't be written, Pipehat is stopping, or it runs without an index.",
        "Look at `pipehat status`; try again.",
    ),
    code(
        "bot.busy",
        "Too many runs of bots wait already; this one was not begun.",
        "Try again. If it repeats, see which bot takes long: `pipehat bot runs`.",
    ),
    code(
        "bot.character-set",
        "A bot returned a message with a character that the set of its MSH-18 has not (an empty one means ASCII, or the channel's `charset`), or that names no known set. No other try would mend that: it is not tried again.",
        "Have the bot write MSH-18 (`UNICODE UTF-8`), where the receiver reads it, or replace the character; `pipehat bot show RUN --contents` has the message.",
    ),
    code(
        "bot.defect",
        "A run ended by a defect of Pipehat.",
        "Please report it, with what the log says and the bot, if you can.",
    ),
    code("bot.gone", "The bot is not there any more.", "Add it again, or forget the run."),
    code(
        "bot.input",
        "The body is not what its content type says.",
        "Send HL7 v2 as `x-application/hl7-v2+er7`, JSON as `application/json`, text as `text/plain`.",
    ),
    code(
        "bot.limit",
        "A run used more time, memory or calls than it may, and was stopped.",
        "Look for a loop at the line that is told; or raise the limit under `limits` of the bot. What would be tried again is tried once more at most, for another try uses up the same; only a run that took too long is tried as others are.",
    ),
    code(
        "bot.loop",
        "Bots answered each other's changes again and again, and were stopped; the run was not begun.",
        "Let `criteria` or `when` of their subscriptions end that; `pipehat bot replay` runs it then.",
    ),
    code(
        "bot.never-settled",
        "A run waits for a promise that nothing will settle.",
        "Look for a promise that is neither resolved nor rejected.",
    ),
    code(
        "bot.not-granted",
        "A run asked for what the bot is not granted, and did not catch the refusal. No other try would mend that: it is not tried again.",
        "See what it lacks in `why` of the run (`pipehat bot show RUN`), or with `--contents`; add it under `allow` or `scopes`, and release the message, or have the run replayed.",
    ),
    code(
        "bot.not-kept",
        "A run that nobody waits for could not be written down; it was not promised.",
        "Look at the log: the disk may be full.",
    ),
    code(
        "bot.send-failed",
        "A channel did not take what the run sent it.",
        "See why the channel refuses; the run is tried again where it was promised.",
    ),
    code("bot.stopping", "The server stops.", "Try again when it is back."),
    code(
        "bot.threw",
        "The script threw an error, or let one pass.",
        "`pipehat bot show RUN --contents` has the error and its stack.",
    ),
    code(
        "bot.when",
        "The `when` of a bot's subscription fails for a change, so that nobody knows whether the bot was to run: a text against a number, several items where one is asked for. It counts as a run that failed, and is tried again.",
        "Look at the column that is told (`pipehat bot runs --bot NAME`), and at the resource that the run names; mend `when`: what waits is decided by it at once.",
    ),
    code(
        "configuration.refused",
        "The changed configuration has mistakes, or a source can't listen. The one before runs on.",
        "Mend what the answer's detail shows (`pipehat check` shows the same).",
    ),
    code(
        "message.state",
        "The message is not in a state in which this can be decided: it is not parked, or not yet processed.",
        "Look at it with `pipehat messages show`.",
    ),
    code(
        "upkeep.busy",
        "The datastore's index is written anew, or the datastore is verified; there is one such work at a time.",
        "Wait for its end.",
    ),
    code(
        "upkeep.refused",
        "The datastore refuses a line of an import, for the reason the message says.",
        "Mend the line the message names and import again; what is there already stays as it is.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_explained() {
        assert!(CODES.is_sorted_by(|one, other| one.code < other.code));
        assert!(CODES.iter().all(|code| !code.cause.is_empty() && !code.remedy.is_empty()));
    }
}
