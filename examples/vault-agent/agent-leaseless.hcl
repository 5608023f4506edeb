# As agent.hcl, for a connection with generate_lease=false. Without a lease, Agent looks for a change every
# static_secret_render_interval: a read that writes nothing to Vault's storage. The default of 5m suits sessions of an
# hour; choose a sixth of a session's duration or less.
#
#   VAULT_ADDR=https://vault.example:8200 vault agent -config=agent-leaseless.hcl

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

template_config {
  static_secret_render_interval = "10s"
}

template {
  source               = "credentials.ctmpl"
  destination          = "credentials"
  perms                = "0600"
  error_on_missing_key = true
}
