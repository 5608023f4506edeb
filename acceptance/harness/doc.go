// Package harness starts the real programs that the plugin works with, for tests: Vault servers and clusters, Vault
// Agent and Proxy, the vault command line, and MinIO as an S3 with a real STS.
//
// Every program listens on loopback ports chosen free, writes to a directory of its own and ends with its test. A
// program that cannot be started fails the test, with the end of its log: nothing is skipped. The binaries are
// $VAULT_BIN and $MINIO_BIN, else what scripts/build-server finds or builds, which takes minutes the first time.
// OpenBao is $BAO_BIN and nothing else.
//
// Functions that take a testing.TB end the test by t.Fatal and so belong in the test's own goroutine.
package harness
