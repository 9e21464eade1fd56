//! What both stores share beside the database: the key, the rules, and numbers for search parameters.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use pipehat_resource::search::ParameterKind;

use super::body::Seal;
use super::entries::{Known, Numbering};
use super::interaction::{ChangeNumber, Method, ResourceKey, StoredVersion};
use super::rules::{ParameterNames, Rules};
use super::sql::{Dialect, Row, Session, SessionError, SqlValue};

/// The rules in force, with the lasting numbers of their parameters.
pub(super) struct Catalogue {
    pub(super) rules: Arc<dyn Rules>,
    pub(super) numbering: Numbering,
    /// The numbers of parameters that identify: those of the code `identifier`.
    pub(super) identifying: Vec<i64>,
    /// By type, the numbers of `url` and `version`, which a canonical address names.
    pub(super) canonicals: HashMap<String, Canonical>,
    /// The numbers of `_profile`, `_security` and `_tag`, each with its type.
    pub(super) labels: Vec<(String, ParameterKind, i64)>,
}

/// What a canonical address is compared with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Canonical {
    pub(super) url: i64,
    pub(super) version: i64,
}

/// What every interaction needs at hand.
pub(super) struct Core {
    pub(super) seal: Seal,
    catalogue: RwLock<Arc<Catalogue>>,
}

impl Core {
    pub(super) fn new(seal: Seal, catalogue: Catalogue) -> Self {
        Self { seal, catalogue: RwLock::new(Arc::new(catalogue)) }
    }

    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_catalogue(&self, catalogue: Catalogue) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalogue);
    }

    /// A version from a row of key (0), version, time, change, method, body (1 to 5).
    pub(super) fn stored(
        &self,
        key: ResourceKey,
        row: &Row,
        first: usize,
    ) -> Result<StoredVersion, SessionError> {
        let version = row.unsigned(first)?;
        let body = match row.blob(first.saturating_add(4))? {
            None => None,
            Some(sealed) => Some(
                self.seal
                    .open(&key, version, sealed)
                    .map_err(|error| SessionError::Damaged(Box::new(error)))?,
            ),
        };
        Ok(StoredVersion {
            key,
            version,
            last_updated: row.integer(first.saturating_add(1))?,
            change: ChangeNumber(row.unsigned(first.saturating_add(2))?),
            method: method_of(row.integer(first.saturating_add(3))?)?,
            body,
        })
    }
}

/// The columns that [`Core::stored`] reads, of `versions v`.
pub(super) const VERSION_COLUMNS: &str = "v.version, v.last_updated, v.change, v.method, v.body";

pub(super) fn method_number(method: Method) -> i64 {
    match method {
        Method::Post => 1,
        Method::Put => 2,
        Method::Patch => 3,
        Method::Delete => 4,
    }
}

fn method_of(number: i64) -> Result<Method, SessionError> {
    match number {
        1 => Ok(Method::Post),
        2 => Ok(Method::Put),
        3 => Ok(Method::Patch),
        4 => Ok(Method::Delete),
        _ => Err(SessionError::Damaged("an unknown method".into())),
    }
}

/// What a datastore was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// It may be changed, and is brought up to date.
    ToWrite,
    /// It stays as it is.
    ToRead,
}

