package s3conn

import (
	"net/http"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func checkEndpoint(p *problem.List, field, endpoint string, plain network.PlainHTTP) {
	if endpoint == "" || p.Has(field) {
		return
	}
	if err := network.CheckEndpoint(endpoint, plain); err != nil {
		p.Add(field, "%v", err)
	}
}

func checkNetwork(p *problem.List, c *connection) {
	checkEndpoint(p, "rolesanywhere_endpoint", c.RolesAnywhereEndpoint, network.PlainHTTP{})
	if c.CACert != "" && !p.Has("ca_cert") {
		certificates, err := network.ParseCertificates(c.CACert)
		if err != nil {
			p.Add("ca_cert", "%v", err)
		} else {
			c.CACert = network.EncodeCertificates(certificates)
		}
	}
	if c.proxyURL.Empty() || p.Has("proxy_url") {
		return
	}
	if err := network.CheckProxy(c.proxyURL); err != nil {
		p.Add("proxy_url", "%v", err)
	}
}

// shownProxy is the proxy's address as a read may show it.
func (c *connection) shownProxy() string {
	if c.proxyURL.Empty() {
		return ""
	}
	return network.RedactProxy(c.proxyURL)
}

// newHTTPClient returns the client for the connection's calls. The caller closes its idle connections.
func (c *connection) newHTTPClient() (*http.Client, error) {
	return network.NewClient(network.Settings{CACert: c.CACert, ProxyURL: c.proxyURL})
}
