# Prometheus, which scrapes figures that name no connection.
path "s3conn/metrics" {
  capabilities = ["read"]
}
