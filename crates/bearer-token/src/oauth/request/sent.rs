//! What a token request contained, to find repetitions of it in strings from the server.
//!
//! A server's description of an error is useful and dangerous: it may quote the assertion that it refused, or the
//! secret that was wrong. So [`Error::server_description`](crate::Error::server_description) is withheld if any part of
//! a secret can be found in it. The search covers every form in which servers quote: plain, form-encoded, escaped as in
//! JSON, in Base64, in another case, with damaged characters.
//!
//! It costs a few allocations for each form of the description, in a request that has failed. A success compares
//! credentials with the token, and nothing else.
//!
//! What it cannot find is a secret that a hostile server disguises on purpose. That server has the secret already; what
//! it could gain is to see it in a log. So the description is not in any log by default.

use std::collections::HashSet;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use crate::oauth::request::parameters::{Parameter, Parameters};

/// The contents of one token request.
///
/// Lives as long as the response is read.
pub(crate) struct Sent {
    pub(crate) parameters: Parameters,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<Zeroizing<String>>,
}

/// Parameters that are public, and may be named in a server's text: they are masked there.
const PUBLIC: [&str; 4] = ["client_id", "scope", "grant_type", "client_assertion_type"];

/// The length below which a string is not searched for: it could be in any text by chance.
///
/// A secret of two characters protects nothing.
const SHORTEST: usize = 3;

/// The length of a part of a longer secret that must not be shown, in bytes.
///
/// Twelve bytes are 72 bits of Base64: too few to use, too many to occur by chance.
const FRAGMENT: usize = 12;

const BASE64_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Sent {
    /// The scope that the request asked for.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.parameters.get("scope")
    }

    /// The name of the parameter whose credential this string is.
    ///
    /// A server that echoes requests, or a URL that belongs to something else, would otherwise make the API receive the
    /// credential.
    pub(crate) fn credential(&self, token: &str) -> Option<&str> {
        let is_it = |parameter: &&Parameter| parameter.is_credential && *parameter.value == token;
        self.parameters.list().iter().find(is_it).map(|parameter| parameter.name.as_ref())
    }

    /// Replaces the public parameters in a text by their names.
    pub(crate) fn mask(&self, text: &str) -> String {
        let basic = self.basic().map(|(id, _)| id);
        let values = PUBLIC.iter().filter_map(|name| Some((*name, self.parameters.get(name)?)));
        let mut values: Vec<_> = values.chain(basic.as_deref().map(|id| ("client_id", id.as_str()))).collect();
        // A longer one may contain a shorter one.
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut masked = text.to_owned();
        for (name, value) in values.into_iter().filter(|(_, value)| value.len() >= SHORTEST) {
            masked = masked.replace(value, &format!("[{name}]"));
        }
        masked
    }

    /// Whether a string repeats a secret or a part of one: as it is, form-encoded, escaped as in JSON, or in Base64.
    ///
    /// The fragments of all forms are in one set, so the cost is linear in the lengths of the description and of the
    /// secrets.
    pub(crate) fn is_repeated_in(&self, text: &str) -> bool {
        let decoded = |text: &str| {
            let pairs = form_urlencoded::parse(text.as_bytes());
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let without_plus = text.replace('+', "%2B");
        let mut forms = vec![text.to_owned(), decoded(text), decoded(&without_plus), unescaped(text)];
        let base64: Vec<_> = forms.iter().flat_map(|form| base64_runs(form)).collect();
        forms.extend(base64.iter().map(|form| decoded(form)));
        forms.extend(base64);
        let plain: Vec<_> = forms.iter().map(|form| undamaged(form)).collect();
        forms.extend(plain);
        let forms: Vec<_> = forms.iter().map(|form| form.to_ascii_lowercase()).collect();
        let fragments: HashSet<_> = forms.iter().flat_map(|form| form.as_bytes().windows(FRAGMENT)).collect();
        let mut secrets = self.secrets();
        let plain: Vec<_> = secrets.iter().map(|secret| Zeroizing::new(undamaged(secret))).collect();
        secrets.extend(plain);
        secrets.iter().any(|secret| {
            let secret = Zeroizing::new(secret.to_ascii_lowercase());
            match secret.len() {
                0..SHORTEST => false,
                SHORTEST..FRAGMENT => forms.iter().any(|form| form.contains(secret.as_str())),
                _ => secret.as_bytes().windows(FRAGMENT).any(|fragment| fragments.contains(fragment)),
            }
        })
    }

    /// Everything that was sent and is not public, in parts.
    ///
    /// The parts are the parameters, the query, the headers, both halves of HTTP Basic, and the claims inside of a JWT.
    /// A claim may name a person.
    fn secrets(&self) -> Vec<Zeroizing<String>> {
        let mut secrets = Secrets::default();
        for (_, value) in self.parameters.iter().filter(|(name, _)| !PUBLIC.contains(name)) {
            secrets.add(value);
        }
        for (_, value) in form_urlencoded::parse(self.query.as_ref().map_or("", |query| query.as_str()).as_bytes()) {
            secrets.add(&value);
        }
        for value in self.headers.iter().filter(|(name, _)| **name != AUTHORIZATION).map(|(_, value)| value) {
            secrets.add(&String::from_utf8_lossy(value.as_bytes()));
        }
        if let Some((_, secret)) = self.basic() {
            secrets.add(&secret);
            secrets.add(&form_decoded(&secret));
        }
        if let Some((_scheme, credentials)) = self.authorization().and_then(|value| value.split_once(' ')) {
            secrets.add(credentials);
        }
        secrets.0
    }

    fn authorization(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| str::from_utf8(value).ok())
    }

    /// The id and the secret of HTTP Basic, as they are joined.
    fn basic(&self) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
        let pair = BASE64_STANDARD.decode(self.authorization()?.strip_prefix("Basic ")?).ok()?;
        let pair = Zeroizing::new(String::from_utf8(pair).ok()?);
        let (id, secret) = pair.split_once(':')?;
        Some((form_decoded(id), Zeroizing::new(secret.to_owned())))
    }
}

