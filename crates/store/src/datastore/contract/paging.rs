//! Pages while others write: what matched when the first page was read, and still does, comes once, in the order of
//! then, showing what stands now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Fixture;
use super::fixture::{create, delete, search, shown, update};
use crate::datastore::{Interaction, Precondition, SearchPage, SearchRequest};

/// Numbers that look random, the same ones each time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

fn put(resource: &str) -> Interaction {
    update(resource, Precondition::None)
}

fn patient(id: &str, family: &str, born: &str, gender: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{family}"}}],"birthDate":"{born}","gender":"{gender}"}}"#
    )
}

/// A person of few values, so that many are alike, with none, one or several of each kind.
fn someone(random: &mut Random, id: &str) -> String {
    let names = ["Ames", "Bell", "Cole", "Dahl", "Ek", "éa", "Zorn", "𝒵x"];
    let mut members = vec![format!(r#""resourceType":"Patient","id":"{id}""#)];
    let families: Vec<String> = (0..random.below(3))
        .map(|_| {
            format!(r#"{{"family":"{}","given":["{}"]}}"#, random.of(&names), random.of(&names))
        })
        .collect();
    if !families.is_empty() {
        members.push(format!(r#""name":[{}]"#, families.join(",")));
    }
    if random.below(4) > 0 {
        let born = ["1970", "1980-02", "1980-02-03", "1990-01-01"];
        members.push(format!(r#""birthDate":"{}""#, random.of(&born)));
    }
    if random.below(4) > 0 {
        members.push(format!(r#""gender":"{}""#, random.of(&["male", "female", "other"])));
    }
    if random.below(2) > 0 {
        let organization = random.below(3);
        members.push(format!(
            r#""managingOrganization":{{"reference":"Organization/o{organization}"}}"#
        ));
    }
    format!("{{{}}}", members.join(","))
}

fn something(random: &mut Random, id: &str) -> String {
    let status = random.of(&["final", "amended", "preliminary"]);
    let mut members = vec![format!(
        r#""resourceType":"Observation","id":"{id}","status":"{status}","code":{{"coding":[{{"system":"urn:c","code":"{}"}}]}}"#,
        random.of(&["A", "B"])
    )];
    match random.below(4) {
        0 => members.push(r#""effectivePeriod":{"start":"2020-01-01","end":"2020-03-01"}"#.into()),
        1 => members.push(format!(r#""effectiveDateTime":"2020-01-0{}""#, random.below(4) + 1)),
        2 => members.push(r#""effectiveDateTime":"2020-01-02T10:00:00Z""#.into()),
        _ => {}
    }
    if random.below(3) > 0 {
        let value = random.of(&["-1.5", "0", "2", "10", "100.5"]);
        members.push(format!(r#""valueQuantity":{{"value":{value},"unit":"mg"}}"#));
    }
    format!("{{{}}}", members.join(","))
}

fn write(random: &mut Random, id: &str) -> String {
    if id.starts_with('b') { something(random, id) } else { someone(random, id) }
}

fn reference(id: &str) -> String {
    let resource_type = if id.starts_with('b') { "Observation" } else { "Patient" };
    format!("{resource_type}/{id}")
}

/// Reads a search page by page, writing in between.
async fn page_through(
    fixture: &Fixture,
    asked: &str,
    limit: usize,
    mut between: impl AsyncFnMut(usize),
) -> Vec<String> {
    let (mut paged, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = fixture.page(asked, limit, after).await;
        assert!(page.matches.len() <= limit, "{asked}");
        assert!(page.next.is_none() || page.matches.len() == limit, "{asked} has a short page");
        are_current(fixture, &page).await;
        paged.extend(shown(&page));
        match page.next {
            Some(next) => after = Some(next),
            None => return paged,
        }
        pages += 1;
        assert!(pages < 500, "{asked} has no end");
        between(pages).await;
    }
}

/// What a page shows is what stands.
async fn are_current(fixture: &Fixture, page: &SearchPage) {
    for found in &page.matches {
        let key = &found.version.key;
        let reference = format!("{}/{}", key.resource_type, key.id);
        assert_eq!(fixture.read(&reference).await.as_ref(), Some(&found.version), "{reference}");
    }
}

/// Whatever is changed moves to the other end of the order, or away from it.
pub(super) async fn what_moves_comes_once(fixture: &Fixture) {
    for (at, (sort, family, born, gender)) in [
        ("family", "AAAA", "1950-01-01", "male"),
        ("family", "ZZZZ", "1950-01-01", "male"),
        ("-family", "AAAA", "1950-01-01", "male"),
        ("-family", "ZZZZ", "1950-01-01", "male"),
        ("_lastUpdated", "M", "1950-01-01", "male"),
        ("-_lastUpdated", "M", "1950-01-01", "male"),
        ("birthdate", "M", "1900-01-01", "male"),
        ("birthdate", "M", "2030-01-01", "male"),
        ("-birthdate", "M", "1900-01-01", "male"),
        ("-birthdate", "M", "2030-01-01", "male"),
        ("birthdate,-family", "M", "2030-01-01", "male"),
        ("-gender,family", "M", "1900-01-01", "female"),
        ("_id", "M", "1900-01-01", "female"),
        ("", "M", "1900-01-01", "female"),
    ]
    .into_iter()
    .enumerate()
    {
        for changed in [1, 12] {
            let tag = format!("m{at}-{changed}");
            let tagged = |id: &str, family: &str, born: &str, gender: &str| {
                let meta = format!(r#""meta":{{"tag":[{{"code":"{tag}"}}]}},"name""#);
                patient(id, family, born, gender).replacen(r#""name""#, &meta, 1)
            };
            let id = |number: usize| format!("{tag}-{number:02}");
            for number in 0..20 {
                let family = format!("B{number:03}");
                let born = format!("19{}-01-01", number + 10);
                let gender = if number % 2 == 0 { "male" } else { "female" };
                fixture.one(create(&tagged(&id(number), &family, &born, gender))).await;
            }
            let asked = match sort {
                "" => format!("Patient?_tag={tag}"),
                sort => format!("Patient?_tag={tag}&_sort={sort}"),
            };
            let before = fixture.found(&asked).await;
            assert_eq!(before.len(), 20, "{asked}");
            let gone = before[13].clone();
            let paged = page_through(fixture, &asked, 5, async |page| {
                if page != 1 {
                    return;
                }
                let (_, moved) = before[changed].split_once('/').unwrap();
                fixture.one(put(&tagged(moved, family, born, gender))).await;
                fixture.one(delete(&gone)).await;
            })
            .await;
            let expected: Vec<String> =
                before.iter().filter(|reference| **reference != gone).cloned().collect();
            assert_eq!(paged, expected, "{asked}, of which {changed} is changed");
        }
    }
}

/// What is created, changed, deleted and brought back between pages, on every order.
pub(super) async fn pages_hold_whatever_is_written_between(fixture: &Fixture) {
    let searches = [
        "Patient?_sort=family",
        "Patient?_sort=-family",
        "Patient?_sort=-given",
        "Patient?_sort=birthdate",
        "Patient?_sort=-birthdate",
        "Patient?_sort=_lastUpdated",
        "Patient?_sort=-_lastUpdated",
        "Patient?_sort=gender,-birthdate,family",
        "Patient?_sort=organization",
        "Patient?_sort=-_id",
        "Patient?gender=male,female&_sort=-family",
        "Patient?gender:not=male&_sort=birthdate",
        "Patient?family=a,b,c&_sort=-_lastUpdated",
        "Patient?birthdate=ge1975&_sort=-birthdate",
        "Patient?birthdate=ge1975&birthdate=lt1985&_sort=birthdate",
        "Patient?_lastUpdated=ge2000&_sort=family",
        "Observation?_sort=-date",
        "Observation?status=final&_sort=date",
        "Observation?_sort=value-quantity,-code",
        "Observation?_sort=-value-quantity",
        "Observation?code=A&_sort=-value-quantity,status",
        "?_sort=-_lastUpdated",
        "?_sort=_lastUpdated,_id",
        "Patient?",
    ];
    let ids: Vec<String> = (0..24).flat_map(|id| [format!("p{id}"), format!("b{id}")]).collect();
    for (at, asked) in searches.iter().enumerate() {
        for round in 0..3 {
            let seed = (at * 10 + round) as u64;
            let mut random = Random(seed);
            let group = ids.iter().map(|id| match random.below(8) {
                0 => delete(&reference(id)),
                _ => put(&write(&mut random, id)),
            });
            let group = group.collect();
            fixture.apply(group).await;
            let before = fixture.found(asked).await;
            let mut throughout: BTreeSet<String> = before.iter().cloned().collect();
            let mut newcomers = 0;
            let limit = random.below(5) as usize + 2;
            let paged = page_through(fixture, asked, limit, async |_| {
                for _ in 0..random.below(6) {
                    let id = random.of(&ids).clone();
                    match random.below(6) {
                        0 => drop(fixture.one(delete(&reference(&id))).await),
                        1 if newcomers < 20 => {
                            newcomers += 1;
                            let id = format!("{}new{seed}-{newcomers}", &id[..1]);
                            fixture.one(put(&write(&mut random, &id))).await;
                        }
                        _ => drop(fixture.one(put(&write(&mut random, &id))).await),
                    }
                    let now: BTreeSet<String> = fixture.found(asked).await.into_iter().collect();
                    throughout.retain(|reference| now.contains(reference));
                }
            })
            .await;
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            for reference in &paged {
                *times.entry(reference).or_default() += 1;
            }
            for (reference, times) in times {
                assert_eq!(times, 1, "{asked} of seed {seed} shows {reference} again");
            }
            // Each once, and in the order of then.
            let of_then = |all: &[String]| -> Vec<String> {
                all.iter().filter(|reference| throughout.contains(*reference)).cloned().collect()
            };
            assert_eq!(of_then(&paged), of_then(&before), "{asked} of seed {seed}");
            for number in 1..=newcomers {
                for kind in ["p", "b"] {
                    fixture.one(delete(&reference(&format!("{kind}new{seed}-{number}")))).await;
                }
            }
        }
    }
}

/// Many change what is being read, at any instant.
pub(super) async fn pages_hold_while_many_write(fixture: &Fixture) {
    const PEOPLE: u64 = 60;
    let person = |random: &mut Random, id: u64| {
        let born = format!("19{}-01-01", 10 + random.below(80));
        let family = format!("F{}", random.below(20));
        let text = patient(&format!("p{id}"), &family, &born, "other");
        // Now and then without, so that it stands among those at the end.
        if random.below(4) == 0 { text.replace("birthDate", "deceasedDateTime") } else { text }
    };
    let mut random = Random(1);
    fixture.apply((0..PEOPLE).map(|id| create(&person(&mut random, id))).collect()).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for seed in 2..5 {
        let (fixture, ended) = (fixture.clone(), Arc::clone(&ended));
        let mut random = Random(seed);
        writers.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let id = random.below(PEOPLE);
                fixture.one(put(&person(&mut random, id))).await;
            }
        });
    }
    for asked in [
        "Patient?_sort=birthdate",
        "Patient?_sort=-birthdate",
        "Patient?_sort=-_lastUpdated",
        "Patient?gender=other&_sort=family",
        "Patient?_sort=death-date,-family",
    ] {
        for limit in [7, 25, 59].into_iter().cycle().take(9) {
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = fixture.page(asked, limit, after).await;
                paged.extend(shown(&page));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            let times = paged.len();
            paged.sort_unstable();
            paged.dedup();
            assert_eq!((paged.len() as u64, times as u64), (PEOPLE, PEOPLE), "{asked} by {limit}");
        }
    }
    ended.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// Who may see what is asked of what stands now; what comes along, of the page.
pub(super) async fn pages_keep_to_what_may_be_seen(fixture: &Fixture) {
    let mut group: Vec<Interaction> = (0..8)
        .map(|id| {
            let gender = if id % 2 == 0 { "female" } else { "male" };
            create(&patient(&format!("p{id}"), &format!("N{id}"), "1980-01-01", gender))
        })
        .collect();
    group.push(create(
        r#"{"resourceType":"Observation","id":"b","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p6"}}"#,
    ));
    fixture.apply(group).await;
    let page = async |asked: &str, limit, after| {
        let women = pipehat_resource::search::Filter::All(search("Patient?gender=female").filters);
        let visible = vec![("Patient".to_owned(), Some(women)), ("Observation".to_owned(), None)];
        let request = SearchRequest { search: search(asked), visible, limit, after };
        fixture.store.search(&request).await.unwrap()
    };
    let asked = "Patient?_sort=family&_revinclude=Observation:subject&_total=accurate";
    let first = page(asked, 2, None).await;
    assert_eq!(shown(&first), ["Patient/p0", "Patient/p2"]);
    assert_eq!(first.total, Some(4));
    // One moves before, one is not to be seen any more, one comes into sight and one was seen already.
    fixture.one(put(&patient("p6", "A", "1980-01-01", "female"))).await;
    fixture.one(put(&patient("p4", "N4", "1980-01-01", "male"))).await;
    fixture.one(put(&patient("p5", "N5", "1980-01-01", "female"))).await;
    fixture.one(put(&patient("p0", "Z", "1980-01-01", "female"))).await;
    // Another number on the next page.
    let second = page(asked, 1, first.next).await;
    assert_eq!(shown(&second), ["Patient/p5"]);
    let third = page(asked, 10, second.next).await;
    assert_eq!(shown(&third), ["Patient/p6", "(Observation/b)"]);
    assert_eq!((third.next, third.total), (None, Some(4)));
}

/// As many changed resources keep their place; with one more, all stand where they sort now.
pub(super) async fn so_many_changed_ones_keep_their_place(fixture: &Fixture) {
    use crate::datastore::search::CHANGED_MAX;
    let person = |id: usize, family: &str| {
        patient(&format!("p{id}"), &format!("{family}{id:05}"), "1980-01-01", "other")
    };
    let all = CHANGED_MAX + 10;
    for first in (0..all).step_by(100) {
        let ids = first..(first + 100).min(all);
        fixture.apply(ids.map(|id| create(&person(id, "M"))).collect()).await;
    }
    let asked = "Patient?_sort=family";
    let next = fixture.page(asked, 5, None).await.next;
    let change_all = async |family: &str| {
        for first in (10..all).step_by(100) {
            let ids = first..(first + 100).min(all);
            fixture.apply(ids.map(|id| put(&person(id, family))).collect()).await;
        }
    };
    // The last ones move to the front.
    change_all("A").await;
    let page = fixture.page(asked, all, next.clone()).await;
    let expected: Vec<String> = (5..all).map(|id| format!("Patient/p{id}")).collect();
    assert_eq!(shown(&page), expected);
    fixture.one(put(&person(9, "A"))).await;
    let page = fixture.page(asked, all, next.clone()).await;
    let expected: Vec<String> = (5..9).map(|id| format!("Patient/p{id}")).collect();
    assert_eq!(shown(&page), expected);
    // A search that leads to few keeps the place of each, whatever else is written.
    let asked = "Patient?_id=p1,p9,p11&_sort=family";
    let first = fixture.page(asked, 2, None).await;
    assert_eq!(shown(&first), ["Patient/p9", "Patient/p11"]);
    for family in ["B", "C", "D"] {
        change_all(family).await;
        assert_eq!(shown(&fixture.page(asked, 2, first.next.clone()).await), ["Patient/p1"]);
    }
    fixture.one(put(&person(1, "A"))).await;
    assert_eq!(shown(&fixture.page(asked, 2, first.next).await), ["Patient/p1"]);
}
