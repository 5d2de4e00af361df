//! A key in a file that is read again.

use std::{path::Path, sync::Arc};

use super::{Local, reader::KeyReader};
use crate::{
    error::{Error, ErrorKind},
    files::watched::{WatchedFile, without_line_end},
    jwt::algorithm::Algorithm,
    observe,
    sync::{Mutex, lock},
};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Digest, SHA256, digest},
};

/// A key file, and the last key that was in it.
pub(crate) struct KeyFile {
    file: WatchedFile,
    reader: KeyReader,
    /// What cannot be read a second time, such as a pipe.
    once: bool,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    key: Arc<Local>,
    /// Of the content that it was made from: parsing an RSA key takes as long as a signature.
    digest: Digest,
}

impl KeyFile {
    /// Reads the key for the first time. Blocks.
    pub(crate) fn open(path: &Path, reader: &KeyReader) -> Result<(Algorithm, Self), Error> {
        let file = WatchedFile::new(path);
        let (text, again) = file.read_first().map_err(|problem| Error::new(ErrorKind::Config, problem))?;
        let digest = digest(&SHA256, &text);
        let (algorithm, key) = reader.read_local(without_line_end(text))?;
        let loaded = Mutex::new(Loaded { key: Arc::new(key), digest });
        Ok((algorithm, KeyFile { file, reader: reader.pinned(algorithm), once: !again, loaded }))
    }

    /// The last key that was read.
    pub(crate) fn key(&self) -> Arc<Local> {
        lock(&self.loaded).key.clone()
    }

    /// Reads the file, and takes its key over if it is another one that can be used. Blocks.
    pub(crate) fn read_again(&self) -> Arc<Local> {
        if !self.once
            && let Err(problem) = self.take_over()
        {
            observe::kept(self.file.path(), &problem);
        }
        self.key()
    }

    /// Whether the file was written since it was read last.
    pub(crate) fn has_changed(&self) -> bool {
        !self.once && self.file.has_changed()
    }

    fn take_over(&self) -> Result<(), String> {
        let text = self.file.read()?;
        let digest = digest(&SHA256, &text);
        if verify_slices_are_equal(digest.as_ref(), lock(&self.loaded).digest.as_ref()).is_ok() {
            return Ok(());
        }
        let (_, key) = self.reader.read_local(without_line_end(text)).map_err(|error| error.to_string())?;
        if key.bare && !self.key().bare {
            return Err(
                "found neither a PEM nor a JWK; expected one, as the file held before: is it half written?".to_owned()
            );
        }
        *lock(&self.loaded) = Loaded { key: Arc::new(key), digest };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        jwt::{
            JwtTemplate, SigningKey,
            formats::encoding as decode,
            test_support::{jwk_set, jwk_text, pem},
        },
        test_support::{NoSpawn, platform_at},
    };