#[derive(Default)]
struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Adds a value, and the segments of a JWT with what they say.
    fn add(&mut self, value: &str) {
        self.0.push(Zeroizing::new(value.to_owned()));
        if value.starts_with("eyJ") {
            for segment in value.split('.') {
                self.0.push(Zeroizing::new(segment.to_owned()));
                // The claims, but not the bytes of the signature.
                self.0.extend(base64(segment).and_then(|bytes| String::from_utf8(bytes).ok()).map(Zeroizing::new));
            }
        }
    }
}

/// The characters that are the same in every character set. Others may have become `?`, two characters, or a space.
///
/// A description in another character set has lost the same characters in the quoted secret, so both sides are reduced
/// before they are compared.
fn undamaged(text: &str) -> String {
    text.chars().filter(|char| char.is_ascii_graphic() && *char != '?').collect()
}

/// The text without the escapes of JSON strings, as a server may quote a JSON body.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let char = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                plain.extend(char);
            }
            Some('n' | 'r' | 't' | 'b' | 'f') | None => plain.push(' '),
            Some(char) => plain.push(char),
        }
    }
    plain
}

fn form_decoded(text: &str) -> Zeroizing<String> {
    // The text is the value of one pair.
    let pair = [b"x=", text.as_bytes()].concat();
    let value = form_urlencoded::parse(&pair).next().map(|(_, value)| value.into_owned());
    Zeroizing::new(value.unwrap_or_default())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    // A single last digit holds no byte.
    let whole = if text.len() % 4 == 1 { text.len() - 1 } else { text.len() };
    BASE64_LENIENT.decode(text.get(..whole)?).ok()
}

