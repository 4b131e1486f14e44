//! Closes the parts of a backup to whoever lacks the key.
//!
//! The key of a file is derived from the secret with a salt of the file's own, so that the number of a block can serve as
//! nonce: no two blocks are sealed with the same pair. The kind of a block and the header of the file are sealed with it; a
//! block that was moved, altered or put in from another backup does not open, and none does under an altered header. The
//! block that counts the others is sealed too, so none can be left out.

use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::form::BackupError;

/// What a secret needs to have: less can be guessed.
const SECRET_BYTES_MIN: usize = 32;
const SECRET_BYTES_MAX: usize = 1024;

/// How a backup is sealed: as its header says, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub salt: [u8; 32],
    /// Tells the right key from others.
    pub check: [u8; 16],
}

/// A secret that backups are sealed with.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn parse(secret: &str) -> Result<Key, BackupError> {
        let secret = secret.trim().as_bytes();
        match secret.len() {
            SECRET_BYTES_MIN..=SECRET_BYTES_MAX => Ok(Key(secret.to_vec())),
            bytes => Err(BackupError::KeyShort { bytes }),
        }
    }

    /// Derives `N` bytes for one purpose of one file.
    fn derive<const N: usize>(&self, salt: &[u8; 32], purpose: &[u8]) -> [u8; N] {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&self.0);
        let purpose = [purpose];
        let derived = secret.expand(&purpose, Length(N)).expect("so few bytes can be derived");
        let mut bytes = [0; N];
        derived.fill(&mut bytes).expect("it was asked for so many");
        bytes
    }

    /// How a file with this salt is sealed.
    pub fn seal_with(&self, salt: [u8; 32]) -> (Sealed, Lock) {
        let check = self.derive(&salt, b"host backup check");
        (Sealed { salt, check }, self.lock(&salt))
    }

    fn lock(&self, salt: &[u8; 32]) -> Lock {
        let bytes: [u8; 32] = self.derive(salt, b"host backup blocks");
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).expect("it has the length of a key");
        Lock {
            key: LessSafeKey::new(key),
            header: [0; 32],
        }
    }

    /// What opens a file that says it is sealed so.
    pub fn open(&self, sealed: &Sealed, path: &Path) -> Result<Lock, BackupError> {
        let check: [u8; 16] = self.derive(&sealed.salt, b"host backup check");
        if check != sealed.check {
            return Err(BackupError::KeyWrong(path.to_owned()));
        }
        Ok(self.lock(&sealed.salt))
    }
}

/// Seals and opens the blocks of one file.
pub struct Lock {
    key: LessSafeKey,
    /// The SHA-256 of the header.
    header: [u8; 32],
}

impl Lock {
    /// The same for the file that begins with this header.
    pub fn under(self, header: &[u8]) -> Lock {
        Lock {
            header: Sha256::digest(header).into(),
            ..self
        }
    }

    fn with(&self, kind: u8) -> Aad<Vec<u8>> {
        Aad::from([&[kind], self.header.as_slice()].concat())
    }

    pub fn close(&self, number: u64, kind: u8, body: &mut Vec<u8>) {
        let sealed = self.key.seal_in_place_append_tag(nonce(number), self.with(kind), body);
        sealed.expect("blocks are far shorter than what can be sealed");
    }

    /// `None` when it was not sealed so.
    pub fn open(&self, number: u64, kind: u8, mut body: Vec<u8>) -> Option<Vec<u8>> {
        let opened = self
            .key
            .open_in_place(nonce(number), self.with(kind), &mut body)
            .ok()?
            .len();
        body.truncate(opened);
        Some(body)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
