//! A configuration in TOML.
#![no_main]

use bearer_token_config::ProviderConfig;
use bearer_token_fuzz::{assert_hidden, config, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Input that cannot be parsed may contain a secret anywhere.
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
