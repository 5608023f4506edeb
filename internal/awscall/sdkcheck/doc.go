// Package sdkcheck holds tests alone: they compare the plugin's signed calls, presigned URLs and endpoints with those
// of AWS's own clients for Go.
package sdkcheck
