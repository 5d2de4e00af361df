//! The refresh token in the form that stores keep.
//!
//! The JSON has one required member, so a person or a sign-in program can write the file by hand. The other two members
//! are history: which token was valid before, and which configured one this line descends from.

use std::{fmt, ops::Deref};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    error::{Error, ErrorKind},
    secret::Secret,
    token::fields::ResponseFields,
};

/// A refresh token as a store keeps it, with the part of its history that the grant needs.
///
/// Stores treat it as one string, its JSON. It is wiped when dropped, and `Debug` does not show it.
///
/// ```
/// use bearer_token::store::StoredToken;
///
/// # fn main() -> Result<(), bearer_token::Error> {
/// let stored = StoredToken::new("tGzv3JOkF0XG5Qx2TlKWIA");
/// let json = stored.to_json()?;
/// assert_eq!(*json, r#"{"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}"#);
/// assert_eq!(StoredToken::from_json(&*json)?, stored);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub(crate) token: Secret,
    /// The previous refresh token, until the server has accepted `token`.
    pub(crate) previous: Option<Secret>,
    /// The configured refresh token that this one descends from.
    pub(crate) initial: Option<Secret>,
}

impl StoredToken {
    /// A refresh token without a history, from a person's consent.
    pub fn new(refresh_token: impl Into<String>) -> Self {
        StoredToken { token: Secret::new(refresh_token), previous: None, initial: None }
    }

    /// The refresh token. Handle with care.
    pub fn secret(&self) -> &str {
        self.token.expose()
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Unknown members are skipped.
    ///
    /// # Errors
    ///
    /// Fails with kind [`Source`](ErrorKind::Source) if the JSON is something else. The error does not repeat it.
    ///
    /// ```
    /// use bearer_token::store::StoredToken;
    ///
    /// # fn main() -> Result<(), bearer_token::Error> {
    /// // As another program may write it.
    /// let stored = StoredToken::from_json(r#"{"refresh_token": "abc", "obtained": "2026-01-01"}"#)?;
    /// assert_eq!(stored.secret(), "abc");
    /// let error = StoredToken::from_json("abc").unwrap_err();
    /// assert!(!error.to_string().contains("abc"));
    /// # Ok(()) }
    /// ```
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, Error> {
        let expected = "expected a JSON object with the refresh token as a string in the member `refresh_token`";
        let wrong =
            |found: &str| Error::new(ErrorKind::Source, format!("the stored refresh token {found}; {expected}"));
        let members = ResponseFields::of(json.as_ref(), &MEMBERS).map_err(|why| wrong(why.0))?;
        let secret = |name| members.text(name).filter(|text| !text.is_empty()).map(Secret::new);
        let [token, previous, initial] = MEMBERS.map(secret);
        let token = token.ok_or_else(|| wrong("is JSON without that member"))?;
        Ok(StoredToken { token, previous, initial })
    }

    /// The JSON to store, which is wiped when dropped.
    ///
    /// Store it as one opaque string, and compare it as one: [`swap`](super::RefreshTokenStore::swap) expects equality.
    /// It contains a secret: encrypt it where the store does not.
    ///
    /// # Errors
    ///
    /// Never fails in practice: every refresh token can be written as JSON.
    pub fn to_json(&self) -> Result<impl Deref<Target = String> + Send + Sync + use<>, Error> {
        let object = Object {
            refresh_token: self.token.expose(),
            previous: self.previous.as_ref().map(Secret::expose),
            initial: self.initial.as_ref().map(Secret::expose),
        };
        let tokens = [Some(object.refresh_token), object.previous, object.initial];
        // Large enough for the worst case, `\u0000`: a buffer that grows leaves copies of secrets behind.
        let size = 64 + 6 * tokens.into_iter().flatten().map(str::len).sum::<usize>();
        let mut json = Zeroizing::new(Vec::with_capacity(size));
        let written = serde_json::to_writer(&mut *json, &object);
        let text = String::from_utf8(std::mem::take(&mut *json)).ok().filter(|_| written.is_ok());
        text.map(Zeroizing::new)
            .ok_or_else(|| Error::new(ErrorKind::Source, "a refresh token cannot be written as JSON"))
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredToken([redacted])")
    }
}

const MEMBERS: [&str; 3] = ["refresh_token", "previous", "initial"];

#[derive(Serialize)]
struct Object<'a> {
    refresh_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_json_is_read_again() {
        let plain = StoredToken::new("a \"token\" \u{1}\u{e4}");
        let full =
            StoredToken { previous: Some(Secret::new("before")), initial: Some(Secret::new("first")), ..plain.clone() };
        for stored in [plain, full] {
            let json = stored.to_json().unwrap();
            assert_eq!(StoredToken::from_json(json.as_bytes()).unwrap(), stored);
        }
        // Other programs may write more members.
        let json = r#"{"access_token": "x", "refresh_token": "r", "previous": null, "initial": "", "expires_in": 5}"#;
        assert_eq!(StoredToken::from_json(json).unwrap(), StoredToken::new("r"));
    }

    #[test]
    fn l38_an_error_repeats_nothing_of_the_json() {
        for (json, part) in [
            ("", "is empty"),
            ("\u{0}\u{0}\u{0}", "is not JSON"),
            ("planted", "is not JSON"),
            (r#"{"refresh_token":"plan"#, "breaks off"),
            (r#""planted""#, "not an object"),
            ("{}", "without that member"),
            (r#"{"refresh_token":""}"#, "without that member"),
            (r#"{"refresh_token":["planted"]}"#, "without that member"),
        ] {
            let error = StoredToken::from_json(json).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && !text.contains("plan"), "{json}: {text}");
            assert!(error.is_transient(), "another program may be writing it");
        }
        assert!(!format!("{:?}", StoredToken::new("planted")).contains("planted"));
    }
}
