//! How often credentials may be wrong: so many failures of one address a minute, then they are put off.
//!
//! Only failures are: right credentials always open, so that nobody locks others out by failing in their name. That
//! gives a guesser nothing, for secrets have 256 random bits.

use std::collections::HashMap;
use std::net::IpAddr;

/// Failures within a window that are answered as what they are.
pub(super) const FAILURES_MAX: u32 = 20;

/// The window, in seconds.
pub(super) const WINDOW_SECONDS: i64 = 60;

/// How many addresses are remembered.
const ADDRESSES_MAX: usize = 10_000;

/// Counts failures. Pure: the time comes in.
#[derive(Debug, Default)]
pub(super) struct Failures {
    windows: HashMap<IpAddr, (i64, u32)>,
}

impl Failures {
    /// Counts a failure; where there were too many, after how many seconds to try again.
    pub(super) fn count(&mut self, address: IpAddr, now: i64) -> Option<u32> {
        // A network of its own is one caller: its 2^64 addresses are not.
        let address = match address {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                address.to_ipv4_mapped().map_or(IpAddr::V6(network.into()), IpAddr::V4)
            }
            v4 => v4,
        };
        let is_over = |start: i64| now < start || now.saturating_sub(start) >= WINDOW_SECONDS;
        if self.windows.len() >= ADDRESSES_MAX && !self.windows.contains_key(&address) {
            self.windows.retain(|_, (start, _)| !is_over(*start));
            if self.windows.len() >= ADDRESSES_MAX {
                // So many at once are no accident: those that are not known are put off as well.
                return Some(retry_after(WINDOW_SECONDS));
            }
        }
        let (start, count) = self.windows.entry(address).or_insert((now, 0));
        if is_over(*start) {
            (*start, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        let left = start.saturating_add(WINDOW_SECONDS).saturating_sub(now);
        (*count > FAILURES_MAX).then(|| retry_after(left))
    }
}

fn retry_after(seconds: i64) -> u32 {
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_behind_the_limit_is_put_off() {
        let mut failures = Failures::default();
        let one: IpAddr = [192, 0, 2, 1].into();
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.count(one, 100), None);
        }
        assert_eq!(failures.count(one, 100), Some(60));
        assert_eq!(failures.count(one, 130), Some(30));
        assert_eq!(failures.count([192, 0, 2, 2].into(), 130), None, "another has its own count");
        assert_eq!(failures.count(one, 160), None, "a new window");
    }

    #[test]
    fn a_network_counts_as_one() {
        let mut failures = Failures::default();
        for host in 0..FAILURES_MAX {
            let address: IpAddr = [0x2001, 0xdb8, 0, 0, 0, 0, 0, host as u16].into();
            assert_eq!(failures.count(address, 0), None);
        }
        let next: IpAddr = [0x2001, 0xdb8, 0, 0, 9, 9, 9, 9].into();
        assert!(failures.count(next, 0).is_some());
        let other: IpAddr = [0x2001, 0xdb8, 0, 1, 9, 9, 9, 9].into();
        assert!(failures.count(other, 0).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut failures = Failures::default();
        for number in 0..ADDRESSES_MAX as u32 {
            assert_eq!(failures.count(IpAddr::V4(number.into()), 0), None);
        }
        assert!(failures.count([255, 0, 0, 1].into(), 0).is_some());
        assert_eq!(failures.windows.len(), ADDRESSES_MAX);
        assert_eq!(failures.count([255, 0, 0, 1].into(), WINDOW_SECONDS), None);
        assert_eq!(failures.windows.len(), 1);
    }
}
