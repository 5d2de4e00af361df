//! A configuration in JSON.
#![no_main]

use bearer_token_config::ProviderConfig;
use bearer_token_fuzz::{assert_hidden, config, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Input that cannot be parsed may contain a secret anywhere.
    if let Err(error) = ProviderConfig::from_json(text) {
        assert_hidden(&"syntax", &shown(&error));
        return;
    }
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(text) else { return };
    config::plant(&mut value, false);
    config::build(|| ProviderConfig::from_json(&value.to_string()).expect("it was written by a serializer"));
});
