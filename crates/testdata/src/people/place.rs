//! Where people live and how they are reached. Streets and towns are made up; telephone numbers are from ranges that
//! the numbering authorities keep free for fiction.

use crate::random::{below, mix, pick};

/// A country with a range of telephone numbers kept for fiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Country {
    /// 555-0100 to 555-0199 (NANPA).
    UnitedStates,
    /// 020 7946 0000 to 0999 (Ofcom).
    Britain,
    /// 020 91X XXXX (ComReg).
    Ireland,
    /// (0)30 23125 000 to 999 (Bundesnetzagentur).
    Germany,
    /// 01 99 00 XX XX (ARCEP).
    France,
    /// 08-465 004 XX (PTS).
    Sweden,
    /// (03) 5550 XXXX (ACMA).
    Australia,
}

/// A town: name, state or province, first digits of its postal code.
type Town = (&'static str, &'static str, &'static str);

const ALL: [Country; 7] = [
    Country::UnitedStates,
    Country::Britain,
    Country::Ireland,
    Country::Germany,
    Country::France,
    Country::Sweden,
    Country::Australia,
];

impl Country {
    pub(crate) fn any(number: u64) -> Self {
        pick(number, &ALL)
    }

    /// ISO 3166, three letters (table 0399).
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::UnitedStates => "USA",
            Self::Britain => "GBR",
            Self::Ireland => "IRL",
            Self::Germany => "DEU",
            Self::France => "FRA",
            Self::Sweden => "SWE",
            Self::Australia => "AUS",
        }
    }

    /// Towns, then their streets.
    const fn towns(self) -> &'static [Town] {
        match self {
            Self::UnitedStates => &[
                ("Springvale", "OH", "450"),
                ("Cedar Hollow", "OR", "973"),
                ("Marlow Creek", "VT", "056"),
            ],
            Self::Britain => &[
                ("Ashcombe", "", "ZZ1 "),
                ("Little Wendover", "", "ZZ4 "),
                ("Norwick", "", "ZZ9 "),
            ],
            Self::Ireland => &[("Ballymore", "", "A00 "), ("Carrigbeg", "", "T00 ")],
            Self::Germany => &[
                ("Norderstadt", "", "009"),
                ("Altenbruck", "", "000"),
                ("Neukirchberg", "", "002"),
            ],
            Self::France => &[("Saint-Aubin-sur-Lyre", "", "000"), ("Villeneuve", "", "009")],
            Self::Sweden => &[("Nordby", "", "000 "), ("Storvik", "", "009 ")],
            Self::Australia => &[("Gumtree Flat", "VIC", "39"), ("Port Ellery", "SA", "55")],
        }
    }

    const fn streets(self) -> &'static [&'static str] {
        match self {
            Self::UnitedStates => {
                &["Maple Ave", "Old Mill Rd", "2nd St", "Juniper Ct", "River & Main St"]
            }
            Self::Britain => &["Rose Lane", "Station Road", "Church Close", "Mill Road"],
            Self::Ireland => &["Quay Street", "Abbey Road", "Harbour View"],
            Self::Germany => &["Lindenweg", "Am Markt", "Bergweg", "Schillerplatz"],
            Self::France => &["rue des Lilas", "avenue de la Gare", "impasse du Moulin"],
            Self::Sweden => &["Storgatan", "Parkgatan", "Skolgatan"],
            Self::Australia => &["Banksia Drive", "Wattle Street", "Station Street"],
        }
    }

    /// Whether the number of the house stands before the street.
    pub(crate) const fn number_first(self) -> bool {
        !matches!(self, Self::Germany | Self::Sweden)
    }
}

/// Where somebody lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    seed: u64,
    pub(crate) country: Country,
}

impl Address {
    pub(crate) const fn new(seed: u64, country: Country) -> Self {
        Self { seed, country }
    }

    fn town(self) -> Town {
        pick(mix(self.seed, 1), self.country.towns())
    }

    pub(crate) fn city(self) -> &'static str {
        self.town().0
    }

    pub(crate) fn state(self) -> &'static str {
        self.town().1
    }

    pub(crate) fn street(self) -> &'static str {
        pick(mix(self.seed, 2), self.country.streets())
    }

    pub(crate) fn house(self) -> u64 {
        1 + below(mix(self.seed, 3), 240)
    }

    pub(crate) fn write_postal_code(self, out: &mut Vec<u8>) {
        let number = mix(self.seed, 4);
        out.extend_from_slice(self.town().2.as_bytes());
        match self.country {
            Country::Britain => {
                write_number(below(number, 10), 1, out);
                out.push(pick(mix(number, 1), b"ABDEFGHJLN"));
                out.push(pick(mix(number, 2), b"ABDEFGHJLN"));
            }
            Country::Ireland => {
                out.push(pick(mix(number, 1), b"ACDEFHKN"));
                write_number(below(number, 1000), 3, out);
            }
            _ => write_number(below(number, 100), 2, out),
        }
    }

    /// The second line, where there is one.
    pub(crate) fn flat(self) -> Option<u64> {
        (below(mix(self.seed, 5), 4) == 0).then(|| 1 + below(mix(self.seed, 6), 40))
    }
}

/// A telephone number kept for fiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phone {
    seed: u64,
    country: Country,
}

impl Phone {
    pub(crate) const fn new(seed: u64, country: Country) -> Self {
        Self { seed, country }
    }

    /// Country code and area code.
    pub(crate) fn codes(self) -> (&'static str, &'static str) {
        match self.country {
            Country::UnitedStates => ("1", pick(mix(self.seed, 1), &["614", "503", "802"])),
            Country::Britain => ("44", "20"),
            Country::Ireland => ("353", "20"),
            Country::Germany => ("49", "30"),
            Country::France => ("33", "1"),
            Country::Sweden => ("46", "8"),
            Country::Australia => ("61", "3"),
        }
    }

    pub(crate) fn write_local(self, out: &mut Vec<u8>) {
        let (lead, digits) = match self.country {
            Country::UnitedStates => ("55501", 2),
            Country::Britain => ("79460", 3),
            Country::Ireland => ("91", 5),
            Country::Germany => ("23125", 3),
            Country::France => ("9900", 4),
            Country::Sweden => ("465004", 2),
            Country::Australia => ("5550", 4),
        };
        out.extend_from_slice(lead.as_bytes());
        let bound = 10u64.pow(digits);
        write_number(below(mix(self.seed, 2), bound), digits as usize, out);
    }

    /// As TN has it for numbers of North America, `(614)555-0123`, and with the country's code for others.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (country, area) = self.codes();
        if self.country == Country::UnitedStates {
            out.push(b'(');
            out.extend_from_slice(area.as_bytes());
            out.extend_from_slice(b")555-01");
            write_number(below(mix(self.seed, 2), 100), 2, out);
        } else {
            out.extend_from_slice(b"+");
            out.extend_from_slice(country.as_bytes());
            out.push(b' ');
            out.extend_from_slice(area.as_bytes());
            out.push(b' ');
            self.write_local(out);
        }
    }
}

/// How somebody is reached, and for what (tables 0201 and 0202).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// A telephone, with its use.
    Phone(Phone, &'static str),
    /// An address at a domain that is kept for examples (RFC 2606).
    Email(u64),
}

/// Digits with zeros in front.
pub(crate) fn write_number(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), number);
    while rest > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if at == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
