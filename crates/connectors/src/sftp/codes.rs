//! What SFTP tells an operator.

use crate::OperatorCode;

pub(super) const SETTING: &str = "sftp.setting";
pub(super) const LOGIN: &str = "sftp.login";
pub(super) const HOST_KEY: &str = "sftp.host-key";
pub(super) const SECRET: &str = "sftp.secret";

/// Every code of SFTP.
pub const SFTP_CODES: &[OperatorCode] = &[
    OperatorCode {
        code: "sftp.busy",
        cause: "All connections to the server were busy for as long as the run had time.",
        remedy: "Raise `connections` of the server, as far as it lets one user connect so often.",
    },
    OperatorCode {
        code: "sftp.directory",
        cause: "The server does not have the directory of the settings, or the user may not see it.",
        remedy: "Look with `sftp USER@HOST` where the user lands, and mend `directory`.",
    },
    OperatorCode {
        code: "sftp.disconnected",
        cause: "The connection broke off in the midst of something.",
        remedy: "Nothing, if it stays rare: it is done again. Else look into the server's log.",
    },
    OperatorCode {
        code: "sftp.exists",
        cause: "A file was to be renamed to a name that another has.",
        remedy: "Have the bot choose a name that is free, or remove the other first.",
    },
    OperatorCode {
        code: "sftp.failed",
        cause: "The server could not do it, and its code does not say why.",
        remedy: "The run's record has the server's own words; look into the server's log.",
    },
    OperatorCode {
        code: HOST_KEY,
        cause: "No key of the server is pinned, or it shows another than the pinned one: it is a new server, or somebody \
                stands in between.",
        remedy: "Ask the server's operator for the fingerprint, compare it with the one shown, and write it as `host_key`.",
    },
    OperatorCode {
        code: "sftp.incomplete",
        cause: "The server kept less of a file than it was given. What was written was removed.",
        remedy: "Look for space and quota on the server.",
    },
    OperatorCode {
        code: LOGIN,
        cause: "The settings of a server say nothing to log in with, or a key that can't be read.",
        remedy: "Set `password`, `key`, or both; a key is one in OpenSSH's format, with its `passphrase` if it has one.",
    },
    OperatorCode {
        code: "sftp.login-refused",
        cause: "The server does not let the user in. It is not asked again for 30 seconds, lest it lock the user out.",
        remedy: "Check `user`, `password` and `key`; the server's log says what it did not like.",
    },
    OperatorCode {
        code: "sftp.no-sftp",
        cause: "The server lets the user in, and offers no SFTP.",
        remedy: "Have the server's operator switch the subsystem `sftp` on for this user.",
    },
    OperatorCode {
        code: "sftp.not-a-file",
        cause: "A folder, a pipe or a device was to be read.",
        remedy: "Have the bot look at `kind` first.",
    },
    OperatorCode {
        code: "sftp.not-found",
        cause: "There is no such file or folder.",
        remedy: "Another may have taken it; else check the path, which starts from `directory`.",
    },
    OperatorCode {
        code: "sftp.not-permitted",
        cause: "The user may not do this on the server.",
        remedy: "Have the server's operator look at the permissions of the file and its folder.",
    },
    OperatorCode {
        code: "sftp.path",
        cause: "A path leads, or could lead, out of the directory of the settings.",
        remedy: "Write paths from `directory` on, without `/` before, `..` and `\\`; or set another `directory`.",
    },
    OperatorCode {
        code: "sftp.protocol",
        cause: "The server does not keep to the protocol.",
        remedy: "Look what answers there; tell its maker.",
    },
    OperatorCode {
        code: SECRET,
        cause: "A secret that a server's settings name is not there, or empty.",
        remedy: "Put it where secrets are kept, as the message says.",
    },
    OperatorCode {
        code: SETTING,
        cause: "A setting of a server makes no sense.",
        remedy: "Mend it as the message says.",
    },
    OperatorCode {
        code: "sftp.ssh",
        cause: "No SSH connection came about: the server hung up, is none, or knows only algorithms that are not safe.",
        remedy: "Look what answers there (`ssh -v HOST`); have an old server brought up to date.",
    },
    OperatorCode {
        code: "sftp.timed-out",
        cause: "The server did not answer in time, or the run's own time was over.",
        remedy: "Look after the server and the line; raise `timeout` of the server, or `limits: { time: … }` of the bot.",
    },
    OperatorCode {
        code: "sftp.too-large",
        cause: "A file or a folder is larger than the settings allow.",
        remedy: "Raise `file_bytes_max` or `entries_max`, with the bot's memory in mind.",
    },
    OperatorCode {
        code: "sftp.unreachable",
        cause: "Nobody answers at the server's address.",
        remedy: "Check the address, the firewall between, and whether the server runs.",
    },
    OperatorCode {
        code: "sftp.unused",
        cause: "`pipehat.yaml` names a server that no bot may use.",
        remedy: "Grant it (`allow: { sftp: [NAME] }` in a bot's file), or remove it.",
    },
];

#[cfg(test)]
mod tests {
    use pipehat_config::schema_mistakes;

    use super::*;
    use crate::sftp::{SFTP_SERVER, SftpError};

    #[test]
    fn codes_are_sorted_and_say_what_to_do() {
        assert!(SFTP_CODES.is_sorted_by(|one, other| one.code < other.code));
        assert!(SFTP_CODES.iter().all(|one| one.cause.ends_with('.') && one.remedy.ends_with('.')));
        for error in [SftpError::TimedOut, SftpError::NotFound, SftpError::Exists] {
            assert!(SFTP_CODES.iter().any(|one| one.code == error.code()), "{error}");
        }
    }

    #[test]
    fn the_schema_is_sound() {
        assert_eq!(schema_mistakes(SFTP_SERVER), [] as [String; 0]);
    }
}
