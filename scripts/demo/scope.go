package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

const (
	insideKey  = "reports/november.csv"
	outsideKey = "readme.txt"
)

var (
	errFence     = errors.New("the scope's credentials do not open exactly the scope")
	errPresigned = errors.New("the presigned URL does not give the object")
)

func (d *demo) writeScope(ctx context.Context) error {
	_, err := d.show(ctx, "write", "s3conn/scopes/orders/reports", "role_arn="+scopeRoleARN, "buckets=orders",
		"prefixes=reports/", "access=list,read")
	if err != nil {
		return err
	}
	_, err = d.show(ctx, "read", "-field=session_policy", "s3conn/scopes/orders/reports")
	return err
}

func (d *demo) testScope(ctx context.Context) error {
	text, err := d.show(ctx, "write", "-f", "s3conn/test/orders/reports")
	if err == nil && tableValues(text)["fence"] != "proven" {
		err = errFence
	}
	return err
}

// useScope reads an object inside the scope, and is refused one outside, which the connection's own credentials may
// read.
func (d *demo) useScope(ctx context.Context) error {
	text, err := d.vault.run(ctx, "read", "s3conn/creds/orders/reports")
	if err != nil {
		return fmt.Errorf("reading the scope's credentials: %w", err)
	}
	read := tableValues(text)
	client := s3Client(read["endpoint"], aws.Credentials{AccessKeyID: read["access_key"],
		SecretAccessKey: read["secret_key"], SessionToken: read["session_token"]})
	content, err := getObject(ctx, client, insideKey)
	if err != nil {
		return fmt.Errorf("%w: %w", errFence, err)
	}
	d.out.printf("orders/%s: %s", insideKey, content)
	_, err = getObject(ctx, client, outsideKey)
	refusal, refused := errors.AsType[smithy.APIError](err)
	if !refused || refusal.ErrorCode() != "AccessDenied" {
		return fmt.Errorf("%w: reading %s: %w", errFence, outsideKey, err)
	}
	d.out.printf("orders/%s: %s: %s", outsideKey, refusal.ErrorCode(), refusal.ErrorMessage())
	return nil
}

func getObject(ctx context.Context, client *s3.Client, key string) (string, error) {
	object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("orders"), Key: &key})
	if err != nil {
		return "", err
	}
	defer object.Body.Close()
	content, err := io.ReadAll(io.LimitReader(object.Body, 1<<10))
	return string(content), err
}

func (d *demo) presignURL(ctx context.Context) error {
	text, err := d.show(ctx, "write", "-field=url", "s3conn/presign/orders/reports", "bucket=orders", "key="+insideKey)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSpace(text), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errPresigned, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errPresigned, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it is answered with HTTP %d (%v)", errPresigned, response.StatusCode, err)
	}
	d.out.printf("GET, without any credentials: %s", content)
	return nil
}
