//! Names of several cultures. Which of them a stream has depends on what its character set can write.

use super::place::Country;

/// How the family name of a child of a culture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surnames {
    /// One.
    One,
    /// One of the father's and one of the mother's.
    Two,
    /// Some join two with a hyphen.
    Joined,
}

/// Names that go together.
#[derive(Debug)]
pub(crate) struct Culture {
    pub(crate) families: &'static [&'static str],
    pub(crate) women: &'static [&'static str],
    pub(crate) men: &'static [&'static str],
    pub(crate) surnames: Surnames,
    /// ISO 639-1 and its English name.
    pub(crate) language: (&'static str, &'static str),
    /// Where most of its people live.
    pub(crate) home: Country,
}

pub(crate) const CULTURES: &[Culture] = &[
    Culture {
        families: &[
            "Smith",
            "Johnson",
            "O'Brien",
            "Walker",
            "McIntyre",
            "Clarke",
            "Robinson",
            "Hughes",
            "Turner",
            "Bennett",
            "Foster",
            "Whitfield",
        ],
        women: &["Grace", "Emily", "Charlotte", "Ruth", "Hannah", "Margaret", "Olivia", "Joan"],
        men: &["Liam", "James", "Oliver", "Thomas", "George", "Samuel", "Henry", "Peter"],
        surnames: Surnames::Joined,
        language: ("en", "English"),
        home: Country::Britain,
    },
    Culture {
        families: &[
            "Miller",
            "Davis",
            "Washington",
            "Anderson",
            "Jackson",
            "Kowalski",
            "Reed",
            "Coleman",
            "Brooks",
            "Hayes",
        ],
        women: &["Mary", "Ashley", "Denise", "Linda", "Jasmine", "Carol", "Brooke", "Tamika"],
        men: &["Michael", "Marcus", "Robert", "Tyler", "Andre", "William", "Darnell", "Scott"],
        surnames: Surnames::One,
        language: ("en", "English"),
        home: Country::UnitedStates,
    },
    Culture {
        families: &[
            "Garcia", "Ramirez", "Delgado", "Vargas", "Castillo", "Morales", "Herrera", "Campos",
        ],
        women: &["Ana", "Carmen", "Rosa", "Isabel", "Elena", "Pilar"],
        men: &["Carlos", "Miguel", "Diego", "Rafael", "Javier", "Luis"],
        surnames: Surnames::Two,
        language: ("es", "Spanish"),
        home: Country::UnitedStates,
    },
    Culture {
        families: &[
            "Müller", "Groß", "Schäfer", "Köhler", "Weiß", "Jäger", "Böhm", "Hofmann", "Krämer",
        ],
        women: &["Änne", "Käthe", "Jule", "Friederike", "Gülsüm", "Renate"],
        men: &["Jörg", "Götz", "Emil", "Jürgen", "Matthias", "Björn"],
        surnames: Surnames::Joined,
        language: ("de", "German"),
        home: Country::Germany,
    },
    Culture {
        families: &[
            "Muñoz",
            "Peña",
            "Núñez",
            "Ibáñez",
            "Gutiérrez",
            "Fernández",
            "Rodríguez",
            "Martín",
        ],
        women: &["Inés", "Lucía", "María José", "Begoña", "Concepción"],
        men: &["José", "Adrián", "Íñigo", "Jesús", "Ramón"],
        surnames: Surnames::Two,
        language: ("es", "Spanish"),
        home: Country::France,
    },
    Culture {
        families: &[
            "Lefèvre",
            "Benoît",
            "Gauthier",
            "Lévêque",
            "Besançon",
            "Chrétien",
            "de La Fontaine",
        ],
        women: &["Zoë", "Chloé", "Hélène", "Anaïs", "Geneviève"],
        men: &["François", "Noël", "Rémi", "Jérôme", "Gaël"],
        surnames: Surnames::Joined,
        language: ("fr", "French"),
        home: Country::France,
    },
    Culture {
        families: &[
            "Sørensen",
            "Ólafsdóttir",
            "Åkesson",
            "Sjöberg",
            "Bjørnstad",
            "Lindström",
            "Kjær",
        ],
        women: &["Sigríður", "Åse", "Märta", "Bodil", "Linnéa"],
        men: &["Søren", "Bjørn", "Göran", "Håkan", "Þór"],
        surnames: Surnames::One,
        language: ("sv", "Swedish"),
        home: Country::Sweden,
    },
    Culture {
        families: &["Ó Súilleabháin", "Ní Dhomhnaill", "Byrne", "Gallagher", "Mac Giolla Phádraig"],
        women: &["Siobhán", "Áine", "Caoimhe", "Gráinne"],
        men: &["Oisín", "Seán", "Pádraig", "Cillian"],
        surnames: Surnames::One,
        language: ("ga", "Irish"),
        home: Country::Ireland,
    },
    Culture {
        families: &["Nowak", "Wójcik", "Łukaszewska", "Wiśniewska", "Szczęsny", "Dąbrowska"],
        women: &["Małgorzata", "Zofia", "Agnieszka", "Grażyna"],
        men: &["Paweł", "Łukasz", "Wojciech", "Michał"],
        surnames: Surnames::One,
        language: ("pl", "Polish"),
        home: Country::Germany,
    },
    Culture {
        families: &["Özdemir", "Yılmaz", "Şahin", "Çelik", "Doğan", "Güneş"],
        women: &["Gülşen", "Ayşe", "Zeynep", "Çiğdem"],
        men: &["Çağlar", "Okan", "İbrahim", "Oğuz"],
        surnames: Surnames::One,
        language: ("tr", "Turkish"),
        home: Country::Germany,
    },
    Culture {
        families: &["Nguyễn", "Trần", "Phạm", "Đặng", "Võ"],
        women: &["Hương", "Thảo", "Thị Mai", "Ngọc"],
        men: &["Đức", "Minh", "Văn Hùng", "Tuấn"],
        surnames: Surnames::One,
        language: ("vi", "Vietnamese"),
        home: Country::Australia,
    },
    Culture {
        families: &["Иванова", "Соколова", "Кузнецова", "Волкова"],
        women: &["Ольга", "Дарья", "Светлана"],
        men: &["Борис", "Глеб", "Аркадий"],
        surnames: Surnames::One,
        language: ("ru", "Russian"),
        home: Country::UnitedStates,
    },
    Culture {
        families: &["Παπαδοπούλου", "Νικολάου", "Γεωργίου"],
        women: &["Ελένη", "Σοφία", "Δήμητρα"],
        men: &["Γιώργος", "Νίκος", "Κώστας"],
        surnames: Surnames::One,
        language: ("el", "Greek"),
        home: Country::Australia,
    },
    Culture {
        families: &["山田", "佐藤", "鈴木", "高橋", "渡辺"],
        women: &["花子", "美咲", "陽子"],
        men: &["太郎", "健", "大輔"],
        surnames: Surnames::One,
        language: ("ja", "Japanese"),
        home: Country::UnitedStates,
    },
    Culture {
        families: &["الحسن", "منصور", "حداد"],
        women: &["ليلى", "مريم", "فاطمة"],
        men: &["يوسف", "كريم", "سامي"],
        surnames: Surnames::One,
        language: ("ar", "Arabic"),
        home: Country::Sweden,
    },
];

impl Culture {
    /// Every name of it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.families.iter().chain(self.women).chain(self.men).copied()
    }
}