/// Decodes the runs of Base64 digits in a string, at each of the four offsets.
///
/// A quoted piece may begin in the middle of a group of four digits, so each offset is tried.
fn base64_runs(text: &str) -> Vec<String> {
    let is_digit = |char: char| char.is_ascii_alphanumeric() || "+/-_".contains(char);
    let runs = text.split(|char| !is_digit(char)).filter(|run| run.len() >= 4);
    let decoded = runs.flat_map(|run| (0..4).filter_map(|skip| base64(run.get(skip..)?)));
    // Bytes that are not UTF-8 are like nothing in a secret.
    decoded.map(|bytes| String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "\0")).collect()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    const SECRET: &str = "pla+nted/secret&1 \u{e4}";
    const TEXTS: [&str; 3] = ["", "seen ", "x="];

    fn sent(name: &'static str, value: &str) -> Sent {
        Sent { parameters: Parameters::new("custom").with(name, value), headers: HeaderMap::new(), query: None }
    }

    fn encoded(secret: &str) -> Vec<String> {
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        vec![
            secret.to_owned(),
            secret.to_uppercase(),
            form.clone(),
            form.replace('+', "%20"),
            form.to_lowercase(),
            serde_json::to_string(secret).unwrap(),
            secret.replace('/', "\\/").replace('\u{e4}', "\\u00e4"),
            BASE64_STANDARD.encode(secret),
            BASE64_URL_SAFE_NO_PAD.encode(secret),
            BASE64_STANDARD.encode(format!("id:{secret}")),
            BASE64_STANDARD.encode(format!("x:{form}")),
            form_urlencoded::byte_serialize(BASE64_STANDARD.encode(secret).as_bytes()).collect(),
        ]
    }

    #[test]
    fn l38_a_secret_is_recognised_in_every_encoding() {
        for secret in [SECRET, "short", "a-secret-that-is-longer-than-a-fragment", "quo\"ted\\"] {
            for text in encoded(secret) {
                for before in TEXTS {
                    let text = format!("{before}{text} is wrong");
                    assert!(sent("password", secret).is_repeated_in(&text), "{secret} in {text}");
                    let query = form_urlencoded::Serializer::new(String::new()).append_pair("k", secret).finish();
                    let in_query = Sent { query: Some(Zeroizing::new(query)), ..sent("a", "b") };
                    assert!(in_query.is_repeated_in(&text), "{text}");
                }
            }
        }
        for text in ["", "the client is unknown", "c2hvcnR", "sec-ret"] {
            assert!(!sent("password", SECRET).is_repeated_in(text), "{text}");
        }
    }

    #[test]
    fn l38_a_part_of_a_secret_is_recognised() {
        const JWT: &str = "eyJhbGciOiJub25lIn0.eyJqdGkiOiJwbGFudGVkLWp0aS0xMjM0In0.c2lnbmF0dXJl";
        let jwt = sent("assertion", JWT);
        for text in
            ["eyJhbGciOiJub25lIn0", "the eyJqdGkiOiJw", "{\"jti\":\"planted-jti-1234\"}", "c2lnbmF0dXJl", "signature"]
        {
            assert!(jwt.is_repeated_in(text), "{text}");
        }
        assert!(!jwt.is_repeated_in("the assertion has expired"));
        // Random bytes of a signature are like no words.
        let random: Vec<u8> = (0..=255).collect();
        let signed = format!("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.{}", BASE64_URL_SAFE_NO_PAD.encode(random));
        assert!(!sent("assertion", &signed).is_repeated_in("the issuer of the assertion is not trusted"));
        let long = sent("refresh_token", "0123456789abcdefghijklmnopqrstuvwxyz");
        assert!(long.is_repeated_in("got 89abcdefghij..."));
        assert!(!long.is_repeated_in("got 89abcdefghi..."));
    }

    #[test]
    fn l38_headers_are_secrets_and_so_is_the_secret_of_basic() {
        let mut headers = HeaderMap::new();
        let basic = BASE64_STANDARD.encode("client+id:a%2Bsecret");
        headers.insert(AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
        headers.insert("x-key", "planted-key".parse().unwrap());
        let sent = Sent { headers, ..sent("a", "b") };
        for text in ["planted-key", "a%2Bsecret", "a+secret", "A+SECRET", &basic, "YStzZWNyZXQ="] {
            assert!(sent.is_repeated_in(text), "{text}");
        }
        assert!(!sent.is_repeated_in("Basic authentication failed"));
        assert_eq!(sent.mask("the client id is not known"), "the [client_id] is not known");
    }

    #[test]
    fn public_parameters_are_masked() {
        let parameters = Parameters::new("client_credentials").with("client_id", "app").with("scope", "app:read");
        let sent = Sent { parameters, headers: HeaderMap::new(), query: None };
        let masked = sent.mask("app may not use client_credentials for app:read");
        assert_eq!(masked, "[client_id] may not use [grant_type] for [scope]");
        assert!(!sent.is_repeated_in("app client_credentials app:read"));
    }
}
