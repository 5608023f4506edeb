# Lets the apps of one host read credentials without holding a Vault token: Proxy logs in for them, keeps what it
# reads while its lease lives, and answers on loopback. In this directory:
#
#   VAULT_ADDR=https://vault.example:8200 vault proxy -config=proxy.hcl
#   VAULT_ADDR=http://127.0.0.1:8100 vault read s3conn/creds/orders
#
# Every process of the host can reach this address: give the AppRole nothing but ../policies/creds.hcl or sdk.hcl.

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

api_proxy {
  use_auto_auth_token = true
}

cache {}

listener "tcp" {
  address     = "127.0.0.1:8100"
  tls_disable = true
}
