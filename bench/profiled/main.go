// Command profiled serves the s3conn engine as the plugin's own program does, and Go's profiles of itself on the
// loopback address in S3CONN_PPROF: for finding out where a read's time goes. It is never installed.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	s3conn "github.com/s3conn/vault-plugin-s3conn"
	"github.com/s3conn/vault-plugin-s3conn/bench/ballast"
)

func main() {
	defer runtime.KeepAlive(ballast.New()) // as in the plugin
	meta := &api.PluginAPIClientMeta{}
	err := meta.FlagSet().Parse(os.Args[1:])
	if address := os.Getenv("S3CONN_PPROF"); address != "" && err == nil {
		// The process that Vault starts to ask for the version finds the port free and gives it back as it ends.
		go func() { _ = http.ListenAndServe(address, nil) }()
	}
	if err == nil {
		err = plugin.ServeMultiplex(&plugin.ServeOpts{
			BackendFactoryFunc: s3conn.NewFactory(),
			TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
		})
	}
	if err != nil {
		hclog.New(&hclog.LoggerOptions{}).Error("serving the plugin", "error", err)
		os.Exit(1)
	}
}
