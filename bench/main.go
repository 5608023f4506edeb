// Command bench measures the s3conn plugin against what bounds it: a plugin of constants, Vault's AWS engine as an
// external plugin, and kv, all on one real Vault and loaded in turn in the same run. It runs in its own directory, as
// "make bench" does, and writes Markdown to standard output. $VAULT_BIN is the vault program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

type options struct {
	rounds      int
	clients     int
	length      time.Duration
	storage     string
	starts      int
	profile     string
	connections int
	width       float64
	most        int
	charts      string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "how often each target is loaded")
	flag.Float64Var(
		&o.width,
		"width",
		0.04,
		"load on until the 95 % interval of each ratio of reads/s to the floor is this narrow",
	)
	flag.IntVar(&o.most, "most", 150, "how often a target is loaded for that at most")
	flag.StringVar(&o.charts, "charts", "", "draw the tables as SVG into this directory too")
	flag.IntVar(&o.clients, "clients", 8, "connections that read at the same time")
	flag.DurationVar(&o.length, "slice", time.Second, "how long a target is loaded at a time")
	flag.StringVar(
		&o.storage,
		"storage",
		"inmem",
		"Vault's storage: inmem, or raft for what writing leases costs a disk",
	)
	flag.IntVar(&o.starts, "starts", 15, "how often each plugin is started for its start time")
	flag.StringVar(
		&o.profile,
		"profile",
		"",
		"write profiles of the loaded plugin into this directory and measure nothing",
	)
	flag.IntVar(
		&o.connections,
		"connections",
		0,
		"measure what this many connections in one mount take, and nothing else",
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// check refuses what cannot be done, or not at once.
func (o options) check() error {
	switch {
	case o.clients < 1:
		return fmt.Errorf("checking the flags: -clients %d, want 1 or more", o.clients)
	case o.connections < 0:
		return fmt.Errorf("checking the flags: -connections %d, want 0 or more", o.connections)
	case o.connections > 0 && o.profile != "":
		return errors.New("checking the flags: -connections and -profile each do one thing alone; give one of them")
	}
	return nil
}

func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", arguments...)
}

func run(ctx context.Context, o options) error {
	vault := os.Getenv("VAULT_BIN")
	if vault == "" {
		return errors.New("finding Vault: set VAULT_BIN to what scripts/build-server vault prints")
	}
	if err := o.check(); err != nil {
		return err
	}
	programs, err := buildPlugins(ctx, o)
	if err != nil {
		return err
	}
	aws, err := startAccount()
	if err != nil {
		return err
	}
	defer aws.close()
	dir, err := os.MkdirTemp("", "s3conn-bench")
	if err != nil {
		return fmt.Errorf("making Vault's directory: %w", err)
	}
	defer os.RemoveAll(dir)
	// The AWS engine has no setting for a CA.
	caFile := filepath.Join(dir, "sts-ca.pem")
	if err := os.WriteFile(caFile, aws.stsCA, 0o600); err != nil {
		return fmt.Errorf("writing the CA of STS: %w", err)
	}
	programs.aws.env = []string{"SSL_CERT_FILE=" + caFile}
	say("starting Vault")
	server, err := startVault(ctx, vault, dir, programs.dir, o.storage)
	defer server.stop()
	if err != nil {
		return err
	}
	if o.profile != "" {
		return profile(ctx, o, server, aws, programs)
	}
	if o.connections > 0 {
		return scale(ctx, o, server, programs.ours)
	}
	if err := server.mount(ctx, programs); err != nil {
		return err
	}
	idle, err := server.atRest(ctx, programs.all()...)
	if err != nil {
		return err
	}
	if err := server.configure(ctx, aws); err != nil {
		return err
	}
	if err := server.checkSizes(slices.Concat(leaselessTwins, leasedTwins)...); err != nil {
		return err
	}
	inUse, err := server.atRest(ctx, programs.all()...)
	if err != nil {
		return err
	}
	return measure(ctx, o, server, aws, programs, processFigures{idle: idle, inUse: inUse})
}

