//! A keyed permutation of words of one shape, without a fixed point.
//!
//! A word is a number with a radix for each place (10 for a digit, 26 for a letter). A Feistel network over the two
//! halves of its places, with addition in place of exclusive or, permutes all words of a shape; stepping to the next
//! word between the network and its inverse makes one long cycle of them, so that no word stays what it was and no
//! two become the same. Shapes with few words are shuffled outright.

use super::key::Key;

/// Purposes of the key.
const FEISTEL: u8 = 1;
const SHUFFLE: u8 = 2;

/// Rounds of the network; ten, as in NIST SP 800-38G's FF1.
const ROUNDS: u8 = 10;

/// Shapes with at most this many words are shuffled.
const SHUFFLED_MAX: u128 = 1_000;

/// The product of the radices of one half stays below this.
const HALF_MAX: u128 = 1 << 90;

/// Moves each place of `digits` (each below its radix) to another word of the same shape.
///
/// `shape` tells shapes apart whose radices are the same. Words too long for one network are taken in pieces, each
/// depending on those before it.
pub(super) fn permute(key: &Key, shape: &[u8], digits: &mut [u32], radices: &[u32]) {
    let mut from = 0;
    let mut before: Vec<u8> = Vec::new();
    while from < digits.len() {
        let to = from + piece(&radices[from..]);
        let original: Vec<u8> =
            digits[from..to].iter().flat_map(|digit| digit.to_le_bytes()).collect();
        let network = Network { key, shape, before: &before, from };
        network.permute(&mut digits[from..to], &radices[from..to]);
        before.extend(original);
        from = to;
    }
}

/// How many of the first places fit one network.
fn piece(radices: &[u32]) -> usize {
    let mut length = 1;
    while length < radices.len() {
        let (left, right) = radices[..=length].split_at(length.div_ceil(2));
        if product(left).max(product(right)) >= HALF_MAX {
            break;
        }
        length += 1;
    }
    length
}

fn product(radices: &[u32]) -> u128 {
    radices.iter().fold(1, |product: u128, &radix| product.saturating_mul(u128::from(radix.max(1))))
}

struct Network<'a> {
    key: &'a Key,
    shape: &'a [u8],
    before: &'a [u8],
    from: usize,
}

impl Network<'_> {
    fn permute(&self, digits: &mut [u32], radices: &[u32]) {
        let middle = digits.len() / 2;
        let (left_radices, right_radices) = radices.split_at(middle);
        let (left_count, right_count) = (product(left_radices), product(right_radices));
        let count = left_count.saturating_mul(right_count);
        if count <= 1 {
            return;
        }
        let (left_digits, right_digits) = digits.split_at_mut(middle);
        let mut left = number(left_digits, left_radices);
        let mut right = number(right_digits, right_radices);
        if count <= SHUFFLED_MAX {
            let next = self.next_in_shuffle(left * right_count + right, count, radices);
            (left, right) = (next / right_count, next % right_count);
        } else {
            let counts = (left_count, right_count);
            self.rounds(&mut left, &mut right, counts, radices, Direction::Forward);
            right += 1;
            if right == right_count {
                right = 0;
                left = (left + 1) % left_count;
            }
            self.rounds(&mut left, &mut right, counts, radices, Direction::Back);
        }
        write(left, left_digits, left_radices);
        write(right, right_digits, right_radices);
    }

    fn rounds(
        &self,
        left: &mut u128,
        right: &mut u128,
        (left_count, right_count): (u128, u128),
        radices: &[u32],
        direction: Direction,
    ) {
        for step in 0..ROUNDS {
            let round = match direction {
                Direction::Forward => step,
                Direction::Back => ROUNDS - 1 - step,
            };
            let (changed, other, count) = if round % 2 == 0 {
                (&mut *left, *right, left_count)
            } else {
                (&mut *right, *left, right_count)
            };
            let shift = self.function(round, other, radices) % count;
            *changed = match direction {
                Direction::Forward => (*changed + shift) % count,
                Direction::Back => (*changed + count - shift) % count,
            };
        }
    }

    fn function(&self, round: u8, half: u128, radices: &[u32]) -> u128 {
        let shape: Vec<u8> = radices.iter().flat_map(|radix| radix.to_le_bytes()).collect();
        let from = self.from.to_le_bytes();
        let parts: [&[u8]; 6] =
            [&[round], self.shape, &shape, &from, self.before, &half.to_le_bytes()];
        let bytes = self.key.derive(FEISTEL, &parts);
        bytes.first_chunk().copied().map_or(0, u128::from_le_bytes)
    }

    /// The word after this one in a keyed order of all words, as in a cycle.
    fn next_in_shuffle(&self, word: u128, count: u128, radices: &[u32]) -> u128 {
        let shape: Vec<u8> = radices.iter().flat_map(|radix| radix.to_le_bytes()).collect();
        let from = self.from.to_le_bytes();
        let place = |word: u128| {
            let parts: [&[u8]; 5] = [self.shape, &shape, &from, self.before, &word.to_le_bytes()];
            (self.key.derive(SHUFFLE, &parts), word)
        };
        let own = place(word);
        let places = (0..count).map(place);
        let mut first: Option<([u8; 32], u128)> = None;
        let mut next: Option<([u8; 32], u128)> = None;
        for place in places {
            if first.is_none_or(|first| place < first) {
                first = Some(place);
            }
            if place > own && next.is_none_or(|next| place < next) {
                next = Some(place);
            }
        }
        next.or(first).map_or(word, |(_, word)| word)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Back,
}

