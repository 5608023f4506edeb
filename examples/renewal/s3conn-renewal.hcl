# What a connection that renews its certificate may do in the Vault that issues it: have a request signed, and end its own
# login. It may do nothing else, and its token lives for a minute.
path "pki/sign/s3conn" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
