//! object_store: credentials for Google Cloud Storage and Azure Blob Storage, whose APIs take bearer tokens.

use std::sync::Arc;

use async_trait::async_trait;
use bearer_token::TokenProvider;
use object_store::{CredentialProvider, Error, Result, azure::AzureCredential, gcp::GcpCredential};

/// For Google: `GoogleCloudStorageBuilder::with_credentials(Arc::new(Google(provider)))`.
#[derive(Debug)]
pub struct Google(pub TokenProvider);

/// For Azure: `MicrosoftAzureBuilder::with_credentials(Arc::new(Azure(provider)))`.
#[derive(Debug)]
pub struct Azure(pub TokenProvider);

#[async_trait]
impl CredentialProvider for Google {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> Result<Arc<GcpCredential>> {
        Ok(Arc::new(GcpCredential { bearer: token(&self.0).await? }))
    }
}

#[async_trait]
impl CredentialProvider for Azure {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> Result<Arc<AzureCredential>> {
        Ok(Arc::new(AzureCredential::BearerToken(token(&self.0).await?)))
    }
}

/// object_store asks for each request, so this is a read of the cache. It decides itself where the token goes: to the
/// endpoint of the store.
async fn token(provider: &TokenProvider) -> Result<String> {
    let failed = |source: bearer_token::Error| Error::Generic { store: "bearer-token", source: source.into() };
    Ok(provider.token().await.map_err(failed)?.secret().to_owned())
}
