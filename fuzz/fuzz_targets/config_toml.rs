//! A configuration in TOML.
#![no_main]

use bearer_token_config::ProviderConfig;
use bearer_token_fuzz::{MARKER, assert_hidden, config, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A provider's name is for people: it is in errors and events.
    if text.lines().any(|line| line.trim_start().starts_with("name") && line.contains(MARKER)) {
        return;
    }
    // Input that cannot be parsed may contain a secret anywhere else.
    if let Err(error) = ProviderConfig::from_toml(text) {
        assert_hidden(&"syntax", &shown(&error));
        return;
    }
    let Ok(mut value) = toml::from_str::<serde_json::Value>(text) else { return };
    config::plant(&mut value, false);
    let Ok(text) = toml::to_string(&value) else { return };
    match ProviderConfig::from_toml(&text) {
        Ok(_) => config::build(|| ProviderConfig::from_toml(&text).expect("it was just read")),
        // The marker replaced a date.
        Err(error) => assert_hidden(&"syntax", &shown(&error)),
    }
});
