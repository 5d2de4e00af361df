//! Mux, and Cloudflare Stream alike: a token in the URL of a video.
//!
//! The URL is given to a viewer, so there is no provider. Facts: docs.mux.com, "Secure video playback"; the key is
//! delivered as base64 around a PEM: read it with `KeyReader::encoding(Encoding::Base64)`.
//! unconfirmed: the audiences; `v` is for videos, `t` for thumbnails.

use std::time::Duration;

use bearer_token::{
    Error,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};
use serde_json::json;

/// Signs the URLs of videos. Build it once.
pub struct Playback {
    template: JwtTemplate,
    platform: Platform,
}

impl Playback {
    /// Each URL works for this long.
    pub fn new(key: SigningKey, key_id: &str, lifetime: Duration, platform: Platform) -> Result<Self, Error> {
        let template = JwtTemplate::builder(key)
            .key_id(key_id)
            .audience("v")
            .lifetime(lifetime)
            .issued_at(false)
            .jwt_id(false)
            .build()?;
        Ok(Playback { template, platform })
    }

    /// The URL of a video.
    pub async fn url(&self, playback_id: &str) -> Result<String, Error> {
        let jwt = self.template.sign_with(&self.platform, json!({ "sub": playback_id })).await?;
        Ok(format!("https://stream.mux.com/{playback_id}.m3u8?token={}", jwt.secret()))
    }
}
