//! Mux, and Cloudflare Stream alike: a token in the URL of a video.
//!
//! The URL is given to a viewer, so there is no provider. Facts: docs.mux.com, "Secure video playback"; the key is delivered
//! as base64 around a PEM: read it with `KeyReader::encoding(Encoding::Base64)`.
//! unconfirmed: the audiences; `v` is for videos, `t` for thumbnails.

use std::time::Duration;

use bearer_token::{
    Error,
    jwt::{JwtTemplate, SigningKey},
    platform::Platform,
};

/// The URL of a video, for this long.
pub async fn playback_url(
    key: &SigningKey,
    key_id: &str,
    platform: &Platform,
    playback_id: &str,
    lifetime: Duration,
) -> Result<String, Error> {
    let template = JwtTemplate::builder(key.clone())
        .key_id(key_id)
        .subject(playback_id)
        .audience("v")
        .lifetime(lifetime)
        .issued_at(false)
        .jwt_id(false);
    let jwt = template.build()?.sign(platform).await?;
    Ok(format!("https://stream.mux.com/{playback_id}.m3u8?token={}", jwt.secret()))
}
