//! Reads signing keys in whichever format they come.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{Local, SigningKey, file::KeyFile, key_problem, pem_for_hmac};
use crate::jwt::{
    algorithm::Algorithm,
    formats::{
        encoding::{self as decode, Encoding},
        jwk, jwk_key, pem as private_key,
        sniff::Look,
    },
    native::LocalKey,
};
use crate::{
    error::{Error, ErrorKind},
    problem::{Advice, Problem},
};

/// Reads a signing key in whichever format it is, from memory or from a file that may change.
///
/// | what is found | is read as |
/// |---|---|
/// | `-----BEGIN ..` | a private key as PEM: PKCS#8, PKCS#1, SEC1; encrypted, with a passphrase |
/// | `{ "kty": .. }`, `{ "keys": .. }` | a private JWK (RFC 7517), or the one of a set that has the key id |
/// | base64 of one of these | the same |
/// | for `EdDSA`: base64 or hex of 32 or 64 bytes | an Ed25519 seed, alone or with its public half |
/// | for HS256, HS384, HS512: anything else | the shared secret itself |
///
/// What looks like a part of another format, or like one that is not read (a JWK without its end, text in UTF-16,
/// PKCS#12), is an error, and never a shared secret. A secret that really looks so is given as base64 or hex, with its
/// [`encoding`](Self::encoding), or to [`SigningKey::hmac`].
///
/// ```
/// use bearer_token::jwt::{Algorithm, KeyReader};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let set = r#"{"keys": [{"kty": "oct", "kid": "2026-01", "alg": "HS256",
///     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
/// let key = KeyReader::new().key_id("2026-01").read(set)?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
/// # Ok(()) }
/// ```
///
/// Every error is of kind [`Config`](crate::ErrorKind::Config), and says what was found, what was expected, and often how to
/// convert it.
#[derive(Clone, Default)]
pub struct KeyReader {
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    #[cfg(feature = "encrypted-keys")]
    passphrase: Option<Zeroizing<Vec<u8>>>,
    short_secret: bool,
    encoding: Encoding,
    /// Whether an encoding was named, here or where it was decoded: only bare bytes need one.
    encoded: bool,
}

impl KeyReader {
    /// Knows nothing but what the key itself says.
    pub fn new() -> Self {
        KeyReader::default()
    }

