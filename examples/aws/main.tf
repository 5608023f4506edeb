# The same as roles-anywhere.yaml, with HashiCorp's AWS provider: AWS's side of one Roles Anywhere connection, and of the
# scopes that narrow it. The outputs are named after the fields of s3conn/config/orders.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25" # the first with accept_role_session_name
    }
  }
}

variable "ca_certificate" {
  description = "PEM of the CA that issues the connection's certificate. A CA certificate, not the connection's own."
  type        = string
}

variable "common_name" {
  description = "The common name in the subject of the connection's certificate. Nobody else's certificate gets the role."
  type        = string
  default     = "orders"

  validation {
    condition     = length(regexall("[*?]", var.common_name)) == 0
    error_message = "The common name is compared as it is and must not hold * or ?."
  }
}

variable "bucket" {
  description = "The bucket that the connection and its scopes may use."
  type        = string
}

variable "max_session_duration" {
  description = "Seconds. The connection's duration must not be longer. Sessions of scopes last an hour at most."
  type        = number
  default     = 3600
}

data "aws_partition" "current" {}

locals {
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"
}

resource "aws_rolesanywhere_trust_anchor" "orders" {
  name    = "s3conn-orders"
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"
    source_data {
      x509_certificate_data = var.ca_certificate
    }
  }
}

# What a read of s3conn/creds/orders gets.
resource "aws_iam_role" "connection" {
  name                 = "s3conn-orders"
  max_session_duration = var.max_session_duration
  assume_role_policy   = data.aws_iam_policy_document.connection_trust.json
}

data "aws_iam_policy_document" "connection_trust" {
  statement {
    # All three: Roles Anywhere sets the certificate's fields as tags and its common name as the source identity.
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

    principals {
      type        = "Service"
      identifiers = ["rolesanywhere.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_rolesanywhere_trust_anchor.orders.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalTag/x509Subject/CN"
      values   = [var.common_name]
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [local.bucket_arn]
  }

  statement {
    sid = "Objects"
    actions = [
      "s3:GetObject", "s3:GetObjectVersion",
      "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
      "s3:DeleteObject", "s3:DeleteObjectVersion",
    ]
    resources = ["${local.bucket_arn}/*"]
  }
}

data "aws_iam_policy_document" "connection" {
  source_policy_documents = [data.aws_iam_policy_document.bucket.json]

  # The test of a connection lists buckets. Nothing else needs this.
  statement {
    sid       = "Test"
    actions   = ["s3:ListAllMyBuckets"]
    resources = ["*"]
  }

  statement {
    sid       = "Scopes"
    actions   = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    resources = [aws_iam_role.scopes.arn]
  }
}

resource "aws_iam_role_policy" "connection" {
  name   = "connection"
  role   = aws_iam_role.connection.id
  policy = data.aws_iam_policy_document.connection.json
}

# What scopes assume with the connection's session. What a scope gets is this role's policy, narrowed by the scope's own: the
# role may be as wide as the widest scope and no wider.
resource "aws_iam_role" "scopes" {
  name               = "s3conn-orders-scopes"
  assume_role_policy = data.aws_iam_policy_document.scopes_trust.json
}

data "aws_iam_policy_document" "scopes_trust" {
  statement {
    # TagSession is for scopes with session_tags. SetSourceIdentity is needed because a chained session keeps its source
    # identity, which is the certificate's common name.
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.connection.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceIdentity"
      values   = [var.common_name]
    }
  }
}

resource "aws_iam_role_policy" "scopes" {
  name   = "scopes"
  role   = aws_iam_role.scopes.id
  policy = data.aws_iam_policy_document.bucket.json
}

resource "aws_rolesanywhere_profile" "orders" {
  name      = "s3conn-orders"
  enabled   = true
  role_arns = [aws_iam_role.connection.arn]
  # A lower value silently shortens the sessions of every connection that uses the profile.
  duration_seconds = var.max_session_duration
  # With false, the connection needs send_session_name=false.
  accept_role_session_name = true
}

output "trust_anchor_arn" {
  value = aws_rolesanywhere_trust_anchor.orders.arn
}

output "profile_arn" {
  value = aws_rolesanywhere_profile.orders.arn
}

output "role_arn" {
  value = aws_iam_role.connection.arn
}

output "scope_role_arn" {
  description = "role_arn of the connection's scopes"
  value       = aws_iam_role.scopes.arn
}
