package s3conn

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	statusPrefix = "status/"

	statusSynopsis    = "Count the connections by state, and name those that need somebody."
	statusDescription = `
  vault read s3conn/status
  vault list -detailed s3conn/status
  vault read s3conn/status/orders

A connection is

  ok          its credentials can be handed out
  degraded    they can, but the last refresh, renewal or rotation failed, or a scope's session
  failing     they cannot
  idle        nobody has read it since the plugin started, so nothing is known
  incomplete  it has no certificate yet

Nothing here calls a service, and no secret is shown. What is said of sessions and reads is what this node knows since
the plugin's start; failures of renewals and rotations are known to every node. The first status after a start reads
every connection once.
`
	statusListSynopsis = "List the connections with their states."
	statusNameSynopsis = "Show how one connection does, and what to do about it."

	standbyWarning = "this node is a standby: sessions, their failures and reads are what this node knows; " +
		"ask the active node too"
)

func (b *backend) statusPaths() []*framework.Path {
	reads := func(call framework.OperationFunc, summary string, returns framework.Response) framework.OperationHandler {
		return &framework.PathOperation{Callback: b.withStatus(call), Summary: summary,
			Responses: map[int][]framework.Response{http.StatusOK: {returns}}}
	}
	mount := framework.Response{Description: "The mount's status.", Fields: mountStatusSchema()}
	list := framework.Response{Description: "The connections.", Fields: statusListSchema()}
	one := framework.Response{Description: "The connection's status.", Fields: statusSchema()}
	return []*framework.Path{
		{
			Pattern:         "status/?$",
			DisplayAttrs:    displayAttrs("status"),
			HelpSynopsis:    statusSynopsis,
			HelpDescription: statusDescription,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: reads(b.readMountStatus, statusSynopsis, mount),
				logical.ListOperation: reads(b.listStatus, statusListSynopsis, list),
			},
		},
		{
			Pattern:         statusPrefix + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("connection-status"),
			HelpSynopsis:    statusNameSynopsis,
			HelpDescription: statusDescription,
			Fields:          b.nameOnly,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: reads(b.readStatus, statusNameSynopsis, one),
			},
		},
	}
}

// described is a field that is always in a response.
func described(kind framework.FieldType, text string) *framework.FieldSchema {
	return &framework.FieldSchema{Type: kind, Required: true, Description: text}
}

// sometimes is a field that a response has where there is something to say.
func sometimes(kind framework.FieldType, text string) *framework.FieldSchema {
	return &framework.FieldSchema{Type: kind, Description: text}
}

const nodeDescription = "active or standby: which node answers."

func mountStatusSchema() map[string]*framework.FieldSchema {
	fields := map[string]*framework.FieldSchema{
		"node":         described(framework.TypeString, nodeDescription),
		"connections":  described(framework.TypeInt, "How many connections there are."),
		"sessions":     described(framework.TypeInt, "Live sessions in memory, scopes included."),
		"queue_length": described(framework.TypeInt, "Calls to AWS that wait for their turn."),
		"counts":       described(framework.TypeMap, "How many connections are in each state."),
	}
	for _, state := range namedStates() {
		fields[string(state)] = described(framework.TypeStringSlice,
			"Names of the connections that are "+string(state)+".")
	}
	return fields
}

func statusListSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"keys":     described(framework.TypeStringSlice, "Names of the connections."),
		"key_info": sometimes(framework.TypeMap, "By name: state, auth_type and certificate_not_after."),
	}
}

func statusSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"name":      described(framework.TypeString, "Name of the connection."),
		"state":     described(framework.TypeString, "ok, degraded, failing, idle or incomplete."),
		"advice":    described(framework.TypeString, "What the state means, and what to do."),
		"node":      described(framework.TypeString, nodeDescription),
		"auth_type": sometimes(framework.TypeString, "The connection's auth_type."),
		"session": sometimes(framework.TypeMap,
			"The live session: issued, expiration (RFC 3339, UTC), ttl (whole seconds) and arn."),
		"last_failure": sometimes(framework.TypeMap, "The last request for a session that failed since the start: "+
			"time, error, count (in a row; 0 once one has succeeded) and next_try."),
		"certificate": sometimes(framework.TypeMap, "When AWS stops accepting the certificate: not_after, ttl (whole "+
			"seconds) and, where an intermediate ends first, intermediate."),
		"renewal": sometimes(framework.TypeMap,
			"How the certificate is renewed: issuer_type, renew_at, last_renewal and the last_failure."),
		"rotation": sometimes(framework.TypeMap,
			"How the access key is rotated: last_vault_rotation, next_rotation, previous_access_key, "+
				"previous_key_end, under_way_since and the last_failure."),
		"scopes": sometimes(framework.TypeMap, "The scopes whose last request for a session failed: error, count (in "+
			"a row) and next_try. Of a scope with templates it is the entity that has failed most often."),
		"reads": described(framework.TypeMap, "Reads that were answered since the start, by path."),
	}
}

