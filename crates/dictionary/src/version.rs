//! The versions of the standard.

use std::fmt;

use pipehat_message::SegmentName;

use crate::data_type::DataType;
use crate::event::Event;
use crate::file::{self, Rows};
use crate::layout::Section;
use crate::segment::SegmentDefinition;
use crate::structure::Structure;
use crate::table::{Table, TableNumber};

/// A version of HL7 v2, as MSH-12 names it (table 0104).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u8);

/// The version's parts in its row.
const SEGMENTS: usize = 4;
const DATA_TYPES: usize = 12;
const TABLES: usize = 20;
const STRUCTURES: usize = 28;
const EVENTS: usize = 36;

impl Version {
    /// 2.1
    pub const V2_1: Self = Self(0);
    /// 2.2
    pub const V2_2: Self = Self(1);
    /// 2.3
    pub const V2_3: Self = Self(2);
    /// 2.3.1
    pub const V2_3_1: Self = Self(3);
    /// 2.4
    pub const V2_4: Self = Self(4);
    /// 2.5
    pub const V2_5: Self = Self(5);
    /// 2.5.1
    pub const V2_5_1: Self = Self(6);
    /// 2.6
    pub const V2_6: Self = Self(7);
    /// 2.7
    pub const V2_7: Self = Self(8);
    /// 2.7.1
    pub const V2_7_1: Self = Self(9);
    /// 2.8
    pub const V2_8: Self = Self(10);
    /// 2.8.1
    pub const V2_8_1: Self = Self(11);
    /// 2.8.2
    pub const V2_8_2: Self = Self(12);
    /// 2.9.1, which stands for 2.9 as well.
    pub const V2_9_1: Self = Self(13);

    /// All versions, oldest first.
    pub const ALL: [Self; 14] = [
        Self::V2_1,
        Self::V2_2,
        Self::V2_3,
        Self::V2_3_1,
        Self::V2_4,
        Self::V2_5,
        Self::V2_5_1,
        Self::V2_6,
        Self::V2_7,
        Self::V2_7_1,
        Self::V2_8,
        Self::V2_8_1,
        Self::V2_8_2,
        Self::V2_9_1,
    ];

    /// The version with exactly this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str().as_bytes() == name)
    }

    /// Its name, as in `2.5.1`.
    pub const fn as_str(self) -> &'static str {
        const NAMES: [&str; 14] = [
            "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8",
            "2.8.1", "2.8.2", "2.9.1",
        ];
        NAMES[self.0 as usize]
    }

    /// Its place among all versions, from 0 for the oldest.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn run(self, at: usize) -> Rows {
        file::row(Section::Versions, u32::from(self.0)).run(at)
    }

    /// The segment with this name, if this version has it.
    #[inline]
    pub fn segment(self, name: SegmentName) -> Option<SegmentDefinition> {
        let wanted = name.as_bytes();
        self.run(SEGMENTS)
            .find(|at| file::row(Section::Segments, at).name(0).cmp(wanted))
            .map(|at| SegmentDefinition::new(self, at))
    }

    /// All segments, by name.
    pub fn segments(self) -> impl ExactSizeIterator<Item = SegmentDefinition> {
        self.run(SEGMENTS).iter().map(move |at| SegmentDefinition::new(self, at))
    }

    /// The data type with this name, if this version has it.
    pub fn data_type(self, name: &str) -> Option<DataType> {
        let number = file::rows(Section::DataTypeNames)
            .find(|at| file::row(Section::DataTypeNames, at).text(0).cmp(name))?;
        self.data_type_numbered(u16::try_from(number).ok()?)
    }

    #[inline]
    pub(crate) fn data_type_numbered(self, number: u16) -> Option<DataType> {
        self.run(DATA_TYPES)
            .find(|at| file::row(Section::DataTypes, at).u16(0).cmp(&number))
            .map(|at| DataType::new(self, at))
    }

    /// All data types, by name.
    pub fn data_types(self) -> impl ExactSizeIterator<Item = DataType> {
        self.run(DATA_TYPES).iter().map(move |at| DataType::new(self, at))
    }

    /// The table with this number, if this version has it.
    #[inline]
    pub fn table(self, number: TableNumber) -> Option<Table> {
        self.run(TABLES)
            .find(|at| file::row(Section::Tables, at).u16(0).cmp(&number.get()))
            .map(|at| Table::new(self, at))
    }

    /// All tables, by number.
    pub fn tables(self) -> impl ExactSizeIterator<Item = Table> {
        self.run(TABLES).iter().map(move |at| Table::new(self, at))
    }

    /// The message structure with this name, as MSH-9.3 has it, if this version has it.
    ///
    /// 2.9.1 has several variants of some, as in `ADT_A01-A`: the name without a letter finds the first.
    pub fn structure(self, name: &str) -> Option<Structure> {
        let all = self.run(STRUCTURES);
        let text = |at| file::row(Section::Structures, at).text(0);
        let bytes = |at| file::text_bytes(file::row(Section::Structures, at).u32(0));
        let exact = all.find(|at| bytes(at).cmp(name.as_bytes()));
        exact
            .or_else(|| {
                all.iter().find(|&at| {
                    text(at)
                        .strip_prefix(name)
                        .is_some_and(|rest| matches!(rest.as_bytes(), [b'-', _]))
                })
            })
            .map(|at| Structure::new(self, at))
    }

    /// All message structures, by name.
    pub fn structures(self) -> impl ExactSizeIterator<Item = Structure> {
        self.run(STRUCTURES).iter().map(move |at| Structure::new(self, at))
    }

    /// What this version says about a message code and trigger event, as in `ADT` and `A08`.
    pub fn event(self, message_code: &str, trigger_event: &str) -> Option<Event> {
        self.run(EVENTS)
            .find(|at| {
                let wanted = (message_code.as_bytes(), trigger_event.as_bytes());
                Event::new(self, at).name_bytes().cmp(&wanted)
            })
            .map(|at| Event::new(self, at))
    }

    /// All events, by message code and trigger event.
    pub fn events(self) -> impl ExactSizeIterator<Item = Event> {
        self.run(EVENTS).iter().map(move |at| Event::new(self, at))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
