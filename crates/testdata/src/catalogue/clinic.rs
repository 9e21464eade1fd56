//! Diagnoses, procedures, allergies and charges.

use super::Coded;

const fn icd(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "I10")
}

pub(crate) const DIAGNOSES: &[Coded] = &[
    icd("J18.9", "Pneumonia, unspecified organism"),
    icd("I50.9", "Heart failure, unspecified"),
    icd("I21.4", "Non-ST elevation (NSTEMI) myocardial infarction"),
    icd("E11.9", "Type 2 diabetes mellitus without complications"),
    icd("K35.80", "Unspecified acute appendicitis"),
    icd("S72.001A", "Fracture of unspecified part of neck of right femur, initial encounter"),
    icd("N39.0", "Urinary tract infection, site not specified"),
    icd("J44.1", "Chronic obstructive pulmonary disease with (acute) exacerbation"),
    icd("K80.20", "Calculus of gallbladder without cholecystitis without obstruction"),
    icd("R07.9", "Chest pain, unspecified"),
    icd("I10", "Essential (primary) hypertension"),
    icd("A09", "Infectious gastroenteritis and colitis, unspecified"),
    icd("M54.5", "Low back pain"),
    icd("J45.909", "Unspecified asthma, uncomplicated"),
];

/// A procedure, in a list of the hospital's own.
#[derive(Debug)]
pub(crate) struct Procedure {
    pub(crate) code: Coded,
    pub(crate) minutes: i64,
}

pub(crate) const PROCEDURES: &[Procedure] = &[
    Procedure { code: Coded::new("LAPAPP", "Laparoscopic appendectomy", "L"), minutes: 55 },
    Procedure { code: Coded::new("HIPREP", "Hip replacement", "L"), minutes: 110 },
    Procedure { code: Coded::new("CORANG", "Coronary angiography", "L"), minutes: 45 },
    Procedure { code: Coded::new("COLONO", "Colonoscopy", "L"), minutes: 35 },
    Procedure { code: Coded::new("CHOLEC", "Laparoscopic cholecystectomy", "L"), minutes: 70 },
];

/// What, its kind (table 0127), how bad (table 0128), what happens.
pub(crate) const ALLERGIES: &[(Coded, &str, &str, &str)] = &[
    (Coded::new("PENI", "Penicillin", "L"), "DA", "SV", "Anaphylaxis"),
    (Coded::new("PEANUT", "Peanut", "L"), "FA", "SV", "Throat swelling"),
    (Coded::new("LATEX", "Latex", "L"), "MA", "MO", "Hives"),
    (Coded::new("IODINE", "Iodinated contrast media", "L"), "DA", "MI", "Rash & itching"),
    (Coded::new("SULFA", "Sulfonamides", "L"), "DA", "MO", "Rash"),
    (Coded::new("BIRCH", "Birch pollen", "L"), "MA", "MI", "Runny nose"),
];

/// What is charged, and how much.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) code: Coded,
    pub(crate) cents: i64,
    pub(crate) most: i64,
}

pub(crate) const CHARGES: &[Charge] = &[
    Charge { code: Coded::new("ROOM2", "Semi-private room, one day", "L"), cents: 48_000, most: 1 },
    Charge { code: Coded::new("CBC", "Complete blood count", "L"), cents: 2150, most: 2 },
    Charge { code: Coded::new("BMP", "Basic metabolic panel", "L"), cents: 3480, most: 2 },
    Charge {
        code: Coded::new("XRCH", "Radiograph of the chest, 2 views", "L"),
        cents: 9900,
        most: 1,
    },
    Charge { code: Coded::new("DRESS", "Change of dressing", "L"), cents: 1275, most: 4 },
    Charge { code: Coded::new("PHYS30", "Physiotherapy, 30 minutes", "L"), cents: 5600, most: 2 },
    Charge {
        code: Coded::new("EDVIS3", "Emergency department visit, level 3", "L"),
        cents: 31_000,
        most: 1,
    },
];

/// Services a hospital has (table 0069), with the wards of each.
pub(crate) const SERVICES: &[(&str, &[&str])] = &[
    ("MED", &["3WEST", "3EAST"]),
    ("SUR", &["4WEST", "4EAST"]),
    ("CAR", &["CCU"]),
    ("PUL", &["5WEST"]),
    ("URO", &["4NORTH"]),
];
