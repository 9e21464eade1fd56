//! Numbers in as many bytes as they need: seven bits each, the lowest first.

pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front; `None` when there is none or it is too long.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{put, put_text, take, take_text};

    #[test]
    fn numbers_at_the_edges_of_a_length_come_back() {
        for number in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), rest), (Some(number), &[][..]));
        }
        assert_eq!(take(&mut [0x80_u8].as_slice()), None);
        assert_eq!(take(&mut [0xFF_u8; 11].as_slice()), None);
        let one_past_the_greatest = [[0x80_u8; 9].as_slice(), &[2]].concat();
        assert_eq!(take(&mut one_past_the_greatest.as_slice()), None);
    }

    #[test]
    fn a_text_that_is_cut_short_is_refused() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "Müller");
        assert_eq!(take_text(&mut bytes.as_slice()), Some("Müller"));
        bytes.pop();
        assert_eq!(take_text(&mut bytes.as_slice()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut rest = bytes.as_slice();
            while take_text(&mut rest).is_some() {}
            while take(&mut rest).is_some() {}
        }
    }
}
