//! One of the clients that write, and the books it keeps of what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Value, json};

use super::server::Server;
use crate::harness::{Answered, Connection, Random};

/// Resources that all writers change by `If-Match`.
const COUNTERS: u64 = 4;

/// So many writes of all writers ask for the same conditional create.
const SAME_KEY: u64 = 24;

pub(super) const MARK: &str = "urn:test:mark";
pub(super) const KEY: &str = "urn:test:key";

/// How many resources carry the mark of a transaction.
pub(super) const TRANSACTION_PARTS: usize = 3;

/// What was acknowledged, and what was not.
#[derive(Default)]
pub(super) struct Books {
    /// The versions acknowledged, with the mark of what they hold; a deletion has none.
    pub(super) versions: BTreeMap<(String, u64), Option<String>>,
    /// The resource that each conditional create was answered with, by the key it asked for.
    pub(super) conditional: BTreeMap<String, BTreeSet<String>>,
    /// Marks of transactions that were acknowledged.
    pub(super) transactions: BTreeSet<String>,
    /// Marks of transactions sent, whatever became of them.
    pub(super) transactions_sent: BTreeSet<String>,
    /// Marks of calls that were not answered: what they were to write is there, or is not.
    pub(super) uncertain: BTreeSet<String>,
    /// Marks of calls that were refused.
    pub(super) refused: BTreeSet<String>,
    /// The ids of all calls that changed something and were acknowledged.
    pub(super) requests: BTreeSet<String>,
    deletions: u64,
}

impl Books {
    pub(super) fn together(books: Vec<Self>) -> Self {
        books.into_iter().reduce(Self::and).unwrap_or_default()
    }

    fn and(mut self, other: Self) -> Self {
        let count = self.versions.len() + other.versions.len();
        self.versions.extend(other.versions);
        assert_eq!(self.versions.len(), count, "a version was acknowledged twice");
        for (key, found) in other.conditional {
            self.conditional.entry(key).or_default().extend(found);
        }
        self.transactions.extend(other.transactions);
        self.transactions_sent.extend(other.transactions_sent);
        self.uncertain.extend(other.uncertain);
        self.refused.extend(other.refused);
        self.requests.extend(other.requests);
        self.deletions += other.deletions;
        self
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} versions acknowledged, {} of them deletions; {} transactions; {} keys of conditional creates; {} \
             refused; {} not answered",
            self.versions.len(),
            self.deletions,
            self.transactions.len(),
            self.conditional.len(),
            self.refused.len(),
            self.uncertain.len(),
        )
    }

    fn version(&mut self, reference: &str, version: u64, mark: Option<&str>) {
        let before = self.versions.insert((reference.to_owned(), version), mark.map(str::to_owned));
        assert_eq!(before, None, "{reference} version {version} was acknowledged twice");
    }
}

pub(super) struct Writer {
    number: u64,
    random: Random,
    sent: u64,
    /// What may be deleted.
    own: Vec<String>,
    books: Books,
}

impl Writer {
    pub(super) fn new(number: u64, random: Random) -> Self {
        Self { number, random, sent: 0, own: Vec::new(), books: Books::default() }
    }

    /// Writes until it is to end.
    pub(super) fn run(mut self, server: &Server) -> Books {
        while !server.has_ended() {
            let Ok(mut connection) = server.connection() else { continue };
            while !server.has_ended() && self.write(&mut connection).is_ok() {
                server.has_acknowledged();
            }
        }
        self.books
    }

    fn write(&mut self, connection: &mut Connection) -> io::Result<()> {
        match self.random.below(10) {
            0..3 => self.create(connection),
            3..5 => self.conditional_create(connection),
            5..7 => self.update(connection),
            7..9 => self.transaction(connection),
            _ => self.delete(connection),
        }
    }

    /// A mark for a call: its request's id, too.
    fn mark(&mut self) -> String {
        self.sent += 1;
        format!("w{}-{}", self.number, self.sent)
    }

    /// A key that others ask for at about the same time.
    fn key(&self) -> String {
        format!("k{}", self.sent / (SAME_KEY / super::WRITERS))
    }

