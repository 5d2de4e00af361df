//! The keys that seal records, and the names under which records are stored.
//!
//! From each line of the keys, HMAC-SHA-256 derives what is needed, each with a label of its own:
//!
//! | derived | from | for |
//! |---|---|---|
//! | the key's id, 8 bytes | each key | finding the key that opens a record |
//! | a key of AES-256-GCM-SIV | each key | sealing (the first) and opening (all) |
//! | a key for names | the last key | the name of a record: HMAC of namespace and identity |
//! | a key for refresh tokens | the last key | the name of a refresh token's record: HMAC of the name it was given |
//! | a key for credentials | the last key | telling whether another replica has the same credential |
//!
//! The envelope of a record:
//!
//! ```text
//! version | key id | nonce | sealed record and tag
//!    1    |   8    |  12   | ..                        bytes
//! ```
//!
//! Version, key id and the record's name are authenticated with it. So a record that was copied under another name does
//! not open, nor does one with a single changed bit.
//!
//! GCM-SIV and not GCM. Nonces are random, and many replicas draw them. So a repeated nonce must not reveal more than
//! that two records are equal (RFC 8452 section 9).

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind, Retry},
    files::last_good::LastGood,
    platform::Platform,
    problem::Problem,
    store::{MemorySharedStore, SharedStore, StoreKey},
};

/// The keys with which records are sealed before they are stored: a file, or a string.
///
/// One key per line, each 32 random bytes in Base64 (`openssl rand -base64 32`). Empty lines, and lines that begin with
/// `#`, are ignored.
///
/// - The **first** key seals.
/// - **All** keys open. A record that was sealed with another key counts as absent.
/// - The **last** key makes the names of records, with HMAC-SHA-256.
///
/// So a key is replaced in three steps, each of which may take its time to reach all replicas. From `old`, go to `old,
/// new, old`: all replicas can open what the new key will seal. Then to `new, old`: it seals. Then to `new`: records
/// get new names, which costs one more token request for each token. A key may be listed twice.
///
/// A file is read again before each token is fetched. While it is missing or unusable, its previous keys are used. If
/// it was never readable, each replica fetches for itself: nothing is ever stored unsealed.
///
/// Records are sealed with AES-256-GCM-SIV (RFC 8452) and random nonces, and bound to their names. A record that was
/// copied under another name does not open. `Debug` shows no key.
///
/// Records are not bound to their time. A party that can write to the store can put an old record back. For access
/// tokens that costs requests: replicas may adopt an expired or revoked token, until the API rejects it. An old refresh
/// token would be sent again, which may end the consent. So let only the replicas write to the store.
///
/// ```
/// use bearer_token::shared::SealingKeys;
///
/// let keys = SealingKeys::file("/run/secrets/fleet.keys");
/// let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
/// # let _ = keys;
/// ```
#[derive(Clone)]
pub struct SealingKeys(Keys);

#[derive(Clone)]
enum Keys {
    Literal(Zeroizing<String>),
    File(LastGood<Arc<Ring>>),
}

impl SealingKeys {
    /// These keys.
    pub fn new(keys: impl Into<String>) -> Self {
        SealingKeys(Keys::Literal(Zeroizing::new(keys.into())))
    }

    /// The keys in a file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        SealingKeys(Keys::File(LastGood::new(path)))
    }

    /// What is wrong with the keys now. A file that is not there yet is no problem, because it may come later. Blocks.
    pub(super) fn problem(&self) -> Option<Problem> {
        match &self.0 {
            Keys::Literal(keys) => Ring::parse(keys).err().map(|found| problem(&found)),
            Keys::File(file) if file.path().exists() => file
                .read(|bytes, _| parse_file(file.path(), bytes))
                .err()
                .map(|error| Problem::new("key", error.to_string())),
            Keys::File(_) => None,
        }
    }

    /// The keys for one fetch. A file is read away from the tasks of the runtime.
    pub(super) async fn ring(&self, platform: &Platform) -> Result<Arc<Ring>, Error> {
        match &self.0 {
            Keys::Literal(keys) => {
                Ring::parse(keys).map(Arc::new).map_err(|found| Error::config(UNUSABLE, [problem(&found)]))
            }
            Keys::File(file) => {
                let file = file.clone();
                platform.run_blocking(move || file.read(|bytes, _| parse_file(file.path(), bytes))).await?
            }
        }
    }
}

