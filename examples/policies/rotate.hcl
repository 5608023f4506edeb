# An operator, or a job, that replaces the access key of one connection and looks at how that went. It reads no secret: the
# response names the IDs of both keys.
path "s3conn/rotate/orders" {
  capabilities = ["create", "update"]
}

path "s3conn/status/orders" {
  capabilities = ["read"]
}
