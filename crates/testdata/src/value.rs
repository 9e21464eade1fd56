//! What is to be said in a field, before it takes the form that a version gives it.

use crate::catalogue::Coded;
use crate::identifier::{Entity, Identifier};
use crate::moment::Moment;
use crate::people::{Address, Contact, Name, Practitioner};

/// A place in the hospital: PL and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bed {
    pub(crate) ward: &'static str,
    pub(crate) room: u16,
    pub(crate) bed: u8,
}

/// What a field, a component or a subcomponent is to say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Nothing,
    /// Words; delimiters in it are escaped.
    Text(&'a str),
    /// Lines of a text.
    Lines(&'a [&'a str]),
    /// Bytes that are written as they are.
    Raw(&'a str),
    /// A code of the field's table; left out when the version's table does not have it.
    Code(&'static str),
    /// The first of these that the field's table has.
    Codes(&'static [&'static str]),
    /// A code of a coding system.
    Coded(Coded),
    Number(u64),
    /// A signed number in units of its last decimal.
    Decimal(i64, u8),
    /// A number after a letter, as in `V500123`.
    Serial(&'a str, u64),
    Moment(Moment),
    /// With the hospital's difference from UTC, where there is room.
    Zoned(Moment),
    Day(Moment),
    Period(Moment, Moment),
    Identifier(Identifier),
    Entity(Entity),
    /// A placer's and a filler's number.
    Entities(Entity, Entity),
    Name(Name),
    /// The family part of a name.
    Family(Name),
    Practitioner(&'a Practitioner),
    Bed(Bed),
    Address(Address),
    /// The street's part of an address.
    Street(Address),
    PostalCode(Address),
    Contact(Contact),
    /// The local part of a telephone number.
    Local(crate::people::Phone),
    Email(u64),
    /// Who sends, assigns or owns.
    Designator(&'a str),
    Organization(&'static str),
    Quantity(i64, u8, Coded),
    Cents(i64),
    /// A range as text, with so many decimals.
    Range(i64, i64, u8),
    /// `<` and a number.
    Less(i64, u8),
    /// How often, from when, how urgently.
    Timing(&'static str, Moment, &'static str),
    MessageType(&'static str, &'static str, &'static str),
    /// An embedded document.
    Document(&'static str),
    /// Where an error is: segment, sequence, field.
    Location(&'static str, u64, u64),
}

/// A facility, as it names itself in messages.
pub(crate) const FACILITY: &str = "GENHOSP";
