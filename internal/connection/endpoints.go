package connection

import (
	"regexp"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

var s3RegionName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

const maxS3Region = 64

func checkS3(problems *problem.List, c *Connection) {
	checkEndpoint(problems, "s3_endpoint", c.S3Endpoint, network.PlainHTTP{Allowed: c.S3AllowHTTP,
		Hint: ", or s3_allow_http=true inside a private network"})
	if c.S3Region != "" && (len(c.S3Region) > maxS3Region || !s3RegionName.MatchString(c.S3Region)) {
		problems.Add("s3_region", "%s is not a region's name; use letters, digits, dots, underscores and dashes, at "+
			"most 64",
			problem.Quote(c.S3Region))
	}
}

// checkNetwork also replaces ca_cert by its plain form, without the text that tools put around certificates.
func checkNetwork(problems *problem.List, c *Connection) {
	checkEndpoint(problems, "rolesanywhere_endpoint", c.RolesAnywhereEndpoint, network.PlainHTTP{})
	checkEndpoint(problems, "sts_endpoint", c.STSEndpoint, network.PlainHTTP{Allowed: c.S3AllowHTTP,
		Hint: ", or s3_allow_http=true inside a private network"})
	// IAM's response to CreateAccessKey holds a secret key, which does not end by itself.
	checkEndpoint(problems, "iam_endpoint", c.IAMEndpoint, network.PlainHTTP{})
	if c.CACert != "" && !problems.Has("ca_cert") {
		certificates, err := network.ParseCertificates(c.CACert)
		if err != nil {
			problems.Add("ca_cert", "%v", err)
		} else {
			c.CACert = network.EncodeCertificates(certificates)
		}
	}
	if c.ProxyURL.Empty() || problems.Has("proxy_url") {
		return
	}
	if err := network.CheckProxy(c.ProxyURL); err != nil {
		problems.Add("proxy_url", "%v", err)
	}
}

func checkEndpoint(problems *problem.List, field, endpoint string, plain network.PlainHTTP) {
	if endpoint == "" || problems.Has(field) {
		return
	}
	if err := network.CheckEndpoint(endpoint, plain); err != nil {
		problems.Add(field, "%v", err)
	}
}
