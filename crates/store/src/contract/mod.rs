//! What every message index must do, run on each implementation.
//!
//! `message_index_contract!` makes the tests, given a function that opens an empty index and its
//! search, and something to keep alive as long as them.

mod cases;
mod model;
mod sample;

pub(crate) use cases::{
    a_cleared_index_is_empty_and_usable, a_page_is_capped, a_replay_changes_nothing,
    changes_before_received_are_kept_and_not_shown, forgotten_messages_stay_forgotten,
    identifiers_are_found_by_kind_and_value, pages_are_stable_while_others_write,
    positions_out_of_range_are_refused_whole, summaries_say_what_was_applied,
};
pub(crate) use model::{agrees_with_model, history};

pub(crate) use sample::adt;

macro_rules! message_index_contract {
    ($open:path) => {
        crate::contract::message_index_contract!(@cases $open:
            a_cleared_index_is_empty_and_usable
            a_page_is_capped
            a_replay_changes_nothing
            changes_before_received_are_kept_and_not_shown
            forgotten_messages_stay_forgotten
            identifiers_are_found_by_kind_and_value
            pages_are_stable_while_others_write
            positions_out_of_range_are_refused_whole
            summaries_say_what_was_applied
        );

        proptest::proptest! {
            #![proptest_config(proptest::prelude::ProptestConfig {
                cases: 96,
                failure_persistence: None,
                ..Default::default()
            })]
            #[test]
            fn any_history_is_found_as_a_model_finds_it(history in crate::contract::history()) {
                let (mut index, search, _kept) = $open();
                crate::contract::agrees_with_model(&mut index, &search, &history);
            }
        }
    };
    (@cases $open:path: $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let (mut index, search, _kept) = $open();
                crate::contract::$case(&mut index, &search);
            }
        )*
    };
}
pub(crate) use message_index_contract;
