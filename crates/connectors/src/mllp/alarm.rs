//! One timer for all deadlines of a connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Fires at the earliest of a connection's deadlines, which change with every message.
///
/// Deadlines mostly move away before they are reached. So the timer is left armed too early rather than set anew each
/// time, and asks again when it fires.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready when the deadline has passed; the caller is woken then.
    pub(super) fn poll(
        &mut self,
        deadline: Option<Instant>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fires_at_the_deadline_wherever_that_has_moved() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        let pending = async |alarm: &mut Alarm, seconds: u64| {
            let deadline = Some(start + Duration::from_secs(seconds));
            poll_fn(|context| Poll::Ready(alarm.poll(deadline, context).is_pending())).await
        };
        assert!(pending(&mut alarm, 5).await);
        assert!(pending(&mut alarm, 50).await);
        assert!(pending(&mut alarm, 10).await);
        let deadline = Some(start + Duration::from_secs(20));
        poll_fn(|context| alarm.poll(deadline, context)).await;
        assert_eq!(start.elapsed().as_secs(), 20);
        assert!(!pending(&mut alarm, 20).await);
        assert!(pending(&mut alarm, 21).await, "a deadline after one that has passed");
    }
}
