//! A key that signs JWTs.
//!
//! A [`SigningKey`] hides where a key is. For templates, grants and client authentication there are two calls: `now`,
//! which returns the key to use for this JWT, and `sign`. The first one is where files are read again, the second where
//! slow signatures leave the worker thread.
//!
//! | place | `now` | `sign` |
//! |---|---|---|
//! | memory | itself | in place, or on a blocking thread if it is slow |
//! | file, variable, part of one | reads it on a blocking thread; the last good key if it is unusable | as in memory |
//! | remote | itself | awaits the signer; the signature's form is checked |
//!
//! `now` returns a key in memory. So everything in one JWT, its `kid`, its fingerprint and its signature, belongs to
//! one key, even if the file changes meanwhile.

pub(crate) mod certified;
pub(crate) mod chain;
pub(crate) mod diagnose;
pub(crate) mod looked_up;
pub(crate) mod material;
pub(crate) mod reader;
pub(crate) mod remote;

#[cfg(test)]
mod certificate_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod surroundings_tests;
#[cfg(test)]
mod value_tests;
#[cfg(test)]
mod wrong_file_tests;

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use self::{
    looked_up::LookedUpKey,
    material::KeyMaterial,
    reader::KeyReader,
    remote::{DynSigner, Signer},
};
use super::{algorithm::Algorithm, formats::public_key, native::signature};
use crate::{
    error::Error,
    observe::{self, EventKind},
    platform::{Platform, preparation::AWS_LC_RANDOMNESS},
    source::Identity,
    value::Value,
};

/// A key that signs JWTs with one algorithm, parsed and checked when it is created.
///
/// | constructor | the key |
/// |---|---|
/// | [`from_pem`](Self::from_pem) | a private key as PEM: PKCS#8, PKCS#1, SEC1 |
/// | [`from_jwk`](Self::from_jwk) | a private JSON Web Key |
/// | [`hmac`](Self::hmac) | a shared secret |
/// | [`from_file`](Self::from_file) | a file in any format, which is read again when it changes |
/// | [`from_value`](Self::from_value) | a part of a file or of an environment variable, which is read again too |
/// | [`remote`](Self::remote) | a key in another place, behind a [`Signer`] |
///
/// A [`KeyReader`] reads everything else: JWK sets, encrypted keys, encoded and short secrets, DER, bare Ed25519 keys,
/// and keys whose format is not known in advance.
///
/// A clone shares the key. `Debug` shows the algorithm and the key id, never the key.
///
/// Every constructor fails with [`ErrorKind::Config`](crate::ErrorKind::Config). The error says what was found, what
/// was expected, and often how to convert it.
///
/// ```
/// use bearer_token::jwt::{Algorithm, SigningKey};
///
/// let key = SigningKey::hmac(Algorithm::HS256, "at least 32 bytes, from a vault or a file")?.with_key_id("2026-01");
/// assert_eq!(key.key_id().as_deref(), Some("2026-01"));
///
/// let error = SigningKey::from_pem(Algorithm::RS256, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----");
/// assert!(error.unwrap_err().to_string().contains("found a PEM with label CERTIFICATE; expected a private key"));
/// # Ok::<(), bearer_token::Error>(())
/// ```
///
/// # Which algorithm
///
/// The server decides, by what was registered there. Where there is a choice, prefer ES256 or EdDSA: their signatures
/// are small and take microseconds. RS256 is the most common one, but some servers refuse it.
///
/// | provider | algorithm |
/// |---|---|
/// | Google, GitHub, Snowflake, Vonage, Salesforce, DocuSign | RS256 |
/// | Apple (App Store Connect, push notifications, WeatherKit) | ES256 |
/// | Entra ID | PS256 |
/// | NHS England | RS512 |
/// | SMART Backend Services, Epic | RS384 or ES384 |
/// | NetSuite | PS256 or ES256 and longer; not RS256 |
/// | Yandex Cloud | PS256 |
/// | Box | RS512, as in its samples |
/// | Ghost, Zhipu, Twitch extensions, LiveKit | HS256 |
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    place: KeyPlace,
    key_id: Option<Arc<str>>,
}

/// Where the key is.
///
/// `Arc`s: each JWT clones the key, and that copies nothing.
#[derive(Clone)]
enum KeyPlace {
    Memory(Arc<KeyMaterial>),
    /// In a file, a variable, or a part of one.
    LookedUp(LookedUpKey),
    Remote(Arc<dyn DynSigner>),
}

