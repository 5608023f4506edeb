module github.com/s3conn/vault-plugin-s3conn/rolesanywhere

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2 v1.47.7
	github.com/aws/smithy-go v1.28.8
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78
)

require golang.org/x/crypto v0.22.0 // indirect
