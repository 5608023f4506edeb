# An app that reads the credentials of one scope of a connection, as Vault's response or with an AWS SDK, and may have URLs
# presigned with them. The connection's own credentials are another path and stay shut.
path "s3conn/creds/orders/reports" {
  capabilities = ["read"]
}

path "s3conn/sdk/orders/reports" {
  capabilities = ["read"]
}

path "s3conn/presign/orders/reports" {
  capabilities = ["update"]
}
