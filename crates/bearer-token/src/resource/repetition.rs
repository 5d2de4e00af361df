//! Whether untrusted input repeats a secret.
//!
//! A hostile redirect can lead to a host whose name contains the token, in lower case and with dots in between. A
//! warning with that origin would write the token into a log. So a text is compared before it is shown, without regard
//! to anything that is not a letter or a digit.

use zeroize::Zeroizing;

/// The length of the shortest part of a secret that is recognised. A shorter secret is recognised as a whole.
///
/// Without regard to case, twelve letters and digits have some 60 bits. Shorter parts occur in texts by chance, and
/// withholding those texts would make messages useless.
const PART: usize = 12;

/// Whether the text contains the secret or a part of it. Case and punctuation are ignored, because host names ignore
/// case and consist of short labels.
pub(crate) fn repeats(text: &str, secret: &str) -> bool {
    let [text, secret] = [text, secret].map(|text| {
        let letters = text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
        Zeroizing::new(letters.collect::<Vec<u8>>())
    });
    let part = PART.min(secret.len());
    part > 0 && secret.windows(part).any(|part| text.windows(part.len()).any(|found| found == part))
}

#[cfg(test)]
#[cfg(not(bearer_loom))]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_secret_are_recognised_in_any_spelling() {
        let secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-Zz";
        for (text, expected) in [
            (secret, true),
            ("https://eyjhbgcioijsuzi1nij9.eyjzdwiioijhin0.c2lnbmf0dxjl-zz.evil.example", true),
            ("https://evil.example.eyJhbGciOiJS", true),
            ("https://eyj.hbg.cio.ijs.evil.example", true),
            ("https://zdWIiOiJhIn0-c2ln.evil.example", true),
            ("https://eyJhbGciOiJ.evil.example", false),
            ("https://api.example.com:8443", false),
            ("", false),
        ] {
            assert_eq!(repeats(text, secret), expected, "{text}");
        }
        assert!(repeats("https://t0k3n.example.com", "t0k3n") && !repeats("https://t0k3.example.com", "t0k3n"));
        assert!(!repeats("https://api.example.com", "") && !repeats("https://api.example.com", "-.~"));
    }
}