var (
	// Targets are compared with others of the same phase alone. The AWS engine gives every read a lease: it is in
	// both, since its reads are too few to make Vault slower for the others.
	leaseless = [][]target{
		{floorLeaseless, oursLeaseless, framework},
		{floorScoped, oursScoped},
		{floorRaw, oursRaw},
		{awsRole, awsRolePlain},
		{kvEntry},
	}
	// By themselves: each entity has to be read as often as under steady load, because the plugin asks Vault for an
	// entity once a minute. Between slices of other targets nearly every read would have to ask.
	crowded        = [][]target{{floorCrowd, oursCrowd}}
	leased         = [][]target{{floorLeased, oursLeased}, {awsRoleAmongLeases}}
	leaselessTwins = [][2]target{{oursLeaseless, floorLeaseless}, {oursScoped, floorScoped}, {oursRaw, floorRaw}}
	crowdedTwins   = [][2]target{{oursCrowd, floorCrowd}}
	leasedTwins    = [][2]target{{oursLeased, floorLeased}}
	twins          = slices.Concat(leaselessTwins, crowdedTwins, leasedTwins)
	peers          = [][2]target{
		{oursLeaseless, awsRole}, {oursRaw, awsRole}, {oursLeased, awsRoleAmongLeases},
		{oursLeaseless, awsRolePlain}, {floorLeaseless, awsRole}, {floorLeaseless, awsRolePlain},
		{oursLeaseless, kvEntry}, {framework, floorLeaseless},
	}
)

func measure(ctx context.Context, o options, s *server, aws *account, programs plugins, figures processFigures) error {
	m := &measurement{server: s, rounds: o.rounds, clients: o.clients, length: o.length, width: o.width, most: o.most,
		say: say, reads: map[target]int{}, tours: map[target]*tour{}}
	m.load = m.slice
	results := map[target]series{}
	wide, err := m.phase(ctx, leaseless, leaselessTwins, results)
	if err != nil {
		return err
	}
	if err := s.gather(ctx, crowdSize, o.clients); err != nil {
		return err
	}
	if err := s.checkSizes(crowdedTwins...); err != nil {
		return err
	}
	wideCrowded, err := m.phase(ctx, crowded, crowdedTwins, results)
	if err != nil {
		return err
	}
	taken, err := m.takeLeases(ctx)
	if err != nil {
		return err
	}
	// Last, and by themselves: leases make Vault slower for all that come after, also once they are revoked.
	m.after = s.revokeLeases
	wideLeased, err := m.phase(ctx, leased, leasedTwins, results)
	if err != nil {
		return err
	}
	if figures.loaded, err = s.atRest(ctx, programs.all()...); err != nil {
		return err
	}
	say("starting each plugin %d times", o.starts)
	if figures.start, err = startTimes(ctx, programs, o.starts); err != nil {
		return err
	}
	say("weighing the programs")
	ours, floor, err := weights(ctx, programs)
	if err != nil {
		return err
	}
	r, caption := report{os.Stdout}, m.caption(o.storage, results)
	r.machine(caption)
	r.noise(slices.Concat(wide, wideCrowded, wideLeased), m, results)
	r.bars(results)
	r.ratios(append(twins, peers...), results)
	r.targets(slices.Concat(slices.Concat(leaseless, crowded, leased)...), results)
	r.upstream(m.reads, aws.calls())
	r.capacity(results, taken)
	r.processes(programs, figures)
	r.weights(ours, floor)
	if o.charts == "" {
		return nil
	}
	return charts(o.charts, caption, results)
}

func weights(ctx context.Context, programs plugins) (ours, floor weight, err error) {
	dir, err := os.MkdirTemp("", "s3conn-bench-symbols")
	if err != nil {
		return nil, nil, fmt.Errorf("making a directory for programs with symbols: %w", err)
	}
	defer os.RemoveAll(dir)
	if floor, err = weigh(ctx, programs.floor, dir); err != nil {
		return nil, nil, err
	}
	if ours, err = weigh(ctx, programs.ours, dir); err != nil {
		return nil, nil, err
	}
	return ours, floor, nil
}
