//! The real binary, end to end: started, fed, starved, killed and started again.

mod crash;
mod destination_dies;
mod disk_full;
mod flood;
mod harness;
mod parked;
mod profiles;
mod reload;
mod replies;
mod sealed;