    /// The algorithm to sign with. Needed unless the key says it: a JWK may, with `alg`, and then this must agree.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// The name of the key: which one of a JWK set it is, and the `kid` of the JWTs that it signs. A single JWK with
    /// another name is refused.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// What the PEM is encrypted with. A key that is not encrypted is refused then.
    #[cfg(feature = "encrypted-keys")]
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl AsRef<[u8]>) -> Self {
        self.passphrase = Some(Zeroizing::new(passphrase.as_ref().to_vec()));
        self
    }

    /// Accepts a shared secret below the size of the hash: see
    /// [`SigningKey::hmac_short_secret`] for what that means.
    #[must_use]
    pub fn allow_short_secret(mut self, on: bool) -> Self {
        self.short_secret = on;
        self
    }

    /// How the bytes are written. Only secrets need it; all other formats are told apart by themselves.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self.encoded = encoding != Encoding::Text;
        self
    }

    /// Reads a key from memory.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config); problems with what was set here stand under the method's name.
    pub fn read(&self, key: impl AsRef<[u8]>) -> Result<SigningKey, Error> {
        let (algorithm, local) = self.read_local(Zeroizing::new(key.as_ref().to_vec()))?;
        Ok(self.named(SigningKey::local(algorithm, local)))
    }

    /// Reads a key from a file, now, and again before each signature: a key that was replaced is used from the next
    /// JWT on, together with its own `kid`, if it brings one. A line end at the end of the file is not part of a secret.
    ///
    /// The key that was read last stays in use while the file is missing, half written, or holds no key that fits. The
    /// algorithm never changes. Replace the file as a whole (write beside it, then rename), as Kubernetes and Vault's
    /// agent do: a shared secret that is half written looks like a shorter one. What is no regular file, a pipe say, is
    /// read only now, and changes nothing where it takes the place of a file.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also when the file cannot be read now, or is larger than 1 MiB.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        let (algorithm, file) = KeyFile::open(path.as_ref(), self)?;
        Ok(self.named(SigningKey::file(algorithm, file)))
    }

    /// For a key whose algorithm was learnt from its first reading.
    pub(crate) fn pinned(&self, algorithm: Algorithm) -> Self {
        self.clone().algorithm(algorithm)
    }

    pub(crate) fn read_local(&self, text: Zeroizing<Vec<u8>>) -> Result<(Algorithm, Local), Error> {
        let Some(bytes) = self.encoding.decode(&text).map(Zeroizing::new) else {
            let name = self.encoding.name();
            return Err(one("encoding", format!("found a key that is not {name}; expected {name}, as this says")));
        };
        if private_key::looks_like_pem(&bytes) {
            return self.read_pem(&bytes);
        }
        if jwk::looks_like_jwk(&bytes) {
            return self.read_jwk(&bytes);
        }
        match decode::base64(&bytes) {
            Some(inside) if private_key::looks_like_pem(&inside) => return self.read_pem(&inside),
            Some(inside) if jwk::looks_like_jwk(&inside) => return self.read_jwk(&inside),
            _ => {}
        }
        let look = if self.encoded { Look::Plain } else { Look::of(&bytes) };
        if matches!(look, Look::Jwk | Look::Json) {
            return self.read_jwk(&bytes).map_err(|error| self.or_secret(&error));
        }
        let algorithm = self.need_algorithm().map_err(|error| match look.found() {
            Some(found) => one("algorithm", format!("{found}; expected a private key as PEM or JWK")),
            None => error,
        })?;
        let key = match algorithm {
            _ if algorithm.is_hmac() && look != Look::Plain => {
                let found = look.found().unwrap_or_default();
                let error = Error::new(ErrorKind::Config, format!("{found}; {algorithm} needs a shared secret"));
                return Err(self.or_secret(&error));
            }
            _ if algorithm.is_hmac() => LocalKey::hmac(algorithm, &bytes, self.short_secret)?,
            Algorithm::EdDSA => match self.ed25519(&bytes) {
                Some(raw) => LocalKey::raw_ed25519(&raw)?,
                None => return self.read_pem(&bytes),
            },
            // It says what is wrong with it.
            _ => return self.read_pem(&bytes),
        };
        self.check_passphrase("a key that is no PEM")?;
        Ok((algorithm, Local { key, key_id: None, bare: true }))
    }

    /// The way for a shared secret that looks like something else.
    fn or_secret(&self, error: &Error) -> Error {
        if !self.algorithm.is_some_and(Algorithm::is_hmac) || !error.problems().is_empty() {
            return error.clone();
        }
        let problem = Problem::new("key", error.to_string());
        key_problem(
            problem
                .advise(Advice::text("if it is a shared secret, write it as base64"))
                .advise(Advice::set_to("KeyReader::encoding", "base64")),
        )
    }

    fn read_pem(&self, text: &[u8]) -> Result<(Algorithm, Local), Error> {
        let algorithm = self.need_algorithm()?;
        if algorithm.is_hmac() {
            return Err(pem_for_hmac(algorithm));
        }
        #[cfg(feature = "encrypted-keys")]
        if let Some(passphrase) = &self.passphrase {
            let der = private_key::from_encrypted_pem(text, passphrase)?;
            return Ok((algorithm, Local { key: LocalKey::private_key(algorithm, &der)?, key_id: None, bare: false }));
        }
        let der = private_key::from_pem(text)?;
        Ok((algorithm, Local { key: LocalKey::private_key(algorithm, &der)?, key_id: None, bare: false }))
    }

    fn read_jwk(&self, text: &[u8]) -> Result<(Algorithm, Local), Error> {
        self.check_passphrase("a JWK")?;
        let jwk = jwk::read(text)?.choose(self.key_id.as_deref())?;
        let (algorithm, key) = jwk_key::load(&jwk, self.algorithm, self.short_secret)?;
        Ok((algorithm, Local { key, key_id: jwk.text("kid").map(Arc::from), bare: false }))
    }

    /// The raw bytes of an Ed25519 key.
    fn ed25519(&self, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let raw = |bytes: Zeroizing<Vec<u8>>| matches!(bytes.len(), 32 | 64).then_some(bytes);
        if self.encoded {
            return raw(Zeroizing::new(bytes.to_vec()));
        }
        let as_hex = || str::from_utf8(bytes).ok().and_then(decode::hex);
        decode::base64(bytes).and_then(raw).or_else(|| as_hex().and_then(raw))
    }

    fn need_algorithm(&self) -> Result<Algorithm, Error> {
        let message = "found nothing; expected the algorithm that the key signs with: only a JWK can say it itself";
        self.algorithm.ok_or_else(|| one("algorithm", message))
    }

    #[cfg_attr(not(feature = "encrypted-keys"), allow(clippy::unused_self, reason = "nothing is encrypted then"))]
    fn check_passphrase(&self, found: &str) -> Result<(), Error> {
        #[cfg(feature = "encrypted-keys")]
        if self.passphrase.is_some() {
            return Err(one("passphrase", format!("found one for {found}, which has none; leave it out")));
        }
        let _ = found;
        Ok(())
    }

    fn named(&self, key: SigningKey) -> SigningKey {
        match &self.key_id {
            Some(key_id) => key.with_key_id(key_id),
            None => key,
        }
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyReader")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("short_secret", &self.short_secret)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

fn one(method: &str, message: impl Into<String>) -> Error {
    key_problem(Problem::new(method, message.into()))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde_json::json;

    use super::*;
    use crate::{
        jwt::test_support::{jwk_set, jwk_text, pem},
        test_support::platform_at,
    };

    const SECRET: &str = "a secret of more than thirty-two bytes";

    /// The bytes of the Ed25519 key of `testdata`: its seed, and its public half.
    fn raw(public: bool) -> Vec<u8> {
        let last = |name: &str| ::pem::parse(pem(name)).unwrap().into_contents().split_off_last(32);
        [last("ed25519"), if public { last("ed25519.pub") } else { Vec::new() }].concat()
    }

    trait SplitOffLast {
        fn split_off_last(self, length: usize) -> Self;
    }

    impl SplitOffLast for Vec<u8> {
        fn split_off_last(mut self, length: usize) -> Self {
            let at = self.len() - length;
            self.split_off(at)
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    async fn signature(key: &SigningKey) -> Vec<u8> {
        key.sign(&platform_at(0), "message".to_owned()).await.unwrap().1
    }

    #[tokio::test]
    async fn l23_each_format_is_told_by_itself_and_is_the_same_key() {
        let reader = |algorithm| KeyReader::new().algorithm(algorithm);
        let base64 = |text: String| BASE64_STANDARD.encode(text);
        let ed25519 = [
            pem("ed25519"),
            base64(pem("ed25519")),
            jwk_text("ed25519", json!({})),
            base64(jwk_text("ed25519", json!({}))),
            jwk_set(&[jwk_text("ed25519", json!({}))]),
            BASE64_STANDARD.encode(raw(false)),
            BASE64_STANDARD.encode(raw(true)),
            base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(raw(true)) + "\n",
            hex(&raw(false)),
            hex(&raw(true)),
        ];
        let expected = signature(&SigningKey::from_pem(Algorithm::EdDSA, pem("ed25519")).unwrap()).await;
        for text in &ed25519 {
            let key = reader(Algorithm::EdDSA).read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(signature(&key).await, expected, "{text}");
        }
        for (encoding, text) in
            [(Encoding::Base64, BASE64_STANDARD.encode(raw(true))), (Encoding::Hex, hex(&raw(false)))]
        {
            let key = reader(Algorithm::EdDSA).encoding(encoding).read(text).unwrap();
            assert_eq!(signature(&key).await, expected);
        }
        for key in [SigningKey::ed25519(raw(false)), SigningKey::ed25519_base64(&BASE64_STANDARD.encode(raw(true)))] {
            assert_eq!(signature(&key.unwrap()).await, expected);
        }

        let expected = signature(&SigningKey::hmac(Algorithm::HS256, SECRET).unwrap()).await;
        let jwk = json!({ "k": base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(SECRET) });
        for (encoding, text) in [
            (Encoding::Text, SECRET.to_owned()),
            (Encoding::Base64, BASE64_STANDARD.encode(SECRET)),
            (Encoding::Hex, hex(SECRET.as_bytes())),
            (Encoding::Text, jwk_text("oct", jwk)),
        ] {
            let key = reader(Algorithm::HS256).encoding(encoding).read(text).unwrap();
            assert_eq!(signature(&key).await, expected);
        }
        // What only looks like base64 or hex is the secret itself.
        let key = reader(Algorithm::HS256).read(hex(SECRET.as_bytes())).unwrap();
        assert_ne!(signature(&key).await, expected);
    }

    #[test]
    fn the_name_of_a_key_is_its_own_unless_another_is_given() {
        let named = jwk_text("p256", json!({ "kid": "own" }));
        let id = |key: Result<SigningKey, Error>| key.unwrap().key_id();
        assert_eq!(id(SigningKey::from_jwk(&named)).as_deref(), Some("own"));
        assert_eq!(id(SigningKey::from_jwk(jwk_text("p256", json!({})))), None);
        assert_eq!(id(SigningKey::from_jwk(&named).map(|key| key.with_key_id("given"))).as_deref(), Some("given"));
        let set = jwk_set(&[named, jwk_text("p384", json!({ "kid": "other" }))]);
        let other = SigningKey::from_jwk_set(&set, "other").unwrap();
        assert_eq!((other.key_id().as_deref(), other.algorithm()), (Some("other"), Algorithm::ES384));
        let named = KeyReader::new().algorithm(Algorithm::ES256).key_id("given").read(pem("p256"));
        assert_eq!(id(named).as_deref(), Some("given"));
    }

    #[test]
    fn what_was_set_and_does_not_fit_is_a_problem_under_its_method() {
        let reader = KeyReader::new;
        for (read, path) in [
            (reader().read(pem("p256")), "algorithm"),
            (reader().read(SECRET), "algorithm"),
            (reader().read(jwk_text("rsa2048", json!({ "alg": null }))), "algorithm"),
            (reader().algorithm(Algorithm::HS256).encoding(Encoding::Base64).read("a secret!"), "encoding"),
            (reader().algorithm(Algorithm::HS256).encoding(Encoding::Hex).read(SECRET), "encoding"),
            #[cfg(feature = "encrypted-keys")]
            (reader().passphrase("test").read(jwk_text("p256", json!({}))), "passphrase"),
            #[cfg(feature = "encrypted-keys")]
            (reader().algorithm(Algorithm::HS256).passphrase("test").read(SECRET), "passphrase"),
        ] {
            let error = read.unwrap_err();
            assert_eq!(error.problems().len(), 1, "{error}");
            assert_eq!(error.problems()[0].path(), path, "{error}");
        }
    }

    #[test]
    fn l24_what_only_looks_like_a_key_is_never_a_shared_secret_unless_that_is_said() {
        let jwk = jwk_text("oct", json!({ "kid": "2026-01" }));
        let utf16: Vec<u8> = pem("p256").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let der = ::pem::parse(pem("p256")).unwrap().into_contents();
        let twice = BASE64_STANDARD.encode(BASE64_STANDARD.encode(pem("p256")));
        for (content, expected) in [
            (&jwk.as_bytes()[..jwk.len() - 1], "found a JWK that breaks off"),
            (jwk.replace("\"k\"", "\"kty\"").as_bytes(), "found a JWK with a member that comes twice"),
            (br#"{"keys": 5, "made by": "a careless program"}"#, "found a JWK set whose `keys` is no list"),
            (br#"{"type": "service_account", "private_key": ""}"#, "found JSON with neither `kty` nor `keys`"),
            (b"{a secret that begins with a brace, and is long}", "found JSON that is no sound JSON"),
            (&BASE64_STANDARD.encode(&jwk).as_bytes()[..100], "found a PEM or JWK in base64 that is not whole"),
            (twice.as_bytes(), "encoded twice"),
            (&utf16, "found a PEM in UTF-16"),
            (&der, "found binary DER"),
            (b"\x30\x82\x09\xd1\x02\x01\x03\x30\x82\x09\x97 of two kilobytes or so", "found PKCS#12"),
            (BASE64_STANDARD.encode(&der).as_bytes(), "found the inside of a PEM"),
        ] {
            let reader = || KeyReader::new().algorithm(Algorithm::HS256);
            let error = reader().read(content).unwrap_err();
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
            assert!(
                error.to_string().contains("write it as base64, or use `KeyReader::encoding` with `base64`"),
                "the way out: {error}"
            );
            // Also where nothing is known of the key.
            let error = KeyReader::new().read(content).unwrap_err();
            assert!(error.to_string().contains(expected), "expected {expected:?} in: {error}");
            SigningKey::hmac(Algorithm::HS256, content).unwrap();
            reader().encoding(Encoding::Base64).read(BASE64_STANDARD.encode(content)).unwrap();
            reader().encoding(Encoding::Hex).read(hex(content)).unwrap();
        }
    }

    #[test]
    fn l38_neither_debug_nor_errors_show_what_was_read() {
        let reader = KeyReader::new().algorithm(Algorithm::ES256).key_id("k");
        #[cfg(feature = "encrypted-keys")]
        let reader = reader.passphrase("MARKER");
        let mut shown = format!("{reader:?}");
        for text in ["MARKER", "{\"kty\": \"EC\", \"d\": \"MARKER\", \"crv\": \"P-256\"}", "-----BEGIN MARKER-----"] {
            let error = reader.read(text).unwrap_err();
            shown += &format!("{error} {error:?}");
        }
        assert!(!shown.contains("MARKER"), "{shown}");
    }
}
