package rolesanywhere

import (
	"fmt"
	"net/url"
	"strings"
)

const partitionAWS = "aws"

// partitions is AWS's own list, each known by how its regions begin; the partition "aws" has the rest.
// Source: partitions.json of aws-sdk-go-v2.
func partitions() []struct{ prefix, name, suffix, dualStackSuffix string } {
	return []struct{ prefix, name, suffix, dualStackSuffix string }{
		{"cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
		{"us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"},
		{"eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"},
		{"us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"},
		{"us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"},
		{"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
		{"us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
		{"", partitionAWS, "amazonaws.com", "api.aws"},
	}
}

// Partition returns the partition that a region belongs to, as it stands in the region's ARNs: "aws",
// "aws-cn", "aws-us-gov" and so on. A region of no known prefix is taken to be of "aws".
func Partition(region string) string {
	for _, p := range partitions() {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return partitionAWS
}

// EndpointOptions chooses among a region's addresses. Not every region has every one:
// https://docs.aws.amazon.com/general/latest/gr/rolesanywhere.html
type EndpointOptions struct {
	FIPS      bool // FIPS 140 validated endpoints
	DualStack bool // endpoints with IPv4 and IPv6 addresses
}

// Endpoint returns the service's address in a region, with no path:
// https://rolesanywhere.us-east-1.amazonaws.com. The region is not checked here; a call of the [Client]
// does that.
func Endpoint(region string, o EndpointOptions) string {
	service := signingService
	if o.FIPS {
		service += "-fips"
	}
	for _, p := range partitions() {
		if !strings.HasPrefix(region, p.prefix) {
			continue
		}
		if o.DualStack {
			return "https://" + service + "." + region + "." + p.dualStackSuffix
		}
		return "https://" + service + "." + region + "." + p.suffix
	}
	return ""
}

// checkRegion accepts what can stand in a host name and in a credential scope.
func checkRegion(region string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if region == "" || len(region) > 63 || strings.Trim(region, allowed) != "" ||
		strings.HasPrefix(region, "-") || strings.HasSuffix(region, "-") {
		return fmt.Errorf("checking region: %w: %.70q; want lower-case letters, digits and dashes, like us-east-1",
			ErrInvalidInput, region)
	}
	return nil
}

// sessionsURL returns the address of CreateSession under endpoint. User information is refused
// because Go would send it as an Authorization header; a query and a fragment because the operation
// has none.
func sessionsURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" ||
		u.User != nil || strings.ContainsAny(endpoint, "?#") {
		// The endpoint is not quoted: one that is refused may carry a password.
		return "", fmt.Errorf("checking endpoint: %w: want an absolute http or https URL without "+
			"user information, query or fragment", ErrInvalidInput)
	}
	return u.JoinPath("sessions").String(), nil
}
