# An auditor who sees what connections there are and what they say, and no secrets.
path "s3conn/config/" {
  capabilities = ["list"]
}

path "s3conn/config/*" {
  capabilities = ["read"]
}
