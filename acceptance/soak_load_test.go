package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	soakEvery  = time.Second
	churnPause = 4 * time.Second
	absentFor  = 300 * time.Millisecond // between a delete and the write that brings the connection back

	// shortestLife is what is never gone below.
	shortestLife = 60 * time.Second
)

// reader reads the connection again and again, until stop closes.
func (k *soak) reader(stop <-chan struct{}, name string, read func(context.Context, string) (time.Time, error)) {
	pause := time.NewTimer(rand.N(soakEvery))
	defer pause.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pause.C:
		}
		f := failed{from: time.Now(), what: "a read", name: name}
		expiration, err := read(k.t.Context(), name)
		f.to = time.Now()
		switch {
		case err != nil:
			f.text = err.Error()
			k.ledger.fail(f)
		case expiration.IsZero():
			k.ledger.read(f, 0)
		default:
			// What was handed out is older than the request: this is the longest life it can have had.
			k.ledger.read(f, expiration.Sub(f.from))
		}
		pause.Reset(soakEvery)
	}
}

// readLeased reads creds/NAME and returns when the credentials expire; zero: never.
func (k *soak) readLeased(ctx context.Context, name string) (time.Time, error) {
	read, err := k.api.Logical().ReadWithContext(ctx, "s3conn/creds/"+name)
	if err != nil {
		return time.Time{}, err
	}
	if read == nil || read.Data["secret_key"] == "" {
		return time.Time{}, fmt.Errorf("creds/%s: no credentials", name)
	}
	text, _ := read.Data["expiration"].(string)
	if text == "" {
		return time.Time{}, nil
	}
	if ttl, err := read.Data["ttl"].(json.Number).Int64(); err != nil || ttl < int64(shortestLife/time.Second) {
		return time.Time{}, fmt.Errorf("creds/%s: ttl %d (%v), want 60 or more", name, ttl, err)
	}
	return time.Parse(time.RFC3339, text)
}

// readRaw reads sdk/NAME as an SDK does.
func (k *soak) readRaw(ctx context.Context, name string) (time.Time, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.vault.Address()+"/v1/s3conn/sdk/"+name, nil)
	if err != nil {
		return time.Time{}, err
	}
	request.Header.Set("Authorization", "Bearer "+k.vault.Token())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return time.Time{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return time.Time{}, err
	}
	if answer.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("sdk/%s: status %d: %s", name, answer.StatusCode, body)
	}
	var read struct{ SecretAccessKey, Token, Expiration string }
	if err := json.Unmarshal(body, &read); err != nil || read.SecretAccessKey == "" || read.Expiration == "" {
		return time.Time{}, fmt.Errorf("sdk/%s: no credentials (%v)", name, err)
	}
	if read.Token == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, read.Expiration)
}

// churner changes the connection in every way, again and again, and leaves it written.
func (k *soak) churner(stop <-chan struct{}, name string, turn int) {
	every := time.NewTicker(min(churnPause, k.length/20))
	defer every.Stop()
	for ; ; turn++ {
		select {
		case <-stop:
			return
		case <-every.C:
		}
		switch turn % 7 {
		case 0:
			k.change("write", name, func(ctx context.Context) error { return k.rewrite(ctx, name) })
		case 1:
			k.change("patch", name, func(ctx context.Context) error {
				_, err := k.api.Logical().JSONMergePatch(ctx, "s3conn/config/"+name,
					map[string]any{"session_name": fmt.Sprintf("turn-%d", turn)})
				return err
			})
		case 2:
			k.change("test", name, func(ctx context.Context) error {
				_, err := k.api.Logical().WriteWithContext(ctx, "s3conn/test/"+name, nil)
				return err
			})
		case 3:
			k.recreate(name)
		case 4:
			k.change("read of the configuration", name, func(ctx context.Context) error {
				if _, err := k.api.Logical().ReadWithContext(ctx, "s3conn/config/"+name); err != nil {
					return err
				}
				_, err := k.api.Logical().ListWithContext(ctx, "s3conn/config")
				return err
			})
		case 5:
			k.change("change of auth_type", name, func(ctx context.Context) error {
				_, err := k.api.Logical().WriteWithContext(ctx, "s3conn/config/"+name, k.keyFields())
				return err
			})
			k.change("write", name, func(ctx context.Context) error { return k.rewrite(ctx, name) })
		case 6:
			k.passing(fmt.Sprintf("passing-%s-%d", name, turn))
		}
	}
}

// passing writes a connection that was never there, has it obtain a session and deletes it for good: nothing may stay.
func (k *soak) passing(name string) {
	k.change("write", name, func(ctx context.Context) error { return k.rewrite(ctx, name) })
	k.change("first read", name, func(ctx context.Context) error {
		_, err := k.readLeased(ctx, name)
		return err
	})
	k.remove(name)
}

func (k *soak) remove(name string) {
	k.change("delete", name, func(ctx context.Context) error {
		_, err := k.api.Logical().DeleteWithContext(ctx, "s3conn/config/"+name)
		return err
	})
}

func (k *soak) recreate(name string) {
	gone := incident{from: time.Now(), name: name, kind: "delete"}
	k.remove(name)
	pause := time.NewTimer(absentFor)
	defer pause.Stop()
	<-pause.C
	k.change("write", name, func(ctx context.Context) error { return k.rewrite(ctx, name) })
	gone.to = time.Now()
	k.ledger.incident(gone)
}

// rewrite writes the whole connection with a certificate of its own.
func (k *soak) rewrite(ctx context.Context, name string) error {
	issued, err := k.aws.authority.Issue(rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	if err != nil {
		return err
	}
	_, err = k.api.Logical().WriteWithContext(ctx, "s3conn/config/"+name, k.s3Fields(map[string]any{
		"auth_type": "roles_anywhere", "profile_arn": profileARN, "role_arn": roleARN,
		"trust_anchor_arn": trustAnchorARN,
		"session_name":     name, "certificate": string(issued.CertificatePEM),
		"private_key":            string(issued.PrivateKeyPEM),
		"rolesanywhere_endpoint": k.aws.URL,
	}))
	return err
}

// change does what can be done twice, until it is done: it may meet a disruption.
func (k *soak) change(what, name string, do func(context.Context) error) {
	retry := time.NewTicker(soakEvery)
	defer retry.Stop()
	for range 60 {
		f := failed{from: time.Now(), what: what, name: name}
		err := do(k.t.Context())
		if err == nil {
			k.ledger.changed(what)
			return
		}
		f.to, f.text = time.Now(), err.Error()
		k.ledger.fail(f)
		<-retry.C
	}
}
