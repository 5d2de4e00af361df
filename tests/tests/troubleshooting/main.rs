//! The guide's chapter on troubleshooting has every message of the crates, and no other.
//!
//! `literals.rs` finds the messages in the sources. Two dots stand for what a message fills in.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path};

mod literals;

const CHAPTER: &str = include_str!("../../../crates/bearer-token/src/guide/troubleshooting.md");

#[test]
fn every_message_is_in_the_guide() {
    let (written, told) = (messages(), chapter());
    let missing: Vec<_> = written.difference(&told).collect();
    assert!(missing.is_empty(), "add each under a paragraph of {CHAPTER_PATH}: {missing:#?}");
    let gone: Vec<_> = told.difference(&written).collect();
    assert!(gone.is_empty(), "no source has these any more; remove them from {CHAPTER_PATH}: {gone:#?}");
    assert!(written.len() > 300, "{}", written.len());
}

const CHAPTER_PATH: &str = "crates/bearer-token/src/guide/troubleshooting.md";

/// Sources that print, or that talk to programs: none of their literals is in an error.
const PRINTS: &[&str] = &[
    // What a dry run and a check show.
    "bearer-token-config/src/transcript",
    "bearer-token-cli/src/arguments.rs",
    "bearer-token-cli/src/check.rs",
    "bearer-token-cli/src/failure.rs",
    // Events and descriptions of metrics: in the chapter on observability.
    "bearer-token/src/observe/",
    // A status, shown by its `Display`.
    "bearer-token/src/provider/status.rs",
    // Words of other libraries, by which their errors are told apart.
    "bearer-token/src/transport/cause/text.rs",
    // Dates of HTTP.
    "bearer-token/src/oauth/response/date.rs",
    // Lua that runs in Redis.
    "bearer-token-redis/src/scripts",
];

/// Literals of a sentence's length that are parts of a message that is listed, or that follow it.
const PARTS: &[&str] = &[
    // What an error of another library or of a server fills in or is followed by.
    ".. more ..",
    // Names that are listed, and origins that an event lists.
    ".. and .. others",
    "any https origin",
    "those of each provider",
    ".. (.. times)",
    ".. of .. bytes that ..",
    "OAuth error ..",
    "after byte ..",
    "begins with a tag",
    "contains a tag",
    "it sent more than 2 MiB for one response",
    "no OAuth error code",
    "that is unknown",
    "the server, or a proxy in front of it, is in trouble",
    // What a refusal may mean: it follows `.. responded with .. and ..`, and `oauth_code()` has a table above.
    "The audience was .., and servers compare it byte for byte",
    "The audience was the issuer .., and servers compare it byte for byte",
    "such tokens need a proof with each request (RFC 9449), so allow bearer tokens for this client",
    "such tokens need a proof with each request, so allow bearer tokens for this client",
    "such tokens need a signature with each request, so allow bearer tokens for this client",
    "the assertion was sent before, and the server does not accept one more than once",
    "the assertion, code, refresh token or subject token was refused",
    "the server asks for fewer token requests",
    "the server asks for patience, and nothing has to change",
    "the server denies access",
    "the server does not know this grant type",
    "the server requires DPoP (RFC 9449), which is not supported",
    "the server's log or documentation knows the cause",
    "the token is not meant for an API (RFC 8693 section 2.2.1), so ask for an access token",
    "this client may not use this grant",
    "more than the .. s that are corrected",
    // Names of what is missing or wrong, inside of another message.
    "metadata of ..",
    "the claim ..",
    "the environment variable ..",
    "the file ..",
    "the header member kid",
    "the shared secret of ..",
    "the token endpoint at ..",
    "the token endpoint of ..",
    "the token of the provider ..",
    "the token source",
    "claims looked up",
    "client authentication in the body",
    "certificates as PKCS#7 (.p7b)",
    "line .., column ..",
    "no kid among them",
    "only n, e and d",
    "no connection for the token request to",
    "no response to the token request from",
    "no token response from",
    ".. bytes, r||s",
    "Value(token of ..)",
    "waiting for a token",
    // What a file is, and how it is converted.
    "HS256, HS384 or HS512",
    "PKCS#12 (openssl pkcs12 -in FILE -nodes converts it)",
    "PKCS#7 (openssl pkcs7 -print_certs -in FILE converts it)",
    "UTF-16 (save it as UTF-8)",
    "binary data, perhaps DER (openssl x509 -inform DER -in FILE converts it)",
    "binary data, perhaps a private key in DER (openssl pkey -inform DER -in FILE converts it)",
    "convert it with openssl pkcs7 -inform DER -print_certs -in FILE.p7b -out CERTIFICATE.pem",
    "convert it with puttygen KEY -O private-openssh -o KEY.pem",
    "convert it with puttygen KEY.ppk -O private-openssh -o KEY.pem",
    "it holds the public half",
    "make a new key with openssl genpkey -algorithm ed25519 -out KEY.pem",
    "pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -inform DER",
    "pkey -inform DER",
    "put it between [ and ]",
    "quotes around the value (remove them)",
    "this is the public half, which verifies",
    // What a problem expects.
    "exactly one of file and url",
    "its fields, without a table or a list around them",
    "the fields of one provider",
    "more than .., by which iat is back-dated, and at most 24 h",
    "scopes, such as https://www.googleapis.com/auth/cloud-platform",
    "the API's host, such as https://pubsub.googleapis.com/",
    "the API's identifier, such as https://graph.microsoft.com/.default",
    "the URL of an authority, such as https://login.microsoftonline.com",
    "the URL of the API, as its metadata has it",
    "the URL of the service",
    "the URL of the store, such as redis://localhost:6379",
    "the algorithm that the key signs with",
    "the algorithm that the key signs with, because only a JWK can name its own",
    "the app's client id, such as Iv23li..",
    "the application (client) id",
    "the base URL of the API, such as https://github.example.com/api/v3",
    "the client's id",
    "the client's secret",
    "the directory (tenant) id, or a domain of it",
    "the e-mail address of a user",
    "the keys that seal the tokens: { file = \"..\" }",
    "the name of a repository without its owner",
    "the name of one of sources: ..",
    "the name of one of sources: .. and .. more",
    "the name of the user",
    "the private key as PEM or JWK, or the HMAC secret",
    "the section with a file for the refresh token",
    "the token endpoint that exchanges the refresh token",
    "the token endpoint that exchanges the token",
    "the token of a pod",
    "the token that the webhook mounts",
    "where the assertion is: a file or a source",
    "where the auth method is mounted, such as jwt or teams/jwt",
    "where the token is: a file, a variable or a source",
    // The command's pages, and the documentation of a configuration's words in its schema.
    "An assertion that is made elsewhere, such as in a file.",
    "An assertion that is signed with a private key (RFC 7523 section 2.2).",
    "An assertion that is signed with the secret.",
    "HTTP Basic with id and secret as they are.",
    "HTTP Basic, encoded as RFC 6749 section 2.3.1 says.",
    "Id and secret in the body.",
    "No authentication: the client_id alone, if there is an id.",
    "No authentication: the client_id alone.",
    "The same as basic.",
    "The same as post.",
    "Open this page in a browser on this machine:\n\n  ..",
    "Open this page on any device, and enter the code ..:\n\n  ..",
    "The refresh token is stored",
    "This is not the expected redirect.",
    "You may close this window",
    "{ initial = { value = \"stand-in\" }, reusable = true }",
    // A fault of this crate.
    "polled after completion",
];

