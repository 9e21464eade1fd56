//! What a partner may have got, by lane.

use std::collections::{BTreeMap, HashMap};

use super::sample::{Sample, field};
use super::sink::Sink;

/// Checks what a sink got, by lane: in each run a part of the lane without a gap, which begins
/// no later than where the run before ended. Gives how many came more than once.
pub(crate) fn check_lanes(
    name: &str,
    sink: &Sink,
    expected: &BTreeMap<String, Vec<Sample>>,
    lane_of: impl Fn(&[u8]) -> String,
    outgoing: impl Fn(&Sample) -> Vec<u8>,
) -> usize {
    let mut places: HashMap<String, (String, usize)> = HashMap::new();
    for (lane, samples) in expected {
        for (place, sample) in samples.iter().enumerate() {
            places.insert(sample.control_id(), (lane.clone(), place));
        }
    }
    let mut came: BTreeMap<String, (u64, usize, usize)> = BTreeMap::new();
    let received = sink.received();
    for delivery in &received {
        let control_id = field(&delivery.bytes, "MSH-10");
        let lane = lane_of(&delivery.bytes);
        let Some((expected_lane, place)) = places.get(&control_id) else {
            panic!("{name} got {control_id}, which was never sent to it");
        };
        assert_eq!(&lane, expected_lane);
        let sample = &expected[&lane][*place];
        assert!(delivery.bytes == outgoing(sample), "the bytes of {control_id} at {name}");
        // The run, the next place in it, and the end of all that came before.
        let (run, next, end) = came.entry(lane).or_insert((delivery.run, 0, 0));
        if *run == delivery.run {
            assert!(
                *place == *next,
                "{name} got {control_id} as number {place} of its lane in run {run}, where {next} was due"
            );
        } else {
            assert!(
                *place <= *end,
                "{name} got {control_id} as number {place} of its lane first in run {}, and had got {end}",
                delivery.run
            );
            *run = delivery.run;
        }
        *next = *place + 1;
        *end = (*end).max(*next);
    }
    for (lane, samples) in expected {
        let end = came.get(lane).map_or(0, |(_, _, end)| *end);
        assert_eq!(end, samples.len(), "{name} got all of lane {lane}");
    }
    received.len() - places.len()
}
