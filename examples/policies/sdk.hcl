# An app whose AWS SDK reads the credentials of one connection.
path "s3conn/sdk/orders" {
  capabilities = ["read"]
}