const UNUSABLE: &str = "the sealing keys are unusable";
const EXPECTED: &str = "one key per line, each 32 bytes in Base64 (`openssl rand -base64 32`)";

fn problem(found: &str) -> Problem {
    Problem::new("key", found.to_owned()).expecting(EXPECTED)
}

#[allow(clippy::needless_pass_by_value, reason = "the bytes of the file are wiped here")]
fn parse_file(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Arc<Ring>, Error> {
    let text = str::from_utf8(&bytes).map_err(|_| "found bytes that are not UTF-8".to_owned());
    text.and_then(Ring::parse).map(Arc::new).map_err(|found| {
        let path = path.display();
        let message = format!("the sealing keys in the file `{path}` are unusable: {found}; expected {EXPECTED}");
        Error::new(ErrorKind::Source, message).with_retry(Retry::AfterChange)
    })
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Keys::Literal(_) => f.write_str("SealingKeys([redacted])"),
            Keys::File(file) => write!(f, "SealingKeys({:?})", file.path()),
        }
    }
}

/// Keys that were parsed.
pub(super) struct Ring {
    keys: Vec<Key>,
    names: hmac::Key,
    refresh_tokens: hmac::Key,
    credentials: hmac::Key,
}

struct Key {
    id: [u8; ID],
    cipher: RandomizedNonceKey,
}

/// The version of the envelope.
const ENVELOPE: u8 = 1;
const ID: usize = 8;
const NONCE: usize = 12;
const KEY: usize = 32;
/// The most bytes of a sealed record.
const MOST: usize = MemorySharedStore::MAX_RECORD;
const LARGE: &str = "it is larger than 64 KiB";
/// More than any rotation needs.
const MOST_KEYS: usize = 16;

impl Ring {
    /// Reads the keys, or says what was found, with the number of the line and none of its content.
    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut last = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            if keys.len() == MOST_KEYS {
                return Err(format!("found more than {MOST_KEYS} keys"));
            }
            let Ok(bytes) = BASE64_STANDARD.decode(line).map(Zeroizing::new) else {
                return Err(format!("found a line that is not Base64 (line {number})"));
            };
            if bytes.len() != KEY {
                return Err(format!("found a key of {} bytes (line {number})", bytes.len()));
            }
            // A key of HMAC has its own purpose by its own label.
            let root = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            let id = derive(&root, b"bearer-token key id 1");
            let cipher = derive(&root, b"bearer-token sealing key 1");
            let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, &*cipher);
            let cipher = cipher.map_err(|_| format!("found a key that AES-256-GCM-SIV refuses (line {number})"))?;
            let mut short = [0; ID];
            short.copy_from_slice(&id[..ID]);
            keys.push(Key { id: short, cipher });
            last = Some(root);
        }
        let Some(last) = last else { return Err("found no key".to_owned()) };
        let named = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &*derive(&last, label));
        let names = named(b"bearer-token store key 1");
        let refresh_tokens = named(b"bearer-token refresh token key 1");
        Ok(Ring { keys, names, refresh_tokens, credentials: named(b"bearer-token credential 1") })
    }

    /// The name of the record for an identity.
    pub(super) fn store_key(&self, namespace: &str, identity: &[u8]) -> StoreKey {
        let mut context = hmac::Context::with_key(&self.names);
        context.update(&(namespace.len() as u64).to_be_bytes());
        context.update(namespace.as_bytes());
        context.update(identity);
        StoreKey::new(bytes_of(&context.sign()))
    }

    /// The name of the record for a refresh token. No namespace and no identity of an access token leads to it.
    pub(super) fn refresh_token_key(&self, name: &str) -> StoreKey {
        StoreKey::new(bytes_of(&hmac::sign(&self.refresh_tokens, name.as_bytes())))
    }

    /// What tells two credentials apart, and says nothing about them. `None` if there is no credential.
    pub(super) fn credential(&self, credential: &[u8]) -> Option<String> {
        if credential.is_empty() {
            return None;
        }
        let tag = bytes_of(&hmac::sign(&self.credentials, credential));
        Some(BASE64_STANDARD.encode(&tag[..16]))
    }

    /// Seals a record with the first key, or says why not.
    pub(super) fn seal(&self, plain: Zeroizing<Vec<u8>>, name: &StoreKey) -> Result<Vec<u8>, &'static str> {
        let failed = "it cannot be sealed";
        // `parse` refuses a ring without keys.
        let key = self.keys.first().ok_or(failed)?;
        let mut text = plain;
        let nonce = {
            let aad = Aad::from(associated(ENVELOPE, &key.id, name));
            // The tag must not move the plain text, which would leave a copy behind.
            text.reserve_exact(AES_256_GCM_SIV.tag_len());
            key.cipher.seal_in_place_append_tag(aad, &mut *text).map_err(|_| failed)?
        };
        let mut sealed = Vec::with_capacity(1 + ID + NONCE + text.len());
        sealed.push(ENVELOPE);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        if sealed.len() > MOST { Err(LARGE) } else { Ok(sealed) }
    }

    /// Opens a record, or says why not.
    pub(super) fn open(&self, sealed: &[u8], name: &StoreKey) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        if sealed.len() > MOST {
            return Err(LARGE);
        }
        let short = "it is too short";
        let (version, rest) = sealed.split_first().ok_or(short)?;
        if *version != ENVELOPE {
            return Err("it has a version that this program does not know");
        }
        let (id, rest) = rest.split_at_checked(ID).ok_or(short)?;
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or(short)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or("it was sealed with a key that this program does not have")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| short)?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(associated(ENVELOPE, &key.id, name));
        let plain = key.cipher.open_in_place(nonce, aad, &mut text).map_err(|_| "it was damaged or copied")?;
        let length = plain.len();
        text.truncate(length);
        Ok(text)
    }
}

