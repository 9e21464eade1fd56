//! People who do not exist: patients, their relatives, and those who treat them.

mod culture;
mod patient;
mod place;
mod staff;

pub(crate) use culture::{CULTURES, Culture};
pub(crate) use patient::{Name, Patient};
pub(crate) use place::{Address, Contact, Phone, write_number};
pub(crate) use staff::{Practitioner, staff};
