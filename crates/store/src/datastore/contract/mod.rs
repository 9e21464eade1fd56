//! What every datastore promises, as tests that run on each.

mod at_rest;
mod crash;
mod decimals;
mod fixture;
mod interactions;
mod paging;
mod plans;
mod searches;
mod servers;
mod upkeep;
mod whose;

pub(in crate::datastore) use fixture::Fixture;

/// Runs each case on each store.
macro_rules! contract {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    let directory = tempfile::tempdir().unwrap();
                    let store = super::fixture::sqlite(directory.path());
                    super::$module::$case(&super::Fixture::new(store)).await;
                }
            )*)*
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    let Some(url) = super::fixture::postgres_url() else { return };
                    let store = super::fixture::postgres(&url, stringify!($case)).await;
                    super::$module::$case(&super::Fixture::new(store)).await;
                }
            )*)*
        }
    };
}

contract! {
    interactions:
        a_create_can_be_read,
        an_update_makes_a_version_unless_it_changes_nothing,
        preconditions_are_kept,
        a_deletion_is_a_version_and_an_update_brings_it_back,
        a_group_is_applied_whole_or_not_at_all,
        conditional_creates_make_one,
        a_transaction_names_its_own_entries,
        twenty_parallel_conditional_creates_make_one,
        parallel_updates_with_if_match_lose_nothing,
        crossing_transactions_all_succeed,
        one_of_many_creates_gets_an_id,
        who_follows_changes_misses_none;
    searches:
        values_are_compared_as_their_kind_says,
        chains_lead_through_references,
        orders_are_kept_over_pages,
        a_page_belongs_to_its_search,
        what_is_referred_to_comes_along,
        canonical_addresses_are_followed,
        labels_in_use_are_told,
        only_what_is_visible_is_shown,
        all_types_are_searched_together,
        wide_searches_find_the_same,
        as_many_values_as_may_be_are_asked_for;
    decimals:
        decimals_are_compared_by_all_of_their_digits,
        long_decimals_are_found_by_their_digits;
    paging:
        what_moves_comes_once,
        pages_hold_whatever_is_written_between,
        pages_hold_while_many_write,
        pages_keep_to_what_may_be_seen,
        so_many_changed_ones_keep_their_place;
    upkeep:
        a_patch_changes_what_stands_there,
        conditions_find_what_is_changed,
        elements_stay_as_they_stand,
        an_update_is_found_by_what_it_has,
        other_rules_find_when_indexed_anew,
        a_store_can_be_taken_elsewhere;
    whose:
        a_number_takes_nothing_away_from_whom_it_is,
        what_was_merged_is_the_same,
        who_shares_a_transaction_is_not_refused_with_another;
}
