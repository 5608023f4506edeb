package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	profileLength = 10 * time.Second
	maxProfile    = 64 << 20 // bytes
)

// profile loads our targets, each while Go's profiler watches the plugin's process, and keeps what it saw.
func profile(ctx context.Context, o options, s *server, aws *account, programs plugins) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	programs.ours.env = []string{"S3CONN_PPROF=" + address}
	if err := s.mount(ctx, programs); err != nil {
		return err
	}
	if err := s.configure(ctx, aws); err != nil {
		return err
	}
	if err := os.MkdirAll(o.profile, 0o755); err != nil {
		return fmt.Errorf("making the profiles' directory: %w", err)
	}
	for file, t := range map[string]target{"leaseless": oursLeaseless, "raw": oursRaw, "leased": oursLeased} {
		say("profiling %s", t.name)
		loaded := make(chan error, 1)
		go func() {
			_, _, err := load(ctx, s.address, newTour(s.address, t.path, s.token), o.clients, profileLength+time.Second)
			loaded <- err
		}()
		base := "http://" + address + "/debug/pprof/"
		err := errors.Join(
			save(ctx, fmt.Sprintf("%sprofile?seconds=%d", base, profileLength/time.Second),
				filepath.Join(o.profile, file+".cpu")),
			save(ctx, base+"allocs", filepath.Join(o.profile, file+".allocs")),
			<-loaded)
		if err != nil {
			return err
		}
	}
	say("read them with: go tool pprof -top %s/leaseless.cpu", o.profile)
	return nil
}

func save(ctx context.Context, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, profileLength+responseTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetching a profile: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetching a profile: status %d, want 200", resp.StatusCode)
	}
	file, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("writing a profile: %w", err)
	}
	_, err = io.Copy(file, io.LimitReader(resp.Body, maxProfile))
	return errors.Join(err, file.Close())
}
