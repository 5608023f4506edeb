package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"
)

// crowdSize is how many entities read one scope with templates, each with a session of its own.
const crowdSize = 1000

const (
	crowdRole   = "bench-crowd"
	crowdPolicy = `path "s3conn/creds/leaseless/*" { capabilities = ["read"] }
path "floors/leaseless/*" { capabilities = ["read"] }`
)

// gather makes the entities, by making a token with an alias of its own for each, and has each of them read its scope
// once: what is measured is warm reads, and the budget lets few calls a second through.
func (s *server) gather(ctx context.Context, size, clients int) error {
	say("making %d entities", size)
	if err := s.client.Sys().PutPolicyWithContext(ctx, crowdRole, crowdPolicy); err != nil {
		return fmt.Errorf("writing the policy of the entities: %w", err)
	}
	_, err := s.client.Logical().WriteWithContext(ctx, "auth/token/roles/"+crowdRole, map[string]any{
		"allowed_policies": crowdRole, "allowed_entity_aliases": crowdRole + "-*", "orphan": true})
	if err != nil {
		return fmt.Errorf("writing the role of the entities' tokens: %w", err)
	}
	tokens := make([]string, size)
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range tokens {
		group.Go(func() (err error) {
			tokens[i], err = s.newToken(inner, fmt.Sprintf("%s-%04d", crowdRole, i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.crowd = tokens
	say("requesting a session for each")
	_, err = s.each(ctx, size, clients, func(i int) call {
		return call{http.MethodGet, oursCrowd.path, "", tokens[i]}
	})
	return err
}

// newToken returns a token of the entity with the alias, which it makes.
func (s *server) newToken(ctx context.Context, alias string) (string, error) {
	made, err := s.client.Auth().Token().CreateWithRoleWithContext(ctx, &api.TokenCreateRequest{EntityAlias: alias,
		Policies: []string{crowdRole}}, crowdRole)
	if err != nil {
		return "", fmt.Errorf("making the token of %s: %w", alias, err)
	}
	return made.Auth.ClientToken, nil
}

// tokensOf returns the tokens that a target is read with in turn.
func (s *server) tokensOf(t target) []string {
	if t.crowd {
		return s.crowd
	}
	return []string{s.token}
}
