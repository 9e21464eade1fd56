//! The address of a database: a URL or `name=value` pairs as libpq has them.
//!
//! What concerns TLS is taken out first: the driver knows but a part of it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::Config;

use super::tls::{Tls, TlsOptions};

/// How long to wait for the server to accept a connection, where the address does not say.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection may be silent before the other end is asked whether it is there.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Reads an address. What is wrong with it is said without its values, which may be passwords.
/// Relative paths start from the directory.
pub(super) fn read(address: &str, directory: &Path) -> Result<(Config, Tls), String> {
    let no_address = |why: String| {
        format!(
            "this is no address of a PostgreSQL database ({why}): it is to hold \
             `postgres://user:password@host/database`"
        )
    };
    let (rest, options) = part(address).map_err(no_address)?;
    let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
        let why = error.source().map(ToString::to_string);
        no_address(why.unwrap_or_else(|| error.to_string()))
    })?;
    let (mode, tls) = options.build(directory)?;
    config.ssl_mode(mode);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIME_MAX);
    }
    if !rest.contains("keepalives") {
        config.keepalives_idle(SILENCE_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_MAX);
    }
    Ok((config, tls))
}

/// The address without what concerns TLS, and that.
fn part(address: &str) -> Result<(String, TlsOptions), String> {
    let mut options = TlsOptions::default();
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        let Some((base, query)) = address.split_once('?') else {
            return Ok((address.to_owned(), options));
        };
        let mut kept = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match place(&mut options, name) {
                Some(place) => *place = Some(percent_decoded(name, value)?),
                None => kept.push(pair),
            }
        }
        let rest =
            if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        return Ok((rest, options));
    }
    let mut rest = String::new();
    for (name, value) in pairs(address)? {
        match place(&mut options, &name) {
            Some(place) => *place = Some(value),
            None => {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                rest.push_str(&format!("{name}='{value}' "));
            }
        }
    }
    Ok((rest, options))
}

fn place<'o>(options: &'o mut TlsOptions, name: &str) -> Option<&'o mut Option<String>> {
    match name {
        "sslmode" => Some(&mut options.mode),
        "sslrootcert" => Some(&mut options.root_certificates),
        "sslcert" => Some(&mut options.certificate),
        "sslkey" => Some(&mut options.key),
        _ => None,
    }
}

fn percent_decoded(name: &str, text: &str) -> Result<String, String> {
    let wrong = || format!("the value of `{name}` has a `%` that begins no character");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(wrong()) };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// `name=value` pairs; a value with spaces stands in `'`, and `\` takes the character behind it as it is.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, behind)) = rest.split_once('=') else {
            return Err("it is neither a URL (postgres://…) nor pairs such as `host=…`".to_owned());
        };
        let name = name.trim().to_owned();
        let mut characters = behind.trim_start().chars();
        let mut value = String::new();
        let quoted = characters.as_str().starts_with('\'');
        if quoted {
            characters.next();
        }
        let mut closed = !quoted;
        while let Some(character) = characters.next() {
            match character {
                '\\' => value.extend(characters.next()),
                '\'' if quoted => {
                    closed = true;
                    break;
                }
                space if !quoted && space.is_whitespace() => break,
                other => value.push(other),
            }
        }
        if !closed {
            return Err(format!("the value of `{name}` has no `'` at its end"));
        }
        pairs.push((name, value));
        rest = characters.as_str().trim_start();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, rest: &str, [mode, root, certificate, key]: [&str; 4]) {
        let option = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let options = TlsOptions {
            mode: option(mode),
            root_certificates: option(root),
            certificate: option(certificate),
            key: option(key),
        };
        assert_eq!(part(address), Ok((rest.to_owned(), options)), "{address}");
    }

    #[test]
    fn tls_is_taken_out_of_addresses() {
        check("postgres://u:p%40@h/d", "postgres://u:p%40@h/d", [""; 4]);
        check(
            "postgres://h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fa%20b",
            "postgres://h/d?application_name=x",
            ["verify-full", "/a b", "", ""],
        );
        check("postgresql://h/d?sslmode=require", "postgresql://h/d", ["require", "", "", ""]);
        check(
            r"host = h sslcert='/a b' password='it\'s' sslkey=/k\ 1",
            r"host='h' password='it\'s' ",
            ["", "", "/a b", "/k 1"],
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |address: &str, said: &str| {
            let error = read(address, Path::new("")).expect_err(address);
            assert!(error.contains(said), "{address}: {error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check("postgres://u:secret@h/d?sslmode=full", "is none of disable");
        check("postgres://u:secret@h/d?sslmode=allow", "not supported");
        check("postgres://u:secret@h/d?sslmode=verify-full", "needs `sslrootcert=FILE`");
        check("postgres://h/d?sslmode=prefer&sslrootcert=/r", "changes nothing");
        check("postgres://h/d?sslmode=require&sslrootcert=/nowhere/r.pem", "/nowhere/r.pem");
        check("postgres://h/d?sslmode=require&sslcert=/c", "together");
        check("postgres://h/d?sslmode=%zz", "begins no character");
        check("postgres://u:secret@h/d?colour=red", "unknown option `colour`");
        check("password='secret", "no `'` at its end");
        check("secret", "neither a URL");
        check("postgres://u:secret@h:port/d", "port");
        check("secret", "no address of a PostgreSQL database");
        // What is wrong with TLS is no matter of the address's form.
        for tls in ["sslmode=allow", "sslmode=full", "sslmode=require&sslrootcert=/nowhere/r.pem"] {
            let address = format!("postgres://u:secret@h/d?{tls}");
            let error = read(&address, Path::new("")).expect_err(tls);
            assert!(!error.contains("no address"), "{error}");
        }
    }

    #[test]
    fn relative_paths_start_from_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let address = "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=ca.pem";
        assert!(read(address, folder.path()).is_ok());
        let error = read(address, Path::new("/nowhere")).unwrap_err();
        assert!(error.contains("`sslrootcert`: /nowhere/ca.pem can't be read"), "{error}");
    }
}
