// Command vault-plugin-s3conn serves the S3 connections secrets engine to Vault, which starts it.
package main

import (
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	s3conn "github.com/s3conn/vault-plugin-s3conn"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		hclog.New(&hclog.LoggerOptions{}).Error("serving the plugin", "error", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet() // the flags with which Vault may start a plugin
	version := flags.Bool("version", false, "print the version and exit")
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(flags) }
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *version {
		fmt.Fprintf(stdout, "vault-plugin-s3conn %s (%s %s/%s%s)\n", s3conn.Version, runtime.Version(), runtime.GOOS,
			runtime.GOARCH, module(fips140.Enabled(), fips140.Enforced(), fips140.Version()))
		return nil
	}
	defer runtime.KeepAlive(ballast())
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: s3conn.NewFactory(),
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}

// module says which of Go's cryptographic modules for FIPS 140-3 the program uses, and whether what is not of it is
// refused; nothing where none is in use.
//
// https://go.dev/doc/security/fips140
func module(enabled, enforced bool, version string) string {
	switch {
	case enforced:
		return ", FIPS 140-3 module " + version + ", enforced"
	case enabled:
		return ", FIPS 140-3 module " + version
	}
	return ""
}

// ballastSize is how much more garbage may gather between two collections. The plugin holds a few MiB, and Go
// collects whenever as much again is garbage: every few hundred reads, for a twentieth of the processor time. A
// higher GOGC would also multiply what ten thousand connections take.
const ballastSize = 8 << 20

// ballast is memory that nothing ever writes to: it counts in Go's reckoning, and takes no room. There is none where
// the operator has said what memory the plugin may use.
//
// https://go.dev/doc/gc-guide
func ballast() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastSize)
}

func usage(flags *flag.FlagSet) {
	fmt.Fprintln(flags.Output(), "vault-plugin-s3conn is a Vault secrets engine: Vault starts it, after \"vault "+
		"plugin register\".\nBy itself it only answers -version.")
}
