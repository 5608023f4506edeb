# An operator who writes, tests and deletes connections. It reads no credentials, but whoever writes a connection decides
# whose answers it trusts: give it to people who might read them too.
path "s3conn/config/*" {
  capabilities = ["create", "read", "update", "patch", "delete"]
}

path "s3conn/config/" {
  capabilities = ["list"]
}

path "s3conn/test" {
  capabilities = ["create", "update"]
}

path "s3conn/test/*" {
  capabilities = ["create", "update"]
}
