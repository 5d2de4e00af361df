//! The string literals of a source file that can reach a user as a message.
//!
//! The file is read as tokens, so neither comments nor attributes nor tests are taken for messages, and literals inside
//! of macros are found. A message is every literal of a sentence's length. What is not one is excluded by where it is,
//! or by how it begins: [`PRINTS`], [`NOT_AN_ERROR`] and [`ADVICE`] have the reasons.

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};

/// Calls whose literal is a message although it is short: it is the first thing that the error says.
const BEGINS_AN_ERROR: &[&str] = &["Error::new", "Error::config", "with_context", "Down::new", "into_result"];

/// Calls whose literals are no part of an error's message.
const NOT_AN_ERROR: &[&str] = &[
    // Events: the chapter on observability has them, and `tests/guide` compares.
    "trace!",
    "debug!",
    "info!",
    "warn!",
    "error!",
    // Proofs that something cannot happen.
    "assert!",
    "assert_eq!",
    "assert_ne!",
    "debug_assert!",
    "debug_assert_eq!",
    "expect",
    "panic!",
    "unreachable!",
    // What a problem expects, and what to change: it follows the message.
    "expecting",
    "Advice::text",
    "Advice::set",
    "Advice::option",
    // Patterns that are looked for in something else.
    "contains",
    "starts_with",
    "ends_with",
    "find",
    "rfind",
    "split_once",
    "strip_prefix",
    "strip_suffix",
];

/// First words of what follows a message, or fills in a part of it: what to change, or a noun for two dots.
const ADVICE: &[&str] = &[
    "a", "add", "allow", "an", "and", "as", "at", "call", "check", "choose", "correct", "decode", "decrypt", "did",
    "enable", "expected", "for", "from", "give", "if", "in", "install", "is", "let", "of", "one", "or", "point",
    "remove", "renew", "replace", "run", "save", "set", "take", "to", "use", "what", "which", "words", "write",
];

/// First words, after a colon, of what to change.
const ADVICE_AFTER_COLON: &[&str] = &[
    "allow", "ask", "build", "call", "check", "choose", "decode", "does", "enable", "fix", "give", "grant", "has",
    "install", "is", "let", "perhaps", "remove", "restore", "set", "use", "write",
];

/// A literal that begins like this has no sentence in it: a statement for a store, a label, a line of HTTP.
const IS_CODE: &[&str] = &[
    "CONNECT ", "CREATE ", "DSA ", "OPENSSH ", "TSS2 ", "EC ", "RSA ", "NEW ", "PGP ", "SELECT ", "INSERT ", "UPDATE ",
    "DELETE ", "WITH ",
];

/// The messages of a source file, each up to its advice.
pub(crate) fn messages(source: &str) -> Vec<String> {
    let tokens: TokenStream = source.parse().unwrap();
    let mut messages = Vec::new();
    read(tokens, &mut Vec::new(), &mut messages);
    messages
}

fn read(tokens: TokenStream, calls: &mut Vec<String>, messages: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut skips_item = false;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some((attribute, next)) = attribute(&tokens, at) {
                    skips_item |= attribute == "cfg(test)" || attribute.starts_with("cfg(all(test");
                    at = next;
                    continue;
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => skips_item = false,
            TokenTree::Group(group) if skips_item => skips_item = group.delimiter() != Delimiter::Brace,
            TokenTree::Group(group) => {
                calls.push(call(&tokens[..at]));
                read(group.stream(), calls, messages);
                calls.pop();
            }
            TokenTree::Literal(literal) if !skips_item => messages.extend(message(literal, calls)),
            _ => {}
        }
        at += 1;
    }
}

/// The attribute that begins here, without spaces, and where the tokens go on after it.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(String, usize)> {
    let inner = matches!(tokens.get(at + 1), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
    let at = at + 1 + usize::from(inner);
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some((group.stream().to_string().replace(' ', ""), at + 1))
        }
        _ => None,
    }
}

