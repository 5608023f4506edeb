# A Nomad job whose app reads an AWS shared credentials file. Nomad renders it from a connection's credentials and restarts
# the task with the next session's. Its Vault role "orders" has ../policies/creds.hcl. An app whose SDK can read from an address
# needs no restarts: orders.nomad.hcl.
job "orders-file" {
  type = "service"

  group "orders" {
    task "orders" {
      driver = "docker"

      config {
        image = "example/orders:1.0"
      }

      vault {
        role = "orders"
      }

      template {
        data        = <<-EOT
          {{- with secret "s3conn/creds/orders" -}}
          [default]
          aws_access_key_id = {{ .Data.access_key }}
          aws_secret_access_key = {{ .Data.secret_key }}
          aws_session_token = {{ .Data.session_token }}
          {{ end -}}
        EOT
        destination = "secrets/credentials"
        perms       = "0600"
        change_mode = "restart"
        splay       = "30s"
      }

      env {
        AWS_SHARED_CREDENTIALS_FILE = "${NOMAD_SECRETS_DIR}/credentials"
        AWS_REGION                  = "us-east-1"
      }
    }
  }
}
