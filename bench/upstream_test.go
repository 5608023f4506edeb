package main

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

func TestSTS_SellsAndCounts(t *testing.T) {
	t.Parallel()
	aws, err := startAccount()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(aws.close)
	for range 3 {
		resp, err := http.PostForm(aws.sts.URL, url.Values{"Action": {"AssumeRole"}})
		if err != nil {
			t.Fatal(err)
		}
		var sold struct {
			Token string `xml:"AssumeRoleResult>Credentials>SessionToken"`
		}
		err = xml.NewDecoder(resp.Body).Decode(&sold)
		resp.Body.Close()
		if err != nil || sold.Token != answer.SessionToken() {
			t.Errorf("token %q, %v", sold.Token, err)
		}
	}
	if got := aws.assumed.Load(); got != 3 {
		t.Errorf("counted %d calls, want 3", got)
	}
}
