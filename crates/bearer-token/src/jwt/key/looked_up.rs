//! A key that is looked up again before each signature.
//!
//! A key is parsed anew only when its content has changed, which a SHA-256 tells. Parsing an RSA key takes as long as a
//! signature, so parsing it each time would double the cost of a refresh.
//!
//! Three rules keep a rotation from becoming an outage. The last good key stays. The algorithm never changes. A file
//! that held a document does not become a bare secret.

use std::sync::Arc;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Digest, SHA256, digest},
};

use super::{diagnose, material::KeyMaterial};
use crate::{
    error::Error,
    files::turn::Turn,
    jwt::algorithm::Algorithm,
    problem::Problem,
    sync::{Mutex, lock},
    value::Value,
};

/// The place of a key, and the last usable key in it. A clone shares both.
#[derive(Clone)]
pub(crate) struct LookedUpKey(Arc<Inner>);

/// What the clones of a key share. `reading` lets one caller read at a time. Others wait for a moment and then use the
/// last key: a network file system may hang for minutes.
struct Inner {
    value: Value,
    /// That of the first key. A file cannot change it: headers and servers depend on it.
    algorithm: Algorithm,
    parse: Box<Parse>,
    /// Taken while the key is looked up.
    reading: Turn,
    memory: Mutex<LastKey>,
}

/// Parses the content, for the algorithm of the first key if there was one.
type Parse = dyn Fn(&[u8], Option<Algorithm>) -> Result<KeyMaterial, Error> + Send + Sync;

/// The last usable key, and what was told about later content.
struct LastKey {
    last: LoadedKey,
    /// What the last event said, and about which content.
    reported: Option<(Option<Vec<u8>>, String)>,
}

impl LastKey {
    /// The previous key, and the problem with the content if it was not reported yet.
    ///
    /// A problem is told once for each content, or the log would have it at every refresh.
    fn kept(&mut self, content: Option<Vec<u8>>, problem: String) -> (Arc<KeyMaterial>, Option<String>) {
        let now = Some((content, problem));
        let news = if self.reported == now { None } else { now.as_ref().map(|(_, problem)| problem.clone()) };
        self.reported = now;
        (self.last.material.clone(), news)
    }
}

/// A key, and the content that it was read from.
#[derive(Clone)]
struct LoadedKey {
    material: Arc<KeyMaterial>,
    /// The digest of the content. Unchanged content is not parsed again: for an RSA key that takes as long as a
    /// signature.
    digest: Digest,
}

impl LookedUpKey {
    /// Looks the key up for the first time. Blocks.
    pub(crate) fn open(
        value: Value,
        algorithm: Option<Algorithm>,
        parse: impl Fn(&[u8], Option<Algorithm>) -> Result<KeyMaterial, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let content = value.bytes_now("key").map_err(|problem| diagnose::missing(problem, algorithm))?;
        let named = |problem: Problem| problem.with_found(|found| value.clause(found));
        let last =
            load(&parse, &content, digest(&SHA256, &content), None).map_err(|error| error.map_problems(named))?;
        Ok(LookedUpKey(Arc::new(Inner {
            value,
            algorithm: last.material.algorithm,
            parse: Box::new(parse),
            reading: Turn::new(),
            memory: Mutex::new(LastKey { last, reported: None }),
        })))
    }

    /// The algorithm, which never changes.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The last usable key, without another look.
    pub(crate) fn last(&self) -> Arc<KeyMaterial> {
        lock(&self.0.memory).last.material.clone()
    }

    /// Looks the key up. If it is missing or unusable, the previous key is returned, with the problem if it is a new
    /// one. Blocks, but not for long while another caller looks it up: the file system may hang.
    pub(crate) fn read(&self) -> (Arc<KeyMaterial>, Option<String>) {
        let Inner { value, parse, reading, memory, .. } = &*self.0;
        let Some(_reading) = reading.take() else {
            let problem = "it has been read for too long by another fetch: does its file system hang?";
            return lock(memory).kept(None, problem.to_owned());
        };
        let last = lock(memory).last.clone();
        let mut found = None;
        let loaded = value.bytes_now("key").map_err(diagnose::error).and_then(|content| {
            let digest = digest(&SHA256, &content);
            found = Some(digest);
            load(&**parse, &content, digest, Some(&last))
        });
        let mut memory = lock(memory);
        match loaded {
            Ok(loaded) => {
                let key = loaded.material.clone();
                *memory = LastKey { last: loaded, reported: None };
                (key, None)
            }
            Err(error) => memory.kept(found.map(|digest| digest.as_ref().to_vec()), error.to_string()),
        }
    }

