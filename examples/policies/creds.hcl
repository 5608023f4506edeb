# An app that reads the credentials of one connection.
path "s3conn/creds/orders" {
  capabilities = ["read"]
}
