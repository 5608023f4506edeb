# A Nomad job whose app reads its credentials straight from Vault: Nomad gets the task a Vault token (role "orders", with
# ../policies/sdk.hcl), and the template puts it where the AWS SDK looks.
job "orders" {
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
        # No newline at the end: SDKs send the file as it is.
        data        = "Bearer {{ with secret \"auth/token/lookup-self\" }}{{ .Data.id }}{{ end }}"
        destination = "secrets/vault-authorization"
        perms       = "0600"
        change_mode = "noop" # SDKs read the file anew each time
      }

      env {
        AWS_CONTAINER_CREDENTIALS_FULL_URI     = "https://vault.example:8200/v1/s3conn/sdk/orders"
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/vault-authorization"
        AWS_REGION                             = "us-east-1"
      }
    }
  }
}
