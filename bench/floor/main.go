// Command floor is the least that a Vault plugin can do: it answers with constants, as large as the answers of the
// s3conn engine. What a read of it costs is Vault and one gRPC hop, below which no plugin can get.
package main

import (
	"os"
	"runtime"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	"github.com/s3conn/vault-plugin-s3conn/bench/ballast"
)

func main() {
	defer runtime.KeepAlive(ballast.New()) // as in the plugin
	meta := &api.PluginAPIClientMeta{}
	err := meta.FlagSet().Parse(os.Args[1:])
	if err == nil {
		err = plugin.ServeMultiplex(&plugin.ServeOpts{
			BackendFactoryFunc: factory,
			TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
		})
	}
	if err != nil {
		hclog.New(&hclog.LoggerOptions{}).Error("serving the plugin", "error", err)
		os.Exit(1)
	}
}
