//! Medication and vaccines.

use super::Coded;

/// A medication as it is usually ordered.
#[derive(Debug)]
pub(crate) struct Medication {
    pub(crate) code: Coded,
    /// The dose given at a time, in units of the last decimal, and its unit.
    pub(crate) dose: (i64, u8),
    pub(crate) unit: &'static str,
    /// Table 0162.
    pub(crate) route: &'static str,
    /// How often: HL7 v2.5.1 table 0335.
    pub(crate) often: &'static str,
    /// How often a day, for amounts to dispense.
    pub(crate) daily: i64,
    pub(crate) form: (&'static str, &'static str),
    pub(crate) reason: &'static str,
}

const fn local(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "L")
}

const ORAL: &str = "PO";
const INTRAVENOUS: &str = "IV";
const SUBCUTANEOUS: &str = "SC";

#[rustfmt::skip]
pub(crate) const MEDICATIONS: &[Medication] = &[
    Medication { code: local("PARA500", "Paracetamol 500 mg tablet"), dose: (1000, 0), unit: "mg", route: ORAL, often: "Q6H", daily: 4, form: ("TAB", "Tablet"), reason: "pain" },
    Medication { code: local("AMOX500", "Amoxicillin 500 mg capsule"), dose: (500, 0), unit: "mg", route: ORAL, often: "TID", daily: 3, form: ("CAP", "Capsule"), reason: "infection" },
    Medication { code: local("METF850", "Metformin 850 mg tablet"), dose: (850, 0), unit: "mg", route: ORAL, often: "BID", daily: 2, form: ("TAB", "Tablet"), reason: "diabetes" },
    Medication { code: local("LISI10", "Lisinopril 10 mg tablet"), dose: (10, 0), unit: "mg", route: ORAL, often: "QAM", daily: 1, form: ("TAB", "Tablet"), reason: "high blood pressure" },
    Medication { code: local("ATOR40", "Atorvastatin 40 mg tablet"), dose: (40, 0), unit: "mg", route: ORAL, often: "QHS", daily: 1, form: ("TAB", "Tablet"), reason: "cholesterol" },
    Medication { code: local("ENOX40", "Enoxaparin 40 mg/0.4 mL injection"), dose: (40, 0), unit: "mg", route: SUBCUTANEOUS, often: "QPM", daily: 1, form: ("SYR", "Syringe"), reason: "clot prevention" },
    Medication { code: local("CEFT1G", "Ceftriaxone 1 g vial"), dose: (1, 0), unit: "g", route: INTRAVENOUS, often: "Q24H", daily: 1, form: ("VIAL", "Vial"), reason: "pneumonia" },
    Medication { code: local("FURO20", "Furosemide 20 mg/2 mL ampoule"), dose: (20, 0), unit: "mg", route: INTRAVENOUS, often: "BID", daily: 2, form: ("AMP", "Ampoule"), reason: "heart failure" },
    Medication { code: local("INSGLA", "Insulin glargine 100 U/mL"), dose: (18, 0), unit: "[IU]", route: SUBCUTANEOUS, often: "QHS", daily: 1, form: ("PEN", "Pen"), reason: "diabetes" },
    Medication { code: local("LEVO75", "Levothyroxine 75 ug tablet"), dose: (75, 0), unit: "ug", route: ORAL, often: "QAM", daily: 1, form: ("TAB", "Tablet"), reason: "underactive thyroid" },
    Medication { code: local("PRED5", "Prednisolone 2.5 mg tablet"), dose: (25, 1), unit: "mg", route: ORAL, often: "QAM", daily: 1, form: ("TAB", "Tablet"), reason: "asthma & allergy" },
];

/// A vaccine: CVX code, who makes it (MVX), dose in mL with one decimal.
#[derive(Debug)]
pub(crate) struct Vaccine {
    pub(crate) code: Coded,
    pub(crate) maker: Coded,
    pub(crate) dose: (i64, u8),
}

const fn cvx(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "CVX")
}

const fn mvx(code: &'static str, text: &'static str) -> Coded {
    Coded::new(code, text, "MVX")
}

#[rustfmt::skip]
pub(crate) const VACCINES: &[Vaccine] = &[
    Vaccine { code: cvx("03", "MMR"), maker: mvx("MSD", "Merck and Co., Inc."), dose: (5, 1) },
    Vaccine { code: cvx("08", "Hep B, adolescent or pediatric"), maker: mvx("SKB", "GlaxoSmithKline"), dose: (5, 1) },
    Vaccine { code: cvx("10", "IPV"), maker: mvx("PMC", "Sanofi Pasteur"), dose: (5, 1) },
    Vaccine { code: cvx("20", "DTaP"), maker: mvx("PMC", "Sanofi Pasteur"), dose: (5, 1) },
    Vaccine { code: cvx("21", "varicella"), maker: mvx("MSD", "Merck and Co., Inc."), dose: (5, 1) },
    Vaccine { code: cvx("115", "Tdap"), maker: mvx("SKB", "GlaxoSmithKline"), dose: (5, 1) },
    Vaccine { code: cvx("133", "Pneumococcal conjugate PCV 13"), maker: mvx("PFR", "Pfizer, Inc"), dose: (5, 1) },
    Vaccine { code: cvx("150", "Influenza, injectable, quadrivalent, preservative free"), maker: mvx("SEQ", "Seqirus"), dose: (5, 1) },
    Vaccine { code: cvx("208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose"), maker: mvx("PFR", "Pfizer, Inc"), dose: (3, 1) },
];