    fn call(
        &mut self,
        connection: &mut Connection,
        mark: &str,
        (method, path): (&str, &str),
        condition: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> io::Result<Answered> {
        let headers: Vec<(&str, &str)> =
            [Some(("X-Request-Id", mark)), condition].into_iter().flatten().collect();
        let answered = connection.call(method, &format!("/fhir/R4{path}"), &headers, body);
        match &answered {
            Err(_) => {
                self.books.uncertain.insert(mark.to_owned());
            }
            Ok(answered) if answered.status == 412 => {
                self.books.refused.insert(mark.to_owned());
            }
            Ok(_) => {
                self.books.requests.insert(mark.to_owned());
            }
        }
        answered
    }

    fn create(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mark = self.mark();
        let body = patient(&mark, None);
        let answered = self.call(connection, &mark, ("POST", "/Patient"), None, Some(&body))?;
        expect(&answered, &[201]);
        let (reference, version) = location(answered.header("location").expect("a location"));
        assert_eq!(answered.json()["identifier"], body["identifier"]);
        self.books.version(&reference, version, Some(&mark));
        self.own.push(reference);
        Ok(())
    }

    fn conditional_create(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mark = self.mark();
        let key = self.key();
        let body = patient(&mark, Some(&key));
        let condition = format!("identifier={KEY}|{key}");
        let condition = Some(("If-None-Exist", condition.as_str()));
        let call = ("POST", "/Patient");
        let answered = self.call(connection, &mark, call, condition, Some(&body))?;
        expect(&answered, &[200, 201]);
        let found = answered.json();
        let reference = format!("Patient/{}", found["id"].as_str().expect("an id"));
        if answered.status == 201 {
            self.books.version(&reference, 1, Some(&mark));
        }
        self.books.conditional.entry(key).or_default().insert(reference);
        Ok(())
    }

    /// Counts on: whoever loses the race is refused.
    fn update(&mut self, connection: &mut Connection) -> io::Result<()> {
        let reference = format!("Patient/counter{}", self.random.below(COUNTERS));
        let path = format!("/{reference}");
        let found = connection.call("GET", &format!("/fhir/R4{path}"), &[], None)?;
        expect(&found, &[200, 404]);
        let mark = self.mark();
        let mut body = patient(&mark, None);
        body["id"] = reference.strip_prefix("Patient/").into();
        let (count, condition) = match found.status {
            404 => (1, ("If-None-Match", "*")),
            _ => {
                let count = found.json()["multipleBirthInteger"].as_u64().expect("a count");
                (count + 1, ("If-Match", found.header("etag").expect("an ETag")))
            }
        };
        body["multipleBirthInteger"] = count.into();
        let call = ("PUT", path.as_str());
        let answered = self.call(connection, &mark, call, Some(condition), Some(&body))?;
        expect(&answered, &[200, 201, 412]);
        if answered.status != 412 {
            let (at, version) = location(answered.header("location").expect("a location"));
            assert_eq!((at.as_str(), version), (reference.as_str(), count));
            self.books.version(&reference, version, Some(&mark));
        }
        Ok(())
    }

    /// A new patient, one that is perhaps there already, an observation of both and a list that gets a new version.
    fn transaction(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mark = self.mark();
        let key = self.key();
        let (first, second) = (
            "urn:uuid:7a4d0d6e-3f0e-4c55-9d2b-6a1d2f1b0001",
            "urn:uuid:7a4d0d6e-3f0e-4c55-9d2b-6a1d2f1b0002",
        );
        let list = format!("List/w{}", self.number);
        let conditional = format!("{mark}-c");
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "resource": {
                "resourceType": "Observation", "status": "final", "code": { "text": "weight" },
                "identifier": [identifier(MARK, &mark)],
                "subject": { "reference": first }, "focus": [{ "reference": second }] },
              "request": { "method": "POST", "url": "Observation" } },
            { "fullUrl": first, "resource": patient(&mark, None),
              "request": { "method": "POST", "url": "Patient" } },
            { "fullUrl": second, "resource": patient(&conditional, Some(&key)),
              "request": { "method": "POST", "url": "Patient",
                "ifNoneExist": format!("identifier={KEY}|{key}") } },
            { "resource": {
                "resourceType": "List", "id": format!("w{}", self.number), "status": "current",
                "mode": "working", "identifier": [identifier(MARK, &mark)] },
              "request": { "method": "PUT", "url": list } },
        ]});
        self.books.transactions_sent.insert(mark.clone());
        let answered = self.call(connection, &mark, ("POST", ""), None, Some(&bundle));
        if answered.is_err() {
            self.books.uncertain.insert(conditional.clone());
        }
        let answered = answered?;
        expect(&answered, &[200]);
        let answer = answered.json();
        let part = |number: usize| {
            let response = &answer["entry"][number]["response"];
            let status = response["status"].as_str().expect("a status").to_owned();
            let (reference, version) = location(response["location"].as_str().expect("a location"));
            (status.starts_with("201"), reference, version)
        };
        for number in [0, 1, 3] {
            let (_, reference, version) = part(number);
            self.books.version(&reference, version, Some(&mark));
        }
        let (is_new, reference, version) = part(2);
        if is_new {
            self.books.version(&reference, version, Some(&conditional));
        }
        self.books.conditional.entry(key).or_default().insert(reference);
        self.books.transactions.insert(mark);
        Ok(())
    }

    fn delete(&mut self, connection: &mut Connection) -> io::Result<()> {
        if self.own.is_empty() {
            return Ok(());
        }
        let chosen = self.random.below(self.own.len() as u64) as usize;
        let reference = self.own.swap_remove(chosen);
        let mark = self.mark();
        let path = format!("/{reference}");
        let answered = self.call(connection, &mark, ("DELETE", &path), None, None)?;
        expect(&answered, &[200, 204]);
        self.books.version(&reference, 2, None);
        self.books.deletions += 1;
        Ok(())
    }
}

#[track_caller]
fn expect(answered: &Answered, expected: &[u16]) {
    let body = String::from_utf8_lossy(&answered.body);
    assert!(expected.contains(&answered.status), "{}: {body}", answered.status);
}

fn identifier(system: &str, value: &str) -> Value {
    json!({ "system": system, "value": value })
}

fn patient(mark: &str, key: Option<&str>) -> Value {
    let mut identifiers = vec![identifier(MARK, mark)];
    identifiers.extend(key.map(|key| identifier(KEY, key)));
    json!({ "resourceType": "Patient", "identifier": identifiers,
        "name": [{ "family": "Muster", "given": [mark] }] })
}

/// Reference and version of `…/Patient/7f3c/_history/1`.
fn location(text: &str) -> (String, u64) {
    let parts: Vec<&str> = text.rsplitn(5, '/').collect();
    let [version, "_history", id, resource_type, ..] = parts.as_slice() else {
        panic!("{text} is no version's address")
    };
    (format!("{resource_type}/{id}"), version.parse().expect("versions are numbers"))
}
