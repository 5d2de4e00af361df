//! The comparison of the granted scope with the requested one.
//!
//! A server may grant less than was asked for, and must then say so (RFC 6749 section 5.1). The request to the API
//! fails later, with a 403 that names no cause. The comparison here makes an event of it, at the time when the cause is
//! known.

/// The requested words that were not granted. None if the response names no scope, or grants everything.
///
/// Words that mean other scopes (Entra's `/.default`), or that a server need not repeat, are ignored.
pub(crate) fn not_granted(requested: Option<&str>, granted: Option<&str>) -> Option<String> {
    const NOT_REPEATED: [&str; 4] = ["openid", "offline_access", "profile", "email"];
    let (requested, granted) = (requested?, granted?);
    let is_missing = |word: &&str| {
        let counts = !NOT_REPEATED.contains(word) && *word != ".default" && !word.ends_with("/.default");
        counts && !granted.split_whitespace().any(|other| other == *word)
    };
    let missing: Vec<_> = requested.split_whitespace().filter(is_missing).collect();
    if missing.is_empty() { None } else { Some(missing.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: 6749/3.3b
    #[test]
    fn a_narrower_scope_is_named_as_requested() {
        for (requested, granted, missing) in [
            (Some("read write"), Some("read"), Some("write")),
            (Some("read write"), Some(""), Some("read write")),
            (Some("read write"), Some("write read"), None),
            (Some("read"), Some("read write"), None),
            (Some("read"), Some("Read"), Some("read")),
            (Some("read"), Some("reader planted"), Some("read")),
            (Some("read"), None, None),
            (None, Some("read"), None),
            (Some(""), Some("read"), None),
            (Some("https://api.example.com/.default"), Some("https://api.example.com/Orders.Read"), None),
            (Some("openid offline_access read"), Some("read"), None),
        ] {
            assert_eq!(not_granted(requested, granted).as_deref(), missing, "{requested:?} {granted:?}");
        }
    }
}