/// What is called with the group after these tokens: `Error::new`, `format!`, `expecting`. Empty if nothing is.
fn call(before: &[TokenTree]) -> String {
    let mut call = String::new();
    let mut is_after_name = false;
    for token in before.iter().rev() {
        match token {
            TokenTree::Ident(name) if !is_after_name => {
                call.insert_str(0, &name.to_string());
                is_after_name = true;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' || (punct.as_char() == '!' && call.is_empty()) => {
                call.insert(0, punct.as_char());
                is_after_name = false;
            }
            _ => break,
        }
    }
    call
}

fn message(literal: &Literal, calls: &[String]) -> Option<String> {
    let syn::Lit::Str(text) = syn::Lit::new(literal.clone()) else { return None };
    let text = text.value();
    let is_one_of =
        |call: &String, names: &[&str]| names.iter().any(|name| call == name || call.ends_with(&format!("::{name}")));
    if calls.iter().rev().filter(|call| !call.is_empty()).take(3).any(|call| is_one_of(call, NOT_AN_ERROR)) {
        return None;
    }
    let direct =
        calls.iter().rev().find(|call| !matches!(call.as_str(), "" | "format!" | "Some" | "Err" | "Cow::from"));
    let begins = text.starts_with("found ")
        || (text.contains(' ') && direct.is_some_and(|call| is_one_of(call, BEGINS_AN_ERROR)));
    let first = text.split([' ', ',']).next().unwrap_or_default();
    let is_sentence = text.matches(' ').count() > 1
        && text.starts_with(|c: char| c.is_alphabetic() || c == '{')
        && !ADVICE.contains(&first)
        && !IS_CODE.iter().any(|start| text.starts_with(start));
    if begins || is_sentence { clause(&text) } else { None }
}

/// What the message says before its advice, without backticks; `None` if nearly all of it is filled in.
fn clause(text: &str) -> Option<String> {
    let text = before_advice(text).replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut clause = String::new();
    let mut rest = text.as_str();
    while let Some((start, after)) = rest.split_once('{') {
        clause.push_str(start);
        rest = after;
        match after.split_once('}') {
            Some((name, after)) if name.chars().all(|c| c.is_alphanumeric() || "_:.?><#".contains(c)) => {
                clause.push_str("..");
                rest = after;
            }
            _ => clause.push('{'),
        }
    }
    clause.push_str(rest);
    let clause = clause.replace('\u{1}', "{").replace('\u{2}', "}").replace('`', "");
    let own = clause.trim_start_matches("found ").chars().filter(char::is_ascii_alphabetic).count();
    (own > 3).then(|| clause.trim().to_owned())
}

/// The text up to `; `, to the end of its first sentence, or to a colon before what to change.
fn before_advice(text: &str) -> &str {
    let text = text.split("; ").next().unwrap_or_default();
    let sentence = text.match_indices(". ").find(|(at, _)| !text[..*at].ends_with('.'));
    let text = sentence.map_or(text, |(at, _)| &text[..at]);
    let advice = text.match_indices(": ").find(|(at, _)| {
        let first = text[at + 2..].split([' ', ',']).next().unwrap_or_default();
        ADVICE_AFTER_COLON.contains(&first)
    });
    advice.map_or(text, |(at, _)| &text[..at])
}

#[test]
fn a_message_is_read_up_to_its_advice() {
    let source = r#"
        /// A comment with a sentence in it.
        #[doc = "an attribute with a sentence"]
        fn f(name: &str) {
            let message = format!("the store `{name}` is too long {at:?}; expected {{}}");
            problem("found a name", "name").expecting("the name of a store");
            Error::new(ErrorKind::Token, format!("it failed: \
                x"));
            let advice = "check the name of the store";
            tracing::warn!("an event that tells something");
        }
        #[cfg(test)]
        mod tests { fn f() { g("a message of the tests only"); } }
    "#;
    assert_eq!(messages(source), ["the store .. is too long ..", "found a name", "it failed: x"]);
    assert!(messages("let found = \"found {kind}\"; // found nothing at all").is_empty());
}
