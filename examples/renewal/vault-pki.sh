#!/usr/bin/env bash
# Prepares a Vault or OpenBao server to issue and renew the certificate of one connection, orders. Run it once, with the
# policy beside it, as an operator of that server. Its PKI engine is at pki/ and has its CA; the listener uses TLS.
set -euo pipefail

# The role that signs: for this name alone, for a day at most, as a client's certificate.
vault write pki/roles/s3conn allowed_domains=orders allow_bare_domains=true allow_subdomains=false \
  server_flag=false client_flag=true key_type=any max_ttl=24h ttl=24h

# Who renews logs in with the certificate that is to be renewed, and may do what the policy says.
vault policy write s3conn-renewal s3conn-renewal.hcl
vault auth list -format=json | grep -q '"cert/"' || vault auth enable cert
vault read -field=certificate pki/cert/ca >pki-ca.pem
vault write auth/cert/certs/s3conn-renewal certificate=@pki-ca.pem allowed_common_names=orders \
  token_policies=s3conn-renewal token_no_default_policy=true token_ttl=1m token_max_ttl=1m

# The one-time secret for the first certificate: a token that signs once.
vault token create -policy=s3conn-renewal -no-default-policy -orphan -ttl=10m -use-limit=1 -field=token >token.txt
