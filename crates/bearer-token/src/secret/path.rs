//! Tells a path that was given in place of the content of its file.
//!
//! The mistake is common: `secret = "/run/secrets/client"` in place of `secret = { file = "/run/secrets/client" }`. It
//! would be sent to the server as the secret, and refused without a reason. The opposite mistake, to refuse a real
//! secret, is worse. So the rules look for what no generated secret has: a known extension, a relative path, a first
//! directory that is a word.

use std::path::Path;

/// The extensions of files that hold keys, tokens and secrets.
const EXTENSIONS: [&str; 18] = [
    "cer", "crt", "der", "env", "jks", "json", "jwk", "jwks", "key", "p12", "p8", "pem", "pfx", "ppk", "toml", "txt",
    "yaml", "yml",
];

/// The longest path that Linux accepts. Longer strings are not paths.
const LONGEST_PATH: usize = 4096;

/// Whether a secret looks like a path, or is the name of a file.
///
/// A leading `/` alone is not enough: one in 64 Base64 secrets begins with it.
///
/// ```
/// use bearer_token::secret::looks_like_path;
///
/// assert!(looks_like_path("/run/secrets/client"));
/// assert!(looks_like_path("client.pem"));
/// assert!(!looks_like_path("/9j4AAQSk/ZJRg+AB=="), "Base64");
/// ```
pub fn looks_like_path(secret: &str) -> bool {
    if secret.is_empty() || secret.len() > LONGEST_PATH || secret.chars().any(char::is_control) {
        return false;
    }
    begins_like_path(secret) || ends_like_path(secret) || Path::new(secret).is_file()
}

/// `./key`, `../key`, `~/key`, `C:\key`, `\\server\key`, `file:///key`, and absolute paths.
fn begins_like_path(secret: &str) -> bool {
    const RELATIVE: [&str; 6] = ["./", "../", ".\\", "..\\", "~/", "~\\"];
    let bytes = secret.as_bytes();
    let has_drive = matches!(bytes, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    RELATIVE.iter().any(|start| secret.starts_with(start))
        || has_drive
        || secret.starts_with("\\\\")
        || secret.starts_with("file:")
        || is_absolute(secret)
}

/// `/run/secrets/key` and `/key`, but not `/9j4AAQSk/ZJRg+AB==`.
fn is_absolute(secret: &str) -> bool {
    let Some(rest) = secret.strip_prefix('/') else { return false };
    if rest.contains(['+', '=']) {
        return false;
    }
    let (first, others) = rest.split_once('/').unwrap_or((rest, ""));
    // `/usr`, `/Users`: capitals inside a word are Base64.
    let is_word = first.len() > 1
        && first.bytes().enumerate().all(|(at, byte)| match byte {
            b'a'..=b'z' | b'-' | b'_' | b'.' => true,
            b'A'..=b'Z' => at == 0,
            _ => false,
        });
    is_word && !others.starts_with('/')
}

/// `client.pem`, but not `.pem` alone, and no extension that is not in the list.
fn ends_like_path(secret: &str) -> bool {
    let Some((stem, extension)) = secret.rsplit_once('.') else { return false };
    !stem.is_empty() && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_systems_are_recognised() {
        for path in [
            "/run/secrets/key",
            "/key",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "/Users/me/Documents/key",
            "./key",
            "../keys/key",
            "~/key",
            "C:\\keys\\key",
            "c:/keys/key",
            "\\\\server\\share\\key",
            "..\\key",
            "file:///run/secrets/key",
            "signing.pem",
            "keys/SIGNING.PEM",
            "service-account.json",
            "key.p8",
            "secret.txt",
            "AuthKey_ABC123.p12",
        ] {
            assert!(looks_like_path(path), "{path}");
        }
    }

    #[test]
    fn secrets_are_not_mistaken_for_paths() {
        for secret in [
            "",
            "s3cret",
            "/9j4AAQSkZJRgABAQAAAQ==",
            "/kXb7h/Jd0Qm3cV9+aPzT1w=",
            "/aB/cDeF0123456789abcdEFGH",
            "//8AAQIDBAUGBwgJ",
            "abc8Q~d-EfGh.IjKl_MnOp",
            "~8Q.aBcDeF_gHiJ",
            "GOCSPX-a1B2c3",
            "a.b.c",
            ".pem",
            "C:",
            "secret.pemx",
            "two\n/run/secrets/key",
            "correct horse battery staple",
        ] {
            assert!(!looks_like_path(secret), "{secret}");
        }
        assert!(!looks_like_path(&format!("/run/{}", "x".repeat(LONGEST_PATH))));
    }

    #[test]
    fn the_name_of_an_existing_file_is_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("UPPER=1");
        assert!(!is_absolute("/9/UPPER=1"));
        std::fs::write(&file, "").unwrap();
        assert!(looks_like_path(file.to_str().unwrap()));
        assert!(looks_like_path("Cargo.lock") || looks_like_path("Cargo.toml"), "relative to the working directory");
    }
}