#[test]
fn a_paragraph_follows_each_list_of_messages() {
    let (_, lists) = CHAPTER.split_once("\n## Messages\n").unwrap();
    let blocks: Vec<_> = lists.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
    let mut number = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.starts_with("- ")) {
        let next = blocks.get(at + 1).copied().unwrap_or_default();
        let is_paragraph = !next.is_empty() && !next.starts_with('#') && !next.starts_with("- ");
        assert!(is_paragraph, "no paragraph says what to do about {block}");
        number += 1;
    }
    assert!(number > 50, "{number}");
}

#[test]
fn a_list_of_messages_holds_nothing_else() {
    let (_, lists) = CHAPTER.split_once("\n## Messages\n").unwrap();
    for block in lists.replace("\n  ", " ").split("\n\n") {
        let lines: Vec<_> = block.lines().filter(|line| !line.is_empty()).collect();
        let messages = lines.iter().filter(|line| line.starts_with("- ")).count();
        assert!(messages == 0 || messages == lines.len(), "an empty line is missing in {block}");
    }
}

#[test]
fn each_message_is_told_once() {
    let mut told = BTreeSet::new();
    let twice: Vec<_> = lines().into_iter().filter(|message| !told.insert(message.clone())).collect();
    assert!(twice.is_empty(), "{CHAPTER_PATH} has these twice: {twice:#?}");
}

#[test]
fn every_source_that_is_left_out_exists() {
    for path in PRINTS {
        let path = path.trim_end_matches('/');
        let exists = ["", ".rs"].iter().any(|ending| crates().join(format!("{path}{ending}")).exists());
        assert!(exists, "{path}");
    }
}

#[test]
fn every_kind_has_a_paragraph() {
    let source = fs::read_to_string(crates().join("bearer-token/src/error/kind.rs")).unwrap();
    let (_, kinds) = source.split_once("pub enum ErrorKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let kinds: Vec<_> = kinds.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    assert!(kinds.contains(&"Refused"), "{kinds:?}");
    for kind in kinds {
        assert!(CHAPTER.contains(&format!("\n**`{kind}`.**")), "{CHAPTER_PATH} has no paragraph for {kind}");
    }
}

/// The lines of the chapter's lists of messages.
fn chapter() -> BTreeSet<String> {
    lines().into_iter().collect()
}

fn lines() -> Vec<String> {
    let (_, lists) = CHAPTER.split_once("\n## Messages\n").unwrap();
    let lists = lists.replace("\n  ", " ");
    let lines = lists.lines().filter_map(|line| line.strip_prefix("- "));
    lines.map(|line| line.replace('`', "").trim().to_owned()).collect()
}

fn crates() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates"))
}

fn messages() -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    let mut directories = vec![crates().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let shown = path.strip_prefix(crates()).unwrap().to_str().unwrap().replace('\\', "/");
            if name.contains("test") || PRINTS.iter().any(|print| shown.starts_with(print)) {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs") {
                messages.extend(literals::messages(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    let gone: Vec<_> = PARTS.iter().filter(|part| !messages.contains(**part)).collect();
    assert!(gone.is_empty(), "no source has these parts any more: {gone:#?}");
    messages.retain(|message| !PARTS.contains(&message.as_str()));
    messages
}