impl SigningKey {
    /// Reads a private key from PEM (RFC 7468): PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC1
    /// (`EC PRIVATE KEY`).
    ///
    /// Other blocks, such as a certificate or EC parameters, and text around the key are ignored. Newlines may be of
    /// any kind, and escaped (`\n`). All of it may be wrapped in base64 once more. RSA keys have 2048 to 8192 bits (RFC
    /// 7518 section 3.3). Keys in OpenSSH's own format are refused.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](crate::ErrorKind::Config) if this is not the PEM of a private key for this algorithm.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem"));
    /// let key = SigningKey::from_pem(Algorithm::ES256, pem)?;
    /// // As an environment variable has it, on one line.
    /// let escaped = pem.replace('\n', "\\n");
    /// assert!(SigningKey::from_pem(Algorithm::ES256, &escaped).is_ok());
    /// // The wrong algorithm for this key; the error names the right one.
    /// let error = SigningKey::from_pem(Algorithm::RS256, pem).unwrap_err();
    /// assert!(error.to_string().contains("found an EC P-256 key"));
    /// # let _ = key; Ok(()) }
    /// ```
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        KeyReader::new().algorithm(algorithm).read_pem_only(algorithm, pem.as_ref())
    }

    /// Reads a private JSON Web Key (RFC 7517): RSA with all of `p`, `q`, `dp`, `dq` and `qi`, EC on P-256, P-384 or
    /// P-521, Ed25519, or a shared secret (`oct`).
    ///
    /// Its `kid` names the key, unless [`with_key_id`](Self::with_key_id) does. Its `alg` is the algorithm. Without
    /// one, EC and Ed25519 keys have only one choice, and others need a [`KeyReader`] with an
    /// [`algorithm`](KeyReader::algorithm).
    ///
    /// Keys for encryption (`use`), for other operations than `sign` (`key_ops`) and public halves are refused.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](crate::ErrorKind::Config) if this is not the JWK of such a key, or if the algorithm is
    /// open.
    ///
    /// ```
    /// use bearer_token::jwt::{Algorithm, SigningKey};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// let jwk = r#"{"kty": "oct", "kid": "2026-01", "alg": "HS256",
    ///     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    /// let key = SigningKey::from_jwk(jwk)?;
    /// assert_eq!((key.algorithm(), key.key_id().as_deref()), (Algorithm::HS256, Some("2026-01")));
    /// # Ok(()) }
    /// ```
    pub fn from_jwk(jwk: impl AsRef<[u8]>) -> Result<Self, Error> {
        KeyReader::new().read_jwk_only(jwk.as_ref())
    }

    /// Takes a shared secret, as text or as bytes. A byte order mark and one trailing newline are not part of text.
    ///
    /// A whole PEM or JWK is refused, and so is text that looks like a path, or has quotes or spaces around it. If the
    /// secret contains them, read it with a [`KeyReader`] and its [`encoding`](KeyReader::encoding).
    ///
    /// The secret must be at least as long as the hash (RFC 7518 section 3.2): 32 bytes for HS256, 48 for HS384, 64 for
    /// HS512. For servers that hand out shorter ones there is [`KeyReader::allow_short_secret`].
    ///
    /// For a secret that the server handed out in Base64 or hex, use a [`KeyReader`]. With the encoded string as the
    /// secret, signatures would be well-formed and always refused.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Config`](crate::ErrorKind::Config) if the algorithm is not one with a shared secret, or if the
    /// secret is too short or looks like something else.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        KeyReader::new().algorithm(algorithm).read_secret_only(algorithm, secret.as_ref())
    }

    /// Reads a key in any format from a file, now, and again whenever the file has changed: see
    /// [`KeyReader::read_file`].
    ///
    /// This is the constructor for production. A rotated key is used from the next JWT on, without a restart. A file
    /// that is missing or half written changes nothing. The first read happens now, so a wrong path is found at start.
    ///
    /// # Errors
    ///
    /// As [`KeyReader::read_file`].
    pub fn from_file(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, Error> {
        KeyReader::new().algorithm(algorithm).read_file(path)
    }

    /// Reads a key in any format from the place that a value names, now and again before each signature. The place is a
    /// member of a JSON file, for example, or a part of an environment variable. See [`KeyReader::read_value`].
    ///
    /// # Errors
    ///
    /// As [`KeyReader::read_value`].
    ///
    /// ```
    /// use bearer_token::{Value, jwt::{Algorithm, SigningKey}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/jwt/testdata/p256.pem")).replace('\n', "\\n");
    /// # let account = format!(r#"{{"private_key": "{pem}"}}"#);
    /// // The key inside of an account's JSON. With `Value::file(..)` it would be read again for each JWT.
    /// let key = SigningKey::from_value(Algorithm::ES256, Value::from(account).member("/private_key"))?;
    /// assert_eq!(key.algorithm(), Algorithm::ES256);
    /// # Ok(()) }
    /// ```
    pub fn from_value(algorithm: Algorithm, value: impl Into<Value>) -> Result<Self, Error> {
        KeyReader::new().algorithm(algorithm).read_value(value)
    }

    /// Signs with a key that is in another place: a KMS, an HSM, another process.
    ///
    /// The private key then never enters this process. Each JWT costs one call of that place. A JWT that is the bearer
    /// itself is signed once per lifetime, so choose a long [lifetime](crate::jwt::JwtTemplateBuilder::lifetime). An
    /// assertion is signed for each token request.
    pub fn remote(signer: impl Signer) -> Self {
        SigningKey { algorithm: signer.algorithm(), place: KeyPlace::Remote(Arc::new(signer)), key_id: None }
    }

    /// Sets the name of the key: the `kid` in the header of every JWT that it signs (RFC 7515 section 4.1.4). It
    /// replaces the name that a JWK or a remote signer has.
    ///
    /// A server that has several keys of a client finds the right one by this name. Apple and Box need it, GitHub does
    /// not. It is public. Without it, the header has no `kid`, unless the key brings one.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl AsRef<str>) -> Self {
        self.key_id = Some(key_id.as_ref().into());
        self
    }

    /// The name of the key: the one that was set, or the key's own, such as the `kid` of a JWK. The name of a key in a
    /// file can change with the file.
    ///
    /// For logs and dashboards that show which key is in use.
    pub fn key_id(&self) -> Option<String> {
        self.given_key_id().map(str::to_owned).or_else(|| match &self.place {
            KeyPlace::Memory(material) => material.key_id.as_deref().map(str::to_owned),
            KeyPlace::LookedUp(key) => key.last().key_id.as_deref().map(str::to_owned),
            KeyPlace::Remote(signer) => signer.key_id(),
        })
    }

    /// Whether this is its name, or it has none.
    pub(super) fn is_named(&self, expected: Option<&str>) -> bool {
        match (&self.key_id, &self.place) {
            (Some(given), _) => expected == Some(&**given),
            (None, KeyPlace::Memory(material)) => material.key_id.as_deref() == expected,
            (None, KeyPlace::LookedUp(_) | KeyPlace::Remote(_)) => self.key_id().as_deref() == expected,
        }
    }

    /// The name that it was given.
    pub(super) fn given_key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1.2.7). For a key in a file, it belongs to
    /// the key that was read last.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or if a remote signer does not provide it.
    pub(super) fn public_key(&self) -> Result<Vec<u8>, Error> {
        let der = match &self.place {
            KeyPlace::Memory(material) => material.key.public_key(),
            KeyPlace::LookedUp(key) => key.last().key.public_key(),
            KeyPlace::Remote(signer) => match signer.public_key() {
                Some(der) if public_key::bits(&der).is_none() => return Err(diagnose::no_public_key_info(der.len())),
                Some(der) => Some(der),
                None if !self.algorithm.is_hmac() => return Err(diagnose::unknown_public_key()),
                None => None,
            },
        };
        der.ok_or_else(|| diagnose::no_public_key(self.algorithm))
    }

    /// The current key. A key in a file is read again, on a thread that may block.
    ///
    /// An event says that an old key is in use, once for each distinct problem.
    pub(super) async fn now(&self, platform: &Platform) -> Result<Self, Error> {
        let KeyPlace::LookedUp(key) = &self.place else { return Ok(self.clone()) };
        let reading = key.clone();
        let (material, news) = platform.run_blocking(move || reading.read()).await?;
        // Told here, in the span of the fetch.
        if let Some(problem) = &news {
            observe::tell(EventKind::KeyKept { place: &key.place(), problem });
        }
        Ok(SigningKey { algorithm: self.algorithm, place: KeyPlace::Memory(material), key_id: self.key_id.clone() })
    }

    /// How long a signature is, in bytes, or about so long if the key is in another place.
    ///
    /// Only for the capacity of a buffer: a wrong guess costs an allocation.
    pub(super) fn signature_bytes(&self) -> usize {
        match &self.place {
            KeyPlace::Memory(material) => material.key.signature_bytes(self.algorithm),
            KeyPlace::LookedUp(key) => key.last().key.signature_bytes(self.algorithm),
            KeyPlace::Remote(_) => *self.algorithm.signature_bytes().start(),
        }
    }

    /// Appends a dot and the signature in base64url to the message. If the message is the header and the claims of a
    /// JWT, the result is that JWT (RFC 7515 section 7.1).
    ///
    /// The message is moved and not copied, also to another thread. The first signature that draws randomness waits
    /// until the process has it.
    pub(super) async fn sign(&self, platform: &Platform, message: String) -> Result<Zeroizing<String>, Error> {
        let material = match &self.place {
            KeyPlace::Memory(material) => material.clone(),
            KeyPlace::LookedUp(key) => key.last(),
            KeyPlace::Remote(signer) => {
                let signature = signer.sign(message.as_bytes()).await?;
                let signature = signature::check_form(self.algorithm, signature)?;
                return Ok(signature::append(message, &signature));
            }
        };
        if material.key.is_slow() {
            return platform.run_blocking(move || material.key.sign(message)).await?;
        }
        if material.key.draws_randomness() {
            AWS_LC_RANDOMNESS.done_on(platform).await;
        }
        material.key.sign(message)
    }

    /// Adds it as the credential: its public key, or for a secret a code that only the secret makes.
    #[allow(dead_code, reason = "used with the feature `oauth`")]
    pub(crate) fn credential(&self, identity: &mut Identity) {
        let key = self.clone();
        identity.credential(move |cx| {
            let key = key.clone();
            Box::pin(async move { key.now(cx.platform()).await?.known(cx.platform()).await })
        });
    }

    /// What tells this key from others: its public key, or for a secret a code that only the secret makes.
    pub(crate) async fn known(&self, platform: &Platform) -> Result<Zeroizing<Vec<u8>>, Error> {
        let known = match self.public_key() {
            Ok(der) => der,
            Err(_) if self.algorithm.is_hmac() && !matches!(self.place, KeyPlace::Remote(_)) => {
                return self.credential_code(platform).await;
            }
            Err(_) => self.key_id().unwrap_or_default().into_bytes(),
        };
        Ok(Zeroizing::new(known))
    }

    /// A code that only this shared secret makes.
    async fn credential_code(&self, platform: &Platform) -> Result<Zeroizing<Vec<u8>>, Error> {
        let code = self.sign(platform, "bearer-token credential".to_owned()).await?;
        Ok(Zeroizing::new(code.as_bytes().to_vec()))
    }

    /// Whether it is in a file or a variable, and looked up for each JWT.
    pub(crate) fn is_looked_up(&self) -> bool {
        matches!(self.place, KeyPlace::LookedUp(_))
    }

    /// Whether another key is available than the one that signed last.
    pub(crate) fn has_changed(&self) -> bool {
        matches!(&self.place, KeyPlace::LookedUp(key) if key.has_changed())
    }

    fn in_memory(material: KeyMaterial) -> Self {
        SigningKey { algorithm: material.algorithm, place: KeyPlace::Memory(Arc::new(material)), key_id: None }
    }

    fn looked_up(key: LookedUpKey) -> Self {
        SigningKey { algorithm: key.algorithm(), place: KeyPlace::LookedUp(key), key_id: None }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        jwt::{formats::encoding::Encoding, test_support::pem},
        test_support::{NoSpawn, platform_at},
    };

    fn encoded(encoding: Encoding) -> KeyReader {
        KeyReader::new().algorithm(Algorithm::HS256).encoding(encoding)
    }

    const HMACS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

    #[test]
    fn a_key_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<SigningKey>();
    }

    // shows: 7515/10.1 7518/3.2
    #[test]
    fn l25_short_hmac_secrets_need_an_opt_in() {
        for algorithm in HMACS {
            let least = match algorithm {
                Algorithm::HS256 => 32,
                Algorithm::HS384 => 48,
                _ => 64,
            };
            let long = vec![7; least];
            let short = &long[1..];
            SigningKey::hmac(algorithm, &long).unwrap();
            let error = SigningKey::hmac(algorithm, short).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let expected = format!("found a secret of {} bytes; {algorithm} needs at least {least}", least - 1);
            assert!(error.to_string().contains(&expected), "{error}");
            let lenient = KeyReader::new().algorithm(algorithm).allow_short_secret(true);
            lenient.read(short).unwrap();
            for none in [SigningKey::hmac(algorithm, ""), lenient.read("")] {
                assert!(none.unwrap_err().to_string().contains("found an empty secret"));
            }
        }
    }

    #[tokio::test]
    async fn a_secret_is_the_same_in_every_encoding() {
        let text = "~~~ at least 32 bytes of secret ~~~";
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        let keys = [
            SigningKey::hmac(Algorithm::HS256, text),
            SigningKey::hmac(Algorithm::HS256, format!("\u{feff}{text}\r\n")),
            encoded(Encoding::Binary).read(text),
            encoded(Encoding::Base64).read("fn5+IGF0IGxlYXN0IDMyIGJ5dGVzIG9mIHNlY3JldCB+fn4="),
            encoded(Encoding::Base64).read("fn5-IGF0IGxlYXN0IDMyIGJ5dGVzIG9mIHNlY3JldCB-fn4"),
            encoded(Encoding::Hex).read(&hex),
        ];
        let mut signatures = Vec::new();
        for key in keys {
            signatures.push(key.unwrap().sign(&platform_at(0), "message".to_owned()).await.unwrap());
        }
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]), "{signatures:?}");
    }

    #[test]
    fn l23_keys_and_secrets_in_the_wrong_place_are_refused() {
        let wrapped = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pem("p256"));
        for (made, expected) in [
            (SigningKey::hmac(Algorithm::HS256, pem("rsa2048")), "found a PEM (-----BEGIN ...); HS256 needs a shared"),
            (SigningKey::hmac(Algorithm::HS256, pem("rsa2048.pub")), "found a PEM"),
            (encoded(Encoding::Text).allow_short_secret(true).read(pem("p256")), "found a PEM"),
            (encoded(Encoding::Base64).read(&wrapped), "found a PEM"),
            (encoded(Encoding::Base64).read("not base64!"), "found a key that is not base64"),
            (encoded(Encoding::Hex).read("not hex"), "found a key that is not hex"),
            (SigningKey::hmac(Algorithm::RS256, [7; 64]), "found a secret; RS256 signs with a private key"),
            (SigningKey::from_pem(Algorithm::HS256, pem("p256")), "HS256 signs with a shared secret, not with a PEM"),
            (SigningKey::from_pem(Algorithm::EdDSA, "a secret"), "found no PEM block"),
        ] {
            let error = made.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
        }
    }

    // shows: 7515/10.4
    #[test]
    fn l38_no_error_and_no_debug_shows_a_secret() {
        let marker = "MARKERMARKER";
        let long = marker.repeat(6);
        let mut shown = vec![format!("{:?}", SigningKey::hmac(Algorithm::HS512, &long).unwrap().with_key_id("k"))];
        for made in [
            SigningKey::hmac(Algorithm::HS256, marker),
            SigningKey::hmac(Algorithm::RS256, &long),
            SigningKey::hmac(Algorithm::HS256, format!("/{long}.pem")),
            SigningKey::hmac(Algorithm::HS256, format!("'{long}'")),
            encoded(Encoding::Base64).read(marker),
            encoded(Encoding::Base64).read(format!("{long}!")),
            encoded(Encoding::Hex).read(&long),
            SigningKey::from_pem(Algorithm::RS256, &long),
            SigningKey::from_pem(Algorithm::RS256, format!("-----BEGIN {long}-----\n{long}\n-----END {long}-----")),
        ] {
            let error = made.unwrap_err();
            shown.push(format!("{error} {error:?}"));
        }
        for text in shown {
            assert!(!text.contains("MARKER"), "{text}");
        }
    }

    #[tokio::test]
    async fn only_slow_algorithms_sign_away_from_the_runtime() {
        let spawn = NoSpawn::default();
        let platform = platform_at(0).with_spawn(spawn.clone());
        // The first signature of the process also waits for randomness.
        AWS_LC_RANDOMNESS.done_on(&platform).await;
        spawn.take_jobs();
        for (key, expected) in [
            (SigningKey::hmac(Algorithm::HS512, [7; 64]), 0),
            (SigningKey::from_pem(Algorithm::ES256, pem("p256")), 0),
            (SigningKey::from_pem(Algorithm::ES384, pem("p384")), 0),
            (SigningKey::from_pem(Algorithm::ES512, pem("p521")), 1),
            (SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")), 0),
            (SigningKey::from_pem(Algorithm::RS256, pem("rsa2048")), 1),
            (SigningKey::from_pem(Algorithm::PS512, pem("rsa2048")), 1),
        ] {
            let key = key.unwrap();
            let signed = key.sign(&platform, "message".to_owned()).await.unwrap();
            assert!(signed.starts_with("message."));
            assert_eq!(spawn.take_jobs(), expected, "{}", key.algorithm());
        }
    }
}
