//! What the reading of challenges holds for whatever an API sends.

use http::{HeaderMap, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{resource::refusals::is_rejection, source::Challenge};

const WORD: &str = "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,8}";

/// A value, whether it is quoted, and the spaces on both sides of the `=`.
type Written = (String, Vec<u8>, bool, (String, String));

#[derive(Clone, Debug)]
enum Rest {
    Parameters(Vec<Written>),
    Token68(String),
}

fn parameters() -> impl Strategy<Value = Written> {
    let value = prop_oneof![WORD.prop_map(String::into_bytes), vec(any::<u8>(), 0..12)];
    (WORD, value, any::<bool>(), ("[ \t]{0,2}", "[ \t]{0,2}"))
}

fn rests() -> impl Strategy<Value = Rest> {
    prop_oneof![
        4 => vec(parameters(), 0..4).prop_map(Rest::Parameters),
        1 => "[a-zA-Z0-9._~+/-]{1,12}={0,2}".prop_map(Rest::Token68),
    ]
}

/// Writes it as RFC 9110 section 11.6.1 says.
fn write(line: &mut Vec<u8>, scheme: &str, rest: &Rest, comma: &str) {
    line.extend(scheme.as_bytes());
    match rest {
        Rest::Token68(text) => line.extend([b" ", text.as_bytes()].concat()),
        Rest::Parameters(parameters) => {
            for (index, (name, value, quoted, (before, after))) in parameters.iter().enumerate() {
                line.extend(if index == 0 { b" " } else { comma.as_bytes() });
                line.extend([name.as_bytes(), before.as_bytes(), b"=", after.as_bytes()].concat());
                if *quoted || value.is_empty() || !value.iter().all(|byte| is_token(*byte)) {
                    line.push(b'"');
                    for byte in value {
                        if matches!(byte, b'"' | b'\\') {
                            line.push(b'\\');
                        }
                        line.push(*byte);
                    }
                    line.push(b'"');
                } else {
                    line.extend(value);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(line in vec(any::<u8>(), 0..200)) {
        for challenge in Challenges::of(&line) {
            prop_assert!(!challenge.scheme.is_empty());
        }
    }

    // shows: 9110/11.6.1a
    #[test]
    fn any_string_of_the_grammars_characters_is_read(line in "([bB]earer|error|[ \t,=\"\\\\a/]){0,40}") {
        prop_assert!(Challenges::of(line.as_bytes()).count() <= line.len());
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
        prop_assert!(!is_rejection(StatusCode::NOT_FOUND, &headers));
        let rejects = is_rejection(StatusCode::UNAUTHORIZED, &headers);
        prop_assert!(rejects || !is_rejection(StatusCode::FORBIDDEN, &headers));
        Challenge::read(&headers);
    }

    // shows: 9110/11.6.1a
    #[test]
    fn challenges_are_read_as_they_were_written(
        written in vec((WORD, rests()), 0..4), comma in "[ \t]{0,2},[ \t,]{0,3}",
    ) {
        let mut line = Vec::new();
        for (index, (scheme, rest)) in written.iter().enumerate() {
            if index > 0 {
                line.extend(comma.as_bytes());
            }
            write(&mut line, scheme, rest, &comma);
        }
        let expected: Vec<_> = written
            .iter()
            .map(|(scheme, rest)| RawChallenge {
                scheme: scheme.as_bytes(),
                parameters: match rest {
                    Rest::Token68(_) => Vec::new(),
                    Rest::Parameters(parameters) => {
                        parameters.iter().map(|(name, value, ..)| (name.as_bytes(), value.into())).collect()
                    }
                },
            })
            .collect();
        prop_assert_eq!(Challenges::of(&line).collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&line));
    }
}