/// Numbers the parameters of `rules`, in a transaction; numbers once given stay. Opened to read, parameters that have no
/// number are left out: nothing is indexed by them.
pub(super) async fn catalogue<S: Session>(
    session: &mut S,
    rules: Arc<dyn Rules>,
    opened: Opened,
) -> Result<Catalogue, SessionError> {
    let parameters = rules.parameters();
    let mut known = numbers(session).await?;
    let missing: Vec<(String, String)> = parameters
        .iter()
        .map(|names| (names.resource_type.clone(), names.code.clone()))
        .filter(|names| !known.contains_key(names))
        .collect();
    if !missing.is_empty() && opened == Opened::ToWrite {
        let next = known.values().copied().max().unwrap_or(0);
        let numbered = (next.saturating_add(1)..).zip(missing);
        match session.dialect() {
            Dialect::Sqlite => {
                for (number, (resource_type, code)) in numbered {
                    session
                        .execute(
                            "INSERT INTO parameters (number, type, code) VALUES (?1, ?2, ?3)
                             ON CONFLICT DO NOTHING",
                            &[
                                SqlValue::Integer(number),
                                SqlValue::Text(resource_type),
                                SqlValue::Text(code),
                            ],
                        )
                        .await?;
                }
            }
            Dialect::Postgres => {
                let (mut numbers, mut types, mut codes) = (vec![], vec![], vec![]);
                for (number, (resource_type, code)) in numbered {
                    numbers.push(number);
                    types.push(resource_type);
                    codes.push(code);
                }
                session
                    .execute(
                        "INSERT INTO parameters (number, type, code)
                         SELECT * FROM unnest(?1::bigint[], ?2::text[], ?3::text[])
                         ON CONFLICT DO NOTHING",
                        &[
                            SqlValue::Integers(numbers),
                            SqlValue::Texts(types),
                            SqlValue::Texts(codes),
                        ],
                    )
                    .await?;
            }
        }
        known = numbers(session).await?;
    }
    let mut numbered = HashMap::with_capacity(parameters.len());
    let mut identifying = Vec::new();
    let mut canonicals: HashMap<String, Canonical> = HashMap::new();
    let mut labels = Vec::new();
    for ParameterNames { id, resource_type, code, kind, canonicals: targets } in parameters {
        let names = (resource_type, code);
        let Some(number) = known.get(&names).map(|number| number.saturating_mul(2)) else {
            continue;
        };
        let (resource_type, code) = names;
        match (code.as_str(), kind) {
            ("identifier", _) => identifying.push(number),
            ("url", ParameterKind::Uri) => {
                canonicals.entry(resource_type.clone()).or_default().url = number;
            }
            ("version", ParameterKind::Token) => {
                canonicals.entry(resource_type.clone()).or_default().version = number;
            }
            ("_profile" | "_security" | "_tag", _) => {
                labels.push((resource_type.clone(), kind, number));
            }
            _ => {}
        }
        numbered.insert(id, Known { number, kind, resource_type, canonicals: targets });
    }
    let numbering = Numbering::new(numbered);
    Ok(Catalogue { rules, numbering, identifying, canonicals, labels })
}

/// In an empty datastore, everything is indexed by the rules in force.
pub(super) async fn begin_index<S: Session>(
    session: &mut S,
    catalogue: &Catalogue,
) -> Result<(), SessionError> {
    let rows = session.query("SELECT 1 FROM resources LIMIT 1", &[]).await?;
    if rows.is_empty() {
        set_fact(session, "indexed_by", &catalogue.rules.fingerprint()).await?;
    }
    Ok(())
}

async fn numbers<S: Session>(
    session: &mut S,
) -> Result<HashMap<(String, String), i64>, SessionError> {
    let rows = session.query("SELECT type, code, number FROM parameters", &[]).await?;
    let mut numbers = HashMap::with_capacity(rows.len());
    for row in rows {
        numbers.insert((row.text(0)?.to_owned(), row.text(1)?.to_owned()), row.integer(2)?);
    }
    Ok(numbers)
}

/// A fact about the whole database.
pub(super) async fn fact<S: Session>(
    session: &mut S,
    name: &str,
) -> Result<Option<String>, SessionError> {
    let rows =
        session.query("SELECT value FROM facts WHERE name = ?1", &[SqlValue::text(name)]).await?;
    rows.first().map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// Sets a fact about the whole database.
pub(super) async fn set_fact<S: Session>(
    session: &mut S,
    name: &str,
    value: &str,
) -> Result<(), SessionError> {
    session
        .execute(
            "INSERT INTO facts (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[SqlValue::text(name), SqlValue::text(value)],
        )
        .await?;
    Ok(())
}

/// Checks that the database was written with this key, or says so in a new one.
pub(super) async fn check_key<S: Session>(
    session: &mut S,
    seal: &Seal,
    opened: Opened,
) -> Result<(), SessionError> {
    match fact(session, "key").await? {
        None if opened == Opened::ToRead => Err(outdated()),
        None => set_fact(session, "key", &seal.check()).await,
        Some(check) if check == seal.check() => Ok(()),
        Some(_) => Err(SessionError::Database(
            "the datastore was written with another key than the one given".into(),
        )),
    }
}

/// Refuses to read what only a writer could bring up to date.
pub(super) fn outdated() -> SessionError {
    SessionError::Database(
        "the datastore was written by an older version of Pipehat: start this one on it once"
            .into(),
    )
}

/// A statement with its placeholders as the database has them.
pub(super) fn placeholders(dialect: Dialect, sql: &str) -> String {
    match dialect {
        Dialect::Sqlite => sql.to_owned(),
        Dialect::Postgres => sql.replace('?', "$"),
    }
}