// namedStates are those whose connections somebody should look at.
func namedStates() []health.State {
	return []health.State{health.StateFailing, health.StateDegraded, health.StateIncomplete}
}

func (b *backend) readMountStatus(ctx context.Context, req *logical.Request, _ *framework.FieldData) (
	*logical.Response, error,
) {
	all, err := b.vitals.all(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	counts, names := map[string]any{}, map[health.State][]string{}
	now := b.clock()
	for _, one := range all {
		state := b.stateOf(one.name, one.vitals, now)
		names[state] = append(names[state], one.name)
	}
	for _, state := range health.States() {
		counts[string(state)] = len(names[state])
	}
	data := map[string]any{"connections": len(all), "counts": counts, "sessions": b.sessions.Summary().Live,
		"queue_length": b.monitor.waiting()}
	for _, state := range namedStates() {
		data[string(state)] = append([]string{}, names[state]...)
	}
	return b.nodeStatus(data), nil
}

// nodeStatus adds which node answers.
func (b *backend) nodeStatus(data map[string]any) *logical.Response {
	if b.onStandby() {
		data["node"] = "standby"
		return &logical.Response{Data: data, Warnings: []string{standbyWarning}}
	}
	data["node"] = "active"
	return &logical.Response{Data: data}
}

func (b *backend) listStatus(ctx context.Context, req *logical.Request, _ *framework.FieldData) (
	*logical.Response, error,
) {
	all, err := b.vitals.all(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	names, info, now := make([]string, len(all)), make(map[string]any, len(all)), b.clock()
	for i, one := range all {
		names[i] = one.name
		shown := map[string]any{"state": string(b.stateOf(one.name, one.vitals, now))}
		if one.vitals.authType != "" {
			shown["auth_type"] = one.vitals.authType
		}
		if end := one.vitals.end.NotAfter; !end.IsZero() {
			shown["certificate_not_after"] = instant(end)
		}
		info[one.name] = shown
	}
	resp := logical.ListResponseWithInfo(names, info)
	if b.onStandby() {
		resp.AddWarning(standbyWarning)
	}
	return resp, nil
}

func (b *backend) readStatus(ctx context.Context, req *logical.Request, data *framework.FieldData) (
	*logical.Response, error,
) {
	name := data.Get("name").(string)
	v, err := b.vitals.one(ctx, req.Storage, name)
	if v == nil || err != nil {
		return nil, err
	}
	now, record := b.clock(), b.monitor.records.Find(name)
	state := b.stateOf(name, v, now)
	shown := map[string]any{"name": name, "state": string(state), "advice": advice(name, state, v)}
	if v.authType != "" {
		shown["auth_type"] = v.authType
	}
	known, _ := b.sessions.Status(session.Key{Name: name})
	if known.Session.Live(now) {
		shown["session"] = map[string]any{"arn": known.Session.ARN, "ttl": ttl(&known.Session, now),
			"issued": instant(known.Session.Issued), "expiration": instant(known.Session.Expiration)}
	}
	if failure := record.Failure(health.Session); !failure.Time.IsZero() {
		// A write or a test has ended what the record holds.
		failure.Count, failure.NextTry = known.Failures, time.Time{}
		if failure.Failing() {
			failure.NextTry = now.Wall.Add(known.NextTry)
		}
		shown["last_failure"] = failureStatus(failure)
	}
	if end := v.end.NotAfter; !end.IsZero() {
		shown["certificate"] = certificateStatus(v, now.Wall)
	}
	if err := b.addUpkeep(ctx, req.Storage, name, v, shown); err != nil {
		return nil, err
	}
	if failing := b.failingScopes(name, now.Wall); len(failing) > 0 {
		shown["scopes"] = failing
	}
	shown["reads"] = map[string]any{"creds": record.Reads(health.Creds), "sdk": record.Reads(health.SDK),
		"presign": record.Reads(health.Presign)}
	return b.nodeStatus(shown), nil
}

// statusPart is what a feature adds to its field of status/NAME: when it works next, and how. It calls no service and
// returns nil for a connection that does not use the feature.
type statusPart func(ctx context.Context, storage logical.Storage, name string) (map[string]any, error)

// addUpkeep adds the fields renewal and rotation, where there is something to say.
func (b *backend) addUpkeep(
	ctx context.Context, storage logical.Storage, name string, v *vitals, shown map[string]any,
) error {
	record := b.monitor.records.Find(name)
	for _, activity := range []health.Activity{health.Renewal, health.Rotation} {
		all := map[string]any{}
		if part := b.statusParts[activity]; part != nil {
			more, err := part(ctx, storage, name)
			if err != nil {
				return err
			}
			maps.Copy(all, more)
		}
		if failure := v.failure(activity, record); !failure.Time.IsZero() {
			all["last_failure"] = failureStatus(failure)
		}
		if len(all) > 0 {
			shown[activity.String()] = all
		}
	}
	return nil
}
