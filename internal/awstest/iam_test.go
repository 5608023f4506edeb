package awstest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

func TestAccessKeys_HaveAQuotaPermissionsAndAStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{Buckets: []string{"orders"}})
	first := credentialsOf(w.AddUser("app"))
	made, err := w.CreateAccessKey(t.Context(), w.iam, first)
	if err != nil {
		t.Fatal(err)
	}
	second := awscall.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
	_, err = w.CreateAccessKey(t.Context(), w.iam, first)
	wantCode(t, err, "LimitExceeded", "AccessKeysPerUser: 2")
	keys, err := w.ListAccessKeys(t.Context(), w.iam, second)
	if err != nil || len(keys) != 2 || keys[0].ID != first.AccessKeyID || keys[1].ID != made.ID ||
		!keys[1].Created.Equal(w.clock.Now()) {
		t.Errorf("the keys are %+v, %v", keys, err)
	}
	wantCode(t, w.UpdateAccessKey(t.Context(), w.iam, second, first.AccessKeyID, awscall.StatusInactive), "", "")
	_, err = w.GetCallerIdentity(t.Context(), w.sts, first)
	wantCode(t, err, "InvalidClientTokenId", "")
	_, err = w.ListBuckets(t.Context(), w.s3, first)
	wantCode(t, err, "InvalidAccessKeyId", "")
	if list, err := w.ListBuckets(t.Context(), w.s3, second); err != nil ||
		!slices.Equal(list.Names, []string{"orders"}) {
		t.Errorf("the buckets are %+v, %v", list, err)
	}
	wantCode(t, w.DeleteAccessKey(t.Context(), w.iam, second, first.AccessKeyID), "", "")
	wantCode(t, w.DeleteAccessKey(t.Context(), w.iam, second, first.AccessKeyID), "NoSuchEntity", first.AccessKeyID)
	wantCode(t, w.UpdateAccessKey(t.Context(), w.iam, second, made.ID, "Sleeping"), "ValidationError", "status")
	w.Deny("app", "iam:CreateAccessKey")
	_, err = w.CreateAccessKey(t.Context(), w.iam, second)
	wantCode(t, err, "AccessDenied", "iam:CreateAccessKey")
	w.RemoveUser("app")
	_, err = w.ListAccessKeys(t.Context(), w.iam, second)
	wantCode(t, err, "InvalidClientTokenId", "")
}

func TestAccessKeys_AreEventuallyConsistent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{KeyDelay: 10 * time.Second, KeyFlap: 10 * time.Second, ListDelay: 5 * time.Second})
	first := credentialsOf(w.AddUser("app"))
	made, err := w.CreateAccessKey(t.Context(), w.iam, first)
	if err != nil {
		t.Fatal(err)
	}
	second := awscall.Credentials{AccessKeyID: made.ID, SecretAccessKey: made.Secret}
	accepted := func() bool { _, err := w.GetCallerIdentity(t.Context(), w.sts, second); return err == nil }
	if keys, _ := w.ListAccessKeys(t.Context(), w.iam, first); len(keys) != 1 || accepted() {
		t.Errorf("the new key is known at once: %+v", keys)
	}
	w.clock.advance(10 * time.Second)
	if keys, _ := w.ListAccessKeys(t.Context(), w.iam, first); len(keys) != 2 {
		t.Errorf("the keys are %+v", keys)
	}
	for i, want := range []bool{true, false, true, false} {
		if got := accepted(); got != want {
			t.Errorf("call %d with the new key is accepted: %t, want it to flap", i+1, got)
		}
	}
	w.clock.advance(10 * time.Second)
	for range 2 {
		if !accepted() {
			t.Error("the new key is still not accepted everywhere")
		}
	}
}
