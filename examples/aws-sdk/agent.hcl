# Fronts Vault for the AWS SDKs of one host: Agent logs in, and the apps need agent.env and no token. In this directory:
#
#   VAULT_ADDR=https://vault.example:8200 vault agent -config=agent.hcl
#
# Every process of the host can reach this address: give the AppRole nothing but ../policies/sdk.hcl.

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

listener "tcp" {
  address     = "127.0.0.1:8100"
  tls_disable = true
}
