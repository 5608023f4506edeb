# Keeps an AWS shared credentials file up to date from a leased connection. In this directory:
#
#   VAULT_ADDR=https://vault.example:8200 vault agent -config=agent.hcl
#
# role-id and secret-id hold the AppRole's; its policy is ../policies/creds.hcl.

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

template {
  source               = "credentials.ctmpl"
  destination          = "credentials"
  perms                = "0600"
  error_on_missing_key = true
}
