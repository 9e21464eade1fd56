//! A keyed permutation of words of one shape, without a fixed point.
//!
//! A word is a number with a radix for each place (10 for a digit, 26 for a letter). A Feistel network over the two
//! halves of its places, with addition in place of exclusive or, permutes all words of a shape; stepping to the next
//! word between the network and its inverse makes one long cycle of them, so that no word stays what it was and no
//! two become the same. Shapes with few words are shuffled outright.

use aes::Aes256Enc;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit};
use hashbrown::HashMap;

use super::key::{Derivation, Key};

/// Purpose of the key.
const SHAPE: u8 = 1;

/// Rounds of the network; ten, as in NIST SP 800-38G's FF1.
const ROUNDS: u8 = 10;

/// Shapes with at most this many words are shuffled.
const SHUFFLED_MAX: u128 = 1_000;

/// The product of the radices of one half stays below this.
const HALF_MAX: u128 = 1 << 90;

/// Shapes remembered at once; when there are more, they are worked out again.
const SHAPES_MAX: usize = 4_096;

/// Places of a shape that is remembered.
const SHAPE_PLACES_MAX: usize = 64;

/// The permutations of one key, one for each shape.
pub(super) struct Permutations {
    key: Key,
    shapes: HashMap<Vec<u8>, Network>,
    /// The one looked for.
    shape: Vec<u8>,
}

impl Permutations {
    pub(super) fn new(key: Key) -> Self {
        Self { key, shapes: HashMap::new(), shape: Vec::new() }
    }

    /// Moves each place of `digits` (each below its radix) to another word of the same shape.
    ///
    /// `tags` tells shapes apart whose radices are the same, and `before` words of one shape that are not to be
    /// permuted alike. Words too long for one network are taken in pieces, each depending on those before it.
    pub(super) fn permute(
        &mut self,
        tags: &[u8],
        digits: &mut [u32],
        radices: &[u32],
        before: &[u8],
    ) {
        let first = piece(radices);
        if before.is_empty() && first == radices.len() && first <= SHAPE_PLACES_MAX {
            return self.remembered(tags, radices).permute(digits);
        }
        let shape = self.key.derivation(SHAPE).part(tags);
        let (mut rest, mut rest_radices) = (digits, radices);
        let mut before = before.to_vec();
        while !rest.is_empty() {
            let length = piece(rest_radices);
            let (part, after) = rest.split_at_mut(length);
            let (part_radices, after_radices) = rest_radices.split_at(length);
            let original = bytes(part);
            Network::new(&shape, part_radices, &before).permute(part);
            before.extend(original);
            (rest, rest_radices) = (after, after_radices);
        }
    }

    fn remembered(&mut self, tags: &[u8], radices: &[u32]) -> &Network {
        self.shape.clear();
        self.shape.extend_from_slice(tags);
        self.shape.extend(radices.iter().flat_map(|radix| radix.to_le_bytes()));
        if self.shapes.len() >= SHAPES_MAX && !self.shapes.contains_key(&self.shape) {
            self.shapes.clear();
        }
        let key = &self.key;
        self.shapes
            .entry_ref(&self.shape)
            .or_insert_with(|| Network::new(&key.derivation(SHAPE).part(tags), radices, &[]))
    }
}

fn bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// How many of the first places fit one network.
fn piece(radices: &[u32]) -> usize {
    let mut length = radices.len().min(1);
    while length < radices.len() {
        let (left, right) = radices.split_at(length + 1).0.split_at(length.div_ceil(2));
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

/// The permutation of one shape.
struct Network {
    cipher: Aes256Enc,
    radices: Vec<u32>,
    /// Of a shape with few words: which word follows each.
    next: Vec<u32>,
}

impl Network {
    fn new(shape: &Derivation, radices: &[u32], before: &[u8]) -> Self {
        let derived = shape.clone().part(&bytes(radices)).part(before).finish();
        let cipher = Aes256Enc::new(GenericArray::from_slice(&derived));
        let mut network = Self { cipher, radices: radices.to_vec(), next: Vec::new() };
        let count = product(radices);
        if count > 1 && count <= SHUFFLED_MAX {
            network.next = network.cycle(u32::try_from(count).unwrap_or(1));
        }
        network
    }

    fn permute(&self, digits: &mut [u32]) {
        let middle = digits.len() / 2;
        let (left_radices, right_radices) = self.radices.split_at(middle);
        let counts = (product(left_radices), product(right_radices));
        let (left_digits, right_digits) = digits.split_at_mut(middle);
        let mut left = number(left_digits, left_radices);
        let mut right = number(right_digits, right_radices);
        let (left_count, right_count) = counts;
        if left_count.saturating_mul(right_count) <= 1 {
            return;
        }
        let word = usize::try_from(left.saturating_mul(right_count).saturating_add(right));
        if let Some(&next) = word.ok().and_then(|word| self.next.get(word)) {
            (left, right) = (u128::from(next) / right_count, u128::from(next) % right_count);
        } else {
            self.rounds(&mut left, &mut right, counts, Direction::Forward);
            right += 1;
            if right == right_count {
                right = 0;
                left = (left + 1) % left_count;
            }
            self.rounds(&mut left, &mut right, counts, Direction::Back);
        }
        write(left, left_digits, left_radices);
        write(right, right_digits, right_radices);
    }

    fn rounds(
        &self,
        left: &mut u128,
        right: &mut u128,
        (left_count, right_count): (u128, u128),
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
            let shift = self.function(round, other) % count;
            *changed = match direction {
                Direction::Forward => (*changed + shift) % count,
                Direction::Back => (*changed + count - shift) % count,
            };
        }
    }

    /// A pseudorandom function of a number below [`HALF_MAX`].
    fn function(&self, round: u8, half: u128) -> u128 {
        let mut block = GenericArray::from(half.to_le_bytes());
        if let Some(last) = block.last_mut() {
            *last = round;
        }
        self.cipher.encrypt_block(&mut block);
        u128::from_le_bytes(block.into())
    }

    /// All words in a keyed order, as a cycle: at each word's place the one that follows it.
    fn cycle(&self, count: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by_cached_key(|&word| (self.function(ROUNDS, u128::from(word)), word));
        let mut next = vec![0; order.len()];
        let following = order.iter().cycle().skip(1);
        for (&word, &following) in order.iter().zip(following) {
            if let Some(place) = next.get_mut(word as usize) {
                *place = following;
            }
        }
        next
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
        Permutations::new(Key::new([7; 32])).permute(b"shape", &mut result, radices, &[]);
        result
    }

    #[track_caller]
    fn check_all(radices: &[u32]) {
        let count = product(radices);
        let mut permutations = Permutations::new(Key::new([7; 32]));
        let mut seen = HashSet::new();
        for word in 0..count {
            let mut digits = vec![0; radices.len()];
            write(word, &mut digits, radices);
            let mut result = digits.clone();
            permutations.permute(b"shape", &mut result, radices, &[]);
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
        Permutations::new(Key::new([8; 32])).permute(b"shape", &mut other, &[10; 6], &[]);
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
