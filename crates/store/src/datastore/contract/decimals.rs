//! Numbers are compared by all of their digits: in both databases, in memory, and in stores that an older release wrote.

use num_bigint::{BigInt, BigUint, Sign};
use pipehat_resource::search::{Comparator, Registry, extract};
use pipehat_vault::Key;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rusqlite::OpenFlags;

use super::fixture::{Fixture, create, json, postgres_in, postgres_url, reopen, search, sqlite_in};
use super::searches::check;
use crate::datastore::BodyKey;
use crate::datastore::body::Seal;

/// All decimals of these tests are integers times ten to the power of minus this.
const PLACES: i64 = 1_200;

const COMPARATORS: [Comparator; 9] = [
    Comparator::Equal,
    Comparator::NotEqual,
    Comparator::Greater,
    Comparator::Less,
    Comparator::GreaterOrEqual,
    Comparator::LessOrEqual,
    Comparator::StartsAfter,
    Comparator::EndsBefore,
    Comparator::Approximately,
];

/// A decimal as an integer of units of 10^-[`PLACES`], and the power of ten of its last digit; calculated with, and by
/// nothing that the product has.
fn scaled(text: &str) -> (BigInt, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let places = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i64);
    let digits: BigInt = mantissa.replace('.', "").parse().unwrap();
    let unit = exponent.parse::<i64>().unwrap() - places;
    (digits * ten_to(unit), unit)
}

fn ten_to(power: i64) -> BigInt {
    let power = u32::try_from(power + PLACES).unwrap();
    BigInt::from_biguint(Sign::Plus, BigUint::from(10u8).pow(power))
}

/// An end of what a resource says; `None` where it is open.
type End = Option<BigInt>;

/// What [`Comparator`] says, in integers.
fn holds(comparator: Comparator, text: &str, (from, to): &(End, End)) -> bool {
    let (value, mut unit) = scaled(text);
    let mantissa = text.split_once('e').map(|(mantissa, _)| mantissa);
    let significant = |mantissa: &str| {
        mantissa.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count()
    };
    if mantissa.is_some_and(|mantissa| significant(mantissa) < 2) {
        unit -= 1;
    }
    let half: BigInt = ten_to(unit - 1) * 5;
    let (low, high) = (&value - &half, &value + &half);
    let equal =
        || from.as_ref().is_some_and(|e| *e >= low) && to.as_ref().is_some_and(|e| *e < high);
    match comparator {
        Comparator::Equal => equal(),
        Comparator::NotEqual => !equal(),
        Comparator::Greater => to.as_ref().is_none_or(|e| *e > value),
        Comparator::Less => from.as_ref().is_none_or(|e| *e < value),
        Comparator::GreaterOrEqual => to.as_ref().is_none_or(|e| *e >= value),
        Comparator::LessOrEqual => from.as_ref().is_none_or(|e| *e <= value),
        Comparator::StartsAfter => from.as_ref().is_some_and(|e| *e > value),
        Comparator::EndsBefore => to.as_ref().is_some_and(|e| *e < value),
        Comparator::Approximately => {
            let times = |factor: u8| &value * BigInt::from(factor) / BigInt::from(10u8);
            let (low, high) = (times(9).min(times(11)), times(9).max(times(11)));
            from.as_ref().is_none_or(|e| *e <= high) && to.as_ref().is_none_or(|e| *e >= low)
        }
    }
}

