//! Runs bots for changes of the datastore: a Subscription whose endpoint is `Bot/ID`.
//!
//! Order, retries, dead letters and restarts are those of Subscriptions; each try is a run of its own in the book.

use std::sync::Arc;

use pipehat_store::datastore::ResourceKey;

use super::failure::Failed;
use super::own_changes::CHAIN_MAX;
use super::service::{Bots, Task};
use crate::fhir::{Delivered, DeliveryFailure, Notice, Subscriber};

/// Takes what Subscriptions tell bots.
pub(crate) struct BotSubscriber(pub(crate) Arc<Bots>);

fn id_of(endpoint: &str) -> Option<&str> {
    endpoint.strip_prefix("Bot/").filter(|id| !id.is_empty() && !id.contains('/'))
}

impl Subscriber for BotSubscriber {
    fn takes(&self, endpoint: &str) -> bool {
        id_of(endpoint).is_some()
    }

    fn deliver<'a>(&'a self, endpoint: &'a str, notice: &'a Notice) -> Delivered<'a> {
        Box::pin(self.run(endpoint, notice, None))
    }

    fn undecided<'a>(
        &'a self,
        endpoint: &'a str,
        notice: &'a Notice,
        why: &'a str,
    ) -> Delivered<'a> {
        Box::pin(self.run(endpoint, notice, Some(why)))
    }
}

impl BotSubscriber {
    /// Runs the bot; where its `when` fails, records a run that came to no more than that.
    async fn run(
        &self,
        endpoint: &str,
        notice: &Notice,
        undecided: Option<&str>,
    ) -> Result<(), DeliveryFailure> {
        let id = id_of(endpoint).unwrap_or_default();
        let bot = self.0.find(id).await;
        let bot = bot.map_err(|error| DeliveryFailure::new(format!("Bot/{id}: {error}")))?;
        let key = &notice.key;
        let name = format!("{}/{}", key.resource_type, key.id);
        let version = format!("{name}/_history/{}", notice.version);
        self.0.own_changes.settle(&version).await;
        if self.0.own_changes.is_own(id, &version) {
            return Ok(());
        }
        let mut headers = vec![
            ("subscription".to_owned(), format!("Subscription/{}", notice.subscription)),
            ("x-pipehat-interaction".to_owned(), notice.trigger.code().to_owned()),
            ("x-pipehat-resource".to_owned(), format!("{name}/_history/{}", notice.version)),
        ];
        if notice.trigger.code() == "delete" {
            headers.push(("x-medplum-deleted-resource".to_owned(), name.clone()));
        }
        let body = notice.body.as_deref().unwrap_or("{}").as_bytes().to_vec();
        let task = Task {
            bot,
            trigger: "subscription",
            source: format!(
                "Subscription/{} {name}/_history/{}",
                notice.subscription, notice.version
            ),
            content_type: "application/fhir+json".to_owned(),
            body,
            headers,
        };
        let told = |failed: Failed| {
            let why = format!("Bot/{id}: {} ({})", failed.why, failed.code);
            DeliveryFailure { attempts_max: failed.attempts_max(), ..DeliveryFailure::new(why) }
        };
        if let Some(why) = undecided {
            return Err(told(self.0.undecided(task, why)));
        }
        let chain = self.0.own_changes.chain(&version);
        if chain > CHAIN_MAX {
            let failed = Failed::lasting("bot.loop", endless(key), None);
            self.0.give_up(task, &failed).await;
            return Ok(());
        }
        let done = self.0.run_behind(task, chain).await;
        done.map(drop).map_err(told)
    }
}

/// Why a chain of changes ends here. The resource is told with the run: its id may be a patient's number.
fn endless(key: &ResourceKey) -> String {
    format!(
        "bots answered each other's changes {CHAIN_MAX} times in a row, the last is of the type {}: let criteria or `when` \
         of their subscriptions end that",
        key.resource_type
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_chain_names_no_resource() {
        let key = ResourceKey { resource_type: "Patient".to_owned(), id: "mrn-10001".to_owned() };
        let why = endless(&key);
        assert!(why.contains("the last is of the type Patient:"), "{why}");
        assert!(!why.contains("10001"), "{why}");
    }
}
