//! CMAC with AES-256 (NIST SP 800-38B): a keyed hash of 128 bits.
//!
//! Identifiers are short: most take one block of a cipher that every processor has instructions
//! for, where HMAC-SHA-256 takes two of a hash that many have none for. The two subkeys are made
//! once.

use aes_gcm::aes::{
    Aes256, Block,
    cipher::{BlockEncrypt, KeyInit},
};

/// Bytes of a block, and of what comes out.
const BLOCK: usize = 16;

/// Bytes of what goes before a text.
const HEAD: usize = 2;

#[derive(Clone)]
pub(crate) struct Cmac {
    cipher: Aes256,
    /// What is added to a last block that is whole (K1), and to one that is filled up (K2).
    subkeys: [u128; 2],
}

impl Cmac {
    pub(crate) fn new(key: &[u8; 32]) -> Cmac {
        let cipher = Aes256::new(key.into());
        let first = doubled(encrypted(&cipher, 0));
        Cmac { cipher, subkeys: [first, doubled(first)] }
    }

    /// Of the head with the text behind it.
    pub(crate) fn of(&self, head: [u8; HEAD], text: &[u8]) -> [u8; BLOCK] {
        let (first, mut rest) = text.split_at(text.len().min(BLOCK - HEAD));
        let mut block = [0; BLOCK];
        put(&mut block, 0, &head);
        put(&mut block, HEAD, first);
        let mut length = HEAD.saturating_add(first.len());
        let mut state = 0;
        while !rest.is_empty() {
            state = encrypted(&self.cipher, state ^ u128::from_be_bytes(block));
            let (next, after) = rest.split_at(rest.len().min(BLOCK));
            block = [0; BLOCK];
            put(&mut block, 0, next);
            (length, rest) = (next.len(), after);
        }
        put(&mut block, length, &[0x80]);
        let [whole, filled] = self.subkeys;
        let subkey = if length == BLOCK { whole } else { filled };
        encrypted(&self.cipher, state ^ u128::from_be_bytes(block) ^ subkey).to_be_bytes()
    }
}

/// Puts bytes at a place of the block, as far as it reaches.
fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    let place = block.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
    if let Some(place) = place {
        place.copy_from_slice(bytes);
    }
}

fn encrypted(cipher: &Aes256, block: u128) -> u128 {
    let mut block: Block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

/// Multiplied by x in GF(2^128) (SP 800-38B §6.1).
fn doubled(number: u128) -> u128 {
    (number << 1) ^ if number >> 127 == 1 { 0x87 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::Cmac;

    /// SP 800-38B, examples for AES-256.
    #[test]
    fn the_examples_of_the_standard_come_out() {
        let key = 0x603deb1015ca71be2b73aef0857d7781_u128.to_be_bytes();
        let rest = 0x1f352c073b6108d72d9810a30914dff4_u128.to_be_bytes();
        let key: [u8; 32] = [key, rest].concat().try_into().expect("32 bytes");
        let message = [
            0x6bc1bee22e409f96e93d7e117393172a_u128,
            0xae2d8a571e03ac9c9eb76fac45af8e51,
            0x30c81c46a35ce411e5fbc1191a0a52ef,
            0xf69f2445df4f9b17ad2b417be66c3710,
        ];
        let message = message.map(u128::to_be_bytes).concat();
        for (length, expected) in [
            (16, 0x28a7023f452e8f82bd4bf28d8c37c35c),
            (40, 0xaaf3d8f1de5640c232f5b169b9c911e6),
            (64, 0xe1992190549f6ed5696a2c056c315410_u128),
        ] {
            let mac = Cmac::new(&key).of([message[0], message[1]], &message[2..length]);
            assert_eq!(mac, expected.to_be_bytes(), "{length} bytes");
        }
    }
}
