package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

func TestAllowed_ObeysTheSessionPolicyAndNothingWider(t *testing.T) {
	t.Parallel()
	policy, err := iamtest.Parse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::one/a/*"},
		{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::one",
			"Condition":{"StringLike":{"s3:prefix":"a/*"}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		method, target string
		copies         string // from where
		want           bool
	}{
		{"GET", "/one/a/x", "", true}, {"HEAD", "/one/a/x", "", true}, {"PUT", "/one/a/x?x-id=PutObject", "", true},
		{"GET", "/one/a/x?X-Amz-Signature=00&x-id=GetObject", "", true},
		{"GET", "/one/b", "", false}, {"GET", "/one/ab", "", false}, {"GET", "/two/a/x", "", false},
		{"DELETE", "/one/a/x", "", false}, {"POST", "/one/a/x", "", false}, {"PATCH", "/one/a/x", "", false},
		{"GET", "/one/a/x?versionId=1", "", false}, {"GET", "/one/a/x?acl", "", false},
		{"PUT", "/one/a/x", "/two/secret", false},
		{"GET", "/one?list-type=2&prefix=a/", "", true}, {"GET", "/one?list-type=2&prefix=b", "", false},
		{"GET", "/one", "", false}, {"GET", "/one?prefix=a/&versions", "", false}, {"PUT", "/one", "", false},
		{"GET", "/", "", false},
	} {
		r := httptest.NewRequest(row.method, row.target, http.NoBody)
		if row.copies != "" {
			r.Header.Set("X-Amz-Copy-Source", row.copies)
		}
		if got := allowed(policy, r); got != row.want {
			t.Errorf("%s %s: %v, want %v", row.method, row.target, got, row.want)
		}
		if !allowed(nil, r) {
			t.Errorf("%s %s is refused to a session without a policy", row.method, row.target)
		}
	}
}
