package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

// allowed evaluates a session policy as S3 does; nil is a session without one. gofakes3 knows no policies, so the
// demo does it in front of it, with an evaluator that was written from AWS's documents for the plugin's tests and
// shares nothing with what the plugin makes policies with. What the demo needs no permission for is refused.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func allowed(policy *iamtest.Policy, r *http.Request) bool {
	if policy == nil {
		return true
	}
	const partition = "aws"
	query := r.URL.Query()
	known := []string{"x-id", "list-type", "prefix", "max-keys"}
	for name := range query {
		if !strings.HasPrefix(name, "X-Amz-") && !slices.Contains(known, name) {
			return false // another operation, such as one on a version or a part
		}
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	action := map[string]string{http.MethodGet: "s3:GetObject", http.MethodHead: "s3:GetObject",
		http.MethodPut: "s3:PutObject", http.MethodDelete: "s3:DeleteObject"}[r.Method]
	switch {
	case key != "":
		return action != "" && r.Header.Get("X-Amz-Copy-Source") == "" &&
			policy.Allows(iamtest.Object(action, partition, bucket, key, nil))
	case bucket != "" && r.Method == http.MethodGet:
		var prefix *string
		if given := query.Get("prefix"); query.Has("prefix") {
			prefix = &given
		}
		return policy.Allows(iamtest.List(partition, bucket, prefix, nil))
	}
	return false
}
