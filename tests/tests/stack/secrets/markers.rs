//! The planted markers, and the search for them.

use std::collections::{BTreeSet, HashMap};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};

/// The markers in every encoding that they may take. A marker is found by its first eight bytes.
#[derive(Default)]
pub(super) struct Markers(HashMap<[u8; 8], BTreeSet<String>>);

impl Markers {
    fn add(&mut self, form: &str) {
        // Shorter strings would be found everywhere.
        if let Some(start) = form.as_bytes().first_chunk() {
            self.0.entry(*start).or_default().insert(form.to_owned());
        }
    }

    pub(super) fn plant(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        assert!(text.len() >= 8, "too short to be found for sure");
        self.add(text);
        self.add(&form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        let hex = text.bytes().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
        self.add(&hex.to_uppercase());
        self.add(&hex);
        let percent = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        let percent: String = text.bytes().map(percent).collect();
        self.add(&percent.to_lowercase());
        self.add(&percent);
        self.add(format!("{text:?}").trim_matches('"'));
        // A list of bytes, as a `Vec<u8>` prints itself.
        self.add(format!("{:?}", text.as_bytes()).trim_matches(['[', ']']));
        for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
            // Inside a longer string the bits have one of three alignments, which decides what is cut off.
            for shift in 0..3 {
                let encoded = engine.encode([&" ".repeat(shift), text].concat());
                let whole = encoded.trim_end_matches('=');
                self.add(&whole[4..whole.len() - 2]);
            }
        }
    }

    pub(super) fn extend(&mut self, others: &Markers) {
        others.0.values().flatten().for_each(|form| self.add(form));
    }

    pub(super) fn found_in<'a>(&'a self, text: &str) -> Option<&'a str> {
        let at = |(place, start): (usize, &[u8])| {
            let forms = self.0.get(start)?.iter();
            forms.map(String::as_str).find(|form| text.as_bytes()[place..].starts_with(form.as_bytes()))
        };
        text.as_bytes().windows(8).enumerate().find_map(at)
    }
}

#[test]
fn a_marker_is_found_in_every_form() {
    const SECRET: &str = "MARK/client+secret=%&~ of its own";
    let mut markers = Markers::default();
    markers.plant(SECRET);
    let encoded = |prefix: &str| BASE64_STANDARD.encode(format!("{prefix}{SECRET}:x"));
    for text in [
        format!("id:{SECRET}"),
        encoded("id:"),
        encoded("user:"),
        encoded("a:"),
        BASE64_URL_SAFE.encode(format!("ab:{SECRET}")),
        form_urlencoded::Serializer::new(String::new()).append_pair("client_secret", SECRET).finish(),
        format!("{:?}", SECRET.as_bytes()),
        format!("{SECRET:?}"),
    ] {
        assert!(markers.found_in(&text).is_some(), "{text}");
    }
    assert_eq!(markers.found_in("nothing of it"), None);
}
