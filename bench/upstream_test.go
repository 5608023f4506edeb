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
	if got := aws.assumed.Load(); got != 3 {
		t.Errorf("counted %d calls, want 3", got)
	}
}
