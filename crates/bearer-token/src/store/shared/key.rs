//! Under which name a record is stored.
//!
//! Two tenants whose tokens differ must never have one name, and a name must not tell whose it is. A keyed hash of the
//! identity does both.

use std::fmt;

/// The name of a record: 64 hexadecimal digits.
///
/// It is a keyed hash (HMAC-SHA-256) of everything that decides which token the server issues. So it contains no
/// secret, and replicas that would get different tokens never share a record. A store may put a prefix before it.
///
/// ```
/// use bearer_token::store::StoreKey;
///
/// let key = StoreKey::new([0xab; 32]);
/// // Put it behind a prefix, if other programs use the same store.
/// let name = format!("bearer-token:{key}");
/// assert_eq!(name.len(), "bearer-token:".len() + 64);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(Box<str>);

impl StoreKey {
    /// Creates the key with these 32 bytes. Shared sources compute their keys; use it to test a store.
    pub fn new(bytes: [u8; 32]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
        StoreKey(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect::<String>().into())
    }

    /// The key as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_64_hexadecimal_digits_in_order() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1], bytes[31]) = (0x0f, 0xa0, 0xff);
        let key = StoreKey::new(bytes);
        assert_eq!(key.as_str(), format!("0fa0{}ff", "0".repeat(58)));
        assert_eq!(key.as_str().len(), 64);
    }
}
