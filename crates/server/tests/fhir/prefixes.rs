//! Prefixes of dates and numbers, by the ranges of FHIR R4 §3.1.1.4.4 to §3.1.1.4.7, which are computed here anew.

use serde_json::{Value, json};

use crate::harness::Server;

const PREFIXES: [&str; 9] = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"];

/// Microseconds since 1970 that a time stands for, from the first to the last.
fn span(text: &str) -> (i64, i64) {
    let micros = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
    let day = |text: &str| micros(&format!("{text}T00:00:00Z"));
    let next_month = |year: i64, month: i64| match month {
        12 => day(&format!("{}-01-01", year + 1)),
        _ => day(&format!("{year}-{:02}-01", month + 1)),
    };
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let (from, behind) = match text.len() {
        4 => (day(&format!("{text}-01-01")), next_month(number(text), 12)),
        7 => (day(&format!("{text}-01")), next_month(number(&text[..4]), number(&text[5..]))),
        10 => (day(text), day(text) + 86_400_000_000),
        _ => {
            let fraction = text.get(19..).filter(|rest| rest.starts_with('.'));
            let digits = fraction
                .map_or(0, |rest| rest.bytes().skip(1).take_while(u8::is_ascii_digit).count());
            let from = micros(text);
            (from, from + 10_i64.pow(6 - u32::try_from(digits).expect("few digits")))
        }
    };
    (from, behind - 1)
}

/// Whether a prefix holds between what is asked for and what stands in a resource.
fn holds(prefix: &str, (low, high): (i64, i64), (from, to): (i64, i64)) -> bool {
    let within = low <= from && to <= high;
    match prefix {
        "" | "eq" => within,
        "ne" => !within,
        "gt" => to > high,
        "lt" => from < low,
        "ge" => to > high || within,
        "le" => from < low || within,
        "sa" => from > high,
        "eb" => to < low,
        _ => panic!("{prefix} is no prefix here"),
    }
}

#[tokio::test]
async fn dates_compare_as_spans() {
    let server = Server::new();
    let times = [
        "2022-03-27T00:30:00+01:00",
        "2022-03-27",
        "2022-03",
        "2022",
        "2022-03-26T23:30:00Z",
        "2022-03-26T23:30:00.5Z",
        "2022-03-27T23:59:59.999999Z",
        "2022-02-28",
        "2024-02-29",
        "2022-12-31T23:59:59-12:00",
    ];
    let mut stands: Vec<(String, (i64, i64))> = Vec::new();
    let observation = |id: &str| json!({ "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" } });
    for (at, time) in times.iter().enumerate() {
        let id = format!("t{at}");
        let mut resource = observation(&id);
        resource["effectiveDateTime"] = Value::from(*time);
        server.put(&resource).await;
        stands.push((id, span(time)));
    }
    let periods = [
        ("p0", Some("2022-03-27T10:00:00Z"), Some("2022-03-28")),
        ("p1", Some("2022-03-01"), None),
        ("p2", None, Some("2022-03-27T12:00:00+02:00")),
    ];
    for (id, start, end) in periods {
        let mut resource = observation(id);
        for (name, time) in [("start", start), ("end", end)] {
            if let Some(time) = time {
                resource["effectivePeriod"][name] = time.into();
            }
        }
        server.put(&resource).await;
        let from = start.map_or(i64::MIN, |time| span(time).0);
        stands.push((id.to_owned(), (from, end.map_or(i64::MAX, |time| span(time).1))));
    }
    let others = ["2023", "2022-12-31", "2022-03-27T12:00:00+02:00", "2023-01-01T11:59:59Z"];
    for asked in times.iter().chain(&others) {
        for prefix in PREFIXES {
            let query = format!("date={prefix}{}", asked.replace('+', "%2B"));
            let expected: Vec<&String> = stands
                .iter()
                .filter(|(_, stand)| holds(prefix, span(asked), *stand))
                .map(|(id, _)| id)
                .collect();
            check(&server, &query, &expected).await;
        }
    }
}

#[tokio::test]
async fn numbers_compare_by_their_digits() {
    let server = Server::new();
    // In hundredths.
    let stands = [0, 50, 100, 150, 9995, 10_000, 10_005, -100, 100_000_000];
    let mut ids = Vec::new();
    for (at, hundredths) in stands.iter().enumerate() {
        let id = format!("n{at}");
        server
            .put(&json!({ "resourceType": "Observation", "id": id, "status": "final",
                "code": { "text": "x" }, "valueQuantity": { "value": f64::from(*hundredths) / 100.0 } }))
            .await;
        ids.push((id, i64::from(*hundredths)));
    }
    // What is asked for, its value and half a unit of its last digit, in thousandths of hundredths.
    let asked = [
        ("0", 0, 50_000),
        ("1", 100_000, 50_000),
        ("0.5", 50_000, 5_000),
        ("0.50", 50_000, 500),
        ("100", 10_000_000, 50_000),
        ("100.0", 10_000_000, 5_000),
        ("100.00", 10_000_000, 500),
        ("1e2", 10_000_000, 500_000),
        ("1.00e2", 10_000_000, 50_000),
        ("-1", -100_000, 50_000),
        ("99.9", 9_990_000, 5_000),
    ];
    for (text, value, half) in asked {
        for prefix in ["", "eq", "ne", "gt", "lt", "ge", "le"] {
            let expected: Vec<&String> = ids
                .iter()
                .filter(|(_, hundredths)| {
                    let own = hundredths * 1000;
                    let within = value - half <= own && own < value + half;
                    match prefix {
                        "" | "eq" => within,
                        "ne" => !within,
                        "gt" => own > value,
                        "lt" => own < value,
                        "ge" => own >= value,
                        _ => own <= value,
                    }
                })
                .map(|(id, _)| id)
                .collect();
            check(&server, &format!("value-quantity={prefix}{text}"), &expected).await;
        }
    }
}

async fn check(server: &Server, query: &str, expected: &[&String]) {
    let reply = server.get(&format!("/Observation?_count=100&{query}")).await.expect(200);
    let mut found = reply.entries();
    found.sort();
    let mut expected: Vec<String> = expected.iter().map(|id| format!("Observation/{id}")).collect();
    expected.sort();
    assert_eq!(found, expected, "{query}");
}
