# The mount, one Roles Anywhere connection and the app's policy, with HashiCorp's Vault provider. The private key passes
# through Terraform's state unless it is given as a write-only value: keep the state as safe as the key.

terraform {
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 4.0"
    }
  }
}

variable "certificate" {
  description = "PEM, leaf first."
  type        = string
}

variable "private_key" {
  description = "PEM of the certificate's key."
  type        = string
  sensitive   = true
}

resource "vault_mount" "s3conn" {
  path = "s3conn"
  type = "vault-plugin-s3conn"
}

resource "vault_generic_endpoint" "orders" {
  path                 = "${vault_mount.s3conn.path}/config/orders"
  ignore_absent_fields = true
  disable_read         = true # a read shows no secrets, so that every plan would differ
  data_json = jsonencode({
    auth_type         = "roles_anywhere"
    region            = "us-east-1"
    session_name      = "orders"
    profile_arn       = "arn:aws:rolesanywhere:us-east-1:123456789012:profile/0a1b2c3d-1111-2222-3333-444455556666"
    role_arn          = "arn:aws:iam::123456789012:role/orders"
    trust_anchor_arn  = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/0a1b2c3d-7777-8888-9999-000011112222"
    certificate       = var.certificate
    private_key       = var.private_key
    verify_connection = true
  })
}

resource "vault_policy" "orders" {
  name   = "orders-s3"
  policy = file("${path.module}/../policies/sdk.hcl")
}
