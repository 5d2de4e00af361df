//! Reads signing keys in any format.

use std::{fmt, path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{
    SigningKey,
    diagnose::{self, Expected},
    looked_up::LookedUpKey,
    material::KeyMaterial,
};
use crate::{
    error::Error,
    jwt::{
        algorithm::{Algorithm, Family},
        formats::{
            encoding::{self, Encoding},
            json, jwk, jwk_key,
            key_kind::identify,
            pem::{self, PemKey},
            sniff::{self, Sniffed},
        },
        native::{NativeFault, NativeKey},
    },
    secret::string::{self, looks_like_path},
    value::Value,
};

/// Reads a signing key in any format, from memory or from a file that may change.
///
/// | found | read as |
/// |---|---|
/// | `-----BEGIN ..` | a private key as PEM: PKCS#8, PKCS#1, SEC1; encrypted, with a passphrase |
/// | `{ "kty": .. }`, `{ "keys": .. }` | a private JWK (RFC 7517), or the one of a set that has the key id |
/// | base64 of one of these | the same |
/// | DER, or its base64 | a private key: PKCS#8, PKCS#1, SEC1 |
/// | for `EdDSA`: base64 or hex of 32 or 64 bytes | an Ed25519 seed, alone or with its public half |
/// | for HS256, HS384, HS512: anything else | the shared secret itself |
///
/// The newlines of a PEM may be escaped (`\n`), and there may be quotes around it, as in environment variables. A byte
/// order mark and one trailing newline are not part of a shared secret. Quotes or spaces around one are an error, and so
/// is a path in place of a key.
///
/// A part of another format, or an unsupported one (a JWK without its end, UTF-16, PKCS#12), is an error and never a
/// shared secret. If a secret looks like that, set its [`encoding`](Self::encoding): [`Binary`](Encoding::Binary),
/// base64 or hex.
///
/// ```
/// use bearer_token::jwt::{Algorithm, Encoding, KeyReader};
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let set = r#"{"keys": [{"kty": "oct", "kid": "2026-01", "alg": "HS256",
///     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
/// let key = KeyReader::new().key_id("2026-01").read(set)?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
///
/// let secret = KeyReader::new().algorithm(Algorithm::HS256).encoding(Encoding::Hex);
/// let key = secret.read("5e".repeat(32))?;
/// # Ok(()) }
/// ```
///
/// Every error is of kind [`Config`](crate::ErrorKind::Config). It says what was found, what was expected, and often how
/// to convert it.
#[derive(Clone, Default)]
pub struct KeyReader {
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    allow_short_secret: bool,
    encoding: Encoding,
    /// Whether the bytes were decoded already.
    is_decoded: bool,
}

impl KeyReader {
    /// Creates a reader that knows only what the key itself says.
    pub fn new() -> Self {
        KeyReader::default()
    }

    /// Sets the algorithm to sign with. It is needed unless a JWK names its own with `alg`, with which it must agree.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Sets the name of the key: it selects one of a JWK set, and is the `kid` of the JWTs that the key signs. A single
    /// JWK with another name is refused.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Sets the passphrase with which the key is encrypted: `ENCRYPTED PRIVATE KEY`, PKCS#8 with PBES2 (RFC 8018
    /// section 6.2), with PBKDF2 or scrypt, and AES or triple DES. A key that is not encrypted is refused then.
    ///
    /// The key determines how long it takes to decrypt it, usually some milliseconds. Keys that would take more than
    /// some seconds are refused.
    #[cfg(feature = "encrypted-keys")]
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl AsRef<[u8]>) -> Self {
        self.passphrase = Some(Zeroizing::new(passphrase.as_ref().to_vec()));
        self
    }

    /// Sets whether a shared secret may be shorter than the hash. Default: no.
    ///
    /// With a short secret a signature is easier to forge: anyone who sees one JWT can search for the secret offline.
    /// RFC 7518 section 3.2 forbids it. Some servers still issue such secrets.
    #[must_use]
    pub fn allow_short_secret(mut self, on: bool) -> Self {
        self.allow_short_secret = on;
        self
    }

    /// Sets the encoding of the key. Only secrets and bare Ed25519 keys need it: all other formats are recognised.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Reads a key from memory.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config). A problem with a setting has the name of its method as its path, and
    /// one with the key itself has `key`.
    pub fn read(&self, key: impl AsRef<[u8]>) -> Result<SigningKey, Error> {
        let material = self.read_material(key.as_ref())?;
        Ok(self.named(SigningKey::in_memory(material)))
    }

    /// Reads a key from a file, now, and again before each signature. A new key is used from the next JWT on, together
    /// with its own `kid`, if it has one.
    ///
    /// The key that was read last stays in use while the file is missing, half written, or without a usable key. The
    /// algorithm never changes. Replace the file as a whole (write a new one beside it, then rename), as Kubernetes and
    /// Vault's agent do: otherwise a half-written secret could be read as a shorter one. A pipe is read only once, now.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also if the file cannot be read now, or is larger than 1 MiB.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        self.read_value(Value::file(path))
    }

    /// Reads a key from the place that a value names, now, and again before each signature, as [`read_file`](Self::read_file)
    /// does. A literal is read once.
    ///
    /// If the value has an encoding, it is decoded first, and all of the decoded bytes are used, as with
    /// [`Binary`](Encoding::Binary).
    ///
    /// ```
    /// use bearer_token::{Encoding, Value, jwt::{Algorithm, KeyReader}};
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("account.json");
    /// # let pem = include_str!("../testdata/rsa2048.pem").replace('\n', "\\n");
    /// # std::fs::write(&path, format!("{{\"private_key\": \"{pem}\"}}")).unwrap();
    /// // A service account file of Google, as it is downloaded.
    /// let key = Value::file(path).member("/private_key");
    /// let key = KeyReader::new().algorithm(Algorithm::RS256).read_value(key)?;
    ///
    /// # let admin_key = format!("{}:{}", "1".repeat(24), "5e".repeat(32));
    /// // Ghost's admin key, `id:secret`, with the secret in hex. Mostly it is in a variable: `Value::env(..)`.
    /// let secret = Value::from(admin_key).after(":").encoding(Encoding::Hex);
    /// let key = KeyReader::new().algorithm(Algorithm::HS256).read_value(secret)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also if the value is not there. The token of another provider is not a key.
    pub fn read_value(&self, value: impl Into<Value>) -> Result<SigningKey, Error> {
        let value = value.into();
        let mut reader = self.clone();
        reader.is_decoded = value.is_encoded();
        if value.literal().is_some() {
            let content = value.bytes_now("key").map_err(diagnose::error)?;
            return reader.read(&content);
        }
        let key = LookedUpKey::open(value, move |content, algorithm| match algorithm {
            Some(algorithm) => reader.clone().algorithm(algorithm).read_material(content),
            None => reader.read_material(content),
        })?;
        Ok(self.named(SigningKey::looked_up(key)))
    }

    /// Reads PEM, as it is or in base64, and nothing else.
    pub(super) fn read_pem_only(&self, algorithm: Algorithm, text: &[u8]) -> Result<SigningKey, Error> {
        if algorithm.is_hmac() {
            return Err(diagnose::pem_constructor_for_hmac(algorithm));
        }
        let wrapped = || encoding::base64(text).filter(|inside| pem::looks_like_pem(inside));
        let material = match Sniffed::of(text) {
            Sniffed::Pem => self.read_pem(text, Expected::Pem)?,
            _ => match wrapped() {
                Some(inside) => self.read_pem(&inside, Expected::Pem)?,
                None if is_path(text) => return Err(diagnose::path(Expected::Pem)),
                None => return Err(diagnose::content(text, Expected::Pem)),
            },
        };
        Ok(SigningKey::in_memory(material))
    }

    /// Reads a JWK or a JWK set, and nothing else.
    pub(super) fn read_jwk_only(&self, text: &[u8]) -> Result<SigningKey, Error> {
        if jwk::object(text).is_none() {
            let is_path = is_path(text);
            return Err(if is_path { diagnose::path(Expected::Jwk) } else { diagnose::content(text, Expected::Jwk) });
        }
        Ok(SigningKey::in_memory(self.read_jwk(text, Expected::Jwk)?))
    }

    /// Reads a shared secret that is meant as one: anything but a whole PEM or JWK.
    pub(super) fn read_secret_only(&self, algorithm: Algorithm, content: &[u8]) -> Result<SigningKey, Error> {
        let secret = string::trim(content);
        if algorithm.is_hmac() && pem::looks_like_pem(secret) && !json::begins_like_json(secret) {
            return Err(diagnose::pem_for_hmac(algorithm));
        }
        if algorithm.is_hmac() && jwk::is_jwk(secret) {
            return Err(diagnose::jwk_for_hmac(algorithm));
        }
        Ok(SigningKey::in_memory(self.secret(algorithm, content)?))
    }

    fn read_material(&self, content: &[u8]) -> Result<KeyMaterial, Error> {
        let content =
            self.encoding.decode(content).map(Zeroizing::new).ok_or_else(|| diagnose::encoding(self.encoding))?;
        let expected = Expected::Key(self.algorithm);
        if let Some(material) = self.read_document(&content, expected) {
            return material;
        }
        if let Some(inside) = wrapped_document(&content)
            && let Some(material) = self.read_document(&inside, expected)
        {
            return material;
        }
        if self.is_text() && Sniffed::of(&content) != Sniffed::Plain {
            return Err(diagnose::content(&content, expected));
        }
        let algorithm = self.need_algorithm()?;
        let material = match algorithm.family() {
            Family::Hmac(_) => self.secret(algorithm, &content)?,
            Family::Ed25519 => match self.bare_ed25519(&content) {
                Some(bare) => material(algorithm, NativeKey::bare_ed25519(&bare), None, true)?,
                None => return Err(not_a_key(&content, expected)),
            },
            Family::Rsa(..) | Family::Ecdsa(_) | Family::MlDsa(_) => return Err(not_a_key(&content, expected)),
        };
        self.check_passphrase("a key without PEM")?;
        Ok(material)
    }

    /// Reads a PEM, a JWK or a DER; `None` if it is none of them as a whole.
    fn read_document(&self, content: &[u8], expected: Expected) -> Option<Result<KeyMaterial, Error>> {
        if json::begins_like_json(content) {
            return (jwk::is_jwk(content)).then(|| self.read_jwk(content, expected));
        }
        if pem::looks_like_pem(content) {
            return Some(self.read_pem(content, expected));
        }
        // Only where a private key is expected: a secret of an HMAC may be any bytes.
        let algorithm = self.algorithm.filter(|algorithm| !algorithm.is_hmac())?;
        identify(content).map(|_| self.private_key(algorithm, content))
    }

    fn read_pem(&self, text: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        let algorithm = self.need_algorithm()?;
        if algorithm.is_hmac() {
            return Err(diagnose::pem_for_hmac(algorithm));
        }
        match pem::private_key(text).map_err(|fault| diagnose::pem(&fault, expected))? {
            PemKey::Plain(der) => self.private_key(algorithm, &der),
            PemKey::Encrypted(der) => self.encrypted_key(algorithm, &der, expected),
        }
    }

    fn private_key(&self, algorithm: Algorithm, der: &[u8]) -> Result<KeyMaterial, Error> {
        if self.passphrase.is_some() {
            return Err(diagnose::plain_with_passphrase());
        }
        material(algorithm, NativeKey::from_der(algorithm, der), None, false)
    }

    #[cfg(feature = "encrypted-keys")]
    fn encrypted_key(&self, algorithm: Algorithm, der: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        let passphrase = self.passphrase.as_ref().ok_or_else(|| diagnose::encrypted_without_passphrase(expected))?;
        let plain =
            crate::jwt::formats::encrypted::open(der, passphrase).map_err(|fault| diagnose::encryption(&fault))?;
        material(algorithm, NativeKey::from_der(algorithm, &plain), None, false)
    }

    #[cfg(not(feature = "encrypted-keys"))]
    #[allow(clippy::unused_self, reason = "as with the feature")]
    fn encrypted_key(&self, _algorithm: Algorithm, _der: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        Err(diagnose::encrypted_without_passphrase(expected))
    }

    fn read_jwk(&self, text: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        self.check_passphrase("a JWK")?;
        let chosen = jwk::read(text).and_then(|document| document.choose(self.key_id.as_deref()));
        let jwk = chosen.map_err(|fault| diagnose::jwk(&fault, text, expected))?;
        let (algorithm, parts) = jwk_key::parts(&jwk, self.algorithm).map_err(|fault| diagnose::jwk_key(&fault))?;
        let key = NativeKey::from_parts(algorithm, &parts, self.allow_short_secret);
        material(algorithm, key, jwk.text("kid").map(Arc::from), false)
    }

    /// A shared secret. Of text, a byte order mark and one trailing newline are removed; bytes and encoded secrets are
    /// used as they are.
    fn secret(&self, algorithm: Algorithm, content: &[u8]) -> Result<KeyMaterial, Error> {
        if !self.is_text() || !is_written(content) {
            let key = NativeKey::hmac(algorithm, content, self.allow_short_secret);
            return material(algorithm, key, None, true);
        }
        if !algorithm.is_hmac() {
            return Err(diagnose::native(algorithm, NativeFault::SecretForKey));
        }
        let secret = string::read(content).map_err(|fault| diagnose::secret(algorithm, fault))?;
        let key = NativeKey::hmac(algorithm, secret.as_bytes(), self.allow_short_secret);
        material(algorithm, key, None, true)
    }

    /// The bare bytes of an Ed25519 key.
    fn bare_ed25519(&self, content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let bare = |bytes: Zeroizing<Vec<u8>>| matches!(bytes.len(), 32 | 64).then_some(bytes);
        if !self.is_text() {
            return Some(Zeroizing::new(content.to_vec()));
        }
        let hex = || str::from_utf8(content).ok().and_then(encoding::hex);
        encoding::base64(content).and_then(bare).or_else(|| hex().and_then(bare))
    }

    /// Whether the content is text. Then a byte order mark and a newline around it are not part of it.
    fn is_text(&self) -> bool {
        self.encoding == Encoding::Text && !self.is_decoded
    }

    fn need_algorithm(&self) -> Result<Algorithm, Error> {
        self.algorithm.ok_or_else(diagnose::no_algorithm)
    }

    fn check_passphrase(&self, found: &str) -> Result<(), Error> {
        if self.passphrase.is_some() { Err(diagnose::superfluous_passphrase(found)) } else { Ok(()) }
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
            .field("allow_short_secret", &self.allow_short_secret)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

fn material(
    algorithm: Algorithm,
    key: Result<NativeKey, NativeFault>,
    key_id: Option<Arc<str>>,
    is_bare: bool,
) -> Result<KeyMaterial, Error> {
    let key = key.map_err(|fault| diagnose::native(algorithm, fault))?;
    Ok(KeyMaterial { algorithm, key, key_id, is_bare })
}

/// The document inside base64 or quotes.
fn wrapped_document(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    encoding::base64(content).or_else(|| json::unquoted(content))
}

/// Whether the content is mostly text: a random secret of 32 bytes is neither UTF-8 nor free of control characters.
fn is_written(content: &[u8]) -> bool {
    let controls = content.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    sniff::is_text(content) || (str::from_utf8(content).is_ok() && 2 * controls < content.len())
}

fn is_path(content: &[u8]) -> bool {
    str::from_utf8(string::trim(content)).is_ok_and(looks_like_path)
}

fn not_a_key(content: &[u8], expected: Expected) -> Error {
    if is_path(content) { diagnose::path(expected) } else { diagnose::content(content, expected) }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        jwt::test_support::{jwk_set, jwk_text, key_der, pem},
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
    async fn l23_each_format_is_recognised_and_is_the_same_key() {
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
        let der = key_der("ed25519");
        for bytes in [raw(false), raw(true), der.clone()] {
            let key = reader(Algorithm::EdDSA).encoding(Encoding::Binary).read(&bytes).unwrap();
            assert_eq!(signature(&key).await, expected);
        }
        for text in
            [der.clone(), BASE64_STANDARD.encode(&der).into_bytes(), format!("'{}'", pem("ed25519")).into_bytes()]
        {
            assert_eq!(signature(&reader(Algorithm::EdDSA).read(text).unwrap()).await, expected);
        }
        for jwk in
            [Value::from(jwk_text("ed25519", json!({}))).to_string(), format!("'{}'", jwk_text("ed25519", json!({})))]
        {
            assert_eq!(signature(&reader(Algorithm::EdDSA).read(jwk).unwrap()).await, expected);
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
    fn a_given_name_overrides_the_one_of_the_key() {
        let named = jwk_text("p256", json!({ "kid": "own" }));
        let id = |key: Result<SigningKey, Error>| key.unwrap().key_id();
        assert_eq!(id(SigningKey::from_jwk(&named)).as_deref(), Some("own"));
        assert_eq!(id(SigningKey::from_jwk(jwk_text("p256", json!({})))), None);
        assert_eq!(id(SigningKey::from_jwk(&named).map(|key| key.with_key_id("given"))).as_deref(), Some("given"));
        let set = jwk_set(&[named, jwk_text("p384", json!({ "kid": "other" }))]);
        let other = KeyReader::new().key_id("other").read(&set).unwrap();
        assert_eq!((other.key_id().as_deref(), other.algorithm()), (Some("other"), Algorithm::ES384));
        let named = KeyReader::new().algorithm(Algorithm::ES256).key_id("given").read(pem("p256"));
        assert_eq!(id(named).as_deref(), Some("given"));
    }

    #[test]
    fn a_setting_that_does_not_fit_is_a_problem() {
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
    fn l24_part_of_a_key_is_a_secret_only_when_encoded() {
        let jwk = jwk_text("oct", json!({ "kid": "2026-01" }));
        let utf16: Vec<u8> = pem("p256").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let der = ::pem::parse(pem("p256")).unwrap().into_contents();
        let twice = BASE64_STANDARD.encode(BASE64_STANDARD.encode(pem("p256")));
        for (content, expected) in [
            (&jwk.as_bytes()[..jwk.len() - 1], "found a JWK that breaks off"),
            (jwk.replace("\"k\"", "\"kty\"").as_bytes(), "found a JWK with a member that occurs twice"),
            (br#"{"keys": 5, "made by": "a careless program"}"#, "found a JWK set whose `keys` is not a list"),
            (br#"{"type": "service_account", "private_key": ""}"#, "found JSON with neither `kty` nor `keys`"),
            (b"{a secret that begins with a brace, and is long}", "found JSON that is not valid JSON"),
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