    fn file(content: &str) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        (directory, path)
    }

    /// The header of a JWT of this template, and whether this key signed it: of HMAC and Ed25519 there is only one
    /// signature.
    async fn sign_and_compare(template: &JwtTemplate, expected: &SigningKey) -> (Value, bool) {
        let jwt = template.sign(&platform_at(1_000)).await.unwrap();
        let (input, signature) = jwt.secret().rsplit_once('.').unwrap();
        let (_, expected) = expected.sign(&platform_at(0), input.to_owned()).await.unwrap();
        let decoded = |text: &str| decode::base64(text.as_bytes()).unwrap();
        let header = serde_json::from_slice(&decoded(input.split('.').next().unwrap())).unwrap();
        (header, *decoded(signature) == expected)
    }

    async fn sign(template: &JwtTemplate, secret: &str) -> (Value, bool) {
        sign_and_compare(template, &SigningKey::hmac(Algorithm::HS256, secret).unwrap()).await
    }

    const FIRST: &str = "the first secret of 32 bytes, at least";
    const SECOND: &str = "the second secret of 32 bytes, at least";

    #[tokio::test]
    async fn l24_a_key_that_is_replaced_signs_from_the_next_jwt_on() {
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
    async fn l24_a_half_written_file_keeps_the_old_key_and_the_whole_one_is_taken_over() {
        let (_directory, path) = file(&pem("ed25519"));
        let key = SigningKey::from_file(Algorithm::EdDSA, &path).unwrap();
        let template = JwtTemplate::builder(key.clone()).build().unwrap();
        let old = SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")).unwrap();
        // PKCS#8 of another seed.
        let der = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(), &[7; 32]].concat();
        let text = ::pem::encode(&::pem::Pem::new("PRIVATE KEY", der));
        let new = SigningKey::ed25519([7; 32]).unwrap();

        let half = &text[..text.len() / 2];
        let too_large = "x".repeat(2 << 20);
        // Neither what is unfinished, nor another kind of key, nor nothing at all.
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

    #[tokio::test]
    async fn l24_a_jwk_brings_its_new_name_along_and_keeps_its_algorithm() {
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
        assert!(KeyReader::new().read_file(&path).is_ok(), "it is a key all the same");
        assert_eq!(sign(&template, SECOND).await.0["kid"], "2026-02");
    }

    #[tokio::test]
    async fn l24_a_torn_jwk_or_pem_never_becomes_a_shared_secret_or_a_seed() {
        let encode = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        let jwk = jwk_text("oct", json!({ "kid": "2026-01", "pad": "x".repeat(100) }));
        let reader = KeyReader::new();
        for (whole, reader) in [
            (jwk.clone(), reader.clone()),
            (encode(&jwk), reader.clone()),
            // Decoded, any bytes could be the secret.
            (encode(&jwk), reader.clone().algorithm(Algorithm::HS256).encoding(crate::jwt::Encoding::Base64)),
            (pem("ed25519"), reader.clone().algorithm(Algorithm::EdDSA)),
        ] {
            let (_directory, path) = file(&whole);
            let Ok((_, file)) = KeyFile::open(&path, &reader) else { panic!("it opens") };
            let first = file.key();
            for length in 0..whole.len() - 1 {
                fs::write(&path, &whole[..length]).unwrap();
                assert!(Arc::ptr_eq(&first, &file.read_again()), "after {length} bytes of {whole}");
            }
            // A secret, or the 32 bytes of a seed.
            fs::write(&path, encode(&"s".repeat(32))).unwrap();
            assert!(Arc::ptr_eq(&first, &file.read_again()), "of another form");
        }
        // From one whole form to the other, and from a secret to a JWK.
        for (first, second, algorithm) in [
            (pem("p256"), jwk_text("p256", json!({ "kid": "b" })), Algorithm::ES256),
            (jwk_text("p256", json!({})), pem("p256"), Algorithm::ES256),
            (FIRST.to_owned(), jwk, Algorithm::HS256),
        ] {
            let (_directory, path) = file(&first);
            let Ok((_, file)) = KeyFile::open(&path, &KeyReader::new().algorithm(algorithm)) else {
                panic!("it opens")
            };
            let first = file.key();
            fs::write(&path, second).unwrap();
            assert!(!Arc::ptr_eq(&first, &file.read_again()));
        }
    }

    #[tokio::test]
    async fn a_file_is_read_away_from_the_tasks_of_the_runtime_and_parsed_only_when_it_has_changed() {
        let (_directory, path) = file(FIRST);
        let key = SigningKey::from_file(Algorithm::HS256, &path).unwrap();
        let Ok((_, file)) = KeyFile::open(&path, &KeyReader::new().algorithm(Algorithm::HS256)) else {
            panic!("it opens")
        };
        let spawn = NoSpawn::default();
        let platform = platform_at(0).with_spawn(spawn.clone());
        let now = key.now(&platform).await.unwrap();
        now.sign(&platform, "message".to_owned()).await.unwrap();
        assert_eq!(spawn.take_jobs(), 1);

        let first = file.key();
        fs::write(&path, format!("{FIRST}\n")).unwrap();
        fs::write(&path, FIRST).unwrap();
        assert!(Arc::ptr_eq(&first, &file.read_again()), "the same content");
        fs::write(&path, SECOND).unwrap();
        assert!(!Arc::ptr_eq(&first, &file.read_again()));
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn l24_a_pipe_or_a_directory_in_the_place_of_the_file_keeps_the_old_key_and_holds_nobody() {
        let (directory, path) = file(FIRST);
        let Ok((_, file)) = KeyFile::open(&path, &KeyReader::new().algorithm(Algorithm::HS256)) else {
            panic!("it opens")
        };
        let file = Arc::new(file);
        let first = file.key();
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
            std::thread::spawn(move || done.send(reading.read_again()));
            let key = ended.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
            assert!(Arc::ptr_eq(&first, &key), "{name}");
        }
        fs::remove_dir(&path).unwrap();
        fs::write(&path, SECOND).unwrap();
        assert!(!Arc::ptr_eq(&first, &file.read_again()), "a file again");
    }

    #[cfg(unix)]
    #[test]
    #[allow(clippy::disallowed_methods, reason = "what fails would hang")]
    fn what_is_no_regular_file_is_read_once() {
        let (_directory, name, sender) = pipe(FIRST);
        let key = SigningKey::from_file(Algorithm::HS256, &name).unwrap();
        sender.join().unwrap();
        assert!(!key.has_changed());
        let reader = KeyReader::new().algorithm(Algorithm::HS256);
        let (_directory, name, sender) = pipe(FIRST);
        let Ok((_, file)) = KeyFile::open(&name, &reader) else { panic!("it opens") };
        sender.join().unwrap();
        // Would wait for ever for somebody to write.
        let (done, ended) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            file.read_again();
            drop(done);
        });
        let waited = ended.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(waited, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    /// A named pipe, and the thread that writes into it.
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
    fn a_file_that_is_not_there_or_does_not_fit_at_first_is_an_error() {
        let (directory, path) = file("");
        let error = SigningKey::from_file(Algorithm::HS256, directory.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("none` cannot be read"), "{error}");
        for (content, expected) in [
            ("", "found an empty secret"),
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
