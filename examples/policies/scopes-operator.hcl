# An operator who writes, tests and deletes the scopes of one connection. It reads no credentials, but whoever writes a scope
# decides how wide it is, up to all that the connection's roles may do: give it to people who might read them too.
path "s3conn/scopes/orders/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}

path "s3conn/test/orders/*" {
  capabilities = ["create", "update"]
}
