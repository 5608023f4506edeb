package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	s3conn "github.com/s3conn/vault-plugin-s3conn"
	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

const (
	presignBucket = "ledger"
	presignKey    = "reports/2026/11/summary.csv"

	// mostForPresign is the bar: how much longer than the SDK's presigner the engine may take.
	mostForPresign = 1.2
)

// engineForPresign returns what makes one URL through the whole engine: the request is decoded, checked and answered
// as one of Vault's, but for the way between the two processes.
func engineForPresign(t testing.TB) func() error {
	t.Helper()
	storage := &logical.InmemStorage{}
	engine, err := s3conn.NewFactory()(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(),
		System: logical.TestSystemView(), StorageView: storage})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Cleanup(context.Background()) })
	do := func(operation logical.Operation, path string, data map[string]any) error {
		resp, err := engine.HandleRequest(t.Context(), &logical.Request{Operation: operation, Path: path, Data: data,
			Storage: storage, MountPoint: "s3conn/"})
		if err == nil && resp.IsError() {
			err = resp.Error()
		}
		return err
	}
	if err := do(logical.CreateOperation, "config/keys", map[string]any{"access_key": answer.AccessKeyID,
		"secret_key": answer.SecretAccessKey, "region": answer.Region}); err != nil {
		t.Fatal(err)
	}
	return func() error {
		return do(logical.UpdateOperation, "presign/keys", map[string]any{"bucket": presignBucket, "key": presignKey})
	}
}

// sdkForPresign returns what makes the same URL with AWS's SDK.
func sdkForPresign(t testing.TB) func() error {
	t.Helper()
	presigner := s3.NewPresignClient(s3.New(s3.Options{Region: answer.Region,
		Credentials: credentials.NewStaticCredentialsProvider(answer.AccessKeyID, answer.SecretAccessKey, "")}),
		func(o *s3.PresignOptions) { o.Expires = 5 * time.Minute })
	bucket, key := presignBucket, presignKey
	return func() error {
		signed, err := presigner.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err == nil && signed.Method != http.MethodGet {
			err = fmt.Errorf("the SDK presigned a %s", signed.Method)
		}
		return err
	}
}

// BenchmarkPresign makes the same URL with the engine and with AWS's SDK, in turns within one run: what else the
// machine does meets both.
func BenchmarkPresign(b *testing.B) {
	const turns = 20
	makers := []func() error{engineForPresign(b), sdkForPresign(b)}
	var took [2][]float64 // nanoseconds
	for i := 0; b.Loop(); i++ {
		for j := range makers {
			kind := (i + j) % len(makers) // each comes first as often as last
			start := time.Now()
			for range turns {
				if err := makers[kind](); err != nil {
					b.Fatal(err)
				}
			}
			took[kind] = append(took[kind], float64(time.Since(start))/turns)
		}
	}
	var ratios []float64
	for i := range took[0] {
		ratios = append(ratios, took[0][i]/took[1][i])
	}
	low, high := medianInterval(ratios)
	b.ReportMetric(0, "ns/op") // of both together: of no interest
	b.ReportMetric(median(took[0]), "ns/engine")
	b.ReportMetric(median(took[1]), "ns/SDK")
	b.ReportMetric(median(ratios), "ratio-to-SDK")
	b.Logf("presigning takes %.3f (%.3f to %.3f) of the SDK's time; the bar is %.1f: met: %v", median(ratios), low,
		high, mostForPresign, median(ratios) <= mostForPresign)
}

func TestPresign_BothMakeURLs(t *testing.T) {
	t.Parallel()
	for i, maker := range []func() error{engineForPresign(t), sdkForPresign(t)} {
		if err := maker(); err != nil {
			t.Errorf("%s: %v", []string{"the engine", "the SDK"}[i], err)
		}
	}
}