/// Decimals of which many share their double, and some are any.
fn decimal() -> impl Strategy<Value = String> {
    let beginnings = prop::sample::select(vec![
        "1",
        "100",
        "5.4",
        "0",
        "0.3",
        "9.9999999999999999999",
        "9007199254740993",
        "123456789012345678",
        "123456789012345678.123456789",
        "1.7976931348623157",
        "4.9",
    ]);
    let zeros = prop_oneof![Just(0usize), 0usize..20];
    let near = (beginnings, zeros, "[0-9]{0,3}").prop_map(|(beginning, zeros, last)| {
        let point = if beginning.contains('.') || last.is_empty() { "" } else { "." };
        let zeros = if last.is_empty() { 0 } else { zeros };
        format!("{beginning}{point}{}{last}", "0".repeat(zeros))
    });
    let other = "(0|[1-9][0-9]{0,19})(\\.[0-9]{1,20})?";
    let exponents = prop_oneof![
        5 => Just(String::new()),
        2 => prop::sample::select(vec!["e0", "e2", "e-5", "e40"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["e-400", "e-324", "e-323", "e-310", "e308", "e309", "e999"])
            .prop_map(str::to_owned),
        1 => (-60i32..60).prop_map(|exponent| format!("e{exponent}")),
    ];
    let digits = prop_oneof![3 => near, 1 => other];
    (any::<bool>(), digits, exponents).prop_map(|(negative, digits, exponent)| {
        let sign = if negative { "-" } else { "" };
        format!("{sign}{digits}{exponent}")
    })
}

/// A resource that has one, and between what it lies.
fn told() -> impl Strategy<Value = (String, String, (End, End))> {
    let comparators = prop::sample::select(vec!["", "", "", "", "<", ">="]);
    let quantity = (decimal(), comparators).prop_map(|(text, comparator)| {
        let value = Some(scaled(&text).0);
        let ends = match comparator {
            "<" => (None, value),
            ">=" => (value, None),
            _ => (value.clone(), value),
        };
        let comparator = match comparator {
            "" => String::new(),
            comparator => format!(r#","comparator":"{comparator}""#),
        };
        let body = format!(r#""valueQuantity":{{"value":{text}{comparator}}}"#);
        ("Observation".to_owned(), body, ends)
    });
    let range = (decimal(), decimal()).prop_map(|(one, other)| {
        let ((low, _), (high, _)) = (scaled(&one), scaled(&other));
        let (one, other) = if low <= high { (one, other) } else { (other, one) };
        let ends = (Some(low.clone().min(high.clone())), Some(low.max(high)));
        let body = format!(
            r#""prediction":[{{"probabilityRange":{{"low":{{"value":{one}}},"high":{{"value":{other}}}}}}}]"#
        );
        ("RiskAssessment".to_owned(), body, ends)
    });
    let number = decimal().prop_map(|text| {
        let value = Some(scaled(&text).0);
        let body = format!(r#""prediction":[{{"probabilityDecimal":{text}}}]"#);
        ("RiskAssessment".to_owned(), body, (value.clone(), value))
    });
    prop_oneof![2 => quantity, 1 => number, 1 => range]
}

pub(super) async fn decimals_are_compared_by_all_of_their_digits(fixture: &Fixture) {
    let mut runner = TestRunner::deterministic();
    let mut all = Vec::new();
    for id in 0..200 {
        let (resource_type, body, ends) = told().new_tree(&mut runner).unwrap().current();
        let text = format!(r#"{{"resourceType":"{resource_type}","id":"d{id:03}",{body}}}"#);
        all.push((resource_type, text, ends));
    }
    for some in all.chunks(60) {
        fixture.apply(some.iter().map(|(_, text, _)| create(text)).collect()).await;
    }
    let registry = Registry::standard();
    let resources: Vec<_> = all
        .iter()
        .map(|(_, text, _)| json(text))
        .map(|resource| (extract(&resource, &registry, "", 0), resource))
        .collect();
    let mut found_any = 0;
    for _ in 0..30 {
        let text = decimal().new_tree(&mut runner).unwrap().current();
        for comparator in COMPARATORS {
            for (resource_type, parameter) in
                [("Observation", "value-quantity"), ("RiskAssessment", "probability")]
            {
                let asked = format!("{resource_type}?{parameter}={}{text}", comparator.code());
                let expected: Vec<String> = all
                    .iter()
                    .enumerate()
                    .filter(|(_, (of, _, ends))| {
                        of == resource_type && holds(comparator, &text, ends)
                    })
                    .map(|(id, _)| format!("{resource_type}/d{id:03}"))
                    .collect();
                let parsed = search(&asked);
                let in_memory: Vec<String> = resources
                    .iter()
                    .enumerate()
                    .filter(|(_, (entries, resource))| {
                        parsed.matches(resource, entries) == Some(true)
                    })
                    .map(|(id, _)| format!("{resource_type}/d{id:03}"))
                    .collect();
                assert_eq!(in_memory, expected, "in memory, {asked}");
                let mut found = Vec::new();
                let mut after = None;
                loop {
                    let page = fixture.page(&asked, 1000, after).await;
                    found.extend(super::fixture::shown(&page));
                    match page.next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
                assert_eq!(found, expected, "{asked}");
                // Held against what another leads to.
                let asked = format!("{asked}&_id=d000,d050,d100,d150,d199");
                let some = fixture.found(&asked).await;
                assert!(some.iter().all(|one| expected.contains(one)), "{asked}");
                found_any += found.len();
            }
        }
    }
    assert!(found_any > 5_000, "{found_any}");
}

const LONG: [(&str, &str); 6] = [
    ("more", "100.00000000000000000001"),
    ("most", "100.0000000000000000000000000000000000000000000000000001"),
    ("less", "99.99999999999999999999"),
    ("great", "123456789012345678.123456789"),
    ("huge", "1e999"),
    ("huger", "1e999999999"),
];

fn observation(id: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},"valueQuantity":{{"value":{value}}}}}"#
    )
}

const FOUND: [(&str, &str); 10] = [
    ("Observation?value-quantity=gt100&value-quantity=lt200", "more most"),
    ("Observation?value-quantity=le100&value-quantity=gt50", "less"),
    ("Observation?value-quantity=lt100&value-quantity=gt50", "less"),
    ("Observation?value-quantity=100.00000000000000000001", "more"),
    ("Observation?value-quantity=100", "more most less"),
    ("Observation?value-quantity=gt123456789012345678&value-quantity=lt1e20", "great"),
    ("Observation?value-quantity=gt123456789012345678.123456789&value-quantity=lt1e20", ""),
    ("Observation?value-quantity=1e999", "huge"),
    ("Observation?value-quantity=gt1e999", "huger"),
    ("Observation?value-quantity=1e999999999", "huger"),
];

pub(super) async fn long_decimals_are_found_by_their_digits(fixture: &Fixture) {
    let all = LONG.iter().map(|(id, value)| create(&observation(id, value)));
    fixture.apply(all.collect()).await;
    check(fixture, &FOUND).await;
    // In order, though not by all digits.
    let sorted = fixture.found("Observation?_sort=value-quantity").await;
    assert_eq!(sorted.len(), LONG.len());
    let verified = fixture.store.verify(&|_| {}).await.unwrap();
    assert_eq!(verified.problems_all, 0);
}

/// Makes of a schema of today one of version 1, with the rows that were in it: what is longer than a double stood
/// between two doubles, or nowhere.
const BACK_TO_1: [&str; 9] = [
    "DELETE FROM quantities WHERE value > 1e300",
    "UPDATE quantities SET high = value + 1e-13 WHERE value = 100 AND high_rest > '35000000002'",
    "UPDATE quantities SET low = value - 1e-13 WHERE value = 100 AND high_rest < '35000000002'",
    "ALTER TABLE numbers DROP COLUMN low_rest",
    "ALTER TABLE numbers DROP COLUMN high_rest",
    "ALTER TABLE quantities DROP COLUMN low_rest",
    "ALTER TABLE quantities DROP COLUMN high_rest",
    "DELETE FROM facts WHERE name = 'caught_up_to'",
    "UPDATE facts SET value = '1' WHERE name = 'schema'",
];

async fn filled(fixture: &Fixture) {
    let many: Vec<String> = (0..1200).map(|id| observation(&format!("o{id}"), "5.4")).collect();
    let long = LONG.iter().map(|(id, value)| observation(id, value));
    let all: Vec<String> = many.into_iter().chain(long).collect();
    for some in all.chunks(100) {
        fixture.apply(some.iter().map(|text| create(text)).collect()).await;
    }
}

/// What a store of version 1 finds, at once and once it has caught up.
async fn check_upgraded(fixture: &Fixture) {
    let count = async |asked: &str| fixture.store.count(&search(asked)).await.unwrap();
    assert_eq!(count("Observation?value-quantity=5.4").await, 1200);
    assert_eq!(count("Observation?value-quantity=lt100").await, 1201);
    check(
        fixture,
        &[
            ("Observation?value-quantity=gt100&value-quantity=lt200", "more most"),
            ("Observation?value-quantity=100.00000000000000000001", ""),
            ("Observation?value-quantity=1e999", ""),
        ],
    )
    .await;
    let verified = fixture.store.verify(&|_| {}).await.unwrap();
    assert_eq!(verified.problems_all, LONG.len() as u64);
    assert_eq!(fixture.store.catch_up().await.unwrap(), LONG.len() as u64);
    check(fixture, &FOUND).await;
    assert_eq!(count("Observation?value-quantity=5.4").await, 1200);
    let verified = fixture.store.verify(&|_| {}).await.unwrap();
    assert_eq!(verified.problems_all, 0);
    assert_eq!(fixture.store.catch_up().await.unwrap(), 0);
    assert!(fixture.store.is_indexed().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_of_version_1_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    filled(&Fixture::new(sqlite_in(directory.path()))).await;
    let path = directory.path().join("datastore.db");
    let key: Key = Seal::new(BodyKey::new(1, [7; 32])).unwrap().file_key();
    let connection = pipehat_vault::open(&path, &key, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    for statement in BACK_TO_1 {
        connection.execute(statement, []).unwrap();
    }
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    check_upgraded(&Fixture::new(sqlite_in(directory.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_of_version_1_catches_up() {
    let Some(url) = postgres_url() else { return };
    let store = postgres_in(&url, "catches_up").await;
    filled(&Fixture::new(store.clone())).await;
    let (client, _) = store.client_and_core().await;
    client.batch_execute(&BACK_TO_1.join(";")).await.unwrap();
    drop(client);
    drop(store);
    check_upgraded(&Fixture::new(reopen(&url, "catches_up").await)).await;
}
