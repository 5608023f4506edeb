// Command assume-role obtains a session from IAM Roles Anywhere with a certificate in files, assumes another role with
// it, as programs do that work in several accounts, and prints who it then is.
//
//	go run ./assume-role -certificate tls.crt -private-key tls.key \
//	    -trust-anchor-arn arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/... \
//	    -profile-arn arn:aws:rolesanywhere:eu-central-1:123456789012:profile/... \
//	    -role-arn arn:aws:iam::123456789012:role/app -then-role-arn arn:aws:iam::210987654321:role/reports
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "assume-role:", err)
		os.Exit(1)
	}
}

type settings struct {
	files                 rolesanywhere.FileIdentityOptions
	session               rolesanywhere.CreateSessionInput
	thenRole              string
	endpoint, stsEndpoint string
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("assume-role", flag.ContinueOnError)
	flags.StringVar(&s.files.CertificateFile, "certificate", "", "PEM file of the certificate and its intermediates")
	flags.StringVar(&s.files.PrivateKeyFile, "private-key", "", "PEM file of the private key")
	flags.StringVar(&s.session.TrustAnchorARN, "trust-anchor-arn", "", "ARN of the trust anchor")
	flags.StringVar(&s.session.ProfileARN, "profile-arn", "", "ARN of the profile")
	flags.StringVar(&s.session.RoleARN, "role-arn", "", "ARN of the role that the profile names")
	flags.StringVar(&s.thenRole, "then-role-arn", "", "ARN of the role to assume with the session")
	flags.StringVar(&s.endpoint, "rolesanywhere-endpoint", "", "replaces the address of IAM Roles Anywhere")
	flags.StringVar(&s.stsEndpoint, "sts-endpoint", "", "replaces the address of STS")
	err := flags.Parse(args)
	return s, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	anchor, err := arn.Parse(s.session.TrustAnchorARN)
	if err != nil {
		return fmt.Errorf("reading -trust-anchor-arn: %w", err)
	}
	files, err := rolesanywhere.NewFileIdentity(ctx, s.files)
	if err != nil {
		return err
	}
	client := rolesanywhere.New(rolesanywhere.Options{Endpoint: s.endpoint})
	config := aws.Config{
		Region:      anchor.Region,
		Credentials: cached(rolesanywhere.NewCredentialsProvider(client, files.Identity, s.session)),
	}
	if s.stsEndpoint != "" {
		config.BaseEndpoint = &s.stsEndpoint
	}
	// A chained session lasts an hour at the most. Its source identity is the certificate's common name, which the
	// second role's trust policy has to allow with sts:SetSourceIdentity.
	config.Credentials = cached(
		stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), s.thenRole, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "assume-role-example"
		}),
	)
	who, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, aws.ToString(who.Arn))
	return err
}

// cached gives a provider the cache that every client of the SDK needs, and time to refresh.
func cached(provider aws.CredentialsProvider) *aws.CredentialsCache {
	return aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
}
