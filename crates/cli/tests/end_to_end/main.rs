//! The real binary, end to end: started, fed, starved, killed and started again.

mod bots;
mod clients;
mod crash;
mod datastore;
mod datastore_crash;
mod deletions;
mod destination_dies;
mod disk_full;
mod enhanced;
mod fhir;
mod flood;
mod harness;
mod large;
mod lookups;
mod parked;
mod profiles;
mod queries;
mod reload;
mod repaired;
mod replies;
mod sealed;
mod sequences;
mod status;
mod stopped;
mod subscriptions;
mod upkeep;