fn number(digits: &[u32], radices: &[u32]) -> u128 {
    digits
        .iter()
        .zip(radices)
        .fold(0, |number, (&digit, &radix)| number * u128::from(radix.max(1)) + u128::from(digit))
}

fn write(mut number: u128, digits: &mut [u32], radices: &[u32]) {
    for (digit, &radix) in digits.iter_mut().zip(radices).rev() {
        let radix = u128::from(radix.max(1));
        *digit = u32::try_from(number % radix).unwrap_or_default();
        number /= radix;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn permuted(digits: &[u32], radices: &[u32]) -> Vec<u32> {
        let mut result = digits.to_vec();
        permute(&Key::new([7; 32]), b"shape", &mut result, radices);
        result
    }

    #[track_caller]
    fn check_all(radices: &[u32]) {
        let count = product(radices);
        let mut seen = HashSet::new();
        for word in 0..count {
            let mut digits = vec![0; radices.len()];
            write(word, &mut digits, radices);
            let result = permuted(&digits, radices);
            assert_ne!(result, digits, "a fixed point");
            assert!(seen.insert(result), "two words became one");
        }
    }

    #[test]
    fn all_words_of_a_shape_change_places() {
        check_all(&[10]);
        check_all(&[26, 10]);
        check_all(&[10, 10, 10, 3]);
        check_all(&[26, 26, 5]);
    }

    #[test]
    fn nothing_to_permute_stays() {
        assert_eq!(permuted(&[], &[]), Vec::<u32>::new());
        assert_eq!(permuted(&[0], &[1]), [0]);
    }

    #[test]
    fn another_key_gives_other_words() {
        let mut other = [1, 2, 3, 4, 5, 6];
        permute(&Key::new([8; 32]), b"shape", &mut other, &[10; 6]);
        assert_ne!(permuted(&[1, 2, 3, 4, 5, 6], &[10; 6]), other);
    }

    proptest! {
        #[test]
        fn long_words_keep_their_shape_and_change(digits in prop::collection::vec(0u32..26, 1..200)) {
            let radices = vec![26; digits.len()];
            let result = permuted(&digits, &radices);
            prop_assert_ne!(&result, &digits);
            prop_assert!(result.iter().all(|&digit| digit < 26));
        }
    }
}