/// Whether a newer version may have sealed a record. Versions are counted up from [`ENVELOPE`], and text that another
/// program left begins with a greater byte.
pub(super) fn is_newer_envelope(sealed: &[u8]) -> bool {
    sealed.first().is_some_and(|version| (ENVELOPE + 1..b' ').contains(version))
}

/// What is authenticated besides the record.
fn associated(version: u8, id: &[u8; ID], name: &StoreKey) -> Vec<u8> {
    [&[version], &id[..], name.as_str().as_bytes()].concat()
}

/// A key for one purpose. Keys for different labels tell nothing of each other.
fn derive(root: &hmac::Key, label: &[u8]) -> Zeroizing<[u8; KEY]> {
    Zeroizing::new(bytes_of(&hmac::sign(root, label)))
}

/// The tag of HMAC-SHA-256.
fn bytes_of(tag: &hmac::Tag) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, of_tag)| *byte = *of_tag);
    bytes
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; KEY])
    }

    fn ring(bytes: &[u8]) -> Ring {
        let lines: Vec<_> = bytes.iter().map(|byte| line(*byte)).collect();
        Ring::parse(&lines.join("\n")).unwrap()
    }

    fn plain(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    fn name() -> StoreKey {
        StoreKey::new([7; 32])
    }

    #[test]
    fn the_first_key_seals_and_all_keys_open() {
        let sealed = ring(&[1]).seal(plain("MARKER"), &name()).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("MARKER"));
        for bytes in [&[1][..], &[1, 2], &[2, 1], &[1, 2, 1]] {
            assert_eq!(*ring(bytes).open(&sealed, &name()).unwrap(), b"MARKER", "{bytes:?}");
        }
        let by_new = ring(&[2, 1]).seal(plain("MARKER"), &name()).unwrap();
        let problem = ring(&[1]).open(&by_new, &name()).unwrap_err();
        assert_eq!(problem, "it was sealed with a key that this program does not have");
    }

    #[test]
    fn the_last_key_names_records() {
        let named = |bytes: &[u8]| ring(bytes).store_key("n", b"identity");
        assert_eq!(named(&[1]), named(&[1, 2, 1]));
        assert_eq!(named(&[1]), named(&[2, 1]));
        assert_ne!(named(&[1]), named(&[2]));
        assert_ne!(named(&[1]), ring(&[1]).store_key("m", b"identity"));
        assert_ne!(ring(&[1]).store_key("a", b"bc"), ring(&[1]).store_key("ab", b"c"));
    }

    #[test]
    fn names_of_refresh_tokens_are_no_names_of_access_tokens() {
        let ring = ring(&[1]);
        let name = ring.refresh_token_key("consent");
        for namespace in ["", "consent", "refresh token"] {
            assert_ne!(ring.store_key(namespace, b"consent"), name);
        }
        assert_ne!(ring.refresh_token_key("another consent"), name);
    }

    #[test]
    fn no_two_seals_are_alike() {
        let ring = ring(&[1]);
        assert_ne!(ring.seal(plain("a"), &name()).unwrap(), ring.seal(plain("a"), &name()).unwrap());
    }

    #[test]
    fn a_record_does_not_open_under_another_name() {
        let ring = ring(&[1]);
        let sealed = ring.seal(plain("a"), &name()).unwrap();
        assert_eq!(ring.open(&sealed, &StoreKey::new([8; 32])).unwrap_err(), "it was damaged or copied");
    }

    #[test]
    fn a_record_over_the_limit_is_neither_sealed_nor_opened() {
        let ring = ring(&[1]);
        let of = |size| ring.seal(Zeroizing::new(vec![b'a'; size]), &name());
        let most = MOST - of(0).unwrap().len();
        let mut sealed = of(most).unwrap();
        assert_eq!(ring.open(&sealed, &name()).unwrap().len(), most);
        assert_eq!(of(most + 1).unwrap_err(), LARGE);
        sealed.push(0);
        assert_eq!(ring.open(&sealed, &name()).unwrap_err(), LARGE);
    }

    #[test]
    fn no_changed_byte_opens() {
        let ring = ring(&[1]);
        let sealed = ring.seal(plain("a record"), &name()).unwrap();
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            ring.open(&damaged, &name()).unwrap_err();
            ring.open(&sealed[..index], &name()).unwrap_err();
        }
    }

    #[test]
    fn bad_keys_are_named_by_line_without_showing_them() {
        for (text, expected) in [
            (String::new(), "found no key"),
            ("# only a comment\n\n".to_owned(), "found no key"),
            (format!("{}\nMARKER!", line(1)), "found a line that is not Base64 (line 2)"),
            (BASE64_STANDARD.encode("MARKER"), "found a key of 6 bytes (line 1)"),
            (vec![line(1); 17].join("\n"), "found more than 16 keys"),
        ] {
            let problem = SealingKeys::new(text.clone()).problem().unwrap().to_string();
            assert!(problem.contains(expected) && problem.contains("openssl rand -base64 32"), "{problem}");
            assert!(!problem.contains("MARKER") && !problem.contains(&BASE64_STANDARD.encode("MARKER")), "{problem}");
        }
        let good = SealingKeys::new(format!("# fleet\n\n {} \n", line(1)));
        assert!(good.problem().is_none());
        assert!(!format!("{good:?}").contains(&line(1)));
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_its_last_good_keys_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let (keys, platform) = (SealingKeys::file(&path), Platform::system());
        assert!(keys.problem().is_none(), "it may come later");
        assert_eq!(keys.ring(&platform).await.unwrap_err().retry(), Retry::AfterChange);
        std::fs::write(&path, line(1)).unwrap();
        let first = keys.ring(&platform).await.unwrap().store_key("", b"");
        std::fs::write(&path, "MARKER").unwrap();
        assert_eq!(keys.ring(&platform).await.unwrap().store_key("", b""), first);
        std::fs::write(&path, line(2)).unwrap();
        assert_ne!(keys.ring(&platform).await.unwrap().store_key("", b""), first);
    }

    #[test]
    fn credentials_are_told_apart_and_not_shown() {
        let ring = ring(&[1]);
        let one = ring.credential(b"MARKER").unwrap();
        assert_ne!(Some(&one), ring.credential(b"other").as_ref());
        assert!(!one.contains("MARKER") && ring.credential(b"").is_none());
    }
}
