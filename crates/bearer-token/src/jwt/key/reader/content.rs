//! Turns content of any format into a key.
//!
//! Content is tried in the order of certainty. The first attempt is a whole document (JWK, PEM, DER). The next is a
//! document inside of Base64 or quotes. The last is a bare secret or seed. In between, anything that looks like a part
//! of a document is refused. That order is what keeps a torn JWK from signing as a secret.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::KeyReader;
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
        key::{
            diagnose::{self, Expected},
            material::KeyMaterial,
        },
        native::{NativeFault, NativeKey},
    },
    secret::string::{self, looks_like_path},
};

impl KeyReader {
    /// Reads a key from content of any format. The algorithm decides what bare content may be. RSA, ECDSA and ML-DSA
    /// have no bare form, so for them it is an error with advice.
    pub(super) fn read_material(&self, content: &[u8]) -> Result<KeyMaterial, Error> {
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
    ///
    /// DER is only looked for with a private key's algorithm: a random HMAC secret could begin with the same bytes.
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

    /// Reads the one private key of a PEM, with the passphrase if it is encrypted.
    pub(super) fn read_pem(&self, text: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        let algorithm = self.need_algorithm()?;
        if algorithm.is_hmac() {
            return Err(diagnose::pem_for_hmac(algorithm));
        }
        match pem::private_key(text).map_err(|fault| diagnose::pem(&fault, expected))? {
            PemKey::Plain(der) => self.private_key(algorithm, &der),
            PemKey::Encrypted(der) => self.encrypted_key(algorithm, &der, expected),
        }
    }

    /// Reads a plain key. A passphrase that was set is then an error: the key is less protected than its owner thinks.
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

    /// Reads a JWK, or the one of a set. The algorithms of the reader and of the key must agree.
    pub(super) fn read_jwk(&self, text: &[u8], expected: Expected) -> Result<KeyMaterial, Error> {
        self.check_passphrase("a JWK")?;
        let chosen = jwk::read(text).and_then(|document| document.choose(self.key_id.as_deref()));
        let jwk = chosen.map_err(|fault| diagnose::jwk(&fault, text, expected))?;
        let (algorithm, parts) = jwk_key::parts(&jwk, self.algorithm).map_err(|fault| diagnose::jwk_key(&fault))?;
        let key = NativeKey::from_parts(algorithm, &parts, self.allow_short_secret);
        material(algorithm, key, jwk.text("kid").map(Arc::from), false)
    }

    /// A shared secret. Of text, a byte order mark and one trailing newline are removed; bytes and encoded secrets are
    /// used as they are.
    pub(super) fn secret(&self, algorithm: Algorithm, content: &[u8]) -> Result<KeyMaterial, Error> {
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
    ///
    /// Base64 is tried before hex. 64 hex digits are also Base64, but of 48 bytes, which no key has.
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

    /// The algorithm, where the content does not name one.
    fn need_algorithm(&self) -> Result<Algorithm, Error> {
        self.algorithm.ok_or_else(diagnose::no_algorithm)
    }

    fn check_passphrase(&self, found: &str) -> Result<(), Error> {
        if self.passphrase.is_some() { Err(diagnose::superfluous_passphrase(found)) } else { Ok(()) }
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
///
/// Text is checked for quotes and newlines, binary is not. The border matters for secrets from `/dev/urandom`, which
/// may be any bytes.
fn is_written(content: &[u8]) -> bool {
    let controls = content.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    sniff::is_text(content) || (str::from_utf8(content).is_ok() && 2 * controls < content.len())
}

pub(super) fn is_path(content: &[u8]) -> bool {
    str::from_utf8(string::trim(content)).is_ok_and(looks_like_path)
}

/// The error for content that nothing above could read. A path in place of its file's content is recognised first.
fn not_a_key(content: &[u8], expected: Expected) -> Error {
    if is_path(content) { diagnose::path(expected) } else { diagnose::content(content, expected) }
}
