package awstest_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
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

func TestFaults_DelaysAndHangsEndWithTheRequestAndWithTheServer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]awstest.Fault{"a hang": {Hang: true}, "a delay": {Delay: time.Hour}} {
		w := newWorld(t, awstest.Options{})
		key := credentialsOf(w.AddUser("app"))
		w.Inject(fault)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := w.GetCallerIdentity(ctx, w.sts, key); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		ended := make(chan error)
		go func() {
			_, err := w.GetCallerIdentity(t.Context(), w.sts, key)
			ended <- err
		}()
		for w.Calls("GetCallerIdentity") == 0 { // the first has been given up
			runtime.Gosched()
		}
		w.Close()
		if err := <-ended; err == nil && fault.Hang {
			t.Errorf("%s: the server closed and responded", name)
		}
	}
}

func TestFaults_BodiesAndRepetitionsAreAsTheTestSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	key := credentialsOf(w.AddUser("app"))
	w.Inject(awstest.Fault{Times: 2, Delay: time.Nanosecond, Body: "<GetCallerIdentityResponse>" +
		"<GetCallerIdentityResult><Arn>arn:other</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"})
	for i, want := range []string{"arn:other", "arn:other", "arn:aws:iam::123456789012:user/app"} {
		identity, err := w.GetCallerIdentity(t.Context(), w.sts, key)
		if err != nil || identity.ARN != want {
			t.Errorf("call %d: %+v, %v, want %s", i+1, identity, err, want)
		}
	}
	for _, one := range w.Requests() {
		if one.Operation != "GetCallerIdentity" || one.AccessKey != key.AccessKeyID || one.Status != 200 ||
			one.RequestID == "" {
			t.Errorf("on record is %+v", one)
		}
	}
}

func TestRequests_OfOtherOperationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	key := credentialsOf(w.AddUser("app"))
	store := awscall.S3{Endpoint: w.URL, Region: "us-east-1", PathStyle: true}
	err := w.HeadObject(t.Context(), store, key, "orders", "a")
	var refusal *awscall.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusNotImplemented {
		t.Errorf("an object is answered with %v", err)
	}
	_, err = w.ListAccessKeys(t.Context(), awscall.IAM{Endpoint: w.URL + "/other", Region: "us-east-1"}, key)
	wantCode(t, err, "InvalidAction", "Could not find operation")
	for name, send := range map[string]func() (*http.Response, error){
		"unsigned": func() (*http.Response, error) { return http.Post(w.URL, "text/plain", strings.NewReader("%zz")) },
	} {
		response, err := send()
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("%s is answered with %d", name, response.StatusCode)
		}
	}
	if text := (&awstest.Refusal{Status: 400, Code: "A", Message: "b"}).Error(); text != "A: b" {
		t.Errorf("a refusal reads %q", text)
	}
}

func TestAccessKeys_AreTheCallersOwnAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	first := w.AddUser("app")
	other := w.AddKey("app")
	if keys := w.Keys("app"); len(keys) != 2 || keys[1] != other || w.Keys("nobody") != nil {
		t.Errorf("the keys are %+v", keys)
	}
	w.AddSession(awstest.Session{AccessKey: "ASIA1", SecretKey: "s", SessionToken: "t",
		ARN: "arn:aws:sts::123456789012:assumed-role/base/x", Expiration: w.clock.Now().Add(time.Hour)})
	session := awscall.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: secret.New("s"),
		SessionToken: secret.New("t")}
	_, err := w.ListAccessKeys(t.Context(), w.iam, session)
	wantCode(t, err, "ValidationError", "Must specify userName")
	w.Deny("app", "iam:ListAccessKeys")
	_, err = w.ListAccessKeys(t.Context(), w.iam, credentialsOf(first))
	wantCode(t, err, "AccessDenied", "iam:ListAccessKeys")
}
