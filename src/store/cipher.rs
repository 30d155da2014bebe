//! A database under a key: SQLCipher's format, and the one place that knows it besides SQLCipher.
//!
//! Each page is encrypted by itself (AES-256 in CBC mode), in the file as in the write-ahead log,
//! and ends with the vector that it begins from and a code that authenticates it. SQLCipher
//! refuses a page whose code does not hold; where rows are looked for in a damaged file, a page
//! counts for what it says, as it does without a key. See
//! <https://www.zetetic.net/sqlcipher/design/>.
//!
//! The first 16 bytes of a file are plain: SQLCipher's salt, from which it derives the key of the
//! codes. Here they tell which key the file is under, without the key: nothing is tried on a file
//! that is not to be touched, and no page is lost with the first one.

use super::StoreError;
use super::copy::Copy;
use super::damaged::with;
use super::rescue::NEW;
use super::schema::{PAGE_SIZE, SEALED_PAGE_SIZE};
use crate::units::StoreKey;
use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How a plain database begins.
pub(super) const MAGIC: &[u8; SALT] = b"SQLite format 3\0";

/// How one under a key begins; what follows tells which key.
const TAG: &[u8; 8] = b"lykta db";

/// The length of the salt.
const SALT: usize = 16;

/// What is behind the bytes of a page: the vector (16) and the code (64).
const RESERVE: usize = 80;

const BLOCK: usize = 16;

/// A key, as it is used.
#[derive(Clone)]
struct Cipher {
    key: StoreKey,
    salt: [u8; SALT],
    aes: Aes256,
}

impl Cipher {
    fn new(key: StoreKey) -> Self {
        let aes = Aes256::new(&key.0.into());
        let mut salt = [0; SALT];
        salt[..TAG.len()].copy_from_slice(TAG);
        let print = Sha256::new().chain_update(TAG).chain_update(key.0).finalize();
        salt[TAG.len()..].copy_from_slice(&print[..SALT - TAG.len()]);
        Self { key, salt, aes }
    }

    /// What a page says, without its reserve.
    fn opened(&self, page: &[u8], number: u32) -> Vec<u8> {
        let Some((bytes, reserve)) = page.split_last_chunk::<RESERVE>() else { return Vec::new() };
        let mut plain = bytes.to_vec();
        // one that was never written
        if page.iter().all(|byte| *byte == 0) {
            return plain;
        }
        let from = if number == 1 { SALT } else { 0 };
        let mut before = &reserve[..BLOCK];
        for (block, plain) in
            bytes[from..].chunks_exact(BLOCK).zip(plain[from..].chunks_exact_mut(BLOCK))
        {
            let mut opened = aes::Block::default();
            opened.copy_from_slice(block);
            self.aes.decrypt_block(&mut opened);
            for ((plain, opened), before) in plain.iter_mut().zip(opened).zip(before) {
                *plain = opened ^ before;
            }
            before = block;
        }
        let size = (SEALED_PAGE_SIZE as u16).to_be_bytes();
        if number == 1 && plain.get(SALT..SALT + size.len()) == Some(&size) {
            plain[..SALT].copy_from_slice(MAGIC);
        }
        plain
    }
}

/// What a file is under, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seal {
    /// There is no such file, or nothing in it, or it is damaged.
    Unknown,
    /// No key.
    None,
    /// The key with this salt.
    Key([u8; SALT]),
}

impl Seal {
    fn of(file: &Path) -> Self {
        let mut begin = [0; SALT];
        match File::open(file).and_then(|file| file.read_exact_at(&mut begin, 0)) {
            Ok(()) if begin == *MAGIC => Self::None,
            Ok(()) if begin.starts_with(TAG) => Self::Key(begin),
            _ => Self::Unknown,
        }
    }
}

