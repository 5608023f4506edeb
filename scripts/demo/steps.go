package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const secretKeyFile = "backup.secret"

type step struct {
	name        string // for the error, gerund first
	explanation string // for the audience, one line
	run         func(context.Context) error
}

func (d *demo) steps() []step {
	return []step{
		{"registering the plugin", "Register the plugin by its checksum, and mount it.", d.register},
		{"writing an access key", "A connection with an access key. The secret goes in ...", d.writeAccessKey},
		{"reading an access key's connection", "... and does not come out again.", d.readAccessKey},
		{"writing a Roles Anywhere connection", "A connection with a certificate and its key, for IAM Roles Anywhere.",
			d.writeRolesAnywhere},
		{"testing a connection", "Does it work? A session of its own, then ListBuckets.", d.testConnection},
		{"reading credentials", "What an app reads: credentials of a session, and a lease that ends before it.",
			d.readCredentials},
		{"using the credentials", "What the app does with them: list buckets, here with AWS's SDK for Go.",
			d.useCredentials},
		{"reading the credentials again", "The next reader shares the session: the same access key.", d.readAgain},
		{"making a mistake", "A mistake is named and changes nothing.", d.makeMistake},
		{"reading credentials for SDKs", "The same session for unmodified AWS SDKs, in the form that they read.",
			d.readForSDKs},
		{"using AWS CLI", "AWS CLI asks Vault by itself: two environment variables, no files.", d.useCLI},
		{"writing a scope", "A scope narrows what an app gets, here to one prefix of one bucket.", d.writeScope},
		{"testing a scope", "Is it really narrower? What lies outside has to be refused.", d.testScope},
		{"using a scope's credentials", "An app with the scope's credentials. The demo's S3 knows no policies: an " +
			"evaluator of IAM policies stands in front of it.", d.useScope},
		{"presigning a URL", "Or no credentials at all: a URL for one object, for a while.", d.presignURL},
		{"writing a connection without a key", "A connection whose key is made in Vault, and never leaves it.",
			d.writeWithoutKey},
		{"requesting a certificate", "Only a certificate signing request comes out, and a CA signs it.",
			d.requestCertificate},
		{"writing the certificate", "AWS proves the certificate before it counts; no read fails at the swap.",
			d.writeCertificate},
		{"reading credentials of a key made in Vault", "From nothing to credentials in five commands.",
			d.readOfKeyInVault},
	}
}

// show runs a vault command in front of the audience and returns what it printed.
func (d *demo) show(ctx context.Context, args ...string) (string, error) {
	d.out.command(append([]string{"vault"}, args...)...)
	text, err := d.vault.run(ctx, args...)
	d.out.output(text)
	if err != nil {
		return "", fmt.Errorf("running vault %s: %w", strings.Join(args[:min(2, len(args))], " "), err)
	}
	return text, nil
}

func (d *demo) register(ctx context.Context) error {
	path := filepath.Join(d.vault.pluginDir, pluginName)
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	said, err := runCommand(ctx, d.vault.dir, d.vault.environment(), path, "-version")
	if err != nil {
		return fmt.Errorf("asking the plugin for its version: %w", err)
	}
	words := strings.Fields(said)
	if len(words) < 2 {
		return fmt.Errorf("asking the plugin for its version: it said %q, want its name and version", said)
	}
	_, err = d.show(ctx, "plugin", "register", fmt.Sprintf("-sha256=%x", sha256.Sum256(program)), "-version="+words[1],
		"secret", pluginName)
	if err != nil {
		return err
	}
	_, err = d.show(ctx, "secrets", "enable", "-path=s3conn", pluginName)
	return err
}

func (d *demo) writeAccessKey(ctx context.Context) error {
	// Without a newline at its end: what is in the file is the key.
	if err := os.WriteFile(filepath.Join(d.vault.dir, secretKeyFile), []byte(d.secretKey), 0o600); err != nil {
		return err
	}
	_, err := d.show(ctx, "write", "s3conn/config/backup", "access_key="+d.accessKey, "secret_key=@"+secretKeyFile,
		"region="+region, "s3_endpoint="+d.s3.url, "s3_path_style=true")
	return err
}

var errSecretShown = errors.New("the secret key was shown")

func (d *demo) readAccessKey(ctx context.Context) error {
	text, err := d.show(ctx, "read", "s3conn/config/backup")
	if err == nil && strings.Contains(text, d.secretKey) {
		err = errSecretShown
	}
	return err
}

