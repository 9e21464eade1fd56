//! Laboratory panels with what is usual in them.

use super::{Coded, unit};
use crate::random::{bell, mix, percent, pick};

/// One test of a panel.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) code: Coded,
    pub(crate) unit: Coded,
    /// How results are spread, in units of the last decimal.
    pub(crate) decimals: u8,
    pub(crate) low: i64,
    pub(crate) high: i64,
    /// Beyond these somebody is called; 0 is none.
    pub(crate) panic_low: i64,
    pub(crate) panic_high: i64,
    /// The least and the most that a result can be.
    pub(crate) floor: i64,
    pub(crate) ceiling: i64,
    /// For a test whose result is a word: the usual one first.
    pub(crate) words: &'static [Coded],
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// In units of the last decimal.
    Number(i64),
    /// Below what can be measured.
    Below(i64),
    /// A word, and whether it is the usual one.
    Word(Coded, bool),
}

impl Test {
    /// What was found in the sample with this seed.
    pub(crate) fn value(&self, seed: u64) -> Value {
        if !self.words.is_empty() {
            let usual = percent(mix(seed, 1), 88);
            let word = if usual { self.words[0] } else { pick(mix(seed, 2), self.words) };
            return Value::Word(word, word == self.words[0]);
        }
        let middle = (self.low + self.high) / 2;
        let spread = (self.high - self.low).max(2);
        // The reference range holds about 95 of 100 healthy people; patients are wider spread.
        let share = if percent(mix(seed, 3), 12) { 900 } else { 260 };
        let value = middle + spread * bell(seed) * share / 1_000_000;
        if value < self.floor && self.floor > 0 {
            return Value::Below(self.floor);
        }
        Value::Number(value.clamp(self.floor, self.ceiling))
    }

    /// The flag that goes with a value (table 0078).
    pub(crate) fn flag(&self, value: Value) -> &'static str {
        match value {
            Value::Word(_, true) => "N",
            Value::Word(_, false) => "A",
            Value::Below(limit) if limit < self.low => "L",
            Value::Below(_) => "N",
            Value::Number(number) if self.panic_low > 0 && number < self.panic_low => "LL",
            Value::Number(number) if self.panic_high > 0 && number > self.panic_high => "HH",
            Value::Number(number) if number < self.low => "L",
            Value::Number(number) if number > self.high => "H",
            Value::Number(_) => "N",
        }
    }
}

/// Tests that are ordered together.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) code: Coded,
    pub(crate) tests: &'static [Test],
    /// Table 0074.
    pub(crate) section: &'static str,
    /// Table 0487, and its older counterpart in table 0070.
    pub(crate) specimen: (&'static str, &'static str),
    /// How long the laboratory takes, in minutes.
    pub(crate) minutes: i64,
}

const fn loinc(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "LN")
}

/// Low and high are the reference range, then come the panic limits, then what is possible.
const fn test(
    code: Coded,
    unit_code: &'static str,
    decimals: u8,
    range: (i64, i64),
    panic: (i64, i64),
    possible: (i64, i64),
) -> Test {
    Test {
        code,
        unit: unit(unit_code),
        decimals,
        low: range.0,
        high: range.1,
        panic_low: panic.0,
        panic_high: panic.1,
        floor: possible.0,
        ceiling: possible.1,
        words: &[],
    }
}

const fn words(code: Coded, words: &'static [Coded]) -> Test {
    Test {
        code,
        unit: Coded::new("", "", ""),
        decimals: 0,
        low: 0,
        high: 0,
        panic_low: 0,
        panic_high: 0,
        floor: 0,
        ceiling: 0,
        words,
    }
}

const NEGATIVE: Coded = Coded::new("260385009", "Negative", "SCT");
const POSITIVE: Coded = Coded::new("10828004", "Positive", "SCT");
const NOT_DETECTED: Coded = Coded::new("260415000", "Not detected", "SCT");
const DETECTED: Coded = Coded::new("260373001", "Detected", "SCT");

const BLOOD: (&str, &str) = ("WB", "BLD");
const SERUM: (&str, &str) = ("SER", "SER");
const PLASMA: (&str, &str) = ("PLAS", "PLAS");
const URINE: (&str, &str) = ("UR", "UR");

