//! Findings in words: images, cultures, notes.

use super::Coded;

/// An examination with an imaging device and what reports of it say.
#[derive(Debug)]
pub(crate) struct Imaging {
    pub(crate) code: Coded,
    pub(crate) device: &'static str,
    pub(crate) findings: &'static [&'static [&'static str]],
    pub(crate) minutes: i64,
}

const fn loinc(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "LN")
}

#[rustfmt::skip]
pub(crate) const IMAGING: &[Imaging] = &[
    Imaging {
        code: loinc("36643-5", "XR Chest 2 Views"), device: "RAD", minutes: 90,
        findings: &[
            &["FINDINGS:", "Heart size within normal limits. Lungs are clear.", "No pleural effusion or pneumothorax.", "IMPRESSION:", "No acute cardiopulmonary process."],
            &["FINDINGS:", "Patchy opacity in the right lower lobe with air bronchograms.", "Small right pleural effusion.", "IMPRESSION:", "1. Right lower lobe pneumonia.", "2. Follow-up in 6 weeks to document resolution."],
            &["FINDINGS:", "Cardiomegaly. Vascular congestion & Kerley B lines.", "IMPRESSION:", "Findings consistent with congestive heart failure."],
        ],
    },
    Imaging {
        code: loinc("24727-0", "CT Head WO contrast"), device: "RAD", minutes: 120,
        findings: &[
            &["TECHNIQUE:", "Axial images without contrast, slice 5 mm.", "FINDINGS:", "No hemorrhage, mass or midline shift.", "IMPRESSION:", "Unremarkable study."],
            &["FINDINGS:", "Hypodensity in the territory of the left middle cerebral artery.", "IMPRESSION:", "Subacute infarction. Called to the ward | read back."],
        ],
    },
    Imaging {
        code: loinc("24558-9", "US Abdomen"), device: "RAD", minutes: 150,
        findings: &[
            &["FINDINGS:", "Liver of normal size & echogenicity. Gallbladder without stones.", "IMPRESSION:", "Normal examination."],
            &["FINDINGS:", "Several shadowing stones in the gallbladder, wall 3 mm.", "IMPRESSION:", "Cholelithiasis without signs of inflammation."],
        ],
    },
];

/// What grows in a culture: the organism, how much, and whether drugs work on it (S, I, R).
#[derive(Debug)]
pub(crate) struct CultureFinding {
    pub(crate) organism: Coded,
    pub(crate) count: &'static str,
    pub(crate) drugs: &'static [(Coded, &'static str)],
}

#[rustfmt::skip]
pub(crate) const CULTURES: &[CultureFinding] = &[
    CultureFinding {
        organism: Coded::new("112283007", "Escherichia coli", "SCT"), count: ">100,000 CFU/mL",
        drugs: &[(loinc("18864-9", "Ampicillin [Susceptibility]"), "R"), (loinc("18906-8", "Ciprofloxacin [Susceptibility]"), "S"), (loinc("18998-5", "Trimethoprim+Sulfamethoxazole [Susceptibility]"), "I"), (loinc("18895-3", "Ceftriaxone [Susceptibility]"), "S")],
    },
    CultureFinding {
        organism: Coded::new("3092008", "Staphylococcus aureus", "SCT"), count: "moderate growth",
        drugs: &[(loinc("18961-3", "Oxacillin [Susceptibility]"), "S"), (loinc("19000-9", "Vancomycin [Susceptibility]"), "S"), (loinc("18908-4", "Clindamycin [Susceptibility]"), "R")],
    },
    CultureFinding { organism: Coded::new("264868006", "No growth", "SCT"), count: "no growth after 48 hours", drugs: &[] },
];

/// Remarks that people write.
pub(crate) const NOTES: &[&str] = &[
    "Sample slightly hemolysed; potassium may be falsely high.",
    "Result called to the ward and read back.",
    "Patient fasting since midnight.",
    "Please repeat within 48 hours.",
    "Specimen received late & processed at once.",
    "Reference range applies to adults; see 10^9/L for SI units.",
];

/// A one-page PDF document that says `Synthetic report`.
pub(crate) const PDF_BASE64: &str = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cvUGFnZXMgMiAwIFI+PgplbmRvYmoKMiAwIG9iago8PC9UeXBlL1BhZ2VzL0tpZHNbMyAwIFJdL0NvdW50IDE+PgplbmRvYmoKMyAwIG9iago8PC9UeXBlL1BhZ2UvUGFyZW50IDIgMCBSL01lZGlhQm94WzAgMCAzMDAgMTQ0XS9Db250ZW50cyA0IDAgUi9SZXNvdXJjZXM8PC9Gb250PDwvRjE8PC9UeXBlL0ZvbnQvU3VidHlwZS9UeXBlMS9CYXNlRm9udC9IZWx2ZXRpY2E+Pj4+Pj4+PgplbmRvYmoKNCAwIG9iago8PC9MZW5ndGggNDc+PgpzdHJlYW0KQlQgL0YxIDE4IFRmIDQwIDgwIFRkIChTeW50aGV0aWMgcmVwb3J0KSBUaiBFVAplbmRzdHJlYW0KZW5kb2JqCnRyYWlsZXIKPDwvUm9vdCAxIDAgUj4+CiUlRU9GCg==";
