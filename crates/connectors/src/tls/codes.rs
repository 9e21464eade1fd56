//! What the checks of `tls:` and `accepted_risk:` tell an operator, whichever connector they stand in.

use crate::OperatorCode;

pub(super) const FILE_UNREADABLE: &str = "tls.file-unreadable";
pub(super) const FILE_INVALID: &str = "tls.file-invalid";
pub(super) const CERTIFICATE_INVALID_TODAY: &str = "tls.certificate-invalid-today";
pub(super) const CERTIFICATE_EXPIRES: &str = "tls.certificate-expires";
pub(super) const SECRET_UNKNOWN: &str = "tls.secret-unknown";
pub(super) const HALF_IDENTITY: &str = "tls.half-identity";
pub(super) const SERVER_NAME: &str = "tls.server-name";
pub(super) const RISK_DATE: &str = "tls.risk-date";
pub(super) const PLAINTEXT_LISTENER: &str = "tls.plaintext-listener";
pub(super) const PLAINTEXT_CONNECTION: &str = "tls.plaintext-connection";

/// Every code of the TLS settings that connectors share.
pub const TLS_CODES: &[OperatorCode] = &[
    OperatorCode {
        code: FILE_UNREADABLE,
        cause: "A certificate or key file is not there, or the user Pipehat runs as may not read it.",
        remedy: "Check the path, which starts from the project directory, and the file's permissions.",
    },
    OperatorCode {
        code: FILE_INVALID,
        cause: "A file is no PEM file, is damaged, is locked with a password, or key and certificate are no pair.",
        remedy: "Look at it with `openssl x509 -text -in FILE` or `openssl pkey -in FILE`, and convert it to unlocked PEM.",
    },
    OperatorCode {
        code: CERTIFICATE_INVALID_TODAY,
        cause: "A certificate has expired, or is valid only from a later day on. Connections that depend on it fail.",
        remedy: "Renew it and put the new one into the file; check this machine's clock.",
    },
    OperatorCode {
        code: CERTIFICATE_EXPIRES,
        cause: "A certificate expires within 30 days. From then on connections that depend on it fail.",
        remedy: "Renew it in time, and tell partners who have named it in their configuration.",
    },
    OperatorCode {
        code: SECRET_UNKNOWN,
        cause: "The configuration refers to a secret that is not there.",
        remedy: "Put the secret where the message says, or correct its name.",
    },
    OperatorCode {
        code: HALF_IDENTITY,
        cause: "Only one of `cert` and `key` is given; a certificate can be shown only with its private key.",
        remedy: "Give both, or neither if the partner asks for no certificate.",
    },
    OperatorCode {
        code: SERVER_NAME,
        cause: "The name to look for in the partner's certificate is neither a host name nor an IP address.",
        remedy: "Write the name as it stands in the certificate, without port or protocol.",
    },
    OperatorCode {
        code: RISK_DATE,
        cause: "`accepted_risk` has no valid date.",
        remedy: "Write the day of the decision as year-month-day, such as `2026-03-31`.",
    },
    OperatorCode {
        code: PLAINTEXT_LISTENER,
        cause: "A source listens for other machines without TLS: anyone on the way could read and change messages.",
        remedy: "Configure `tls`, listen on 127.0.0.1, or write down the decision in `accepted_risk`.",
    },
    OperatorCode {
        code: PLAINTEXT_CONNECTION,
        cause: "A destination on another machine is reached without TLS.",
        remedy: "Configure `tls` if the partner speaks it; if not, write down the decision in `accepted_risk`.",
    },
];
