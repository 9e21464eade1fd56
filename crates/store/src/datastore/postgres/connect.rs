//! Why PostgreSQL can't be connected to, in one sentence that says what to do.
//!
//! It names host, user and database, which are not the secret part of an address; never the password.

use std::error::Error;
use std::io;

use deadpool_postgres::PoolError;
use rustls::CertificateError;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;

const SECRET: &str = "in the secret that `datastore: { store: … }` names";

/// Why there is no connection, and what to do.
pub(super) fn sentence(config: &Config, error: &PoolError) -> String {
    let at = place(config);
    let PoolError::Backend(error) = error else {
        return format!("PostgreSQL at {at} gave no connection in time: see that it runs");
    };
    let (user, database) = (
        config.get_user().unwrap_or_default(),
        config.get_dbname().or(config.get_user()).unwrap_or_default(),
    );
    match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            format!(
                "PostgreSQL at {at} does not let the user `{user}` in: correct the name, the password or the \
                 certificate {SECRET}, or allow the user in pg_hba.conf"
            )
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => format!(
            "PostgreSQL at {at} has no database `{database}`: create it (CREATE DATABASE), or correct the name {SECRET}"
        ),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => format!(
            "PostgreSQL at {at} does not let the user `{user}` use the database `{database}`: grant CONNECT and CREATE"
        ),
        Some(&SqlState::TOO_MANY_CONNECTIONS | &SqlState::CANNOT_CONNECT_NOW) => format!(
            "PostgreSQL at {at} takes no connection now: try again when it has started, or raise its max_connections"
        ),
        Some(code) => format!(
            "PostgreSQL at {at} refuses the connection (SQLSTATE {}): see its log",
            code.code()
        ),
        None => match io_error(error) {
            Some(error) if tls_error(error).is_some() => {
                format!("PostgreSQL at {at} answers, but {}", tls_error(error).unwrap_or_default())
            }
            Some(error) => format!(
                "PostgreSQL at {at} can't be reached ({error}): see that it runs, or correct the address {SECRET}"
            ),
            None => {
                format!(
                    "PostgreSQL at {at} can't be used ({}): correct the address {SECRET}",
                    last(error)
                )
            }
        },
    }
}

/// What the system said.
fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// What is wrong with TLS, and what to do, where that is what failed.
fn tls_error(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return Some(match error {
            rustls::Error::AlertReceived(alert) => format!(
                "ends TLS ({alert:?}): it may ask for a certificate of ours; name `sslcert` and `sslkey` {SECRET}, or \
                 see its log"
            ),
            other => format!("TLS with it fails ({other}): see its log and `sslmode` {SECRET}"),
        });
    };
    Some(match wrong {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is made out for another host: name the host {SECRET} as the certificate does, or say \
                 `sslmode=verify-ca` where it needs no name"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: give it a new one".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks of both machines".to_owned()
        }
        other => format!(
            "its certificate is not trusted ({other}): name the file with the certificate of its authority as \
             `sslrootcert` {SECRET}"
        ),
    })
}

/// The cause behind all others: `password missing` rather than `invalid configuration`.
fn last(error: &tokio_postgres::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let places: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(number, host)| {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{} (port {port})", path.display()),
            }
        })
        .collect();
    if places.is_empty() { "no host".to_owned() } else { places.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_in_one_sentence_without_the_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("postgres://someone:hidden@127.0.0.1:{port}/clinic");
        let config: Config = url.parse().unwrap();
        let error = match config.connect(tokio_postgres::NoTls).await {
            Err(error) => PoolError::Backend(error),
            Ok(_) => panic!("nobody listens"),
        };
        let told = sentence(&config, &error);
        let begin = format!("PostgreSQL at 127.0.0.1:{port} can't be reached (");
        assert!(told.starts_with(&begin) && told.contains("secret"), "{told}");
        assert!(!told.contains("hidden") && !told.contains("someone"), "{told}");
    }

    #[test]
    fn places_are_named() {
        let check = |url: &str, expected: &str| {
            assert_eq!(place(&url.parse().unwrap()), expected);
        };
        check("postgres://u:p@db.example.org/x", "db.example.org:5432");
        check("postgres://u:p@a:6432,b:6433/x", "a:6432, b:6433");
        check("host=/run/postgresql user=u", "/run/postgresql (port 5432)");
    }
}
