//! What the file connector may tell an operator.

use crate::OperatorCode;

pub(super) const FOLDER_UNREADABLE: OperatorCode = OperatorCode {
    code: "file.folder-unreadable",
    cause: "The folder is not there, is no folder, or the user Pipehat runs as may not read it; often a network share \
            that is not mounted.",
    remedy: "Mount the share, or correct `folder` or its permissions. Nothing is lost: Pipehat keeps looking.",
};

pub(super) const FOLDER_IN_USE: OperatorCode = OperatorCode {
    code: "file.folder-in-use",
    cause: "Another channel or another Pipehat holds the working folder of this folder.",
    remedy: "Let one channel read the folder. If two engines must share it, give each a `working` folder of its own, on \
             the same file system.",
};

pub(super) const WORKING_FOLDER: OperatorCode = OperatorCode {
    code: "file.working-folder",
    cause: "The working folder can't be made, read or written to. Files are claimed by moving them into it.",
    remedy: "Allow the user Pipehat runs as to write to the folder, or name another folder on the same file system in \
             `working`.",
};

pub(super) const OTHER_FILE_SYSTEM: OperatorCode = OperatorCode {
    code: "file.other-file-system",
    cause: "The working folder is on another file system than the watched folder, so a file can't be claimed at one \
            stroke and two engines could take the same file.",
    remedy: "Name a folder on the same file system in `working`, or leave it out.",
};

pub(super) const CLAIM_FAILED: OperatorCode = OperatorCode {
    code: "file.claim-failed",
    cause: "A file could not be moved into the working folder; usually the folder may not be written to.",
    remedy: "Allow the user Pipehat runs as to write to the folder. The files stay where they are until then.",
};

pub(super) const FILE_UNREADABLE: OperatorCode = OperatorCode {
    code: "file.unreadable",
    cause: "A file may not be read by the user Pipehat runs as, is no plain file (a link or a pipe), or reading it \
            failed.",
    remedy: "Correct its permissions or replace the link by the file. Files that have not been claimed stay where they \
             are and are tried again.",
};

pub(super) const FILE_UNFIT: OperatorCode = OperatorCode {
    code: "file.unfit",
    cause: "Files in the folder fit the pattern but can't be taken: links and pipes are never followed, and a name of \
            more than 238 bytes leaves no room for the key of a claim.",
    remedy: "Remove or rename them, or narrow `pattern`.",
};

pub(super) const FILE_EMPTY: OperatorCode = OperatorCode {
    code: "file.empty",
    cause: "Files in the folder fit the pattern but are empty. They are left alone: a sender may still fill them.",
    remedy: "If they stay, ask the sender; remove them by hand.",
};

pub(super) const FILE_SET_ASIDE: OperatorCode = OperatorCode {
    code: "file.set-aside",
    cause: "A file was moved to the error folder, because a message in it was refused or it is not as it should be.",
    remedy: "Read the `.reason` file beside it in the error folder. Put a corrected file into the watched folder; only \
             with the messages that were not taken.",
};

pub(super) const MOVE_FAILED: OperatorCode = OperatorCode {
    code: "file.move-failed",
    cause: "A file whose messages were all taken could not be moved to the done or error folder, or deleted.",
    remedy: "Make room, or allow the user Pipehat runs as to write there. The file waits in the working folder and is \
             not taken twice.",
};

pub(super) const ENGINE_BUSY: OperatorCode = OperatorCode {
    code: "file.engine-busy",
    cause: "The engine has no room for more messages or can't write its journal. The file waits.",
    remedy: "Look at the disk and at what the channel delivers to. The source goes on by itself.",
};

pub(super) const MESSAGE_REJECTED: OperatorCode = OperatorCode {
    code: "file.message-rejected",
    cause: "The channel refused a message of a file.",
    remedy: "Look the message up among the channel's rejected ones; correct it or the channel's `accept`.",
};

pub(super) const BATCH_INCONSISTENT: OperatorCode = OperatorCode {
    code: "file.batch-inconsistent",
    cause: "The counts or headers of the batch (BHS, BTS, FHS, FTS) do not fit what is in the file, or lines belong to no \
            message: it may be cut off.",
    remedy: "Ask the sender whether the file is complete. All messages that were in it have been taken.",
};

pub(super) const MESSAGE_TOO_LARGE: OperatorCode = OperatorCode {
    code: "file.message-too-large",
    cause: "A message, or the file where it is taken as one payload, is larger than `message_bytes_max`.",
    remedy: "Raise `message_bytes_max`, or ask the sender why it is so large.",
};

pub(super) const NO_MESSAGE: OperatorCode = OperatorCode {
    code: "file.no-message",
    cause: "There is no HL7 message in the file.",
    remedy: "Narrow `pattern`, or set `split: none` if the file holds something else than HL7.",
};

pub(super) const CHANGED_WHILE_READ: OperatorCode = OperatorCode {
    code: "file.changed-while-read",
    cause: "The file was still being written when it was claimed, so its last message may be cut off.",
    remedy: "Raise `stable_for`; better, let the sender write under another name and rename, or use a `marker`.",
};

pub(super) const WRITE_FAILED: OperatorCode = OperatorCode {
    code: "file.write-failed",
    cause: "A file could not be written: the folder is missing, may not be written to, or is full.",
    remedy: "Mount the share, make room, or correct the permissions. The message is tried again.",
};

pub(super) const SYNC_FAILED: OperatorCode = OperatorCode {
    code: "file.sync-failed",
    cause: "A file was written, but the disk or share did not confirm it.",
    remedy: "Look at the disk. Whether the file is there is not known; the message is tried again.",
};

pub(super) const NAME_TEMPLATE: OperatorCode = OperatorCode {
    code: "file.name-template",
    cause: "The file name can't be made of this message: something the `name` template asks for is not in it.",
    remedy: "Use a template that fits all messages, such as `{channel}-{message}-{ordinal}.hl7`.",
};

pub(super) const NAME_TAKEN: OperatorCode = OperatorCode {
    code: "file.name-taken",
    cause: "A file of that name is there already, and `on_existing` is `park`.",
    remedy: "Move the other file away and resend the message, or choose `on_existing: suffix`.",
};

pub(super) const SETTING: OperatorCode = OperatorCode {
    code: "file.setting",
    cause: "A setting of the file connector has a value that makes no sense.",
    remedy: "See the message; it says what may stand there.",
};

/// All of them.
pub(super) const CODES: &[OperatorCode] = &[
    FOLDER_UNREADABLE,
    FOLDER_IN_USE,
    WORKING_FOLDER,
    OTHER_FILE_SYSTEM,
    CLAIM_FAILED,
    FILE_UNREADABLE,
    FILE_UNFIT,
    FILE_EMPTY,
    FILE_SET_ASIDE,
    MOVE_FAILED,
    ENGINE_BUSY,
    MESSAGE_REJECTED,
    BATCH_INCONSISTENT,
    MESSAGE_TOO_LARGE,
    NO_MESSAGE,
    CHANGED_WHILE_READ,
    WRITE_FAILED,
    SYNC_FAILED,
    NAME_TEMPLATE,
    NAME_TAKEN,
    SETTING,
];
