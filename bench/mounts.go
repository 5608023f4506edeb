package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

// target is one path to load.
type target struct {
	name    string // in reports
	path    string
	program string // of the plugin that serves it; empty: Vault itself
	crowd   bool   // read by many entities in turn, each with a token of its own
}

// The mounts of the two plugins that are compared have names of one length, and a floor's path is as long as that of
// the target that it is compared with: for every character of a path within its mount Vault looks whether there is a
// quota for what begins so.
//
// https://github.com/hashicorp/vault/blob/v1.21.1/vault/quotas/quotas.go (queryQuota)
const (
	oursMount  = "s3conn/"
	floorMount = "floors/"
)

var (
	oursLeaseless = target{"s3conn creds/NAME, no lease", oursMount + "creds/leaseless", oursProgram.name, false}
	oursRaw       = target{"s3conn sdk/NAME", oursMount + "sdk/leaseless", oursProgram.name, false}
	oursLeased    = target{"s3conn creds/NAME, leased", oursMount + "creds/leased", oursProgram.name, false}
	oursScoped    = target{"s3conn creds/NAME/SCOPE, no lease", oursMount + "creds/leaseless/reports",
		oursProgram.name, false}
	oursCrowd = target{"s3conn creds/NAME/SCOPE, 1,000 entities", oursMount + "creds/leaseless/home",
		oursProgram.name, true}

	floorLeaseless = floorOf(oursLeaseless, "leaseless", "floor, no lease")
	floorScoped    = floorOf(oursScoped, "leaseless", "floor, no lease, as long a path")
	floorRaw       = floorOf(oursRaw, "raw", "floor, raw")
	floorLeased    = floorOf(oursLeased, "leased", "floor, leased")
	floorCrowd     = floorOf(oursCrowd, "leaseless", "floor, 1,000 entities")
	framework      = floorOf(oursLeaseless, "framework", "floor behind the SDK's framework")

	awsRole      = target{"AWS engine, assumed_role", "aws/sts/" + engineRoleName, awsProgram.name, false}
	awsRolePlain = target{"AWS engine, STS without TLS", "aws-plain/sts/" + engineRoleName, awsProgram.name, false}
	// The AWS again, in the phase where everything is leased.
	awsRoleAmongLeases = target{"AWS engine, assumed_role, beside leased reads", awsRole.path, awsProgram.name, false}
	kvEntry            = target{"kv version 1 (inside Vault)", "kv/orders-sessions", "", false}
)

// floorOf returns the floor of a target: a path of the kind, as long as the target's.
func floorOf(t target, kind, name string) target {
	path := floorMount + kind + "/"
	return target{name, path + strings.Repeat("x", len(t.path)-len(path)), floorProgram.name, t.crowd}
}

// connections is how many of ours are read: each may cost one CreateSession.
const connections = 2

// scopes is how many scopes without templates are read: each may cost one AssumeRole. A scope with templates may cost
// one for each entity.
const scopes = 1

// mount registers the programs and mounts them, with kv beside them.
func (s *server) mount(ctx context.Context, programs plugins) error {
	for _, p := range programs.all() {
		if err := s.register(ctx, p); err != nil {
			return err
		}
	}
	for path, engine := range map[string]string{
		floorMount: programs.floor.name, oursMount: programs.ours.name, "aws": programs.aws.name,
		"aws-plain": programs.aws.name, "kv": "kv",
	} {
		if err := s.mountAt(ctx, path, engine); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) register(ctx context.Context, p program) error {
	registration := &api.RegisterPluginInput{Name: p.name, Type: api.PluginTypeSecrets, Command: p.name, SHA256: p.sum,
		Env: p.env}
	if err := s.client.Sys().RegisterPluginWithContext(ctx, registration); err != nil {
		return fmt.Errorf("registering %s: %w", p.name, err)
	}
	return nil
}

func (s *server) mountAt(ctx context.Context, path, engine string) error {
	if err := s.client.Sys().MountWithContext(ctx, path, &api.MountInput{Type: engine}); err != nil {
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	return nil
}

// configure writes what each mount needs to be read.
func (s *server) configure(ctx context.Context, aws *account) error {
	for path, data := range map[string]map[string]any{
		"s3conn/config/leased":              connection(aws, true),
		"s3conn/config/leaseless":           connection(aws, false),
		"aws/config/root":                   engineRoot(aws.sts.URL),
		"aws-plain/config/root":             engineRoot(aws.plainSTS.URL),
		"aws/roles/" + engineRoleName:       engineRole,
		"aws-plain/roles/" + engineRoleName: engineRole,
	} {
		if _, err := s.client.Logical().WriteWithContext(ctx, path, data); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	for name, scope := range map[string]map[string]any{
		"reports": {"prefixes": "reports/", "session_name": answer.SessionName},
		"home":    {"prefixes": "home/{{identity.entity.name}}/", "session_name": "{{identity.entity.name}}"},
	} {
		scope["buckets"], scope["generate_lease"] = "ledger", false
		if _, err := s.client.Logical().WriteWithContext(ctx, "s3conn/scopes/leaseless/"+name, scope); err != nil {
			return fmt.Errorf("writing the scope %s: %w", name, err)
		}
	}
	read, err := s.client.Logical().ReadWithContext(ctx, floorLeaseless.path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", floorLeaseless.path, err)
	}
	if _, err := s.client.Logical().WriteWithContext(ctx, kvEntry.path, read.Data); err != nil {
		return fmt.Errorf("writing %s: %w", kvEntry.path, err)
	}
	return nil
}

// engineRoleName makes a path as long as that of creds/leaseless.
const engineRoleName = "orders-role"

// engineRole and engineRoot are the AWS engine's settings.
var engineRole = map[string]any{"credential_type": "assumed_role", "role_arns": answer.RoleARN}

func engineRoot(sts string) map[string]any {
	return map[string]any{
		"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": answer.SecretAccessKey, "region": answer.Region,
		"sts_endpoint": sts, "sts_region": answer.Region, "iam_endpoint": sts,
	}
}

func connection(aws *account, lease bool) map[string]any {
	return map[string]any{
		"auth_type": "roles_anywhere", "region": answer.Region, "session_name": answer.SessionName,
		"profile_arn": answer.ProfileARN, "role_arn": answer.RoleARN, "trust_anchor_arn": answer.TrustAnchorARN,
		"certificate": string(aws.certificate.CertificatePEM), "private_key": string(aws.certificate.PrivateKeyPEM),
		"rolesanywhere_endpoint": aws.anywhere.URL, "sts_endpoint": aws.plainSTS.URL, "generate_lease": lease,
	}
}

// sizeTolerance is for what differs by nature: paths in lease IDs, and a number of one digit less.
const sizeTolerance = 0.02

// checkSizes makes sure that neither side has more to carry than the other.
func (s *server) checkSizes(pairs ...[2]target) error {
	for _, pair := range pairs {
		var sizes [2]float64
		for i, t := range pair {
			r, err := newReader(s.address, newTour(s.address, t.path, s.tokensOf(t)[:1]...))
			if err != nil {
				return err
			}
			size, err := r.read()
			r.conn.Close()
			if err != nil {
				return err
			}
			sizes[i] = float64(size)
		}
		if math.Abs(sizes[0]-sizes[1]) > sizeTolerance*sizes[0] {
			return fmt.Errorf("comparing answers: %q has %v bytes and %q has %v; make the floor's constants as "+
				"large as the engine's answers",
				pair[0].name, sizes[0], pair[1].name, sizes[1])
		}
	}
	return nil
}
