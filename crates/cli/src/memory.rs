//! What memory the process holds, and when it gives some back.
//!
//! The allocator returns pages to the system a second after they were freed, but only when a thread
//! happens to take or free pages of its own. A node that rests after a message of 50 MB would hold
//! them until the next such message.

use std::hint::black_box;
use std::time::Duration;

/// How often the allocator is reminded.
const EVERY: Duration = Duration::from_secs(2);

/// A block of this size has pages of its own, which go back at once when it is freed.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Small pages only: the system would hand out 2 MB where a few bytes are touched, and a node at
/// rest would hold three times of what it uses.
#[cfg(target_os = "linux")]
pub(crate) fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory may come in huge pages");
    }
}

/// Elsewhere there are no others.
#[cfg(not(target_os = "linux"))]
pub(crate) fn use_small_pages() {}

/// Gives back what was freed, now and then, for ever.
pub(crate) async fn give_back() {
    loop {
        tokio::time::sleep(EVERY).await;
        drop(black_box(Vec::<u8>::with_capacity(BLOCK_BYTES)));
    }
}
