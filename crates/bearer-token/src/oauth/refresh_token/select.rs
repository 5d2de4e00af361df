//! Pure decisions: which refresh token to send, and which one to store after it.
//!
//! Both functions know nothing of stores, clocks or servers, so they are tested by tables. The states:
//!
//! | stored | previous | initial | sent |
//! |---|---|---|---|
//! | yes | any | any | the stored one |
//! | refused | yes, with `retry_previous` | any | the previous one |
//! | refused | no | not an ancestor of the stored one | the initial one |
//! | refused | no | an ancestor, or none | nothing: a person has to consent |
//! | no | no | yes | the initial one |

use crate::{secret::Secret, store::StoredToken};

/// The refresh tokens to select from.
pub(super) struct Candidates<'a> {
    pub(super) stored: Option<&'a StoredToken>,
    pub(super) initial: Option<&'a Secret>,
    pub(super) retry_previous: bool,
}

/// The best refresh token that is not gone.
pub(super) fn select<'a>(candidates: &Candidates<'a>, is_gone: impl Fn(&Secret) -> bool) -> Option<&'a Secret> {
    let Candidates { stored, initial, retry_previous } = *candidates;
    let previous = stored.and_then(|stored| stored.previous.as_ref()).filter(|_| retry_previous);
    // The stored token descends from it, so it is used up: a second use would look like theft.
    let initial = initial.filter(|initial| stored.and_then(|stored| stored.initial.as_ref()) != Some(initial));
    [stored.map(|stored| &stored.token), previous, initial].into_iter().flatten().find(|token| !is_gone(token))
}

/// The token to store after a success, whose response may contain a new refresh token.
///
/// A server that does not rotate sends no refresh token, and the one that was sent stays. The ancestor is inherited
/// along the line of descent, and set when the initial token was the one that was sent.
pub(super) fn successor(
    seen: Option<&StoredToken>,
    sent: &Secret,
    initial: Option<&Secret>,
    received: Option<&str>,
    keeps_previous: bool,
) -> StoredToken {
    let token = received.map_or_else(|| sent.clone(), Secret::new);
    let previous = (keeps_previous && token != *sent).then(|| sent.clone());
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

    /// Parses `token,previous,initial`.
    fn stored(text: &str) -> Option<StoredToken> {
        let parts: Vec<_> = text.split(',').collect();
        let [token, previous, initial] = parts[..] else { return None };
        Some(StoredToken { previous: secret(previous), initial: secret(initial), ..StoredToken::new(token) })
    }

    // shows: 9700/4.14
    #[test]
    fn the_stored_token_is_first_and_used_ones_never() {
        for (kept, initial, retry_previous, gone, expected) in [
            ("", "", true, "", None),
            ("", "i", true, "", Some("i")),
            ("", "i", true, "i", None),
            ("s,,", "", true, "", Some("s")),
            ("s,,", "", true, "s", None),
            // A new initial token was configured, after a new consent.
            ("s,,", "i", false, "", Some("s")),
            ("s,,", "i", false, "s", Some("i")),
            ("s,,i", "j", false, "s", Some("j")),
            ("s,,i", "j", false, "s j", None),
            // The stored one descends from the initial one.
            ("s,,i", "i", false, "s", None),
            ("s,p,i", "i", true, "s p", None),
            ("s,p,", "", true, "s", Some("p")),
            ("s,p,", "i", true, "s", Some("p")),
            ("s,p,", "i", true, "s p", Some("i")),
            ("s,p,", "i", false, "s", Some("i")),
            ("s,p,", "", false, "s", None),
        ] {
            let (kept, initial) = (stored(kept), secret(initial));
            let candidates = Candidates { stored: kept.as_ref(), initial: initial.as_ref(), retry_previous };
            let selected = select(&candidates, |token| gone.split(' ').any(|gone| gone == token.expose()));
            assert_eq!(selected.map(Secret::expose), expected, "{kept:?} {gone}");
        }
    }

    // shows: 6749/6d
    #[test]
    fn only_a_new_token_replaces_the_old_one() {
        for (seen, sent, received, keeps_previous, expected) in [
            ("a,,", "a", None, false, "a,,"),
            ("a,,", "a", Some("a"), true, "a,,"),
            ("a,,", "a", Some("b"), false, "b,,"),
            ("a,,", "a", Some("b"), true, "b,a,"),
            ("b,a,i", "b", Some("c"), true, "c,b,i"),
            // The server has accepted the last one, so the one before is useless.
            ("b,a,i", "b", None, true, "b,,i"),
            ("b,a,i", "b", Some("c"), false, "c,,i"),
            ("b,a,i", "a", Some("c"), true, "c,a,i"),
            ("", "j", None, true, "j,,j"),
            ("", "j", Some("k"), false, "k,,j"),
            ("a,,i", "j", Some("k"), true, "k,j,j"),
        ] {
            let kept = stored(seen);
            let next = successor(kept.as_ref(), &Secret::new(sent), secret("j").as_ref(), received, keeps_previous);
            let text = |stored: StoredToken| stored.to_json().unwrap().to_string();
            assert_eq!(Some(text(next)), stored(expected).map(text), "{seen} {sent} {received:?}");
        }
    }
}
