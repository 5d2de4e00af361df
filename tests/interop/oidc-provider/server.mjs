// An authorization server of oidc-provider, with nothing in it but configuration.
import { readFileSync } from 'node:fs';
import Provider, { errors } from 'oidc-provider';

const port = Number(process.env.PORT);
const lifetime = Number(process.env.LIFETIME);
const issuer = `http://127.0.0.1:${port}`;
const { clients } = JSON.parse(readFileSync('clients.json', 'utf8'));
const algorithms = ['HS256', 'RS256', 'PS256', 'ES256', 'ES512', 'EdDSA'];

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    ...client,
    grant_types: client.client_id === 'refresh'
      ? ['authorization_code', 'refresh_token', 'client_credentials']
      : ['client_credentials'],
    response_types: client.client_id === 'refresh' ? ['code'] : [],
    redirect_uris: client.client_id === 'refresh' ? ['http://127.0.0.1:1/callback'] : [],
    scope: 'openid offline_access read write',
  })),
  scopes: ['openid', 'offline_access', 'read', 'write'],
  enabledJWA: { clientAuthSigningAlgValues: algorithms },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none',
  ],
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => false,
      getResourceServerInfo: (ctx, resource) => {
        if (resource !== 'https://api.example.com/') throw new errors.InvalidTarget();
        return {
          scope: 'read write',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetime,
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
  pkce: { required: () => false },
  rotateRefreshToken: true,
  ttl: { AccessToken: lifetime, ClientCredentials: lifetime, RefreshToken: 600, Grant: 600 },
  issueRefreshToken: async () => true,
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
});

provider.listen(port, '127.0.0.1');