pub(crate) const PANELS: &[Panel] = &[
    Panel {
        code: loinc("58410-2", "CBC panel - Blood by Automated count"),
        tests: &[
            test(
                loinc("6690-2", "Leukocytes [#/volume] in Blood"),
                "10*3/uL",
                1,
                (40, 110),
                (20, 300),
                (1, 2000),
            ),
            test(
                loinc("789-8", "Erythrocytes [#/volume] in Blood"),
                "10*6/uL",
                2,
                (410, 560),
                (0, 0),
                (120, 900),
            ),
            test(
                loinc("718-7", "Hemoglobin [Mass/volume] in Blood"),
                "g/dL",
                1,
                (120, 170),
                (70, 200),
                (30, 240),
            ),
            test(
                loinc("4544-3", "Hematocrit [Volume Fraction] of Blood"),
                "%",
                1,
                (360, 500),
                (210, 600),
                (100, 700),
            ),
            test(loinc("787-2", "MCV [Entitic volume]"), "fL", 0, (80, 100), (0, 0), (55, 135)),
            test(
                loinc("777-3", "Platelets [#/volume] in Blood"),
                "10*3/uL",
                0,
                (150, 400),
                (50, 1000),
                (2, 1800),
            ),
            test(
                loinc("770-8", "Neutrophils/100 leukocytes in Blood"),
                "%",
                1,
                (400, 750),
                (0, 0),
                (10, 990),
            ),
        ],
        section: "HM",
        specimen: BLOOD,
        minutes: 45,
    },
    Panel {
        code: loinc("51990-0", "Basic metabolic panel - Blood"),
        tests: &[
            test(
                loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
                "mmol/L",
                0,
                (136, 145),
                (120, 160),
                (105, 180),
            ),
            test(
                loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
                "mmol/L",
                1,
                (35, 51),
                (28, 62),
                (18, 90),
            ),
            test(
                loinc("2075-0", "Chloride [Moles/volume] in Serum or Plasma"),
                "mmol/L",
                0,
                (98, 107),
                (80, 120),
                (70, 140),
            ),
            test(
                loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (70, 99),
                (45, 450),
                (20, 900),
            ),
            test(
                loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (7, 20),
                (0, 100),
                (2, 160),
            ),
            test(
                loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                2,
                (60, 120),
                (0, 700),
                (20, 1500),
            ),
            test(
                loinc("17861-6", "Calcium [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                1,
                (85, 102),
                (65, 130),
                (50, 160),
            ),
        ],
        section: "CH",
        specimen: SERUM,
        minutes: 60,
    },
    Panel {
        code: loinc("24325-3", "Hepatic function 2000 panel - Serum or Plasma"),
        tests: &[
            test(
                loinc(
                    "1742-6",
                    "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
                ),
                "U/L",
                0,
                (7, 45),
                (0, 1000),
                (3, 3000),
            ),
            test(
                loinc(
                    "1920-8",
                    "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
                ),
                "U/L",
                0,
                (8, 40),
                (0, 1000),
                (4, 3000),
            ),
            test(
                loinc(
                    "6768-6",
                    "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma",
                ),
                "U/L",
                0,
                (40, 130),
                (0, 0),
                (10, 1200),
            ),
            test(
                loinc("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                1,
                (2, 12),
                (0, 150),
                (1, 400),
            ),
            test(
                loinc("1751-7", "Albumin [Mass/volume] in Serum or Plasma"),
                "g/dL",
                1,
                (35, 52),
                (0, 0),
                (12, 65),
            ),
        ],
        section: "CH",
        specimen: SERUM,
        minutes: 75,
    },
    Panel {
        code: loinc("57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
        tests: &[
            test(
                loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (120, 200),
                (0, 0),
                (60, 480),
            ),
            test(
                loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (40, 150),
                (0, 1000),
                (25, 1800),
            ),
            test(
                loinc("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"),
                "mg/dL",
                0,
                (40, 80),
                (0, 0),
                (12, 120),
            ),
            test(
                loinc(
                    "18262-6",
                    "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay",
                ),
                "mg/dL",
                0,
                (50, 130),
                (0, 0),
                (15, 380),
            ),
        ],
        section: "CH",
        specimen: SERUM,
        minutes: 120,
    },
    Panel {
        code: loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"),
        tests: &[test(
            loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"),
            "m[IU]/L",
            2,
            (40, 400),
            (0, 0),
            (1, 9900),
        )],
        section: "CH",
        specimen: SERUM,
        minutes: 180,
    },
    Panel {
        code: loinc("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma"),
        tests: &[test(
            loinc("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma"),
            "mg/L",
            1,
            (0, 50),
            (0, 0),
            (1, 4000),
        )],
        section: "CH",
        specimen: SERUM,
        minutes: 50,
    },
    Panel {
        code: loinc("34528-0", "PT panel - Platelet poor plasma by Coagulation assay"),
        tests: &[
            test(
                loinc("5902-2", "Prothrombin time (PT)"),
                "s",
                1,
                (110, 135),
                (0, 500),
                (80, 1200),
            ),
            test(
                loinc("6301-6", "INR in Platelet poor plasma by Coagulation assay"),
                "{INR}",
                1,
                (9, 12),
                (0, 50),
                (7, 120),
            ),
        ],
        section: "HM",
        specimen: PLASMA,
        minutes: 40,
    },
    Panel {
        code: loinc(
            "67151-1",
            "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method",
        ),
        tests: &[test(
            loinc(
                "67151-1",
                "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method",
            ),
            "ng/L",
            0,
            (0, 14),
            (0, 52),
            (3, 9000),
        )],
        section: "CH",
        specimen: PLASMA,
        minutes: 30,
    },
    Panel {
        code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        tests: &[test(
            loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
            "%",
            1,
            (40, 56),
            (0, 0),
            (32, 160),
        )],
        section: "HM",
        specimen: BLOOD,
        minutes: 200,
    },
    Panel {
        code: loinc("24356-8", "Urinalysis complete panel - Urine"),
        tests: &[
            test(
                loinc("2756-5", "pH of Urine by Test strip"),
                "[pH]",
                1,
                (50, 75),
                (0, 0),
                (45, 90),
            ),
            test(
                loinc("2965-2", "Specific gravity of Urine"),
                "{ratio}",
                3,
                (1005, 1030),
                (0, 0),
                (1001, 1045),
            ),
            words(
                loinc("5802-4", "Nitrite [Presence] in Urine by Test strip"),
                &[NEGATIVE, POSITIVE],
            ),
            words(
                loinc("2514-8", "Ketones [Presence] in Urine by Test strip"),
                &[NEGATIVE, POSITIVE],
            ),
        ],
        section: "CH",
        specimen: URINE,
        minutes: 35,
    },
    Panel {
        code: loinc(
            "94500-6",
            "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory system specimen by NAA with probe detection",
        ),
        tests: &[words(
            loinc(
                "94500-6",
                "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory system specimen by NAA with probe detection",
            ),
            &[NOT_DETECTED, DETECTED],
        )],
        section: "MB",
        specimen: ("RES", "THRT"),
        minutes: 240,
    },
    Panel {
        code: loinc("24338-6", "Gas panel - Blood"),
        tests: &[
            test(loinc("11558-4", "pH of Blood"), "[pH]", 2, (735, 745), (720, 760), (680, 780)),
            test(
                loinc("11557-6", "Carbon dioxide [Partial pressure] in Blood"),
                "mm[Hg]",
                0,
                (35, 45),
                (20, 70),
                (12, 130),
            ),
            test(
                loinc("11556-8", "Oxygen [Partial pressure] in Blood"),
                "mm[Hg]",
                0,
                (75, 100),
                (40, 0),
                (22, 500),
            ),
            test(
                loinc("1959-6", "Bicarbonate [Moles/volume] in Blood"),
                "mmol/L",
                0,
                (21, 27),
                (10, 45),
                (4, 60),
            ),
        ],
        section: "BG",
        // Table 0487 has no arterial blood.
        specimen: ("WB", "BLDA"),
        minutes: 10,
    },
];

/// What is measured when somebody comes.
pub(crate) const VITALS: &[Test] = &[
    test(loinc("8302-2", "Body height"), "cm", 0, (150, 190), (0, 0), (140, 205)),
    test(loinc("29463-7", "Body weight"), "kg", 1, (500, 950), (0, 0), (420, 1800)),
];