/// A tenant's database: where it is, and what it is under.
#[derive(Clone)]
pub struct Database {
    file: PathBuf,
    cipher: Option<Cipher>,
    /// The key before: nothing stays under it.
    earlier: Option<Cipher>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Database {
    /// Without a key.
    fn from(file: &P) -> Self {
        Self { file: file.as_ref().to_owned(), cipher: None, earlier: None }
    }
}

impl From<&Self> for Database {
    fn from(database: &Self) -> Self {
        database.clone()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_sealed = self.is_sealed();
        f.debug_struct("Database").field("file", &self.file).field("sealed", &is_sealed).finish()
    }
}

impl Database {
    /// One that is under this key, or is to be; `earlier` is the key that it may be under still.
    pub fn new(file: &Path, key: Option<StoreKey>, earlier: Option<StoreKey>) -> Self {
        let [cipher, earlier] = [key, earlier].map(|key| key.map(Cipher::new));
        Self { file: file.to_owned(), cipher, earlier }
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Another file under the same key.
    pub(super) fn at(&self, file: &Path) -> Self {
        Self { file: file.to_owned(), ..self.clone() }
    }

    /// The second file of sessions.
    pub(super) fn copy(&self) -> Self {
        self.at(&Copy::beside(&self.file))
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.cipher.is_some()
    }

    /// The key in SQLCipher's own words.
    pub(super) fn pragma(&self) -> Option<String> {
        let cipher = self.cipher.as_ref()?;
        Some(format!("x'{}{}'", hex::encode(cipher.key.0), hex::encode(cipher.salt)))
    }

    /// What the bytes of a page say.
    pub(super) fn opened(&self, page: Vec<u8>, number: u32) -> Vec<u8> {
        match &self.cipher {
            Some(cipher) => cipher.opened(&page, number),
            None => page,
        }
    }

    /// How much of a page of this length is the database's own.
    pub(super) fn usable(&self, size: usize) -> usize {
        if self.is_sealed() { size - RESERVE } else { size }
    }

    /// The length of pages, where nothing but that can be.
    pub(super) fn page_size(&self) -> Option<usize> {
        self.is_sealed().then_some(SEALED_PAGE_SIZE as usize)
    }

    /// The beginning of the file: at least its header.
    pub(super) fn header(&self) -> Option<Vec<u8>> {
        let mut page = vec![0; self.page_size().unwrap_or(PAGE_SIZE as usize)];
        File::open(&self.file).and_then(|file| file.read_exact_at(&mut page, 0)).ok()?;
        Some(self.opened(page, 1))
    }

    /// The database under what it is under now: its own key, the one before, or none at all.
    ///
    /// # Errors
    /// When that is another key: nothing was touched then.
    pub(super) fn found(&self) -> Result<Self, StoreError> {
        let Self { file, cipher, earlier } = self;
        let under = |cipher: &Option<Cipher>| Self {
            file: file.clone(),
            cipher: cipher.clone(),
            earlier: None,
        };
        let known = |file: &Path| {
            let is =
                |cipher: &&Option<Cipher>, salt| cipher.as_ref().is_some_and(|c| c.salt == salt);
            match Seal::of(file) {
                Seal::Unknown => Ok(None),
                Seal::None => Ok(Some(under(&None))),
                Seal::Key(salt) => match [cipher, earlier].into_iter().find(|c| is(c, salt)) {
                    Some(cipher) => Ok(Some(under(cipher))),
                    None => Err(match cipher {
                        Some(_) => StoreError::WrongKey { file: self.file.clone() },
                        None => StoreError::NoKey { file: self.file.clone() },
                    }),
                },
            }
        };
        // while a new one takes its place there is none for a moment
        let first = match file.exists() {
            true => known(file),
            false => known(&with(file, NEW)),
        };
        // its first bytes may be damaged: the second file is under the same
        match first {
            Ok(Some(found)) => Ok(found),
            unknown => match (unknown, known(&Copy::beside(file))) {
                (_, Ok(Some(found))) if found.is_sealed() => Ok(found),
                (Ok(_), Ok(found)) => Ok(found.unwrap_or_else(|| under(cipher))),
                (Err(error), _) | (_, Err(error)) => Err(error),
            },
        }
    }

    /// Whether it is to be brought under its key first, when this is how it was found.
    pub(super) fn differs(&self, found: &Self) -> bool {
        let salt = |database: &Self| database.cipher.as_ref().map(|cipher| cipher.salt);
        self.is_sealed() && salt(self) != salt(found)
    }

    /// Whether a file may be read by somebody who has not the present key.
    pub(super) fn is_open(&self, file: &Path) -> bool {
        let is_earlier = |salt| self.earlier.as_ref().is_some_and(|c| c.salt == salt);
        match Seal::of(file) {
            Seal::Unknown => false,
            Seal::None => self.is_sealed(),
            Seal::Key(salt) => is_earlier(salt),
        }
    }
}
