//! What the common UCUM units measure, so that `1 'g'` is `1000 'mg'`. Units with an offset (`Cel`) and those
//! not listed compare by their code alone.

use super::Decimal;

/// A unit in terms of metre, second, gram, kelvin, ampere, candela, mole, unit, byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    pub(super) factor: Decimal,
    pub(super) dimension: [i8; 9],
}

const EXPONENT_MAX: i8 = 12;
const UNIT_BYTES_MAX: usize = 64;

/// Units with their factor and dimension (m, s, g, K, A, cd, mol, arbitrary unit, bit).
const ATOMS: [(&str, &str, [i8; 9], bool); 52] = [
    ("m", "1", [1, 0, 0, 0, 0, 0, 0, 0, 0], true),
    ("s", "1", [0, 1, 0, 0, 0, 0, 0, 0, 0], true),
    ("g", "1", [0, 0, 1, 0, 0, 0, 0, 0, 0], true),
    ("K", "1", [0, 0, 0, 1, 0, 0, 0, 0, 0], true),
    ("A", "1", [0, 0, 0, 0, 1, 0, 0, 0, 0], true),
    ("cd", "1", [0, 0, 0, 0, 0, 1, 0, 0, 0], true),
    ("mol", "1", [0, 0, 0, 0, 0, 0, 1, 0, 0], true),
    ("eq", "1", [0, 0, 0, 0, 0, 0, 1, 0, 0], true),
    ("osm", "1", [0, 0, 0, 0, 0, 0, 1, 0, 0], true),
    ("[IU]", "1", [0, 0, 0, 0, 0, 0, 0, 1, 0], true),
    ("[iU]", "1", [0, 0, 0, 0, 0, 0, 0, 1, 0], true),
    ("bit", "1", [0, 0, 0, 0, 0, 0, 0, 0, 1], true),
    ("By", "8", [0, 0, 0, 0, 0, 0, 0, 0, 1], true),
    ("min", "60", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("h", "3600", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("d", "86400", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("wk", "604800", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("mo", "2629800", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("a", "31557600", [0, 1, 0, 0, 0, 0, 0, 0, 0], false),
    ("L", "0.001", [3, 0, 0, 0, 0, 0, 0, 0, 0], true),
    ("l", "0.001", [3, 0, 0, 0, 0, 0, 0, 0, 0], true),
    ("Hz", "1", [0, -1, 0, 0, 0, 0, 0, 0, 0], true),
    ("Bq", "1", [0, -1, 0, 0, 0, 0, 0, 0, 0], true),
    ("N", "1000", [1, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("Pa", "1000", [-1, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("bar", "100000000", [-1, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("atm", "101325000", [-1, -2, 1, 0, 0, 0, 0, 0, 0], false),
    ("m[Hg]", "133322000", [-1, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("m[H2O]", "9806650", [-1, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("J", "1000", [2, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("cal", "4184", [2, -2, 1, 0, 0, 0, 0, 0, 0], true),
    ("[Cal]", "4184000", [2, -2, 1, 0, 0, 0, 0, 0, 0], false),
    ("W", "1000", [2, -3, 1, 0, 0, 0, 0, 0, 0], true),
    ("C", "1", [0, 1, 0, 0, 1, 0, 0, 0, 0], true),
    ("V", "1000", [2, -3, 1, 0, -1, 0, 0, 0, 0], true),
    ("Gy", "1", [2, -2, 0, 0, 0, 0, 0, 0, 0], true),
    ("Sv", "1", [2, -2, 0, 0, 0, 0, 0, 0, 0], true),
    ("kat", "1", [0, -1, 0, 0, 0, 0, 1, 0, 0], true),
    ("t", "1000000", [0, 0, 1, 0, 0, 0, 0, 0, 0], true),
    ("u", "0.0000000000000000000000016605", [0, 0, 1, 0, 0, 0, 0, 0, 0], false),
    ("%", "0.01", [0; 9], false),
    ("[ppth]", "0.001", [0; 9], false),
    ("[ppm]", "0.000001", [0; 9], false),
    ("[in_i]", "0.0254", [1, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ("[ft_i]", "0.3048", [1, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ("[yd_i]", "0.9144", [1, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ("[mi_i]", "1609.344", [1, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ("[lb_av]", "453.59237", [0, 0, 1, 0, 0, 0, 0, 0, 0], false),
    ("[oz_av]", "28.349523125", [0, 0, 1, 0, 0, 0, 0, 0, 0], false),
    ("[gr]", "0.06479891", [0, 0, 1, 0, 0, 0, 0, 0, 0], false),
    ("[gal_us]", "0.003785411784", [3, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ("[foz_us]", "0.0000295735295625", [3, 0, 0, 0, 0, 0, 0, 0, 0], false),
];

const PREFIXES: [(&str, &str); 16] = [
    ("da", "10"),
    ("P", "1e15"),
    ("T", "1e12"),
    ("G", "1e9"),
    ("M", "1e6"),
    ("k", "1e3"),
    ("h", "1e2"),
    ("d", "1e-1"),
    ("c", "1e-2"),
    ("m", "1e-3"),
    ("u", "1e-6"),
    ("n", "1e-9"),
    ("p", "1e-12"),
    ("f", "1e-15"),
    ("a", "1e-18"),
    ("z", "1e-21"),
];

/// What a unit measures. `None` for units not known here.
pub(super) fn measure(unit: &str) -> Option<Measure> {
    if unit.is_empty() || unit.len() > UNIT_BYTES_MAX {
        return None;
    }
    let mut measure = Measure { factor: Decimal::ONE, dimension: [0; 9] };
    let mut rest = unit;
    let mut is_divisor = false;
    if let Some(divisor) = rest.strip_prefix('/') {
        (rest, is_divisor) = (divisor, true);
    }
    loop {
        let (component, sign, behind) = split(rest);
        measure = combined(measure, component_measure(component)?, is_divisor)?;
        match sign {
            None => return Some(measure),
            Some(sign) => (rest, is_divisor) = (behind, sign == '/'),
        }
    }
}

/// The first component of a unit, and what separates it from the rest.
fn split(unit: &str) -> (&str, Option<char>, &str) {
    let mut depth = 0usize;
    for (at, character) in unit.char_indices() {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '.' | '/' if depth == 0 => {
                let (component, behind) = unit.split_at(at);
                return (component, Some(character), behind.get(1..).unwrap_or(""));
            }
            _ => {}
        }
    }
    (unit, None, "")
}

fn combined(one: Measure, two: Measure, is_divisor: bool) -> Option<Measure> {
    let factor =
        if is_divisor { one.factor.over(two.factor) } else { one.factor.times(two.factor) };
    let mut dimension = one.dimension;
    for (own, others) in dimension.iter_mut().zip(two.dimension) {
        *own = if is_divisor { own.checked_sub(others)? } else { own.checked_add(others)? };
    }
    Some(Measure { factor: factor?.normalized(), dimension })
}

/// `mg`, `m2`, `s-1`, `10*3`, `{count}`, `mL{total}`.
fn component_measure(component: &str) -> Option<Measure> {
    let plain = match component.split_once('{') {
        Some((plain, annotation)) => {
            annotation.strip_suffix('}')?;
            if plain.is_empty() { "1" } else { plain }
        }
        None => component,
    };
    let one = Measure { factor: Decimal::ONE, dimension: [0; 9] };
    if plain == "1" {
        return Some(one);
    }
    if let Some(exponent) = plain.strip_prefix("10*").or_else(|| plain.strip_prefix("10^")) {
        let power: i8 = exponent.parse().ok()?;
        return Some(Measure { factor: Decimal::parse(&format!("1e{power}"))?, ..one });
    }
    let name = plain.trim_end_matches(|last: char| last.is_ascii_digit());
    let name = name.strip_suffix(['-', '+']).unwrap_or(name);
    let exponent: i8 = match plain.get(name.len()..)? {
        "" => 1,
        exponent => exponent.parse().ok()?,
    };
    if name.is_empty() || !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
        return None;
    }
    let base = atom(name)?;
    let mut measure = one;
    for _ in 0..exponent.unsigned_abs() {
        measure = combined(measure, base, exponent < 0)?;
    }
    Some(measure)
}

fn atom(name: &str) -> Option<Measure> {
    let of = |name: &str, prefix: Option<&str>| {
        let (_, factor, dimension, _) = ATOMS
            .iter()
            .find(|(own, .., is_metric)| *own == name && (prefix.is_none() || *is_metric))?;
        let factor = Decimal::parse(factor)?;
        let factor = match prefix {
            Some(prefix) => factor.times(Decimal::parse(prefix)?)?,
            None => factor,
        };
        Some(Measure { factor, dimension: *dimension })
    };
    of(name, None).or_else(|| {
        PREFIXES.iter().find_map(|(prefix, factor)| of(name.strip_prefix(prefix)?, Some(factor)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, two: &str, factor: &str) {
        let ratio = measure(one).zip(measure(two)).and_then(|(one, two)| {
            (one.dimension == two.dimension).then(|| one.factor.over(two.factor)).flatten()
        });
        assert_eq!(ratio.map(|ratio| ratio.to_string()).unwrap_or_default(), factor, "{one} {two}");
    }

    #[test]
    fn units_convert() {
        check("g", "mg", "1000");
        check("mg/dL", "g/L", "0.01");
        check("mL", "cm3", "1");
        check("h", "min", "60");
        check("/min", "Hz", "0.01666666666666666667");
        check("10*3/uL", "10*9/L", "1");
        check("mm[Hg]", "kPa", "0.133322");
        check("{beats}/min", "/min", "1");
        check("kg/m2", "g/m2", "1000");
        check("m.s-2", "m/s2", "1");
        check("[lb_av]", "kg", "0.45359237");
        check("mmol/L", "mol/m3", "1");
    }

    #[test]
    fn what_is_not_known_does_not_convert() {
        for unit in ["Cel", "", "kmin", "g/", "m99", "10*", "{a", "[foo]", "mg//L", "é"] {
            assert_eq!(measure(unit), None, "{unit}");
        }
        check("g", "mL", "");
    }
}