func (d *demo) writeRolesAnywhere(ctx context.Context) error {
	_, err := d.show(ctx, "write", "s3conn/config/orders", "auth_type=roles_anywhere", "region="+region,
		"session_name=orders",
		"profile_arn="+profileARN, "role_arn="+roleARN, "trust_anchor_arn="+trustAnchorARN,
		"certificate=@"+certificateFile, "private_key=@"+privateKeyFile, "rolesanywhere_endpoint="+d.rolesAnywhere.URL,
		"sts_endpoint="+d.sts.URL, "s3_endpoint="+d.s3.url, "s3_path_style=true")
	return err
}

func (d *demo) testConnection(ctx context.Context) error {
	_, err := d.show(ctx, "write", "-f", "s3conn/test/orders")
	d.rolesAnywhere.Reset() // the sessions that readers cause are counted from here
	return err
}

func (d *demo) readCredentials(ctx context.Context) error {
	text, err := d.show(ctx, "read", "s3conn/creds/orders")
	if err != nil {
		return err
	}
	d.session = tableValues(text)
	return nil
}

// tableValues returns the keys and values of Vault's table output; a value of several words is cut to its first.
func tableValues(table string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) > 1 {
			values[words[0]] = words[1]
		}
	}
	return values
}

func (d *demo) useCredentials(ctx context.Context) error {
	buckets, err := listBuckets(ctx, d.session["endpoint"], aws.Credentials{
		AccessKeyID: d.session["access_key"], SecretAccessKey: d.session["secret_key"],
		SessionToken: d.session["session_token"],
	})
	if err != nil {
		return err
	}
	d.out.printf("buckets: %s", strings.Join(buckets, ", "))
	return nil
}

var errNotShared = errors.New("the readers do not share one session")

func (d *demo) readAgain(ctx context.Context) error {
	text, err := d.show(ctx, "read", "-field=access_key", "s3conn/creds/orders")
	if err != nil {
		return err
	}
	calls := d.rolesAnywhere.Calls()
	d.out.printf("CreateSession calls for both reads: %d", calls)
	if key := strings.TrimSpace(text); key != d.session["access_key"] || calls != 1 {
		return fmt.Errorf("%w: the keys are %s and %s, after %d CreateSession calls", errNotShared,
			d.session["access_key"], key, calls)
	}
	return nil
}

var errMistakeAccepted = errors.New("vault did not refuse the mistake as one of duration")

func (d *demo) makeMistake(ctx context.Context) error {
	args := []string{"write", "s3conn/config/orders", "duration=899"}
	d.out.command(append([]string{"vault"}, args...)...)
	text, err := d.vault.run(ctx, args...)
	d.out.output(text)
	// Exit code 2 is the server's refusal: https://developer.hashicorp.com/vault/docs/commands#exit-codes
	exit, refused := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !refused || exit.ExitCode() != 2 || !strings.Contains(text, "duration"):
		return errMistakeAccepted
	}
	return nil
}

func (d *demo) readForSDKs(ctx context.Context) error {
	text, err := d.show(ctx, "read", "-format=raw", "s3conn/sdk/orders")
	if err == nil && !bytes.Contains([]byte(text), []byte(d.session["access_key"])) {
		err = errNotShared
	}
	return err
}

// useCLI is skipped where there is no AWS CLI, or one that does not run.
func (d *demo) useCLI(ctx context.Context) error {
	if _, err := runCommand(ctx, d.vault.dir, os.Environ(), "aws", "--version"); err != nil {
		d.out.printf("(skipped: there is no AWS CLI here)")
		return ctx.Err()
	}
	settings := []string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + d.vault.address + "/v1/s3conn/sdk/orders",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN=Bearer " + d.vault.token,
	}
	args := []string{"s3", "ls", "--region=" + region, "--endpoint-url=" + d.s3.url}
	d.out.command(append(append(settings, "aws"), args...)...)
	text, err := runCommand(ctx, d.vault.dir, append(ownAWSHidden(os.Environ()), settings...), "aws", args...)
	d.out.output(text)
	if err != nil {
		return fmt.Errorf("running aws s3 ls: %w", err)
	}
	return nil
}

// ownAWSHidden returns env without the user's own AWS settings, which would win over those that the demo shows.
func ownAWSHidden(env []string) []string {
	kept := []string{"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}
	for _, variable := range env {
		if !strings.HasPrefix(variable, "AWS_") {
			kept = append(kept, variable)
		}
	}
	return kept
}
