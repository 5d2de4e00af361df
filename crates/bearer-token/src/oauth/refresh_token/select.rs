//! Which refresh token to send, and which one follows it: pure decisions.

use crate::{secret::Secret, store::StoredToken};

/// What there is to select from.
pub(super) struct Wanted<'a> {
    pub(super) stored: Option<&'a StoredToken>,
    pub(super) initial: Option<&'a Secret>,
    pub(super) retry_previous: bool,
}

/// The best refresh token that is not gone.
pub(super) fn select<'a>(wanted: &Wanted<'a>, is_gone: impl Fn(&Secret) -> bool) -> Option<&'a Secret> {
    let Wanted { stored, initial, retry_previous } = *wanted;
    let previous = stored.and_then(|stored| stored.previous.as_ref()).filter(|_| retry_previous);
    // What the stored one came from is used up: sent again, it would look stolen.
    let initial = initial.filter(|initial| stored.and_then(|stored| stored.initial.as_ref()) != Some(initial));
    [stored.map(|stored| &stored.token), previous, initial].into_iter().flatten().find(|token| !is_gone(token))
}

/// What is to be in the store after an answer of success, with or without a new refresh token in it.
pub(super) fn successor(
    seen: Option<&StoredToken>,
    sent: &Secret,
    initial: Option<&Secret>,
    answered: Option<&str>,
    keep_previous: bool,
) -> StoredToken {
    let token = answered.map_or_else(|| sent.clone(), Secret::new);
    let previous = (keep_previous && token != *sent).then(|| sent.clone());
    let is_stored = seen.is_some_and(|seen| seen.token == *sent || seen.previous.as_ref() == Some(sent));
    let initial = match seen {
        Some(seen) if is_stored => seen.initial.clone(),
        _ => initial.cloned(),
    };
    StoredToken { token, previous, initial }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Secret> {
        (!text.is_empty()).then(|| Secret::new(text))
    }

    /// `token,previous,initial`, or nothing.
    fn stored(text: &str) -> Option<StoredToken> {
        let parts: Vec<_> = text.split(',').collect();
        let [token, previous, initial] = parts[..] else { return None };
        Some(StoredToken { previous: secret(previous), initial: secret(initial), ..StoredToken::new(token) })
    }

    #[test]
    fn the_stored_token_comes_first_and_what_is_used_up_never() {
        for (kept, initial, retry_previous, gone, expected) in [
            ("", "", true, "", None),
            ("", "i", true, "", Some("i")),
            ("", "i", true, "i", None),
            ("s,,", "", true, "", Some("s")),
            ("s,,", "", true, "s", None),
            // A new one was configured, after a new consent.
            ("s,,", "i", false, "", Some("s")),
            ("s,,", "i", false, "s", Some("i")),
            ("s,,i", "j", false, "s", Some("j")),
            ("s,,i", "j", false, "s j", None),
            // It is where the stored one comes from.
            ("s,,i", "i", false, "s", None),
            ("s,p,i", "i", true, "s p", None),
            ("s,p,", "", true, "s", Some("p")),
            ("s,p,", "i", true, "s", Some("p")),
            ("s,p,", "i", true, "s p", Some("i")),
            ("s,p,", "i", false, "s", Some("i")),
            ("s,p,", "", false, "s", None),
        ] {
            let (kept, initial) = (stored(kept), secret(initial));
            let wanted = Wanted { stored: kept.as_ref(), initial: initial.as_ref(), retry_previous };
            let chosen = select(&wanted, |token| gone.split(' ').any(|gone| gone == token.expose()));
            assert_eq!(chosen.map(Secret::expose), expected, "{kept:?} {gone}");
        }
    }

    #[test]
    fn a_new_token_replaces_the_old_one_and_without_one_it_stays() {
        for (seen, sent, answered, keep_previous, expected) in [
            ("a,,", "a", None, false, "a,,"),
            ("a,,", "a", Some("a"), true, "a,,"),
            ("a,,", "a", Some("b"), false, "b,,"),
            ("a,,", "a", Some("b"), true, "b,a,"),
            ("b,a,i", "b", Some("c"), true, "c,b,i"),
            // The server has taken it: the one before has no use any more.
            ("b,a,i", "b", None, true, "b,,i"),
            ("b,a,i", "b", Some("c"), false, "c,,i"),
            ("b,a,i", "a", Some("c"), true, "c,a,i"),
            ("", "j", None, true, "j,,j"),
            ("", "j", Some("k"), false, "k,,j"),
            ("a,,i", "j", Some("k"), true, "k,j,j"),
        ] {
            let kept = stored(seen);
            let next = successor(kept.as_ref(), &Secret::new(sent), secret("j").as_ref(), answered, keep_previous);
            let text = |stored: StoredToken| stored.to_json().unwrap().to_string();
            assert_eq!(Some(text(next)), stored(expected).map(text), "{seen} {sent} {answered:?}");
        }
    }
}
