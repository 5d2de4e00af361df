//! google-cloud-auth: returns whole headers, and an entity tag that tells whether earlier ones are still valid.

use google_cloud_auth::credentials::{CacheableResource, Credentials, EntityTag, user_account};
use http::{Extensions, HeaderMap, Request, header::AUTHORIZATION};

use crate::{
    contenders::with_header,
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::Reply,
};

/// Keeps the headers while their tag is valid, which is the fastest way.
#[derive(Clone)]
pub(crate) struct Google {
    credentials: Credentials,
    kept: Option<(Extensions, HeaderMap)>,
}

pub(crate) fn new(endpoint: &Endpoint) -> Google {
    let user = serde_json::json!({
        "type": "authorized_user",
        "client_id": "client-id",
        "client_secret": "client-secret",
        "refresh_token": "refresh-token",
    });
    let credentials = user_account::Builder::new(user).with_token_uri(endpoint.url()).build();
    Google { credentials: credentials.expect("valid credentials"), kept: None }
}

impl Attach for Google {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let extensions = self.kept.as_ref().map(|(extensions, _)| extensions.clone()).unwrap_or_default();
        if let CacheableResource::New { entity_tag, data } =
            self.credentials.headers(extensions).await.map_err(Failed::new)?
        {
            let mut extensions = Extensions::new();
            extensions.insert::<EntityTag>(entity_tag);
            self.kept = Some((extensions, data));
        }
        let value = self.kept.as_ref().and_then(|(_, headers)| headers.get(AUTHORIZATION));
        let value = value.ok_or_else(|| Failed::new("no header"))?.clone();
        with_header(request, value).await.map_err(Failed::new)
    }
}
