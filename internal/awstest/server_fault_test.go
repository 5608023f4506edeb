package awstest_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

func TestFaults_BefallTheirOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	key := credentialsOf(w.AddUser("app"))
	w.Inject(awstest.Throttling("ListAccessKeys", 1))
	w.Inject(awstest.Fault{Operation: "CreateAccessKey", Times: 1, Lose: true})
	w.Inject(awstest.Fault{Operation: "GetCallerIdentity", Times: 1, Status: 503, Body: "<html/>"})
	if _, err := w.GetCallerIdentity(t.Context(), w.sts, key); err == nil {
		t.Error("the page is an identity")
	}
	_, err := w.ListAccessKeys(t.Context(), w.iam, key)
	wantCode(t, err, "Throttling", "Rate exceeded")
	var refusal *awscall.Refusal
	if _, err := w.CreateAccessKey(t.Context(), w.iam, key); err == nil || errors.As(err, &refusal) {
		t.Errorf("the lost response is %v", err)
	}
	if keys := w.Keys("app"); len(keys) != 2 {
		t.Errorf("the key whose response was lost was not made: %+v", keys)
	}
	if _, err := w.GetCallerIdentity(t.Context(), w.sts, key); err != nil {
		t.Error(err)
	}
	if w.Calls("CreateAccessKey") < 1 || w.Calls("GetCallerIdentity") != 2 {
		t.Errorf("the calls on record are %+v", w.Requests())
	}
	w.Inject(awstest.Fault{Drop: true})
	if _, err := w.GetCallerIdentity(t.Context(), w.sts, key); err == nil || errors.As(err, &refusal) {
		t.Errorf("the dropped connection is %v", err)
	}
	w.Clear()
	if _, err := w.GetCallerIdentity(t.Context(), w.sts, key); err != nil {
		t.Error(err)
	}
}

func TestRequests_OfOtherPlacesAndTimesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	key := credentialsOf(w.AddUser("app"))
	_, err := w.GetCallerIdentity(t.Context(), awscall.STS{Endpoint: w.URL, Region: "eu-west-1"}, key)
	wantCode(t, err, "SignatureDoesNotMatch", "region")
	late := &awscall.Client{
		HTTP: http.DefaultClient,
		Now:  func() time.Time { return w.clock.Now().Add(-6 * time.Minute) },
	}
	_, err = late.GetCallerIdentity(t.Context(), w.sts, key)
	wantCode(t, err, "SignatureDoesNotMatch", "Signature expired")
}
