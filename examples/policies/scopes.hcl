# An app that reads the credentials of every scope of one connection, those that come later included, and sees what there
# are. The connection's own credentials are another path and stay shut.
path "s3conn/creds/orders/*" {
  capabilities = ["read"]
}

path "s3conn/sdk/orders/*" {
  capabilities = ["read"]
}

path "s3conn/scopes/orders/" {
  capabilities = ["list"]
}