    /// The place of the key, for events.
    pub(crate) fn place(&self) -> String {
        self.0.value.place()
    }

    /// Whether its file was written since it was read last.
    pub(crate) fn has_changed(&self) -> bool {
        self.0.value.has_changed()
    }
}

/// Parses the content, unless it is that of the last key. The comparison takes constant time. The digests are of
/// secrets, and a timing leak would tell about the content.
fn load(parse: &Parse, content: &[u8], digest: Digest, last: Option<&LoadedKey>) -> Result<LoadedKey, Error> {
    if let Some(last) = last
        && verify_slices_are_equal(digest.as_ref(), last.digest.as_ref()).is_ok()
    {
        return Ok(last.clone());
    }
    let material = parse(content, last.map(|last| last.material.algorithm))?;
    if material.is_bare && last.is_some_and(|last| !last.material.is_bare) {
        return Err(diagnose::changed_form());
    }
    Ok(LoadedKey { material: Arc::new(material), digest })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        error::ErrorKind,
        jwt::{
            JwtTemplate, SigningKey,
            formats::encoding::{self, Encoding},
            key::{KeyPlace, reader::KeyReader},
            native::NativeKey,
            test_support::{jwk_set, jwk_text, pem},
        },
        test_support::{NoSpawn, platform_at},
    };

    fn key_file(path: &Path, reader: &KeyReader) -> LookedUpKey {
        match &reader.clone().read_file(path).unwrap().place {
            KeyPlace::LookedUp(file) => file.clone(),
            KeyPlace::Memory(_) | KeyPlace::Remote(_) => panic!("it is in a file"),
        }
    }

    fn file(content: &str) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        (directory, path)
    }

    /// The header of a JWT of this template, and whether this key signed it. HMAC and Ed25519 have only one signature.
    async fn sign_and_compare(template: &JwtTemplate, expected: &SigningKey) -> (Value, bool) {
        let jwt = template.sign(&platform_at(1_000)).await.unwrap();
        let (input, _) = jwt.secret().rsplit_once('.').unwrap();
        let expected = expected.sign(&platform_at(0), input.to_owned()).await.unwrap();
        let decoded = |text: &str| encoding::base64(text.as_bytes()).unwrap();
        let header = serde_json::from_slice(&decoded(input.split('.').next().unwrap())).unwrap();
        (header, jwt.secret() == *expected)
    }

    async fn sign(template: &JwtTemplate, secret: &str) -> (Value, bool) {
        sign_and_compare(template, &SigningKey::hmac(Algorithm::HS256, secret).unwrap()).await
    }

    const FIRST: &str = "the first secret of 32 bytes, at least";
    const SECOND: &str = "the second secret of 32 bytes, at least";

    #[tokio::test]
    async fn l24_a_replaced_key_signs_the_next_jwt() {
        let (_directory, path) = file(&format!("{FIRST}\r\n"));
        let key = SigningKey::from_file(Algorithm::HS256, &path).unwrap();
        let template = JwtTemplate::builder(key.clone()).build().unwrap();
        assert!(sign(&template, FIRST).await.1);
        assert!(!key.has_changed());
        fs::write(&path, format!("{SECOND}\n")).unwrap();
        assert!(key.has_changed());
        assert!(sign(&template, SECOND).await.1);
        assert!(!key.has_changed());
    }

    #[tokio::test]
    async fn l24_a_half_written_file_keeps_the_old_key() {
        let (_directory, path) = file(&pem("ed25519"));
        let key = SigningKey::from_file(Algorithm::EdDSA, &path).unwrap();
        let template = JwtTemplate::builder(key.clone()).build().unwrap();
        let old = SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")).unwrap();
        // PKCS#8 of another seed.
        let der = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(), &[7; 32]].concat();
        let text = ::pem::encode(&::pem::Pem::new("PRIVATE KEY", der));
        let new = KeyReader::new().algorithm(Algorithm::EdDSA).encoding(Encoding::Binary).read([7; 32]).unwrap();

        let half = &text[..text.len() / 2];
        let too_large = "x".repeat(2 << 20);
        // Half a key, no key, another kind of key, other files.
        for content in [half, "", "\n", &pem("p384"), &pem("certificate"), &pem("rsa2048"), &too_large, "{"] {
            fs::write(&path, content).unwrap();
            assert!(sign_and_compare(&template, &old).await.1, "after {} bytes", content.len());
            assert!(!key.has_changed(), "it was looked at");
        }
        fs::remove_file(&path).unwrap();
        assert!(sign_and_compare(&template, &old).await.1, "without a file");
        fs::write(&path, &text).unwrap();
        assert!(key.has_changed());
        assert!(sign_and_compare(&template, &new).await.1);
    }

    // shows: 7518/8.3
    #[tokio::test]
    async fn l24_a_new_jwk_brings_its_name_and_keeps_the_algorithm() {
        let jwk = |name: &str, secret: &str| {
            let k = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, secret);
            jwk_text("oct", json!({ "kid": name, "k": k }))
        };
        let (_directory, path) = file(&jwk_set(&[jwk("2026-01", FIRST)]));
        let key = KeyReader::new().read_file(&path).unwrap();
        assert_eq!(key.key_id().as_deref(), Some("2026-01"));
        let template = JwtTemplate::builder(key.clone()).build().unwrap();
        let renamed = JwtTemplate::builder(key.clone()).key_id("mine").build().unwrap();
        let nameless = JwtTemplate::builder(key.clone()).header("kid", Value::Null).build().unwrap();
        assert_eq!(sign(&template, FIRST).await, (json!({ "alg": "HS256", "typ": "JWT", "kid": "2026-01" }), true));

        fs::write(&path, jwk("2026-02", SECOND)).unwrap();
        assert_eq!(sign(&template, SECOND).await, (json!({ "alg": "HS256", "typ": "JWT", "kid": "2026-02" }), true));
        assert_eq!(key.key_id().as_deref(), Some("2026-02"));
        assert_eq!(sign(&renamed, SECOND).await.0["kid"], "mine");
        assert_eq!(sign(&nameless, SECOND).await.0.get("kid"), None);
        assert!(format!("{template:?}").contains("2026-02"));

        // The header of every JWT names the algorithm.
        let long = FIRST.repeat(2);
        fs::write(&path, jwk("2026-03", &long).replace("HS256", "HS384")).unwrap();
        assert!(KeyReader::new().read_file(&path).is_ok(), "it is still a key");
        assert_eq!(sign(&template, SECOND).await.0["kid"], "2026-02");
    }

    #[tokio::test]
    async fn l24_a_torn_key_never_becomes_a_secret() {
        let encode = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        let jwk = jwk_text("oct", json!({ "kid": "2026-01", "pad": "x".repeat(100) }));
        let reader = KeyReader::new();
        for (whole, reader) in [
            (jwk.clone(), reader.clone()),
            (encode(&jwk), reader.clone()),
            // Decoded, any bytes could be the secret.
            (encode(&jwk), reader.clone().algorithm(Algorithm::HS256).encoding(Encoding::Base64)),
            (pem("ed25519"), reader.clone().algorithm(Algorithm::EdDSA)),
        ] {
            let (_directory, path) = file(&whole);
            let file = key_file(&path, &reader);
            let first = file.last();
            for length in 0..whole.len() - 1 {
                fs::write(&path, &whole[..length]).unwrap();
                assert!(Arc::ptr_eq(&first, &file.read().0), "after {length} bytes of {whole}");
            }
            // A secret, or the 32 bytes of a seed.
            fs::write(&path, encode(&"s".repeat(32))).unwrap();
            assert!(Arc::ptr_eq(&first, &file.read().0), "of another form");
        }
        // From one whole form to the other, and from a secret to a JWK.
        for (first, second, algorithm) in [
            (pem("p256"), jwk_text("p256", json!({ "kid": "b" })), Algorithm::ES256),
            (jwk_text("p256", json!({})), pem("p256"), Algorithm::ES256),
            (FIRST.to_owned(), jwk, Algorithm::HS256),
        ] {
            let (_directory, path) = file(&first);
            let file = key_file(&path, &KeyReader::new().algorithm(algorithm));
            let first = file.last();
            fs::write(&path, second).unwrap();
            assert!(!Arc::ptr_eq(&first, &file.read().0));
        }
    }

    #[tokio::test]
    async fn only_changed_content_is_parsed_and_away_from_the_runtime() {
        let (_directory, path) = file(FIRST);
        let key = SigningKey::from_file(Algorithm::HS256, &path).unwrap();
        let file = key_file(&path, &KeyReader::new().algorithm(Algorithm::HS256));
        let spawn = NoSpawn::default();
        let platform = platform_at(0).with_spawn(spawn.clone());
        let now = key.now(&platform).await.unwrap();
        now.sign(&platform, "message".to_owned()).await.unwrap();
        assert_eq!(spawn.take_jobs(), 1);

        let first = file.last();
        fs::write(&path, format!("{FIRST}\n")).unwrap();
        fs::write(&path, FIRST).unwrap();
        assert!(Arc::ptr_eq(&first, &file.read().0), "the same content");
        fs::write(&path, SECOND).unwrap();
        assert!(!Arc::ptr_eq(&first, &file.read().0));
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn l24_a_pipe_in_place_of_the_file_blocks_nothing() {
        let (directory, path) = file(FIRST);
        let file = key_file(&path, &KeyReader::new().algorithm(Algorithm::HS256));
        let file = Arc::new(file);
        let first = file.last();
        type Make = fn(&Path);
        let make: [(&str, Make); 2] = [
            ("pipe", |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success())),
            ("directory", |path| fs::create_dir(path).unwrap()),
        ];
        for (name, make) in make {
            let other = directory.path().join(name);
            make(&other);
            fs::remove_file(&path).unwrap();
            fs::rename(&other, &path).unwrap();
            let (done, ended) = std::sync::mpsc::channel();
            let reading = Arc::clone(&file);
            std::thread::spawn(move || done.send(reading.read().0));
            let key = ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
            assert!(Arc::ptr_eq(&first, &key), "{name}");
        }
        fs::remove_dir(&path).unwrap();
        fs::write(&path, SECOND).unwrap();
        assert!(!Arc::ptr_eq(&first, &file.read().0), "a file again");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a reading that hangs, and one beside it")]
    fn while_a_reading_hangs_the_previous_key_is_used() {
        let (_directory, path) = file(FIRST);
        let (started, start) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Mutex::new(released);
        let key = LookedUpKey::open(crate::value::Value::file(&path), None, move |content, known| {
            if known.is_some() {
                started.send(()).unwrap();
                lock(&released).recv().unwrap();
            }
            let key = NativeKey::hmac(Algorithm::HS256, content, true).unwrap();
            Ok(KeyMaterial { algorithm: Algorithm::HS256, key, key_id: None, is_bare: true })
        });
        let mut inner = Arc::into_inner(key.unwrap().0).unwrap();
        inner.reading = Turn::with_patience(std::time::Duration::from_millis(1));
        let key = LookedUpKey(Arc::new(inner));
        let first = key.last();
        fs::write(&path, SECOND).unwrap();
        let hanging = key.clone();
        let reading = std::thread::spawn(move || hanging.read());
        start.recv().unwrap();
        let beside = key.clone();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send([beside.read(), beside.read()]));
        let [(kept, news), (_, again)] = ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert!(Arc::ptr_eq(&first, &kept) && again.is_none());
        assert!(news.unwrap().contains("does its file system hang"));
        release.send(()).unwrap();
        let (second, news) = reading.join().unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && news.is_none());
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn a_pipe_is_read_once() {
        let (_directory, name, sender) = pipe(FIRST);
        let key = SigningKey::from_file(Algorithm::HS256, &name).unwrap();
        sender.join().unwrap();
        assert!(!key.has_changed());
        let reader = KeyReader::new().algorithm(Algorithm::HS256);
        let (_directory, name, sender) = pipe(FIRST);
        let file = key_file(&name, &reader);
        sender.join().unwrap();
        // A second reading would wait for a writer.
        let (done, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let _key = file.read();
            drop(done);
        });
        let waited = ended.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(waited, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    /// A named pipe, and the thread that writes to it.
    #[cfg(unix)]
    #[allow(clippy::disallowed_methods, reason = "a pipe needs two ends")]
    fn pipe(content: &'static str) -> (TempDir, PathBuf, std::thread::JoinHandle<()>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let write_to = path.clone();
        let sender = std::thread::spawn(move || {
            fs::write(&write_to, content).unwrap();
        });
        (directory, path, sender)
    }

    #[test]
    fn the_first_reading_must_succeed() {
        let (directory, path) = file("");
        let error = SigningKey::from_file(Algorithm::HS256, directory.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("none` cannot be read"), "{error}");
        for (content, expected) in [
            ("", "found an empty string"),
            ("\n", "found an empty secret"),
            ("short", "found a secret of 5 bytes"),
            (&pem("p256"), "found a PEM"),
        ] {
            fs::write(&path, content).unwrap();
            let error = SigningKey::from_file(Algorithm::HS256, &path).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
