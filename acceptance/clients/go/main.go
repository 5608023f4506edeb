// Command go lists buckets with the default credentials of AWS's SDK for Go until CHANGES session changes were seen;
// one line a call.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	changes, err := strconv.Atoi(os.Getenv("CHANGES"))
	if err != nil {
		return fmt.Errorf("reading CHANGES: %w", err)
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg)
	var seen []string
	for len(seen) <= changes {
		out, err := client.ListBuckets(ctx, &s3.ListBucketsInput{})
		if err != nil {
			return err
		}
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(seen, creds.AccessKeyID) {
			seen = append(seen, creds.AccessKeyID)
			line := creds.AccessKeyID
			for _, bucket := range out.Buckets {
				line += " " + aws.ToString(bucket.Name)
			}
			fmt.Println(line)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}
