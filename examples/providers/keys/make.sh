#!/bin/sh
# Makes the sample keys beside it anew, and the files that providers hand out with a key in them. Needs OpenSSL and jq.
#
# The fingerprints in `tests/tests/recipes/expected` follow: it prints them at the end.
set -eu
cd "$(dirname "$0")"

openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem
openssl req -x509 -new -key rsa.pem -subj /CN=example -days 36500 -out certificate.pem
printf 'correct horse\n' >passphrase.txt
openssl pkcs8 -topk8 -v2 aes-256-cbc -in rsa.pem -passout file:passphrase.txt -out rsa.encrypted.pem

# Google: IAM > Service accounts > Keys > Add key > JSON.
jq -n --rawfile key rsa.pem '{
  type: "service_account", project_id: "example", private_key_id: "4f0b31c6d2", private_key: $key,
  client_email: "reports@example.iam.gserviceaccount.com", client_id: "100000000000000000001",
  token_uri: "https://oauth2.googleapis.com/token"
}' >account.json

# Box: the app's Configuration > Generate a Public/Private Keypair.
jq -n --rawfile key rsa.encrypted.pem '{
  boxAppSettings: {
    clientID: "box-client", clientSecret: "box-secret",
    appAuth: { publicKeyID: "kx4v2b1q", privateKey: $key, passphrase: "correct horse" }
  },
  enterpriseID: "801234"
}' >box_config.json

# Yandex Cloud: Service account > Create new key > Create authorized key.
jq -n --rawfile key rsa.pem '{
  id: "ajekey00000000000001", service_account_id: "ajeaccount0000000001", created_at: "2026-01-01T00:00:00Z",
  key_algorithm: "RSA_2048", private_key: $key
}' >authorized_key.json

# Coinbase: Developer Platform > API keys > Create API key, with ECDSA as the signature algorithm.
openssl ec -in p256.pem -out p256.sec1.pem
jq -n --rawfile key p256.sec1.pem '{
  name: "organizations/0e9c/apiKeys/5d21", privateKey: $key
}' >cdp_api_key.json
rm p256.sec1.pem

# Secrets in the form in which each provider shows them.
printf 'example-secret-that-everybody-knows\n' >client-secret.txt
printf '64f0c1d2e3a4b5c6d7e8f901:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n' >ghost-admin-key.txt
printf 'xVLyHw.A-pwh7:example-secret-of-32-characters-1\n' >ably-api-key.txt
printf '3f1c0e5a7b:example-secret-of-32-characters-2\n' | tr : . >zhipu-api-key.txt
printf 'dGhlIHNlY3JldCBvZiBhbiBleHRlbnNpb24sIDMyIGJ5dGVzIQ==\n' >twitch-extension-secret.txt
printf 'example-refresh-token\n' >refresh-token.txt

openssl pkey -in rsa.pem -pubout -outform DER | openssl dgst -sha256 -binary | openssl base64
openssl x509 -in certificate.pem -outform DER | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '='
