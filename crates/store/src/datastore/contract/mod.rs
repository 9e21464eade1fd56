//! What every datastore promises, as tests that run on each.

mod fixture;
mod found_by;
mod interactions;

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
        parallel_updates_with_if_match_lose_nothing;
}
