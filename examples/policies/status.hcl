# An operator on call who sees how every connection does, and no secret.
path "s3conn/status" {
  capabilities = ["read"]
}

path "s3conn/status/" {
  capabilities = ["list"]
}

path "s3conn/status/*" {
  capabilities = ["read"]
}
