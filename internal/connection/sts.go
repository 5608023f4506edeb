package connection

import (
	"net/url"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// OwnStore reports whether s3_endpoint is an S3-compatible store, and not one of AWS's own addresses, such as a VPC
// endpoint.
func (c *Connection) OwnStore() bool {
	if c.S3Endpoint == "" {
		return false
	}
	address, err := url.Parse(c.S3Endpoint)
	if err != nil {
		return true
	}
	host := strings.ToLower(strings.TrimSuffix(address.Hostname(), "."))
	return !slices.ContainsFunc(awsDomains(), func(domain string) bool { return strings.HasSuffix(host, "."+domain) })
}

// awsDomains are those of AWS's addresses of S3.
//
// https://docs.aws.amazon.com/general/latest/gr/s3.html
func awsDomains() []string {
	return []string{"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "api.amazonwebservices.com.cn"}
}

// STSAddress is where AssumeRole is called for scopes; empty: AWS's STS of the region. A store of its own brings an
// STS, at the same address unless sts_endpoint names another.
func (c *Connection) STSAddress() string {
	if c.STSEndpoint == "" && c.OwnStore() {
		return c.S3Endpoint
	}
	return c.STSEndpoint
}

// Partition is the partition of the connection's region, or "" for a custom region that no known partition claims.
func (c *Connection) Partition() string {
	known := rolesanywhere.Partition(c.AWSRegion())
	if c.CustomRegion != "" && known == "aws" && !slices.Contains(Regions(), c.CustomRegion) {
		return ""
	}
	return known
}
