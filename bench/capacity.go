package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"
)

// footprint is what the server takes up.
type footprint struct {
	memory int64 // resident, in KiB
	disk   int64 // of raft's files, in bytes
}

func (s *server) footprint() (footprint, error) {
	memory, err := residentKiB(s.cmd.Process.Pid)
	if err != nil {
		return footprint{}, err
	}
	f := footprint{memory: memory}
	err = filepath.WalkDir(filepath.Join(s.dir, "raft"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			f.disk += info.Size()
		}
		return err
	})
	return f, err
}

// leases are what live leases take up.
type leases struct {
	taken         int
	before, after footprint
}

// leasesTime is for how long leases are taken to see what they take up: tens of thousands, or the server finds room
// for most of them in what it has freed.
const leasesTime = 10 * time.Second

// takeLeases loads our leased target, looks how the server grows, and revokes the leases.
func (m *measurement) takeLeases(ctx context.Context) (leases, error) {
	m.say("taking leases for %s", leasesTime)
	before, err := m.server.footprint()
	if err != nil {
		return leases{}, err
	}
	reads, _, err := load(ctx, m.server.address, m.tour(oursLeased), m.clients, leasesTime)
	if err != nil {
		return leases{}, err
	}
	m.reads[oursLeased] += len(reads)
	after, err := m.server.footprint()
	if err != nil {
		return leases{}, err
	}
	return leases{len(reads), before, after}, m.server.revokeLeases(ctx, oursLeased)
}

// revokeLeases revokes what reads of the target have taken. A server full of leases collects garbage rarely and for
// seconds, which falls into a slice or does not.
func (s *server) revokeLeases(ctx context.Context, t target) error {
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	all := &api.RevokeOptions{LeaseID: t.path, Prefix: true, Sync: true}
	err := s.client.Sys().RevokeWithOptionsWithContext(ctx, all)
	if err != nil {
		return fmt.Errorf("revoking the leases of %s: %w", t.name, err)
	}
	return nil
}

// revokeTimeout is how long Vault works on one request; it revokes some three thousand leases a second.
const revokeTimeout = 90 * time.Second

// capacity turns processor time per read into what a capacity plan adds up.
func (r report) capacity(results map[target]series, l leases) {
	r.title("What a thousand reads a second need")
	r.header("read", "processors, Vault", "processors, plugin")
	for _, t := range []target{oursLeaseless, oursRaw, oursLeased, awsRole} {
		const readsPerSecond, perSecond = 1000, 1e9 // nanoseconds
		r.row(t.name, fmt.Sprintf("%.2f", results[t].perRead(vaultTime)*readsPerSecond/perSecond),
			fmt.Sprintf("%.2f", results[t].perRead(pluginTime)*readsPerSecond/perSecond))
	}
	if l.taken > 0 {
		fmt.Fprintf(r.w, "\nOf %d leases each takes %.1f KiB of Vault's memory", l.taken,
			float64(l.after.memory-l.before.memory)/float64(l.taken))
		// Raft's files grow in large steps: a few leases fit into what is there, which says nothing.
		if grown := l.after.disk - l.before.disk; grown > 0 {
			const kib = 1 << 10
			fmt.Fprintf(r.w, " and %.1f KiB of raft's files", float64(grown)/kib/float64(l.taken))
		}
		fmt.Fprintln(r.w, ".")
	}
}
