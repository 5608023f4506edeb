package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
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

// capacity turns processor time per read into what a capacity plan adds up.
func (r report) capacity(results map[target]series, before, after footprint, leases int) {
	r.title("What a thousand reads a second need")
	r.header("read", "processors, Vault", "processors, plugin")
	for _, t := range []target{oursLeaseless, oursRaw, oursLeased, awsRole} {
		const readsPerSecond, perSecond = 1000, 1e9 // nanoseconds
		r.row(t.name, fmt.Sprintf("%.2f", results[t].perRead(vaultTime)*readsPerSecond/perSecond),
			fmt.Sprintf("%.2f", results[t].perRead(pluginTime)*readsPerSecond/perSecond))
	}
	if leases > 0 {
		fmt.Fprintf(r.w, "\nOf the %d leases of s3conn, the floor and the AWS engine each takes %.1f KiB of Vault's "+
			"memory", leases,
			float64(after.memory-before.memory)/float64(leases))
		// Raft's files grow in large steps: a few leases fit into what is there, which says nothing.
		if grown := after.disk - before.disk; grown > 0 {
			const kib = 1 << 10
			fmt.Fprintf(r.w, " and %.1f KiB of raft's files", float64(grown)/kib/float64(leases))
		}
		fmt.Fprintln(r.w, ".")
	}
}
