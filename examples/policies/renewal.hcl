# An operator who gives connections their certificates: keys made in Vault, and who renews them. No private key and no
# credentials can be read with it.
path "s3conn/identity/*" {
  capabilities = ["create", "read", "update", "delete"]
}
