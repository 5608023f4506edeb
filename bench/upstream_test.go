package main

import (
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

func TestSTS_IssuesAndCounts(t *testing.T) {
	t.Parallel()
	aws, err := startAccount()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(aws.close)
	for _, server := range []*httptest.Server{aws.sts, aws.plainSTS, aws.sts} {
		resp, err := server.Client().PostForm(server.URL, url.Values{"Action": {"AssumeRole"}})
		if err != nil {
			t.Fatal(err)
		}
		var issued struct {
			Token string `xml:"AssumeRoleResult>Credentials>SessionToken"`
		}
		err = xml.NewDecoder(resp.Body).Decode(&issued)
		resp.Body.Close()
		if err != nil || issued.Token != answer.SessionToken() {
			t.Errorf("token %q, %v", issued.Token, err)
		}
	}
	if !strings.HasPrefix(aws.sts.URL, "https://") {
		t.Errorf("STS is at %s, want TLS, as AWS's is", aws.sts.URL)
	}
	resp, err := aws.plainSTS.Client().PostForm(aws.plainSTS.URL, url.Values{"Action": {"AssumeRole"},
		"Policy": {"{}"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := aws.calls(); got != (awsCalls{narrowed: 1, assumed: 3}) {
		t.Errorf("counted %+v, want 3 calls without a session policy and one with", got)
	}
}
