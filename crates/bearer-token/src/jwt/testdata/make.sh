#!/bin/sh
# Makes the keys beside it anew. They sign nothing but tests.
set -eu
cd "$(dirname "$0")"
pair() { # name: the private key in $1.pem, its public key in $1.pub.pem
    openssl pkey -in "$1.pem" -pubout -out "$1.pub.pem"
}
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa2048.pem && pair rsa2048
openssl pkey -in rsa2048.pem -traditional -out rsa2048.pkcs1.pem
openssl pkcs8 -topk8 -in rsa2048.pem -passout pass:test -out rsa2048.encrypted.pem
openssl rsa -in rsa2048.pem -traditional -aes128 -passout pass:test -out rsa2048.pkcs1.encrypted.pem
openssl req -new -x509 -key rsa2048.pem -subj /CN=test.example.com -days 36500 -out certificate.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem
openssl pkey -in rsa1024.pem -traditional -out rsa1024.pkcs1.pem
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3 -out rsa3primes.pem
openssl pkey -in rsa3primes.pem -traditional -out rsa3primes.pkcs1.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsa-pss.pem
for curve in 256 384 521; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-$curve -out p$curve.pem
done
pair p256 && pair p384
openssl pkey -in p384.pem -traditional -out p384.sec1.pem
# As `openssl ecparam -genkey` writes it: the curve in a block of its own, then the key.
{ openssl ecparam -name prime256v1; openssl pkey -in p256.pem -traditional; } >p256.sec1.pem
openssl genpkey -algorithm ED25519 -out ed25519.pem && pair ed25519
# Encrypted in other ways than OpenSSL 3 does by itself: as Box hands keys out, ..
encrypt() { # name, name of the encrypted one, how
    name=$1 encrypted=$2 && shift 2
    openssl pkcs8 -topk8 -in "$name.pem" "$@" -passout pass:test -out "$name.$encrypted.encrypted.pem"
}
encrypt rsa2048 des3 -v2 des3 -v2prf hmacWithSHA1
encrypt p256 aes128 -v2 aes-128-cbc -v2prf hmacWithSHA512 -iter 1
encrypt ed25519 scrypt -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 1
# .. as older versions did, and so that it takes too long to open.
encrypt p256 pbes1 -v1 PBE-SHA1-3DES
encrypt p256 slow -v2 aes-256-cbc -iter 10000001
openssl genpkey -algorithm X25519 -out x25519.pem
rm -f openssh.pem && ssh-keygen -q -t ed25519 -N '' -C '' -f openssh.pem && rm -f openssh.pem.pub
# For ES512, and a curve that no JWT algorithm of ours signs with.
pair p521 && openssl pkey -in p521.pem -traditional -out p521.sec1.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out secp256k1.pem
# The wrong files: each is named as what it is.
openssl req -new -x509 -key p256.pem -subj /CN=test.example.com -days 36500 -out p256.certificate.pem
openssl req -new -key p256.pem -subj /CN=test.example.com -out request.pem
openssl rsa -in rsa2048.pem -RSAPublicKey_out -out rsa2048.pkcs1.pub.pem
openssl crl2pkcs7 -nocrl -certfile certificate.pem -out pkcs7.pem
openssl pkcs12 -export -legacy -inkey rsa2048.pem -in certificate.pem -passout pass:test -out rsa2048.p12
openssl rsa -in rsa2048.pem -traditional -des -provider legacy -provider default -passout pass:test \
    -out rsa2048.des.encrypted.pem
openssl ec -in p256.pem -aes128 -passout pass:test -out p256.sec1.encrypted.pem
rm -f rsa2048.jks && keytool -genkeypair -alias test -keyalg RSA -storetype JKS -keystore rsa2048.jks \
    -storepass testtest -keypass testtest -dname CN=test.example.com -validity 36500
for kind in rsa ecdsa ed25519; do
    name=$kind && [ $kind = ecdsa ] && name=ec
    rm -f openssh.$name.pem && ssh-keygen -q -t $kind -N '' -C '' -f openssh.$name.pem
    mv openssh.$name.pem.pub $name.ssh.pub
    # puttygen is PuTTY's, from the package putty-tools.
    puttygen openssh.$name.pem -o $name.v3.ppk -O private
    puttygen openssh.$name.pem -o $name.v2.ppk -O private --ppk-param version=2
    puttygen openssh.$name.pem -o $name.ssh2.pub -O public
done
puttygen openssh.rsa.pem -o rsa.ssh2 -O private-sshcom
rm -f openssh.ec.encrypted.pem && ssh-keygen -q -t ecdsa -N testtest -C '' -f openssh.ec.encrypted.pem
rm -f openssh.ec.encrypted.pem.pub
GNUPGHOME=$(mktemp -d) && export GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key test@example.com rsa2048 sign never
gpg --batch --quiet --armor --export-secret-keys >pgp.pem && gpg --batch --quiet --armor --export >pgp.pub.pem
rm -rf "$GNUPGHOME"
# These need OpenSSL 3.5.
for set in 44 65 87; do
    openssl genpkey -algorithm ML-DSA-$set -out mldsa$set.pem && pair mldsa$set
done
